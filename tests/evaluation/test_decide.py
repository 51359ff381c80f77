"""Score calibration and thresholds against closed forms, and on people who had no part in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lrnet.data.records import Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.evaluation.decide import calibrate_scores, cross_validated_brier, decide, judged, place_thresholds
from lrnet.evaluation.metrics import Scores, brier, expected_calibration_error
from lrnet.evaluation.protocol import ScoredVideo
from lrnet.evaluation.results import Sets, decision_results, ranking_results
from lrnet.network.spec import ScoreCalibration
from lrnet.verdict import ClipScore, FaceVerdict, InputQuality, Reason, State

QUALITY = InputQuality(10.0, 250, 200.0, 25.0, 1.0, 0.9, 0.9, 0.01)


def drawn(n: int, slope: float, shift: float, seed: int = 0) -> Scores:
    """Raw scores whose true probability of fake is sigmoid(slope * logit + shift), as many real as fake."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, 40 * n)
    fake = rng.random(len(logits)) < 1 / (1 + np.exp(-(slope * logits + shift)))
    rows = np.concatenate([np.flatnonzero(fake)[:n], np.flatnonzero(~fake)[:n]])
    return Scores(fake[rows].astype(np.int64), 1 / (1 + np.exp(-logits[rows])), rows // 3)


def test_platt_finds_the_slope_and_makes_probabilities_calibrated() -> None:
    scores = drawn(5000, 0.5, 0.0)
    calibration = calibrate_scores(scores, "it", "platt")
    assert calibration.a == pytest.approx(0.5, rel=0.08)
    p = Scores(scores.label, calibration.apply(scores.score), scores.group)
    assert expected_calibration_error(p) < 0.02 < expected_calibration_error(scores)


def at(score: float, label: int, source: str, count: int) -> list[tuple[float, int, str]]:
    return [(score, label, source)] * count


def columns(rows: list[tuple[float, int, str]]) -> tuple[Scores, np.ndarray]:
    score, label, source = zip(*rows, strict=True)
    return Scores(np.array(label), np.array(score), np.arange(len(rows))), np.array(source)


def test_platt_learns_his_targets_where_the_classes_are_apart() -> None:
    """Two scores and two parameters: the sigmoid meets both targets, (n + 1) / (n + 2) and 1 / (m + 2)."""
    scores, _ = columns(at(0.1, 0, "", 8) + at(0.9, 1, "", 3))
    p = calibrate_scores(scores, "it", "platt").apply(np.array([0.1, 0.9]))
    assert p == pytest.approx([1 / 10, 4 / 5], abs=1e-3)


def test_a_source_weighs_by_the_root_of_its_number_in_calibration() -> None:
    """16 real videos of one source score low, the one of another source as high as the fakes: weights 4 and 1."""
    scores, source = columns(at(0.1, 0, "a", 16) + at(0.9, 0, "b", 1) + at(0.9, 1, "c", 98))
    real, fake = 1 / 19, 99 / 100
    p = calibrate_scores(scores, "it", "platt", source).apply(np.array([0.1, 0.9]))
    assert p == pytest.approx([real, (fake + real / 5) / (1 + 1 / 5)], abs=1e-3)
    apart = columns(at(0.1, 0, "a", 16) + at(0.9, 0, "b", 1) + at(0.9, 1, "c", 3))
    steps = calibrate_scores(apart[0], "it", "isotonic", apart[1]).apply(np.array([0.9]))
    assert steps == pytest.approx([1 / (1 + 1 / 5)])


def test_the_better_method_is_taken_and_both_are_told() -> None:
    straight = calibrate_scores(drawn(300, 1.0, 0.0), "it", "best")
    assert straight.method == "platt"
    assert set(straight.brier) == {"platt", "isotonic"}
    rng = np.random.default_rng(0)
    raw = rng.uniform(0, 1, 6000)
    fake = rng.random(6000) < np.where(raw < 0.45, 0.05, np.where(raw < 0.55, 0.5, 0.95))  # steps: no sigmoid
    stepped = calibrate_scores(Scores(fake.astype(np.int64), raw, np.arange(6000)), "it", "best")
    assert stepped.method == "isotonic"
    assert stepped.apply(np.array([0.2, 0.8])) == pytest.approx([0.05, 0.95], abs=0.03)
    assert stepped.brier["isotonic"] < stepped.brier["platt"]


def test_few_videos_prove_no_certainty() -> None:
    few = Scores(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), np.arange(4))
    p = calibrate_scores(few, "it", "isotonic").apply(np.array([0.0, 1.0]))
    assert p.tolist() == pytest.approx([1 / 6, 5 / 6])


