"""Score calibration and thresholds from out-of-fold scores.

Both are fitted and measured on verdicts on whole and edited videos, by the function that detection uses
(`lrnet.verdict.judge_people`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lrnet.data.records import VideoRecord, people_of
from lrnet.errors import DatasetError
from lrnet.evaluation.metrics import Scores, root_weights
from lrnet.evaluation.protocol import ScoredVideo, video_probabilities
from lrnet.network.spec import Material, MaterialTerm, ScoreCalibration, Thresholds
from lrnet.verdict import Rules, State, Stretch, logit

LeftOut = Literal["people", "source"]

SETTLE: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)  # seconds; lengths of evidence that are tried
TERMS: Final[dict[Material, tuple[float, Literal["log", "linear"]]]] = {
    "face_size": (150.0, "log"),
    "noise": (0.0015, "log"),
    "quantiser": (25.0, "linear"),
}
"""Quantities of the material in a calibration, each with its typical value and scale."""
RIDGE: Final = 0.3  # penalty on the effect of the material, in standard deviations of each term
LEAST_PEOPLE: Final = 20  # genuine people that a fit of the material needs: fewer would be learned themselves
LEAST_SLOPE: Final = 1e-3  # if scores do not separate: the probability stays near one half


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A video scored by a network that was trained without its fold.

    Attributes:
        video: scored but not judged (`ScoredVideo.judged_by`).
        fold, repeat: of the cross-validation, from 0.
        left_out: "people" if only its identity group was left out, "source" if all of its source was.
        edit: how the video was edited (`lrnet.training.edits`); "" for the whole video.
        fake_shot: seconds (start, stop) of the only fake shot of an edited video.
    """

    video: ScoredVideo
    fold: int
    left_out: LeftOut
    repeat: int = 0
    edit: str = ""
    fake_shot: tuple[float, float] | None = None

    def label_of(self, stretch: Stretch) -> bool:
        """Whether a stretch is fake."""
        if self.fake_shot is None:
            return self.video.is_fake
        return self.fake_shot[0] - 0.1 <= stretch.start and stretch.stop <= self.fake_shot[1] + 0.1


@dataclass(frozen=True, slots=True)
class _Table:
    """Judged stretches or videos, one a row.

    Attributes:
        x: (N, F) inputs of the fit; the first is the log odds of the score (or the log ratio of the video).
        weight: (N,) with the same sum for real and fake.
        seconds: (N,) of evidence.
    """

    x: NDArray[np.float64]
    fake: NDArray[np.bool_]
    weight: NDArray[np.float64]
    seconds: NDArray[np.float64]
    group: NDArray[np.str_]


def fit_calibration(held: Sequence[HeldOut], rules: Rules, fitted_on: str) -> ScoreCalibration:
    """A score calibration for stretches, and the line from their joint log ratio to the probability of a video.

    A log ratio is linear in the log odds of the score, less the effect of the material, and grows with the seconds of
    evidence (`ScoreCalibration.settle`). The effect of the material is a ridge regression on genuine faces only: a fit
    to both classes, which come from different sources, would learn the source. Real and fake weigh the same; within a
    class, a source weighs by the root of its number of videos, and whole and edited videos the same.

    Args:
        held: of people that the network was not trained on.
        rules: aggregation and clip length.

    Raises:
        DatasetError: a class is missing.
    """
    blank = replace(rules, score_calibration=None, thresholds=None)
    judged = [replace(h, video=h.video.judged_by(blank)) for h in held]
    table = _stretches(judged)
    moved = _by_material(table)
    table = replace(table, x=np.column_stack([table.x[:, 0] - table.x[:, 2:] @ moved, table.x[:, 1]]))
    best, settle, coefficients = np.inf, 0.0, np.zeros(2)
    for seconds in SETTLE:
        found = _logistic(table, table.seconds / (table.seconds + seconds))
        loss = _log_loss(table, found, seconds)
        if loss < best - 1e-4:
            best, settle, coefficients = loss, seconds, found
    slope, offset = coefficients.tolist()
    calibration = ScoreCalibration(
        method="platt",
        a=slope,
        b=offset,
        settle=settle,
        material=tuple(
            MaterialTerm(quantity=name, slope=-slope * each, typical=TERMS[name][0], scale=TERMS[name][1])
            for name, each in zip(TERMS, moved.tolist(), strict=True)
        ),
        fitted_on=fitted_on,
        n=len({h.video.record.key for h in held if not h.edit}),
    )
    videos = _videos([replace(h, video=h.video.judged_by(replace(blank, score_calibration=calibration))) for h in held])
    slope, offset = _logistic(videos, np.ones(len(videos.fake))).tolist()
    return calibration.model_copy(update={"video_slope": slope, "video_offset": offset})


