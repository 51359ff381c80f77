"""The weights of two witnesses against closed forms, and on people who had no part in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.appearance.kit import second_witness

from lrnet.data.records import Label, VideoRecord
from lrnet.errors import TrainingError
from lrnet.evaluation.protocol import ScoredVideo, unjudged
from lrnet.network.spec import ScoreCalibration
from lrnet.training.appearance.fuse import LEAST, fuse, largest_ratio
from lrnet.verdict import ClipScore, CropScore, InputQuality, Rules, State, Stretch, sigmoid

QUALITY = InputQuality(10.0, 250, 150.0, 25.0, 1.0, 0.9, 0.9, 0.01, noise=0.0015, quantiser=25.0)
RULES = Rules("mean_logit", 60, ScoreCalibration(method="platt", a=1.0, b=0.0, fitted_on="nothing", n=1))
ABOUT = second_witness(settle=0.0, thresholds=None)


def video(i: int, fake: bool, motion: float, logits: list[float], person: int | None = None) -> ScoredVideo:
    name, who = f"{i}.mp4", f"p{i if person is None else person}"
    label = Label.FAKE if fake else Label.REAL
    record = VideoRecord(Path(name), name, label, "swap" if fake else "", f"s{i % 7}", "", who)
    clip = ClipScore(0.0, 2.4, 60, sigmoid(motion), {"differences": sigmoid(motion)})
    crops = tuple(CropScore(0.5 * k, x) for k, x in enumerate(logits))
    return unjudged(record, [[Stretch(0.0, 10.0, (clip,), QUALITY, crops=crops)]])


def drawn(count: int, *, motion: float, appearance: float, spread: float = 0.0) -> list[ScoredVideo]:
    """Appearance whose mean logit is normal about +-1 with variance 2 / `appearance`: its log ratio is
    `appearance` x the mean logit."""
    draw = np.random.default_rng(0)
    found = []
    for i in range(count):
        way = 1 if i % 2 else -1
        mean = draw.normal(way, np.sqrt(2 / appearance))
        found.append(video(i, bool(i % 2), way * motion + spread * draw.normal(), [mean] * 10))
    return found


def test_appearance_gets_the_slope_of_its_own_log_ratio() -> None:
    found = fuse(drawn(500, motion=0.0, appearance=1.5), RULES, ABOUT, false_alarms=0.02, misses=0.05).spec
    grown = 10 / (10 + found.settle)
    assert found.slope * grown == pytest.approx(1.5, rel=0.25)
    assert found.offset * grown == pytest.approx(0.0, abs=0.25)
    assert found.n == 500


def test_how_well_motion_does_at_home_does_not_silence_appearance() -> None:
    """Motion that is always right would take all the weight in a fit to both."""
    weak, strong = (
        fuse(drawn(100, motion=m, appearance=1.5), RULES, ABOUT, false_alarms=0.02, misses=0.05).spec.slope
        for m in (0.0, 6.0)
    )
    assert strong == weak


def test_a_network_that_does_not_separate_hardly_counts() -> None:
    videos = [video(i, bool(i % 2), 0.0, [(-1.0) ** (i // 2)] * 4) for i in range(80)]
    found = fuse(videos, RULES, ABOUT, false_alarms=0.02, misses=0.05).spec
    assert found.slope == pytest.approx(LEAST, abs=0.03)


def test_rates_are_of_people_who_had_no_part() -> None:
    fused = fuse(drawn(120, motion=1.0, appearance=3.0, spread=1.0), RULES, ABOUT, false_alarms=0.05, misses=0.05)
    assert fused.spec.thresholds is not None
    assert len(fused.videos) == 120
    real, fake = ([v for v in fused.videos if v.is_fake is label] for label in (False, True))
    alarms = sum(v.state is State.LIKELY_FAKE for v in real)
    missed = sum(v.state is State.NO_EVIDENCE for v in fake)
    assert fused.spec.thresholds.false_positive_rate == pytest.approx((alarms + 1) / (len(real) + 1))
    assert fused.spec.thresholds.miss_rate == pytest.approx((missed + 1) / (len(fake) + 1))
    assert np.mean([v.state is State.LIKELY_FAKE for v in fake]) > 0


def judged(i: int, fake: bool, motion: float, person: int | None = None) -> ScoredVideo:
    return video(i, fake, motion, [], person).judged_by(RULES)


def test_the_largest_ratio_is_what_so_few_genuine_people_can_show() -> None:
    """None of n reach it: 95 % sure of at most 1 - 0.05 ** (1 / n), by the binomial distribution."""
    fakes = [judged(i, True, 5.0) for i in range(10)]
    clear = [judged(100 + i, False, -5.0) for i in range(20)]
    assert largest_ratio([*fakes, *clear]) == pytest.approx(np.log(1 / (1 - 0.05 ** (1 / 20))))
    half = [judged(i, True, 5.0 if i % 2 else -9.0) for i in range(10)]
    assert largest_ratio([*half, *clear]) == pytest.approx(np.log(0.5 / (1 - 0.05 ** (1 / 20))))


def test_many_videos_of_one_person_are_one_person() -> None:
    fakes = [judged(i, True, 5.0) for i in range(10)]
    clear = [judged(100 + i, False, -5.0) for i in range(20)]
    again = [judged(107 + 7 * i, False, -5.0, 107) for i in range(1, 50)]
    assert largest_ratio([*fakes, *clear, *again]) == largest_ratio([*fakes, *clear])


def test_a_genuine_person_beyond_it_lowers_the_largest_ratio() -> None:
    fakes = [judged(i, True, 5.0) for i in range(10)]
    clear = [judged(100 + i, False, -5.0) for i in range(20)]
    some, fewer = largest_ratio([*fakes, *clear]), largest_ratio([*fakes, *clear, judged(200, False, 6.0)])
    assert some is not None
    assert fewer is not None
    assert fewer < some
    assert largest_ratio(clear) is None


def test_a_fused_model_claims_no_more_than_its_people_can_show() -> None:
    fused = fuse(drawn(120, motion=1.0, appearance=3.0, spread=1.0), RULES, ABOUT, false_alarms=0.05, misses=0.05)
    assert fused.spec.largest is not None
    judged = [v.judged_by(replace(RULES, appearance=fused.spec)) for v in fused.videos]
    assert max(v.verdict.log_ratio or 0.0 for v in judged) == fused.spec.largest


def test_a_class_that_is_missing_is_named() -> None:
    real = [v for v in drawn(20, motion=0.0, appearance=1.0) if not v.is_fake]
    with pytest.raises(TrainingError, match="class is missing"):
        fuse(real, RULES, ABOUT, false_alarms=0.02, misses=0.05)
    without = [replace(v, people=()) for v in drawn(20, motion=0.0, appearance=1.0)]
    with pytest.raises(TrainingError, match="class is missing"):
        fuse(without, RULES, ABOUT, false_alarms=0.02, misses=0.05)
