"""A few pictures of each face at telling moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.detector import VideoResult
from lrnet.faces.squares import face_box
from lrnet.verdict import ClipScore, FaceVerdict
from lrnet.video.frame import Frame

SIDE: Final = 320  # pixels of a picture's longer side
MARGIN: Final = 1.5  # side of the cut-out in face sizes
QUALITY: Final = 80  # of the JPEG
BUDGET: Final = 1_200_000  # bytes of all pictures together: they grow by a third in the page

Points = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """A picture that is wanted.

    Attributes:
        face: number of the face.
        time: seconds, of the frame.
        index: of the frame; None if only the time is known, because landmarks were not kept.
        points: (68, 2) frame pixels; None likewise.
        clip: that the frame belongs to; None if the face has none.
        role: why this one, in a few words.
    """

    face: int
    time: float
    index: int | None
    points: Points | None
    clip: ClipScore | None
    role: str


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A picture.

    Attributes:
        moment: what it shows; its time is that of the frame that was found.
        jpeg: the picture, `width` by `height` pixels: the face, or the whole frame if its place is not known.
        points: (68, 2) landmarks in pixels of the picture; None if they were not kept.
    """

    moment: Moment
    jpeg: bytes
    width: int
    height: int
    points: Points | None


class PictureTaker:
    """Takes pictures of each face: highest-scoring clip, lowest-scoring clip, first clip; the middle frame of each.

    Attributes:
        found: pictures so far, in order of time; no more than `BUDGET` allows.
    """

    def __init__(self, result: VideoResult, faces: Sequence[FaceVerdict]) -> None:
        self._wanted = sorted((m for face in faces for m in _moments(result, face)), key=lambda m: m.time)
        self._spent = 0
        self.found: list[KeyFrame] = []

    def take(self, frame: Frame) -> bool:
        """Take what is wanted of this frame. False if no later one is wanted."""
        while self._wanted and _reached(frame, self._wanted[0]):
            picture = _picture(frame, self._wanted.pop(0))
            self._spent += len(picture.jpeg)
            if self._spent > BUDGET:
                self._wanted = []
            else:
                self.found.append(picture)
        return bool(self._wanted)


def _moments(result: VideoResult, face: FaceVerdict) -> list[Moment]:
    clips = [clip for clip in face.clips if np.isfinite(clip.score)]
    if not clips:
        return [_moment(result, face, None, "not scored")]
    picks = {
        "highest score": max(clips, key=lambda clip: clip.score),
        "lowest score": min(clips, key=lambda clip: clip.score),
        "first clip": clips[0],
    }
    chosen: list[Moment] = []
    for role, clip in picks.items():
        if all(moment.clip is not clip for moment in chosen):
            chosen.append(_moment(result, face, clip, role if len(clips) > 1 else "the only clip"))
    return chosen


def _moment(result: VideoResult, face: FaceVerdict, clip: ClipScore | None, role: str) -> Moment:
    """The examined frame with the face that is nearest to the middle of the clip, or of the face's time."""
    middle = (clip.start + clip.stop) / 2 if clip is not None else (face.start + face.stop) / 2
    nearest: Moment | None = None
    for sequence in result.sequences:
        if sequence.face != face.face or not sequence.valid.any():
            continue
        rows = np.flatnonzero(sequence.valid)
        row = int(rows[np.argmin(np.abs(sequence.times[rows] - middle))])
        time = float(sequence.times[row])
        if nearest is None or abs(time - middle) < abs(nearest.time - middle):
            # Of one row only: the landmarks of a long video in pixels would be a copy of them all.
            points = sequence[row : row + 1].frame_landmarks()[0]
            nearest = Moment(face.face, time, int(sequence.frame_indices[row]), points, clip, role)
    return nearest or Moment(face.face, middle, None, None, clip, role)


def _reached(frame: Frame, moment: Moment) -> bool:
    return frame.index >= moment.index if moment.index is not None else frame.time >= moment.time - 1e-6


def _picture(frame: Frame, moment: Moment) -> KeyFrame:
    moment = replace(moment, time=frame.time)
    if moment.points is None:
        scale = min(1.0, SIDE * 1.5 / max(frame.width, frame.height))
        width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
        return KeyFrame(moment, jpeg(frame.rgb_resized(width, height)), width, height, None)
    centre, size = face_box(moment.points)
    zoom = SIDE / max(MARGIN * size, 8.0)
    points = (moment.points - centre) * zoom + (SIDE - 1) / 2
    return KeyFrame(moment, jpeg(cut_out(frame, centre, zoom, SIDE)), SIDE, SIDE, points.astype(np.float32))


def cut_out(frame: Frame, centre: NDArray[np.floating], zoom: float, side: int) -> NDArray[np.uint8]:
    """A square of a frame, (side, side, 3) RGB, magnified `zoom` times around `centre` (x, y), frame pixels.

    A large face is averaged down, so that no pixels are skipped.
    """
    fine = max(1, int(1 / zoom))
    step = 1 / (zoom * fine)
    x, y = (float(at) - (side * fine - 1) / 2 * step for at in centre)
    return frame.rgb_averaged((x, y), step, side, fine)


def jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) as a JPEG file."""
    written, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    assert written  # the JPEG encoder takes any 8-bit picture
    return data.tobytes()
