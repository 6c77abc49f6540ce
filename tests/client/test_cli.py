"""The command `nudge`, as a process of its own against a running system."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from client import Client, Dataset
from core.checkpoint import Checkpoint
from tests.client.conftest import DIGITS, ROOT, SAMPLES, Run
from tests.infrastructure.processes import eventually

CONCURRENCY = os.cpu_count() or 1  # of the worker: as many jobs keep others waiting
IRIS = ROOT / "examples" / "iris.json"


def test_training_in_one_command(run: Run) -> None:
    done = run("train", "examples/iris.json", "--data", SAMPLES / "iris.csv", "--watch", "--name", "one-command")
    assert done.returncode == 0, done.stderr
    assert "epoch 1/40" in done.stdout
    assert "epoch 40/40" in done.stdout
    assert "succeeded" in done.stdout
    asked = run("predict", "one-command", "--input", "[[5.9, 3.0, 5.1, 1.8]]", "--top", "2")
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("0: virginica")


def test_json_leaves_nothing_else_on_stdout(run: Run) -> None:
    done = run("train", IRIS, "--data", SAMPLES / "iris.csv", "--set", "epochs=2", "--watch", "--json")
    job = json.loads(done.stdout)
    assert job["status"] == "succeeded"
    assert "epoch 2/2" in done.stderr
    model = job["model"]
    predicted = json.loads(run("--json", "predict", model, "--input", "[[5.9, 3.0, 5.1, 1.8]]").stdout)
    assert len(predicted["predictions"][0]["top"]) == 3
    assert predicted["model"] == model
    assert json.loads(run("predict", job["id"], "--input", "[[5.9, 3.0, 5.1, 1.8]]", "--json").stdout) == predicted
    assert json.loads(run("models", "show", model, "--json").stdout)["job"] == job["id"]
    assert json.loads(run("jobs", "show", job["id"], "--json").stdout) == job
    assert len(json.loads(run("jobs", "metrics", job["id"], "--json").stdout)) == 2
    assert json.loads(run("jobs", "checkpoints", job["id"], "--json").stdout)[0]["epoch"] == 2
    assert job["id"] in [item["id"] for item in json.loads(run("jobs", "list", "--json").stdout)]
    assert model in [item["id"] for item in json.loads(run("models", "list", "--json").stdout)]
    hardest = json.loads(
        run("models", "rows", model, "--data", job["spec"]["dataset"], "--order", "gradient_norm", "--json").stdout
    )
    assert len(hardest) == 20
    assert hardest == sorted(hardest, key=lambda row: -row["gradient_norm"])
    assert "gradient norm" in run("models", "rows", model, "--data", job["spec"]["dataset"], "--limit", "2").stdout
    lines = [json.loads(line) for line in run("jobs", "events", job["id"], "--json").stdout.splitlines()]
    assert [line["id"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["event"] == "succeeded"


def test_datasets_from_upload_to_deletion(run: Run) -> None:
    uploaded = json.loads(run("datasets", "upload", *reversed(DIGITS), "--name", "cli-digits", "--json").stdout)
    assert (uploaded["rows"], uploaded["input_shape"]) == (1797, [8, 8])
    listed = run("datasets", "list")
    assert uploaded["id"] in listed.stdout
    assert "1,797 rows of 8 × 8 uint8, 10 classes" in listed.stdout
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in run("datasets", "show", uploaded["id"]).stdout
    rows = json.loads(run("datasets", "rows", uploaded["id"], "--offset", "3", "--limit", "1", "--json").stdout)
    assert rows[0]["y"] == 3
    drawn = run("datasets", "rows", uploaded["id"], "--limit", "1").stdout
    assert "█" in drawn
    assert run("datasets", "delete", uploaded["id"]).returncode == 0
    assert run("datasets", "show", uploaded["id"]).returncode == 4


def test_a_pair_of_files_trains_and_pictures_are_asked(run: Run, tmp_path: Path, pixels: list[list[list[int]]]) -> None:
    done = run(
        "train", "examples/digits.json", "--data", *DIGITS, "--validation", *DIGITS, "--set", "epochs=2",
        "--set", "name=pair", "--watch", "--json",
    )  # fmt: skip
    job = json.loads(done.stdout)
    assert job["spec"]["validation"] == {"dataset": job["spec"]["dataset"]} or "dataset" in job["spec"]["validation"]
    asked = run("predict", "pair", "--input", DIGITS[0], "--rows", "10:13")
    assert asked.stdout.count("\n") == 3
    everything = json.loads(run("predict", "pair", "--input", DIGITS[0], "--json").stdout)
    assert len(everything["outputs"]) == len(everything["predictions"]) == 1797
    stored = job["spec"]["dataset"]
    rows = json.loads(run("predict", "pair", "--dataset", stored, "--rows", "790:", "--json").stdout)
    assert np.allclose(rows["outputs"], everything["outputs"][790:], rtol=1e-5)
    assert run("predict", "pair", "--dataset", stored, "--rows", "1797").returncode == 2
    file = tmp_path / "digit.png"
    Image.fromarray(np.array(pixels[3], np.uint8)).save(file)
    seen = json.loads(run("predict", "pair", "--input", file, "--json").stdout)
    asked = json.loads(run("predict", "pair", "--input", json.dumps([pixels[3]]), "--json").stdout)
    assert np.allclose(seen["outputs"], asked["outputs"], rtol=1e-5)
    assert len(seen["predictions"]) == 1
    Image.fromarray(np.array(pixels[3], np.uint8)).resize((16, 16)).save(file)
    assert run("predict", "pair", "--input", file).returncode == 4
    assert run("predict", "pair", "--input", file, "--resize").returncode == 0
    assert run("predict", "pair").returncode == 2


def test_an_explanation_is_drawn(run: Run) -> None:
    trained = run("train", IRIS, "--data", SAMPLES / "iris.csv", "--set", "epochs=2", "--name", "open", "--watch")
    assert trained.returncode == 0, trained.stderr
    drawn = run("explain", "open", "--row", "60")
    assert drawn.returncode == 0, drawn.stderr
    for says in ("cost ", "input  4", "dense", "wishes", "versicolor", "times more sensitive to", "raw units"):
        assert says in drawn.stdout
    assert "▲" in drawn.stdout
    assert "the average of 10 rows" in run("explain", "open", "--row", "60:70").stdout
    told = json.loads(run("explain", "open", "--row", "60", "--top", "2", "--layer", "0", "--json").stdout)
    assert [layer["index"] for layer in told["layers"]] == [0]
    assert len(told["sensitivity"]["ranking"]) == 2
    [row] = json.loads(run("datasets", "rows", _dataset(run), "--offset", "60", "--limit", "1", "--json").stdout)
    example = ("--input", json.dumps(row["x"]), "--target", row["y"], "--layer", "0", "--top", "2", "--json")
    assert json.loads(run("explain", "open", *example).stdout) == told
    assert run("explain", "open", "--row", "9999").returncode == 4
    for words, says in (
        ([], "Name the example"),
        (["--row", "5:3"], "names no rows"),
        (["--input", "[1, 2]"], "--target"),
    ):
        refused = run("explain", "open", *words)
        assert refused.returncode == 2
        assert says in refused.stderr


def _dataset(run: Run) -> str:
    return str(json.loads(run("models", "show", "open", "--json").stdout)["dataset"])


def test_a_dry_run_says_what_it_would_cost(run: Run) -> None:
    done = run("train", IRIS, "--data", SAMPLES / "iris.csv", "--dry-run", "--json")
    assert json.loads(done.stdout)["parameters"] == 67


def test_only_a_job_keeps_what_was_uploaded_for_it(run: Run) -> None:
    def there() -> set[str]:
        return {dataset["id"] for dataset in json.loads(run("datasets", "list", "--limit", "200", "--json").stdout)}

    before = there()
    data = ["--data", SAMPLES / "iris.csv"]
    for words, status, uploads in (
        ([*data, "--dry-run"], 0, 1),
        ([*data, "--set", "network.layers.2.units=5"], 4, 1),
        ([*data, "--validation", SAMPLES / "iris.csv", "--set", "epochs=0"], 4, 2),
        ([*data, "--validation", "half"], 2, 1),
        (["--data", SAMPLES / "README.md"], 4, 0),
    ):
        done = run("train", IRIS, *words, "--json")
        assert done.returncode == status, done.stderr
        assert done.stderr.count("again: no job uses it.") == uploads, done.stderr
        assert there() == before
    assert run("train", IRIS, *data, "--json").returncode == 0
    assert len(there() - before) == 1


def test_usage_errors_are_2(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for words, says in (
        (["train", "nowhere.json"], "does not exist"),
        (["train", str(IRIS)], "--data"),
        (["train", str(broken), "--data", "samples/iris.csv"], "line 1"),
        (["train", str(IRIS), "--data", "samples/iris.csv", "--set", "epochs"], "key=value"),
        (["train", str(IRIS), "--data", "samples/iris.csv", "--validation", "half"], "neither a file nor"),
        (["train", str(IRIS), "--data", "samples/iris.csv", "--from", "nofile"], "no file 'nofile'"),
        (["datasets", "upload", "samples/iris.csv", "samples/README.md"], "no pair"),
        (["predict", "m", "--input", "[[1"], "JSON"),
        (["predict", "m", "--input", "nowhere.csv"], "nowhere.csv"),
        (["predict", "m", "--input", "[[1]]", "--rows", "5"], "no rows 5"),
        (["--url", "nonsense", "jobs", "list"], "no address"),
        (["jobs", "dance"], "dance"),
    ):
        done = run(*words)
        assert done.returncode == 2, (words, done.stdout, done.stderr)
        assert says in done.stderr, (words, done.stderr)
        assert "succeeded" not in done.stdout


def test_no_server_is_3(run: Run) -> None:
    done = run("jobs", "list", NUDGE_URL="http://127.0.0.1:9")
    assert done.returncode == 3
    assert "Nobody answers at http://127.0.0.1:9" in done.stderr


def test_refused_input_is_4_and_says_where(run: Run) -> None:
    done = run("train", IRIS, "--data", SAMPLES / "iris.csv", "--set", "network.layers.2.units=5")
    assert done.returncode == 4
    assert "/network/layers/2" in done.stderr
    machine = run("jobs", "show", "job_nothere", "--json")
    assert machine.returncode == 4
    assert json.loads(machine.stdout)["error"]["status"] in (404, 422)


def test_a_job_that_fails_is_1(run: Run) -> None:
    done = run(
        "train", IRIS, "--data", SAMPLES / "iris.csv", "--watch", "--set", "loss.type=quadratic",
        "--set", 'optimizer={"type": "sgd", "learning_rate": 1e30}',
    )  # fmt: skip
    assert done.returncode == 1
    assert "diverged" in done.stdout
    job = re.findall(r"job_\w+", run("jobs", "list", "--status", "failed", "--limit", "1").stdout)[0]
    again = run("jobs", "retry", job)
    assert again.stdout == f"{job} is queued.\n"
    assert "would diverge again at the same place" in again.stderr


def test_the_nearest_address_wins(run: Run) -> None:
    assert run("--url", "http://127.0.0.1:9", "jobs", "list").returncode == 3
    assert run("jobs", "list", "--url", "http://127.0.0.1:9").returncode == 3


def test_interrupting_the_watcher_leaves_the_job_alone(url: str, nudge: Client, digits: Dataset) -> None:
    job = nudge.train(
        dataset=digits, network=["flatten", {"type": "dense", "units": 10}], loss="cross_entropy", epochs=1_000_000
    )

    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "client.cli", "--url", url, *words]

    try:
        with subprocess.Popen(
            command("jobs", "watch", job.id), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as watcher:
            assert watcher.stdout is not None
            while "epoch" not in watcher.stdout.readline():
                assert watcher.poll() is None
            watcher.send_signal(signal.SIGINT)
            _, err = watcher.communicate(timeout=120)
        assert watcher.returncode == 130
        assert f"nudge jobs watch {job.id}" in err
        assert f"nudge jobs cancel {job.id}" in err
        assert job.refresh().status == "running"
    finally:  # or it would keep a trainer from the tests behind this one
        cancelled = subprocess.run(
            command("jobs", "cancel", job.id), cwd=ROOT, check=True, capture_output=True, text=True
        )
    assert job.id in cancelled.stdout
    assert job.wait(60).status == "cancelled"


def test_a_job_is_paused_and_goes_on(run: Run, nudge: Client, digits: Dataset) -> None:
    network = ["flatten", {"type": "dense", "units": 10}, "sigmoid"]
    job = nudge.train(dataset=digits, network=network, loss="quadratic", epochs=100_000)
    next(iter(job.epochs()))
    assert run("jobs", "pause", job.id).stdout == f"{job.id} is asked to pause.\n"
    eventually(lambda: job.refresh().status == "paused", 60, "it is paused")
    reached = job.record.progress.epoch
    assert run("jobs", "resume", job.id).stdout == f"{job.id} is queued.\n"
    next(epoch for epoch in job.epochs() if epoch.epoch > reached)
    run("jobs", "cancel", job.id)
    assert job.wait(60).status == "cancelled"
    refused = run("jobs", "retry", job.id)
    assert refused.returncode == 4
    assert "cancelled cannot retry" in " ".join(refused.stderr.split())


def test_the_story_of_a_job_is_told(run: Run, nudge: Client, digits: Dataset, tmp_path: Path) -> None:
    network = ["flatten", {"type": "dense", "units": 10}, "sigmoid"]
    job = nudge.train(dataset=digits, network=network, loss="quadratic", epochs=100_000, name="told", priority=3)
    next(iter(job.epochs()))
    job.pause()
    eventually(lambda: job.refresh().status == "paused", 60, "it is paused")
    job.resume()
    next(epoch for epoch in job.epochs() if epoch.epoch > job.record.progress.epoch)
    assert run("jobs", "cancel", "--name", "told").stdout == "0 cancelled, 1 asked to stop.\n"
    assert job.wait(60).status == "cancelled"
    shown = run("jobs", "show", job.id).stdout
    assert re.search(r"^status +cancelled$", shown, re.MULTILINE)
    assert re.search(r"^attempt +2$", shown, re.MULTILINE)
    assert re.search(r"^priority +3$", shown, re.MULTILINE)
    told = re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (.*)$", shown, re.MULTILINE)
    patterns = (
        "accepted; waits for a worker",
        r"taken by \S+ after \d+\.\d s; starts from the beginning",
        "asked to pause",
        r"paused (after epoch \d+|in epoch \d+, after [\d,]+ of 57 mini-batches,) with a checkpoint",
        "resumed on request; waits for a worker",
        r"goes on after .* s from the checkpoint (of epoch \d+|in epoch \d+, after .* mini-batches); taken by \S+",
        "asked to stop for good",
        r"cancelled in epoch \d+",
    )
    assert len(told) == len(patterns), told
    for line, pattern in zip(told, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    printed = run("jobs", "events", job.id).stdout
    assert all(line in printed for line in told)
    assert "epoch 1 of 100000: training loss" in printed
    table = run("jobs", "checkpoints", job.id).stdout.splitlines()
    assert table[0].split() == ["id", "place", "digest"]
    checkpoint = table[1].split()[0]
    assert re.match(
        rf"{checkpoint} +(after epoch \d+|in epoch \d+, after [\d,]+ of 57 mini-batches) +sha256:", table[1]
    )
    assert re.search(r"^progress +\d+ %, \d+ of 100000 epochs finished$", shown, re.MULTILINE)
    assert re.search(rf"^checkpoint +{checkpoint}, (in|after) ", shown, re.MULTILINE)
    kept, named = tmp_path / "kept.safetensors", tmp_path / "named.safetensors"
    assert run("jobs", "checkpoint", job.id, "-o", kept).stdout.endswith(f" bytes to {kept}.\n")
    assert run("jobs", "checkpoint", job.id, "-o", named, "--which", checkpoint, "--json").returncode == 0
    assert kept.read_bytes() == named.read_bytes()
    assert Checkpoint.open(kept).digest == table[1].split()[-1]
    assert run("jobs", "checkpoint", job.id, "-o", kept, "--which", "start").returncode == 4
    assert "cannot be written" in run("jobs", "checkpoint", job.id, "-o", tmp_path / "no" / "where").stderr
    same = 'network.layers=[{"type": "flatten"}, {"type": "dense", "units": 10}, {"type": "sigmoid"}]'
    fork = json.loads(
        run(
            "train", "examples/digits.json", "--data", *DIGITS, "--from", checkpoint, "--set", same,
            "--set", "epochs=1", "--json",
        ).stdout
    )  # fmt: skip
    assert fork["spec"]["from_checkpoint"] == checkpoint
    assert run("jobs", "delete", job.id).stdout == f"Deleted {job.id}.\n"
    assert run("jobs", "show", job.id).returncode == 4


def test_jobs_that_wait_have_a_place_and_are_cancelled_together(run: Run, nudge: Client, digits: Dataset) -> None:
    long: dict[str, Any] = {
        "dataset": digits,
        "network": ["flatten", {"type": "dense", "units": 10}, "sigmoid"],
        "loss": "quadratic",
        "epochs": 1_000_000,
    }
    busy = [nudge.train(**long, name="busy", priority=10) for _ in range(CONCURRENCY)]
    for job in busy:
        next(iter(job.epochs()))
    spec = ["examples/iris.json", "--data", SAMPLES / "iris.csv", "--name", "waiting", "--json"]
    low, high = (json.loads(run("train", *spec, "--priority", priority).stdout) for priority in ("-2", "4"))
    assert (low["priority"], low["queue_position"], high["queue_position"]) == (-2, 1, 1)
    assert nudge.jobs.get(low["id"]).record.queue_position == 2
    assert "2 in the line" in run("jobs", "show", low["id"]).stdout
    listed = run("jobs", "list", "--name", "waiting").stdout.splitlines()
    assert [line.split()[2:4] for line in listed[1:]] == [["queued", "1"], ["queued", "2"]]
    assert run("jobs", "cancel", "--status", "queued", "--name", "waiting").stdout == "2 cancelled, 0 asked to stop.\n"
    done = nudge.jobs.cancel_all(name="busy")
    assert (done.cancelled, done.requested) == (0, len(busy))
    assert {job.wait(60).status for job in busy} == {"cancelled"}
    for words in ((), (low["id"], "--status", "queued")):
        assert run("jobs", "cancel", *words).returncode == 2
    assert "give a status, a name, or both" not in run("jobs", "cancel", "--status", "failed").stderr


def test_a_group_alone_lists(run: Run) -> None:
    for group in ("jobs", "datasets", "models"):
        alone, listed = run(group), run(group, "list")
        assert (alone.returncode, alone.stdout) == (0, listed.stdout)
