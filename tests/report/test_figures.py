"""Which landmarks are joined, which clip is current, what was not scored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrnet.report.figures import LINES, by_weight, clip_at, lanes, pointed_at, score_colour, score_steps, unscored
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.verdict import ClipScore
from tests.report.samples import RESULTS, a_bundle


def clips(*spans: tuple[float, float]) -> list[ClipScore]:
    return [ClipScore(a, b, 60, 0.5, {}) for a, b in spans]


def test_lines_cover_all_landmarks_once_and_stay_in_their_group() -> None:
    covered = [i for part, _ in LINES for i in range(68)[part]]
    assert covered == list(range(68))
    groups = [set(range(68)[where]) for where in FACIAL_GROUPS.values()]
    assert all(any(set(range(68)[part]) <= group for group in groups) for part, _ in LINES)


@pytest.mark.parametrize(
    ("time", "expected"),
    [(-0.1, None), (0.0, 0), (1.9, 0), (2.02, 0), (2.2, None), (3.0, 1), (4.4, 1), (4.6, 2), (6.0, 2), (6.2, None)],
)
def test_clip_at(time: float, expected: int | None) -> None:
    some = clips((0.0, 2.0), (3.0, 5.0), (4.0, 6.0))
    found = clip_at(some, time)
    assert (None if found is None else some.index(found)) == expected


def test_clip_at_finds_clips_of_any_stride() -> None:
    """Many clips that begin shortly after each other: the one whose middle is nearest began 50 clips before."""
    some = clips(*((i * 0.02, i * 0.02 + 2.0) for i in range(300)))
    for time in (1.5, 3.0, 4.0):
        found = clip_at(some, time)
        assert found == min((c for c in some if c.start <= time <= c.stop), key=lambda c: abs(c.start + 1 - time))


def test_lanes_keep_faces_apart_in_few_rows() -> None:
    assert lanes([(0, 5), (1, 2), (3, 4), (6, 7)]) == [0, 1, 1, 0]
    assert lanes([]) == []


def test_overlapping_clips_become_one_line_of_their_means() -> None:
    some = [ClipScore(a, b, 60, score, {}) for a, b, score in ((0.0, 2.0, 0.2), (1.0, 3.0, 0.6), (5.0, 7.0, 1.0))]
    found = [(step.start, step.stop, pytest.approx(step.score)) for step in score_steps(some)]
    assert found == [(0.0, 1.0, 0.2), (1.0, 2.0, 0.4), (2.0, 3.0, 0.6), (5.0, 7.0, 1.0)]


def test_the_line_has_no_slits_between_clips_that_follow_each_other() -> None:
    some = [ClipScore(i * 2.4, i * 2.4 + 2.36, 60, 0.1 * i, {}) for i in range(4)]
    steps = score_steps(some)
    assert [step.start for step in steps[1:]] == [step.stop for step in steps[:-1]]
    assert [step.score for step in steps] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert score_steps([ClipScore(0.0, 2.0, 60, float("nan"), {})]) == score_steps([]) == []


def test_a_line_of_many_clips_is_the_mean_at_each_moment() -> None:
    generator = np.random.default_rng(0)
    some = [ClipScore(s, s + 2.0, 60, float(p), {}) for s, p in zip(range(50), generator.random(50), strict=True)]
    for step in score_steps(some):
        middle = (step.start + step.stop) / 2
        inside = [clip.score for clip in some if clip.start <= middle < clip.stop]
        assert step.score == pytest.approx(np.mean(inside))


def test_a_verdict_points_at_what_is_suspicious_in_its_stretch() -> None:
    """Which of two suspicious parts, and that none is made up."""
    result, spec = RESULTS["likely fake"], a_bundle().spec
    assert result.verdict.moment == pytest.approx((0, 11.96))
    assert pointed_at(result, spec) == pytest.approx((0, 7.2))
    late = replace(result, verdict=replace(result.verdict, moment=(9.0, 12.0)))
    assert pointed_at(late, spec) == pytest.approx((9.6, 11.96))
    nowhere = replace(result, verdict=replace(result.verdict, moment=(90.0, 105.0)))
    assert pointed_at(nowhere, spec) == (90.0, 105.0)
    for name in ("inconclusive", "no evidence", "no face"):
        assert pointed_at(RESULTS[name], spec) == RESULTS[name].verdict.moment


def test_unscored_stretches() -> None:
    assert unscored(0.0, 10.0, clips((1.0, 3.0), (3.04, 5.0), (4.0, 6.0), (8.0, 10.0))) == [(0.0, 1.0), (6.0, 8.0)]
    assert unscored(2.0, 4.0, []) == [(2.0, 4.0)]
    assert unscored(0.0, 2.0, clips((0.0, 2.0))) == []


def test_colours_run_from_blue_to_vermilion() -> None:
    low, middle, high = (score_colour(s) for s in (0.0, 0.5, 1.0))
    assert low[2] > low[0]
    assert high[0] > high[2]
    assert middle not in (low, high)
    assert score_colour(None) == score_colour(float("nan")) != middle


def test_the_deciding_face_comes_first() -> None:
    assert [face.face for face in by_weight(RESULTS["several faces"])] == [0, 1, 2]
    assert np.all([face.clips == () for face in by_weight(RESULTS["several faces"])[2:]])
