"""Metrics with intervals from an identity-clustered bootstrap.

Clips of one video, and videos of one person, are not independent: the bootstrap draws whole identity groups with
replacement. Fewer than `MIN_GROUPS` groups (of either class, where a metric needs both) give no interval.

Two corrections. Some metrics are biased under resampling (the expected calibration error of a resample is larger, as it
has fewer people): drawn values are shifted by the difference of their mean and the estimate. And at 0 or 1, where all
resamples agree, the bound is the exact binomial one (Clopper-Pearson) over groups; for metrics of two classes, over as
many pairs of groups as the smaller class has groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import DatasetError

RESAMPLES: Final = 1000
CONFIDENCE: Final = 0.95
MIN_GROUPS: Final = 5  # resampling fewer is no measure: one group gives an interval of no width

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


def roc(scores: Scores) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """False and true positive rate from (0, 0) to (1, 1) at every distinct score, and how many lie at or above it.

    Not scikit-learn's `roc_curve`, whose checks take ten times as long: intervals take a thousand of these.
    """
    order = np.argsort(-scores.score, kind="stable")
    fake = scores.label[order] == 1
    last = np.flatnonzero(np.append(np.diff(scores.score[order]) != 0, True))
    hits, alarms = np.cumsum(fake)[last], np.cumsum(~fake)[last]
    return np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1]), np.append(0, hits + alarms)


def average_precision(scores: Scores) -> float:
    """Mean precision over the recalls, each new recall weighing by its step."""
    _, recall, called = roc(scores)
    return float((np.diff(recall) * recall[1:] * scores.label.sum() / called[1:]).sum())


def equal_error_rate(scores: Scores) -> float:
    """Error rate where as many real ones are called fake as fake ones real, between the ROC curve's points."""
    fpr, tpr, _ = roc(scores)
    gap = (1 - tpr) - fpr
    i = int(np.flatnonzero(gap <= 0)[0])
    share = gap[i - 1] / (gap[i - 1] - gap[i])
    return float(fpr[i - 1] + share * (fpr[i] - fpr[i - 1]))


def recall_at(false_positive_rate: float) -> Metric:
    """Share of fakes caught by the threshold that calls at most this share of the real ones fake."""

    def metric(scores: Scores) -> float:
        fpr, tpr, _ = roc(scores)
        return float(tpr[fpr <= false_positive_rate].max())

    return metric


def accuracy(scores: Scores) -> float:
    """Share of right calls, fake from a score of 0.5."""
    return float(np.mean((scores.score >= 0.5) == (scores.label == 1)))


def balanced_accuracy(scores: Scores) -> float:
    """Mean of the share of real ones and the share of fakes called right, fake from a score of 0.5."""
    right = (scores.score >= 0.5) == (scores.label == 1)
    return float((right[scores.label == 1].mean() + right[scores.label == 0].mean()) / 2)


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
    return float((class_weights(scores) * (scores.score - scores.label) ** 2).sum())


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
    n = np.bincount(where, minlength=bins)
    total, score, fakes = (
        np.bincount(where, weight * values, bins) for values in (np.ones(len(where)), scores.score, scores.label)
    )
    return [
        ReliabilityBin(float(score[b] / total[b]), float(fakes[b] / total[b]), float(total[b]), int(n[b]))
        for b in np.flatnonzero(n)
    ]


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

    For example a mean over seeds, or a difference of two conditions (weights 1 and -1). All sets are resampled by the
    same draw of identity groups, so that what the sets share cancels out. `n` is the size of the smallest set.

    Args:
        parts: weight and scores of each set; the sets may hold different clips of the same people.

    Raises:
        DatasetError: a set has no real or no fake one, or there is no set.
    """
    if not parts or not all(scores.both_classes for _, scores in parts):
        raise DatasetError(
            "Real and fake videos are both needed for this figure.", hint="Add the class that is missing."
        )
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
    _, of = np.unique(group, return_inverse=True)
    size, hit = np.bincount(of), np.bincount(of, hits)
    value = float(hits.mean())
    if len(size) < MIN_GROUPS:
        low, high = math.nan, math.nan
    elif value in (0.0, 1.0):
        low, high = _exact(value, len(size))
    else:

        def draw(chosen: NDArray[np.int64]) -> float:
            return float(hit[chosen].sum() / size[chosen].sum())

        low, high = _resampled(draw, value, len(size), RESAMPLES, seed, bounded=True)
    return Estimate(value, low, high, len(hits), len(size))


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
"""Metrics of raw scores, which depend on their order only."""

PROBABILITY: Final[dict[str, Metric]] = {
    "accuracy": accuracy,
    "balanced accuracy": balanced_accuracy,
    "Brier": brier,
    "ECE": expected_calibration_error,
}
"""Metrics of probabilities."""


def summarise(
    scores: Scores, metrics: Mapping[str, Metric] | None = None, *, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Several metrics by name, with intervals; `RANKING` if none are given."""
    chosen = RANKING if metrics is None else metrics
    return {name: clustered_interval(metric, scores, resamples=resamples) for name, metric in chosen.items()}
