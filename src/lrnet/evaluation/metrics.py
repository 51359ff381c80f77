"""Metrics with intervals from an identity-clustered bootstrap.

Clips of one video, and videos of one person, are not independent: the bootstrap draws whole identity groups, with
replacement, so that an interval says how the figure would move with other people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    roc_curve,
)

from lrnet.errors import DatasetError

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95

Metric = Callable[["Scores"], float]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scored clips or videos.

    Attributes:
        label: (N,) 0 real, 1 fake.
        score: (N,) higher is more likely fake.
        group: (N,) identity group of each.
    """

    label: NDArray[np.int64]
    score: NDArray[np.float64]
    group: NDArray[Any]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.int64]) -> Scores:
        return Scores(self.label[rows], self.score[rows], self.group[rows])

    @property
    def both_classes(self) -> bool:
        return bool(0 < self.label.sum() < len(self.label))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval, and over how much it was taken."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"


def auc(scores: Scores) -> float:
    """Area under the ROC curve: the share of pairs of a real and a fake one in which the fake scores higher, ties half.

    From ranks (Mann-Whitney), as it is taken a thousand times for each interval.
    """
    _, where, count = np.unique(scores.score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[where]
    fake = scores.label == 1
    n = int(fake.sum())
    return float((rank[fake].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))


def average_precision(scores: Scores) -> float:
    return float(average_precision_score(scores.label, scores.score))


def equal_error_rate(scores: Scores) -> float:
    """Error rate where as many real ones are called fake as fake ones real, between the ROC curve's points."""
    fpr, tpr, _ = roc_curve(scores.label, scores.score)
    gap = (1 - tpr) - fpr
    i = int(np.flatnonzero(gap <= 0)[0])
    if i == 0:
        return float(fpr[0])
    share = gap[i - 1] / (gap[i - 1] - gap[i])
    return float(fpr[i - 1] + share * (fpr[i] - fpr[i - 1]))


def recall_at(false_positive_rate: float) -> Metric:
    """Share of fakes caught by the threshold that calls at most this share of the real ones fake."""

    def metric(scores: Scores) -> float:
        # Every threshold: where scores tie, those that a plot can do without are the best ones allowed.
        fpr, tpr, _ = roc_curve(scores.label, scores.score, drop_intermediate=False)
        return float(tpr[fpr <= false_positive_rate].max())

    return metric


def accuracy_at(threshold: float = 0.5) -> Metric:
    """Share of right calls, fake at or above the threshold."""

    def metric(scores: Scores) -> float:
        return float(np.mean((scores.score >= threshold) == (scores.label == 1)))

    return metric


def balanced_accuracy_at(threshold: float = 0.5) -> Metric:
    """Mean of the share of real ones and the share of fakes called right."""

    def metric(scores: Scores) -> float:
        return float(balanced_accuracy_score(scores.label, scores.score >= threshold))

    return metric


def class_weights(scores: Scores) -> NDArray[np.float64]:
    """(N,) weights under which real and fake count the same, as calibrated probabilities assume; their sum is 1."""
    fake = scores.label == 1
    return np.asarray(np.where(fake, 0.5 / fake.sum(), 0.5 / (~fake).sum()), np.float64)


def root_weights(kinds: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) weights that add up to 1: a kind weighs by the root of its number, its members the same each."""
    _, kind, count = np.unique(kinds, return_inverse=True, return_counts=True)
    roots = np.sqrt(count)
    return np.asarray((roots / roots.sum() / count)[kind], np.float64)


def brier(scores: Scores) -> float:
    """Mean squared error of probabilities, real and fake weighing the same."""
    return float(brier_score_loss(scores.label, scores.score, sample_weight=class_weights(scores)))


def expected_calibration_error(scores: Scores, bins: int = 10) -> float:
    """Mean distance between probability and share of fakes, over bins of equal width, weighted by their content.

    Real and fake weigh the same: `probability` is that of a video which could as well be either.
    """
    return float(sum(b.weight * abs(b.probability - b.fakes) for b in reliability(scores, bins)))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One bin of a reliability diagram: mean probability, share of fakes, weight (sum 1 over bins), how many."""

    probability: float
    fakes: float
    weight: float
    n: int


def reliability(scores: Scores, bins: int = 10) -> list[ReliabilityBin]:
    """The bins that hold anything, by rising probability; real and fake weigh the same."""
    weight = class_weights(scores)
    where = np.minimum((scores.score * bins).astype(int), bins - 1)
    found = []
    for b in range(bins):
        inside = where == b
        if inside.any():
            w = weight[inside]
            found.append(
                ReliabilityBin(
                    float(np.average(scores.score[inside], weights=w)),
                    float(np.average(scores.label[inside], weights=w)),
                    float(w.sum()),
                    int(inside.sum()),
                )
            )
    return found


def clustered_interval(metric: Metric, scores: Scores, *, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """A metric and its 95 % percentile interval under resampling of identity groups.

    Raises:
        DatasetError: there is no real or no fake one, so that the metric does not exist.
    """
    low, value, high = _interval(metric, [(1.0, scores)], resamples, seed)
    return Estimate(value, min(low, value), max(high, value), len(scores))


def contrast_interval(
    metric: Metric, parts: Sequence[tuple[float, Scores]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """A weighted sum of one metric over several sets of scores, with its 95 % percentile interval.

    A mean over seeds, a difference of two conditions (weights 1 and -1), a difference of differences: all sets are
    resampled by the same draw of identity groups, so that what the sets share cancels out. `n` is the size of the
    smallest set.

    Args:
        parts: weight and scores of each set; the sets may hold different clips of the same people.

    Raises:
        DatasetError: a set has no real or no fake one, or there is no set.
    """
    low, value, high = _interval(metric, parts, resamples, seed)
    return Estimate(value, min(low, value), max(high, value), min(len(scores) for _, scores in parts))


def _interval(
    metric: Metric, parts: Sequence[tuple[float, Scores]], resamples: int, seed: int
) -> tuple[float, float, float]:
    if not parts or not all(scores.both_classes for _, scores in parts):
        raise DatasetError("Real and fake ones are both needed for this figure.", hint="Add the class that is missing.")
    groups = np.unique(np.concatenate([scores.group for _, scores in parts]))
    rows = [[np.flatnonzero(scores.group == g) for g in groups] for _, scores in parts]
    generator = np.random.default_rng(seed)
    value = sum(weight * metric(scores) for weight, scores in parts)
    drawn: list[float] = []
    with config_context(assume_finite=True, skip_parameter_validation=True):  # checked above: this is the inner loop
        for _ in range(resamples):
            draw = generator.integers(len(groups), size=len(groups))
            samples = [
                (weight, scores.take(np.concatenate([where[i] for i in draw])))
                for (weight, scores), where in zip(parts, rows, strict=True)
            ]
            if all(sample.both_classes for _, sample in samples):
                drawn.append(sum(weight * metric(sample) for weight, sample in samples))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(value), float(high)


def share_interval(hits: NDArray[np.bool_], group: NDArray[Any], *, seed: int = 0) -> Estimate:
    """A share (of real videos called fake, say) with its interval under resampling of identity groups.

    If nothing (or everything) was hit, resampling says nothing, and the interval is the exact binomial one over the
    groups ("rule of three").
    """
    rows = [np.flatnonzero(group == g) for g in np.unique(group)]
    generator = np.random.default_rng(seed)
    value = float(hits.mean())
    if value in (0.0, 1.0):
        reach = 1 - 0.025 ** (1 / len(rows))
        return Estimate(value, max(0.0, value - reach), min(1.0, value + reach), len(hits))
    drawn = [
        hits[np.concatenate([rows[i] for i in generator.integers(len(rows), size=len(rows))])].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, min(float(low), value), max(float(high), value), len(hits))


RANKING: Final[dict[str, Metric]] = {
    "AUC": auc,
    "AP": average_precision,
    "EER": equal_error_rate,
    "TPR@1%FPR": recall_at(0.01),
    "TPR@5%FPR": recall_at(0.05),
}
"""What raw scores are measured by: only their order counts."""

PROBABILITY: Final[dict[str, Metric]] = {
    "accuracy": accuracy_at(),
    "balanced accuracy": balanced_accuracy_at(),
    "Brier": brier,
    "ECE": expected_calibration_error,
}
"""What probabilities are measured by."""


def summarise(
    scores: Scores, metrics: Mapping[str, Metric] | None = None, *, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Several metrics by name, with intervals; `RANKING` if none are given."""
    chosen = RANKING if metrics is None else metrics
    return {name: clustered_interval(metric, scores, resamples=resamples) for name, metric in chosen.items()}
