"""What the runtime takes and refuses."""

import contextlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from network_kit import TWO_STREAMS, make_bundle, random_streams, random_weights

from lrnet.errors import ModelError, SequenceError
from lrnet.extras import install_command
from lrnet.network import NetworkRuntime, NetworkSpec, StreamSpec
from lrnet.network.weights import read_weights


def test_a_clip_s_score_does_not_depend_on_its_neighbours(bundle):
    runtime = NetworkRuntime(bundle)
    streams = random_streams(TWO_STREAMS, 37, 30)
    together = runtime.score(streams).probability
    alone = [runtime.score({n: a[i : i + 1] for n, a in streams.items()}).probability[0] for i in range(37)]
    backwards = runtime.score({n: a[::-1] for n, a in streams.items()}).probability
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards[::-1])


def test_no_clips_no_scores(bundle):
    found = NetworkRuntime(bundle).score(random_streams(TWO_STREAMS, 0, 30))
    assert found.probability.shape == (0,)
    assert found.per_stream["positions"].shape == (0,)


def _with(name, array):
    return {**random_streams(TWO_STREAMS, 2, 9), name: array}


def _nan():
    array = np.zeros((2, 9, 6), np.float32)
    array[1, 3, 2] = np.nan
    return array


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ({}, "got none"),
        ({"positions": np.zeros((2, 9, 6), np.float32)}, "reads the streams positions, differences"),
        (_with("acceleration", np.zeros((2, 9, 6), np.float32)), "got positions, differences, acceleration"),
        (_with("positions", np.zeros((2, 9, 6))), "is float64, expected float32"),
        (_with("positions", np.zeros((2, 9, 7), np.float32)), "shape (2, 9, 7), expected (clips, frames, 6)"),
        (_with("positions", np.zeros((9, 6), np.float32)), "shape (9, 6)"),
        (_with("positions", np.zeros((2, 0, 6), np.float32)), "shape (2, 0, 6)"),
        (_with("positions", np.zeros((3, 9, 6), np.float32)), "differ in their number of clips"),
        (_with("positions", _nan()), "not finite in clips [1]"),
        (_with("positions", np.full((2, 9, 6), np.inf, np.float32)), "not finite in clips [0, 1]"),
    ],
)
def test_streams_that_do_not_fit_are_refused(bundle, streams, message):
    with pytest.raises(SequenceError) as error:
        NetworkRuntime(bundle).score(streams)
    assert message in str(error.value)


def test_saturated_streams_stay_probabilities(tmp_path):
    names = ("a", "b", "c")
    network = NetworkSpec.of(*(StreamSpec(name=name, width=2, units=1) for name in names))
    weights = random_weights(network)
    for name in names:
        weights[f"streams.{name}.head.output.bias"][:] = -1000, 1000
    found = NetworkRuntime(make_bundle(tmp_path / "b", network, weights)).score(random_streams(network, 2, 9))
    np.testing.assert_array_equal(found.probability, [1, 1])


def test_weights_beyond_float32_s_range_are_an_error_not_a_score(tmp_path):
    weights = random_weights(TWO_STREAMS)
    weights["streams.positions.head.output.weight"][:] = 3e38
    weights["streams.positions.head.output.bias"][:] = 3e38
    runtime = NetworkRuntime(make_bundle(tmp_path / "b", TWO_STREAMS, weights))
    streams = random_streams(TWO_STREAMS, 30, 9)
    with pytest.raises(ModelError, match="no probability"):
        runtime.score(streams)


def _model(nodes, tensors=(), outputs=("probability",)):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["clips", "frames", 4])],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        list(tensors),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _external(folder):
    """A graph whose tensor lies in a file of the current directory."""
    onnx = pytest.importorskip("onnx")
    (folder / "secret.bin").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="secret.bin")
    return _model([onnx.helper.make_node("Add", ["x", "w"], ["probability"])], [tensor])


def _operator(name, **attributes):
    onnx = pytest.importorskip("onnx")
    return _model([onnx.helper.make_node(name, ["x"], ["probability"], **attributes)])


def _subgraph_in_a_known_operator():
    onnx = pytest.importorskip("onnx")
    model = _operator("Relu")
    model.graph.node[0].attribute.append(onnx.helper.make_attribute("body", model.graph))
    return model


def _function():
    onnx = pytest.importorskip("onnx")
    model = _operator("Relu")
    helper = onnx.helper
    node = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("f", "Relu", ["x"], ["y"], [node], [helper.make_opsetid("", 17)]))
    return model


