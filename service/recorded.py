"""What a job did not record, or not yet."""

from dataclasses import dataclass

from store.lifecycle import OVER


@dataclass
class NoDescent(Exception):
    """The job has none, or not yet."""

    status: str
    traced: bool
    kind: str

    def __str__(self) -> str:
        if self.kind != "train":
            return "This job makes predictions: only a training goes down a path, and only a traced one records it."
        if not self.traced:
            return 'This job recorded no path: submit one with "trace": {"surface": true}.'
        if self.status in OVER:
            ended = "was cancelled" if self.status == "cancelled" else self.status
            return f"A path is looked back at when a training has come to its end; this job {ended} before."
        return f"The path is looked back at when training is over; this job is {self.status}."


@dataclass
class NotRecorded(Exception):
    """The gradients of this step were not compared."""

    step: int
    steps: list[int]

    def __str__(self) -> str:
        nearest = min(self.steps, key=lambda step: abs(step - self.step), default=None)
        nearby = f": the nearest where they were is {nearest}" if nearest is not None else ""
        return f"Gradients were not compared at step {self.step}{nearby}."
