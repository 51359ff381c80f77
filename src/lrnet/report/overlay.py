"""The examined video once more, with what was seen drawn on it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.detector import Progress, VideoResult
from lrnet.errors import SequenceError
from lrnet.files import require_writable
from lrnet.report.figures import HOLD, LINES, NOT_SCORED, Rgb, clip_at, lanes, longest, score_colour, score_steps
from lrnet.report.wording import clock, person, refuse_source, two_decimals
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import ClipScore, FaceVerdict
from lrnet.video.frame import Frame
from lrnet.video.isolation import open_video, whole_sound_of
from lrnet.video.limits import Access
from lrnet.video.sound import Samples
from lrnet.video.writer import REPEATABLE, VideoWriter

LONGEST_SIDE: Final = 1280  # pixels; larger frames are scaled down to it
SUBPIXELS: Final = 3  # fractional bits of drawn coordinates: eighths of a pixel

INK: Final[Rgb] = (24, 24, 24)
PAPER: Final[Rgb] = (255, 255, 255)
FONT: Final = cv2.FONT_HERSHEY_SIMPLEX

Image = NDArray[np.uint8]
Points = NDArray[np.float32]


def write_overlay(
    result: VideoResult,
    path: str | os.PathLike[str],
    *,
    progress: Callable[[Progress], None] | None = None,
    access: Access | None = None,
) -> None:
    """Write the video with each face's landmarks, box, number and current clip score, and a timeline at the foot.

    Every frame of the source that lies within the limits is there with its own time, and the source's sound as far as
    it can be decoded. Frames larger than 1280 pixels are scaled down. Landmarks stand still in frames that were not
    examined, for a tenth of a second at most. The score shown is the network's raw output for the clip, not a
    probability.

    Args:
        result: of `Detector.detect(…, keep_sequences=True)`.
        path: ends in `.mp4`.
        progress: called about once a second of video.
        access: how the source may be opened.

    Raises:
        SequenceError: faces were found, but their landmarks were not kept.
        VideoError: the video cannot be read again.
        OutputError: the file cannot be written, or is the video itself.
    """
    if result.faces and not result.sequences:
        raise SequenceError(
            f"The result of {result.path} holds no landmarks to draw.", hint="Detect with keep_sequences=True."
        )
    refuse_source(path, result.path)
    require_writable(path)
    whole = (access or Access()).all_of_it()
    with open_video(result.path, whole) as reader:
        rate = reader.info.frame_rate or 25.0
        duration = reader.info.duration
        frames = iter(reader)
        first = next(frames)
        width, height = drawn_size(first.width, first.height)
        painter = Painter(result, width, height)
        end, last = 0.0, -np.inf

        def sound() -> Iterable[Samples]:
            return whole_sound_of(result.path, whole, end + min(1 / rate, 1.0))

        with VideoWriter(path, width, height, rate, options=REPEATABLE, sound=sound) as writer:
            for frame in chain([first], frames):
                end = frame.time
                writer.write(painter.paint(frame), end)
                if progress is not None and end - last >= 1.0:
                    last = end
                    progress(Progress(frame.index + 1, frame.time, duration, painter.clips, stage="drawing"))


def drawn_size(width: int, height: int, longest: int = LONGEST_SIDE) -> tuple[int, int]:
    """Width and height of the written frames, pixels, for those of the source: `longest` at most, and even."""
    scale = min(1.0, longest / max(width, height))
    return max(2, round(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


@dataclass(slots=True)
class _Seen:
    """Where a face was last, frame pixels of the source."""

    points: Points
    time: float


class Painter:
    """Draws on the frames of one video, in their order.

    Args:
        result: with landmarks.
        width, height: of the drawn frames, pixels, even.
        strip: whether the timeline is drawn at the foot.
    """

    def __init__(self, result: VideoResult, width: int, height: int, *, strip: bool = True) -> None:
        self._size = (width, height)
        self._unit = max(0.6, min(width, height) / 720)  # of line widths and letters, so that they look alike
        self._clips = {face.face: (face.clips, longest(face.clips)) for face in result.faces}
        self._places = _places_by_frame(result.sequences)
        self._seen: dict[int, _Seen] = {}
        self._strip = _Strip(result, width, height, self._unit) if strip else None
        self._bottom = self._strip.top if self._strip is not None else height
        self.clips = sum(len(face.clips) for face in result.faces)

    def paint(self, frame: Frame) -> Image:
        """The frame, (height, width, 3) RGB, with the drawing on it."""
        image, scale = self._picture(frame)
        self._look(frame)
        for number, seen in self._seen.items():
            # Pixel centres are whole numbers: the frame's edge lies half a pixel outside the first one.
            points = (seen.points + 0.5) * scale - 0.5
            clip = self._clip(number, frame.time)
            self._draw_face(image, number, points, clip)
        if self._strip is not None:
            self._strip.draw(image, frame.time)
        return image

    def _clip(self, number: int, time: float) -> ClipScore | None:
        clips, reach = self._clips.get(number, ((), 0.0))
        return clip_at(clips, time, reach)

    def skip(self, frame: Frame) -> None:
        """Look at a frame that is not drawn."""
        self._look(frame)

    def _picture(self, frame: Frame) -> tuple[Image, Points]:
        """The frame at its written size, and by what (x, y) it was scaled. An odd last row or column is cut off."""
        width, height = self._size
        if frame.width - width in (0, 1) and frame.height - height in (0, 1):
            return np.ascontiguousarray(frame.rgb()[:height, :width]), np.ones(2, np.float32)
        scale = np.array([width / frame.width, height / frame.height], np.float32)
        return frame.rgb_resized(width, height), scale

    def _look(self, frame: Frame) -> None:
        for number, points in self._places.get(frame.index, ()):
            if points is None:
                self._seen.pop(number, None)
            else:
                self._seen[number] = _Seen(points, frame.time)
        for number in [n for n, seen in self._seen.items() if frame.time - seen.time > HOLD + 1e-6]:
            del self._seen[number]

    def _draw_face(self, image: Image, number: int, points: Points, clip: ClipScore | None) -> None:
        colour = score_colour(clip.score) if clip is not None else NOT_SCORED
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.08 * float((high - low).max())
        corners = [_fixed(low - margin), _fixed(high + margin)]
        lines = [_fixed(points[part]) for part, _ in LINES]
        thin = max(1, round(1.6 * self._unit))
        # A dark line under the coloured one: it can be seen on skin, sky and hair alike.
        for ink, width in ((INK, thin + 2), (colour, thin)):
            cv2.rectangle(image, corners[0].tolist(), corners[1].tolist(), ink, width, cv2.LINE_AA, SUBPIXELS)
            for line, (_, closed) in zip(lines, LINES, strict=True):
                cv2.polylines(image, [line], closed, ink, width, cv2.LINE_AA, SUBPIXELS)
        radius = round(1.4 * self._unit * 2**SUBPIXELS)
        for x, y in _fixed(points).tolist():
            cv2.circle(image, (x, y), radius, PAPER, -1, cv2.LINE_AA, SUBPIXELS)
        self._draw_label(image, number, low - margin, float(high[1] + margin), clip)

    def _draw_label(
        self, image: Image, number: int, corner: NDArray[np.floating], bottom: float, clip: ClipScore | None
    ) -> None:
        """A dark chip on top of the box, or below it where there is no room: number, score, bar."""
        text = f"{person(number)}  {two_decimals(clip.score) if clip is not None else 'not scored'}"
        letters = 0.55 * self._unit
        thick = max(1, round(1.2 * self._unit))
        (w, h), _ = cv2.getTextSize(text, FONT, letters, thick)
        pad, bar = round(7 * self._unit), max(2, round(4 * self._unit))
        width, height = w + 2 * pad, h + 2 * pad + bar
        x = int(np.clip(corner[0], 0, max(0, self._size[0] - width)))
        y = int(corner[1]) - height
        if y < 0:
            y = int(np.clip(bottom, 0, max(0, self._bottom - height)))
        cv2.rectangle(image, (x, y), (x + width, y + height), INK, -1)
        cv2.putText(image, text, (x + pad, y + pad + h), FONT, letters, PAPER, thick, cv2.LINE_AA)
        if clip is not None and np.isfinite(clip.score):
            end = x + round(width * float(np.clip(clip.score, 0, 1)))
            cv2.rectangle(image, (x, y + height - bar), (x + width, y + height), (80, 80, 80), -1)
            cv2.rectangle(image, (x, y + height - bar), (end, y + height), score_colour(clip.score), -1)


class _Strip:
    """The timeline at the foot of the frame: a row for the faces in view, a mark that moves."""

    def __init__(self, result: VideoResult, width: int, height: int, unit: float) -> None:
        faces = result.faces
        rows = lanes([(face.start, face.stop) for face in faces])
        row_height = max(4, round(9 * unit))
        self._letters, self._pad = 0.45 * unit, max(3, round(6 * unit))
        (text_width, self._text_height), _ = cv2.getTextSize("00:00.0 / 00:00.0", FONT, self._letters, 1)
        self._left = min(text_width + 2 * self._pad, width // 2)
        self._end = max([result.seconds_examined, 1e-3, *(face.stop for face in faces)])
        inner = max((max(rows, default=0) + 1) * (row_height + 2), self._text_height)
        tall = min(inner + 2 * self._pad, height // 2)
        self._picture = np.full((tall, width, 3), INK, np.uint8)
        self._scale = (width - self._left - self._pad) / self._end
        self.top = height - tall
        for face, row in zip(faces, rows, strict=True):
            top = self._pad + row * (row_height + 2)
            self._draw_face(face, top, row_height)

    def _x(self, time: float) -> int:
        return self._left + round(min(max(time, 0.0), self._end) * self._scale)

    def _draw_face(self, face: FaceVerdict, top: int, tall: int) -> None:
        def mark(start: float, stop: float, colour: Rgb) -> None:
            left, right = self._x(start), max(self._x(stop), self._x(start) + 1)
            self._picture[top : top + tall, left:right] = colour

        mark(face.start, face.stop, (95, 95, 95))
        for step in score_steps(face.clips):
            mark(step.start, step.stop, score_colour(step.score))
            # A notch of one pixel where a clip begins or ends.
            self._picture[top : top + tall, self._x(step.start)] = INK

    def draw(self, image: Image, time: float) -> None:
        """Lay the strip over the frame of `time` seconds."""
        part = image[self.top : self.top + len(self._picture)]
        picture = self._picture[: len(part)]
        # Three parts strip, one part picture: what is under it can still be made out.
        cv2.addWeighted(picture, 0.78, part, 0.22, 0, dst=part)
        x = self._x(time)
        cv2.line(part, (x, 1), (x, len(part) - 2), INK, 4)
        cv2.line(part, (x, 1), (x, len(part) - 2), PAPER, 2)
        text = f"{clock(time)} / {clock(self._end)}"
        base = (self._pad, (len(part) + self._text_height) // 2)
        cv2.putText(part, text, base, FONT, self._letters, PAPER, 1, cv2.LINE_AA)


def _fixed(points: NDArray[np.floating]) -> NDArray[np.int32]:
    """Coordinates in OpenCV's fixed-point form; far outside the frame they are held where integers cannot overflow."""
    fixed: NDArray[np.int32] = np.rint(np.clip(points, -1e5, 1e5) * 2**SUBPIXELS).astype(np.int32)
    return fixed


def _places_by_frame(sequences: Sequence[LandmarkSequence]) -> dict[int, list[tuple[int, Points | None]]]:
    """For each examined frame the faces and their landmarks in frame pixels; None at gaps."""
    places: dict[int, list[tuple[int, Points | None]]] = defaultdict(list)
    for sequence in sequences:
        points = sequence.frame_landmarks()
        for i, index in enumerate(sequence.frame_indices.tolist()):
            places[index].append((sequence.face, points[i] if sequence.valid[i] else None))
    return dict(places)
