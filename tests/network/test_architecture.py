"""The PyTorch network: seeds, landmark dropout, weights in and out."""

import numpy as np
import pytest
from network_kit import TWO_STREAMS, random_weights

from lrnet.errors import ModelError
from lrnet.network import PAPER_NETWORK, RELEASED_NETWORK, NetworkSpec, StreamSpec

torch = pytest.importorskip("torch")
from lrnet.network.architecture import LandmarkDropout, LandmarkNetwork  # noqa: E402


@pytest.mark.parametrize("network", [PAPER_NETWORK, RELEASED_NETWORK, TWO_STREAMS])
def test_weights_are_the_ones_described(network):
    built = LandmarkNetwork(network)
    assert {name: array.shape for name, array in built.weights().items()} == network.weight_shapes()
    assert sum(p.numel() for p in built.parameters()) == network.parameters


def test_weights_depend_on_the_seed_alone():
    first = LandmarkNetwork(TWO_STREAMS, seed=5).weights()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    again, other = LandmarkNetwork(TWO_STREAMS, seed=5).weights(), LandmarkNetwork(TWO_STREAMS, seed=6).weights()
    assert torch.equal(torch.get_rng_state(), state)
    name = "streams.positions.gru.weight_ih_l0"
    np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first[name], other[name])


def test_given_weights_come_back():
    weights = random_weights(TWO_STREAMS)
    for name, array in LandmarkNetwork.from_weights(TWO_STREAMS, weights).weights().items():
        np.testing.assert_array_equal(array, weights[name])


def test_weights_of_another_network_are_refused():
    with pytest.raises(ModelError):
        LandmarkNetwork.from_weights(TWO_STREAMS, random_weights(PAPER_NETWORK))


def streams_of_ones(clips=400):
    return {
        name: torch.ones(clips, frames, width)
        for name, frames, width in [("positions", 5, 136), ("acceleration", 3, 143), ("errors", 4, 68), ("few", 2, 9)]
    }


def test_landmark_dropout_drops_whole_points_for_the_whole_clip_from_every_stream():
    dropped = LandmarkDropout(0.25, seed=1)(streams_of_ones())
    points = dropped["positions"].reshape(400, 5, 68, 2)
    gain = points[:, 0, :, 0]
    assert gain.unique().tolist() == pytest.approx([0, 4 / 3])
    assert torch.equal(points, gain[:, None, :, None].expand_as(points))
    assert torch.equal(dropped["acceleration"][..., :136].reshape(400, 3, 68, 2)[:, 0, :, 0], gain)
    assert torch.equal(dropped["acceleration"][..., 136:], torch.ones(400, 3, 7))
    assert torch.equal(dropped["errors"], gain[:, None, :].expand(400, 4, 68))
    assert torch.equal(dropped["few"], torch.ones(400, 2, 9))


def test_landmark_dropout_leaves_out_surroundings_each_by_itself():
    ones = {"around": torch.ones(400, 5, 110), "positions": torch.ones(400, 5, 136)}
    out = LandmarkDropout(0.25, seed=0).train()(ones)
    assert (out["around"] == out["around"][:, :1]).all()  # for the whole clip
    left_out = out["around"][:, 0] == 0
    assert torch.equal(left_out[:, :68], out["positions"][:, 0, ::2] == 0)
    assert left_out[:, 68:].float().mean() == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(left_out[:, 68:], left_out[:, :42])
    assert out["around"].mean() == pytest.approx(1, abs=0.02)


def test_landmark_dropout_keeps_the_mean():
    # 400 x 68 draws of mean 1 and variance p / (1 - p) = 1/3: five standard errors are 0.0175.
    mean = LandmarkDropout(0.25, seed=2)(streams_of_ones())["positions"].mean().item()
    assert mean == pytest.approx(1, abs=0.0175)


def test_landmark_dropout_is_reproducible_and_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    one, two = (LandmarkDropout(0.5, seed=3)(streams_of_ones())["positions"] for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("probability", "training"), [(0.0, True), (0.5, False)])
def test_landmark_dropout_out_of_use_changes_nothing(probability, training):
    streams = streams_of_ones(2)
    assert LandmarkDropout(probability, seed=0).train(training)(streams) is streams


@pytest.mark.parametrize("probability", [-0.1, 1.0, 1.5])
def test_landmark_dropout_refuses_what_is_no_share(probability):
    with pytest.raises(ValueError, match="landmark dropout"):
        LandmarkDropout(probability, seed=0)


@pytest.mark.parametrize("head", ["linear", "mlp", "residual"])
def test_every_weight_learns(head):
    spec = StreamSpec(name="positions", width=136, units=4, head=head, head_hidden=5, learned_initial_state=True)
    network = LandmarkNetwork(NetworkSpec.of(spec), landmark_dropout=0.1)
    output = network({"positions": torch.randn(8, 6, 136)})
    torch.nn.functional.cross_entropy(output.logits["positions"], torch.arange(8) % 2).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
