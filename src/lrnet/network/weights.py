"""A network's weights by name, to an ONNX file and back, without PyTorch and without the `onnx` package.

ONNX Runtime would run any graph, also one that reads files, never ends, or takes all memory. So a file is run only if
it is, except for the values of the weights, byte by byte the file of its description.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import ModelError
from lrnet.network.graph import Graph, Weights, layout
from lrnet.network.onnx_file import OnnxFile, onnx_file
from lrnet.network.spec import NetworkSpec, StreamSpec

GET_IT_AGAIN = "Get the model again from where it came, or use another one."


def to_onnx(spec: NetworkSpec, weights: Weights) -> bytes:
    """The network as the bytes of an ONNX file (see `onnx_file`); the same arguments give the same bytes.

    Args:
        weights: by name, as `spec.weight_shapes()` lists them.

    Raises:
        ModelError: the weights are not the network's.
    """
    check_weights(weights, spec, "The network to export")
    return onnx_file(spec, layout(spec, weights)).content


def read_weights(network: bytes, spec: NetworkSpec, source: str) -> Weights:
    """The weights in an ONNX file, under their names and in PyTorch's order of gates.

    Args:
        network: the bytes of `network.onnx`.
        source: name of the file in messages.

    Raises:
        ModelError: the file is not the network's, or a weight is not finite.
    """
    if len(network) < 4 * spec.parameters:  # first: a description could ask for more memory than there is
        raise _refused(source, f"{len(network)} bytes cannot hold its {spec.parameters} weights")
    graph = layout(spec, {name: np.zeros(shape, np.float32) for name, shape in spec.weight_shapes().items()})
    tensors = read_learned(network, graph, onnx_file(spec, graph), source)
    weights = {name: array for stream in spec.streams for name, array in _stream_weights(stream, tensors)}
    check_weights(weights, spec, source)
    return weights


def read_learned(network: bytes, graph: Graph, expected: OnnxFile, source: str) -> dict[str, NDArray[np.float32]]:
    """The learned tensors of a file that is, but for their numbers, `expected`: the file of `graph`.

    Raises:
        ModelError: the file differs elsewhere.
    """
    if len(network) != len(expected.content):
        raise _refused(
            source, f"it has {len(network)} bytes, and the network of its description {len(expected.content)}"
        )
    same = np.frombuffer(network, np.uint8) == np.frombuffer(expected.content, np.uint8)
    for name in graph.learned:
        same[expected.places[name]] = True
    if not same.all():
        raise _refused(source, f"from byte {int(np.argmin(same))} on it is not the network of its description")
    return {
        name: np.frombuffer(network[expected.places[name]], "<f4").reshape(graph.tensors[name].shape).astype(np.float32)
        for name in graph.learned
    }


def _refused(source: str, what: str) -> ModelError:
    return ModelError(f"The network in {source} is refused: {what}.", hint=GET_IT_AGAIN)


def check_weights(weights: Mapping[str, NDArray[np.generic]], network: NetworkSpec, source: str) -> None:
    """Raise ModelError unless these are exactly the network's weights: names, shapes, float32, finite."""
    expected = network.weight_shapes()
    if weights.keys() != expected.keys():
        odd = sorted(weights.keys() ^ expected.keys())
        raise ModelError(f"{source}: missing or unexpected weights: {', '.join(odd[:5])}.", hint=GET_IT_AGAIN)
    for name, shape in expected.items():
        array = weights[name]
        if array.dtype != np.float32 or array.shape != shape:
            raise ModelError(
                f"{source}: {name} is {array.dtype} {array.shape}, expected float32 {shape}.",
                hint=GET_IT_AGAIN,
            )
        if not np.isfinite(array).all():
            raise ModelError(f"{source}: {name} holds numbers that are not finite.", hint=GET_IT_AGAIN)


def _stream_weights(stream: StreamSpec, tensors: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Pairs of name and weight; the tensors' names are those that `layout` gives."""
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
