"""The appearance network as a graph: the first eleven blocks of EfficientNet-Lite0 (Tan and Le, "EfficientNet", ICML
2019; Lite0 has no squeeze-and-excitation, and ReLU6), and one logit for each of 8 x 8 cells of the crop.

Batch normalisation is part of the convolutions' weights here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrnet.appearance.crops import CROP_SIZE
from lrnet.errors import ModelError
from lrnet.network.graph import Attribute, Graph, Node
from lrnet.network.onnx_file import OnnxFile, write_graph
from lrnet.network.weights import read_learned

INPUT: Final = "crops"
OUTPUT: Final = "cells"
CELLS: Final = CROP_SIZE // 16
"""Cells to a side: each stands for 16 x 16 pixels of the crop, and sees more."""

STEM: Final = 32
HEAD: Final = 256


class Stage(NamedTuple):
    """Blocks of one width; the first has the stride."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    blocks: int


STAGES: Final = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
)


class Convolution(NamedTuple):
    """One convolution: its name, its channels before and after, and how it moves over the picture.

    Attributes:
        clipped: whether ReLU6 follows.
        adds: name of the value that is added afterwards; "" for none.
    """

    name: str
    channels: int
    out: int
    kernel: int
    stride: int
    groups: int
    clipped: bool
    adds: str = ""

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.out, self.channels // self.groups, self.kernel, self.kernel

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Pixels before and after, as TensorFlow pads even sides: the ImageNet weights were trained so."""
        total = self.kernel - self.stride
        return total // 2, total // 2, total - total // 2, total - total // 2


def convolutions() -> Iterator[Convolution]:
    """The network's convolutions, in order."""
    yield Convolution("stem", 3, STEM, 3, 2, 1, True)
    channels, value, number = STEM, "stem", 0
    for stage in STAGES:
        for i in range(stage.blocks):
            name, wide = f"block{number}", channels * stage.expansion
            stride = stage.stride if i == 0 else 1
            if stage.expansion > 1:
                yield Convolution(f"{name}.widen", channels, wide, 1, 1, 1, True)
            yield Convolution(f"{name}.each", wide, wide, stage.kernel, stride, wide, True)
            adds = value if stride == 1 and channels == stage.channels else ""
            yield Convolution(f"{name}.narrow", wide, stage.channels, 1, 1, 1, False, adds)
            channels, value, number = stage.channels, f"{name}.sum" if adds else f"{name}.narrow", number + 1
    yield Convolution("head", channels, HEAD, 1, 1, 1, True)
    yield Convolution("vote", HEAD, 1, 1, 1, 1, False)


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight."""
    return {
        key: shape
        for c in convolutions()
        for key, shape in ((f"{c.name}.weight", c.weight_shape), (f"{c.name}.bias", (c.out,)))
    }


def layout(weights: Mapping[str, NDArray[np.float32]]) -> Graph:
    """The graph: (K, 3, CROP_SIZE, CROP_SIZE) RGB in [0, 255] to (K, CELLS, CELLS) logits.

    Args:
        weights: by name, as `weight_shapes` lists them.
    """
    nodes: list[Node] = []
    tensors: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "middle": np.asarray(127, np.float32),
        "spread": np.asarray(128, np.float32),
        "zero": np.asarray(0, np.float32),
        "six": np.asarray(6, np.float32),
        "channel": np.asarray([1], np.int64),
    }

    def node(operator: str, name: str, *inputs: str, **attributes: Attribute) -> str:
        nodes.append(Node(operator, inputs, (name,), f"{name}.node", attributes))
        return name

    value = node("Div", "scaled", node("Sub", "centred", INPUT, "middle"), "spread")
    for c in convolutions():
        for part in ("weight", "bias"):
            tensors[f"{c.name}.{part}"] = weights[f"{c.name}.{part}"]
        raw = f"{c.name}.raw" if c.clipped else c.name
        value = node(
            "Conv",
            raw,
            value,
            f"{c.name}.weight",
            f"{c.name}.bias",
            group=c.groups,
            kernel_shape=(c.kernel, c.kernel),
            pads=c.pads,
            strides=(c.stride, c.stride),
        )
        if c.clipped:
            value = node("Clip", c.name, value, "zero", "six")
        if c.adds:
            value = node("Add", f"{c.name.split('.')[0]}.sum", value, c.adds)
    node("Squeeze", OUTPUT, value, "channel")
    return Graph(tuple(nodes), tensors, frozenset(weight_shapes()))


def to_onnx(weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The network as the bytes of an ONNX file; the same weights give the same bytes.

    Raises:
        ModelError: the weights are not the network's.
    """
    shapes = {name: array.shape for name, array in weights.items() if array.dtype == np.float32}
    if shapes != weight_shapes():
        raise ModelError(
            "These are not the weights of an appearance network.", hint="Train one with `lrnet train-appearance`."
        )
    return _file(layout(weights)).content


def read_weights(network: bytes, source: str) -> dict[str, NDArray[np.float32]]:
    """The weights in an ONNX file. What passes is safe to run.

    Raises:
        ModelError: the file is not, byte by byte but for the weights, what `to_onnx` writes.
    """
    graph = layout({name: np.zeros(shape, np.float32) for name, shape in weight_shapes().items()})
    found = read_learned(network, graph, _file(graph), source)
    if not all(np.isfinite(array).all() for array in found.values()):
        raise ModelError(f"The network in {source} has weights that are not finite.", hint="Get the model again.")
    return found


def _file(graph: Graph) -> OnnxFile:
    return write_graph(graph, {INPUT: ("count", 3, CROP_SIZE, CROP_SIZE)}, {OUTPUT: ("count", CELLS, CELLS)})
