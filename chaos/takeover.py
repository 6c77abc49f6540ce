"""How long a job waited between the loss of its owner and its next start."""

from chaos.books import Books
from chaos.ledger import Loss

HANDED_BACK = ("rescued", "released")


def takeovers(books: Books, losses: list[Loss]) -> list[tuple[float, float]]:
    """(seconds until it was handed back, seconds until its next start), for each loss of this job that led to both.

    A job that ended, was paused, or whose owner woke up in time, was not taken over.
    """
    found = []
    for loss in losses:
        starts = [place for place, row in enumerate(books.events) if row.type == "started"]
        if loss.attempt >= len(starts):
            continue
        ours, following = starts[loss.attempt - 1], starts[loss.attempt]
        between = [row for row in books.events[ours + 1 : following] if row.type not in ("epoch", "checkpoint", "part")]
        if [row.type for row in between] in ([kind] for kind in HANDED_BACK):
            back, start = between[0].created_at.timestamp(), books.events[following].created_at.timestamp()
            if back >= loss.at:
                found.append((back - loss.at, start - loss.at))
    return found


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all do not exceed; 0 for none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