def test_cross_validation_keeps_people_apart() -> None:
    """Every person has a score of their own, shared by all their videos: only an honest split sees through it."""
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 10)
    label = (person % 2).astype(np.int64)
    raw = rng.uniform(0, 1, 40)[person] + rng.normal(0, 1e-4, 400)
    scores = Scores(label, np.clip(raw, 0, 1), person)
    honest = cross_validated_brier(scores, "isotonic")
    apart = cross_validated_brier(Scores(label, scores.score, np.arange(400)), "isotonic")
    assert honest is not None
    assert apart is not None
    assert honest > 0.24 > apart - 0.02
    assert apart < honest


def test_thresholds_let_no_more_through_than_allowed() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 500)
    scores = Scores(label, np.clip(rng.normal(0.35 + 0.3 * label, 0.12), 0, 1), np.arange(1000))
    likely, none = place_thresholds(scores, 0.02, 0.05)
    assert (scores.score[:500] >= likely).mean() == pytest.approx(0.02)
    assert (scores.score[500:] <= none).mean() == pytest.approx(0.05)
    assert none < likely


def test_a_source_weighs_by_the_root_of_its_number_in_thresholds() -> None:
    """96 real videos of one source and 4 of another, weights 9.8 and 2: one of the four is 4 % of the real ones."""
    low, high = np.linspace(0.1, 0.3, 96), np.array([0.5, 0.6, 0.7, 0.8])
    rows = [*((float(s), 0, "a") for s in low), *((float(s), 0, "b") for s in high)]
    rows += at(0.9, 1, "a", 9) + at(0.01, 1, "a", 1)
    scores, source = columns(rows)
    assert place_thresholds(scores, 0.03, 0.05)[0] == pytest.approx(0.55)  # three of a hundred are beyond it
    assert place_thresholds(scores, 0.03, 0.05, source)[0] == pytest.approx(0.85)  # none of the four may be
    assert place_thresholds(scores, 0.05, 0.05, source)[0] == pytest.approx(0.75)
    none = place_thresholds(Scores(1 - scores.label, 1 - scores.score, scores.group), 0.05, 0.05, source)[1]
    assert none == pytest.approx(0.25)


def test_well_separated_classes_have_one_threshold_between_them() -> None:
    scores = Scores(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), np.arange(4))
    likely, none = place_thresholds(scores, 0.02, 0.05)
    assert likely == none == pytest.approx(0.5)


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(label: int) -> None:
    scores = Scores(np.full(4, label), np.linspace(0.1, 0.9, 4), np.arange(4))
    with pytest.raises(DatasetError):
        calibrate_scores(scores, "it", "best")
    with pytest.raises(DatasetError):
        place_thresholds(scores, 0.1, 0.1)


def video(i: int, fake: bool, score: float, held_back: tuple[Reason, ...] = ()) -> ScoredVideo:
    record = VideoRecord(
        Path(str(i)), str(i), Label.FAKE if fake else Label.REAL, "swap" if fake else "", "one", "", str(i)
    )
    clip = ClipScore(0.0, 2.4, 60, score, {"differences": score})
    return ScoredVideo(record, FaceVerdict(0, 0.0, 2.4, State.INCONCLUSIVE, None, score, (clip,), held_back, QUALITY))


