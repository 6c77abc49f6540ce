"""What happened to a job in plain words: one sentence for each event, from its type and data."""

from collections.abc import Callable, Mapping
from typing import Any

Data = Mapping[str, Any]  # events of older versions hold less, so nothing is taken for granted


def tell(kind: str, data: Data) -> str:
    """The sentence of an event, without capital and full stop; of one that only newer versions know, its name."""
    return SENTENCES[kind](data) if kind in SENTENCES else kind.replace("_", " ")


def _started(data: Data) -> str:
    after, place = data.get("after"), _origin(data)
    waited = f" after {_seconds(data['after_s'])}" if "after_s" in data else ""
    worker = f" by {data['worker']}" if "worker" in data else ""
    if after == "rescued":
        lost = data.get("lost", "worker")
        at = f" at epoch {data['lost_at_epoch']}" if "lost_at_epoch" in data else ""
        return f"{lost} lost{at}; taken over{waited} from {place}{worker}"
    if after == "released":
        return f"taken over{waited} from {place}{worker}"
    if after in ("resumed", "retried"):
        return f"goes on{waited} from {place}; taken{worker}"
    return f"taken{worker}{waited}; starts from {place}" if after else f"taken{worker}"


def _rescued(data: Data) -> str:
    worker = f" {data['worker']}" if data.get("worker") else ""
    if data.get("silence_s") == 0.0:  # the worker itself told of it
        return f"training process of worker{worker} lost at {_epoch(data)}{_because(data)}; queued again"
    return f"worker{worker} lost at {_epoch(data)}{_because(data)}; queued again"


def _released(data: Data) -> str:
    why = f": {_bare(data['detail'])}" if data.get("detail") else ", which was told to stop"
    said = "stopped for the pause that was taken back" if data.get("withdrawn") else f"released by its worker{why}"
    return f"{said}; waits for a worker, to go on from {_newest(data)}"


def _paused(data: Data) -> str:
    if data.get("was") == "queued":
        return "paused while it waited"
    if "rows" in data:
        return f"paused at {_epoch(data)}{_lost(data)}"
    step, epoch = data.get("step", 0), data.get("epoch", 0)
    place = f"in {_epoch(data)}"
    if not _lost(data) and (step or epoch):
        place = f"{_standing(epoch, step, data.get('steps'))}{',' if step else ''}"
    return f"paused {place} {'with' if data.get('checkpoint') else 'without'} a checkpoint{_lost(data)}"


def _cancelled(data: Data) -> str:
    was = {"queued": "while it waited", "paused": "while it was paused"}.get(data.get("was", ""))
    return f"cancelled {was or f'in {_epoch(data)}{_lost(data)}'}"


def _failed(data: Data) -> str:
    if data.get("reason") == "worker_lost":
        return (
            f"failed: worker lost at {_epoch(data)}{_because(data)}; attempt {data.get('attempt', '?')} was the last, "
            f"since limits.attempts allows {data.get('attempts', 'no more')} in a row without a new checkpoint"
        )
    return f"failed: {_bare(data['detail'])}" if data.get("detail") else "failed"


def _succeeded(data: Data) -> str:
    if "rows" in data:
        return f"predicted {data['rows']:,} rows; the file has {data.get('bytes', 0):,} bytes"
    kind, _, why = _bare(data.get("reason", "")).partition(": ")
    said = "trained to its end"
    if kind == "early_stopping":
        said = f"stopped early after epoch {data.get('epoch', '?')}{f': {why}' if why else ''}"
    return f"{said}; made the model {data['model']}" if "model" in data else said


def _retried(data: Data) -> str:
    said = "tried again on request, with its attempts counted anew; waits for a worker"
    if str(data.get("reason", "")).startswith("diverged"):
        said += "; it diverged, and would diverge again at the same place unless something else computes it"
    return said


