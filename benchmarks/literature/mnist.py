"""MNIST as M. Nielsen divides it: 50,000 images to learn from, 10,000 set aside, 10,000 for the test."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data import Dataset
from core.readers import read

ROOT = Path(__file__).parents[2]
TRAINING = 50_000


@dataclass(frozen=True)
class Mnist:
    """The first 50,000 images of the training files, and the test images."""

    training: Dataset
    test: Dataset

    @classmethod
    def open(cls, files: Path, room: Path) -> Mnist:
        """Read the four files of the folder `files`; the arrays go into the folder `room`."""
        parts = {}
        for part in ("train", "t10k"):
            (room / part).mkdir()
            images, labels = (files / f"{part}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
            read({"images": images, "labels": labels}, room / part)
            parts[part] = Dataset.open(room / part)
        return cls(parts["train"].view(np.arange(TRAINING)), parts["t10k"])


def folder() -> Path:
    """Where the four files are expected: NUDGE_MNIST, else `mnist` here, else the folder that checkouts share."""
    here, shared = ROOT / "mnist", ROOT / "../shared/data/mnist"
    return Path(os.environ.get("NUDGE_MNIST", shared if shared.is_dir() else here))
