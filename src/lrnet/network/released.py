"""The weights that the authors of LRNet released (g1.pth and g2.pth) as a `ModelBundle`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import MissingDependencyError, ModelError
from lrnet.extras import install_command
from lrnet.network.bundle import LARGEST_NETWORK, ModelBundle, read_bounded, require_name
from lrnet.network.spec import RELEASED_NETWORK, AggregationSpec, BundleSpec
from lrnet.network.weights import check_weights, to_onnx
from lrnet.sequence.settings import CalibrationSpec, Preprocessing

_OUR_NAMES = {
    "hidden_state": "initial_state",
    "dense.1.fn.net.0.weight": "head.hidden.weight",
    "dense.1.fn.net.0.bias": "head.hidden.bias",
    "dense.1.fn.net.3.weight": "head.back.weight",
    "dense.1.fn.net.3.bias": "head.back.bias",
    "dense.3.weight": "head.output.weight",
    "dense.3.bias": "head.output.bias",
}
RELEASED_LANDMARKER = "openface"
_HINT = "Pass the files g1.pth and g2.pth of the reference implementation's release."


def import_released(
    g1_path: str | Path,
    g2_path: str | Path,
    name: str,
    *,
    directory: str | Path,
    preprocessing: Preprocessing | None = None,
    description: str | None = None,
    created: date | None = None,
    card: str = "",
    replace: bool = False,
) -> ModelBundle:
    """Turn a released pair of weights into a bundle.

    g1 reads the T positions of a clip and g2 the T - 1 differences; the score is the mean of both probabilities. The
    landmarks were OpenFace's, rounded to whole pixels of a 400-pixel crop: every coordinate in the released landmark
    files is a multiple of 2 / 400.

    Args:
        g1_path, g2_path: the two files.
        name: of the new model.
        directory: the bundle's folder.
        preprocessing: None for that of the released landmarks.
        created: None for today.
        replace: whether a bundle in `directory` is replaced.

    Raises:
        ModelError: the name is invalid, or a file does not hold exactly the released network's weights.
        MissingDependencyError: PyTorch or onnx is not installed.
        OutputError: the bundle cannot be written.
    """
    require_name(name)
    weights = {
        **_read_stream(Path(g1_path), "positions"),
        **_read_stream(Path(g2_path), "differences"),
    }
    check_weights(weights, RELEASED_NETWORK, f"{g1_path} and {g2_path}")
    spec = BundleSpec(
        name=name,
        version="1",
        description=description or "Weights released with the reference implementation of LRNet (Sun et al.).",
        licence="MIT",
        created=created or date.today(),
        network=RELEASED_NETWORK,
        preprocessing=preprocessing or released_preprocessing(),
        aggregation=AggregationSpec(method="mean_probability"),
    )
    return ModelBundle.save(spec, to_onnx(RELEASED_NETWORK, weights), card, directory, replace=replace)


def released_preprocessing(clip_length: int = 30) -> Preprocessing:
    """How the released landmarks were made: OpenFace's, rounded to whole pixels of the crop, calibrated."""
    return Preprocessing(
        landmarker=RELEASED_LANDMARKER,
        landmarker_version="any",
        round_to_pixels=True,
        calibration=CalibrationSpec(window=15, min_eigenvalue=1e-4),  # the released code's, and OpenCV's default
        clip_length=clip_length,
        clip_stride=clip_length,
        min_clip_length=max(2, clip_length // 2),
    )


def _read_stream(file: Path, stream: str) -> dict[str, NDArray[np.float32]]:
    weights = {}
    for name, array in _read_arrays(file).items():
        if name == "hidden_state" and array.ndim == 3 and array.shape[1] == 1:
            array = array[:, 0, :]
        weights[f"streams.{stream}.{_OUR_NAMES.get(name, name)}"] = array
    return weights


def _read_arrays(file: Path) -> Mapping[str, NDArray[np.float32]]:
    """The tensors of a .pth file; nothing in it is executed (`weights_only`)."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "Reading .pth files needs PyTorch.", hint=f"Install it: {install_command('train')}"
        ) from error
    content = read_bounded(file, LARGEST_NETWORK)
    try:
        loaded = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as error:  # a damaged file raises any of a dozen types
        raise ModelError(f"{file} is not a file of PyTorch weights.", hint=_HINT) from error
    if not isinstance(loaded, Mapping):
        raise ModelError(f"{file} holds a {type(loaded).__name__}, not weights by name.", hint=_HINT)
    for name, tensor in loaded.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ModelError(f"{file} holds more than weights: {str(name)[:50]!r}.", hint=_HINT)
        if tensor.layout != torch.strided or tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ModelError(f"{file}: {name[:50]} is not a plain float32 tensor.", hint=_HINT)
        if tensor.numel() > LARGEST_NETWORK:
            raise ModelError(f"{file}: {name[:50]} has shape {tuple(tensor.shape)}.", hint=_HINT)
    return {name: tensor.detach().numpy().copy() for name, tensor in loaded.items()}
