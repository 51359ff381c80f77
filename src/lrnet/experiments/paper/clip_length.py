"""Figure 7: clips of 15 to 120 frames, clips and videos, clean and compressed."""

from __future__ import annotations

from typing import Final

import numpy as np

from lrnet.data.records import Label
from lrnet.errors import DatasetError
from lrnet.evaluation.metrics import Estimate
from lrnet.experiments.paper.draw import draw_lines
from lrnet.experiments.paper.result import Result, Seeds, Unit
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.training.config import ClipConfig, TrainingConfig

LENGTHS: Final = (15, 30, 60, 90, 120)
LONG_ENOUGH: Final = 0.9  # of the videos
MEASURED: Final[dict[Unit, tuple[str, ...]]] = {"clip": ("accuracy", "AUC"), "video": ("accuracy", "AUC")}


def of_length(config: TrainingConfig, frames: int) -> TrainingConfig:
    """The configuration with clips of so many frames, each half a clip after the last."""
    clips = ClipConfig(length=frames, stride=max(1, frames // 2), min_length=max(8, frames // 2))
    return config.model_copy(update={"clips": clips})


def possible(videos: VideoSet, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """The lengths that nearly every video has frames for. Raises DatasetError if fewer than two."""
    frames = np.array([max((len(s) for s in face.sequences), default=0) for face in videos.faces()])
    found = tuple(n for n in lengths if (frames >= n).mean() >= LONG_ENOUGH)
    if len(found) < 2:
        raise DatasetError(
            f"The videos have {np.median(frames):.0f} frames (median): too few to compare lengths of clips.",
            hint="Raise --frames, or use longer videos.",
        )
    return found


def run(setting: Setting, lengths: tuple[int, ...] = LENGTHS) -> Result:
    """Networks of each length, trained on the videos as they are, tested on them and on compressed ones."""
    clean, compressed = setting.data.clean(), setting.heavily_compressed()
    lengths, streams = possible(clean, lengths), setting.config.stream_names
    fakes = sum(r.label is Label.FAKE for r in setting.data.main) / len(setting.data.main)
    result = Result(
        "clip-length",
        "Length of clips (the paper's Figure 7)",
        setting.protocol() + " Clips follow each other by half their length. Accuracy is that of scores at 0.5.",
        setting.about(clean, compressed, streams=list(streams), lengths=list(lengths)),
        notes=(
            f"Streams: {' + '.join(streams)}. Trained on the videos as they are. "
            f"{fakes:.0%} of the videos are fake: what calls everything fake has that accuracy.",
            "Every length has the same number of epochs. Longer clips are fewer, so that their networks take fewer "
            "steps: a fall at the long end may be that.",
        ),
    )
    found: dict[tuple[str, int], Seeds] = {}
    for frames in lengths:
        for tested in (clean, compressed):
            seeds = setting.runs.scored(clean, tested, of_length(setting.config, frames), setting.plans())
            found[(tested.name, frames)] = seeds
            result.add({"tested on": tested.name, "frames": str(frames)}, seeds, MEASURED)
    first, last = lengths[0], lengths[-1]
    drawn: dict[str, dict[float, Estimate]] = {}
    for unit in MEASURED:
        for tested in (clean, compressed):
            one, other = found[(tested.name, last)], found[(tested.name, first)]
            longer = result.differ(f"{last} - {first} frames, {tested.name}", one, other, unit, "accuracy")
            result.ask(f"Longer clips tell more, by {unit}, {tested.name} (Figure 7).", longer)
            drawn[f"{unit}s, {tested.name}"] = {
                float(row.labels["frames"]): row.estimate
                for row in result.rows
                if (row.unit, row.figure, row.labels["tested on"]) == (unit, "accuracy", tested.name)
            }
    axes = ("frames of a clip", "accuracy, 95 % interval")
    result.draw = lambda folder: draw_lines(drawn, folder, result.name, axes)
    return result