def test_declared_rates_are_those_of_folds_without_a_part_in_them() -> None:
    """One fold's real videos score like fakes: thresholds set without it let them all through."""
    rng = np.random.default_rng(0)
    videos, folds = [], []
    for i in range(200):
        fake, fold = bool(i % 2), i // 40
        middle = 0.8 if fake or fold == 4 else 0.2
        videos.append(video(i, fake, float(np.clip(rng.normal(middle, 0.05), 0.01, 0.99))))
        folds.append(fold)
    _, limits, apart = decide(videos, folds, false_alarms=0.02, misses=0.05, method="platt", what="it")
    alarms = [v for v in apart if not v.is_fake and v.state is State.LIKELY_FAKE]
    assert limits.false_positive_rate == pytest.approx(len(alarms) / 100)
    assert limits.false_positive_rate > 0.1  # 0.02 would be the rate on the videos that it was set on


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_second_cross_validation_counts_no_video_twice(method: Literal["platt", "isotonic"]) -> None:
    """With the same scores again everything stays: no video has a part in its own rate, nor is it two videos."""
    rng = np.random.default_rng(0)
    videos = [
        video(i, bool(i % 2), float(np.clip(rng.normal(0.7 if i % 2 else 0.4, 0.2), 0.01, 0.99))) for i in range(90)
    ]
    folds = [i // 18 for i in range(90)]
    again = [(1, fold) for fold in folds]
    once, limits, judged_once = decide(videos, folds, false_alarms=0.05, misses=0.05, method=method, what="it")
    twice, edges, judged_twice = decide(
        [*videos, *videos], [*folds, *again], false_alarms=0.05, misses=0.05, method=method, what="it"
    )
    assert twice.n == once.n == 90
    grid = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(twice.apply(grid), once.apply(grid), atol=1e-6)
    assert edges.likely_fake == pytest.approx(limits.likely_fake, abs=1e-6)
    assert edges.no_evidence == pytest.approx(limits.no_evidence, abs=1e-6)
    assert (edges.false_positive_rate, edges.miss_rate) == (limits.false_positive_rate, limits.miss_rate)
    assert [v.state for v in judged_twice] == [v.state for v in judged_once] * 2
    one = Sets.of(judged_once, ["people"] * 90)
    assert ranking_results([one, one]) == ranking_results([one])
    assert decision_results([one, one]) == decision_results([one])


def test_a_large_source_does_not_outvote_the_others() -> None:
    """90 real videos of an easy source, 10 of a hard one: together the hard ones weigh a fourth."""
    videos = [video(i, False, 0.05 + 1e-4 * i) for i in range(90)]
    hard = [video(100 + i, False, 0.4 + 0.04 * i) for i in range(10)]
    videos += [replace(v, record=replace(v.record, source="hard")) for v in hard]
    videos += [video(200 + i, True, 0.9 if i % 10 else 0.02) for i in range(50)]
    folds = [i % 2 for i in range(len(videos))]
    calibration, limits, _ = decide(videos, folds, false_alarms=0.05, misses=0.05, method="platt", what="it")
    beyond = calibration.apply(np.array([v.score for v in videos[90:100]])) >= limits.likely_fake
    assert beyond.sum() == 2  # each is 2.5 % of the weight; by number, five of the hundred would be


def test_what_is_not_judged_is_neither_right_nor_wrong() -> None:
    calibration = ScoreCalibration(method="platt", a=1.0, b=0.0, fitted_on="", n=0)
    from lrnet.network.spec import Thresholds

    limits = Thresholds(likely_fake=0.8, no_evidence=0.2, false_positive_rate=0, miss_rate=0, measured_on="")
    assert judged(video(1, True, 0.9), calibration, limits).state is State.LIKELY_FAKE
    held = judged(video(1, True, 0.9, (Reason.NOISE_UNLIKE_TRAINING,)), calibration, limits)
    assert held.state is State.INCONCLUSIVE
    assert held.probability == pytest.approx(0.9)
    assert held.verdict is not None
    assert held.verdict.reasons == (Reason.NOISE_UNLIKE_TRAINING,)


def test_brier_and_calibration_error_weigh_classes_the_same() -> None:
    scores = Scores(np.array([0, 0, 0, 1]), np.full(4, 0.5), np.arange(4))
    assert brier(scores) == pytest.approx(0.25)
    assert expected_calibration_error(scores) == pytest.approx(0.0)