def _measured(data: Data) -> str:
    named = {
        "train_loss": "training loss",
        "train_accuracy": "training accuracy",
        "validation_loss": "validation loss",
        "validation_accuracy": "validation accuracy",
    }
    said = [f"{words} {data[name]:.4g}" for name, words in named.items() if isinstance(data.get(name), int | float)]
    total = f" of {data['epochs']}" if "epochs" in data else ""
    return f"epoch {data.get('epoch', '?')}{total}: {', '.join(said) or 'nothing measured'}"


def _stored(data: Data) -> str:
    place = _place(data.get("epoch", 0), data.get("step", 0), data.get("steps"))
    return f"stored {place}{', the best so far' if data.get('best') else ''}"


SENTENCES: dict[str, Callable[[Data], str]] = {
    "queued": lambda data: "accepted; waits for a worker",
    "started": _started,
    "epoch": _measured,
    "checkpoint": _stored,
    "part": lambda data: f"stored the predictions up to {_epoch(data)}",
    "part_damaged": lambda data: f"passed over damaged predictions{_because(data)}; goes on from {_newest(data)}",
    "checkpoint_damaged": lambda data: (
        f"passed over {_place(data.get('epoch', 0), data.get('step', 0), data.get('steps'))}{_because(data)}"
        + (f"; goes on from {_origin(data)}" if "from_epoch" in data else "")
    ),
    "cancel_requested": lambda data: "asked to stop for good",
    "pause_requested": lambda data: "asked to pause",
    "pause_withdrawn": lambda data: "the pause was taken back; goes on",
    "finding": lambda data: f"behind epoch {data.get('epoch', '?')}: {_bare(data.get('advice', 'advice'))}",
    "fingerprint_changed": lambda data: _bare(data.get("detail", "computed by something else from here on")),
    "rescued": _rescued,
    "released": _released,
    "paused": _paused,
    "resumed": lambda data: "resumed on request; waits for a worker",
    "retried": _retried,
    "succeeded": _succeeded,
    "failed": _failed,
    "cancelled": _cancelled,
}


def _epoch(data: Data) -> str:
    """The epoch that was under way, where `epoch` counts those that were finished; or how many rows were stored."""
    if "rows" in data:
        return f"row {data.get('rows_done', 0):,} of {data['rows']:,}"
    done = data.get("epoch", 0)
    return f"epoch {min(done + 1, data.get('epochs', done + 1))}"


def _origin(data: Data) -> str:
    if data.get("fork"):
        return "the checkpoint of another job"
    if data.get("from_row"):
        return f"row {data['from_row']:,}"
    return _place(data.get("from_epoch", 0), data.get("from_step", 0), data.get("from_steps"))


def _place(epoch: int, step: int, steps: int | None = None) -> str:
    """A checkpoint, named by its place: after whole epochs, and some batches of the next one."""
    if step:
        return f"the checkpoint {_standing(epoch, step, steps)}"
    return f"the checkpoint of epoch {epoch}" if epoch else "the beginning"


def _standing(epoch: int, step: int, steps: int | None) -> str:
    """Where a training stands, after `epoch` whole epochs and `step` of `steps` batches of the next one."""
    if not step:
        return f"after epoch {epoch}"
    batches = "mini-batch" if (steps or step) == 1 else "mini-batches"
    return f"in epoch {epoch + 1}, after {step:,}{f' of {steps:,}' if steps else ''} {batches}"


def _newest(data: Data) -> str:
    if data.get("rows_done"):
        return f"row {data['rows_done']:,}"
    return "its last checkpoint" if data.get("checkpoint") else "the beginning"


def _because(data: Data) -> str:
    return f" ({_bare(data['detail'])})" if data.get("detail") else ""


def _lost(data: Data) -> str:
    return f"; its worker was lost{_because(data)}" if "silence_s" in data else ""


def _bare(text: str) -> str:
    return text.strip().rstrip(".")


def _seconds(duration: float) -> str:
    """A duration as people say it."""
    if duration < 10:
        return f"{duration:.1f} s"
    if duration < 120:
        return f"{duration:.0f} s"
    return f"{duration / 60:.0f} min" if duration < 7200 else f"{duration / 3600:.1f} h"
