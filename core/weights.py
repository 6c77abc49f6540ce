"""Weights by name: what a network may begin with, whoever trained them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from safetensors import safe_open

from core.layers.layer import Array, Shape
from core.network import Network, Piece
from core.spec import Finding, SpecError

SHOWN = 24  # tensors that a message names
STATE = "state."
_AT = "/from_weights"


class Stored(Mapping[str, Array]):
    """The tensors of a safetensors file, which is mapped: none of them is kept in memory."""

    def __init__(self, path: Path) -> None:
        self._file = cast(Any, safe_open(path, framework="np"))  # its methods have no types
        self._names = sorted(self._file.keys())
        self.metadata: Mapping[str, str] = self._file.metadata() or {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._names:
            raise KeyError(name)
        tensor: Array = self._file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def kind(self, name: str) -> tuple[str, Shape]:
        """Type, in the words of the format, and shape of a tensor that is not read for it."""
        piece = self._file.get_slice(name)
        return str(piece.get_dtype()), tuple(piece.get_shape())


class Weights:
    """Parameters under their names, such as layers.0.weights, and running state as state.layers.1.mean."""

    def __init__(self, tensors: Mapping[str, Array]) -> None:
        self.tensors = tensors

    @classmethod
    def open(cls, path: Path) -> Weights:
        """Those of a file that `core.weight_files.read_weights` wrote."""
        return cls(Stored(path))

    def check_weights(self, network: Network, dtype: str) -> None:
        """Raise SpecError unless they are this network's, all of them and no others, and finite numbers in its type."""
        expected = {name: piece.variable.shape for name, piece in pieces(network)}
        found = {name: tensor.shape for name, tensor in self.tensors.items()}
        if expected.keys() != found.keys():
            detail = f"These are not the weights of this network. It expects {_list(expected)}; the file has "
            raise SpecError([Finding(_AT, f"{detail}{_list(found)}. Give its tensors the names that are expected.")])
        wrong = [_wrong(name, found[name], expected[name]) for name in expected if found[name] != expected[name]]
        if not wrong:
            largest = np.finfo(dtype).max
            wrong = [
                f"{name} holds numbers that are beyond {dtype}: train in float64."
                for name, tensor in self.tensors.items()
                if tensor.dtype.itemsize > np.dtype(dtype).itemsize and (np.abs(tensor) > largest).any()
            ]
        if wrong:
            raise SpecError([Finding(_AT, detail) for detail in wrong[:SHOWN]])

    def weights_into(self, network: Network, theta: Array, state: Array) -> None:
        """Copy them into those of a network that they fit, else raise SpecError."""
        self.check_weights(network, theta.dtype.name)
        fill(network, theta, state, self.tensors)


def pieces(network: Network) -> Iterator[tuple[str, Piece]]:
    """Every parameter and piece of running state, by the name of its tensor."""
    for found, prefix in (network.parameters(), ""), (network.state(), STATE):
        for piece in found:
            yield prefix + piece.name, piece


def fill(network: Network, theta: Array, state: Array, tensors: Mapping[str, Array]) -> None:
    """Copy tensors into theta and state."""
    for name, piece in pieces(network):
        piece.of(state if name.startswith(STATE) else theta)[...] = tensors[name]


def _wrong(name: str, found: Shape, expected: Shape) -> str:
    way_out = ": transpose it" if found == expected[::-1] else ""
    return f"{name} is {_size(found)} in the file, but {_size(expected)} is expected{way_out}."


def _list(shapes: Mapping[str, Shape]) -> str:
    told = [f"{name} ({_size(shape)})" for name, shape in list(shapes.items())[:SHOWN]]
    more = [f"{len(shapes) - SHOWN} more"] if len(shapes) > SHOWN else []
    return ", ".join([*told, *more]) or "none"


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "a single number"
