"""From frames to each face's calibrated landmark sequences, with looks and crops of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lrnet.appearance.crops import CROP_EVERY, crop_face
from lrnet.faces import Landmarker
from lrnet.faces.look import LOOK_EVERY, look_at
from lrnet.faces.tracker import FaceTracker, FrameFaces, TrackSettings
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.video.frame import Frame
from lrnet.video.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Examined:
    """A frame that has gone through landmarks and calibration.

    Attributes:
        index, time: the frame's.
        faces: numbers of the faces seen in it.
        ended: sequences that ended before this frame.
        crowded: there were more faces than are followed.
        going_on: the sequences so far, where it is time for a look at them; None between looks.
    """

    index: int
    time: float
    faces: tuple[int, ...]
    ended: tuple[LandmarkSequence, ...]
    crowded: bool = False
    going_on: tuple[LandmarkSequence, ...] | None = None


def landmark_sequences(
    frames: Iterable[Frame],
    landmarker: Landmarker,
    preprocessing: Preprocessing,
    tracks: TrackSettings | None = None,
) -> Iterator[LandmarkSequence]:
    """Every face's calibrated sequences, each as soon as it ends.

    A face that stays longer than `preprocessing.max_sequence_seconds` gives several sequences, so that memory does not
    grow with the video.

    Args:
        frames: in order; thin them out with `lrnet.video.spacing.spaced` first.
    """
    for step in examine(frames, landmarker, preprocessing, tracks):
        yield from step.ended


def examine(
    frames: Iterable[Frame],
    landmarker: Landmarker,
    preprocessing: Preprocessing,
    tracks: TrackSettings | None = None,
    pipeline: Pipeline | None = None,
    *,
    crops: bool = False,
    every: float | None = None,
) -> Iterator[Examined]:
    """`landmark_sequences`, with a word on each frame; sequences that last to the end come after the last frame.

    Args:
        frames: in order; thin them out with `lrnet.video.spacing.spaced` first.
        pipeline: where landmarks and calibration run as stages of their own; on the caller's thread if not given.
        crops: whether crops of the faces are taken.
        every: seconds between looks at the sequences so far (`Examined.going_on`); None for no looks.
    """
    pipeline = pipeline or Pipeline(threads=1)
    faces = pipeline.stage("landmarks", FaceTracker(landmarker, tracks, pipeline).run(frames))
    return pipeline.stage("calibration", Sequencer(preprocessing, pipeline, crops=crops, every=every).run(faces))


class Sequencer:
    """What the tracker saw in, calibrated sequences out: one `SequenceBuilder` for each face that is being followed.

    Args:
        pipeline: on whose threads several faces of a frame are calibrated side by side.
        sides: side of the crop of each face by number, frame pixels, where it is known beforehand.
        crops: whether crops of the faces are taken, for appearance.
        every: as in `examine`.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        pipeline: Pipeline,
        sides: Mapping[int, float] | None = None,
        *,
        crops: bool = False,
        every: float | None = None,
    ) -> None:
        self._preprocessing = preprocessing
        self._longest = preprocessing.max_sequence_seconds
        self._crops = crops
        self._sides = sides or {}
        self._pipeline = pipeline
        self._builders: dict[int, SequenceBuilder] = {}
        self._started: dict[int, float] = {}
        self._looked: dict[int, float] = {}
        self._cropped: dict[int, float] = {}
        self._stretch = 0
        self._every = every
        self._looked_at: float | None = None

    def run(self, frames: Iterable[FrameFaces]) -> Iterator[Examined]:
        """`add` for each of `frames`, then `finish` as one more."""
        last = Examined(-1, 0.0, (), ())
        for faces in frames:
            last = self.add(faces)
            yield last
        yield Examined(last.index, last.time, (), self.finish())

    def add(self, faces: FrameFaces) -> Examined:
        """Take the next frame."""
        frame = faces.frame
        over = faces.ended
        if frame.stretch != self._stretch:  # frames were left out: nothing follows on what came before
            self._stretch, over = frame.stretch, tuple(self._builders)
        ended = [self._end(number) for number in over if number in self._builders]
        for number in faces.seen:
            if number in self._builders and frame.time - self._started[number] >= self._longest:
                ended.append(self._end(number))
            if number not in self._builders:
                side = self._sides.get(number)
                self._builders[number] = SequenceBuilder(number, self._preprocessing, side=side)
                self._started[number] = frame.time
                self._looked[number] = self._cropped[number] = -math.inf

        def add(number: int) -> None:
            seen = faces.seen[number]
            self._builders[number].add(frame.luma, seen.landmarks, seen.confidence, frame.index, frame.time)
            if frame.time - self._looked[number] >= LOOK_EVERY:
                self._looked[number] = frame.time
                self._builders[number].add_look(look_at(frame, seen.landmarks), frame.time)
            if self._crops and frame.time - self._cropped[number] >= CROP_EVERY:
                self._cropped[number] = frame.time
                crop = crop_face(frame, seen.landmarks)
                if crop is not None:
                    self._builders[number].add_crop(crop, frame.time)

        self._pipeline.each(add, list(faces.seen))
        for number in faces.missing:
            if number in self._builders:
                self._builders[number].add_gap(frame.index, frame.time)
        going_on = self._so_far() if self._is_time(frame.time) else None
        return Examined(frame.index, frame.time, tuple(faces.seen), tuple(ended), faces.crowded, going_on)

    def _end(self, number: int) -> LandmarkSequence:
        for known in (self._started, self._looked, self._cropped):  # memory must not grow with the number of tracks
            del known[number]
        return self._builders.pop(number).finish()

    def _is_time(self, time: float) -> bool:
        if self._every is None:
            return False
        if self._looked_at is None:
            self._looked_at = time
        due = time - self._looked_at >= self._every - 1e-6
        self._looked_at = time if due else self._looked_at
        return due

    def _so_far(self) -> tuple[LandmarkSequence, ...]:
        return tuple(builder.finish() for builder in self._builders.values())

    def finish(self) -> tuple[LandmarkSequence, ...]:
        """The sequences of all faces that are still being followed."""
        return self._so_far()
