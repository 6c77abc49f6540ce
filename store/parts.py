"""The parts of a job's predictions: stored as they are made, each behind the one before."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from store.tables import part


@dataclass(frozen=True)
class Part:
    """The predictions of `rows` rows, behind the first `first_row`; its bytes are stored under `blob`."""

    first_row: int
    rows: int
    blob: str

    @property
    def done(self) -> int:
        """How many rows are done with it."""
        return self.first_row + self.rows


def parts_of(connection: Connection, job_id: str) -> tuple[Part, ...]:
    """The parts that a job has, in order."""
    query = select(part.c.first_row, part.c.rows, part.c.blob).where(part.c.job_id == job_id).order_by(part.c.first_row)
    return tuple(Part(row.first_row, row.rows, row.blob) for row in connection.execute(query))
