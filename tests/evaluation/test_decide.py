"""Score calibration and thresholds against closed forms, and on people who had no part in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrnet.data.records import Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.evaluation.decide import RIDGE, HeldOut, decide, fit_calibration, place_thresholds
from lrnet.evaluation.metrics import Scores, expected_calibration_error
from lrnet.evaluation.protocol import unjudged, video_probabilities
from lrnet.evaluation.results import Sets, decision_results, ranking_results
from lrnet.verdict import ClipScore, InputQuality, Rules, State, Stretch, sigmoid

QUALITY = InputQuality(10.0, 250, 150.0, 25.0, 1.0, 0.9, 0.9, 0.01, noise=0.0015, quantiser=25.0)
RULES = Rules("mean_logit", 60)
pytestmark = pytest.mark.usefixtures("few_resamples")


def held(
    i: int,
    fake: bool,
    *logits: float,
    fold: int = 0,
    source: str = "one",
    edit: str = "",
    quality: InputQuality = QUALITY,
    seconds: float = 1000.0,
    repeat: int = 0,
) -> HeldOut:
    """A video of one person in as many stretches as there are logits."""
    name = f"{source}-{i}{edit}"
    label = Label.FAKE if fake else Label.REAL
    record = VideoRecord(Path(name), name, label, "swap" if fake else "", source, "", f"{source}-{i}")
    stretches = []
    for n, value in enumerate(logits):
        start = n * (seconds + 1)
        clip = ClipScore(start, start + 2.4, 60, sigmoid(value), {"differences": sigmoid(value)})
        stretches.append(Stretch(start, start + seconds, (clip,), quality))
    return HeldOut(unjudged(record, [stretches]), fold, "people", repeat, edit)


def test_the_fit_finds_the_slope_and_makes_probabilities_calibrated() -> None:
    """Scores whose true log ratio is half their log odds."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 3000)
    fake = rng.random(3000) < 1 / (1 + np.exp(-0.5 * logits))
    videos = [held(i, bool(f), x, source=f"{i % 50}") for i, (x, f) in enumerate(zip(logits, fake, strict=True))]
    calibration = fit_calibration(videos, RULES, "it")
    assert calibration.a == pytest.approx(0.5, rel=0.1)
    assert calibration.settle == 0.0
    judged = [h.video.judged_by(replace(RULES, score_calibration=calibration)) for h in videos]
    assert expected_calibration_error(video_probabilities(judged)) < 0.03


def test_the_length_of_evidence_is_found_where_it_counts() -> None:
    """Short stretches that do not separate, long ones that do."""
    rng = np.random.default_rng(1)
    videos = []
    for i in range(2000):
        fake, short = bool(i % 2), i % 4 < 2
        middle = 0.0 if short else (1.5 if fake else -1.5)
        videos.append(held(i, fake, rng.normal(middle, 1.0), source=f"{i % 50}", seconds=1.0 if short else 20.0))
    assert fit_calibration(videos, RULES, "it").settle >= 4.0


def test_material_that_raises_scores_is_discounted() -> None:
    """Noisy material raises every log odds by 2; of one term, the ridge leaves 1 / (1 + RIDGE) of that."""
    rng = np.random.default_rng(2)
    videos = []
    for i in range(2000):
        fake, noisy = bool(i % 2), i % 4 < 2
        value = rng.normal((1.5 if fake else -1.5) + 2.0 * noisy, 1.0)
        quality = replace(QUALITY, noise=0.0015 * np.e if noisy else 0.0015)
        videos.append(held(i, fake, value, source=f"{i % 50}", quality=quality))
    calibration = fit_calibration(videos, RULES, "it")
    terms = {term.quantity: term.slope for term in calibration.material}
    assert terms["noise"] / calibration.a == pytest.approx(-2.0 / (1 + RIDGE), rel=0.1)
    assert abs(terms["face_size"]) < 0.05


def test_scores_that_do_not_separate_say_one_half() -> None:
    """Fakes lie below the real ones: a line through both would call everything nearly surely real."""
    rng = np.random.default_rng(0)
    videos = [held(i, bool(i % 2), rng.normal(-4 - 0.3 * (i % 2), 0.5), source=f"{i % 20}") for i in range(200)]
    calibration = fit_calibration(videos, RULES, "it")
    judged = [h.video.judged_by(replace(RULES, score_calibration=calibration)) for h in videos]
    assert [v.probability for v in judged] == pytest.approx([0.5] * 200, abs=0.01)


