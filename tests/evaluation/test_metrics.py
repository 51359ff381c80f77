"""Metrics against closed forms; intervals against what they must do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from lrnet.errors import DatasetError
from lrnet.evaluation.metrics import (
    Scores,
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    brier,
    class_weights,
    clustered_interval,
    equal_error_rate,
    expected_calibration_error,
    recall_at,
    roc,
    share_interval,
    summarise,
)


def scores(label: list[int], score: list[float], group: list[str] | None = None) -> Scores:
    return Scores(np.array(label), np.array(score), np.array(group or [str(i) for i in range(len(label))]))


def test_auc_counts_pairs_in_the_right_order() -> None:
    s = scores([0, 0, 1, 1, 1], [0.1, 0.6, 0.5, 0.7, 0.9])
    assert auc(s) == pytest.approx(5 / 6)


def test_equal_error_rate_of_two_shifted_normals() -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    s = Scores(np.repeat([0, 1], n), np.concatenate([rng.normal(0, 1, n), rng.normal(2, 1, n)]), np.arange(2 * n))
    assert equal_error_rate(s) == pytest.approx(0.158655, abs=0.003)  # the normal tail beyond one
    assert recall_at(0.158655)(s) == pytest.approx(0.841345, abs=0.005)


def test_recall_takes_every_threshold_where_scores_tie() -> None:
    """Four thresholds, each with one more of either class: by hand, the shares are 1/4, 2/4, 3/4 and 1."""
    scores = Scores(np.tile([1, 0], 4), np.repeat([0.9, 0.6, 0.4, 0.1], 2), np.arange(8))
    assert [recall_at(limit)(scores) for limit in (0.2, 0.25, 0.5, 0.75)] == [0.0, 0.25, 0.5, 0.75]


def test_calibration_error_of_a_constant() -> None:
    """One fake and three real videos weigh as much as each other: half of the weight is fake."""
    s = scores([1, 0, 0, 0], [0.65, 0.65, 0.65, 0.65])
    assert expected_calibration_error(s) == pytest.approx(0.65 - 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_scikit_learn_where_scores_tie(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = Scores(rng.integers(0, 2, 60), rng.integers(0, 12, 60) / 11, np.arange(60))
    label, score = s.label, s.score
    fpr, tpr, _ = metrics.roc_curve(label, score, drop_intermediate=False)
    np.testing.assert_allclose(roc(s)[:2], (fpr, tpr), rtol=1e-12)
    assert auc(s) == pytest.approx(metrics.roc_auc_score(label, score))
    assert average_precision(s) == pytest.approx(metrics.average_precision_score(label, score))
    assert accuracy(s) == pytest.approx(metrics.accuracy_score(label, score >= 0.5))
    assert balanced_accuracy(s) == pytest.approx(metrics.balanced_accuracy_score(label, score >= 0.5))
    weight = class_weights(s)
    assert brier(s) == pytest.approx(metrics.brier_score_loss(label, score, sample_weight=weight))


def test_the_interval_is_wider_when_clips_belong_to_few_people() -> None:
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(20), 30)
    label = (person % 2).astype(np.int64)
    score = label * 0.8 + rng.normal(0, 1, 20)[person] + rng.normal(0, 0.1, 600)
    together = clustered_interval(auc, Scores(label, score, person))
    apart = clustered_interval(auc, Scores(label, score, np.arange(600)))
    assert together.high - together.low > 3 * (apart.high - apart.low)
    assert together.low <= together.value <= together.high


def test_the_same_seed_gives_the_same_interval() -> None:
    s = scores([0, 0, 1, 1, 0, 1], [0.1, 0.6, 0.5, 0.7, 0.2, 0.4])
    assert summarise(s) == summarise(s)


def test_one_class_alone_is_an_error() -> None:
    with pytest.raises(DatasetError):
        clustered_interval(auc, scores([1, 1], [0.1, 0.2]))


def test_nothing_hit_is_not_certainty() -> None:
    none = share_interval(np.zeros(30, bool), np.arange(30))
    assert none.value == 0
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 30))
    some = share_interval(np.arange(40) < 10, np.arange(40))
    assert some.value == 0.25
    assert 0.08 < some.low < 0.25 < some.high < 0.42