def _stretches(held: Sequence[HeldOut]) -> _Table:
    scored = [(h, s) for h in held for person in h.video.people for s in person.stretches if s.score is not None]
    judged = [(h, s) for h, s in scored if s.judged]
    if len({h.label_of(s) for h, s in judged}) < 2:  # a class has only poor material, which is better than nothing
        judged = scored
    rows = []
    for h, stretch in judged:
        assert stretch.score is not None
        quality = stretch.quality
        material = {"face_size": quality.face_size, "noise": quality.noise, "quantiser": quality.quantiser}
        units = [
            MaterialTerm(quantity=name, slope=1.0, typical=typical, scale=scale).shift(material[name])
            for name, (typical, scale) in TERMS.items()
        ]
        rows.append((h, [float(logit(stretch.score)), 1.0, *units], h.label_of(stretch), stretch.seconds))
    return _table(rows)


def _videos(held: Sequence[HeldOut]) -> _Table:
    known = [(h, h.video.verdict.log_ratio) for h in held]
    return _table([(h, [ratio, 1.0], h.video.is_fake, 1.0) for h, ratio in known if ratio is not None])


def _table(rows: Sequence[tuple[HeldOut, list[float], bool, float]]) -> _Table:
    fake = np.array([row[2] for row in rows], bool)
    if not fake.any() or fake.all():
        raise DatasetError("Real and fake scores are both needed to calibrate.", hint="Add the class that is missing.")
    kind = np.array([h.edit for h, *_ in rows], dtype=str)
    source = np.array([h.video.record.source for h, *_ in rows], dtype=str)
    weight = np.zeros(len(rows))
    for label in (True, False):
        kinds = np.unique(kind[fake == label])
        for name in kinds:
            some = (fake == label) & (kind == name)
            weight[some] = root_weights(source[some]) / len(kinds)
    return _Table(
        np.array([row[1] for row in rows], np.float64),
        fake,
        weight * len(rows) / 2 / len({h.repeat for h, *_ in rows}),  # repeats do not add videos
        np.array([row[3] for row in rows], np.float64),
        np.array([h.video.record.group for h, *_ in rows], dtype=str),
    )


def _by_material(table: _Table) -> NDArray[np.float64]:
    """Effect of the material on the log odds of genuine faces, for each unit of each term; shrunk towards 0."""
    real = ~table.fake
    if len(np.unique(table.group[real])) < LEAST_PEOPLE:
        return np.zeros(table.x.shape[1] - 2)
    units, weight = table.x[real, 2:], table.weight[real] / table.weight[real].sum()
    means = weight @ units
    spread = np.maximum(np.sqrt(weight @ (units - means) ** 2), 1e-9)
    inputs = (units - means) / spread * np.sqrt(weight)[:, None]
    wanted = (table.x[real, 0] - weight @ table.x[real, 0]) * np.sqrt(weight)
    found = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(units.shape[1]), inputs.T @ wanted)
    return np.asarray(found / spread, np.float64)


