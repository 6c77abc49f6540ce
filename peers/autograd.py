"""A subject's network and its cost in PyTorch, as functions of theta that autograd differentiates."""

from collections.abc import Set
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.functional import jvp
from torch.func import functional_call, jacrev
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.explanations.backpropagation import Examples
from core.explanations.subject import Subject
from core.layers.layer import Array
from core.schema import ClassTarget
from peers.losses import COSTS
from peers.twins import TwinNetwork

Parameters = dict[str, Tensor]


class Tapped(TwinNetwork):
    """Gives what each layer gives, the last one's last."""

    def forward(self, x: Tensor, straight: Set[int] = frozenset()) -> tuple[Tensor, ...]:
        """`straight`: layers, by their index, that pass on what comes back as if their derivative were 1."""
        ys = []
        for index, layer in enumerate(self.layers):
            y = layer(x)
            x = x + (y - x).detach() if index in straight else y
            ys.append(x)
        return tuple(ys)


class Autograd:
    """In evaluation mode and float64, for these examples."""

    def __init__(self, subject: Subject, examples: Examples) -> None:
        self.subject, self.examples = subject, examples
        # One to run, and one each to carry vectors of ours over and back: PyTorch has biases that ours does not.
        self._twin, self._over, self._back = (Tapped(subject.network, "float64") for _ in range(3))
        self._twin.load(subject.theta, subject.state)
        self._twin.eval()
        self._twin.mask(None if examples.mask is None else torch.from_numpy(examples.mask != 0))
        self._x = torch.from_numpy(examples.x.copy())
        self._y = torch.from_numpy(examples.y.copy())
        if isinstance(subject.schema.target, ClassTarget):
            self._y = self._y.argmax(dim=1) if self._y.shape[1] > 1 else self._y[:, 0].long()

    def cost(self, theta: Array | None = None) -> float:
        """C."""
        return self._costs(self._named(theta)).mean().item()

    def gradient(self, theta: Array | None = None, straight: Set[int] = frozenset(), *, summed: bool = False) -> Array:
        """dC/dtheta (size,), or of the sum of the rows' costs."""
        named = {name: tensor.requires_grad_() for name, tensor in self._named(theta).items()}
        costs = self._costs(named, straight)
        found = torch.autograd.grad(costs.sum() if summed else costs.mean(), [*named.values()], allow_unused=True)
        grads = zip(named.items(), found, strict=True)
        return self._vector({name: torch.zeros_like(p) if grad is None else grad for (name, p), grad in grads})

    def wishes(self) -> tuple[list[NDArray[Any] | None], NDArray[Any] | None]:
        """dC/dy of each layer, None where nothing that comes before is differentiated, and dC/dx, None where x is
        looked up."""
        x = self._x.clone().requires_grad_(not self.subject.looks_up)
        ys = self._twin(x)
        for y in ys:
            if y.requires_grad:
                y.retain_grad()
        self._costs_of(ys[-1]).mean().backward()
        return [None if y.grad is None else y.grad.numpy() for y in ys], None if x.grad is None else x.grad.numpy()

    def outputs(self, theta: Array | None = None) -> list[NDArray[Any]]:
        """What each layer gives."""
        with torch.no_grad():
            return [y.numpy() for y in functional_call(self._twin, self._named(theta), (self._x,))]

    def ripples(self, change: Array) -> list[NDArray[Any]]:
        """The change of what each layer gives, to first order in a change (size,) of theta: J v, which PyTorch finds as
        the derivative of u J v by u, since padded sequences know no forward differentiation there."""
        names = [*self._named(None)]
        with sdpa_kernel(SDPBackend.MATH):  # the quick forms of attention have no second derivative
            _, moved = jvp(
                lambda *tensors: functional_call(self._twin, dict(zip(names, tensors, strict=True)), (self._x,)),
                (*self._named(None).values(),),
                (*self._named(change).values(),),
            )
        return [tangent.numpy() for tangent in moved]

    def jacobian(self, layer: int) -> NDArray[np.float64]:
        """dy_j/dx_i of one layer, [i, j], flat, where it is for the first of the examples."""
        before = torch.from_numpy(self.outputs()[layer - 1][0])
        found = jacrev(lambda x: self._twin.layers[layer](x[None]).flatten())(before)
        return found.flatten(1).T.detach().numpy()

    def _costs(self, named: Parameters, straight: Set[int] = frozenset()) -> Tensor:
        return self._costs_of(functional_call(self._twin, named, (self._x, straight))[-1])

    def _costs_of(self, a: Tensor) -> Tensor:
        loss = self.subject.loss
        return COSTS[loss.type](loss, a, self._y)

    def _named(self, theta: Array | None) -> Parameters:
        """PyTorch's parameters of our vector, which is also how a change of it becomes a change of theirs."""
        self._over.load(self.subject.theta if theta is None else theta, self.subject.state)
        return {name: parameter.detach().clone() for name, parameter in self._over.named_parameters()}

    def _vector(self, named: Parameters) -> Array:
        with torch.no_grad():
            for name, parameter in self._back.named_parameters():
                parameter.copy_(named[name])
        return np.asarray(self._back.theta())
