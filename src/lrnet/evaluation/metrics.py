"""Metrics with intervals from an identity-clustered bootstrap.

Clips of one video, and videos of one person, are not independent: the bootstrap draws whole identity groups, with
replacement, so that an interval says how the figure would move with other people. Fewer than `MIN_GROUPS` groups of
people (of either class, where a metric needs both) give no interval.

Two corrections. Some metrics are biased under resampling (the expected calibration error of a resample is larger, as
the resample has fewer different people): the drawn values are shifted by their bias, the difference of their mean and
the estimate. And at 0 or 1 all resamples agree: there the bound is the exact binomial one (Clopper-Pearson) over
groups; for metrics of two classes over disjoint pairs of a group with real and a group with fake videos, of which
there are as many as groups in the smaller class.
"""

from __future__ import annotations

import math
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
MIN_GROUPS: Final = 5  # resampling fewer says nothing of other people: one group gives an interval of no width

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
    """A figure with its 95 % interval.

    Attributes:
        low, high: of the interval; NaN if there are too few groups of people for one.
        n: how many clips or videos.
        people: how many groups of people they show.
    """

    value: float
    low: float
    high: float
    n: int
    people: int = 0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval; None if there is none."""
        return None if math.isnan(self.low) else (self.low, self.high)

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON: `low` and `high` are None without an interval."""
        low, high = self.interval or (None, None)
        return {"value": self.value, "low": low, "high": high, "n": self.n, "people": self.people}

    def __str__(self) -> str:
        return f"{self.value:.3f} [{interval_text(self.interval, 3, ', ')}] (n={self.n})"


def interval_text(interval: tuple[float, float] | None, digits: int = 3, between: str = " to ") -> str:
    """An interval in words, "too few people" for none."""
    return "too few people" if interval is None else between.join(f"{edge:.{digits}f}" for edge in interval)


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
    """A metric and its 95 % interval under resampling of identity groups.

    Raises:
        DatasetError: there is no real or no fake one, so that the metric does not exist.
    """
    return contrast_interval(metric, [(1.0, scores)], resamples=resamples, seed=seed)


def contrast_interval(
    metric: Metric, parts: Sequence[tuple[float, Scores]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """A weighted sum of one metric over several sets of scores, with its 95 % interval.

    A mean over seeds, a difference of two conditions (weights 1 and -1), a difference of differences: all sets are
    resampled by the same draw of identity groups, so that what the sets share cancels out. `n` is the size of the
    smallest set.

    Args:
        parts: weight and scores of each set; the sets may hold different clips of the same people.

    Raises:
        DatasetError: a set has no real or no fake one, or there is no set.
    """
    if not parts or not all(scores.both_classes for _, scores in parts):
        raise DatasetError("Real and fake ones are both needed for this figure.", hint="Add the class that is missing.")
    groups = np.unique(np.concatenate([scores.group for _, scores in parts]))
    fewest = min(len(np.unique(s.group[s.label == label])) for _, s in parts for label in (0, 1))
    values = [metric(scores) for _, scores in parts]
    value = sum(weight * one for (weight, _), one in zip(parts, values, strict=True))
    is_mean = min(weight for weight, _ in parts) > 0  # of a metric between 0 and 1

    def draw(chosen: NDArray[np.int64]) -> float | None:
        samples = [
            (weight, scores.take(np.concatenate([where[i] for i in chosen])))
            for (weight, scores), where in zip(parts, rows, strict=True)
        ]
        if not all(sample.both_classes for _, sample in samples):
            return None
        return sum(weight * metric(sample) for weight, sample in samples)

    if fewest < MIN_GROUPS:
        low, high = math.nan, math.nan
    elif is_mean and {round(v, 9) for v in values} in ({0.0}, {1.0}):
        low, high = _exact(round(value), fewest)
    else:
        rows = [[np.flatnonzero(scores.group == g) for g in groups] for _, scores in parts]
        low, high = _resampled(draw, value, len(groups), resamples, seed, bounded=is_mean)
    return Estimate(value, low, high, min(len(scores) for _, scores in parts), len(groups))


def share_interval(hits: NDArray[np.bool_], group: NDArray[Any], *, seed: int = 0) -> Estimate:
    """A share (of real videos called fake, say) with its 95 % interval under resampling of identity groups."""
    rows = [np.flatnonzero(group == g) for g in np.unique(group)]
    value = float(hits.mean())
    if len(rows) < MIN_GROUPS:
        low, high = math.nan, math.nan
    elif value in (0.0, 1.0):
        low, high = _exact(value, len(rows))
    else:

        def draw(chosen: NDArray[np.int64]) -> float:
            return float(hits[np.concatenate([rows[i] for i in chosen])].mean())

        low, high = _resampled(draw, value, len(rows), RESAMPLES, seed, bounded=True)
    return Estimate(value, low, high, len(hits), len(rows))


def _exact(value: float, groups: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of 0 or of all out of so many groups, around a value of 0 or 1."""
    reach = 1 - ((1 - CONFIDENCE) / 2) ** (1 / groups)
    return (0.0, reach) if value == 0 else (1 - reach, 1.0)


def _resampled(
    draw: Callable[[NDArray[np.int64]], float | None],
    value: float,
    groups: int,
    resamples: int,
    seed: int,
    *,
    bounded: bool,
) -> tuple[float, float]:
    """The percentile interval of draws, shifted by their bias; within 0 and 1 if `bounded`."""
    generator = np.random.default_rng(seed)
    with config_context(assume_finite=True, skip_parameter_validation=True):  # `draw` checks: this is the inner loop
        drawn = [draw(generator.integers(groups, size=groups)) for _ in range(resamples)]
    found = np.array([d for d in drawn if d is not None])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail]) + (value - found.mean())
    return (max(float(low), 0.0), min(float(high), 1.0)) if bounded else (float(low), float(high))


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
