"""The appearance network: its file, and what it computes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.appearance.crops import CROP_SIZE
from lrnet.appearance.graph import CELLS, read_weights, to_onnx, weight_shapes
from lrnet.appearance.network import AppearanceNetwork
from lrnet.errors import ModelError
from tests.appearance.kit import drawn_weights


def crops(count: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, CROP_SIZE, CROP_SIZE, 3), np.uint8)


@pytest.fixture(scope="module")
def file() -> bytes:
    return to_onnx(drawn_weights())


def test_it_is_small_and_its_weights_come_back(file: bytes) -> None:
    assert sum(int(np.prod(shape)) for shape in weight_shapes().values()) < 0.75e6
    assert len(file) < 3_000_000
    found = read_weights(file, "x")
    assert found.keys() == drawn_weights().keys()
    for name, array in drawn_weights().items():
        np.testing.assert_array_equal(found[name], array)
    assert to_onnx(found) == file


def test_a_crop_s_logit_is_the_mean_of_its_cells_and_its_own(file: bytes) -> None:
    network = AppearanceNetwork(file, "x")
    some = crops()
    cells = network.cells(some[0])
    assert cells.shape == (CELLS, CELLS)
    logits = network.logits(some)
    assert logits[0] == pytest.approx(cells.mean(), abs=1e-6)
    np.testing.assert_array_equal(network.logits(some[::-1]), logits[::-1])
    assert network.logits(some[:0]).shape == (0,)


def test_pytorch_computes_the_same() -> None:
    torch = pytest.importorskip("torch")
    from lrnet.training.appearance.architecture import AppearanceModel

    torch.manual_seed(0)
    model = AppearanceModel()
    model.train()
    pictures = torch.from_numpy(crops()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        for _ in range(3):
            model(pictures)  # so that batch normalisation has something to fold
        model.eval()
        expected = model(pictures).mean((1, 2)).numpy()
    found = AppearanceNetwork(to_onnx(model.weights()), "x").logits(crops())
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("at", [0, 200, 3000])
def test_another_graph_is_not_run(file: bytes, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrnet.appearance.network.open_session", lambda *_: pytest.fail("it was opened"))
    changed = bytearray(file)
    changed[at] ^= 1
    for bad in (bytes(changed), file[:-1], file + b"\0", b""):
        with pytest.raises(ModelError, match="refused"):
            AppearanceNetwork(bad, "x")


def test_weights_that_are_not_finite_or_of_another_shape_are_refused() -> None:
    weights = drawn_weights()
    weights["stem.bias"][0] = np.nan
    with pytest.raises(ModelError, match="finite"):
        AppearanceNetwork(to_onnx(weights), "x")
    with pytest.raises(ModelError, match="not the weights"):
        to_onnx({**drawn_weights(), "stem.bias": np.zeros(3, np.float32)})
    with pytest.raises(ModelError, match="not the weights"):
        to_onnx({"stem.bias": np.zeros(32, np.float32)})
