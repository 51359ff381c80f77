"""Build `face_api_68.onnx`, the 68-point net of face-api, from the npm package that publishes it.

    python tools/build_face_api_model.py [--package FILE.tgz]

Needs `npm` and the extra `dev` (for `onnx`). The package holds the weights as bytes with a scale and an offset for
each tensor (TensorFlow.js); they stay bytes in the ONNX file, and ONNX Runtime widens them once while loading. The
graph is written here from the architecture: four dense blocks of separable convolutions, an average, one linear layer.

The network reads 112 x 112 RGB and gives 68 points (x, y) as shares of the side.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

PACKAGE: Final = "@vladmandic/face-api@1.7.15"
WEIGHTS_SHA256: Final = "4611ef65c87d836d03d684b30eec4d195d8b219fa1dd58fc58945831c6b9299b"
FOLDER: Final = "package/model"
MODEL: Final = "face_landmark_68_model"
NAME: Final = "face_api_68"
MODELS: Final = Path(__file__).resolve().parent.parent / "src" / "lrnet" / "landmarks" / "models"

INPUT_SIZE: Final = 112  # pixels
MEAN_RGB: Final = (122.782, 117.001, 104.298)  # of its training set, as face-api takes it off
BLOCKS: Final = 4
OPSET: Final = 17


class Graph:
    """An ONNX graph in the making: nodes in order, tensors named by their place."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of one output, whose name is returned."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def scalar(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))


class Weights:
    """The tensors of a TensorFlow.js model as constants of a graph, in ONNX's layout."""

    def __init__(self, manifest: Sequence[dict[str, Any]], data: bytes, graph: Graph) -> None:
        self._graph = graph
        self._tensors: dict[str, tuple[NDArray[np.uint8], float, float]] = {}
        start = 0
        for entry in manifest:
            size = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, np.uint8, size, start).reshape(entry["shape"])
            quantised = entry["quantization"]
            self._tensors[entry["name"]] = values, quantised["scale"], quantised["min"]
            start += size
        if start != len(data):
            raise SystemExit(f"The manifest describes {start} bytes of weights, and there are {len(data)}.")

    def get(self, name: str, axes: Sequence[int] | None = None) -> str:
        """The tensor `name`, its axes in another order, widened to float32."""
        values, scale, low = self._tensors[name]
        graph = self._graph
        ordered = values if axes is None else values.transpose(axes)
        widened = graph.add("Cast", graph.constant(ordered), to=TensorProto.FLOAT)
        return graph.add("Add", graph.add("Mul", widened, graph.scalar(scale)), graph.scalar(low))

    def channels(self, name: str) -> int:
        return int(self._tensors[name][0].shape[2])


def convolution(graph: Graph, weights: Weights, x: str, layer: str, stride: int) -> str:
    """A plain or a separable 3 x 3 convolution, TensorFlow's padding "same"."""
    here = {"auto_pad": "SAME_UPPER", "strides": [stride, stride]}
    if layer == "dense0/conv0":
        return graph.add("Conv", x, weights.get(f"{layer}/filters", (3, 2, 0, 1)), weights.get(f"{layer}/bias"), **here)
    depth = f"{layer}/depthwise_filter"
    x = graph.add("Conv", x, weights.get(depth, (2, 3, 0, 1)), group=weights.channels(depth), **here)
    return graph.add("Conv", x, weights.get(f"{layer}/pointwise_filter", (3, 2, 0, 1)), weights.get(f"{layer}/bias"))


def dense_block(graph: Graph, weights: Weights, x: str, block: str) -> str:
    """Four convolutions, each reading the sum of what those before it gave; the first halves the size."""
    total = graph.add("Relu", convolution(graph, weights, x, f"{block}/conv0", 2))
    read = total
    for i in (1, 2, 3):
        total = graph.add("Add", total, convolution(graph, weights, read, f"{block}/conv{i}", 1))
        read = graph.add("Relu", total)
    return read


def build(manifest: Sequence[dict[str, Any]], data: bytes) -> onnx.ModelProto:
    """The model: `image` (N, 112, 112, 3) uint8 RGB to `points` (N, 68, 2), shares of the side."""
    graph = Graph()
    weights = Weights(manifest, data, graph)
    x = graph.add("Cast", "image", to=TensorProto.FLOAT)
    x = graph.add("Sub", x, graph.constant(np.array(MEAN_RGB, np.float32)))
    x = graph.add("Transpose", graph.add("Div", x, graph.scalar(255)), perm=[0, 3, 1, 2])
    for i in range(BLOCKS):
        x = dense_block(graph, weights, x, f"dense{i}")
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    x = graph.add("Gemm", x, weights.get("fc/weights"), weights.get("fc/bias"))
    shape = graph.constant(np.array([-1, 68, 2], np.int64))
    graph.nodes.append(helper.make_node("Reshape", [x, shape], ["points"]))
    size = INPUT_SIZE
    described = helper.make_graph(
        graph.nodes,
        NAME,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", size, size, 3])],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["batch", 68, 2])],
        graph.constants,
    )
    model = helper.make_model(described, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="lrnet")
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def download(folder: Path) -> Path:
    """The package's archive, fetched by npm."""
    done = subprocess.run(["npm", "pack", PACKAGE, "--silent"], cwd=folder, check=True, capture_output=True, text=True)
    return folder / done.stdout.strip().splitlines()[-1]


def read_package(archive: Path) -> tuple[list[dict[str, Any]], bytes]:
    """The manifest of the weights and the weights, checked by sha256."""
    with tarfile.open(archive) as tar:
        manifest_file = tar.extractfile(f"{FOLDER}/{MODEL}-weights_manifest.json")
        data_file = tar.extractfile(f"{FOLDER}/{MODEL}.bin")
        if manifest_file is None or data_file is None:
            raise SystemExit(f"{archive} does not hold {MODEL}.")
        manifest, data = json.load(manifest_file), data_file.read()
    found = hashlib.sha256(data).hexdigest()
    if found != WEIGHTS_SHA256:
        raise SystemExit(f"{MODEL}.bin has sha256 {found}, expected {WEIGHTS_SHA256}.")
    return manifest[0]["weights"], data


def describe(content: bytes) -> dict[str, Any]:
    """What `models.json` says of the model."""
    return {
        "title": "face-api, 68 points",
        "file": f"{NAME}.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "source": {"package": f"npm {PACKAGE}", "member": f"{FOLDER}/{MODEL}.bin", "sha256": WEIGHTS_SHA256},
        "licence": "MIT",
        "model_card": "none; the training data are not disclosed",
        "input": {
            "name": "image",
            "type": "uint8",
            "layout": "batch, height, width, RGB",
            "shape": ["batch", INPUT_SIZE, INPUT_SIZE, 3],
        },
        "outputs": {"points": ["batch", 68, 2]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="the package's .tgz, if it is here already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        manifest, data = read_package(options.package or download(Path(folder)))
    content = build(manifest, data).SerializeToString(deterministic=True)
    (MODELS / f"{NAME}.onnx").write_bytes(content)
    index = json.loads((MODELS / "models.json").read_text())
    index["models"][NAME] = describe(content)
    (MODELS / "models.json").write_text(json.dumps(index, indent=2) + "\n")
    print(f"{NAME}.onnx: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
