"""`nudge verify`: a job is repeated from its receipt, and what is not the same is found."""

import json
from pathlib import Path

import httpx
import pytest

from client import Client, Dataset
from core.receipt import Receipt
from tests.client.conftest import SAMPLES, Run

IRIS = SAMPLES / "iris.csv"
NETWORK = {"layers": [{"type": "dense", "units": 8}, {"type": "tanh"}, {"type": "dense", "units": 3}]}


@pytest.fixture(scope="module")
def receipt(url: str, iris: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with Client(url) as client:
        job = client.jobs.submit(
            dataset=iris.id,
            network=NETWORK,
            loss="cross_entropy",
            optimizer={"type": "adam"},
            epochs=30,
            validation={"fraction": 0.2},
        ).wait()
        assert job.status == "succeeded"
        path = tmp_path_factory.mktemp("receipt") / "receipt.json"
        path.write_text(json.dumps(job.receipt()))
        return path


def test_the_same_data_give_the_same_bytes(run: Run, receipt: Path) -> None:
    done = run("verify", receipt, "--data", IRIS)
    assert done.returncode == 0, done.stderr
    assert "The same bytes" in done.stdout
    assert "the metrics of 30 epochs of" in done.stdout
    told = json.loads(run("verify", receipt, "--data", IRIS, "--json").stdout)
    assert (told["same"], told["promised"], told["epochs"], told["difference"]) == (True, True, 30, None)
    assert told["checkpoints"] >= 2
    assert told["fingerprint"] == json.loads(receipt.read_text())["fingerprint"]


def test_the_command_writes_the_receipt(run: Run, receipt: Path, url: str) -> None:
    told = json.loads(receipt.read_text())
    assert json.loads(run("jobs", "receipt", told["job"]).stdout) == told
    assert "verify" in run("--help").stdout


def test_what_is_not_the_same_is_named(run: Run, receipt: Path, tmp_path: Path) -> None:
    told = Receipt.model_validate_json(receipt.read_bytes())
    # Another seed, sealed anew: a receipt that lies, not one that is damaged.
    lie = tmp_path / "lie.json"
    lie.write_text(told.model_copy(update={"seed": 99, "spec": told.spec | {"seed": 99}}).sealed().model_dump_json())
    done = run("verify", lie, "--data", IRIS)
    assert done.returncode == 1, done.stderr
    assert "Not the same" in done.stdout
    assert told.checkpoints[0].digest in done.stdout
    lie.write_text(told.model_copy(update={"metrics_digest": f"sha256:{'0' * 64}"}).sealed().model_dump_json())
    assert "Not the same: the metrics differ.\n" in run("verify", lie, "--data", IRIS).stdout
    elsewhere = tmp_path / "elsewhere.json"
    assert told.fingerprint is not None
    other = told.fingerprint | {"blas": "another"}
    elsewhere.write_text(told.model_copy(update={"fingerprint": other}).sealed().model_dump_json())
    done = run("verify", elsewhere, "--data", IRIS, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["promised"] is False
    assert "(there: another)" in json.loads(done.stdout)["elsewhere"]


def test_what_cannot_be_verified_says_why(run: Run, receipt: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.json"
    changed.write_text(receipt.read_text().replace('"seed": 0', '"seed": 1'))
    early = tmp_path / "early.json"
    nothing = {"checkpoints": [], "epochs": 0}
    early.write_text(
        Receipt.model_validate_json(receipt.read_bytes()).model_copy(update=nothing).sealed().model_dump_json()
    )
    other = tmp_path / "other.csv"
    other.write_text("a,b,y\n1,2,x\n3,4,z\n")
    for words, said in (
        ((changed, "--data", IRIS), "was changed since it was written"),
        ((other, "--data", IRIS), "is no receipt"),
        ((early, "--data", IRIS), "nothing to compare"),
        ((receipt, "--data", other), "These are not the data of the receipt"),
        ((receipt, "--data", SAMPLES / "LICENSE"), "does not exist"),
        ((receipt, "--data", IRIS, "--validation", IRIS), "takes no --validation"),
        ((receipt, "--data", IRIS, "--start", other), "takes no --start"),
        ((receipt,), "--data"),
    ):
        done = run("verify", *words)
        assert done.returncode == 2, (done.stdout, done.stderr)
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_job_that_began_from_a_checkpoint(run: Run, url: str, iris: Dataset, tmp_path: Path) -> None:
    with Client(url) as client:
        spec = {"dataset": iris.id, "network": NETWORK, "loss": "cross_entropy", "epochs": 1}
        first = client.jobs.submit(spec).wait().checkpoints()[0]
        job = client.jobs.submit(spec, from_checkpoint=first.id, validation={"dataset": iris.id}).wait()
        receipt, start = tmp_path / "receipt.json", tmp_path / "start.safetensors"
        receipt.write_text(json.dumps(job.receipt()))
        assert run("jobs", "checkpoint", job.id, "--which", "start", "-o", start).returncode == 0
        assert start.read_bytes() == httpx.get(f"{url}/v1/checkpoints/{first.id}/content").content
    done = run("verify", receipt, "--data", IRIS, "--validation", IRIS, "--start", start)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The same bytes: 1 checkpoint and the metrics of 1 epoch of" in done.stdout
    assert "needs --start" in run("verify", receipt, "--data", IRIS, "--validation", IRIS).stderr
    assert "needs --validation" in run("verify", receipt, "--data", IRIS, "--start", start).stderr
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(start.read_bytes() + b"\0")
    said = run("verify", receipt, "--data", IRIS, "--validation", IRIS, "--start", wrong)
    assert "its SHA-256 is another one" in said.stderr
