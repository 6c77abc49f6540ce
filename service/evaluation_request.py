"""What a model may be evaluated on, and how much of it at once."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from core.spec import Count, Finding, Spec, SpecError
from service.settings import ServiceSettings


@dataclass
class EvaluationTooLarge(Exception):
    """More rows, or more arithmetic, than one evaluation does; `most` rows would be let in."""

    setting: str
    limit: int
    most: int

    def __str__(self) -> str:
        return (
            f"One evaluation of this model takes {self.most:,} rows at most ({self.setting} is {self.limit:,}): "
            f'name as many with "rows": [0, {self.most}], and go on behind them in further requests.'
        )


class EvaluationRequest(Spec):
    """What to evaluate a model on."""

    dataset: str = Field(examples=["ds_01kb8r3v5y8t2n6m4q9w7x1zcd"])
    rows: tuple[Annotated[int, Field(strict=True, ge=0, lt=2**31)], Count] | None = Field(
        None, description="Only these rows: how many to pass over, and how many to take.", examples=[[0, 1000]]
    )
    top: Annotated[int, Field(strict=True, ge=0, le=1000)] = Field(10, description="How many costly rows to name.")

    def chosen(self, rows: int) -> range:
        """The numbers of the rows that are meant, of a dataset with so many; raises SpecError for others."""
        first, count = self.rows or (0, rows)
        if first >= rows:
            raise SpecError([Finding("/rows/0", f"The dataset has {rows} rows, so pass over {rows - 1} at most.")])
        if first + count > rows:
            detail = f"The dataset has {rows} rows, so there are {rows - first} behind the first {first}."
            raise SpecError([Finding("/rows/1", detail)])
        return range(first, first + count)


def check_size(settings: ServiceSettings, flops: int, rows: int) -> None:
    """Raise EvaluationTooLarge for so many rows of so many floating-point operations; a single row is always let in."""
    bounds = {
        "NUDGE_MAX_EVALUATE_ROWS": (settings.max_evaluate_rows, settings.max_evaluate_rows),
        "NUDGE_MAX_EVALUATE_FLOPS": (settings.max_evaluate_flops, max(1, settings.max_evaluate_flops // max(1, flops))),
    }
    setting = min(bounds, key=lambda name: bounds[name][1])
    limit, most = bounds[setting]
    if rows > most:
        raise EvaluationTooLarge(setting, limit, most)
