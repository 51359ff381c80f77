"""From weights to an ONNX graph, without PyTorch: the graph is small enough to be written out by hand (`layout`).

So its bytes depend on nothing but the description and the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import MissingDependencyError
from lrnet.extras import install_command
from lrnet.network.graph import FUSED_OUTPUT, IR_VERSION, OPSET, Weights, stream_output
from lrnet.network.layout import layout
from lrnet.network.spec import NetworkSpec
from lrnet.network.weights import check_weights


def to_onnx(spec: NetworkSpec, weights: Weights) -> bytes:
    """The network as a serialised ONNX model; the same arguments give the same bytes.

    Inputs: one for each stream, under its name, (clips, frames, width) float32, not scaled; clips and frames
    are free, and frames may differ between streams. Outputs: "probability" (clips,), fused, and for each
    stream "probability.<stream>" (clips,).

    Args:
        spec: the network.
        weights: by name, as `spec.weight_shapes()` lists them.

    Raises:
        ModelError: the weights are not the network's.
        MissingDependencyError: the `onnx` package is not installed.
    """
    check_weights(weights, spec, "The network to export")
    onnx = _import_onnx()
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    graph = layout(spec, weights)
    written = helper.make_graph(
        [helper.make_node(n.operator, n.inputs, n.outputs, name=n.name, **n.attributes) for n in graph.nodes],
        "lrnet",
        [
            helper.make_tensor_value_info(stream.name, real, ["clips", f"frames_{stream.name}", stream.width])
            for stream in spec.streams
        ],
        [
            helper.make_tensor_value_info(name, real, ["clips"])
            for name in (FUSED_OUTPUT, *map(stream_output, spec.stream_names))
        ],
        [_tensor(onnx, name, values) for name, values in graph.tensors.items()],
    )
    model = helper.make_model(
        written,
        producer_name="lrnet",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _tensor(onnx: Any, name: str, values: NDArray[Any]) -> Any:
    kind = onnx.TensorProto.FLOAT if values.dtype == np.float32 else onnx.TensorProto.INT64
    little_endian = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    return onnx.helper.make_tensor(name, kind, values.shape, little_endian.tobytes(), raw=True)


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "Writing a network needs the package onnx.", hint=f"Install it: {install_command('train')}"
        ) from error
    return onnx