def _logistic(table: _Table, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slope and offset of a logistic regression of `fake` on the inputs times `scale`. Scores that do not separate give
    a slope of nearly zero and no offset, so that the probability stays at one half."""
    # Platt's targets, by Laplace's rule of succession: each person counts as a little of both classes.
    people = [len(np.unique(table.group[table.fake == label])) for label in (True, False)]
    target = np.where(table.fake, (people[0] + 1) / (people[0] + 2), 1 / (people[1] + 2))
    inputs = table.x * scale[:, None]
    fit = LogisticRegression(C=1e6, fit_intercept=False, max_iter=1000).fit(
        np.concatenate([inputs, inputs]),
        np.repeat([1, 0], len(target)),
        sample_weight=np.concatenate([table.weight * target, table.weight * (1 - target)]),
    )
    found = np.asarray(fit.coef_[0], np.float64)
    return found if found[0] > LEAST_SLOPE else np.array([LEAST_SLOPE, 0.0])


def _log_loss(table: _Table, coefficients: NDArray[np.float64], settle: float) -> float:
    ratio = (table.x @ coefficients) * (table.seconds / (table.seconds + settle))
    return float((table.weight * np.logaddexp(0, np.where(table.fake, -ratio, ratio))).sum() / table.weight.sum())


def place_thresholds(
    probabilities: Scores, false_alarms: float, misses: float, source: NDArray[np.str_] | None = None
) -> tuple[float, float]:
    """The two thresholds (likely_fake, no_evidence), with at most these shares of real and of fake videos beyond them.

    Each is half-way between the last video that is not beyond it and the next one. Where the two would cross, the
    classes are well separated, and both thresholds are half-way between them.

    Args:
        source: (N,) of each; a source weighs by the root of its number in the shares. None: all weigh the same.

    Raises:
        DatasetError: a class is missing.
    """
    if not probabilities.both_classes:
        raise DatasetError(
            "Real and fake scores are both needed for thresholds.", hint="Add the class that is missing."
        )
    kinds = np.full(len(probabilities), "") if source is None else source
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


def decide(
    held: Sequence[HeldOut], rules: Rules, *, false_alarms: float, misses: float, what: str
) -> tuple[ScoreCalibration, Thresholds, list[HeldOut]]:
    """Calibrate, set thresholds, and measure their error rates.

    Calibration and thresholds are fitted on all videos. The stated rates are those of whole videos, judged by
    calibrations and thresholds that were fitted without the people of the video's fold.

    Args:
        held: of one or several cross-validations.
        rules: aggregation and clip length.
        false_alarms, misses: at most these shares of real and of fake videos beyond the thresholds.
        what: the videos in words.

    Returns:
        the calibration, the thresholds, and the videos judged by those that were fitted without their fold.
    """
    rules = replace(rules, score_calibration=None, thresholds=None)
    calibration, (likely, none) = _set(held, rules, false_alarms, misses, what)
    judged: list[HeldOut] = list(held)
    for repeat, fold in dict.fromkeys((h.repeat, h.fold) for h in held):
        inside = [i for i, h in enumerate(held) if (h.repeat, h.fold) == (repeat, fold)]
        own, edges = _set(unrelated(held, (held[i].video.record for i in inside)), rules, false_alarms, misses, what)
        own_rules = replace(rules, score_calibration=own, thresholds=_thresholds(*edges, 0.0, 0.0, what))
        for i in inside:
            judged[i] = replace(held[i], video=held[i].video.judged_by(own_rules))
    whole = [h.video for h in judged if not h.edit]
    real, fake = [v for v in whole if not v.is_fake], [v for v in whole if v.is_fake]
    limits = _thresholds(likely, none, _share(real, State.LIKELY_FAKE), _share(fake, State.NO_EVIDENCE), what)
    return calibration, limits, judged


def unrelated(held: Sequence[HeldOut], records: Iterable[VideoRecord]) -> list[HeldOut]:
    """Those that show nobody of some records: what may calibrate a model for these."""
    people = {name for record in records for name in people_of(record)}
    return [h for h in held if people.isdisjoint(people_of(h.video.record))]


def _set(
    held: Sequence[HeldOut], rules: Rules, false_alarms: float, misses: float, what: str
) -> tuple[ScoreCalibration, tuple[float, float]]:
    """Calibration and thresholds, on every video with a probability: held back verdicts only lower the rates."""
    calibration = fit_calibration(held, rules, what)
    judged = [replace(h, video=h.video.judged_by(replace(rules, score_calibration=calibration))) for h in held]
    known = [h for h in judged if h.video.probability is not None]
    # Whole and edited videos of a source count as separate sources.
    sources = np.array([f"{h.video.record.source}/{h.edit}" for h in known], dtype=str)
    return calibration, place_thresholds(video_probabilities(h.video for h in known), false_alarms, misses, sources)


def _thresholds(likely: float, none: float, alarms: float, missed: float, what: str) -> Thresholds:
    return Thresholds(
        likely_fake=likely, no_evidence=none, false_positive_rate=alarms, miss_rate=missed, measured_on=what
    )


def _share(videos: Sequence[ScoredVideo], state: State) -> float:
    return sum(v.state is state for v in videos) / max(len(videos), 1)
