"""A dataset without videos: stores of sequences that anybody can tell apart, in as many conditions as asked for."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))

from training_kit import PREPROCESSING, quick, record, walk

from lrnet.data import store
from lrnet.data.records import Label, VideoRecord
from lrnet.experiments.paper.data import Data
from lrnet.experiments.paper.runs import Runs
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.training.config import TrainingConfig

FRAMES = 80


def noisy(sequence: LandmarkSequence, seed: int, level: float) -> LandmarkSequence:
    """Detections that jitter, of landmarks that calibration kept as they are."""
    rng = np.random.default_rng(seed)
    detected = sequence.values + rng.normal(0, level, sequence.values.shape).astype(np.float32)
    innovation = (detected - sequence.values)[1:]
    tracked = np.ones(sequence.tracked.shape, bool)
    error = np.abs(innovation[..., 0]) + np.float32(1e-4)
    return replace(sequence, detected=detected, innovation=innovation, tracked=tracked, forward_backward_error=error)


def write(
    folder: Path, videos: int, *, compression: str = "c23", seed: int = 0, splits: bool = True, landmarker: str = "mesh"
) -> Path:
    """Real ones move smoothly, fake ones do not; a real one and its fake are one group; the last third is `val`."""
    for i in range(videos):
        label = Label.FAKE if i % 2 else Label.REAL
        split = ("val" if 3 * i >= 2 * videos else "train") if splits else ""
        about = record(f"{compression}/{i:02}", label, split=split, group=f"g{i // 2}")
        sequence = walk(1000 + 100 * seed + i, 0.3 if label is Label.FAKE else 0.9, FRAMES)
        made_with = {**PREPROCESSING, "landmarker": landmarker}
        store.write(folder, replace(about, compression=compression), [noisy(sequence, i, 0.02)], made_with)
    return folder


def recipe(**changes: object) -> TrainingConfig:
    """Two streams, learnt in a second."""
    streams = [{"name": "differences", "units": 6}, {"name": "acceleration", "units": 6}]
    return quick(streams=streams, fit={"epochs": 2, "batch": 16, "learning_rate": 1e-2, "dropout": 0.1}, **changes)


class Stores(Data):
    """Data whose conditions are stores that were written beforehand, by their name."""

    conditions: dict[str, Path]

    def condition(self, condition, name, records=None, most_frames=None):  # type: ignore[no-untyped-def]
        """One of the stores; of those that nobody wrote the clean one."""
        chosen: tuple[VideoRecord, ...] = tuple(records or self.main)
        folder = self.conditions.get(name, self.conditions["clean"])
        keys = {r.group + r.label for r in chosen}
        videos = tuple(v for v in store.open(folder) if v.record.group + v.record.label in keys)
        return VideoSet(name, videos, most_frames=most_frames or self.most_frames)


def setting(folder: Path, videos: int = 18, **changes: object) -> Setting:
    """A whole setting over stores in the folder."""
    places = {"clean": write(folder / "clean", videos)}
    places["c40"] = write(folder / "c40", videos, compression="c40", seed=1)
    places["face-api"] = write(folder / "face-api", videos, seed=2)
    opened = Data.open([places["clean"]], folder / "cache", most_frames=70)
    data = Stores(opened.name, opened.records, opened.cache, opened.most_frames, _stored=opened._stored)
    data.conditions = places
    return replace(Setting(data, Runs(folder / "cache"), recipe(), folds=2), **changes)  # type: ignore[arg-type]
