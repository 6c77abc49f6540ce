"""The mathematics of Nudge: networks, their derivatives and their training, in NumPy.

Knows arrays and specs, and nothing of HTTP, SQL or queues. Where to begin reading:

- `core.layers.dense`: what a layer is, forward and backward side by side;
- `core.network`: layers over one flat parameter vector;
- `core.training`: `fit`, the whole training loop as a generator.
"""
