"""Where a forward is computed: in the event loop, together with others that wait, or in a thread."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from core.layers.layer import Array
from core.predictor import Predictor
from service.gathering import Gathering

# Floating-point operations that are done at once in the event loop (about a millisecond): a thread costs 0.2 ms more.
AT_ONCE = 10_000_000
# Networks below this are done with a row before it has found company.
GATHERED = 200_000
FEW = 16  # rows of a request that goes with others
LARGEST = 32  # requests that go together

Asked = tuple[Array, Array | None]


class Forwards:
    """The forwards of a server. `compute` runs a function in a thread."""

    def __init__(self, compute: Callable[..., Awaitable[Any]]) -> None:
        self._compute = compute
        self._lines: WeakKeyDictionary[Predictor, Gathering[Asked, Array]] = WeakKeyDictionary()

    async def run(self, predictor: Predictor, inputs: Array, mask: Array | None) -> Array:
        """Outputs (n, k) of raw inputs; raises SpecError as `Predictor.check` does.

        A row that goes with others may differ from the same row alone in the last bits of the network's type.
        """
        predictor.check(inputs)
        if predictor.flops < GATHERED or len(inputs) > FEW:
            return await self._forward(predictor, inputs, mask)
        line = self._lines.get(predictor)
        if line is None:
            line = self._lines[predictor] = Gathering(self._together(predictor), LARGEST)
        return await line.submit((inputs, mask))

    async def _forward(self, predictor: Predictor, inputs: Array, mask: Array | None) -> Array:
        if len(inputs) * predictor.flops <= AT_ONCE:
            return predictor.predict(inputs, mask)
        outputs: Array = await self._compute(predictor.predict, inputs, mask)
        return outputs

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
