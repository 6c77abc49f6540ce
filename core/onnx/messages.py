"""The messages of an ONNX file, in the wire format of protocol buffers.

https://protobuf.dev/programming-guides/encoding tells how messages are written, `onnx.proto` of the ONNX project which
there are: the numbers here are those of its fields. The file needs a dozen of them, so that writing is all it takes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np

from core.layers.layer import Array

IR_VERSION = 14
OPSET = 28
LARGEST = 2**31 - 1  # bytes of a protocol buffer

Field = int | float | str | bytes | Iterable["Field"]
Attribute = int | float | Array | bytes | tuple[int, ...]  # bytes: a graph
ELEMENTS = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float64": 11}
Shape = tuple[int | str, ...]  # a length that a name stands for is known only when the network is asked


def message(fields: Mapping[int, Field]) -> bytes:
    """A message of numbered fields: whole numbers, reals (32 bits), texts, and messages; several as a list."""
    return b"".join(_field(number, value) for number, value in fields.items())


def _field(number: int, value: Field) -> bytes:
    match value:
        case str():
            return _field(number, value.encode())
        case bytes():
            return _varint(number << 3 | 2) + _varint(len(value)) + value
        case float():
            return _varint(number << 3 | 5) + struct.pack("<f", value)
        case int():
            return _varint(number << 3) + _varint(value % 2**64)
    return b"".join(_field(number, each) for each in value)


def _varint(value: int) -> bytes:
    """Seven bits in each byte, the lowest first; the eighth says that more follow."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def tensor(array: Array, name: str = "") -> bytes:
    """TensorProto of an array of one of ELEMENTS."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return message({1: array.shape, 2: ELEMENTS[array.dtype.name], 8: name, 9: little.tobytes()})


def node(
    operator: str, name: str, inputs: Iterable[str], outputs: Iterable[str], how: Mapping[str, Attribute]
) -> bytes:
    """NodeProto of an operator with its attributes."""
    attributes = [_attribute(key, value) for key, value in how.items()]
    return message({1: inputs, 2: outputs, 3: name, 4: operator, 5: attributes})


def _attribute(name: str, value: Attribute) -> bytes:
    match value:
        case bytes():
            field, kind, told = 6, 5, value
        case np.ndarray():
            field, kind, told = 5, 4, tensor(value)
        case float():
            return message({1: name, 2: value, 20: 1})
        case int():
            return message({1: name, 3: value, 20: 2})
        case _:
            return message({1: name, 8: value, 20: 7})
    return message({1: name, field: told, 20: kind})


def described(name: str, dtype: str, shape: Shape | None = None) -> bytes:
    """ValueInfoProto: the name, type and shape of what goes into a graph or comes out of it; None is any shape."""
    told: dict[int, Field] = {1: ELEMENTS[dtype]}
    if shape is not None:
        told[2] = message({1: [message({1 if isinstance(length, int) else 2: length}) for length in shape]})
    return message({1: name, 2: message({1: message(told)})})


def graph(
    name: str, nodes: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes], tensors: Iterable[bytes] = ()
) -> bytes:
    """GraphProto."""
    return message({1: nodes, 2: name, 5: tensors, 11: inputs, 12: outputs})


def model(graph: bytes, producer: tuple[str, str], metadata: Mapping[str, str]) -> bytes:
    """ModelProto; `producer` is the program that made it and its version."""
    told = [message({1: key, 2: value}) for key, value in metadata.items()]
    operators = message({1: "", 2: OPSET})
    return message({1: IR_VERSION, 2: producer[0], 3: producer[1], 7: graph, 8: operators, 14: told})
