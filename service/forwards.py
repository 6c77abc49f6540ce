"""Where a forward is computed: in the event loop, together with others that wait, or in a thread, piece by piece."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from starlette.requests import ClientDisconnect

from core.layers.layer import Array
from core.predictor import Predictor
from service.gathering import Gathering
from service.limits import TooMuchWork

# Floating-point operations that are done at once in the event loop (about a millisecond): a thread costs 0.2 ms more.
AT_ONCE = 10_000_000
# Those that a thread does (a tenth of a second or so) before it turns to others, and looks whether anybody still waits.
PIECE = 4_000_000_000
# Networks below this are done with a row before it has found company.
GATHERED = 200_000
FEW = 16  # rows of a request that goes with others
LIGHT = 200_000_000  # operations of such a request
LARGEST = 32  # requests that go together
OTHERWISE = "A job has no such limit: POST /v1/models/{model_id}/batch-predictions."

Asked = tuple[Array, Array | None]
Gone = Callable[[], Awaitable[bool]]


class Forwards:
    """The forwards of a server. `compute` runs a function in a thread; one prediction takes `max_flops` at most."""

    def __init__(self, compute: Callable[..., Awaitable[Any]], max_flops: int) -> None:
        self._compute = compute
        self._max_flops = max_flops
        self._lines: WeakKeyDictionary[Predictor, Gathering[Asked, Array]] = WeakKeyDictionary()

    async def run(self, predictor: Predictor, inputs: Array, mask: Array | None, gone: Gone) -> Array:
        """Outputs (n, k) of raw inputs. `gone` tells whether whoever asked has left.

        A row that goes with others may differ from the same row alone in the last bits of the network's type.

        Raises:
            SpecError: as `Predictor.check` does.
            TooMuchWork: the rows take more operations than one prediction is granted.
            ClientDisconnect: nobody waits for the answer any more.
        """
        work = len(inputs) * predictor.flops
        if work > self._max_flops:
            most = self._max_flops // predictor.flops
            raise TooMuchWork("NUDGE_MAX_PREDICT_FLOPS", self._max_flops, work, most, OTHERWISE)
        predictor.check(inputs)
        if _alone(predictor, len(inputs)):
            return await self._forward(predictor, inputs, mask, gone)
        line = self._lines.get(predictor)
        if line is None:
            line = self._lines[predictor] = Gathering(self._together(predictor), LARGEST)
        return await line.submit((inputs, mask))

    def at_once(self, predictor: Predictor, inputs: Array) -> bool:
        """Whether these rows are done sooner than others would be told of them. Raises SpecError."""
        rows = len(inputs)
        predictor.check(inputs)
        return rows * predictor.flops <= min(AT_ONCE, self._max_flops) and _alone(predictor, rows)

    async def _forward(
        self, predictor: Predictor, inputs: Array, mask: Array | None, gone: Gone | None = None
    ) -> Array:
        if len(inputs) * predictor.flops <= AT_ONCE:
            return predictor.predict(inputs, mask)
        rows = _rows(predictor)
        parts: list[Array] = []
        for start in range(0, len(inputs), rows):
            if parts and gone is not None and await gone():
                raise ClientDisconnect
            some = slice(start, start + rows)
            parts.append(await self._compute(predictor.predict, inputs[some], None if mask is None else mask[some]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _together(self, predictor: Predictor) -> Callable[[list[Asked]], Awaitable[list[Array | Exception]]]:
        async def forward(group: list[Asked]) -> list[Array | Exception]:
            outputs: list[Array | Exception] = [np.empty(0)] * len(group)
            alike = defaultdict(list)  # what is not of one type would be computed from other numbers
            for place, (inputs, mask) in enumerate(group):
                alike[inputs.dtype, mask is None].append(place)
            for places in alike.values():
                inputs = np.concatenate([group[place][0] for place in places])
                masks = [mask for place in places if (mask := group[place][1]) is not None]
                found = await self._forward(predictor, inputs, np.concatenate(masks) if masks else None)
                start = 0
                for place in places:
                    stop = start + len(group[place][0])
                    outputs[place] = found[start:stop]
                    start = stop
            return outputs

        return forward


def _alone(predictor: Predictor, rows: int) -> bool:
    """Whether these rows do not go with others."""
    return predictor.flops < GATHERED or rows > FEW or rows * predictor.flops > LIGHT


def _rows(predictor: Predictor) -> int:
    """The rows of a piece: whole batches, unless one of them alone is more than a piece."""
    rows = max(1, PIECE // max(1, predictor.flops))
    return rows - rows % predictor.rows if rows > predictor.rows else rows
