"""What `nudge` exports: models as files, and metrics for TensorBoard and MLflow, read back by their own libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import onnxruntime
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from client import Client, Dataset
from client.jobs import Job
from client.trackers import MissingExtra
from client.tracking_server import bounded
from tests.client.conftest import ROOT, SAMPLES, Run

READ_RUNS = """
import json, sys
from client.cli import cli
from client.terminal import Terminal
from mlflow.tracking import MlflowClient
job, uri = sys.argv[1:]
for _ in range(2):
    cli.main(["jobs", "export", job, "--mlflow", uri, "--json"], obj=Terminal(), standalone_mode=False)
mlflow = MlflowClient(tracking_uri=uri)
runs = mlflow.search_runs([mlflow.get_experiment_by_name("nudge").experiment_id])
told = [(run.info.run_id, run.info.run_name, run.info.status, run.data.params, run.data.tags) for run in runs]
history = mlflow.get_metric_history(runs[0].info.run_id, "validation_loss")
print(json.dumps([told, [(point.step, point.value, point.timestamp) for point in history]]))
"""


@pytest.fixture(scope="module")
def job(url: str, iris: Dataset) -> Job:
    """A job that is over, with a metric that is no number."""
    with Client(url) as nudge:
        network = [{"type": "dense", "units": 4}, "tanh", {"type": "dense", "units": 3}]
        return nudge.train(
            dataset=iris,
            validation=0.2,
            network=network,
            loss="cross_entropy",
            metrics=["f1", "confusion_matrix"],
            epochs=3,
            name="exported",
        ).wait()


def test_event_files(run: Run, job: Job, nudge: Client, tmp_path: Path) -> None:
    for _ in range(2):  # the second time replaces the first
        done = run("jobs", "export", job.id, "--tensorboard", tmp_path / "runs", "--json")
        assert done.returncode == 0, done.stderr
    into = tmp_path / "runs" / f"exported-{job.id}"
    assert json.loads(done.stdout) == {"job": job.id, "tensorboard": str(into)}
    assert len(list(into.iterdir())) == 1
    read = EventAccumulator(str(into))
    read.Reload()
    tags = set(read.Tags()["scalars"])
    assert tags >= {"loss/train", "loss/validation", "accuracy/validation", "f1/validation", "learning_rate"}
    assert not [tag for tag in tags if "confusion" in tag]
    metrics = nudge.jobs.get(job.id).metrics()
    points = read.Scalars("loss/validation")
    assert [point.step for point in points] == [1, 2, 3]
    assert [point.value for point in points] == pytest.approx([epoch.validation_loss for epoch in metrics])
    ends = [point.wall_time for point in points]
    assert job.record.started_at is not None
    assert job.record.started_at.timestamp() <= ends[0] <= ends[1] <= ends[2]


def test_runs_of_mlflow(job: Job, nudge: Client, url: str, tmp_path: Path) -> None:
    read = subprocess.run(
        [sys.executable, "-c", READ_RUNS, job.id, f"sqlite:///{tmp_path / 'mlflow.db'}"],
        env=os.environ | {"NUDGE_URL": url},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    [[(run_id, name, status, params, tags)], history] = json.loads(read.stdout.splitlines()[-1])
    assert f'"mlflow": "{run_id}"' in read.stdout  # the second export; the run of the first is gone
    assert (name, status) == ("exported", "FINISHED")
    assert params["network.layers.0.units"] == "4"
    assert params["optimizer.type"] == "sgd"
    assert (tags["nudge.job"], tags["nudge.model"]) == (job.id, job.record.model)
    metrics = nudge.jobs.get(job.id).metrics()
    assert [(step, value) for step, value, _ in history] == [(epoch.epoch, epoch.validation_loss) for epoch in metrics]


def test_models_as_files(run: Run, job: Job, tmp_path: Path) -> None:
    file = tmp_path / "exported.onnx"
    done = run("models", "export", "exported", "--output", file)
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", 4]
    card = run("models", "export", str(job.record.model), "--format", "card", "--output", "-")
    assert card.stdout.startswith("# exported, version 1\n")
    assert run("models", "export", "exported", "--output", tmp_path / "no" / "such").returncode == 2
    assert run("models", "export", "exported", "--format", "h5").returncode == 2


def test_an_export_says_where_to(run: Run, job: Job, tmp_path: Path) -> None:
    nowhere = run("jobs", "export", job.id)
    assert (nowhere.returncode, "--tensorboard DIRECTORY" in nowhere.stderr) == (2, True)
    (tmp_path / "file").touch()
    assert run("jobs", "export", job.id, "--tensorboard", tmp_path / "file" / "in").returncode == 2


def test_a_tracking_server_that_is_not_there_is_said_soon(run: Run, job: Job) -> None:
    for uri in ("http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/runs"):
        told = run("jobs", "export", job.id, "--mlflow", uri)
        assert told.returncode == 3, told.stderr
        assert told.stdout.startswith("Asking the tracking server at "), told.stdout
        assert "No tracking server answers at" in told.stderr
        assert told.stderr.count("\n") == 1, told.stderr
        assert "secret" not in told.stdout + told.stderr
    for uri in ("foo://bar", "http://", "http://[x"):
        told = run("jobs", "export", job.id, "--mlflow", uri)
        assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1), told.stderr


def test_what_answers_but_is_no_tracking_server_is_told_in_a_sentence(run: Run, job: Job, url: str) -> None:
    told = run("jobs", "export", job.id, "--mlflow", url)
    assert told.returncode == 1, told.stderr
    assert f"Error: MLflow at {url} failed: " in told.stderr
    assert "Traceback" not in told.stderr


def test_the_patience_with_a_tracking_server_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    with bounded():
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "2"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"


def test_predictions_have_no_metrics(run: Run, job: Job, nudge: Client, iris: Dataset, tmp_path: Path) -> None:
    predicting = nudge.batch_predict(str(job.record.model), iris)
    told = run("jobs", "export", predicting.id, "--tensorboard", tmp_path)
    assert (told.returncode, "no metrics; name a training" in told.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []
    predicting.wait(60)


def test_without_its_library_an_export_names_the_extra(
    job: Job, nudge: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("tensorboard.summary.writer.event_file_writer", "mlflow.tracking"):
        monkeypatch.setitem(sys.modules, module, None)
    found = nudge.jobs.get(job.id)
    with pytest.raises(MissingExtra, match=r"nudge-training\[tensorboard\]"):
        found.to_tensorboard(tmp_path)
    with pytest.raises(MissingExtra, match=r"nudge-training\[mlflow\]"):
        found.to_mlflow("sqlite://")


def test_training_begins_with_a_file_of_weights(
    run: Run, job: Job, iris: Dataset, nudge: Client, tmp_path: Path
) -> None:
    file = tmp_path / "exported.npz"
    file.write_bytes(nudge.models.get(str(job.record.model)).export("npz"))
    spec = tmp_path / "spec.json"
    still = {"optimizer": {"type": "sgd", "learning_rate": 1e-30}, "epochs": 1}
    spec.write_text(json.dumps(job.record.spec | still | {"dataset": iris.id, "name": "begun"}))
    done = run("train", spec, "--from", file, "--watch", "--json")
    assert done.returncode == 0, done.stderr
    begun = json.loads(done.stdout)
    assert begun["spec"]["from_weights"].startswith("wts_")
    assert begun["metrics"]["validation_loss"] == pytest.approx(job.record.metrics.validation_loss)  # type: ignore[union-attr]
    receipt, start = tmp_path / "receipt.json", tmp_path / "start.safetensors"
    receipt.write_text(run("jobs", "receipt", begun["id"]).stdout)
    start.write_bytes(httpx.get(f"{nudge.url}/v1/jobs/{begun['id']}/start").content)
    verified = run("verify", receipt, "--data", SAMPLES / "iris.csv", "--start", start)
    assert verified.returncode == 0, verified.stderr

    file.write_bytes(nudge.models.get(str(job.record.model)).export("card"))
    refused = run("train", spec, "--from", file)
    assert (refused.returncode, "neither safetensors nor NPZ" in refused.stderr) == (4, True)
    before = len(nudge.weights.list())
    file.write_bytes(nudge.models.get(str(job.record.model)).export("safetensors"))
    refused = run("train", spec, "--from", file, "--set", "network.layers.0.units=5")
    assert (refused.returncode, "/from_weights" in refused.stderr) == (4, True)
    assert len(nudge.weights.list()) == before
    kept = nudge.weights.upload(file)
    assert nudge.jobs.estimate(job.record.spec, from_weights=kept).parameters == job.record.estimate.parameters
    assert nudge.weights.get(kept.id) == kept
    nudge.weights.delete(kept.id)


def test_weights_are_uploaded_listed_shown_and_deleted(run: Run, job: Job, nudge: Client, tmp_path: Path) -> None:
    file = tmp_path / "exported.npz"
    file.write_bytes(nudge.models.get(str(job.record.model)).export("npz"))
    uploaded = run("weights", "upload", file)
    kept = nudge.weights.list(limit=1).data[0]
    assert uploaded.returncode == 0, uploaded.stderr
    numbers = f"{job.record.estimate.parameters:,} numbers in {len(kept.tensors)} tensors"
    assert f"Uploaded {kept.id}: {numbers}." in uploaded.stdout
    assert numbers in run("weights").stdout
    shown = run("weights", "show", kept.id).stdout
    assert kept.digest in shown
    assert all(tensor["name"] in shown for tensor in kept.tensors)
    for arguments in (["show", kept.id], ["upload", str(file)]):
        assert json.loads(run("weights", *arguments, "--json").stdout)["digest"] == kept.digest
    assert run("weights", "delete", kept.id).stdout == f"Deleted {kept.id}.\n"
    gone = run("weights", "show", kept.id)
    assert (gone.returncode, kept.id in gone.stderr) == (4, True)
    file.write_bytes(b"no weights")
    refused = run("weights", "upload", file)
    assert (refused.returncode, "neither safetensors nor NPZ" in refused.stderr) == (4, True)
