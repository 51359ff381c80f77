"""How often a rule accuses, and how soon it finds a fake."""

from __future__ import annotations

import math

import pytest

from lrnet.experiments.sequential import Call, Look, _looks, false_alarms, report
from lrnet.network.spec import ScoreCalibration, Thresholds
from lrnet.verdict import ClipScore, InputQuality, Rules, Stretch
from lrnet.verdict.running import SequentialRule

RULE = SequentialRule(log_ratio=2.0, hold=2.0)
GOOD = InputQuality(10.0, 250, 100.0, 25.0, 1.0, 0.9, 1.0, 0.01, deformation=0.02, tremor=0.004)


def call(group: str, *evidence: float | None, fake: bool = False) -> Call:
    """A call of one person, with its evidence at each second from 1."""
    looks: list[Look] = [(float(t), {} if e is None else {1: e}) for t, e in enumerate(evidence, start=1)]
    return Call(group, fake, 1, tuple(looks))


def test_an_alarm_and_the_time_in_which_one_was_possible() -> None:
    assert call("a", 3, 3, 3).alarm(RULE) == 3.0
    assert call("a", 3, None, 3, 3).alarm(RULE) is None
    assert call("a", 3, 3, 3).exposed(RULE) == 1.0
    assert call("a", 3, 3).exposed(RULE) == 0.0
    assert Call("a", False, 1, ((1.0, {1: 3.0}), (2.0, {2: 3.0}), (3.0, {2: 3.0}))).alarm(RULE) is None  # two people


def test_false_alarms_an_hour_with_their_interval() -> None:
    quiet = [call(str(n), *[0.0] * 362) for n in range(10)]  # 360 s each in which the rule could hold: an hour
    hours, alarms, low, high = false_alarms(quiet, RULE)
    assert (hours, alarms, low) == (pytest.approx(1.0), 0, 0.0)
    assert math.exp(-high) == pytest.approx(0.025)  # no event of Poisson's law
    hours, alarms, low, high = false_alarms([*quiet, call("loud", *[5.0] * 362)], RULE)
    assert alarms == 1
    assert low <= alarms / hours <= high
    text = report("calls", [*quiet, call("f", 0, 3, 3, 3, fake=True), call("g", 0, 0, 0, 0, fake=True)], [RULE])
    assert "10 genuine videos of 10 groups of people and 2 fake videos of 2" in text
    assert "| 1 of 2 | 4 | never | 0 in 60.0 min | 0.0 (0.0 to 3.7) | 0 of 10 |" in text


def test_videos_of_one_person_are_played_one_after_the_other() -> None:
    limits = Thresholds(likely_fake=0.8, no_evidence=0.2, false_positive_rate=0, miss_rate=0, measured_on="")
    rules = Rules("mean_logit", 25, ScoreCalibration(method="platt", a=1.0, b=0.0, fitted_on="", n=1), limits)

    def video(score: float) -> list[Stretch]:
        clips = tuple(ClipScore(n, n + 0.96, 25, score, {}) for n in range(5))
        return [Stretch(0.0, 4.96, clips, GOOD)]

    looks = dict(_looks([video(0.9), video(0.1)], rules))
    assert list(looks) == [float(t) for t in range(1, 10)]
    assert looks[3.0] == {1: pytest.approx(math.log(9))}
    assert looks[9.0] == {}
