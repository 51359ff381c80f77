"""The inputs of the network: embeddings of a sequence ("streams") and their rows for each clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np

from lrnet.errors import DatasetError, SequenceError
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.network.clips import Clip
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, Array, LandmarkSequence, finite_frames
from lrnet.sequence.surroundings import NUM_SURROUNDINGS

LEAST_LEVEL: Final = 1e-5  # normalised crop units: a landmark file of five decimals resolves no less


def positions(sequence: LandmarkSequence) -> Array:
    """Embedding A of the paper, (N, 136): each frame's landmarks, x and y in turn."""
    return sequence.values.reshape(len(sequence), 2 * NUM_LANDMARKS)


def differences(sequence: LandmarkSequence) -> Array:
    """Embedding B of the paper, (N, 136): row t is frame t minus frame t - 1; row 0 is NaN."""
    return _flat(_after_gap(np.diff(sequence.values, axis=0), 1), len(sequence))


def acceleration(sequence: LandmarkSequence) -> Array:
    """Relative acceleration over the track's own noise level, (N, 136 + 7); rows 0 and 1 are NaN.

    The second difference of each landmark, less the mean over the 68 (which removes the head's motion), divided by its
    median magnitude over the sequence. The last seven columns are the level of each facial group: the natural logarithm
    of (the group's median magnitude, normalised, over 0.003). Sources differ mostly in the noise of all landmarks; real
    and fake faces differ in its distribution over the face.
    """
    second, usable = _relative_acceleration(sequence)
    groups = [_level(usable[:, where]) for where in FACIAL_GROUPS.values()]
    rows = np.clip(second / _level(usable), -10, 10).reshape(len(second), 2 * NUM_LANDMARKS)
    spread = np.broadcast_to(np.log(np.array(groups) / 0.003), (len(rows), len(groups)))
    known = finite_frames(second)
    rows = np.where(known[:, None], np.concatenate([rows, spread], axis=1), np.nan)
    return _after_gap(rows.astype(np.float32), 2)[: len(sequence)]


def noise_level(sequence: LandmarkSequence) -> float:
    """Median magnitude of the relative acceleration (see `acceleration`), normalised crop units; at least 1e-5."""
    return _level(_relative_acceleration(sequence)[1])


def _relative_acceleration(sequence: LandmarkSequence) -> tuple[Array, Array]:
    """Second differences less their mean over the face (N - 2, 68, 2), and their magnitudes where all are known."""
    second = np.diff(sequence.values, n=2, axis=0)
    second = second - second.mean(axis=1, keepdims=True)
    magnitude = np.linalg.norm(second, axis=2)
    return second, magnitude[finite_frames(magnitude)]


def _level(magnitudes: Array) -> float:
    return max(float(np.median(magnitudes)), LEAST_LEVEL) if len(magnitudes) else LEAST_LEVEL


def innovation(sequence: LandmarkSequence) -> Array:
    """Innovation, (N, 136): row t is detected minus predicted at frame t; row 0 is NaN."""
    return _flat(_after_gap(sequence.innovation, 1), len(sequence))


def forward_backward(sequence: LandmarkSequence) -> Array:
    """Forward-backward error from frame t - 1 to t, (N, 68); row 0 is NaN."""
    return _after_gap(sequence.forward_backward_error, 1)[: len(sequence)]


def relative_innovation(sequence: LandmarkSequence) -> Array:
    """Innovation over the track's own noise level, (N, 136), clipped to [-10, 10]; row 0 is NaN."""
    return _flat(_after_gap(np.clip(sequence.innovation / noise_level(sequence), -10, 10), 1), len(sequence))


def relative_forward_backward(sequence: LandmarkSequence) -> Array:
    """Natural logarithm of the forward-backward error over the track's own noise level, (N, 68); row 0 is NaN.

    The ratio is clipped to [0.001, 1000].
    """
    ratio = np.clip(sequence.forward_backward_error / noise_level(sequence), 1e-3, 1e3)
    return _after_gap(np.log(ratio), 1)[: len(sequence)]


