"""scikit-learn's multilayer perceptron, epoch by epoch through `partial_fit`."""

from collections.abc import Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.workloads import Workload, order
from core.preprocessing import Preprocessing


class ScikitLearn:
    """Dense networks with softmax and cross-entropy.

    It has no sigmoid under a quadratic cost: W1 ends in plain numbers there, which is a little less work, and its
    weights cannot be compared.
    """

    def __init__(self, workload: Workload, threads: int) -> None:
        self.workload = workload
        self.classes = workload.loss == "cross_entropy"

    def weights(self, dtype: str = "float32") -> NDArray[np.floating] | None:
        """After the steps that are compared."""
        if not self.classes:
            return None
        rows = self.workload.checked_rows
        model, x, y = self._begin(rows, shuffle=False)
        told = order(rows)
        model.partial_fit(x[told], y[told])
        network = self.workload.network_of(self.workload.dataset(rows))
        theta, _ = network.allocate("float64")
        for piece, array in zip(network.parameters(), _parameters(model), strict=True):
            piece.of(theta)[...] = array
        return theta

    def epochs(self) -> Iterator[int]:
        """Train for ever; gives the rows of each epoch when it is over."""
        model, x, y = self._begin(self.workload.rows, shuffle=True)
        while True:
            model.partial_fit(x, y)
            yield len(x)

    def _begin(
        self, rows: int, *, shuffle: bool
    ) -> tuple[MLPClassifier | MLPRegressor, NDArray[np.floating], NDArray[np.generic]]:
        data = self.workload.dataset(rows)
        preprocessing = Preprocessing.fit(self.workload.spec(threads=1, epochs=1).preprocessing, data)
        x = preprocessing.apply(data.x, np.empty(data.x.shape, np.float32)).reshape(rows, -1)
        y = data.y if self.classes else np.eye(10, dtype=np.float32)[data.y]
        model = self._model(shuffle)
        if self.classes:
            model.partial_fit(x[: self.workload.batch], y[: self.workload.batch], classes=np.arange(10))
        else:
            model.partial_fit(x[: self.workload.batch], y[: self.workload.batch])
        # The first call made the arrays. The weights are ours from here on, and the optimizer forgets that call.
        network = self.workload.network_of(data)
        theta, _ = self.workload.start(network)
        for piece, array in zip(network.parameters(), _parameters(model), strict=True):
            array[...] = piece.of(theta)
        del model._optimizer
        return model, x, y

    def _model(self, shuffle: bool) -> MLPClassifier | MLPRegressor:
        told = self.workload.optimizer
        sizes = [layer["units"] for layer in self.workload.layers if layer["type"] == "dense"]
        relu = any(layer["type"] == "relu" for layer in self.workload.layers)
        return (MLPClassifier if self.classes else MLPRegressor)(
            hidden_layer_sizes=sizes[:-1],
            activation="relu" if relu else "logistic",
            solver=told["type"],
            learning_rate_init=told["learning_rate"],
            momentum=told.get("momentum", 0.0),
            nesterovs_momentum=False,
            # Its Adam adds epsilon before the second moment is corrected, not after: this is 1e-8 at the first step.
            epsilon=1e-8 * sqrt(1 - 0.999),
            alpha=0.0,
            batch_size=self.workload.batch,
            shuffle=shuffle,
            max_iter=1,
        )


def _parameters(model: MLPClassifier | MLPRegressor) -> Iterator[NDArray[np.floating]]:
    """Weights and biases in our order; both libraries have W as (inputs, units)."""
    for weights, biases in zip(model.coefs_, model.intercepts_, strict=True):
        yield from (weights, biases)
