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
    """The answer would keep the server busy for too long. `most` rows would be let in; `otherwise` is another way."""

    setting: str
    limit: int
    flops: int
    most: int
    otherwise: str = ""

    def __str__(self) -> str:
        rows = f"{self.most:,} rows" if self.most > 1 else "One row"
        way_out = f"{rows} at most can be asked about at a time." if self.most else "A single row is too much already."
        otherwise = self.otherwise or ("" if self.most else "Have the limit raised.")
        return (
            f"This takes about {self.flops:.2g} floating-point operations; this server grants one answer "
            f"{self.limit:.2g} ({self.setting}). {way_out} {otherwise}"
        ).rstrip()


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


def check_work(settings: ServiceSettings, flops: int, rows: int, otherwise: str = "") -> None:
    """Raise TooMuchWork where so many rows of so many floating-point operations are more than a look is granted."""
    limit = settings.max_explain_flops
    if rows * flops > limit:
        raise TooMuchWork("NUDGE_MAX_EXPLAIN_FLOPS", limit, rows * flops, limit // flops, otherwise)
