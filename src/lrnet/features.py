"""From landmarks to what the network reads: stabilised crop, normalised sequence, embeddings, clips.

A landmark is a point (x, y), 68 to a face in the order of iBUG 300-W. `normalised` means: coordinates of the
stabilised crop, [-1, 1] from edge to edge, so that 1 is half the crop's side (0.6 of the face's size).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.errors import DatasetError, SequenceError
from lrnet.surroundings import NUM_SURROUNDINGS

Array = NDArray[np.float32]

NUM_LANDMARKS: Final = 68

FACIAL_GROUPS: Final = MappingProxyType(
    {
        "jaw": slice(0, 17),
        "right brow": slice(17, 22),
        "left brow": slice(22, 27),
        "nose": slice(27, 36),
        "right eye": slice(36, 42),
        "left eye": slice(42, 48),
        "mouth": slice(48, 68),
    }
)
"""The paper's seven facial groups as ranges of the 68 landmarks; right and left are the person's own."""


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How the face is cut from the frame.

    Attributes:
        scale: crop side over face size (the longer side of the landmarks' bounding box); the paper's code takes 1.2.
        size: side of the resampled crop, pixels: the unit in which calibration works.
        hold: the crop's centre stays where it is until the face's centre is further away than this share of the face
            size; jitter of the centre would otherwise move all landmarks at once.
        resize: the side of the crop is measured anew when the face's size leaves it by more than this factor.
        side: of the crop, frame pixels, if it is known beforehand and shall not change; None takes it from the face.
        margin: pixels that are cut beyond each edge of the crop, for what surrounds the face. A multiple of 8 leaves
            what optical flow measures within the crop as it is without: its pyramid halves the picture three times.
    """

    scale: float = 1.2
    size: int = 400
    hold: float = 0.006
    resize: float = 1.15
    side: float | None = None
    margin: int = 0


def finite_frames(points: Array) -> NDArray[np.bool_]:
    """(N,) whether every number of a frame of (N, …) is finite."""
    finite: NDArray[np.bool_] = np.isfinite(points.reshape(len(points), math.prod(points.shape[1:])))
    return np.asarray(np.logical_and.reduce(finite, axis=1), bool)


def face_box(landmarks: Array) -> tuple[NDArray[np.float64], float]:
    """Centre (2,) of the landmarks' bounding box and its longer side, in the landmarks' own units."""
    low, high = landmarks.min(axis=0).astype(np.float64), landmarks.max(axis=0).astype(np.float64)
    return (low + high) / 2, float((high - low).max())


