"""`Detector.stream`: what is said while a video runs."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import lrnet
from lrnet.detector import ClipScored, Detector, Event, Finished, PersonSeen
from lrnet.verdict import State
from lrnet.verdict.running import RunningVerdict, Sequential, SequentialRule
from lrnet.video.frame import Frame, VideoInfo
from lrnet.video.limits import Access, Limits
from lrnet.video.reader import Reader


@pytest.fixture(scope="module")
def detector() -> Detector:
    return lrnet.Detector()


@pytest.mark.parametrize(("name", "seconds"), [("real", 6.2), ("fake", 10.0)])
def test_the_end_of_a_stream_is_what_detection_says(
    detector: Detector, examples: Path, name: str, seconds: float
) -> None:
    path, access = examples / f"{name}.mp4", Access(limits=Limits(duration=seconds))
    events: list[Event] = list(detector.stream(path, access=access))
    last = events[-1]
    assert isinstance(last, Finished)
    whole = detector.detect(path, access=access)
    assert replace(last.result, elapsed=0, stages=()) == replace(whole, elapsed=0, stages=())

    looks = [e for e in events if isinstance(e, RunningVerdict)]
    assert [look.time for look in looks] == pytest.approx(range(1, math.ceil(seconds)), abs=0.1)
    assert [(e.face, e.time) for e in events if isinstance(e, PersonSeen)] == [(1, 0.0)]
    clips = [e.clip for e in events if isinstance(e, ClipScored)]
    inner = [clip for clip in whole.faces[0].clips if clip.stop < looks[-1].time]
    assert [(clip.start, clip.stop) for clip in clips] == [(clip.start, clip.stop) for clip in inner]
    assert all(look.faces[0].state is not State.LIKELY_FAKE for look in looks[:5])  # the rule needs five seconds
    for look in looks:
        face = look.faces[0]
        assert face.low is not None
        assert face.high is not None
        assert face.probability is not None
        assert face.low - 0.02 <= face.probability <= face.high + 0.02

    # A running verdict is the verdict on the file that is cut off there.
    look = looks[2]
    rate = (last.result.frames_examined - 1) / last.result.seconds_examined
    frames = round(look.time * rate) + 1
    cut = detector.detect(path, access=Access(limits=Limits(frames=frames)))
    assert cut.faces[0].clips == look.faces[0].verdict.clips
    assert cut.faces[0].probability == look.faces[0].probability


def test_a_window_forgets_what_came_before_it(detector: Detector, examples: Path) -> None:
    short = Access(limits=Limits(duration=6.2))
    events = list(detector.stream(examples / "real.mp4", window=3.0, every=2.0, access=short))
    looks = [e for e in events if isinstance(e, RunningVerdict)]
    verdict = looks[-1].faces[0].verdict
    assert 2.0 < verdict.stop - verdict.start <= 3.0
    assert {face.face for look in looks for face in look.faces} == {1}


def test_a_stream_that_is_left_early_ends_its_threads(detector: Detector, examples: Path) -> None:
    events = detector.stream(examples / "real.mp4", access=Access(limits=Limits(duration=3.0)))
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert list(events) == []


@pytest.mark.parametrize(
    ("evidence", "holds"),
    [
        ([3, 3, 3], [False, False, True]),
        ([3, 1, 3, 3], [False, False, False, False]),
        ([3, 3, 3, None, 3], [False, False, True, False, False]),
        ([math.inf] * 4, [False, False, True, True]),
    ],
)
def test_the_sequential_rule_needs_every_look(evidence: list[float | None], holds: list[bool]) -> None:
    rule = Sequential(SequentialRule(log_ratio=2.0, hold=2.0))
    assert [rule.look(float(time), ratio) for time, ratio in enumerate(evidence)] == holds


class Still(Reader):
    """A source from which nothing comes until it is told to end."""

    def __init__(self) -> None:
        super().__init__("still", Limits())
        self.over = threading.Event()

    @property
    def info(self) -> VideoInfo:
        raise NotImplementedError

    def abort(self) -> None:
        self.over.set()

    def __iter__(self) -> Iterator[Frame]:
        assert self.over.wait(30), "nobody ended it"
        yield from ()

    def _decode(self) -> Iterator[Frame]:
        raise NotImplementedError

    def _release(self) -> None:
        pass


def test_a_source_that_stands_still_can_be_left(detector: Detector) -> None:
    """As by Ctrl-C while a camera or a pipe gives nothing."""

    def interrupt() -> None:
        raise InterruptedError

    source = Still()
    source.waiting = interrupt
    with pytest.raises(InterruptedError):
        next(detector.stream(source))
    assert source.over.is_set()
