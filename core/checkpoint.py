"""A training run at rest: everything needed to go on exactly, or to predict, as one safetensors file.

Parameters, running state, optimizer memory, fitted preprocessing and partial sums are tensors with speaking names; the
rest is one JSON text in the file's metadata. Two runs that compute the same give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.layers.layer import Array, Shape
from core.metrics import Measured
from core.network import Network, NetworkSpec
from core.optimizers import Optimizer
from core.schema import DataSchema
from core.spec import Finding, SpecError, pointer
from core.weights import Stored, fill, pieces

FORMAT = 1
_KEY = "nudge"
_ABSENT = object()
_BROKEN = (SafetensorError, ValidationError, ValueError, KeyError, TypeError)  # what damaged bytes lead to
_DAMAGED = "This is not a checkpoint, or it is damaged."
CLOCKS = ("seconds", "examples_per_s")  # the metrics that depend on the machine, which no checkpoint keeps


class CheckpointDamaged(Exception):
    """Bytes that are not a whole, unchanged checkpoint."""


class CheckpointMismatch(Exception):
    """A checkpoint of another run than the one that is to go on."""


@dataclass(frozen=True)
class Checkpoint:
    """epoch: finished epochs. step: batches done of the epoch after them.

    spec: the run's identity (`TrainingSpec.identity`). preprocessing: the fitted steps, their arrays among the tensors.
    best, best_epoch: the value that counts as best so far (None before the first epoch) and the epoch it is from.
    metrics: of the last finished epoch, without timings.
    updates_before: those that the optimizer had made before this run, whose state this run began with; else 0.
    """

    epoch: int
    step: int
    spec: dict[str, Any]
    schema: DataSchema
    preprocessing: list[dict[str, object]]
    tensors: Mapping[str, Array]
    best: float | None = None
    best_epoch: int = 0
    metrics: Measured = field(default_factory=dict)
    updates_before: int = 0

    @property
    def steps(self) -> int:
        """The batches of an epoch."""
        return -(-self.schema.rows // int(self.spec["batch_size"]))

    @property
    def updates(self) -> int:
        """All that the optimizer has made so far."""
        return self.updates_before + self.epoch * self.steps + self.step

    @cached_property
    def digest(self) -> str:
        """ "sha256:..." over tensors, position and spec: the same for every run that computes the same."""
        position = {name: getattr(self, name) for name in ("epoch", "step", "best", "best_epoch")} | self._offset
        total = hashlib.sha256(_canonical({"position": position, "spec": self.spec}))
        for name in sorted(self.tensors):
            tensor = self.tensors[name]
            total.update(f"\n{name} {tensor.dtype.str} {tensor.shape}\n".encode())
            total.update(np.ascontiguousarray(tensor).data)
        return f"sha256:{total.hexdigest()}"

    def group(self, prefix: str) -> dict[str, Array]:
        """The tensors whose names begin with `prefix`, named by the rest."""
        return {name.removeprefix(prefix): self.tensors[name] for name in self.tensors if name.startswith(prefix)}

    def check_run(self, identity: dict[str, Any]) -> None:
        """Raise CheckpointMismatch unless a run of this identity may go on from here."""
        place = _first_difference(self.spec, identity)
        if place is not None:
            raise CheckpointMismatch(
                f"This checkpoint is of a run with another spec: {pointer(place)} differs. Only the same run can go on "
                "from it; a new one takes its weights with `start` or, as a job, with from_checkpoint."
            )

    def check_weights(self, network: Network) -> None:
        """Raise SpecError unless parameters and running state have the shapes of this network."""
        for name, piece in pieces(network):
            tensor = self.tensors.get(name)
            if tensor is None or tensor.shape != piece.variable.shape:
                detail = f"The checkpoint to begin from has other layers: it has no {piece.name} of this shape."
                raise SpecError([Finding("/from_checkpoint", detail)])

    def weights_into(self, network: Network, theta: Array, state: Array) -> None:
        """Copy parameters and running state into those of a network with the same layers, else raise SpecError."""
        self.check_weights(network)
        fill(network, theta, state, self.tensors)

    def check_optimizer(self, optimizer: Optimizer, network: Network) -> None:
        """Raise SpecError unless the optimizer's memory fits this optimizer of this network's parameters."""
        theirs = self.spec["optimizer"]["type"]
        kept = {name.removeprefix("optimizer.") for name in self.tensors if name.startswith("optimizer.")}
        layers = NetworkSpec.model_validate(self.spec["network"]).layers
        if optimizer.type != theirs:
            at, detail = "/optimizer/type", f"from_optimizer_state goes on with the checkpoint's {theirs}: take that"
        elif set(optimizer.memory()) != kept:
            at, detail = (
                "/optimizer/momentum",
                "One of this optimizer and the checkpoint's has no momentum: give it some",
            )
        elif _layout(Network.trace(layers, self.schema.input_shape)) != _layout(network):
            at, detail = "/from_optimizer_state", "The checkpoint is of other layers than this network: take the same"
        else:
            return
        raise SpecError([Finding(at, f"{detail}, or begin with the weights alone, without from_optimizer_state.")])

    def memory_into(self, memory: Mapping[str, Array]) -> None:
        """Copy what the optimizer remembers."""
        for name, vector in memory.items():
            vector[...] = self.tensors[f"optimizer.{name}"]

    @property
    def _offset(self) -> dict[str, int]:
        """Told only where there is one."""
        return {"updates_before": self.updates_before} if self.updates_before else {}

    def to_bytes(self) -> bytes:
        """The safetensors file."""
        told = {
            "format": FORMAT,
            "epoch": self.epoch,
            "step": self.step,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "spec": self.spec,
            "schema": self.schema.model_dump(mode="json"),
            "preprocessing": self.preprocessing,
            "metrics": self.metrics,
            "digest": self.digest,
            **self._offset,
        }
        seal = hashlib.sha256(_canonical(told)).hexdigest()
        tensors = {name: np.ascontiguousarray(tensor) for name, tensor in self.tensors.items()}
        return save(tensors, {_KEY: _canonical({"seal": seal, **told}).decode()})

    @classmethod
    def from_bytes(cls, content: bytes) -> Checkpoint:
        """The inverse of `to_bytes`; raises CheckpointDamaged if a single bit is not as it was."""
        try:
            tensors = load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            return cls._whole(header["__metadata__"][_KEY], tensors)
        except _BROKEN as error:
            raise CheckpointDamaged(_DAMAGED) from error

    @classmethod
    def open(cls, path: Path) -> Checkpoint:
        """As `from_bytes`, of a file that holds them: its tensors stay there, each read anew when it is asked for."""
        try:
            tensors = Stored(path)
            return cls._whole(tensors.metadata[_KEY], tensors)
        except (OSError, *_BROKEN) as error:
            raise CheckpointDamaged(_DAMAGED) from error

    @classmethod
    def _whole(cls, description: str, tensors: Mapping[str, Array]) -> Checkpoint:
        told = json.loads(description)
        seal, digest = told.pop("seal"), told["digest"]
        if told["format"] != FORMAT or seal != hashlib.sha256(_canonical(told)).hexdigest():
            raise CheckpointDamaged("The description in this checkpoint is damaged.")
        checkpoint = cls(
            epoch=told["epoch"],
            step=told["step"],
            spec=told["spec"],
            schema=DataSchema.model_validate_json(json.dumps(told["schema"])),
            preprocessing=told["preprocessing"],
            tensors=tensors,
            best=told["best"],
            best_epoch=told["best_epoch"],
            metrics=told["metrics"],
            updates_before=told.get("updates_before", 0),
        )
        if checkpoint.digest != digest:
            raise CheckpointDamaged("The tensors in this checkpoint are damaged.")
        return checkpoint


def _layout(network: Network) -> list[tuple[str, int, Shape]]:
    """Where each parameter lies in theta, and so in what an optimizer remembers."""
    return [(piece.name, piece.start, piece.variable.shape) for piece in network.parameters()]


def _first_difference(ours: object, theirs: object) -> tuple[str | int, ...] | None:
    """The path of the first value that is not the same in both, None if there is none."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys: Iterable[str | int] = [*theirs, *(key for key in ours if key not in theirs)]
        pairs = ((key, ours.get(key, _ABSENT), theirs.get(key, _ABSENT)) for key in keys)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = ((index, *both) for index, both in enumerate(zip(ours, theirs, strict=True)))
    else:
        return None if ours == theirs else ()
    for key, one, other in pairs:
        rest = _first_difference(one, other)
        if rest is not None:
            return (key, *rest)
    return None


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
