"""What an ONNX graph of this package may hold, and the check that a stranger's graph holds nothing else.

ONNX Runtime reads tensors from files in the current directory if the graph says so (even a graph that it was
given as bytes), and runs loops that never end. So the serialised graph is walked first: only the operators of
`export.to_onnx`, only tensors that carry their own data, no nested graphs, no functions. The walk follows
Protocol Buffers' wire format and the field numbers of onnx.proto3, and spares detection the `onnx` package.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import ModelError

OPSET = 17
IR_VERSION = 8
FUSED_OUTPUT = "probability"
OPERATORS = frozenset(
    {
        *("Add", "Concat", "Div", "Expand", "GRU", "Gather", "Gemm", "Identity"),
        *("Mul", "Relu", "Reshape", "Shape", "Sigmoid", "Softmax", "Sub", "Transpose"),
    }
)

_MODEL = {1: "ir_version", 2: "producer_name", 7: "graph", 8: "opset_import"}
_GRAPH = {1: "node", 2: "name", 5: "initializer", 11: "input", 12: "output"}
_NODE = {1: "input", 2: "output", 3: "name", 4: "op_type", 5: "attribute"}
_ATTRIBUTE = {1: "name", 2: "f", 3: "i", 4: "s", 7: "floats", 8: "ints", 9: "strings", 20: "type"}
_TENSOR = {1: "dims", 2: "data_type", 8: "name", 9: "raw_data"}
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 7: np.dtype("<i8")}  # onnx.TensorProto's FLOAT and INT64

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def stream_output(stream: str) -> str:
    """Name of the graph's output that holds one stream's fake probability."""
    return f"{FUSED_OUTPUT}.{stream}"


def read_tensors(network: bytes, source: str) -> dict[str, NDArray[Any]]:
    """The constant tensors of a serialised model by name: the weights among them.

    Args:
        network: the bytes of `network.onnx`.
        source: what to call it in the message.

    Raises:
        ModelError: the model has anything but our operators and self-contained tensors.
    """
    try:
        return _read_model(memoryview(network))
    except ValueError as error:
        raise ModelError(
            f"The network in {source} is refused: {error}.",
            hint="Get the model again from where it came, or use another one.",
        ) from error


def _read_model(model: memoryview) -> dict[str, NDArray[Any]]:
    tensors = {}
    for name, value in _fields(model, _MODEL, "model"):
        if name == "graph":
            tensors.update(_read_graph(_nested(value)))
    return tensors


def _read_graph(graph: memoryview) -> dict[str, NDArray[Any]]:
    tensors = {}
    for name, value in _fields(graph, _GRAPH, "graph"):
        if name == "node":
            _check_node(_nested(value))
        elif name == "initializer":
            called, array = _read_tensor(_nested(value))
            if called in tensors:
                raise ValueError(f"it has two tensors {called[:40]!r}")
            tensors[called] = array
    return tensors


def _read_tensor(tensor: memoryview) -> tuple[str, NDArray[Any]]:
    called, kind, raw = "", 0, memoryview(b"")
    shape: list[int] = []
    for name, value in _fields(tensor, _TENSOR, "tensor"):
        if name == "name":
            called = bytes(_nested(value)).decode("utf-8", "replace")
        elif name == "raw_data":
            raw = _nested(value)
        elif name == "data_type":
            kind = _number(value)
        else:
            shape += [_number(value)] if isinstance(value, int) else _packed(_nested(value))
    if kind not in _TYPES:
        raise ValueError(f"the tensor {called[:40]!r} is of type {kind}, which models of lrnet do not use")
    if len(raw) != math.prod(shape) * _TYPES[kind].itemsize:
        raise ValueError(f"the tensor {called[:40]!r} has {len(raw)} bytes, which is not its shape {shape[:8]}")
    return called, np.frombuffer(raw, _TYPES[kind]).reshape(shape).astype(_TYPES[kind].newbyteorder("="))


def _packed(values: memoryview) -> list[int]:
    numbers, at = [], 0
    while at < len(values):
        number, at = _varint(values, at)
        numbers.append(number)
    return numbers


def _check_node(node: memoryview) -> None:
    for name, value in _fields(node, _NODE, "node"):
        if name == "op_type":
            operator = bytes(_nested(value)).decode("utf-8", "replace")
            if operator not in OPERATORS:
                raise ValueError(f"it uses the operator {operator[:40]!r}")
        if name == "attribute":
            for _ in _fields(_nested(value), _ATTRIBUTE, "attribute"):
                pass


def _nested(value: memoryview | int | None) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("it is not an ONNX model")
    return value


def _number(value: memoryview | int | None) -> int:
    if not isinstance(value, int):
        raise ValueError("it is not an ONNX model")
    return value


def _fields(message: memoryview, known: dict[int, str], kind: str) -> Iterator[tuple[str, memoryview | int | None]]:
    """Name of each field of a message with its bytes or its whole number; None for a fixed-width field."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if number not in known:
            raise ValueError(f"one {kind} in it has the field {number}, which models of lrnet do not use")
        value: memoryview | int | None = None
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire == _BYTES:
            length, start = _varint(message, at)
            at = start + length
            value = message[start:at]
        elif wire in (_FIXED32, _FIXED64):
            at += 4 if wire == _FIXED32 else 8
        else:
            raise ValueError("it is not an ONNX model")
        if at > len(message):
            raise ValueError("it is cut short")
        yield known[number], value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= len(message):
            raise ValueError("it is cut short")
        byte = message[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("it is not an ONNX model")
