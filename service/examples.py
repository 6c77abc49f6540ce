"""The examples that a request is about: an input with its target, or rows of a dataset."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Discriminator, Field, Tag, model_validator

from core.data import Dataset
from core.explanations.backpropagation import Examples
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.spec import Finding, Spec, SpecError
from service.arrays import EncodedArray, read_one
from service.dependencies import checked_id
from service.lifespan import Services
from service.limits import TooManyRows

Row = Annotated[int, Field(strict=True, ge=0, lt=2**63)]


class ExampleRequest(Spec):
    """Either `input` and `target`, or `dataset` and `row` or `rows`."""

    input: (
        Annotated[
            Annotated[list[Any], Tag("<row>")] | Annotated[EncodedArray, Tag("<encoded>")],
            Discriminator(lambda value: "<row>" if isinstance(value, list) else "<encoded>"),
        ]
        | None
    ) = Field(
        None,
        description="Raw values as they would be uploaded, nested or flat, or an encoded array.",
        examples=[[5.1, 3.5, 1.4, 0.2]],
    )
    target: Any = Field(None, description="The class, or the number or numbers, that would be right.", examples=["a"])
    mask: list[Annotated[int, Field(strict=True, ge=0, le=1)]] | None = Field(
        None, description="For sequences: 1 for each step of the input that counts, 0 for padding."
    )
    dataset: str | None = Field(None, examples=["ds_01kb8r3v5y8t2n6m4q9w7x1zcd"])
    row: Row | None = Field(None, description="The number of a row of the dataset, from 0.", examples=[17])
    rows: Annotated[list[Row], Field(min_length=1)] | None = Field(
        None, description="Several rows: their average is explained.", examples=[[0, 1, 2, 3]]
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        given = {
            name for name in ("input", "target", "mask", "dataset", "row", "rows") if name in self.model_fields_set
        }
        inline, stored = given - {"mask"} == {"input", "target"}, given in ({"dataset", "row"}, {"dataset", "rows"})
        if not inline and not stored:
            raise ValueError("Give `input` and `target`, or `dataset` and one of `row` and `rows`.")
        return self


async def read_examples(services: Services, tenant: str, subject: Subject, wanted: ExampleRequest) -> Examples:
    """The rows that the request is about, as the network sees them.

    Raises:
        SpecError, InputsRefused: they are not of the model's kind.
        TooManyRows: more than the server explains together.
        NotFound: there is no such dataset.
    """
    if wanted.input is not None:
        raw = read_one(wanted.input, subject.network.input_shape)
        with _places(["/input"]):
            return subject.examples(raw, [wanted.target], _mask(wanted, subject))
    assert wanted.dataset is not None
    rows = [wanted.row] if wanted.row is not None else wanted.rows
    assert rows is not None
    if len(rows) > services.settings.max_explain_rows:
        raise TooManyRows(services.settings.max_explain_rows)
    data = await services.open_datasets.get(tenant, checked_id("dataset", wanted.dataset))
    return await services.call(_stored, subject, data, rows, wanted.row is not None)


def _stored(subject: Subject, data: Dataset, rows: list[int], single: bool) -> Examples:
    places = ["/row"] if single else [f"/rows/{place}" for place in range(len(rows))]
    for at, row in zip(places, rows, strict=True):
        if row >= len(data):
            raise SpecError([Finding(at, f"The dataset has {len(data)} rows: the last is {len(data) - 1}.")])
    with _places(places):
        return subject.rows(data, np.array(rows, np.int64))


@contextmanager
def _places(names: list[str]) -> Iterator[None]:
    """What the core says of /inputs/0, /inputs/1, ... is said of where the request names them."""
    try:
        yield
    except SpecError as error:
        known = {f"/inputs/{place}": name for place, name in enumerate(names)}
        raise SpecError(Finding(known.get(at, at), detail) for at, detail in error.errors) from None


def _mask(wanted: ExampleRequest, subject: Subject) -> Array | None:
    if wanted.mask is None:
        return None
    steps = subject.network.input_shape[0]
    if not subject.network.masked:
        raise SpecError([Finding("/mask", "No layer of this model looks at a mask: leave it out.")])
    if len(wanted.mask) != steps:
        raise SpecError([Finding("/mask", f"The mask holds {len(wanted.mask)} steps; the model's input has {steps}.")])
    return np.array([wanted.mask], np.float64)
