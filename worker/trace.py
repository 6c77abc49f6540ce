"""A traced run: its weights are picked up on the way, and when it is over it looks back."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.checkpoint import Checkpoint
from core.data import Dataset
from core.survey import Survey
from core.trail import Trail
from core.training import Chunk, Epoch
from core.training_spec import TrainingSpec
from core.weights import Weights
from worker.messages import Marked


class Trace:
    """Follows the moments of one run, in order. `descent` is there when it has looked back."""

    def __init__(
        self,
        spec: TrainingSpec,
        data: Dataset,
        resume: Checkpoint | None,
        start: Checkpoint | Weights | None,
        marks: Mapping[int, Path],
    ) -> None:
        """`marks` are the weights that earlier attempts recorded."""
        known = {step: path.read_bytes() for step, path in marks.items()}
        self._trail, self._start = Trail(spec, data, resume, start, known), start
        self.stops = self._trail.stops
        self.descent: bytes | None = None

    @property
    def epochs(self) -> float:
        """For about how many epochs of training it looks back."""
        return self._trail.survey_work

    def see(self, moment: Chunk | Epoch) -> Marked | None:
        """A moment of training."""
        seen = self._trail.see(moment)
        return None if seen is None else Marked(*seen)

    def look_back(self) -> Iterator[float]:
        """The share that is done, again and again."""
        survey = Survey(self._trail, self._start)
        yield from survey
        self.descent = survey.descent.model_dump_json().encode()
