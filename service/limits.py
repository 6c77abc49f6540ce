"""What one answer that looks into a model may take."""

from dataclasses import dataclass

from service.settings import ServiceSettings


@dataclass
class TooManyRows(Exception):
    """More rows than are explained together."""

    limit: int

    def __str__(self) -> str:
        return f"{self.limit} rows at most are taken together (NUDGE_MAX_EXPLAIN_ROWS); ask about fewer."


@dataclass
class TooMuchWork(Exception):
    """The rows asked for would keep the server busy for too long."""

    flops: int
    limit: int

    def __str__(self) -> str:
        return (
            f"Going through so many rows takes about {self.flops:.2g} floating-point operations; this server grants "
            f"one answer {self.limit:.2g} (NUDGE_MAX_EXPLAIN_FLOPS). Ask about fewer rows at a time."
        )


@dataclass
class AnswerTooLarge(Exception):
    """The explanation holds more numbers than one answer may; `way_out` says how to ask for fewer."""

    numbers: int
    limit: int
    way_out: str

    def __str__(self) -> str:
        return (
            f"The answer would hold about {self.numbers:,} numbers; {self.limit:,} are sent at most "
            f"(NUDGE_MAX_EXPLAIN_NUMBERS). {self.way_out}"
        )


def check_work(settings: ServiceSettings, flops: int) -> None:
    """Raise TooMuchWork for more floating-point operations than one answer is granted."""
    if flops > settings.max_explain_flops:
        raise TooMuchWork(flops, settings.max_explain_flops)
