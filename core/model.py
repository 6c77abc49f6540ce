"""What is trained: a network with its numbers, behind the preprocessing of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

from core.batches import Batches
from core.data import Dataset
from core.layers.layer import Array
from core.network import Network
from core.preprocessing import Preprocessing
from core.regularization import Restraint
from core.training_spec import TrainingSpec
from core.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Model:
    """A network and its preprocessing as `spec` wants them, with the weights and the running state that it has so far.

    Training writes theta (network.size,) and state (network.state_size,) in place. The memory of the optimizer is not
    here, as only steps need it.
    """

    spec: TrainingSpec
    network: Network
    preprocessing: Preprocessing
    theta: Array
    state: Array

    def batches(self, data: Dataset, rows: int) -> Batches:
        """Room for batches of up to `rows` of a dataset."""
        return Batches(
            data,
            self.preprocessing,
            rows=rows,
            width=self.network.output_shape[0],
            dtype=self.spec.dtype,
            masked=self.network.masked,
        )

    def workspace(
        self,
        rows: int,
        gradient: Array | None = None,
        *,
        silent: frozenset[int] = frozenset(),
        deaf: frozenset[int] = frozenset(),
    ) -> Workspace:
        """Room to compute in with batches of up to `rows`: in training with a `gradient`, else in evaluation mode.

        `silent` and `deaf` as in Workspace.
        """
        return Workspace(
            self.network,
            rows,
            theta=self.theta,
            state=self.state,
            gradient=gradient,
            training=gradient is not None,
            silent=silent,
            deaf=deaf,
        )

    def restraint(self, gradient: Array, rows: int) -> Restraint:
        """What holds theta and its gradient back in a run on so many training rows."""
        return Restraint(
            self.spec.regularization,
            self.spec.gradient_clipping,
            self.network,
            self.theta,
            gradient,
            rows=rows,
            decay=self.spec.optimizer.decoupled_decay,
        )
