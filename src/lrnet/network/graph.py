"""What an ONNX graph of this package may hold, and the check that a stranger's graph holds nothing else.

ONNX Runtime reads tensors from files in the current directory if the graph says so (even a graph that it was
given as bytes), and runs loops that never end. So the serialised graph is read here first: only the operators of
`layout`, only tensors that carry their own data, no nested graphs, no functions. What is read can then be compared
with the graph that the description stands for. Reading follows Protocol Buffers' wire format and the field numbers
of onnx.proto3, and spares detection the `onnx` package.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
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
_ATTRIBUTE = {1: "name", 3: "i", 4: "s", 8: "ints", 20: "type"}
_TENSOR = {1: "dims", 2: "data_type", 8: "name", 9: "raw_data"}
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 7: np.dtype("<i8")}  # onnx.TensorProto's FLOAT and INT64

_OPERATOR_SET = {1: "domain", 2: "version"}

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def stream_output(stream: str) -> str:
    """Name of the graph's output that holds one stream's fake probability."""
    return f"{FUSED_OUTPUT}.{stream}"


Attribute = int | str | tuple[int, ...]

Weights = Mapping[str, NDArray[np.float32]]
"""Weights by name, as `NetworkSpec.weight_shapes` lists them."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its operator, the names of the values that go in and come out, its own name, its settings."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Operations in the order in which they run, and constant tensors by name: the weights among them."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, NDArray[Any]]


def read_graph(network: bytes, source: str) -> Graph:
    """The graph of a serialised model.

    Args:
        network: the bytes of `network.onnx`.
        source: what to call it in the message.

    Raises:
        ModelError: the model has anything but our operators and self-contained tensors.
    """
    try:
        return _read_model(memoryview(network))
    except ValueError as error:
        raise refused(source, str(error)) from error


def require_same(found: Graph, expected: Graph, source: str) -> None:
    """Raise ModelError unless a graph is the expected one: the same nodes in the same order, the same numbers."""
    for number, (one, other) in enumerate(zip_longest(found.nodes, expected.nodes)):
        if one != other:
            shown = "missing" if one is None else f"{one.operator} {one.name[:40]!r}"
            raise refused(source, f"node {number} ({shown}) is not the one of its description")
    if found.tensors.keys() != expected.tensors.keys():
        odd = sorted(found.tensors.keys() ^ expected.tensors.keys())[0]
        raise refused(source, f"the tensor {odd[:40]!r} is missing or too many")
    for name, values in expected.tensors.items():
        there = found.tensors[name]
        if there.dtype != values.dtype or there.shape != values.shape or not np.array_equal(there, values):
            raise refused(source, f"the tensor {name[:40]!r} is not the one of its description")


def refused(source: str, what: str) -> ModelError:
    """What to raise of a graph that is not run."""
    return ModelError(
        f"The network in {source} is refused: {what}.",
        hint="Get the model again from where it came, or use another one.",
    )


def _read_model(model: memoryview) -> Graph:
    nodes: list[Node] = []
    tensors: dict[str, NDArray[Any]] = {}
    for name, value in _fields(model, _MODEL, "model"):
        if name == "graph":
            _read_graph(_nested(value), nodes, tensors)
        elif name == "ir_version" and value != IR_VERSION:
            raise ValueError(f"its format is version {value}, not {IR_VERSION}")
        elif name == "opset_import":
            _check_operator_set(_nested(value))
    return Graph(tuple(nodes), tensors)


def _check_operator_set(operator_set: memoryview) -> None:
    for name, value in _fields(operator_set, _OPERATOR_SET, "operator set"):
        if (name == "domain" and _text(value)) or (name == "version" and value != OPSET):
            raise ValueError(f"it uses other operators than those of ONNX, version {OPSET}")


def _read_graph(graph: memoryview, nodes: list[Node], tensors: dict[str, NDArray[Any]]) -> None:
    for name, value in _fields(graph, _GRAPH, "graph"):
        if name == "node":
            nodes.append(_read_node(_nested(value)))
        elif name == "initializer":
            called, array = _read_tensor(_nested(value))
            if called in tensors:
                raise ValueError(f"it has two tensors {called[:40]!r}")
            tensors[called] = array


def _read_tensor(tensor: memoryview) -> tuple[str, NDArray[Any]]:
    called, kind, raw = "", 0, memoryview(b"")
    shape: list[int] = []
    for name, value in _fields(tensor, _TENSOR, "tensor"):
        if name == "name":
            called = _text(value)
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


def _read_node(node: memoryview) -> Node:
    operator = called = ""
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Attribute] = {}
    for name, value in _fields(node, _NODE, "node"):
        if name == "op_type":
            operator = _text(value)
            if operator not in OPERATORS:
                raise ValueError(f"it uses the operator {operator[:40]!r}")
        elif name == "attribute":
            setting, content = _read_attribute(_nested(value))
            attributes[setting] = content
        elif name == "name":
            called = _text(value)
        else:
            (inputs if name == "input" else outputs).append(_text(value))
    return Node(operator, tuple(inputs), tuple(outputs), called, attributes)


def _read_attribute(attribute: memoryview) -> tuple[str, Attribute]:
    called = ""
    content: Attribute = 0
    several: list[int] = []
    for name, value in _fields(attribute, _ATTRIBUTE, "attribute"):
        if name == "name":
            called = _text(value)
        elif name == "i":
            content = _number(value)
        elif name == "s":
            content = _text(value)
        elif name == "ints":
            several += [value] if isinstance(value, int) else _packed(_nested(value))
    return called, tuple(several) if several else content


def _text(value: memoryview | int | None) -> str:
    return bytes(_nested(value)).decode("utf-8", "replace")


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