class StabilisedCrop:
    """A square window that follows one face: fixed size, centre held against jitter.

    Attributes:
        centre: (2,) frame pixels.
        side: frame pixels.
        face_size: longer side of the bounding box of the last landmarks, frame pixels.
    """

    def __init__(self, settings: CropSettings, landmarks: Array) -> None:
        self.settings = settings
        self.centre, self.face_size = face_box(landmarks)
        self.side = settings.side or max(settings.scale * self.face_size, 8.0)

    def follow(self, landmarks: Array) -> bool:
        """Move to the face's new place, (68, 2) frame pixels. True if the side had to change as well."""
        centre, size = face_box(landmarks)
        self.face_size = size
        if math.dist(centre, self.centre) > self.settings.hold * size:
            self.centre = centre
        if self.settings.side is not None:
            return False
        ratio = self.settings.scale * size / self.side
        if not 1 / self.settings.resize < ratio < self.settings.resize:
            self.side = max(self.settings.scale * size, 8.0)
            return True
        return False

    @property
    def zoom(self) -> float:
        """Crop pixels for one pixel of the frame."""
        return self.settings.size / self.side

    @property
    def middle(self) -> float:
        """Where the centre lies in what is cut, pixels, x and y alike."""
        return self.settings.size / 2 + self.settings.margin

    def to_crop(self, points: Array) -> Array:
        """Frame pixels to pixels of what is cut, (…, 2)."""
        return ((points - self.centre) * self.zoom + self.middle).astype(np.float32)

    def to_frame(self, points: Array) -> Array:
        """Pixels of what is cut to frame pixels, (…, 2)."""
        return ((points - self.middle) / self.zoom + self.centre).astype(np.float32)

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window of `image`, (H, W) or (H, W, C), with its margin, resampled to a square of `size` + 2 `margin`.

        Edge pixels go on outside the frame.

        A face larger than twice the crop is averaged down first, so that resampling does not skip pixels.
        """
        size, zoom = self.settings.size + 2 * self.settings.margin, self.zoom
        origin = np.zeros(2)
        bins = int(1 / zoom)
        if bins > 1:
            image, origin = _averaged_window(image, self.centre, size / zoom, bins)
            zoom *= bins
        # Pixel i of the averaged window has its centre at origin + bins * i + (bins - 1) / 2.
        centre = (self.centre - origin - (bins - 1) / 2) / bins if bins > 1 else self.centre
        shift = size / 2 - zoom * centre
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        warped = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return warped.astype(np.uint8, copy=False)


def _averaged_window(
    image: NDArray[np.uint8], centre: NDArray[np.float64], side: float, bins: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of `image` around the window, each `bins` by `bins` pixels averaged; and its first pixel (x, y)."""
    low = np.clip(np.floor(centre - side / 2).astype(int) - bins, 0, None)
    high = np.ceil(centre + side / 2).astype(int) + bins
    part = image[low[1] : high[1], low[0] : high[0]]
    rows, columns = (max(1, n // bins) for n in part.shape[:2])
    part = part[: rows * bins, : columns * bins]
    averaged = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return averaged.astype(np.uint8, copy=False), low.astype(np.float64)


@dataclass(frozen=True, slots=True)
class LandmarkSequence:
    """One face over one stretch of time, calibrated and normalised: what stores hold and networks read.

    Attributes:
        values: (N, 68, 2) float32, normalised; NaN where `valid` is False.
        detected: (N, 68, 2) float32, the landmarks before calibration, normalised alike.
        times: (N,) float64 seconds, rising.
        valid: (N,) bool, False where the face was not found (a gap, not a copy).
        confidence: (N,) float32 in [0, 1], the landmarker's own; 0 at gaps.
        forward_backward_error: (N - 1, 68) float32, normalised: how far a point lands from where it started when
            tracked one frame on and back; NaN where either frame is a gap.
        innovation: (N - 1, 68, 2) float32, normalised: detected minus predicted; NaN likewise.
        tracked: (N - 1, 68) bool, whether the prediction passed the forward-backward check and was used.
        frame_indices: (N,) int64, index of the video's frame.
        centres: (N, 2) float32 frame pixels, centre of the crop.
        half_side: frame pixels that 1.0 stands for.
        face: which face of the video, from 0.
        surround_error: (N - 1, 42) float32, forward-backward error of the `surroundings`, normalised; NaN likewise and
            where a point could not be followed. None where it was not measured.
    """

    values: Array
    detected: Array
    times: NDArray[np.float64]
    valid: NDArray[np.bool_]
    confidence: Array
    forward_backward_error: Array
    innovation: Array
    tracked: NDArray[np.bool_]
    frame_indices: NDArray[np.int64]
    centres: Array
    half_side: float
    face: int = 0
    surround_error: Array | None = None

    def __post_init__(self) -> None:
        n = len(self.times)
        shapes = {
            "values": (n, NUM_LANDMARKS, 2),
            "detected": (n, NUM_LANDMARKS, 2),
            "valid": (n,),
            "confidence": (n,),
            "forward_backward_error": (max(n - 1, 0), NUM_LANDMARKS),
            "innovation": (max(n - 1, 0), NUM_LANDMARKS, 2),
            "tracked": (max(n - 1, 0), NUM_LANDMARKS),
            "frame_indices": (n,),
            "centres": (n, 2),
        }
        if self.surround_error is not None:
            shapes["surround_error"] = (max(n - 1, 0), NUM_SURROUNDINGS)
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                raise SequenceError(
                    f"A sequence of {n} frames needs {name} of shape {shape}, not {found}.",
                    hint="Give every array one row a frame (or one row a pair of frames).",
                )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def face_size(self) -> float:
        """Mean size of the face in frame pixels (longer side of the landmarks' bounding box)."""
        found = self.values[self.valid]
        if not len(found):
            return 0.0
        spans = (found.max(axis=1) - found.min(axis=1)).max(axis=1)
        return float(spans.mean() * self.half_side)

    def image_motion(self) -> float:
        """How far optical flow says that a landmark moves in a frame relative to the others: median, normalised.

        It looks at pixels, not at detections: near zero for a picture of a face, however much its landmarks jitter.
        NaN if there is no pair of frames.
        """
        shift = self.centres[:, None, :] / np.float32(self.half_side)
        step = (self.detected[1:] - self.innovation + shift[1:]) - (self.values + shift)[:-1]
        step = step[finite_frames(step)]
        if not len(step):
            return float("nan")
        step = step - np.median(step, axis=1, keepdims=True)
        return float(np.median(np.linalg.norm(step, axis=2)))

    def deformation(self, lag: int) -> float:
        """How much the face changes its shape over `lag` frames: median, normalised; NaN without a pair of frames.

        Each frame's landmarks are mapped onto those `lag` frames later by the polynomial of second degree that fits
        best. That takes up what a camera does to anything that is rigid: shift, turn, size, and nearly all of a plane's
        perspective and of a slowly turning head. Of the 68 distances that are left, and of all frames, the median.
        """
        pairs = self.valid[lag:] & self.valid[:-lag]
        start, end = (part[pairs].astype(np.float64) for part in (self.values[:-lag], self.values[lag:]))
        if not len(start):
            return float("nan")
        x, y = np.moveaxis(start - start.mean(axis=1, keepdims=True), 2, 0)
        terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=2)
        turned = terms.transpose(0, 2, 1)
        # The ridge is for landmarks that lie on a line, as no face's do.
        fitted = terms @ np.linalg.solve(turned @ terms + 1e-9 * np.eye(terms.shape[2]), turned @ end)
        return float(np.median(np.linalg.norm(end - fitted, axis=2)))

    def frame_landmarks(self) -> Array:
        """The calibrated landmarks in frame pixels, (N, 68, 2), NaN at gaps."""
        return (self.values * self.half_side + self.centres[:, None, :]).astype(np.float32)

    def uncalibrated(self) -> LandmarkSequence:
        """The same sequence with the landmarks as they were detected: what calibration adds is the difference."""
        return replace(self, values=self.detected)

    @classmethod
    def from_values(
        cls, values: Array, *, times: NDArray[np.float64] | None = None, rate: float = 25.0
    ) -> LandmarkSequence:
        """A sequence of which only normalised landmarks are known, (N, 68, 2) or (N, 136) with x and y in turn.

        Frames with a value that is not finite become gaps. Tracker measurements are zero.

        Raises:
            SequenceError: the shape is another.
        """
        points = np.asarray(values, np.float32)
        if points.shape[1:] not in ((NUM_LANDMARKS, 2), (2 * NUM_LANDMARKS,)):
            raise SequenceError(
                f"Landmarks of shape {points.shape} cannot be read.", hint="Give (N, 68, 2) or (N, 136)."
            )
        points = points.reshape(-1, NUM_LANDMARKS, 2)
        n = len(points)
        valid = finite_frames(points)
        points = np.where(valid[:, None, None], points, np.float32(np.nan))
        pairs = max(n - 1, 0)
        return cls(
            values=points,
            detected=points,
            times=np.arange(n) / rate if times is None else np.asarray(times, np.float64),
            valid=valid,
            confidence=valid.astype(np.float32),
            forward_backward_error=np.zeros((pairs, NUM_LANDMARKS), np.float32),
            innovation=np.zeros((pairs, NUM_LANDMARKS, 2), np.float32),
            tracked=np.ones((pairs, NUM_LANDMARKS), bool),
            frame_indices=np.arange(n),
            centres=np.zeros((n, 2), np.float32),
            half_side=1.0,
        )


def main_face(sequences: Sequence[LandmarkSequence]) -> list[LandmarkSequence]:
    """The sequences of the face that is seen in most frames; the larger one of equals."""
    weight: dict[int, float] = {}
    for s in sequences:
        weight[s.face] = weight.get(s.face, 0.0) + s.valid.sum() * (1 + 1e-6 * s.face_size)
    if not weight:
        return []
    best = max(weight, key=lambda face: weight[face])
    return [s for s in sequences if s.face == best]


# Embeddings

LEAST_LEVEL: Final = 1e-5  # normalised crop units: a landmark file of five decimals resolves no less


def positions(sequence: LandmarkSequence) -> Array:
    """Embedding A of the paper, (N, 136): each frame's landmarks, x and y in turn."""
    return sequence.values.reshape(len(sequence), 2 * NUM_LANDMARKS)


def differences(sequence: LandmarkSequence) -> Array:
    """Embedding B of the paper, (N, 136): row t is frame t minus frame t - 1; row 0 is NaN."""
    return _flat(_after_gap(np.diff(sequence.values, axis=0), 1), len(sequence))


def acceleration(sequence: LandmarkSequence) -> Array:
    """Relative acceleration over the track's own noise level, (N, 136 + 7); rows 0 and 1 are NaN.

    The second difference of each landmark, less the mean over the 68 (so that the head's motion is gone), divided by
    its median magnitude over the sequence. The last seven columns say for each facial group how its own level compares:
    the natural logarithm of (the group's median magnitude, normalised crop units, over 0.003). What differs between
    sources is mostly how noisy everything is; what differs between real and fake is how noise is spread over the face.
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
    """What the tracker did not foresee, (N, 136): row t is detected minus predicted at frame t; row 0 is NaN."""
    return _flat(_after_gap(sequence.innovation, 1), len(sequence))


def forward_backward(sequence: LandmarkSequence) -> Array:
    """Forward-backward error from frame t - 1 to t, (N, 68); row 0 is NaN."""
    return _after_gap(sequence.forward_backward_error, 1)[: len(sequence)]


def relative_innovation(sequence: LandmarkSequence) -> Array:
    """Innovation over the track's own noise level, (N, 136), held within 10; row 0 is NaN."""
    return _flat(_after_gap(np.clip(sequence.innovation / noise_level(sequence), -10, 10), 1), len(sequence))


def relative_forward_backward(sequence: LandmarkSequence) -> Array:
    """Natural logarithm of the forward-backward error over the track's own noise level, (N, 68); row 0 is NaN.

    The ratio is held within a thousand either way.
    """
    ratio = np.clip(sequence.forward_backward_error / noise_level(sequence), 1e-3, 1e3)
    return _after_gap(np.log(ratio), 1)[: len(sequence)]


def forward_backward_around(sequence: LandmarkSequence) -> Array:
    """Forward-backward error of the landmarks beside that of the `surroundings`, (N, 68 + 42); row 0 is NaN.

    Natural logarithm of (the error over the median of all of them over the sequence), held within 5; a point that could
    not be followed has the median of its frame. All rows are NaN where the surroundings were not measured.
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
    """An embedding that a network can read.

    Attributes:
        embed: takes a sequence of N frames to (N, width) rows.
        width: numbers a frame.
        lag: rows that a clip lacks at its start, because they look back that many frames.
        around: whether it reads what surrounds the face.
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


# Clips


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames `start` to `stop` (exclusive) of a sequence, none of them a gap."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """How a sequence is cut.

    Attributes:
        length: frames of a clip.
        stride: frames from one clip's start to the next one's.
        min_length: a run of frames shorter than `length` becomes one shorter clip, if it has this many.
        max_gap: seconds between two frames beyond which they do not belong to the same clip.
    """

    length: int = 60
    stride: int = 60
    min_length: int = 30
    max_gap: float = 0.15


def runs(sequence: LandmarkSequence, max_gap: float) -> list[Clip]:
    """The longest stretches without a gap, in order."""
    if not len(sequence):
        return []
    breaks = ~sequence.valid[1:] | ~sequence.valid[:-1] | (np.diff(sequence.times) > max_gap)
    edges = np.flatnonzero(np.concatenate([[True], breaks, [True]]))
    return [Clip(int(a), int(b)) for a, b in pairwise(edges) if sequence.valid[int(a)]]


def cut_clips(sequence: LandmarkSequence, settings: ClipSettings) -> list[Clip]:
    """Clips that cover every frame of every run of at least `min_length` frames.

    A run that the stride does not fill ends with one more clip, aligned to the run's end and overlapping the one
    before: no tail is dropped.
    """
    clips: list[Clip] = []
    for run in runs(sequence, settings.max_gap):
        if len(run) < settings.min_length:
            continue
        if len(run) <= settings.length:
            clips.append(run)
            continue
        starts = list(range(run.start, run.stop - settings.length + 1, settings.stride))
        if starts[-1] + settings.length < run.stop:
            starts.append(run.stop - settings.length)
        clips += [Clip(start, start + settings.length) for start in starts]
    return clips


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
        DatasetError: a stream reads what was not measured.
    """
    unknown = [name for name in names if name not in STREAMS]
    if unknown:
        raise SequenceError(f"There is no stream {unknown[0]!r}.", hint=f"Known are {', '.join(STREAMS)}.")
    if clips and sequence.surround_error is None and any(STREAMS[name].around for name in names):
        raise DatasetError(
            "These landmarks come without what surrounds the face, which the network reads.",
            hint="Extract them anew from their videos with this version of lrnet.",
        )
    rows = {name: STREAMS[name].embed(sequence) for name in names}
    batches = []
    for length in sorted({len(clip) for clip in clips}, reverse=True):
        some = tuple(clip for clip in clips if len(clip) == length)
        streams = {name: np.stack([rows[name][c.start + STREAMS[name].lag : c.stop] for c in some]) for name in names}
        batches.append(ClipBatch(some, streams))
    return batches