def forward_backward_around(sequence: LandmarkSequence) -> Array:
    """Forward-backward error of the landmarks beside that of the `surroundings`, (N, 68 + 42); row 0 is NaN.

    Natural logarithm of (the error over the median of all of them over the sequence), clipped to [-5, 5]; a point that
    could not be followed has the median of its frame. All rows are NaN if the surroundings were not measured.
    """
    around = sequence.surround_error
    if around is None:
        return np.full((len(sequence), NUM_LANDMARKS + NUM_SURROUNDINGS), np.nan, np.float32)
    error = np.log(np.clip(np.concatenate([sequence.forward_backward_error, around], axis=1), 5e-6, 0.5))
    known = finite_frames(sequence.forward_backward_error)
    rows = np.full_like(error, np.nan)
    if known.any():
        error = error[known]
        usual = np.nanmedian(error, axis=1, keepdims=True)
        error = np.where(np.isfinite(error), error, usual)
        rows[known] = np.clip(error - np.median(error), -5, 5)
    return _after_gap(rows, 1)[: len(sequence)]


def _flat(rows: Array, frames: int) -> Array:
    """(frames, 136) of at least as many rows of points."""
    return rows[:frames].reshape(frames, 2 * NUM_LANDMARKS)


def _after_gap(rows: Array, lag: int) -> Array:
    head = np.full((lag, *rows.shape[1:]), np.nan, np.float32)
    return np.concatenate([head, rows.astype(np.float32, copy=False)])


@dataclass(frozen=True, slots=True)
class Stream:
    """An embedding.

    Attributes:
        embed: from a sequence of N frames to (N, width) rows.
        lag: number of earlier frames that a row depends on; a clip lacks so many rows at its start.
        around: whether it needs the surroundings of the face.
    """

    embed: Callable[[LandmarkSequence], Array]
    width: int
    lag: int
    around: bool = False


STREAMS: Final = MappingProxyType(
    {
        "positions": Stream(positions, 136, 0),
        "differences": Stream(differences, 136, 1),
        "acceleration": Stream(acceleration, 136 + len(FACIAL_GROUPS), 2),
        "innovation": Stream(innovation, 136, 1),
        "forward_backward": Stream(forward_backward, 68, 1),
        "relative_innovation": Stream(relative_innovation, 136, 1),
        "relative_forward_backward": Stream(relative_forward_backward, 68, 1),
        "forward_backward_around": Stream(forward_backward_around, NUM_LANDMARKS + NUM_SURROUNDINGS, 1, around=True),
    }
)
"""Every embedding by name; "positions" and "differences" are the paper's A and B."""


@dataclass(frozen=True, slots=True)
class ClipBatch:
    """Clips of one length with their embeddings.

    Attributes:
        clips: B clips.
        streams: for each stream, (B, length - lag, width) float32, finite.
    """

    clips: tuple[Clip, ...]
    streams: dict[str, Array] = field(default_factory=dict)


def embed_clips(sequence: LandmarkSequence, clips: list[Clip], names: tuple[str, ...]) -> list[ClipBatch]:
    """The rows of each clip in each stream, one batch for each length of clip.

    Raises:
        SequenceError: a stream's name is unknown.
        DatasetError: a stream needs the surroundings of the face, and they were not measured.
    """
    unknown = [name for name in names if name not in STREAMS]
    if unknown:
        raise SequenceError(f"There is no stream {unknown[0]!r}.", hint=f"Known are {', '.join(STREAMS)}.")
    if clips and sequence.surround_error is None and any(STREAMS[name].around for name in names):
        raise DatasetError(
            "These landmarks come without what surrounds the face, which the network reads.",
            hint="Extract the landmarks again with this version of lrnet.",
        )
    rows = {name: STREAMS[name].embed(sequence) for name in names}
    batches = []
    for length in sorted({len(clip) for clip in clips}, reverse=True):
        some = tuple(clip for clip in clips if len(clip) == length)
        streams = {name: np.stack([rows[name][c.start + STREAMS[name].lag : c.stop] for c in some]) for name in names}
        batches.append(ClipBatch(some, streams))
    return batches
