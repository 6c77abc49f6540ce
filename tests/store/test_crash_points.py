"""Every crash point is reached from where it should be, and kills once."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from store.crash_points import MOMENTS, POINTS, TRANSACTIONS

ROOT = Path(__file__).parents[2]
# The transactions of a job, and the names that they take where it is a variable.
NAMED = {
    "store/jobs.py _submit_together": {"submit"},
    "store/jobs.py cancel_some": {"cancel_some"},
    "store/jobs.py _stop": {"cancel_request", "pause_request"},
    "store/jobs.py _queue_again": {"resume", "retry"},
    "store/jobs.py delete": {"delete"},
    "store/claims.py claim": {"claim"},
    "store/claims.py renew": {"renew"},
    "store/claims.py report": {"report"},
    "store/claims.py pass_over": {"damage"},
    "store/claims.py succeed": {"succeed"},
    "store/predictions.py keep": {"part"},
    "store/predictions.py pass_over": {"part_damage"},
    "store/predictions.py deliver": {"deliver"},
    "store/claims.py end": {"fail", "cancel", "pause", "release"},
    "store/claims.py hand_back": {"rescue"},
    "store/blobs.py _touch": {"blob"},
    "store/blobs.py collect": {"collect"},
}
# Those that have nothing to do with a job's life.
UNNAMED = {
    "store/aliases.py remove",
    "store/aliases.py set",
    "store/datasets.py _insert",
    "store/datasets.py delete",
    "store/migrate.py migrate",
    "store/models.py add",
    "store/models.py annotate",
    "store/models.py delete",
    "store/weights.py add",
    "store/weights.py delete",
}
PLACES = {
    "submit.before_bell": "service/job_submission.py submitted",
    "submit.before_answer": "service/job_submission.py submitted",
    "bell.before_send": "store/queue.py _run",
    "bell.heard": "worker/app.py train",
    "supervision.assigned": "worker/supervision.py run",
    "training.reported": "worker/training.py _report",
    "training.kept": "worker/training.py _store",
    "trainer.started": "worker/trainer.py main",
    "trainer.mid_epoch": "worker/trainer.py _follow",
    "trainer.looks_back": "worker/trainer.py _fit",
    "trainer.before_report": "worker/trainer.py flush",
    "trainer.sent_report": "worker/trainer.py flush",
    "trainer.over": "worker/trainer.py main",
    "predicting.reported": "worker/predicting.py _keep",
    "predicting.kept": "worker/predicting.py _keep",
    "predicting.put": "worker/predicting.py take",
    "predictor.before_part": "worker/predictor.py flush",
    "predictor.sent_part": "worker/predictor.py flush",
    "predictor.before_file": "worker/predictor.py _predict",
    "blob.copied": "store/blobs.py _publish",
    "blob.synced": "store/blobs.py _publish",
    "blob.renamed": "store/blobs.py _publish",
    "collect.before_files": "store/blobs.py collect",
}


def calls(name: str) -> Iterator[tuple[str, ast.expr | None]]:
    """Each call of a function or method in the system's source: the place, and the first argument."""
    for path in sorted(path for package in ("store", "service", "worker") for path in (ROOT / package).rglob("*.py")):
        yield from _calls(name, str(path.relative_to(ROOT)), "", ast.parse(path.read_text()))


def _calls(name: str, file: str, function: str, node: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = node.name
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(node, ast.Call) and name == getattr(called, "id", getattr(called, "attr", None)):
        yield f"{file} {function}", node.args[0] if node.args else None
    for child in ast.iter_child_nodes(node):
        yield from _calls(name, file, function, child)


def test_moments_are_reached_where_they_should_be() -> None:
    reached = [(place, point) for place, point in calls("reach") if place != "store/database.py transaction"]
    assert sorted((point.value, place) for place, point in reached if isinstance(point, ast.Constant)) == sorted(
        PLACES.items()
    )
    assert len(reached) == len(PLACES)
    assert set(PLACES) == set(MOMENTS)


def test_every_transaction_of_a_job_has_its_points() -> None:
    found = list(calls("transaction"))
    assert {place for place, name in found if name is not None} == set(NAMED)
    assert {place for place, name in found if name is None} == UNNAMED
    assert len(found) == len(NAMED) + len(UNNAMED)
    for place, name in found:
        if isinstance(name, ast.Constant):
            assert NAMED[place] == {name.value}
    assert sorted(name for names in NAMED.values() for name in names) == sorted(TRANSACTIONS)
    inside = [
        ast.unparse(point) for place, point in calls("reach") if place == "store/database.py transaction" and point
    ]
    assert inside == ["f'{name}.before_commit'", "f'{name}.committed'"]


def test_every_point_says_in_a_sentence_what_it_is() -> None:
    assert len(POINTS) == 2 * len(TRANSACTIONS) + len(MOMENTS)
    assert all(what[0].isupper() and what.endswith(".") for what in POINTS.values())


def test_an_armed_point_kills_whoever_is_first_and_nobody_else(tmp_path: Path) -> None:
    def run(folder: Path | None) -> int:
        code = "from store.crash_points import reach; reach('claim.committed'); reach('claim.committed')"
        environment = {"PATH": os.environ["PATH"]} | ({"NUDGE_CRASH_POINTS": str(folder)} if folder else {})
        return subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60, check=False
        ).returncode

    (tmp_path / "renew.committed").write_text("0")
    (tmp_path / "claim.committed").write_text("3")
    assert [run(folder) for folder in (None, tmp_path, tmp_path, tmp_path)] == [0, 0, -signal.SIGKILL, 0]
    assert (tmp_path / "renew.committed").exists()
