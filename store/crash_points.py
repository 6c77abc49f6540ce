"""Crash points: the named moments of a job's life at which a test may kill the process that gets there.

Wherever two steps must look like one, or a process passes something on, there is such a moment between them. A file of
its name in the folder `NUDGE_CRASH_POINTS` arms it, and says how often it is passed before. Without that folder nothing
is ever armed.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

# The write transactions of a job, each with a point before and one behind its commit.
TRANSACTIONS: dict[str, str] = {
    "submit": "The jobs of a group of requests, with their first events and keys.",
    "cancel_request": "A cancel: the move of an idle job, or the note for a running one's worker.",
    "cancel_some": "A cancel of a few of many jobs.",
    "pause_request": "A pause: the move of an idle job, or the note for a running one's worker.",
    "resume": "A paused job is queued again.",
    "retry": "A failed job is queued again.",
    "delete": "A job that is over goes, with all that is its own.",
    "claim": "A worker takes a job: attempt, status and event.",
    "renew": "A worker says that it lives, and hears its orders.",
    "report": "Epochs, metrics, checkpoints, pointers and events of a report.",
    "part": "A part of the predictions, the position behind it, and its event.",
    "part_damage": "A worker notes that a part's bytes are damaged, before it predicts its rows again.",
    "deliver": "The file of the predictions, in place of its parts, and the last status.",
    "damage": "A worker notes that a checkpoint's bytes are damaged, before it goes on from an older one.",
    "succeed": "The model and the last status.",
    "fail": "A worker ends a job that cannot go on.",
    "cancel": "A worker ends a job as it was asked to.",
    "pause": "A worker leaves a job that has its checkpoint and waits to be resumed.",
    "release": "A worker that drains hands a job back.",
    "rescue": "A job is taken from an owner, or a trainer, that is lost.",
    "blob": "The row of some bytes, with the bytes themselves where they are few.",
    "collect": "Rows of bytes that nothing names, whose files are gone by now.",
}
MOMENTS: dict[str, str] = {
    "submit.before_bell": "The job is stored, and nobody was told.",
    "submit.before_answer": "The bell was told, the client was not.",
    "bell.before_send": "The bell is off its line, and not sent.",
    "bell.heard": "The broker has given a bell away, and nothing came of it.",
    "supervision.assigned": "Data and checkpoint, or model, lie ready, and there is no trainer.",
    "training.reported": "A report came through the pipe, and nothing of it is stored.",
    "training.kept": "A checkpoint's bytes are stored, and no row names them.",
    "trainer.started": "The trainer runs, and has read nothing.",
    "trainer.mid_epoch": "Some steps of an epoch are done.",
    "trainer.looks_back": "A traced job is trained, and a part of its way is looked at.",
    "trainer.before_report": "Epochs and their checkpoint are in the trainer's memory alone.",
    "trainer.sent_report": "The report is in the pipe, and the trainer trains on.",
    "trainer.over": "The trainer is done or was stopped, and has not said so.",
    "predicting.reported": "A part came through the pipe, and nothing of it is stored.",
    "predicting.kept": "A part's bytes are stored, and no row names them.",
    "predicting.put": "The file's bytes are stored, and no row names them.",
    "predictor.before_part": "Some rows are predicted, in the trainer's memory alone.",
    "predictor.sent_part": "A part is in the pipe, and the trainer goes on.",
    "predictor.before_file": "All rows are predicted, and the file is not written.",
    "blob.copied": "The bytes lie aside, perhaps not on the disk.",
    "blob.synced": "The bytes lie aside, on the disk.",
    "blob.renamed": "The bytes lie in their place, perhaps not after a loss of power.",
    "collect.before_files": "The rows of unnamed bytes are deleted, not committed, and their files stand.",
}
POINTS: dict[str, str] = {
    **{f"{name}.before_commit": f"{what} All is written, nothing committed." for name, what in TRANSACTIONS.items()},
    **{f"{name}.committed": f"{what} Committed, and nobody has heard of it." for name, what in TRANSACTIONS.items()},
    **MOMENTS,
}

_FOLDER = Path(folder) if (folder := os.environ.get("NUDGE_CRASH_POINTS")) else None


def reach(point: str) -> None:
    """Kill this process if `point` is armed: once, whoever gets there first. Else nothing."""
    if _FOLDER is None:
        return
    armed, taken = _FOLDER / point, _FOLDER / f"{point} {os.getpid()}"
    with suppress(FileNotFoundError):  # not armed, or somebody else was first
        armed.rename(taken)
        passes = int(taken.read_text())
        if passes == 0:
            taken.rename(_FOLDER / f"killed {os.getpid()}")
            os.kill(os.getpid(), signal.SIGKILL)
        taken.write_text(str(passes - 1))
        taken.rename(armed)
