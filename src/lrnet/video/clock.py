"""Presentation times of frames."""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import VideoFrame


class Clock:
    """Presentation times in seconds from the first frame, strictly rising whatever the file says."""

    def __init__(self, rate: Fraction | None) -> None:
        self._interval = float(1 / rate) if rate else 1 / 25
        self._first: float | None = None
        self._last: float | None = None

    def time_of(self, frame: VideoFrame) -> float:
        raw = frame.time
        if self._first is None or self._last is None:
            self._first, self._last = raw or 0.0, 0.0
            return 0.0
        time = self._last + self._interval if raw is None else raw - self._first
        if time <= self._last:
            time = self._last + self._interval
        self._last = time
        return time
