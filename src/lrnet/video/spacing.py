"""Which frames are observations: none that repeats the one before, and none that comes too soon."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.video.frame import Frame

ROWS: Final = 180  # about how many rows and columns of a frame are compared
BLOCK: Final = 8  # of those a side
SAME: Final = 0.01  # grey levels: frames that differ by less show the same picture
ALMOST: Final = 0.6  # grey levels that an encoded repeat may differ by; genuine frames of faces differ by 0.7 and more
SHARE: Final = 0.2  # and of the stream's own change from frame to frame, so that still faces keep their frames
LONGEST: Final = 1 / 14  # seconds that a frame stands for at most; a face that is seen less often is not judged
RECENT: Final = 8  # kept frames that "the stream's own change" is the upper quartile of


class Repeats:
    """Recognises frames that show the picture of the last frame that was kept.

    Frames are compared on a subsample of their luma: mean absolute differences of blocks, of those the root mean
    square, so that a small part that moves counts more than the same change everywhere. A frame is a repeat if that
    is below `SAME`, or below both `ALMOST` and `SHARE` of what kept frames of this stream changed by. The values were
    chosen on encodings of three videos, so that `examples/` keep every frame; `python -m lrnet.experiments.repeats`
    counts what they leave out elsewhere.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.uint8] | None = None
        self._changes: deque[float] = deque(maxlen=RECENT)

    def is_repeat(self, luma: NDArray[np.uint8]) -> bool:
        """Whether a frame (luma, (H, W)) is a repeat; one that is not becomes the frame that later ones repeat."""
        step = max(1, min(luma.shape) // ROWS)
        small = np.ascontiguousarray(luma[::step, ::step])
        last = self._last
        if last is None or last.shape != small.shape:
            self._last = small
            return False
        change = _change(last, small)
        if change < SAME:
            return True
        if self._changes and change < min(ALMOST, SHARE * float(np.quantile(self._changes, 0.75))):
            return True
        self._changes.append(change)
        self._last = small
        return False


def _change(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    difference = cv2.absdiff(one, other).astype(np.float32)
    height, width = (max(1, side // BLOCK) for side in difference.shape)
    blocks = cv2.resize(difference, (width, height), interpolation=cv2.INTER_AREA)
    return float(np.sqrt(np.mean(np.square(blocks))))


class Spaced:
    """The frames of a stream that are observations; an iterator, see `spaced`.

    Attributes:
        repeated: frames left out so far because they repeat the one before.
        time: presentation time of the last frame that was looked at, left out or not; seconds.
        seconds: that the frames looked at stand for, each for `LONGEST` at most: time without what is missing.
    """

    def __init__(self, frames: Iterable[Frame], rate: float) -> None:
        self.repeated = 0
        self.time = 0.0
        self.seconds = 0.0
        self._frames = frames
        self._gap = 0.75 / rate - 1e-6

    def __iter__(self) -> Iterator[Frame]:
        repeats = Repeats()
        last = before = -float("inf")
        for frame in self._frames:
            self.seconds += min(frame.time - before, LONGEST)
            self.time = before = frame.time
            if repeats.is_repeat(frame.luma):
                self.repeated += 1
            elif frame.time - last >= self._gap:
                last = frame.time
                yield frame


def spaced(frames: Iterable[Frame], rate: float) -> Spaced:
    """Leave out frames that repeat the one before, and then those that come much faster than `rate` (Hz).

    A repeated frame is no observation: its landmarks are those of the frame before, so that a face would seem to stop
    at every fifth frame, say. Screen recordings and changed frame rates are full of them.

    Of what is left, a frame is kept if at least three quarters of `1 / rate` have passed since the last one kept. For
    a rate of 25 Hz, sources of 17 to 33 frames a second pass whole, 50 and 60 lose every second frame, 120 keep one in
    four. Frames are only ever left out: landmarks interpolated between frames would be smoother than any real ones,
    and smoothness is what the network judges.
    """
    return Spaced(frames, rate)
