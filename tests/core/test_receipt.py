"""A receipt is whole or refused, and a replay finds the first thing that is not the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.fingerprint import differences, fingerprint
from core.receipt import Data, Mark, Receipt, metrics_digest
from core.replay import replay
from core.schema import ClassTarget, DataSchema
from core.training import Chunk, Diverged, Epoch, fit
from core.training_spec import TrainingSpec

SPEC = TrainingSpec.model_validate(
    {
        "dataset": "ds_1",
        "validation": {"fraction": 0.25},
        "network": {"layers": [{"type": "dense", "units": 5}, {"type": "tanh"}, {"type": "dense", "units": 2}]},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam"},
        "batch_size": 4,
        "epochs": 4,
        "seed": 3,
    }
)
MIDDLE = (1, 5)  # a checkpoint within the second epoch


@pytest.fixture(scope="module")
def data() -> Dataset:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(40, 3))
    target = ClassTarget(classes=("a", "b"))
    schema = DataSchema(rows=40, input_shape=(3,), input_dtype="float64", target=target)
    return Dataset(schema, x, (x[:, 0] > 0).astype(np.int32))


def _run(spec: TrainingSpec, data: Dataset) -> tuple[list[Mark], list[dict[str, Any]]]:
    marks, rows = [], []
    for moment in fit(spec, data, stops={MIDDLE}):
        place = (moment.epoch - 1, moment.step) if isinstance(moment, Chunk) else (moment.epoch, 0)
        if isinstance(moment, Epoch):
            rows.append({"epoch": moment.epoch, **moment.metrics})
        if isinstance(moment, Epoch) or place == MIDDLE:
            marks.append(Mark(epoch=place[0], step=place[1], digest=moment.checkpoint().digest))
    return marks, rows


@pytest.fixture(scope="module")
def receipt(data: Dataset) -> Receipt:
    return _receipt(SPEC, data)


def _receipt(spec: TrainingSpec, data: Dataset, **changes: Any) -> Receipt:
    marks, rows = _run(spec, data)
    whole: dict[str, Any] = {
        "job": "job_1",
        "name": "points",
        "status": "succeeded",
        "status_reason": None,
        "spec": spec.model_dump(mode="json"),
        "spec_version": 1,
        "seed": spec.seed,
        "dataset": Data(id="ds_1", name="points", version=1, digest="sha256:1", rows=len(data)),
        "validation_dataset": None,
        "start": None,
        "nudge": "0.1.0",
        "fingerprint": fingerprint(spec),
        "bit_exact": True,
        "bit_exact_reason": None,
        "checkpoints": marks,
        "epochs": len(rows),
        "metrics_digest": metrics_digest(rows),
        "model": None,
        "model_digest": None,
        "created_at": "2026-11-22T07:00:00Z",
        "finished_at": None,
    }
    return Receipt.model_validate(whole | changes).sealed()


def test_a_replay_comes_to_the_same_bytes(receipt: Receipt, data: Dataset) -> None:
    told: list[float] = []
    verdict = replay(receipt, data, progress=told.append)
    assert verdict.same, verdict.difference
    assert (verdict.checkpoints, verdict.epochs, verdict.elsewhere) == (5, 4, "")
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_receipt_survives_the_wire_and_notices_a_change(receipt: Receipt) -> None:
    again = Receipt.model_validate_json(receipt.model_dump_json())
    assert again == receipt
    assert again.is_whole()
    assert not again.model_copy(update={"seed": 4}).is_whole()
    assert not again.model_copy(update={"seed": 4}).sealed().is_whole()  # it contradicts its spec


@pytest.mark.parametrize("place", range(5))
def test_the_first_checkpoint_that_differs_is_named(receipt: Receipt, data: Dataset, place: int) -> None:
    marks = list(receipt.checkpoints)
    marks[place] = marks[place].model_copy(update={"digest": "sha256:0"})
    verdict = replay(receipt.model_copy(update={"checkpoints": marks}), data)
    assert verdict.checkpoints == place
    assert verdict.difference is not None
    mark = receipt.checkpoints[place]
    assert (verdict.difference.expected, verdict.difference.found) == ("sha256:0", mark.digest)
    assert verdict.difference.what.startswith(f"the checkpoint after epoch {mark.epoch}")
    assert ("batches" in verdict.difference.what) == (mark.step > 0)


def test_metrics_that_differ_are_noticed(receipt: Receipt, data: Dataset) -> None:
    verdict = replay(receipt.model_copy(update={"metrics_digest": "sha256:0"}), data)
    assert verdict.difference is not None
    assert verdict.difference.what == "the metrics"


def test_a_job_that_was_stopped_is_replayed_as_far_as_it_came(receipt: Receipt, data: Dataset) -> None:
    marks, rows = _run(SPEC, data)
    short = {"checkpoints": marks[:3], "epochs": 2, "metrics_digest": metrics_digest(rows[:2])}
    verdict = replay(receipt.model_copy(update=short), data)
    assert (verdict.same, verdict.checkpoints, verdict.epochs) == (True, 3, 2)
    nothing = {"checkpoints": [], "epochs": 0, "metrics_digest": metrics_digest([])}
    assert replay(receipt.model_copy(update=nothing), data).same


def test_a_receipt_that_tells_of_more_than_there_is(receipt: Receipt, data: Dataset) -> None:
    marks = [*receipt.checkpoints, Mark(epoch=9, step=0, digest="sha256:9")]
    verdict = replay(receipt.model_copy(update={"checkpoints": marks}), data)
    assert verdict.difference is not None
    assert verdict.difference.what == "the end of the training"


def test_timings_are_no_part_of_the_metrics() -> None:
    row = {"epoch": 1, "train_loss": float("nan"), "confusion": [[1, 2]], "seconds": 1.0, "examples_per_s": 5.0}
    other = {"epoch": 1, "train_loss": None, "confusion": [[1, 2]], "seconds": 2.0}
    assert metrics_digest([row]) == metrics_digest([other])
    assert metrics_digest([row]) != metrics_digest([row | {"train_loss": 0.0}])


def test_a_start_is_needed_for_the_same_bytes(data: Dataset, tmp_path: Path) -> None:
    first = [moment for moment in fit(SPEC, data) if isinstance(moment, Epoch)][-1].checkpoint().to_bytes()
    start = Checkpoint.from_bytes(first)
    spec = SPEC.model_copy(update={"from_checkpoint": "ckpt_1", "epochs": 1})
    [end] = [moment.checkpoint() for moment in fit(spec, data, start=start) if isinstance(moment, Epoch)]
    receipt = _receipt(spec, data, checkpoints=[Mark(epoch=1, step=0, digest=end.digest)])
    assert replay(receipt, data).difference is not None
    assert replay(receipt, data, start=start).checkpoints == 1


def test_a_fingerprint_tells_what_changed() -> None:
    here = fingerprint(SPEC)
    assert here["threads"] == 1
    assert here["numpy"] == np.__version__
    assert differences(here, dict(here)) == ""
    assert differences(here, here | {"blas": "another"}) == f"blas another (before: {here['blas']})"
    assert "kernels none" in differences(here, here | {"kernels": None})


def test_a_job_that_diverged_is_followed_to_its_divergence(data: Dataset) -> None:
    wild = {"optimizer": {"type": "sgd", "learning_rate": 300.0}, "loss": {"type": "quadratic"}}
    layers = {"network": {"layers": [{"type": "dense", "units": 2}]}}
    spec = TrainingSpec.model_validate(SPEC.model_dump(mode="json") | wild | layers | {"epochs": 300})
    marks, rows, said = [], [], ""
    try:
        for moment in fit(spec, data):
            if isinstance(moment, Epoch):
                marks.append(Mark(epoch=moment.epoch, step=0, digest=moment.checkpoint().digest))
                rows.append({"epoch": moment.epoch, **moment.metrics})
    except Diverged as error:
        said = f"diverged: {error}"
    assert said
    told = {"status": "failed", "checkpoints": marks, "epochs": len(rows), "metrics_digest": metrics_digest(rows)}
    receipt = _receipt(SPEC, data).model_copy(update=told | {"spec": spec.model_dump(mode="json")})
    assert replay(receipt.model_copy(update={"status_reason": said}), data).same
    elsewhere = replay(receipt.model_copy(update={"status_reason": "diverged: in epoch 299."}), data).difference
    assert elsewhere is not None
    assert (elsewhere.what, elsewhere.found) == ("the end of the training", said)
    calm = _receipt(SPEC, data, status="failed", status_reason=said)
    missed = replay(calm, data).difference
    assert missed is not None
    assert (missed.expected, missed.found) == (said, "no divergence")


def test_a_model_that_is_no_checkpoint_of_the_job_is_noticed(receipt: Receipt, data: Dataset) -> None:
    last = receipt.checkpoints[-1].digest
    assert replay(receipt.model_copy(update={"model_digest": last}), data).same
    difference = replay(receipt.model_copy(update={"model_digest": "sha256:0"}), data).difference
    assert difference is not None
    assert difference.what == "the model"
