"""Follows faces from frame to frame under fixed numbers, across gaps and up to shot cuts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.faces.landmarker import FaceObservation, Landmarker, overlap
from lrnet.video.frame import Frame
from lrnet.video.pipeline import Pipeline

MIN_CONFIDENCE: Final = 0.5  # of a followed face
JUMP: Final = 0.5  # of the face's size: further than this from frame to frame, it is another face
RESIZE: Final = (0.7, 1.4)  # of the face's size, likewise
SAME_FACE: Final = 0.3  # overlap of boxes from which a found face is the one that was lost
TWINS: Final = 0.6  # overlap of boxes from which two tracks follow one face

CUT_LEVEL: Final = 18.0  # grey levels that a thumbnail's pixels change by on average at a shot cut
CUT_RATIO: Final = 3.0  # and over the recent average of that


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How faces are looked for.

    Attributes:
        max_faces: faces followed at once; the largest come first.
        search_every: seconds between searches for new faces while some are followed.
        search_empty: seconds between searches while none is.
        patience: seconds that a lost face may be gone and still be the same track, with a gap.
    """

    max_faces: int = 8
    search_every: float = 1.0
    search_empty: float = 0.1
    patience: float = 0.5


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces that the tracker found in one frame.

    Attributes:
        seen: the observation of each face that is there, by its number.
        missing: numbers of faces that are lost at present: a gap in their track.
        ended: numbers of tracks that ended before this frame.
        cut: whether a new shot starts here.
        crowded: whether a face was found and not followed because `max_faces` others are.
    """

    frame: Frame
    seen: dict[int, FaceObservation]
    missing: tuple[int, ...]
    ended: tuple[int, ...]
    cut: bool
    crowded: bool = False


@dataclass(slots=True)
class _Track:
    observation: FaceObservation
    seen_at: float
    lost: bool = False


class FaceTracker:
    """Follows faces through the frames of a video, which it must be given in order.

    Args:
        pipeline: on whose threads several faces of a frame are followed side by side; on the caller's if not given.
    """

    def __init__(
        self, landmarker: Landmarker, settings: TrackSettings | None = None, pipeline: Pipeline | None = None
    ) -> None:
        self._landmarker = landmarker
        self._side_by_side = pipeline if pipeline is not None and landmarker.shareable else Pipeline(threads=1)
        self._settings = settings or TrackSettings()
        self._tracks: dict[int, _Track] = {}
        self._next = 0
        self._searched_at = self._counted_at = -float("inf")
        self._stretch = self._shot = 0
        self._cuts = CutDetector()

    def update(self, frame: Frame) -> FrameFaces:
        """Take the next frame."""
        ended: list[int] = []
        cut = self._cuts.is_cut(frame.luma) or frame.shot != self._shot
        self._shot = frame.shot
        if cut:
            ended += self._tracks
            self._tracks.clear()
        if frame.stretch != self._stretch:
            self._stretch = frame.stretch
            self._lose_all(frame.time)
        followed = [track for track in self._tracks.values() if not track.lost]
        self._side_by_side.each(partial(self._follow, frame=frame), followed)
        ended += self._drop_twins()
        crowded = self._search(frame) if self._search_due(frame.time, cut) else self._more_than_followed(frame)
        for number in [n for n, t in self._tracks.items() if frame.time - t.seen_at > self._settings.patience]:
            ended.append(number)
            del self._tracks[number]
        return FrameFaces(
            frame,
            seen={n: t.observation for n, t in self._tracks.items() if not t.lost},
            missing=tuple(n for n, t in self._tracks.items() if t.lost),
            ended=tuple(ended),
            cut=cut,
            crowded=crowded,
        )

    def run(self, frames: Iterable[Frame]) -> Iterator[FrameFaces]:
        """`update` for each of `frames`."""
        return map(self.update, frames)

    def _lose_all(self, time: float) -> None:
        """Search again after frames that were left out before `time`; a face in its old place keeps its number."""
        for track in self._tracks.values():
            track.lost, track.seen_at = True, time

    def _follow(self, track: _Track, frame: Frame) -> None:
        last = track.observation
        found = self._landmarker.follow(frame, last)
        if found is None or found.confidence < MIN_CONFIDENCE or is_another(last.landmarks, found.landmarks):
            track.lost = True
            return
        track.observation, track.seen_at = found, frame.time

    def _drop_twins(self) -> list[int]:
        """Of two tracks on one face the younger one ends."""
        dropped: list[int] = []
        numbers = sorted(n for n, t in self._tracks.items() if not t.lost)
        for i, older in enumerate(numbers):
            for younger in numbers[i + 1 :]:
                if older in dropped or younger in dropped:
                    continue
                a, b = self._tracks[older].observation, self._tracks[younger].observation
                if overlap(a.box, b.box) > TWINS:
                    dropped.append(younger)
        for number in dropped:
            del self._tracks[number]
        return dropped

    def _search_due(self, time: float, cut: bool) -> bool:
        followed = sum(not t.lost for t in self._tracks.values())
        if cut or followed < len(self._tracks):
            return True
        if followed >= self._settings.max_faces:
            return False
        wait = self._settings.search_every if followed else self._settings.search_empty
        return time - self._searched_at >= wait - 1e-6

    def _more_than_followed(self, frame: Frame) -> bool:
        """Whether there are faces beyond `max_faces`. Does not change when new faces are searched for."""
        known = self._known()
        if len(known) < self._settings.max_faces or frame.time - self._counted_at < self._settings.search_every - 1e-6:
            return False
        self._counted_at = frame.time
        return any(_is_new(found, known) for found in self._landmarker.search(frame, known))

    def _known(self) -> list[FaceObservation]:
        return [t.observation for t in self._tracks.values() if not t.lost]

    def _search(self, frame: Frame) -> bool:
        """Whether there were more faces than may be followed."""
        crowded = False
        self._searched_at = self._counted_at = frame.time
        known = self._known()
        for found in self._landmarker.search(frame, known):
            if not _is_new(found, known):
                continue
            if len(known) >= self._settings.max_faces:
                crowded = True
                continue
            back = self._lost_at(found)
            if back is not None:
                back.observation, back.seen_at, back.lost = found, frame.time, False
            else:
                self._tracks[self._next] = _Track(found, frame.time)
                self._next += 1
            known.append(found)
        return crowded

    def _lost_at(self, found: FaceObservation) -> _Track | None:
        lost = [t for t in self._tracks.values() if t.lost]
        best = max(lost, key=lambda t: overlap(t.observation.box, found.box), default=None)
        if best is None or overlap(best.observation.box, found.box) < SAME_FACE:
            return None
        return best


def _is_new(found: FaceObservation, known: Sequence[FaceObservation]) -> bool:
    return found.confidence >= MIN_CONFIDENCE and all(overlap(found.box, k.box) <= SAME_FACE for k in known)


def is_another(last: NDArray[np.float32], found: NDArray[np.float32]) -> bool:
    """Whether landmarks (68, 2) are too far from the last ones, or too much larger or smaller, to be of one face."""
    before, after = (float(np.ptp(points, axis=0).max()) for points in (last, found))
    moved = float(np.linalg.norm(last.mean(axis=0) - found.mean(axis=0)))
    return moved > JUMP * before or not RESIZE[0] < after / max(before, 1e-6) < RESIZE[1]


class CutDetector:
    """Finds the starts of shots by how much a thumbnail of the frame changes."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._recent = 0.0

    def is_cut(self, luma: NDArray[np.uint8]) -> bool:
        step = max(1, min(luma.shape) // 90)
        small = cv2.resize(np.ascontiguousarray(luma[::step, ::step]), (32, 18), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        last, self._last = self._last, small
        if last is None:
            return False
        change = float(np.abs(small - last).mean())
        cut = change > CUT_LEVEL and change > CUT_RATIO * self._recent
        self._recent = 0.0 if cut else 0.8 * self._recent + 0.2 * change
        return cut
