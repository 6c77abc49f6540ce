"""What the server explains, as frozen values."""

from typing import Any

from client.schemas import JsonScalar, Record

Values = Any
"""Nested lists of numbers."""


class Pair(Record):
    """A weight and how it should change; of a dense layer `index` is [from, to], with what meets there."""

    index: tuple[int, ...]
    nudge: float | None
    activation: float | None = None
    desire: float | None = None


class Nudge(Record):
    """How a parameter's numbers should change: all of them where they came whole, and the strongest."""

    parameter: str
    shape: tuple[int, ...]
    values: Values = None
    strongest: tuple[Pair, ...] = ()


class Voice(Record):
    """What one neuron wishes of each before."""

    neuron: int
    desire: float | None
    wishes: Values


class PreviousDesire(Record):
    """What a layer wishes of the numbers it is given; `units` is "raw" for inputs as they were uploaded."""

    units: str
    summed: Values
    each: tuple[Voice, ...] | None = None


class LayerExplanation(Record):
    """One layer: what it gives, what it wishes, and the three ways to get it."""

    index: int
    type: str
    activations: Values
    desire: Values = None
    bias_nudge: Values = None
    weight_nudge: Nudge | None = None
    other_nudges: tuple[Nudge, ...] = ()
    previous_desire: PreviousDesire | None = None
    inner: tuple["LayerExplanation", ...] = ()


class InputExplanation(Record):
    """What the network sees, and what it wishes of the input in raw units."""

    shape: tuple[int, ...]
    activations: Values
    desire: Values = None


class Sensitive(Record):
    """A weight in the ranking."""

    rank: int
    parameter: str
    index: tuple[int, ...]
    name: str
    derivative: float | None
    sensitivity: float | None
    times: float | None


class Sensitivity(Record):
    """How strongly the cost hears each weight, the strongest first; `says` puts it into a sentence."""

    parameters: int
    unmoved: int
    ranking: tuple[Sensitive, ...]
    middle: Sensitive | None = None
    says: str


class Explanation(Record):
    """What every layer of a network wishes for an example, or for several on average."""

    rows: int
    cost: float | None
    classes: tuple[JsonScalar, ...] | None = None
    outputs: tuple[float | None, ...]
    target: tuple[float | None, ...]
    input: InputExplanation
    layers: tuple[LayerExplanation, ...]
    sensitivity: Sensitivity
    notes: tuple[str, ...] = ()


class TeachingRow(Record):
    """A row of a dataset, its own cost, and the length of its own gradient."""

    row: int
    loss: float | None
    gradient_norm: float | None
    target: Any
    prediction: Any
