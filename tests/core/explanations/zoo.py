"""Networks with every kind of layer, with weights of some size, and rows for them."""

import numpy as np

from core.explanations.backpropagation import Examples
from core.explanations.subject import Subject
from core.gradcheck import draw_inputs
from core.layers import Dense, Flatten
from core.layers.layer import Layer
from core.losses import CrossEntropy, Loss
from core.network import Network
from core.preprocessing import Preprocessing
from core.random import Purpose, Random
from core.schema import ClassTarget, DataSchema, RealTarget
from tests.core.layer_cases import CASES

CLASSES = ("ash", "elm", "oak")
# In front of the layer nothing, behind it what turns its output into three scores.
ZOO = [([layer, Flatten(), Dense(units=3)], shape) for layer, shape in CASES]
NAMES = [f"{layers[0].type}-{'x'.join(map(str, shape))}" for layers, shape in ZOO]


def laid_open(
    layers: list[Layer],
    shape: tuple[int, ...],
    loss: Loss | None = None,
    target: ClassTarget | RealTarget | None = None,
    preprocessing: Preprocessing | None = None,
    seed: int = 0,
) -> Subject:
    """A network with random weights and a random running state, for three classes if nothing else is said."""
    network = Network.trace(layers, shape)
    theta, state = network.allocate("float64")
    network.draw(seed, theta, state)
    random = Random(seed, Purpose.CHECK)
    theta += 0.3 * random.normal(theta.shape)
    state += 0.3 * random.uniform(state.shape)
    schema = DataSchema(
        rows=100, input_shape=shape, input_dtype="float64", target=target or ClassTarget(classes=CLASSES)
    )
    return Subject(network, loss or CrossEntropy(), schema, preprocessing or Preprocessing([], {}), theta, state)


def some_examples(subject: Subject, rows: int = 4, seed: int = 1) -> Examples:
    """Rows away from kinks at the input, with random targets."""
    network, target = subject.network, subject.schema.target
    x = draw_inputs(network.layers[0].layer, (rows, *network.input_shape), Random(seed, Purpose.CHECK))
    draw = np.random.default_rng(seed)
    if isinstance(target, ClassTarget):
        targets: list[object] = [target.classes[i] for i in draw.integers(0, target.width, rows)]
    else:
        targets = list(draw.normal(size=(rows, target.width)))
    return subject.examples(x, targets)
