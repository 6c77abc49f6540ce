"""Networks of ours in PyTorch. `TWINS` knows every layer that has a twin."""

from peers.twins import dense, elementwise, images, normalization, sequences
from peers.twins.network import TwinNetwork
from peers.twins.twin import TWINS

__all__ = ["TWINS", "TwinNetwork", "dense", "elementwise", "images", "normalization", "sequences"]
