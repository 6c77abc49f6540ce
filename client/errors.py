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

    `status` is the HTTP status (None when no answer came), `detail` the explanation, `problem` the whole problem
    document (RFC 9457), `retry_after` how long the server asks to wait, in seconds.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        problem: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.problem = problem or {}
        self.retry_after = retry_after

    @property
    def type(self) -> str:
        """What kind of problem it is, for programs to tell apart."""
        return str(self.problem.get("type") or "about:blank")

    @property
    def title(self) -> str:
        """The kind of problem, for people."""
        return str(self.problem.get("title") or "")

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The single things that are wrong; of very many only the first."""
        return tuple(_finding(error) for error in self.problem.get("errors") or ())

    @property
    def refused(self) -> bool:
        """True when the server understood and refused: asking again as it is changes nothing."""
        return self.status is not None and 400 <= self.status < 500

    def __str__(self) -> str:
        errors = self.errors
        told = all(finding.detail in self.detail for finding in errors)  # the detail is the findings, joined
        if told and len(errors) == 1:
            return str(errors[0])
        head = f"{self.title}:" if told and errors and self.title else self.detail
        lines = [f"  - {finding}" for finding in errors[:SHOWN]]
        hidden = int(self.problem.get("total") or len(errors)) - len(lines)
        return "\n".join([head, *lines, *([f"  ... and {hidden:,} more"] if hidden > 0 else [])])


class InputError(NudgeError, ValueError):
    """What was given cannot be sent: seen here, before the server was asked. It is a ValueError too."""

    def __init__(self, detail: str, *, pointer: str = "") -> None:
        super().__init__(detail, problem={"detail": detail, "errors": [{"pointer": pointer, "detail": detail}]})

    @property
    def refused(self) -> bool:
        """True: asking again as it is changes nothing."""
        return True


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
