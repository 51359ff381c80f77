"""Scores of clips, and how several become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrnet.network.clips import cut_clips
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.streams import embed_clips
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import ClipSpec


@dataclass(frozen=True, slots=True)
class ClipScore:
    """The network's score of one clip.

    Attributes:
        start, stop: seconds of the first and of the last frame.
        frames: how many frames.
        score: fused output of the network, in [0, 1]; higher means more like the fakes in training. Not a probability.
        streams: the score of each stream alone.
    """

    start: float
    stop: float
    frames: int
    score: float
    streams: dict[str, float]


@dataclass(frozen=True, slots=True)
class CropScore:
    """The appearance network's word on one crop.

    Attributes:
        time: seconds.
        logit: above 0 for what looks more like the fakes in training than like its real faces.
    """

    time: float
    logit: float


def score_clips(runtime: NetworkRuntime, sequence: LandmarkSequence, cutting: ClipSpec) -> list[ClipScore]:
    """The score of each clip of a sequence, in order of time; none if no run of frames is long enough.

    Detection, evaluation, cross-validation and experiments all score with this function.
    """
    found: list[ClipScore] = []
    for batch in embed_clips(sequence, cut_clips(sequence, cutting), runtime.spec.stream_names):
        scores = runtime.score(batch.streams)
        for i, clip in enumerate(batch.clips):
            start, stop = float(sequence.times[clip.start]), float(sequence.times[clip.stop - 1])
            streams = {name: float(p[i]) for name, p in scores.per_stream.items()}
            found.append(ClipScore(start, stop, len(clip), float(scores.probability[i]), streams))
    return sorted(found, key=lambda clip: clip.start)


def aggregate(scores: Sequence[float], weights: Sequence[float], method: str) -> float:
    """One score in [0, 1] from the clips' scores, weighted by their frames.

    `method` is the bundle's: "mean_probability" or "mean_logit".
    """
    values = np.asarray(scores, np.float64)
    weight = np.asarray(weights, np.float64)
    if method == "mean_probability":
        return float(np.average(values, weights=weight))
    return float(1 / (1 + np.exp(-np.average(logit(values), weights=weight))))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The value below which half of the weight lies; halfway between two that part it evenly."""
    order = np.argsort(values, kind="stable")
    values, reached = values[order], np.cumsum(weights[order])
    half = reached[-1] / 2
    first = int(np.searchsorted(reached, half))
    if reached[first] == half and first + 1 < len(values):
        return float((values[first] + values[first + 1]) / 2)
    return float(values[first])


def logit(p: np.ndarray | float) -> np.ndarray:
    """Natural log odds; probabilities are held within 1e-6 of 0 and 1."""
    clipped = np.clip(np.asarray(p, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def sigmoid(x: float) -> float:
    """The probability whose natural log odds are `x`."""
    return float(0.5 * (1 + np.tanh(0.5 * x)))
