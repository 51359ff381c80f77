"""A network's weights by name, and their way back out of the ONNX graph that `lrnet.network.export` wrote.

A bundle holds the weights once, in `network.onnx`: what is trained on is what runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import ModelError
from lrnet.network.graph import Weights, read_graph, require_same
from lrnet.network.layout import layout
from lrnet.network.spec import NetworkSpec, StreamSpec

_GET_IT_AGAIN = "Get the model again from where it came, or use another one."


def read_weights(graph: bytes, network: NetworkSpec, source: str) -> Weights:
    """The weights in a serialised ONNX graph, under their names and in PyTorch's order of gates.

    Args:
        graph: the bytes of `network.onnx`.
        network: what they are checked against.
        source: what to call the graph in a message.

    Raises:
        ModelError: the graph is not the network's: another node, a weight of another name or shape, a number that is
            not finite. What passes is safe to run.
    """
    found = read_graph(graph, source)
    weights: dict[str, NDArray[np.float32]] = {}
    for stream in network.streams:
        try:
            weights.update(_stream_weights(stream, found.tensors))
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise ModelError(
                f"{source}: the weights of the stream {stream.name} are not there or misshapen ({error}).",
                hint=_GET_IT_AGAIN,
            ) from error
    check_weights(weights, network, source)
    require_same(found, layout(network, weights), source)
    return weights


def check_weights(weights: Mapping[str, NDArray[np.generic]], network: NetworkSpec, source: str) -> None:
    """Raise ModelError unless these are exactly the network's weights: names, shapes, float32, finite.

    Args:
        weights: arrays by name.
        network: what they are checked against.
        source: what to call them in the message.
    """
    expected = network.weight_shapes()
    if weights.keys() != expected.keys():
        odd = sorted(weights.keys() ^ expected.keys())
        raise ModelError(f"{source}: missing or unexpected weights: {', '.join(odd[:5])}.", hint=_GET_IT_AGAIN)
    for name, shape in expected.items():
        array = weights[name]
        if array.dtype != np.float32 or array.shape != shape:
            raise ModelError(
                f"{source}: {name} is {array.dtype} {array.shape}, expected float32 {shape}.",
                hint=_GET_IT_AGAIN,
            )
        if not np.isfinite(array).all():
            raise ModelError(f"{source}: {name} holds numbers that are not finite.", hint=_GET_IT_AGAIN)


def _stream_weights(stream: StreamSpec, tensors: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Pairs of name and weight; the tensors' names are those that `lrnet.network.export` gives."""
    prefix = f"streams.{stream.name}"
    biases = np.split(tensors[f"{stream.name}.gru.B"], 2, axis=1)
    of_gru = {
        "weight_ih": tensors[f"{stream.name}.gru.W"],
        "weight_hh": tensors[f"{stream.name}.gru.R"],
        "bias_ih": biases[0],
        "bias_hh": biases[1],
    }
    for key in stream.weight_shapes():
        part = key.removeprefix(f"{prefix}.")
        if part.startswith("gru."):
            what, _, way = part.removeprefix("gru.").partition("_l0")
            yield key, _reset_gate_first(of_gru[what][1 if way else 0])
        elif part == "initial_state":
            yield key, tensors[f"{stream.name}.initial_state"][:, 0]
        else:
            yield key, tensors[f"{stream.name}.{part}"]


def _reset_gate_first(array: NDArray[Any]) -> NDArray[Any]:
    """The three gates' rows from ONNX's order (update, reset, new) to PyTorch's (reset, update, new)."""
    update, reset, new = np.split(array, 3)
    return np.concatenate([reset, update, new])
