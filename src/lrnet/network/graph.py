"""The graph of a network, the only one that `network.onnx` of a bundle may hold, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.network.spec import FAKE, NetworkSpec, StreamSpec

FUSED_OUTPUT = "probability"

Attribute = int | str | tuple[int, ...]

Weights = Mapping[str, NDArray[np.float32]]
"""Weights by name, as `NetworkSpec.weight_shapes` lists them."""


def stream_output(stream: str) -> str:
    """Name of the graph's output that holds one stream's fake probability."""
    return f"{FUSED_OUTPUT}.{stream}"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its operator, the names of its inputs and outputs, its own name, its settings."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graph:
    """Operations in the order in which they run, and tensors by name; `learned` are the names of the weights."""

    nodes: tuple[Node, ...]
    tensors: Mapping[str, NDArray[Any]]
    learned: frozenset[str]


def layout(spec: NetworkSpec, weights: Weights) -> Graph:
    """The network's graph, shift and scale included. `weights` were checked before."""
    graph = _Builder(weights)
    fused: list[str] = []
    for stream, vote in zip(spec.streams, spec.votes(), strict=True):
        graph.add_stream(stream, wanted=spec.fusion)
        what = stream_output(stream.name) if spec.fusion == "mean_probability" else f"{stream.name}.margin"
        fused.append(graph.node("Mul", what, graph.constant(f"{stream.name}.vote", vote), name=f"{stream.name}.voted"))
    graph.join(fused, spec.fusion)
    return Graph(tuple(graph.nodes), graph.tensors, frozenset(graph.learned))


class _Builder:
    """Nodes and tensors of a graph under construction; a value's name consists of its stream and its step."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Node] = []
        self.tensors: dict[str, NDArray[Any]] = {}
        self.learned: set[str] = set()

    def node(
        self, operator: str, *inputs: str, name: str, outputs: tuple[str, ...] = (), **attributes: Attribute
    ) -> str:
        """Add a node; its one output is called `name` unless `outputs` says otherwise. Returns `name`."""
        self.nodes.append(Node(operator, inputs, outputs or (name,), f"{name}.node", attributes))
        return name

    def weight(self, name: str, values: NDArray[Any]) -> str:
        self.tensors[name] = values
        self.learned.add(name)
        return name

    def constant(self, name: str, value: float | tuple[float, ...]) -> str:
        self.tensors[name] = np.asarray(value, dtype=np.float32)
        return name

    def integers(self, name: str, value: int | tuple[int, ...]) -> str:
        self.tensors[name] = np.asarray(value, dtype=np.int64)
        return name

    def add_stream(self, stream: StreamSpec, *, wanted: str) -> None:
        """A stream up to its fake probability and, for "mean_logit", the margin between its two logits."""
        name = stream.name
        logits = self._head(stream, self._recurrence(stream, self._normalised(stream)))
        fake = self.integers(f"{name}.fake", FAKE)
        both = self.node("Softmax", logits, name=f"{name}.probabilities", axis=1)
        self.node("Gather", both, fake, name=stream_output(name), axis=1)
        if wanted == "mean_logit":
            real = self.integers(f"{name}.real", 1 - FAKE)
            fake_logit = self.node("Gather", logits, fake, name=f"{name}.fake_logit", axis=1)
            real_logit = self.node("Gather", logits, real, name=f"{name}.real_logit", axis=1)
            self.node("Sub", fake_logit, real_logit, name=f"{name}.margin")

    def join(self, voted: list[str], fusion: str) -> None:
        """The fused probability from the streams' weighted votes."""
        total = voted[0]
        for number, vote in enumerate(voted[1:], start=1):
            total = self.node("Add", total, vote, name=f"sum_{number}")
        self.node("Sigmoid" if fusion == "mean_logit" else "Identity", total, name=FUSED_OUTPUT)

    def _normalised(self, stream: StreamSpec) -> str:
        name = value = stream.name
        if stream.shift is not None:
            value = self.node("Sub", value, self.constant(f"{name}.shift", stream.shift), name=f"{name}.shifted")
        if stream.scale != 1.0:
            value = self.node("Div", value, self.constant(f"{name}.scale", stream.scale), name=f"{name}.scaled")
        return value

    def _recurrence(self, stream: StreamSpec, value: str) -> str:
        """The last forward and the last backward state side by side: (clips, 2 units)."""
        name = stream.name
        inputs = [
            self.node("Transpose", value, name=f"{name}.by_frame", perm=(1, 0, 2)),
            self.weight(f"{name}.gru.W", self._both_directions(stream, "weight_ih")),
            self.weight(f"{name}.gru.R", self._both_directions(stream, "weight_hh")),
            self.weight(
                f"{name}.gru.B",
                np.hstack([self._both_directions(stream, "bias_ih"), self._both_directions(stream, "bias_hh")]),
            ),
        ]
        if stream.learned_initial_state:
            inputs += ["", self._initial_state(stream)]
        states = self.node(
            "GRU",
            *inputs,
            name=f"{name}.states",
            outputs=("", f"{name}.states"),
            direction="bidirectional",
            hidden_size=stream.units,
            linear_before_reset=1,
        )
        by_clip = self.node("Transpose", states, name=f"{name}.states_by_clip", perm=(1, 0, 2))
        shape = self.integers(f"{name}.state_shape", (-1, 2 * stream.units))
        return self.node("Reshape", by_clip, shape, name=f"{name}.state")

    def _both_directions(self, stream: StreamSpec, what: str) -> NDArray[np.float32]:
        directions = [self.weights[f"streams.{stream.name}.gru.{what}_l0{way}"] for way in ("", "_reverse")]
        return np.stack([_update_gate_first(array) for array in directions])

    def _initial_state(self, stream: StreamSpec) -> str:
        """The learned states, (2, 1, units), repeated for every clip."""
        name = stream.name
        states = self.weights[f"streams.{name}.initial_state"]
        learned = self.weight(f"{name}.initial_state", states[:, None, :])
        sizes = self.node("Shape", name, name=f"{name}.sizes")
        clips = self.node("Gather", sizes, self.integers(f"{name}.clip_axis", (0,)), name=f"{name}.clips", axis=0)
        shape = self.node(
            "Concat",
            self.integers(f"{name}.directions", (2,)),
            clips,
            self.integers(f"{name}.units", (stream.units,)),
            name=f"{name}.initial_shape",
            axis=0,
        )
        return self.node("Expand", learned, shape, name=f"{name}.initial_states")

    def _head(self, stream: StreamSpec, state: str) -> str:
        if stream.head == "linear":
            return self._linear(stream, "output", state)
        hidden = self._linear(stream, "hidden", state)
        hidden = self.node("Relu", hidden, name=f"{stream.name}.head.relu")
        if stream.head == "residual":
            back = self._linear(stream, "back", hidden)
            hidden = self.node("Add", state, back, name=f"{stream.name}.head.sum")
        return self._linear(stream, "output", hidden)

    def _linear(self, stream: StreamSpec, layer: str, value: str) -> str:
        name, key = f"{stream.name}.head.{layer}", f"streams.{stream.name}.head.{layer}"
        weight = self.weight(f"{name}.weight", self.weights[f"{key}.weight"])
        bias = self.weight(f"{name}.bias", self.weights[f"{key}.bias"])
        return self.node("Gemm", value, weight, bias, name=name, transB=1)


def _update_gate_first(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """The three gates' rows from PyTorch's order (reset, update, new) to ONNX's (update, reset, new)."""
    reset, update, new = np.split(array, 3)
    return np.concatenate([update, reset, new])
