"""From scores of videos that a network did not see to calibrated probabilities and thresholds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from lrnet.errors import DatasetError
from lrnet.evaluation.metrics import Scores, brier, root_weights
from lrnet.evaluation.protocol import ScoredVideo, video_scores
from lrnet.network.spec import ScoreCalibration, Thresholds
from lrnet.verdict import State, band, held_back, logit

Method = Literal["platt", "isotonic"]
METHODS: Final[tuple[Method, ...]] = ("platt", "isotonic")
FOLDS: Final = 5
HARDLY_ANY_SLOPE: Final = 1e-3  # of a calibration whose scores do not separate: the probability stays near one half


def calibrate_scores(
    scores: Scores,
    fitted_on: str,
    method: Literal["best", "platt", "isotonic"],
    source: NDArray[np.str_] | None = None,
    repeats: int = 1,
) -> ScoreCalibration:
    """From raw scores to probabilities, real and fake weighing the same.

    Args:
        scores: raw scores in [0, 1] of videos that the network was not trained on.
        fitted_on: which videos, in words.
        method: "best" takes the one with the lower Brier score, cross-validated over identity groups; "platt" if there
            are too few groups to tell.
        source: (N,) of each; within a class, a source weighs by the root of its number. None: all weigh the same.
        repeats: how often each video is among them, scored by another network each time.

    Raises:
        DatasetError: a class is missing.
    """
    if not scores.both_classes:
        raise DatasetError("Real and fake scores are both needed to calibrate.", hint="Add the class that is missing.")
    kinds = _kinds(scores, source)
    tried = {name: cross_validated_brier(scores, name, kinds, repeats) for name in METHODS}
    known = {name: value for name, value in tried.items() if value is not None}
    best = min(known, key=lambda name: known[name]) if known else "platt"
    chosen: Method = best if method == "best" else method
    return _fitted(scores, chosen, kinds, repeats).model_copy(update={"fitted_on": fitted_on, "brier": known})


def cross_validated_brier(
    scores: Scores, method: Method, source: NDArray[np.str_] | None = None, repeats: int = 1
) -> float | None:
    """Brier score of probabilities for people whom the calibration was not fitted on; None with too few of them."""
    kinds = _kinds(scores, source)
    probability = np.full(len(scores), np.nan)
    for train, test in _people_apart(scores):
        part = scores.take(train)
        if not part.both_classes:
            return None
        probability[test] = _fitted(part, method, kinds[train], repeats).apply(scores.score[test])
    if not np.isfinite(probability).all():
        return None
    return brier(Scores(scores.label, probability, scores.group))


def _kinds(scores: Scores, source: NDArray[np.str_] | None) -> NDArray[np.str_]:
    return np.full(len(scores), "") if source is None else source


def _people_apart(scores: Scores) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    fewest = min(len(np.unique(scores.group[scores.label == k])) for k in (0, 1))
    if fewest < 2:
        return []
    splitter = StratifiedGroupKFold(min(FOLDS, fewest), shuffle=True, random_state=0)
    return list(splitter.split(scores.score[:, None], scores.label, scores.group))


def _fitted(scores: Scores, method: Method, source: NDArray[np.str_], repeats: int) -> ScoreCalibration:
    rows, n = len(scores), round(len(scores) / repeats)  # scored again, a video is no further one
    fake = scores.label == 1
    weight = np.zeros(rows)
    for some in (fake, ~fake):
        weight[some] = root_weights(source[some])
    if method == "platt":
        # Platt's targets are those of Laplace's rule of succession, not 0 and 1: each video counts as a little of both.
        fakes, others = fake.sum() / repeats, (~fake).sum() / repeats
        target = np.where(fake, (fakes + 1) / (fakes + 2), 1 / (others + 2))
        fit = LogisticRegression(C=1e6).fit(
            np.tile(logit(scores.score), 2)[:, None],
            np.repeat([1, 0], rows),
            sample_weight=n / 2 * np.concatenate([weight * target, weight * (1 - target)]),
        )
        slope = max(float(fit.coef_[0, 0]), HARDLY_ANY_SLOPE)
        return ScoreCalibration(method="platt", a=slope, b=float(fit.intercept_[0]), fitted_on="", n=n)
    steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    steps.fit(scores.score, scores.label, sample_weight=weight)
    x, where = np.unique(steps.X_thresholds_, return_index=True)
    # No number of videos proves a probability of 0 or 1: the ends are those of Laplace's rule of succession.
    y = np.clip(steps.y_thresholds_[where], 1 / (n + 2), 1 - 1 / (n + 2))
    if len(x) < 2:
        x, y = np.array([0.0, 1.0]), np.repeat(y, 2)
    return ScoreCalibration(method="isotonic", x=tuple(x.tolist()), y=tuple(y.tolist()), fitted_on="", n=n)


def place_thresholds(
    probabilities: Scores, false_alarms: float, misses: float, source: NDArray[np.str_] | None = None
) -> tuple[float, float]:
    """The two thresholds (likely_fake, no_evidence): at most these shares of real and of fake videos beyond them.

    Each stands half-way between the last video that is not beyond it and the next one. Where the two would cross, the
    classes are well apart, and both thresholds stand half-way between them.

    Args:
        source: (N,) of each; a source weighs by the root of its number in the shares. None: all weigh the same.

    Raises:
        DatasetError: a class is missing.
    """
    if not probabilities.both_classes:
        raise DatasetError(
            "Real and fake scores are both needed for thresholds.", hint="Add the class that is missing."
        )
    kinds = _kinds(probabilities, source)
    score, fake = probabilities.score, probabilities.label == 1
    everything = np.unique(score)
    likely = _above(-_first_beyond(-score[~fake], kinds[~fake], false_alarms), everything)
    none = _below(_first_beyond(score[fake], kinds[fake], misses), everything)
    if none > likely:
        likely = none = (likely + none) / 2
    return likely, none


def _first_beyond(values: NDArray[np.float64], source: NDArray[np.str_], share: float) -> float:
    """The lowest value with which those from the lowest on are more than this share."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(root_weights(source)[order])
    return float(values[order[np.flatnonzero(reached > share + 1e-9)[0]]])


