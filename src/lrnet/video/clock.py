"""Presentation times of frames, from time stamps that may be wrong.

A player survives a bad time stamp, and so does `Clock`: it takes the stamps as they come out of the decoder and gives
times that rise from frame to frame and lead to the same place in a player. Three things can be wrong with a stamp:

- It is missing, or later frames go on from where the frames before it stopped: an outlier. Its frame is placed evenly
  between its neighbours; nothing else changes.
- Later frames go on from it, and it lies far ahead of the frame before (`LONGEST_PAUSE`), or behind it: recordings
  were joined, or a counter started again. Time goes on by one frame, and a new shot starts.
- It lies ahead by less than that: a pause, as screen recorders and webcams write them. It is believed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final, Generic, TypeVar

T = TypeVar("T")

LONGEST_PAUSE: Final = 60.0  # seconds that one frame may last
LONGEST_PAUSE_RESET: Final = 5.0  # likewise, in formats whose stamps may start again; mpv draws the line there too
FAR: Final = 20  # frames: a smaller step is no discontinuity
NEAR: Final = 1.5  # frames: a smaller step needs no second look
DRIFT: Final = 0.1  # frames by which each further frame may be off its place, in a video of constant rate
SMALLEST: Final = 1e-6  # seconds: stamps that differ by less are one stamp
HEADER_SLACK: Final = 1.0  # seconds that headers are rounded up by
REORDERED: Final = 0.25  # seconds by which reordering delays the first frame of some files: they start at 0
RECENT: Final = 9  # steps whose median is the spacing of frames
AHEAD: Final = 32  # frames that are looked at before a stamp is judged


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """An item with its time.

    Attributes:
        time: seconds from the beginning of the video as a player counts them.
        shot: number of discontinuities so far.
    """

    item: T
    time: float
    shot: int


class Clock(Generic[T]):
    """Gives each item (a frame) its time. Times are 0 or more and rise strictly.

    Items whose stamps need no second look come back at once, the others after at most `AHEAD` more.

    Args:
        interval: seconds from frame to frame, as the header says.
        origin: the stamp, seconds, that a player shows as time 0.
        end: the stamp, seconds, at which the header says that the video ends; None if it does not say.
        resets: the format's stamps may start again within a file, as those of transport streams do.
        full: whether items that wait are too large together to wait for more.

    Attributes:
        time: of the last item that was given back, seconds.
        furthest: the greatest time that a stamp claimed, believed or not, seconds.
        mended: whether a stamp far from its place was not believed.

    Example:
        ```python
        clock = Clock(interval=0.04)
        timed = [*clock.add("a", 0.0), *clock.add("b", 3600.0), *clock.add("c", 0.08), *clock.finish()]
        [t.time for t in timed]  # [0.0, 0.04, 0.08]
        ```
    """

    def __init__(
        self,
        interval: float,
        origin: float = 0.0,
        end: float | None = None,
        resets: bool = False,
        full: Callable[[Sequence[T]], bool] = lambda items: False,
    ) -> None:
        self.time = self.furthest = 0.0
        self.mended = False
        self._interval = interval
        self._steps: deque[float] = deque(maxlen=RECENT)
        self._offset = self.origin = origin
        self._end = end
        self.resets = resets
        self._pause = LONGEST_PAUSE_RESET if resets else LONGEST_PAUSE
        self._full = full
        self._shot = 0
        self._begun = False
        self._pending: list[tuple[T, float | None]] = []

    @property
    def interval(self) -> float:
        """Seconds from frame to frame: the median of recent steps, at first what the header says."""
        return median(self._steps) if len(self._steps) > 2 else self._interval

    def add(self, item: T, stamp: float | None) -> list[Timed[T]]:
        """Take the next item in order of presentation; returns those whose times are known now, in order."""
        self._pending.append((item, stamp))
        if stamp is not None:
            self.furthest = max(self.furthest, stamp - self.origin)
        return self._settle(ended=False)

    def finish(self) -> list[Timed[T]]:
        """The items that still wait; none comes after them."""
        return self._settle(ended=True)

    def contradicts(self, duration: float) -> bool:
        """Whether a duration, seconds, was made of stamps that were not believed."""
        return self.mended and (self.resets or self.furthest >= duration - HEADER_SLACK)

    def _settle(self, ended: bool) -> list[Timed[T]]:
        settled: list[Timed[T]] = []
        while self._pending:
            stamps = [stamp for _, stamp in self._pending]
            at = self._anchor(stamps, ended)
            if at is None:
                break
            times = self._times(stamps, at) if at < len(stamps) else self._untimed(at)
            settled += [Timed(item, time, self._shot) for (item, _), time in zip(self._pending, times, strict=False)]
            del self._pending[: len(times)]
            self.time, self._begun = times[-1], True
        return settled

    def _anchor(self, stamps: Sequence[float | None], ended: bool) -> int | None:
        """Index of the first stamp that counts; their number if none does, None if more have to be seen first.

        Where a stamp fits the frames before it, those that rise up to it count. Without one, those that count are the
        longest rising sequence, of the stamps that lie after the last time if these are the majority. At the beginning,
        stamps that do not rise count from the first one that most of the others agree with.
        """
        known = [(i, stamp) for i, stamp in enumerate(stamps) if stamp is not None]
        last = self.time + self._offset
        if self._begun:
            near = next((n for n, (i, stamp) in enumerate(known) if self._is_near(stamp - last, i + 1)), None)
        else:  # only the first two can agree at once: wrong stamps behind the first may agree with each other
            near = next((1 for (i, one), (j, other) in pairwise(known[:2]) if self._is_near(other - one, j - i)), None)
        if near is not None:
            known = known[: near + 1]
        elif not ended and len(stamps) <= AHEAD and not self._full([item for item, _ in self._pending]):
            return None
        if near is None and not self._begun:
            steps = [other - one for (_, one), (_, other) in pairwise(known)]
            if len(steps) > 1 and median(steps) > FAR * self._interval:  # a time lapse, which its header denies
                self._interval = median(steps)
        counts = (lambda stamp: stamp - last > SMALLEST) if self._begun else self._is_in_file
        above = [(i, stamp) for i, stamp in known if counts(stamp)]
        if 2 * len(above) > len(known) or (self._begun and near is not None):
            known = above
        if not known:
            return len(stamps)
        if not self._begun and any(other <= one for (_, one), (_, other) in pairwise(known)):
            agree = [
                sum(self._is_near(other - one, j - i) for j, other in known[n:]) for n, (i, one) in enumerate(known)
            ]
            if 2 * max(agree) >= len(known):
                return known[agree.index(max(agree))][0]
        return known[_start_of_rise([stamp for _, stamp in known], to_last=near is not None)][0]

    def _is_near(self, step: float, frames: int) -> bool:
        """Whether a step is one of so many frames: no stamp between needs to be waited for."""
        if frames == 1:
            return 0 < step <= NEAR * self.interval
        return abs(step / self.interval - frames) <= NEAR - 1 + DRIFT * frames

    def _times(self, stamps: Sequence[float | None], at: int) -> list[float]:
        """Times of the items up to the one whose stamp counts; those before it are placed evenly."""
        stamp = stamps[at]
        assert stamp is not None
        if not self._begun:
            times = self._first_times(stamp, at)
        else:
            step = stamp - self._offset - self.time
            if self._is_believed(step, stamp, at + 1):
                self._steps.append(step / (at + 1))
                time = stamp - self._offset
            else:
                far = abs(step) > FAR * self.interval
                self.mended |= far
                self._shot += far
                time = self.time + (at + 1) * self.interval
                self._offset = stamp - time
            times = [*(self.time + (i + 1) * (time - self.time) / (at + 1) for i in range(at)), time]
        for other, time in zip(stamps[:at], times, strict=False):
            self.mended |= other is not None and abs(other - self._offset - time) > FAR * self.interval
        return times

    def _is_believed(self, step: float, stamp: float, frames: int) -> bool:
        if step <= FAR * frames * self.interval:
            return step > frames * SMALLEST
        return step <= self._pause and (self._end is None or stamp <= self._end + HEADER_SLACK)

    def _first_times(self, stamp: float, before: int) -> list[float]:
        """Times up to the first stamp that counts, with `before` items before it."""
        time = before * self.interval
        start = self.start(stamp - time)
        if start:
            time = stamp - self.origin
        self._offset = stamp - time
        return [*(start + i * (time - start) / before for i in range(before)), time]

    def start(self, stamp: float) -> float:
        """The time of a first frame with this stamp: 0 if the stamp is not believed, or is a decoder's delay."""
        start = stamp - self.origin
        return start if start > REORDERED and self._is_in_file(stamp) else 0.0

    def _is_in_file(self, stamp: float) -> bool:
        return 0 <= stamp - self.origin <= (self._pause if self._end is None else self._end - self.origin)

    def _untimed(self, count: int) -> list[float]:
        """Times of items of which none has a stamp."""
        first = self.time + self.interval if self._begun else 0.0
        return [first + i * self.interval for i in range(count)]


def _start_of_rise(values: Sequence[float], to_last: bool) -> int:
    """Index at which the longest strictly rising subsequence starts; of those up to the last value, if asked."""
    lengths: list[int] = []
    starts: list[int] = []
    for i, value in enumerate(values):
        best = max((j for j in range(i) if values[j] < value), key=lambda j: (lengths[j], -values[j]), default=None)
        lengths.append(1 if best is None else lengths[best] + 1)
        starts.append(i if best is None else starts[best])
    return starts[-1 if to_last else lengths.index(max(lengths))]
