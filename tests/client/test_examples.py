"""One example on the command line, in every form that says the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client import Client, Dataset, InputError
from client.pixels import pixels as read_pixels
from tests.client.conftest import Run


@pytest.fixture(scope="module")
def seeing(url: str, digits: Dataset) -> str:
    """A model of pictures of 8 x 8."""
    with Client(url) as client:
        network = ["flatten", {"type": "dense", "units": 10}]
        return client.train(dataset=digits, network=network, loss="cross_entropy", epochs=1, name="seeing").model().id


@pytest.fixture(scope="module")
def listening(url: str) -> str:
    """A model of sequences of three steps of one number, with masks."""
    with Client(url) as client:
        x = np.random.default_rng(1).normal(size=(12, 3, 1)).astype("float32")
        dataset = client.datasets.upload(x=x, y=np.arange(12, dtype="uint8") % 2, name="sounds")
        network = [{"type": "simple_rnn", "units": 4}, {"type": "dense", "units": 2}]
        fields = {"loss": "cross_entropy", "epochs": 1, "batch_size": 4, "name": "sounds"}
        return client.train(dataset=dataset, network=network, **fields).model().id


def test_an_input_is_taken_in_the_shape_of_the_model(
    run: Run, nudge: Client, seeing: str, pixels: list[list[list[int]]], tmp_path: Path
) -> None:
    picture = pixels[3]
    right = nudge.models.get(seeing).explain(input=picture, target=3)
    file, png, large = tmp_path / "digit.json", tmp_path / "digit.png", tmp_path / "large.png"
    file.write_text(json.dumps({"inputs": [picture]}))
    Image.fromarray(np.array(picture, np.uint8)).save(png)
    Image.fromarray(np.array(picture, np.uint8)).resize((16, 16)).save(large)
    flat = [value for row in picture for value in row]
    for given in (json.dumps(picture), json.dumps([picture]), json.dumps(flat), json.dumps([flat]), file, png):
        told = run("explain", seeing, "--input", given, "--target", "3", "--json")
        assert told.returncode == 0, (given, told.stderr)
        assert json.loads(told.stdout)["cost"] == right.cost
    assert run("explain", seeing, "--input", large, "--target", "3", "--resize").returncode == 0
    for given, says in (
        (large, "16 x 16 pixels large; the model takes 8 x 8. --resize"),
        (json.dumps([picture, picture]), "There are 2 inputs: give one."),
        (json.dumps([flat, flat]), "There are 2 inputs: give one."),
    ):
        told = run("explain", seeing, "--input", given, "--target", "3")
        assert (told.returncode, says in told.stderr) == (2, True), told.stderr


def test_a_sequence_is_taken_with_its_mask(run: Run, nudge: Client, listening: str) -> None:
    sequence, mask = [[1.0], [2.0], [9.0]], [1, 1, 0]
    model = nudge.models.get(listening)
    right = model.explain(input=sequence, target=1, mask=mask)
    assert right.cost != model.explain(input=sequence, target=1).cost
    both = json.dumps({"inputs": [sequence], "mask": [mask]})
    for words in (
        ["--input", json.dumps(sequence), "--mask", json.dumps(mask)],
        ["--input", json.dumps([sequence]), "--mask", json.dumps([mask])],
        ["--input", both],
    ):
        told = run("explain", listening, *words, "--target", "1", "--json")
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["cost"] == right.cost
    said = model.predict([sequence], mask=[mask]).outputs
    for words in (["--input", json.dumps([sequence]), "--mask", json.dumps([mask])], ["--input", both]):
        assert json.loads(run("predict", listening, *words, "--json").stdout)["outputs"] == said
    assert run("predict", listening, "--dataset", "ds_1", "--mask", "[[1]]").returncode == 2


def test_pixels_are_nested_as_the_model_wants_them(tmp_path: Path) -> None:
    file = tmp_path / "two.png"
    Image.fromarray(np.array([[[0, 10, 20], [30, 40, 50]]], np.uint8)).save(file)
    assert read_pixels(file, (1, 2, 3), resize=False) == [[[0, 10, 20], [30, 40, 50]]]
    [[first], [second]] = [[pixel] for pixel in read_pixels(file, (1, 2), resize=False)[0]]
    assert read_pixels(file, (1, 2, 1), resize=False) == [[[first], [second]]]
    Image.new("LA", (2, 1), (5, 9)).save(file)
    with pytest.raises(InputError, match="transparent"):
        read_pixels(file, (1, 2), resize=False)
    with pytest.raises(InputError, match="which is none"):
        read_pixels(file, (4,), resize=True)
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(InputError, match="damaged"):
        read_pixels(file, (1, 2), resize=False)