def columns(rows: list[tuple[float, int, str]]) -> tuple[Scores, np.ndarray]:
    score, label, source = zip(*rows, strict=True)
    return Scores(np.array(label), np.array(score), np.arange(len(rows))), np.array(source)


def at(score: float, label: int, source: str, count: int) -> list[tuple[float, int, str]]:
    return [(score, label, source)] * count


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
    with pytest.raises(DatasetError):
        fit_calibration([held(i, bool(label), float(i)) for i in range(4)], RULES, "it")
    with pytest.raises(DatasetError):
        place_thresholds(Scores(np.full(4, label), np.linspace(0.1, 0.9, 4), np.arange(4)), 0.1, 0.1)


def test_declared_rates_are_those_of_folds_without_a_part_in_them() -> None:
    """One fold's real videos score like fakes: thresholds set without it let them all through."""
    rng = np.random.default_rng(0)
    videos = []
    for i in range(200):
        fake, fold = bool(i % 2), i // 40
        middle = 1.5 if fake or fold == 4 else -1.5
        videos.append(held(i, fake, rng.normal(middle, 0.3), fold=fold))
    _, limits, apart = decide(videos, RULES, false_alarms=0.02, misses=0.05, what="it")
    alarms = [h for h in apart if not h.video.is_fake and h.video.state is State.LIKELY_FAKE]
    assert limits.false_positive_rate == pytest.approx(len(alarms) / 100)
    assert limits.false_positive_rate > 0.1  # 0.02 would be the rate on the videos that it was set on


def test_a_person_in_two_folds_has_no_part_in_either_s_calibration() -> None:
    """The same person stands in a second source, in another fold: both videos are judged without either."""
    rng = np.random.default_rng(0)
    videos = [held(i, bool(i % 2), rng.normal(2.0 if i % 2 else -2.0, 1.0), fold=i // 2 % 2) for i in range(80)]
    twin = held(100, False, 6.0, fold=0)
    other = replace(twin, fold=1, video=replace(twin.video, record=replace(twin.video.record, key="b", source="two")))
    _, _, apart = decide([*videos, twin, other], RULES, false_alarms=0.02, misses=0.05, what="it")
    _, _, alone = decide([*videos, twin], RULES, false_alarms=0.02, misses=0.05, what="it")
    assert apart[80].video.probability == pytest.approx(alone[80].video.probability)


def test_a_second_cross_validation_counts_no_video_twice() -> None:
    """With the same scores again everything stays: no video has a part in its own rate, nor is it two videos."""
    rng = np.random.default_rng(0)
    videos = [held(i, bool(i % 2), rng.normal(0.8 if i % 2 else -0.4, 1.0), fold=i // 18) for i in range(90)]
    again = [replace(h, repeat=1) for h in videos]
    once, limits, judged_once = decide(videos, RULES, false_alarms=0.05, misses=0.05, what="it")
    twice, edges, judged_twice = decide([*videos, *again], RULES, false_alarms=0.05, misses=0.05, what="it")
    assert twice.n == once.n == 90
    assert (twice.a, twice.b) == pytest.approx((once.a, once.b), abs=1e-4)
    assert edges.likely_fake == pytest.approx(limits.likely_fake, abs=1e-4)
    assert edges.no_evidence == pytest.approx(limits.no_evidence, abs=1e-4)
    assert [h.video.state for h in judged_twice] == [h.video.state for h in judged_once] * 2
    one = Sets.of([h.video for h in judged_once], ["people"] * 90)
    assert ranking_results([one, one]) == ranking_results([one])
    assert decision_results([one, one]) == decision_results([one])


def test_edited_videos_set_the_thresholds_too() -> None:
    """Edited real videos that score higher than whole ones raise the threshold for a likely fake."""
    rng = np.random.default_rng(0)
    videos = [held(i, bool(i % 2), rng.normal(3.0 if i % 2 else -3.0, 0.5), fold=i // 2 % 5) for i in range(200)]
    edits = [held(i, False, *rng.normal(1.0, 0.5, 6), fold=i // 2 % 5, edit="shots") for i in range(0, 200, 2)]
    _, alone, _ = decide(videos, RULES, false_alarms=0.02, misses=0.05, what="it")
    calibration, limits, apart = decide([*videos, *edits], RULES, false_alarms=0.02, misses=0.05, what="it")
    accused = [h for h in apart if h.edit and h.video.state is State.LIKELY_FAKE]
    assert len(accused) <= 5
    assert calibration.video_slope > 0
    assert limits != alone
