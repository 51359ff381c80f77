"""The released weights give the reference implementation's own scores."""

import json
from datetime import date

import numpy as np
import pytest

from lrnet.errors import ModelError
from lrnet.network import NetworkRuntime
from lrnet.network.released import import_released

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

CLIP = 30  # frames a clip in clip_scores.json


@pytest.fixture(scope="module", params=["ffpp", "dfo"])
def released(request, upstream, tmp_path_factory):
    folder = upstream / "weights" / request.param
    target = tmp_path_factory.mktemp("released") / "bundle"
    return request.param, import_released(folder / "g1.pth", folder / "g2.pth", "released", directory=target)


def clips(upstream, landmarks, starts):
    # float32 before the differences are taken, as the reference does
    values = np.loadtxt(upstream / "landmarks" / landmarks, dtype=np.float32)
    positions = np.stack([values[start : start + CLIP] for start in starts])
    return {"positions": positions, "differences": np.diff(positions, axis=1)}


LANDMARKS = ["ff_real.txt", "ff_fake.txt", "dfo_real.txt", "dfo_fake.txt"]


@pytest.fixture(scope="module")
def golden(upstream):
    return json.loads((upstream / "clip_scores.json").read_text())


@pytest.mark.parametrize("landmarks", LANDMARKS)
def test_runtime_gives_the_reference_s_scores(released, golden, upstream, landmarks):
    """To 1e-5: the reference's own scores move by 4e-6 with its batch size, and lie 3e-5 off those in float64."""
    name, bundle = released
    expected = golden[name][landmarks]
    found = NetworkRuntime(bundle).score(clips(upstream, landmarks, expected["clip_start"]))
    np.testing.assert_allclose(found.per_stream["positions"], expected["g1_fake"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(found.per_stream["differences"], expected["g2_fake"], atol=1e-5, rtol=0)
    mean = np.mean([expected["g1_fake"], expected["g2_fake"]], axis=0)
    np.testing.assert_allclose(found.probability, mean, atol=1e-5, rtol=0)


@pytest.mark.parametrize("landmarks", LANDMARKS)
def test_pytorch_gives_the_reference_s_scores(released, golden, upstream, landmarks):
    """All clips of a file in one batch, as the reference scored them.

    Processors round float32 differently: 5e-9 was seen on one kind, 2e-6 on another.
    """
    from lrnet.network.architecture import LandmarkNetwork

    name, bundle = released
    expected = golden[name][landmarks]
    streams = clips(upstream, landmarks, expected["clip_start"])
    network = LandmarkNetwork.from_weights(bundle.spec.network, bundle.weights).eval()
    with torch.no_grad():
        found = network({name: torch.from_numpy(array) for name, array in streams.items()})
    np.testing.assert_allclose(found.per_stream["positions"], expected["g1_fake"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(found.per_stream["differences"], expected["g2_fake"], atol=1e-5, rtol=0)


def test_import_says_how_the_landmarks_were_made(released):
    _, bundle = released
    assert bundle.spec.preprocessing.round_to_pixels
    assert bundle.spec.preprocessing.clip_length == CLIP
    assert bundle.spec.network.parameters == 82_308
    assert bundle.spec.licence == "MIT"


def test_import_twice_gives_the_same_model(upstream, tmp_path):
    folder = upstream / "weights" / "ffpp"
    made = [
        import_released(folder / "g1.pth", folder / "g2.pth", "r", directory=tmp_path / name, created=date(2026, 1, 2))
        for name in ("one", "two")
    ]
    assert made[0].content_hash == made[1].content_hash


SHAPES = {
    "hidden_state": (2, 1, 32),
    **{f"gru.weight_ih_l0{way}": (96, 136) for way in ("", "_reverse")},
    **{f"gru.weight_hh_l0{way}": (96, 32) for way in ("", "_reverse")},
    **{f"gru.bias_{side}_l0{way}": (96,) for side in ("ih", "hh") for way in ("", "_reverse")},
    **{f"dense.1.fn.net.{layer}.weight": (64, 64) for layer in (0, 3)},
    **{f"dense.1.fn.net.{layer}.bias": (64,) for layer in (0, 3)},
    "dense.3.weight": (2, 64),
    "dense.3.bias": (2,),
}


class Evil:
    def __reduce__(self):
        return print, ("executed",)


def saved(path, content):
    torch.save(content, path)
    return path


def good():
    return {name: torch.zeros(shape) for name, shape in SHAPES.items()}


def write_and_return(path, content):
    path.write_bytes(content)
    return path


FAULTS = {
    "missing file": (lambda p: p, "missing"),
    "empty file": (lambda p: write_and_return(p, b""), "not a file of PyTorch weights"),
    "other file": (lambda p: write_and_return(p, b"PK\x03\x04 no zip"), "not a file of PyTorch weights"),
    "code": (lambda p: saved(p, {"x": Evil()}), "not a file of PyTorch weights"),
    "a tensor": (lambda p: saved(p, torch.zeros(2)), "holds a Tensor"),
    "a list in it": (lambda p: saved(p, {**good(), "more": [1, 2]}), "more than weights"),
    "a number for a name": (lambda p: saved(p, {3: torch.zeros(2)}), "more than weights"),
    "one missing": (lambda p: saved(p, {n: t for n, t in good().items() if n != "dense.3.bias"}), "head.output.bias"),
    "one more": (lambda p: saved(p, {**good(), "more": torch.zeros(2)}), "more"),
    "shape": (lambda p: saved(p, {**good(), "dense.3.bias": torch.zeros(3)}), "expected float32"),
    "initial state": (lambda p: saved(p, {**good(), "hidden_state": torch.zeros(2, 3, 32)}), "expected float32"),
    "type": (lambda p: saved(p, {**good(), "dense.3.bias": torch.zeros(2).double()}), "plain float32"),
    "NaN": (lambda p: saved(p, {**good(), "dense.3.bias": torch.full((2,), torch.nan)}), "not finite"),
    "huge": (lambda p: saved(p, {**good(), "dense.3.bias": torch.zeros(1).expand(10**9)}), "has shape"),
}


@pytest.mark.parametrize(("make", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_files_that_are_not_the_released_weights_are_refused(tmp_path, capsys, make, message):
    fine = saved(tmp_path / "g1.pth", good())
    with pytest.raises(ModelError, match=message):
        import_released(fine, make(tmp_path / "g2.pth"), "released", directory=tmp_path / "bundle")
    assert "executed" not in capsys.readouterr().out
    assert not (tmp_path / "bundle").exists()
