"""A model as files for other programs, and as a page for people."""

import io
import json
import re

import numpy as np
import onnxruntime
from safetensors.numpy import load

from tests.service.house import House, is_problem


def test_tensors(house: House, model: str) -> None:
    whole = house.http.get(f"/v1/models/{model}/export")
    assert 'filename="trained-1.safetensors"' in whole.headers["content-disposition"]
    tensors = load(whole.content)
    arrays = house.http.get(f"/v1/models/{model}/export?format=npz")
    assert 'filename="trained-1.npz"' in arrays.headers["content-disposition"]
    with np.load(io.BytesIO(arrays.content)) as found:
        assert set(found.files) == set(tensors)
        assert all((found[name] == tensors[name]).all() for name in tensors)
    is_problem(house.http.get(f"/v1/models/{model}/export?format=exe"), 422, "invalid-parameter")
    is_problem(house.http.get(f"/v1/models/mdl_{'0' * 26}/export?format=onnx"), 404, "not-found")


def test_onnx_gives_what_predict_shows(house: House, model: str) -> None:
    answer = house.http.get(f"/v1/models/{model}/export?format=onnx")
    assert 'filename="trained-1.onnx"' in answer.headers["content-disposition"]
    session = onnxruntime.InferenceSession(answer.content, providers=["CPUExecutionProvider"])
    rows = np.array([[0.0, 0.5], [1.0, 1.0], [0.25, -3.5]], np.float32)
    [outputs] = session.run(["outputs"], {"inputs": rows})
    shown = house.http.post(f"/v1/models/{model}/predict", json={"inputs": rows.tolist()}).json()["outputs"]
    assert np.allclose(outputs, shown, atol=1e-6)
    view = house.http.get(f"/v1/models/{model}").json()
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["classes"]) == ["a", "b"]
    assert (told["model"], told["job"], told["dataset"]) == (model, view["job"], view["dataset"])
    assert (told["checkpoint_digest"], told["dataset_digest"]) == (view["digest"], view["dataset_digest"])


def test_the_card_tells_all_there_is(house: House, model: str) -> None:
    answer = house.http.get(f"/v1/models/{model}/export?format=card")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert 'filename="trained-1.md"' in answer.headers["content-disposition"]
    view = house.http.get(f"/v1/models/{model}").json()
    card = answer.text
    titles = ["Data", "Network", "Training", "Learning curve", "Metrics", "Lineage", "Limits"]
    assert re.findall("^## (.*)$", card, re.MULTILINE) == titles
    for field in ("job", "checkpoint", "digest", "dataset", "dataset_digest"):
        assert view[field] in card
    [classes, spec] = re.findall("```json\n(.*?)\n```", card, re.DOTALL)
    assert (json.loads(classes), json.loads(spec)) == (["a", "b"], view["spec"])
    assert re.search(r"^train_loss      [▁-█]{3}  \S+ to \S+$", card, re.MULTILINE)
    assert f"| train_loss | {view['metrics']['train_loss']:.6g} |" in card
    assert "| 0 | dense | 4 | 12 |" in card
    assert "measured on the rows that it learned from alone" in card


def test_the_card_says_what_one_output_and_outputs_that_are_no_probabilities_are(house: House) -> None:
    names = ["a | b\n## no", "yes\n\n```"]
    rows = {"x": [[0.0, 0.5], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], "y": [names[0], names[1]] * 2}
    dataset = str(house.http.post("/v1/datasets", json={"name": "lines", **rows}).json()["id"])

    def card(units: int, loss: str) -> str:
        network = {"layers": [{"type": "dense", "units": units}]}
        model = house.train(house.submit(dataset, network=network, loss={"type": loss}))
        return house.http.get(f"/v1/models/{model}/export?format=card").text

    one = card(1, "binary_cross_entropy")
    assert "gives 1, for the second of its two classes." in one
    assert f"Classes, of which the output is for the second:\n\n```json\n{json.dumps(names)}\n```\n" in one
    assert "probabilities were not calibrated" in one
    two = card(2, "hinge")
    assert "gives 2, one for each class." in two
    assert f"Classes, in the order of the outputs:\n\n```json\n{json.dumps(names)}\n```\n" in two
    assert "is no probability" in two
    assert "calibrated" not in two
    for told in (one, two):
        assert "examples_per_s" not in told
        assert "| seconds |" not in told
        assert re.findall("^## (.*)$", told, re.MULTILINE)[0] == "Data"


def test_the_card_of_a_model_that_outlived_its_job_and_its_data(house: House) -> None:
    dataset = house.add_dataset("brief")
    block = {"type": "residual", "layers": [{"type": "dense", "units": 2}, {"type": "tanh"}]}
    job = house.submit(
        dataset,
        network={"layers": [block, {"type": "dense", "units": 2}]},
        validation={"fraction": 0.25},
        metrics=["confusion_matrix", "f1"],
        epochs=70,
        preprocessing={"scale": "standard"},
    )
    model = house.train(job)
    address = f"/v1/models/{model}/export?format=card"
    before = house.http.get(address).text
    [curve] = re.findall("^validation_loss      (.*)  .* to ", before, re.MULTILINE)
    assert len(curve) == 60
    assert "`validation_confusion_matrix`:\n\n```json\n" in before
    assert "25% of the rows" in before
    assert "each less its mean" in before
    assert "| 0 | residual of dense, tanh | 2 | 6 |" in before
    assert house.http.delete(f"/v1/jobs/{job}").status_code == 204
    assert house.http.delete(f"/v1/datasets/{dataset}").status_code == 204
    after = house.http.get(address).text
    assert "| dataset | deleted since |" in after
    assert "The job was deleted" in after
