"""Sequences that anybody can tell apart, stores of them, and a configuration that learns them in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet.data import store
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store import StoredVideo
from lrnet.network.spec import NetworkSpec
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.training.clips import ClipTable
from lrnet.training.config import TrainingConfig

PREPROCESSING = Preprocessing(landmarker_version="1", clip_length=60, clip_stride=30, min_clip_length=30).model_dump(
    mode="json"
)


def record(
    key: str, label: Label, source: str = "one", *, split: str = "train", group: str | None = None
) -> VideoRecord:
    return VideoRecord(Path(key), key, label, "" if label is Label.REAL else "swap", source, split, group or key)


def walk(seed: int, smoothness: float, frames: int = 60) -> LandmarkSequence:
    """Landmarks around a fixed shape with noise whose neighbours in time agree by `smoothness` (AR(1))."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(0).uniform(-0.8, 0.8, (68, 2))
    noise = rng.normal(0, 0.01, (frames, 68, 2))
    for t in range(1, frames):
        noise[t] = smoothness * noise[t - 1] + np.sqrt(1 - smoothness**2) * noise[t]
    return LandmarkSequence.from_values((shape + noise).astype(np.float32))


def write_store(
    folder: Path, videos: int, *, source: str = "one", real_only: bool = False, split: str = "train", first: int = 0
) -> list[StoredVideo]:
    """Real ones move smoothly, fake ones do not; a real one and its fake are one identity group."""
    for i in range(first, first + videos):
        label = Label.FAKE if i % 2 and not real_only else Label.REAL
        smoothness = 0.0 if label is Label.FAKE else 0.98
        group = f"{source}-{i if real_only else i // 2}"
        store.write(
            folder,
            record(f"{source}{i:02}", label, source, split=split, group=group),
            [walk(1000 * len(source) + i, smoothness)],
            PREPROCESSING,
        )
    return list(store.open(folder))


def quick(**changes: object) -> TrainingConfig:
    """Learns `write_store` in a few epochs of a tenth of a second."""
    values: dict[str, object] = {
        "name": "quick",
        "description": "For tests.",
        "streams": [{"name": "differences", "units": 8}],
        "clips": {"length": 20, "stride": 10, "min_length": 20},
        "augmentation": {"mirror": False, "landmark_dropout": 0.0},
        "fit": {"epochs": 5, "batch": 16, "learning_rate": 3e-2, "dropout": 0.1},
        **changes,
    }
    return TrainingConfig.model_validate(values)


def predict(spec: NetworkSpec, weights: dict[str, NDArray[np.float32]], table: ClipTable) -> NDArray[np.float32]:
    """(C,) fake probability of each clip, by PyTorch."""
    import torch

    from lrnet.network.architecture import LandmarkNetwork

    network = LandmarkNetwork.from_weights(spec, weights).eval()
    with torch.inference_mode():
        return network({n: torch.from_numpy(v) for n, v in table.streams.items()}).probability.numpy()
