"""From weights to an ONNX file, without PyTorch and without the `onnx` package."""

from __future__ import annotations

from lrnet.network.graph import Weights, layout
from lrnet.network.onnx_file import onnx_file
from lrnet.network.spec import NetworkSpec
from lrnet.network.weights import check_weights


def to_onnx(spec: NetworkSpec, weights: Weights) -> bytes:
    """The network as the bytes of an ONNX file (see `onnx_file`); the same arguments give the same bytes.

    Args:
        spec: the network.
        weights: by name, as `spec.weight_shapes()` lists them.

    Raises:
        ModelError: the weights are not the network's.
    """
    check_weights(weights, spec, "The network to export")
    return onnx_file(spec, layout(spec, weights)).content
