"""How detection tells of its progress, and of the people of a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final, Literal

from lrnet.detector.events import ClipOfTrack, ClipScored, Event, PersonSeen, Progress, QualityWarning
from lrnet.detector.examine import Examined
from lrnet.verdict import HOLD_BACK, INFLATING, ClipScore, Reason
from lrnet.verdict.running import RunningVerdict
from lrnet.video.reader import Reader

TELL_EVERY: Final = 1.0  # seconds of video, or of waiting, whichever is over first


class Teller:
    """Events of one look after the other; knows only the people of the last look."""

    def __init__(self) -> None:
        self._told: dict[int, float] = {}
        self._doubts: dict[int, tuple[Reason, ...]] = {}

    def events(self, running: RunningVerdict) -> Iterator[Event]:
        told, doubts = self._told, self._doubts
        self._told, self._doubts = {}, {}
        for person in running.faces:
            number, verdict = person.face, person.verdict
            if number not in told:
                yield PersonSeen(number, verdict.start)
            until = told.get(number, -math.inf)
            # The last clip of a track that goes on ends with its last frame, wherever the next one will.
            whole = [clip for clip in verdict.clips if clip.stop > until]
            if whole and whole[-1].stop >= running.time - 1e-6:
                del whole[-1]
            for clip in whole:
                yield ClipScored(number, clip)
            self._told[number] = max((clip.stop for clip in whole), default=until)
            found = tuple(r for r in verdict.reasons if r in (HOLD_BACK | INFLATING) - {Reason.SHORT})
            if found != doubts.get(number, ()):
                yield QualityWarning(number, running.time, found)
            self._doubts[number] = found
        yield running


class Counter:
    """Counts frames on their way through and tells of progress."""

    def __init__(self, reader: Reader, tell: Callable[[Progress], None] | None) -> None:
        self._reader = reader
        self._tell = tell
        self._told = (-float("inf"), 0.0)
        self._faces = 0
        self._scored: list[ClipOfTrack] = []
        self._clips = 0
        self._index = -1
        self.frames_examined = 0
        self.time = 0.0

    @property
    def frames_read(self) -> int:
        return self._reader.frames

    def scored(self, face: int, clips: list[ClipScore]) -> None:
        self._clips += len(clips)
        if self._tell is not None:
            self._scored += [ClipOfTrack(face, clip) for clip in clips]

    def step(self, step: Examined) -> None:
        if step.index > self._index:  # what comes after the last frame is no frame
            self.frames_examined += 1
        self._index, self.time = step.index, step.time
        self._faces = max(self._faces, *(number + 1 for number in step.faces), 0)
        now = perf_counter()
        if self._scored or step.time - self._told[0] >= TELL_EVERY or now - self._told[1] >= TELL_EVERY:
            self._told = (step.time, now)
            self._say("examining")

    def waiting(self) -> None:
        """Nothing new for a second."""
        self._told = (self.time, perf_counter())
        self._say("examining")

    def finish(self) -> None:
        self._say("examined")

    def _say(self, stage: Literal["examining", "examined"]) -> None:
        if self._tell is None:
            return
        new, self._scored = tuple(self._scored), []
        frames = self.frames_read if stage == "examined" else self._index + 1
        self._tell(Progress(frames, self.time, self._reader.info.duration, self._clips, self._faces, new, stage))