def _foreign_domain():
    onnx = pytest.importorskip("onnx")
    return _model([onnx.helper.make_node("Relu", ["x"], ["probability"], domain="com.example")])


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: _external(folder).SerializeToString(),
        lambda folder: _operator("Loop").SerializeToString(),
        lambda folder: _operator("Erf").SerializeToString(),
        lambda folder: _subgraph_in_a_known_operator().SerializeToString(),
        lambda folder: _function().SerializeToString(),
        lambda folder: _foreign_domain().SerializeToString(),
        lambda folder: _operator("Relu").SerializeToString(),
        lambda folder: _operator("Relu").SerializeToString()[:-3],
        lambda folder: b"",
        lambda folder: b"\xff" * 100,
        lambda folder: b"not a model at all",
        lambda folder: b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
    ids=range(12),
)
@pytest.mark.parametrize("padded", [False, True])
def test_foreign_graphs_are_refused_before_they_run(bundle, tmp_path, monkeypatch, make, padded):
    """Padded to the length of the network that is expected, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lrnet.network.runtime.open_session", lambda *_: pytest.fail("it was opened"))
    network = make(tmp_path)
    if padded:
        network += b"\0" * (len(bundle.network) - len(network))
    with pytest.raises(ModelError, match="refused"):
        NetworkRuntime(replace(bundle, network=network))


def _changed(bundle, change):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(bundle.network)
    change(model.graph, onnx.helper)
    return model.SerializeToString()


def _doubling(graph, helper):
    """Thirty doublings: a number grows to the size of 4 GiB; all operators are permitted ones."""
    value = graph.node[-1].output[0]
    for i in range(30):
        graph.node.append(helper.make_node("Concat", [value, value], [f"twice_{i}"], name=f"n{i}", axis=0))
        value = f"twice_{i}"


def _huge_expansion(graph, helper):
    graph.initializer.append(helper.make_tensor("huge", 7, [1], np.int64([2**40]).tobytes(), raw=True))
    graph.node.append(helper.make_node("Expand", [graph.node[-1].output[0], "huge"], ["more"], name="more"))


def _many_nodes(graph, helper):
    graph.node.extend(helper.make_node("Identity", ["positions"], [f"i{i}"], name=f"i{i}") for i in range(10**4))


def _other_order_of_inputs(graph, helper):
    node = next(n for n in graph.node if n.op_type == "Sub" or n.op_type == "Gemm")
    node.input[0], node.input[1] = node.input[1], node.input[0]


def _other_setting(graph, helper):
    next(n for n in graph.node if n.op_type == "GRU").attribute[-1].i = 0


def _other_scale(graph, helper):
    next(t for t in graph.initializer if t.name == "differences.scale").raw_data = np.float32(0.1).tobytes()


def _other_vote(graph, helper):
    next(t for t in graph.initializer if t.name == "positions.vote").raw_data = np.float32(np.nan).tobytes()


def _wild_reshape(graph, helper):
    next(t for t in graph.initializer if t.name == "positions.state_shape").raw_data = np.int64([-1, 1]).tobytes()


@pytest.mark.parametrize(
    "change",
    [
        *(_doubling, _huge_expansion, _many_nodes, _other_order_of_inputs),
        *(_other_setting, _other_scale, _other_vote, _wild_reshape),
    ],
)
def test_a_graph_that_is_not_the_description_s_is_refused_before_it_runs(bundle, change, monkeypatch):
    network = _changed(bundle, change)
    monkeypatch.setattr("lrnet.network.runtime.open_session", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(ModelError, match="refused"):
        NetworkRuntime(replace(bundle, network=network))


def test_another_set_of_operators_is_refused(bundle):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(bundle.network)
    model.opset_import[0].version = 1
    with pytest.raises(ModelError, match="refused"):
        NetworkRuntime(replace(bundle, network=model.SerializeToString()))


def test_without_the_check_onnx_runtime_would_read_the_file(tmp_path, monkeypatch):
    """Why graphs are walked at all. If this fails one day, ONNX Runtime has closed the hole and `graph` can go."""
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(_external(tmp_path).SerializeToString(), options)
    found = session.run(None, {"x": np.zeros((1, 1, 4), np.float32)})[0]
    np.testing.assert_array_equal(found.ravel(), [0, 1, 2, 3])


def test_damaged_graphs_never_crash(bundle):
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(bundle.network)
        for _ in range(random.integers(1, 20)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        with contextlib.suppress(ModelError):
            runtime = NetworkRuntime(replace(bundle, network=bytes(damaged)))
            runtime.score(random_streams(TWO_STREAMS, 1, 3))


def test_detection_does_without_torch_and_onnx(bundle):
    code = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "import numpy as np\n"
        "from lrnet.network import NetworkRuntime, load_model\n"
        f"runtime = NetworkRuntime(load_model({str(bundle.path)!r}))\n"
        "zeros = lambda width: np.zeros((1, 5, width), np.float32)\n"
        "print(runtime.score({'positions': zeros(6), 'differences': zeros(4)}).probability.shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1,)"


def test_a_missing_extra_is_named():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from lrnet.errors import MissingDependencyError\n"
        "try:\n    import lrnet.network.architecture\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert install_command("train") in done.stdout


def test_a_description_cannot_ask_for_more_memory_than_its_network_has(bundle, monkeypatch):
    """16 streams of 4096 inputs and 1024 units are 2 GB of weights: nothing is made of that size."""
    monkeypatch.setattr("lrnet.network.weights.layout", lambda *_: pytest.fail("it was laid out"))
    huge = NetworkSpec.of(*(StreamSpec(name=f"s{i}", width=4096, units=1024) for i in range(16)))
    with pytest.raises(ModelError, match="cannot hold its"):
        read_weights(bundle.network, huge, "a stranger's bundle")
