"""Intervals over people against closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import binomtest

from lrnet.evaluation.metrics import (
    MIN_GROUPS,
    Estimate,
    Scores,
    auc,
    clustered_interval,
    contrast_interval,
    equal_error_rate,
    expected_calibration_error,
    recall_at,
    share_interval,
)
from lrnet.evaluation.results import result
from lrnet.network.spec import MeasuredResult


def separated(reals: int, fakes: int, each: int = 3) -> Scores:
    """Every fake above every real one, `each` videos a group."""
    label = np.repeat([0, 1], [reals * each, fakes * each])
    return Scores(label, label + 0.0, np.repeat(np.arange(reals + fakes), each))


def test_one_group_of_people_gives_no_interval() -> None:
    """85 videos of one person, 12 of them called fake: the card had 0.141 to 0.141."""
    found = share_interval(np.arange(85) < 12, np.zeros(85))
    assert (found.value, found.n, found.people, found.interval) == (12 / 85, 85, 1, None)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["low"] is None
    assert "too few people" in str(found)


@pytest.mark.parametrize("groups", [MIN_GROUPS - 1, MIN_GROUPS])
def test_five_groups_give_one(groups: int) -> None:
    hits = np.tile([True, False], groups)
    assert (share_interval(hits, np.repeat(np.arange(groups), 2)).interval is None) == (groups < MIN_GROUPS)
    many = Scores(np.tile([0, 1], 20), np.linspace(0, 1, 40), np.arange(40))
    few = Scores(many.label, many.score, np.where(many.label == 0, many.group % (2 * groups), many.group))
    for found in (clustered_interval(auc, few), contrast_interval(auc, [(1, few), (-1, many)])):
        assert (found.interval is None) == (groups < MIN_GROUPS)  # though the fakes are of twenty


@pytest.mark.parametrize("groups", [5, 12, 40])
def test_a_share_of_none_or_all_has_the_exact_bound_over_groups(groups: int) -> None:
    who = np.repeat(np.arange(groups), 7)
    for hit in (0, 1):
        found = share_interval(np.full(len(who), bool(hit)), who)
        exact = binomtest(hit * groups, groups).proportion_ci(0.95, "exact")
        assert found.interval == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize(("reals", "fakes"), [(5, 30), (30, 8), (12, 12)])
def test_a_rank_metric_at_its_end_has_the_exact_bound_over_disjoint_pairs_of_groups(reals: int, fakes: int) -> None:
    scores, pairs = separated(reals, fakes), min(reals, fakes)
    exact = binomtest(pairs, pairs).proportion_ci(0.95, "exact")
    for metric in (auc, recall_at(0.05)):
        for parts in ([(1.0, scores)], [(0.5, scores), (0.5, scores)]):
            assert contrast_interval(metric, parts).interval == pytest.approx((exact.low, 1.0))
    assert clustered_interval(equal_error_rate, scores).interval == pytest.approx((0.0, 1 - exact.low))
    upside_down = Scores(scores.label, -scores.score, scores.group)
    assert clustered_interval(auc, upside_down).interval == pytest.approx((0.0, 1 - exact.low))


def test_the_interval_of_a_calibration_error_contains_it_though_resamples_have_larger_ones() -> None:
    """Probabilities that are right have an error near 0, and every resample has more."""
    rng = np.random.default_rng(0)
    groups = 60
    probability = rng.uniform(0.02, 0.98, groups)
    label = (rng.random(groups) < probability).astype(np.int64)
    scores = Scores(label, probability, np.arange(groups))
    value = expected_calibration_error(scores)
    draws = [expected_calibration_error(scores.take(rng.integers(groups, size=groups))) for _ in range(300)]
    bias = np.mean(draws) - value
    assert bias > 0.02
    found = clustered_interval(expected_calibration_error, scores)
    assert found.low < found.value < found.high
    low, high = np.quantile(draws, [0.025, 0.975]) - bias
    assert found.interval == pytest.approx((max(low, 0.0), high), abs=0.03)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    """A share over many groups of one: p +- 1.96 sqrt(p (1 - p) / n)."""
    found = share_interval(np.arange(400) < 120, np.arange(400))
    reach = 1.96 * np.sqrt(0.3 * 0.7 / 400)
    assert found.interval == pytest.approx((0.3 - reach, 0.3 + reach), abs=0.006)


def test_a_result_states_people_and_says_when_it_has_no_interval() -> None:
    kept = result({"dataset": "d"}, "video", "called likely_fake", Estimate(0.14, float("nan"), float("nan"), 85, 1))
    assert (kept.low, kept.high, kept.people, kept.interval) == (None, None, 1, None)
    assert MeasuredResult.model_validate_json(kept.model_dump_json(), strict=True) == kept
    old = MeasuredResult(dataset="d", unit="video", metric="AUC", value=0.9, low=0.8, high=0.95, n=22)
    assert (old.people, old.interval) == (None, (0.8, 0.95))
    with pytest.raises(ValidationError, match="both low and high"):
        MeasuredResult(dataset="d", unit="video", metric="AUC", value=0.9, low=0.8, n=22)
