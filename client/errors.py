"""What can go wrong, as sentences a person can act on."""

from dataclasses import dataclass
from typing import Any

SHOWN = 10
"""How many findings are shown as text; `errors` holds all that were sent."""


@dataclass(frozen=True)
class Finding:
    """One thing wrong with the input: where it stands (a JSON pointer, or a row) and what to do about it."""

    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}" if self.place else self.detail


class NudgeError(Exception):
    """The server refused or failed; `str()` of it is the whole problem in readable sentences.

    `status` is the HTTP status (None when no answer came), `type` the problem's type (RFC 9457), `detail` its
    explanation, `errors` the single findings, `problem` the body as it was sent.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        type: str = "about:blank",  # noqa: A002  the name RFC 9457 gives it
        title: str = "",
        errors: tuple[Finding, ...] = (),
        problem: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.type = type
        self.title = title
        self.errors = errors
        self.problem = problem or {}

    @classmethod
    def from_problem(cls, status: int, problem: dict[str, Any]) -> "NudgeError":
        """Read a problem document (RFC 9457), however little of it is there."""
        title = str(problem.get("title") or "")
        return cls(
            str(problem.get("detail") or title or f"The server answered with status {status}."),
            status=status,
            type=str(problem.get("type") or "about:blank"),
            title=title,
            errors=tuple(_finding(error) for error in problem.get("errors") or ()),
            problem=problem,
        )

    @property
    def refused(self) -> bool:
        """True when the server understood and refused: asking again as it is changes nothing."""
        return self.status is not None and 400 <= self.status < 500

    def __str__(self) -> str:
        told = all(finding.detail in self.detail for finding in self.errors)  # the detail is the findings, joined
        if told and len(self.errors) == 1:
            return str(self.errors[0])
        head = f"{self.title}:" if told and self.errors and self.title else self.detail
        lines = [f"  - {finding}" for finding in self.errors[:SHOWN]]
        hidden = int(self.problem.get("total") or len(self.errors)) - len(lines)
        return "\n".join([head, *lines, *([f"  ... and {hidden:,} more"] if hidden > 0 else [])])


class UnreachableError(NudgeError):
    """No answer came: the server is not there, or the connection broke and stayed broken."""


class JobError(NudgeError):
    """The job ended without a model (failed or cancelled), or was not over in time."""


def _finding(error: dict[str, Any]) -> Finding:
    place = str(error.get("pointer") or "")
    if error.get("row") is not None:
        column = error.get("column")
        place = f"row {error['row']}" + (f", column {column}" if column is not None else "")
    return Finding(place, str(error.get("detail") or error.get("reason") or ""))
