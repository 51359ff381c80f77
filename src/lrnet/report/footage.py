"""Footage for the page: pictures, a small annotated clip, the most telling seconds close up.

All of it is taken in one pass over the file, which ends when nothing is wanted any more.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol, Self

import av.error
import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.detector import VideoResult
from lrnet.report.explain import FaceExplanation
from lrnet.report.figures import LINES
from lrnet.report.keyframes import KeyFrame, PictureTaker, cut_out, jpeg
from lrnet.report.overlay import Painter, drawn_size
from lrnet.verdict import FaceVerdict
from lrnet.video.frame import Frame
from lrnet.video.isolation import open_video, sound_of
from lrnet.video.limits import Access
from lrnet.video.sound import Piece, Samples, add_sound
from lrnet.video.writer import REPEATABLE, VideoWriter

LONGEST_SIDE: Final = 640  # pixels of the clip
CLIP_SECONDS: Final = 120.0  # of the clip; of a longer video it joins pieces
PIECES: Final = 24  # at most; half of them may be suspicious stretches, the others are spread over the video
SUSPICIOUS: Final = 2 / 3  # of the clip that suspicious stretches may take
MARGIN: Final = 1.0  # seconds before and after a suspicious stretch
RATE: Final = 30.0  # frames a second of the clip, at most
CLIP_KILOBITS: Final = 38_000  # of all of its pictures
CLIP_RATE: Final = 700  # kilobits a second, at most
CLOSE_SIDE: Final = 360  # pixels of the close-up
CLOSE_OPTIONS: Final = {"maxrate": "900k", "bufsize": "900k", "g": "10", **REPEATABLE}
CLOSE_SCALE: Final = 1.15  # side of the close-up, in crop sides

Image = NDArray[np.uint8]
SoundOf = Callable[[Sequence[Piece]], Samples | None]
YELLOW: Final = (255, 215, 94)
INK: Final = (17, 17, 17)


@dataclass(frozen=True, slots=True)
class Footage:
    """A piece of video to embed: H.264 in MP4.

    Attributes:
        mp4: the file.
        pieces: what it shows, in order: for each piece the second of the file that it begins at, and the seconds of the
            examined video that it begins and ends with.
        width, height: pixels.
        poster: JPEG of its first frame, shown until it is played, and in print.
        sound: whether it has the sound of the video.
    """

    mp4: bytes
    pieces: tuple[Piece, ...]
    width: int
    height: int
    poster: bytes
    sound: bool = False

    @property
    def start(self) -> float:
        """Second of the examined video that it begins with."""
        return self.pieces[0][1]

    @property
    def stop(self) -> float:
        """Second of the examined video that it ends with."""
        return self.pieces[-1][2]


@dataclass(frozen=True, slots=True)
class Taken:
    """Everything that a page shows of the video.

    Attributes:
        pictures: of each face.
        clip: annotated; None if landmarks were not kept.
        close: face by face, the most telling seconds; of the face that decides only.
    """

    pictures: list[KeyFrame]
    clip: Footage | None
    close: dict[int, Footage]


class _Taker(Protocol):
    """Takes what it wants from each frame."""

    def take(self, frame: Frame) -> bool:
        """False if no later frame is wanted."""
        ...


def take(
    result: VideoResult,
    faces: Sequence[FaceVerdict],
    explanations: Sequence[FaceExplanation] = (),
    *,
    stretches: Sequence[tuple[float, float]] = (),
    access: Access | None = None,
) -> Taken:
    """Read the video once more and take what a page about `faces` shows.

    Args:
        result: what the detector returned.
        faces: of which pictures are wanted.
        explanations: of faces.
        stretches: (start, stop) seconds that the clip of a long video shows first.
        access: how the video may be opened.

    Raises:
        VideoError: it cannot be read again.
    """
    pictures = PictureTaker(result, faces)
    deciding = next((e for e in explanations if e.face == result.verdict.face), None)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lrnet-")))
        takers: list[_Taker] = [pictures]
        clip: _ClipTaker | None = None
        close: _CloseTaker | None = None
        if result.sequences:
            clip = _ClipTaker(result, folder / "clip.mp4", clip_spans(result, deciding, stretches))
            stack.enter_context(clip.recording)
            takers.append(clip)
        if deciding is not None and deciding.telling is not None:
            close = _CloseTaker(result, deciding, folder / "close.mp4")
            stack.enter_context(close.recording)
            takers.append(close)
        access = (access or Access()).all_of_it()
        with open_video(result.path, access) as reader:
            _drive(reader, takers)
        return Taken(
            pictures.found,
            clip.recording.finish(partial(sound_of, result.path, access)) if clip is not None else None,
            {deciding.face: found} if deciding and close is not None and (found := close.recording.finish()) else {},
        )


def _drive(frames: Iterable[Frame], takers: list[_Taker]) -> None:
    for frame in frames:
        takers = [taker for taker in takers if taker.take(frame)]
        if not takers:
            break


def clip_spans(
    result: VideoResult, explanation: FaceExplanation | None, stretches: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Which seconds the clip shows.

    All of them; of a long video the longest of the stretches, else the telling seconds, and pieces from all over the
    video besides, so that each moment has one near it.
    """
    end = result.seconds_examined
    if end <= CLIP_SECONDS:
        return [(0.0, end)]
    wanted = sorted(sorted(stretches, key=lambda s: s[0] - s[1])[: PIECES // 2])
    if not wanted and explanation is not None and explanation.telling is not None:
        wanted = [explanation.telling]
    half = SUSPICIOUS * CLIP_SECONDS / max(1, len(wanted)) / 2
    spans: list[tuple[float, float]] = []
    for start, stop in wanted:
        middle = (start + stop) / 2
        first, last = max(0.0, start - MARGIN, middle - half), min(end, stop + MARGIN, middle + half)
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    more = PIECES - len(spans)
    length = (CLIP_SECONDS - sum(stop - start for start, stop in spans)) / more
    for _ in range(more):
        edges = [0.0, *chain.from_iterable(spans), end]
        start, stop = max(zip(edges[::2], edges[1::2], strict=True), key=lambda gap: _farthest(gap[0], gap[1], end))
        if stop - start <= length:
            break
        middle = (start + stop) / 2
        spans = sorted([*spans, (middle - length / 2, middle + length / 2)])
    return spans


def _farthest(start: float, stop: float, end: float) -> float:
    """How many seconds a moment between two pieces of the clip may lie from the nearer one; before the first and after
    the last there is only one."""
    return (stop - start) / (1 if start == 0 or stop == end else 2)


class _Recording:
    """A video file that is begun with its first frame."""

    def __init__(self, path: Path, crf: int, options: dict[str, str]) -> None:
        self._path, self._crf, self._options = path, crf, options
        self._writer: VideoWriter | None = None
        self._stack = ExitStack()
        self._size = (0, 0)
        self._poster = b""
        self._pieces: list[Piece] = []

    def write(self, image: Image, time: float, rate: float, *, new_piece: bool = False) -> None:
        """Add a frame of `time` seconds; `new_piece` if the one before is not its neighbour in the video."""
        if self._writer is None:
            self._size = (image.shape[1], image.shape[0])
            writer = VideoWriter(self._path, *self._size, rate, self._crf, self._options)
            self._writer = self._stack.enter_context(writer)
            self._poster = jpeg(image)
            self._pieces.append((0.0, time, time))
        elif new_piece:
            at, start, stop = self._pieces[-1]
            self._pieces.append((at + stop - start + 1 / rate, time, time))
        at, start, _ = self._pieces[-1]
        self._writer.write(image, at + time - start)
        self._pieces[-1] = (at, start, time)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Close the file if that is still to do; after an error nothing is kept of it."""
        self._stack.__exit__(kind, error, trace)

    def finish(self, sound_of: SoundOf = lambda pieces: None) -> Footage | None:
        """The file; None if it has no frame.

        Args:
            sound_of: gives the sound of the pieces. A fault of the sound costs the sound only.
        """
        if self._writer is None:
            return None
        self._stack.close()
        sound = sound_of(self._pieces)
        if sound is not None:
            try:
                add_sound(self._path, [sound])
            except (OSError, av.error.FFmpegError):
                sound = None
        return Footage(self._path.read_bytes(), tuple(self._pieces), *self._size, self._poster, sound is not None)


class _ClipTaker:
    """The annotated clip."""

    def __init__(self, result: VideoResult, path: Path, spans: Sequence[tuple[float, float]]) -> None:
        self._result, self._spans, self._first = result, list(spans), True
        self._rate = min(result.info.frame_rate or 25.0, RATE)
        seconds = sum(stop - start for start, stop in spans)
        rate = min(CLIP_RATE, CLIP_KILOBITS / max(seconds, 1.0))
        bounds = {"maxrate": f"{rate:.0f}k", "bufsize": f"{2 * rate:.0f}k"}
        options = {**bounds, "g": "25", **REPEATABLE}  # a key frame a second, to seek
        self.recording = _Recording(path, 30, options)
        self._painter: Painter | None = None
        self._last = -np.inf

    def take(self, frame: Frame) -> bool:
        while self._spans and frame.time > self._spans[0][1] + 1e-6:
            self._spans.pop(0)
            self._first = True
        if not self._spans:
            return False
        if self._painter is None:
            self._painter = Painter(self._result, *drawn_size(frame.width, frame.height, LONGEST_SIDE), strip=False)
        if frame.time < self._spans[0][0] - 1e-6 or frame.time - self._last < 0.9 / RATE:
            self._painter.skip(frame)
            return True
        self.recording.write(self._painter.paint(frame), frame.time, self._rate, new_piece=self._first)
        self._first = False
        self._last = frame.time
        return True


class _CloseTaker:
    """The examined frames of the most telling seconds, cut out around the face."""

    def __init__(self, result: VideoResult, explanation: FaceExplanation, path: Path) -> None:
        assert explanation.telling is not None
        self._span = explanation.telling
        self.recording = _Recording(path, 24, CLOSE_OPTIONS)
        self._rate = 25.0
        self._rows: dict[int, tuple[NDArray[np.float64], float, NDArray[np.float32]]] = {}
        start, stop = explanation.telling
        for s in result.sequences:
            if s.face != explanation.face:
                continue
            shown = s.between(start - 1e-6, stop + 1e-6)
            centres, points = shown.centres.astype(np.float64), shown.frame_landmarks()
            for row in np.flatnonzero(shown.valid):
                self._rows[int(shown.frame_indices[row])] = (centres[row], s.half_side, points[row])
            if shown.valid.sum() > 1:
                self._rate = float(1 / np.median(np.diff(shown.times[shown.valid])))

    def take(self, frame: Frame) -> bool:
        if frame.time > self._span[1] + 1e-6:
            return False
        if frame.index in self._rows:
            self.recording.write(self._picture(frame, *self._rows[frame.index]), frame.time, self._rate)
        return True

    def _picture(
        self, frame: Frame, centre: NDArray[np.float64], half_side: float, points: NDArray[np.float32]
    ) -> Image:
        zoom = CLOSE_SIDE / (2 * half_side * CLOSE_SCALE)
        image = cut_out(frame, centre, zoom, CLOSE_SIDE)
        placed = np.rint(((points - centre) * zoom + (CLOSE_SIDE - 1) / 2) * 16).astype(np.int32)
        for ink, width in ((INK, 3), (YELLOW, 1)):
            for part, closed in LINES:
                cv2.polylines(image, [placed[part]], closed, ink, width, cv2.LINE_AA, 4)
        return image
