"""The ONNX graph against plain NumPy and against PyTorch."""

import numpy as np
import pytest
from network_kit import TWO_STREAMS, make_bundle, random_streams, random_weights
from numpy_network import scores

from lrnet.errors import ModelError
from lrnet.network import PAPER_NETWORK, RELEASED_NETWORK, NetworkRuntime, NetworkSpec, StreamSpec
from lrnet.network.weights import to_onnx

ONE = StreamSpec(name="acceleration", width=7, units=4, head="mlp", head_hidden=3)
ODD_SCALES = StreamSpec(
    name="differences", width=3, units=2, scale=(0.005, 1.0, 3.0), shift=(0.001, -1.0, 2.0), learned_initial_state=True
)
NETWORKS = {
    "one": NetworkSpec.of(ONE),
    "one, logit": NetworkSpec.of(ONE, fusion="mean_logit"),
    "two": TWO_STREAMS,
    "two, weighted logits": NetworkSpec.of(*TWO_STREAMS.streams, fusion="mean_logit", fusion_weights=(1, 3)),
    "three": NetworkSpec.of(*TWO_STREAMS.streams, ONE, fusion_weights=(2, 0, 1)),
    "scale and shift by input": NetworkSpec.of(ODD_SCALES),
    "one shift": NetworkSpec.of(StreamSpec(name="positions", width=3, units=2, shift=0.5, scale=2.0)),
    "released": RELEASED_NETWORK,
    "paper": PAPER_NETWORK,
}


@pytest.mark.parametrize(("clips", "frames"), [(1, 1), (3, 2), (2, 30), (5, 61)])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_runtime_is_the_network_of_the_equations(network, clips, frames, tmp_path):
    weights = random_weights(network)
    streams = random_streams(network, clips, frames)
    found = NetworkRuntime(make_bundle(tmp_path / "b", network, weights)).score(streams)
    fused, per_stream = scores(network, weights, streams)
    np.testing.assert_allclose(found.probability, fused, atol=1e-5)
    assert list(found.per_stream) == list(per_stream)
    for name, expected in per_stream.items():
        np.testing.assert_allclose(found.per_stream[name], expected, atol=1e-5)


@pytest.mark.parametrize("frames", [3, 30, 120])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_runtime_is_the_network_that_was_trained(network, frames, tmp_path):
    torch = pytest.importorskip("torch")
    from lrnet.network.architecture import LandmarkNetwork

    trained = LandmarkNetwork(network, dropout=0.5, landmark_dropout=0.3, seed=3).eval()
    streams = random_streams(network, 4, frames)
    found = NetworkRuntime(make_bundle(tmp_path / "b", network, trained.weights())).score(streams)
    with torch.no_grad():
        expected = trained({name: torch.from_numpy(array) for name, array in streams.items()})
    np.testing.assert_allclose(found.probability, expected.probability.numpy(), atol=1e-5)
    for name, values in expected.per_stream.items():
        np.testing.assert_allclose(found.per_stream[name], values.numpy(), atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_same_weights_same_bytes(network):
    weights = random_weights(network)
    again = {name: array.copy() for name, array in reversed(weights.items())}
    assert to_onnx(network, weights) == to_onnx(network, again)
    assert to_onnx(network, weights) != to_onnx(network, random_weights(network, seed=1))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_onnx_package_reads_it_and_writes_the_same_bytes(network):
    onnx = pytest.importorskip("onnx")
    written = to_onnx(network, random_weights(network))
    model = onnx.load_from_string(written)
    onnx.checker.check_model(model, full_check=True)
    assert model.SerializeToString(deterministic=True) == written


def test_graph_does_not_outgrow_its_weights():
    assert len(to_onnx(RELEASED_NETWORK, random_weights(RELEASED_NETWORK))) < 4 * 82_308 + 10_000


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.pop("streams.positions.head.output.bias"),
        lambda w: w.update({"streams.positions.head.output.bias": np.zeros(3, np.float32)}),
        lambda w: w.update({"streams.positions.head.output.bias": np.zeros(2)}),
        lambda w: w.update({"streams.positions.head.output.bias": np.float32([np.nan, 0])}),
        lambda w: w.update({"more": np.zeros(2, np.float32)}),
    ],
    ids=["missing", "shape", "float64", "nan", "unexpected"],
)
def test_foreign_weights_are_refused(change):
    weights = random_weights(TWO_STREAMS)
    change(weights)
    with pytest.raises(ModelError):
        to_onnx(TWO_STREAMS, weights)