def _above(value: float, known: NDArray[np.float64]) -> float:
    higher = known[known > value]
    return float((value + (higher[0] if len(higher) else 1.0)) / 2) if value < 1 else 1.0


def _below(value: float, known: NDArray[np.float64]) -> float:
    lower = known[known < value]
    return float((value + (lower[-1] if len(lower) else 0.0)) / 2)


def judged(video: ScoredVideo, calibration: ScoreCalibration, limits: Thresholds | None) -> ScoredVideo:
    """The video with the probability and the state that these would have given it."""
    verdict = video.verdict
    if verdict is None or verdict.score is None:
        return video
    probability = float(calibration.apply(np.array(verdict.score)))
    held = video.held_back
    state, why = held_back(*band(probability, limits), held)
    return replace(video, verdict=replace(verdict, probability=probability, state=state, reasons=(*why, *held)))


def decide(
    videos: Sequence[ScoredVideo],
    folds: Sequence[Hashable],
    *,
    false_alarms: float,
    misses: float,
    method: Literal["best", "platt", "isotonic"],
    what: str,
) -> tuple[ScoreCalibration, Thresholds, list[ScoredVideo]]:
    """Calibrate and set thresholds on out-of-fold scores; and say what their rates are where they were not set.

    Calibration and thresholds are fitted on all videos. The rates that are stated are those of calibrations and
    thresholds fitted without the fold of the video in question: neither its people nor, if a source was left out, its
    source had a part in them; they are plain shares of videos. In fitting, a source weighs by the root of its number of
    videos, as in training: a user's video may be of any. Videos that are not judged (`ScoredVideo.held_back`) count as
    neither wrong.

    Args:
        videos: scored by networks that saw neither their people nor, for some, their source. Of several
            cross-validations each video is there several times, in folds of their own.
        folds: of each.
        what: the videos in words.

    Returns:
        the calibration, the thresholds, and the videos judged without their fold's part in either.
    """
    calibration, (likely, none) = _set(videos, false_alarms, misses, method, what)
    apart: list[ScoredVideo] = list(videos)
    for fold in dict.fromkeys(folds):
        out = {v.record.key for v, f in zip(videos, folds, strict=True) if f == fold}
        own, edges = _set([v for v in videos if v.record.key not in out], false_alarms, misses, method, what)
        marks = _thresholds(*edges, 0.0, 0.0, what)
        for i, f in enumerate(folds):
            if f == fold:
                apart[i] = judged(videos[i], own, marks)
    real = [v for v in apart if not v.is_fake]
    fake = [v for v in apart if v.is_fake]
    limits = _thresholds(likely, none, _share(real, State.LIKELY_FAKE), _share(fake, State.NO_EVIDENCE), what)
    return calibration, limits, apart


def _set(
    videos: Sequence[ScoredVideo],
    false_alarms: float,
    misses: float,
    method: Literal["best", "platt", "isotonic"],
    what: str,
) -> tuple[ScoreCalibration, tuple[float, float]]:
    """Both on every scored video: what is not judged later can then only make the rates smaller."""
    scored = video_scores(videos)
    source = np.array([v.record.source for v in videos if v.score is not None], dtype=str)
    repeats = round(len(videos) / max(len({v.record.key for v in videos}), 1))
    calibration = calibrate_scores(scored, what, method, source, repeats)
    probabilities = Scores(scored.label, calibration.apply(scored.score), scored.group)
    return calibration, place_thresholds(probabilities, false_alarms, misses, source)


def _thresholds(likely: float, none: float, alarms: float, missed: float, what: str) -> Thresholds:
    return Thresholds(
        likely_fake=likely, no_evidence=none, false_positive_rate=alarms, miss_rate=missed, measured_on=what
    )


def _share(videos: Sequence[ScoredVideo], state: State) -> float:
    return sum(v.state is state for v in videos) / max(len(videos), 1)
