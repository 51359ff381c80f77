"""A network's graph as the bytes of an ONNX file (Protocol Buffers; field numbers of onnx.proto3).

The same graph gives the same bytes, so a stranger's file is checked by comparison and never parsed. The `onnx` package
is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lrnet.network.graph import FUSED_OUTPUT, Attribute, Graph, Node, stream_output
from lrnet.network.spec import NetworkSpec

OPSET = 17
IR_VERSION = 8
_FLOAT, _INT64 = 1, 7  # of onnx.TensorProto.DataType
_A_NUMBER, _A_TEXT, _NUMBERS = 2, 3, 7  # of onnx.AttributeProto.AttributeType

Shapes = Mapping[str, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The bytes of an ONNX file, and where in them the numbers of each tensor are."""

    content: bytes
    places: dict[str, slice]


def onnx_file(spec: NetworkSpec, graph: Graph) -> OnnxFile:
    """Write a clip network's graph.

    Inputs: one for each stream, under its name, (clips, frames, width) float32, not scaled; clips and frames are free,
    and frames may differ between streams. Outputs: "probability" (clips,), fused, and for each stream
    "probability.<stream>" (clips,).
    """
    inputs = {stream.name: ("clips", f"frames_{stream.name}", stream.width) for stream in spec.streams}
    outputs = {name: ("clips",) for name in (FUSED_OUTPUT, *map(stream_output, spec.stream_names))}
    return write_graph(graph, inputs, outputs)


def write_graph(graph: Graph, inputs: Shapes, outputs: Shapes) -> OnnxFile:
    """Write a graph whose inputs and outputs are arrays of float32.

    Args:
        inputs, outputs: sides of each, by name; a side with a name is free.
    """
    body = b"".join(_bytes(1, _node(node)) for node in graph.nodes) + _bytes(2, b"lrnet")
    ends: dict[str, int] = {}
    for name, values in graph.tensors.items():
        body += _bytes(5, _tensor(name, values))
        ends[name] = len(body)
    body += b"".join(_bytes(11, _array_of_float(name, *sides)) for name, sides in inputs.items())
    body += b"".join(_bytes(12, _array_of_float(name, *sides)) for name, sides in outputs.items())
    before = _number(1, IR_VERSION) + _bytes(2, b"lrnet")
    content = before + _bytes(7, body) + _bytes(8, _bytes(1, b"") + _number(2, OPSET))
    start = len(before) + len(_bytes(7, body)) - len(body)
    places = {name: slice(start + end - graph.tensors[name].nbytes, start + end) for name, end in ends.items()}
    return OnnxFile(content, places)


def _node(node: Node) -> bytes:
    return b"".join(
        (
            *(_bytes(1, name.encode()) for name in node.inputs),
            *(_bytes(2, name.encode()) for name in node.outputs),
            _bytes(3, node.name.encode()),
            _bytes(4, node.operator.encode()),
            *(_bytes(5, _attribute(name, value)) for name, value in sorted(node.attributes.items())),
        )
    )


def _attribute(name: str, value: Attribute) -> bytes:
    if isinstance(value, tuple):
        content, kind = b"".join(_number(8, number) for number in value), _NUMBERS
    elif isinstance(value, str):
        content, kind = _bytes(4, value.encode()), _A_TEXT
    else:
        content, kind = _number(3, value), _A_NUMBER
    return _bytes(1, name.encode()) + content + _number(20, kind)


def _tensor(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    """Shape, type, name, and the numbers at the end."""
    shape = b"".join(_number(1, side) for side in values.shape)
    kind = _FLOAT if values.dtype == np.float32 else _INT64
    little_endian = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return shape + _number(2, kind) + _bytes(8, name.encode()) + _bytes(9, little_endian.tobytes())


def _array_of_float(name: str, *sides: str | int) -> bytes:
    """Name and type of an input or output; a side that is free has a name."""
    shape = b"".join(_bytes(1, _bytes(2, s.encode()) if isinstance(s, str) else _number(1, s)) for s in sides)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, shape)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all bytes but the last have their highest bit set."""
    value &= 2**64 - 1  # negative numbers as two's complement
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
