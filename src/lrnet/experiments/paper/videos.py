"""The videos of an experiment in one condition, with one kind of landmarks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np

from lrnet.data.records import people_of
from lrnet.data.store import StoredVideo
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face
from lrnet.training.clips import FaceOfVideo
from lrnet.training.config import TrainingConfig
from lrnet.training.data import fingerprint

Landmarks = Literal["calibrated", "equal weights", "prediction alone", "detected"]
"""Kinds of landmarks: calibrated; prediction and detection merged with equal weights instead of the Kalman filter's;
the prediction alone, where it passed its check; or the detection alone."""

_PREDICTION_GAIN: Final[dict[Landmarks, float]] = {"equal weights": 0.5, "prediction alone": 0.0}


@dataclass(frozen=True, slots=True)
class VideoSet:
    """Stored videos in one condition.

    Attributes:
        name: of the condition, for tables.
        most_frames: of the longest-seen face, from its start; None for all.
    """

    name: str
    videos: tuple[StoredVideo, ...]
    landmarks: Landmarks = "calibrated"
    most_frames: int | None = None

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(v.record.group for v in self.videos)

    def with_landmarks(self, landmarks: Landmarks) -> VideoSet:
        return replace(self, landmarks=landmarks)

    def of_groups(self, groups: Iterable[str]) -> VideoSet:
        """Only the videos of these identity groups."""
        wanted = frozenset(groups)
        return replace(self, videos=tuple(v for v in self.videos if v.record.group in wanted))

    def beside(self, own: VideoSet) -> VideoSet:
        """This set with the groups of another one for the people in both, so that no plan trains on them.

        A video with people of two of the other set's groups is left out: one of them is always trained on.
        """
        group_of = {who: v.record.group for v in own.videos for who in people_of(v.record)}
        kept = []
        for video in self.videos:
            there = {group_of[who] for who in people_of(video.record) if who in group_of}
            if len(there) < 2:
                kept.append(replace(video, record=replace(video.record, group=(*there, video.record.group)[0])))
        return replace(self, videos=tuple(kept))

    @property
    def described(self) -> str:
        """The set's name with its landmarks."""
        return self.name if self.landmarks == "calibrated" else f"{self.name}, {self.landmarks}"

    def mark(self, config: TrainingConfig) -> str:
        """A hash of this set and a configuration."""
        return _sha256([fingerprint(self.videos, config), self.landmarks, self.most_frames])

    def content(self) -> str:
        """A hash of the videos and their labels."""
        about = [(v.record.key, v.record.label.value, v.record.group, v.sha256) for v in self.videos]
        return _sha256(sorted(about))

    def faces(self) -> list[FaceOfVideo]:
        """The longest-seen face of each video, with the set's landmarks."""
        return [FaceOfVideo(v.record, _sequences(v.file, self.landmarks, self.most_frames)) for v in self.videos]


@lru_cache(maxsize=512)  # videos of some 260 frames take half a MB each
def _sequences(file: Path, landmarks: Landmarks, most_frames: int | None) -> tuple[LandmarkSequence, ...]:
    sequences = first_frames(main_face(StoredVideo.of(file).sequences()), most_frames)
    return tuple(with_landmarks(s, landmarks) for s in sequences)


def first_frames(sequences: Sequence[LandmarkSequence], most: int | None) -> list[LandmarkSequence]:
    """The sequences of one face up to so many frames."""
    if most is None:
        return list(sequences)
    found: list[LandmarkSequence] = []
    for sequence in sequences:
        if most <= 0:
            break
        found.append(sequence if len(sequence) <= most else sequence[:most])
        most -= len(sequence)
    return found


def with_landmarks(sequence: LandmarkSequence, landmarks: Landmarks) -> LandmarkSequence:
    """The sequence with these landmarks as its values."""
    if landmarks == "calibrated":
        return sequence
    if landmarks == "detected":
        return sequence.uncalibrated()
    return merged(sequence, _PREDICTION_GAIN[landmarks])


def merged(sequence: LandmarkSequence, gain: float | np.ndarray) -> LandmarkSequence:
    """Calibration with another weight of the detection, from what the tracker measured.

    The step that optical flow took from the stored landmark is taken from the merged one instead, which lies a fraction
    of a pixel to a few pixels beside it: flow differs little over that distance (decision 0017).

    Args:
        gain: of the detection, where the prediction passed its check: 0 leaves the prediction alone; a number, or one
            for each pair of frames and landmark, (N - 1, 68).
    """
    if len(sequence) < 2:
        return sequence
    place = sequence.centres[:, None, :] / np.float32(max(sequence.half_side, 1e-6))
    steps = sequence.flow_steps()
    gains = np.broadcast_to(np.asarray(gain, np.float32), sequence.tracked.shape)[..., None]
    values = sequence.detected.copy()
    values[0] = sequence.values[0]
    for t in range(1, len(sequence)):
        ours = values[t - 1] + place[t - 1] + steps[t - 1] - place[t]
        usable = sequence.tracked[t - 1][:, None] & np.isfinite(ours)
        both = ours + gains[t - 1] * (sequence.detected[t] - ours)
        values[t] = np.where(usable, both, sequence.detected[t])
    return replace(sequence, values=values)


def _sha256(about: object) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()
