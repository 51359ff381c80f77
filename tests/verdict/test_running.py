"""Running verdicts: people keep their numbers, and memory stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.surroundings import NUM_SURROUNDINGS
from lrnet.verdict import ClipScore
from lrnet.verdict.running import CONFIDENCE, RunningJudge, _redrawn


@pytest.fixture(scope="module")
def bundle() -> ModelBundle:
    return load_model("lrnet-mesh-v2")


def sequence(track: int, start: float, seconds: float, person: int) -> LandmarkSequence:
    """A face that trembles, whose looks are those of `person`."""
    n = round(25 * seconds)
    draw = np.random.default_rng(track)
    values = draw.normal(0, 0.005, (n, 68, 2)) + np.random.default_rng(0).uniform(-0.8, 0.8, (68, 2))
    look = np.random.default_rng(100 + person).normal(0, 1, 432)
    looks = look / np.linalg.norm(look) + draw.normal(0, 0.001, (len(range(0, n, 12)), 432))
    bare = LandmarkSequence.from_values(values.astype(np.float32), times=start + np.arange(n) / 25)
    around = np.full((n - 1, NUM_SURROUNDINGS), 1e-3, np.float32)
    measured = replace(bare, face=track, surround_error=around, forward_backward_error=around[:, :1].repeat(68, 1))
    return replace(measured, looks=looks.astype(np.float32), look_times=bare.times[::12])


def test_people_keep_their_numbers_as_tracks_come_and_go(bundle: ModelBundle) -> None:
    judge = RunningJudge(bundle, window=6.0)
    first, second = sequence(0, 0.0, 4.0, person=1), sequence(1, 1.0, 3.0, person=2)
    numbers = [[f.face for f in judge.look(4.0, [first, second]).faces]]
    judge.add([first, second])
    back = sequence(2, 5.0, 2.0, person=2)  # another track of the second person, who was away for a second
    numbers.append([f.face for f in judge.look(7.0, [back]).faces])
    later = sequence(2, 5.0, 7.0, person=2)
    numbers.append([f.face for f in judge.look(12.0, [later]).faces])  # the first has left the window
    numbers.append([f.face for f in judge.look(12.0, [later, sequence(3, 10.0, 2.0, person=3)]).faces])
    assert numbers == [[1, 2], [1, 2], [2], [2, 3]]


def test_the_range_is_where_nine_of_ten_draws_of_the_clips_lie() -> None:
    """Of clips that score 0 or 1, half of them each, the mean of n draws is binomial."""
    clips = [ClipScore(float(i), i + 1.0, 30, float(i % 2), {}) for i in range(40)]
    low, high = np.quantile(_redrawn(clips, 25, "mean_probability", draws=4000), [0.05, 0.95])
    assert (low, high) == pytest.approx((0.5 - 1.645 * 0.1, 0.5 + 1.645 * 0.1), abs=0.03)
    assert CONFIDENCE == 0.9


def test_memory_is_that_of_the_window(bundle: ModelBundle) -> None:
    judge = RunningJudge(bundle, window=5.0)
    for track in range(60):
        judge.add([sequence(track, 2.0 * track, 1.9, person=track)])
        running = judge.look(2.0 * track + 1.9, [])
        assert len(judge._ended) <= 4
        assert len(judge._numbers) == len(judge._sequential) == len(running.faces) <= 4
    assert max(face.face for face in running.faces) == 60


def test_somebody_who_has_just_left_the_window_is_no_longer_judged(bundle: ModelBundle) -> None:
    """Fewer frames than to the next clip are left in it: they must not bring back all that came before."""
    judge = RunningJudge(bundle, window=5.0)
    judge.add([sequence(0, 0.0, 20.0, person=1)])
    for time in (21.0, 23.5, 24.5, 24.8, 24.9):
        for face in judge.look(time, []).faces:
            assert face.verdict.start >= time - 5.0
            assert face.seconds <= 5.0
