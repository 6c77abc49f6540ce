"""Recurrent layers and attention. Where PyTorch has two biases and ours one, its second stays zero."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from peers.twins.twin import Twin, twin


class Recurrent(Twin):
    """One layer of PyTorch's, with the batch first; y is the whole sequence or its last state."""

    module: type[nn.RNNBase]
    unused = 1.0  # the part of the second bias that ours does not have

    def build(self, layer: Any) -> None:
        self.whole = layer.sequence
        self.cell = self.module(self.placed.input_shape[1], layer.units, batch_first=True)
        bias = self.cell.bias_hh_l0
        unused = round(len(bias) * self.unused)
        with torch.no_grad():
            bias[:unused] = 0
        if unused == len(bias):
            bias.requires_grad_(False)
        else:
            bias.register_hook(lambda g: torch.cat([torch.zeros_like(g[:unused]), g[unused:]]))

    def forward(self, x: Tensor) -> Tensor:
        if self.mask is None:
            states = self.cell(x)[0]
            return states if self.whole else states[:, -1]
        # PyTorch knows padding behind a sequence only, and gives zeros for it: the last valid state is the same.
        assert not self.whole
        packed = pack_padded_sequence(x, self.mask.sum(1), batch_first=True, enforce_sorted=False)
        last = self.cell(packed)[1]
        return (last[0] if isinstance(last, tuple) else last)[-1]

    def shared(self) -> dict[str, Tensor]:
        cell = self.cell
        return {
            "weights": cell.weight_ih_l0.T,
            "recurrent_weights": cell.weight_hh_l0.T,
            "biases": cell.bias_ih_l0,
        }


@twin("simple_rnn")
class SimpleRNN(Recurrent):
    """With tanh."""

    module = nn.RNN


@twin("lstm")
class LSTM(Recurrent):
    """Gates i, f, g, o in both."""

    module = nn.LSTM


@twin("gru")
class GRU(Recurrent):
    """Gates r, z, n in both; the last third of the second bias is ours too."""

    module = nn.GRU
    unused = 2 / 3

    def shared(self) -> dict[str, Tensor]:
        bias = self.cell.bias_hh_l0
        return super().shared() | {"recurrent_biases": bias[2 * len(bias) // 3 :]}


@twin("self_attention")
class SelfAttention(Twin):
    """MultiheadAttention of a sequence with itself."""

    def build(self, layer: Any) -> None:
        time, features = self.placed.input_shape
        self.attention = nn.MultiheadAttention(features, layer.heads, batch_first=True)
        self.positions = nn.Parameter(torch.zeros(time, features)) if layer.positions else None

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.positions is None else x + self.positions
        padding = None if self.mask is None else ~self.mask
        return self.attention(x, x, x, key_padding_mask=padding, need_weights=False)[0]

    def shared(self) -> dict[str, Tensor]:
        own = self.attention
        told = {
            "weights": own.in_proj_weight.T,
            "biases": own.in_proj_bias,
            "output_weights": own.out_proj.weight.T,
            "output_biases": own.out_proj.bias,
        }
        return told if self.positions is None else told | {"positions": self.positions}
