"""The literature's experiments: their specs fit their data, and the tasks of 1986 learn what the authors show."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.literature.__main__ import verdict
from benchmarks.literature.experiments import EXAMPLES, EXPERIMENTS, Experiment, Result
from benchmarks.literature.mnist import Mnist, folder
from benchmarks.literature.tasks import (
    GATES,
    TASKS,
    Learned,
    asymmetry,
    codes,
    gates,
    is_one_two_four,
    learn,
    ratio,
    structured,
)
from core.data import Dataset
from core.estimate import check
from core.readers import read
from core.schema import ClassTarget, DataSchema
from core.training_spec import TrainingSpec

MNIST = DataSchema(rows=50_000, input_shape=(28, 28), input_dtype="uint8", target=ClassTarget(classes=tuple(range(10))))


@pytest.fixture(scope="module")
def learned() -> dict[str, Learned]:
    return {task: learn(task) for task in TASKS}


def test_every_example_of_the_book_is_an_experiment_and_fits_mnist():
    assert {one.name for one in EXPERIMENTS} == {path.stem for path in (EXAMPLES / "nielsen").glob("*.json")}
    for experiment in EXPERIMENTS:
        assert experiment.spec.name == experiment.name
        assert experiment.spec.batch_size == 10
        assert check(experiment.spec, MNIST, MNIST.model_copy(update={"rows": 10_000})).parameters > 0


def test_quick_runs_the_first_five():
    assert [one.quick for one in EXPERIMENTS] == [True] * 5 + [False] * 5


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("quadratic-30", 784 * 30 + 30 + 30 * 10 + 10),
        ("conv-two", 20 * 26 + 40 * 501 + 641 * 100 + 1010),
        ("conv-dropout", 20 * 26 + 40 * 501 + 641 * 1000 + 1001 * 1000 + 10_010),
    ],
)
def test_the_networks_have_as_many_parameters_as_the_books(name: str, parameters: int):
    (experiment,) = (one for one in EXPERIMENTS if one.name == name)
    assert check(experiment.spec, MNIST, MNIST).parameters == parameters


@pytest.mark.parametrize("name", ["digits", "iris", "mnist"])
def test_the_other_examples_are_specs_too(name: str):
    TrainingSpec.model_validate({"dataset": "ds_1", **json.loads((EXAMPLES / f"{name}.json").read_text())})


@pytest.mark.parametrize(("task", "rows", "inputs"), [("symmetry", 64, 6), ("xor", 4, 2), ("encoder", 8, 8)])
def test_the_tables_hold_every_pattern_once(task: str, rows: int, inputs: int, tmp_path: Path):
    schema = read({"file": EXAMPLES / f"{task}.csv"}, tmp_path)
    data = Dataset.open(tmp_path)
    assert (schema.rows, schema.input_shape) == (rows, (inputs,))
    assert len(np.unique(data.x, axis=0)) == rows
    assert set(np.unique(data.x)) == {0, 1}
    if task == "symmetry":
        assert ((data.x == data.x[:, ::-1]).all(axis=1) == data.y).all()
    elif task == "xor":
        assert ((data.x[:, 0] != data.x[:, 1]) == data.y).all()
    else:
        assert (data.x == np.eye(8)).all()
        assert data.y.tolist() == list(range(8))


def test_the_symmetry_detector_has_the_weights_of_the_paper(learned: dict[str, Learned]):
    net = learned["symmetry"]
    assert net.sweeps is not None
    assert net.sweeps < 1425
    for weights in net.hidden_weights.T:
        assert ratio(weights) == pytest.approx([1, 2, 4], rel=0.03)
        assert asymmetry(weights) < 0.01
    assert is_one_two_four(net)
    symmetric = (net.x == net.x[:, ::-1]).all(axis=1)
    assert ((net.outputs[:, 0] > 0.9) == symmetric).all()
    assert ((net.hidden.max(axis=1) < 0.2) == symmetric).all()


def test_xor_is_made_of_two_gates(learned: dict[str, Learned]):
    net = learned["xor"]
    assert set(gates(net)) == {"a OR b", "a AND b"}
    assert np.abs(net.outputs[:, 0] - [0, 1, 1, 0]).max() < 0.1


def test_the_encoder_uses_every_corner_of_the_cube(learned: dict[str, Learned]):
    net = learned["encoder"]
    assert sorted(codes(net)) == [f"{number:03b}" for number in range(8)]
    assert (net.outputs.argmax(axis=1) == range(8)).all()
    assert (np.sort(net.outputs, axis=1)[:, -2] < 0.5).all()


def test_a_network_that_learned_nothing_has_no_structure():
    x = np.eye(8)
    flat = Learned(0, None, x, np.zeros((8, 3)), np.zeros(3), np.zeros((3, 8)), np.zeros(8))
    assert set(codes(flat)) == {"000"}
    assert not structured("encoder", flat)
    weights = np.array([[1.0, 2, 4, -4, -2, -1]]).T * [1, -1]
    symmetric = Learned(0, 1, x[:, :6], weights, np.full(2, -0.5), np.full((2, 1), -5.0), np.ones(1))
    assert is_one_two_four(symmetric)
    binary_reversed = Learned(0, 1, x[:, :6], np.abs(weights), np.full(2, -0.5), np.full((2, 1), -5.0), np.ones(1))
    assert not is_one_two_four(binary_reversed)


def test_the_truth_tables_are_named_rightly():
    for table, name in GATES.items():
        words = name.replace("AND", "and").replace("OR", "or").replace("NOT", "not").replace("a Xor b", "a != b")
        expression = {"never": "False", "always": "True"}.get(name, words)
        for bit, (a, b) in zip(table, [(False, False), (False, True), (True, False), (True, True)], strict=True):
            assert eval(expression, {"a": a, "b": b}) == (bit == "1"), name


def test_a_verdict_has_a_margin():
    experiment = Experiment("x", "", 97.0)
    told = {best: verdict(Result(experiment, 1, (90.0, best, 91.0), 1.0)) for best in (97.2, 97.0, 96.7, 96.69)}
    assert told == {
        97.2: "reached (+0.20)",
        97.0: "reached (+0.00)",
        96.7: "within 0.3 (-0.30)",
        96.69: "0.31 short",
    }


def test_the_training_images_are_the_first_fifty_thousand(tmp_path: Path):
    data = Mnist.open(folder(), tmp_path)
    assert (len(data.training), len(data.test)) == (50_000, 10_000)
    assert data.training.indices()[[0, -1]].tolist() == [0, 49_999]
    assert data.training.y[:5].tolist() == [5, 0, 4, 1, 9]


def test_the_command_ends_with_json():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.literature", "--only", "xor,quadratic-30", "--seeds", "1", "--epochs", "1"],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])["literature"]
    assert list(told) == ["xor", "quadratic-30"]
    assert told["xor"]["as_published"]
    assert told["xor"]["seeds"] == 1
    assert 85 < told["quadratic-30"]["best"] < 95
    assert list(told["quadratic-30"]["best_of_seeds"].values()) == [told["quadratic-30"]["best"]]
    assert "95.42" in done.stdout


def test_an_unknown_experiment_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.literature", "--only", "nonsense"],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "symmetry, xor, encoder, quadratic-30" in done.stderr
