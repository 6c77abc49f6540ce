"""What the recurrent layers share: sequences (n, time, features), computed time first.

One step is then one contiguous block (n, ...), and all that does not depend on the step before is one matrix product
over all steps. A masked step leaves the state of its row as it was, so that padding changes nothing and the state
behind the last step is that of the last valid one; with no valid step it is zero.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from core.initializers import AnyInitializer, GlorotUniform, Orthogonal, Zeros
from core.layers.layer import Array, Layer, Misfit, Scratch, Shape, Variable
from core.spec import Flag


class Recurrent(Layer):
    """From x (n, time, inputs) to a state h (n, units) behind each step: y is the last, or with `sequence` all of them.

    W (inputs, k units), U (units, k units) and b (k units) hold k = `blocks` blocks of columns, one for each gate.
    """

    masks: ClassVar[bool] = True
    name: ClassVar[str] = "A recurrent layer"  # at the beginning of a sentence
    blocks: ClassVar[int] = 1
    units: Annotated[int, Field(strict=True, ge=1, le=2**16, examples=[32])]
    sequence: Flag = False
    weights: AnyInitializer = GlorotUniform()
    recurrent_weights: AnyInitializer = Orthogonal()
    biases: AnyInitializer = Zeros()

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            size = " x ".join(map(str, shape))
            way_out = f'put {{"type": "reshape", "shape": [{shape[0]}, -1]}} before it'
            if len(shape) == 1:
                way_out = (
                    'give a recurrent layer before it "sequence": true, leave out {"type": "flatten"}, arrange flat '
                    'data with {"type": "reshape", ...}, or look whole numbers up with {"type": "embedding", ...}'
                )
            detail = f"{self.name} takes sequences, time x features, but here each example is {size}: {way_out}."
            raise Misfit(None, detail)
        return (shape[0], self.units) if self.sequence else (self.units,)

    def parameters(self, shape: Shape) -> dict[str, Variable]:
        inputs, units, columns = shape[1], self.units, self.blocks * self.units
        return {
            "weights": Variable((inputs, columns), self.weights, inputs, units, penalised=True),
            "recurrent_weights": Variable((units, columns), self.recurrent_weights, units, units, penalised=True),
            "biases": Variable((columns,), self.biases, inputs, units),
        }


def steps_first(x: Array, out: Array) -> Array:
    """x (n, time, features) as (time · n, features), time first; `out` (time, n, features) is filled."""
    np.copyto(out, x.swapaxes(0, 1))
    return out.reshape(-1, x.shape[2])


def write_states(states: Array, y: Array) -> Array:
    """y from the states (time + 1, n, units) before the first and behind each step: all but the first, or the last."""
    np.copyto(y, states[1:].swapaxes(0, 1) if y.ndim == 3 else states[-1])
    return y


def read_dy(dy: Array, step: int, steps: int, dh: Array) -> None:
    """Add to dh (n, units) what the cost wants of the state behind a step."""
    if dy.ndim == 3:
        dh += dy[:, step]
    elif step == steps - 1:
        dh += dy


def carry(mask: Array | None, step: int, before: Array, behind: Array) -> None:
    """Give the rows for which the step is masked the state from before it."""
    if mask is not None:
        np.copyto(behind, before, where=mask[:, step, None] == 0)


def hold(mask: Array | None, step: int, dbehind: Array) -> Array | float:
    """The derivatives that pass around a masked step, taken out of `dbehind`."""
    if mask is None:
        return 0.0
    around: Array = dbehind * (1 - mask[:, step, None])
    dbehind -= around
    return around


def panels(gates: int, units: int) -> Scratch:
    """Room for U (units, gates · units) or its transpose, laid out as the compiled form wants it; NumPy needs none."""
    return Scratch((gates * units, -(-units // 32) * 32))
