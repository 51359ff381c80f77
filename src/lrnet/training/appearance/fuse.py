"""How motion and appearance make one verdict: a few numbers, fitted on videos of people that neither network knows.

Appearance gets a calibration of its own, and motion keeps its own; `lrnet.verdict.evidence.joint_ratio` joins them
without a number that is fitted. Weights that were fitted to both together would say how well each does at home, where
motion is nearly always right and appearance is not needed (decision 30).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression

from lrnet.appearance.crops import middle
from lrnet.appearance.network import AppearanceNetwork
from lrnet.data.records import people_of
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import crops_of
from lrnet.errors import TrainingError
from lrnet.evaluation.decide import place_thresholds
from lrnet.evaluation.metrics import root_weights
from lrnet.evaluation.protocol import ScoredVideo, video_probabilities
from lrnet.network.spec import AppearanceSpec, Thresholds
from lrnet.verdict import CropScore, Rules, State

SETTLE: Final = (0.0, 2.0, 5.0, 10.0)
"""Numbers of crops that are tried as `AppearanceSpec.settle`."""

PARTS: Final = 10
"""Into so many parts people are dealt; each is judged by numbers that were fitted without it."""

LIKELY: Final = 0.8
"""The lowest `likely_fake` threshold: four to one, however well a few real videos of known sources are told apart."""

LEAST: Final = 0.05
"""The least that a logit of appearance counts: a network that does not separate must not turn motion round."""


@dataclass(frozen=True, slots=True)
class Fused:
    """The numbers, and the videos judged without their own people's part in them."""

    spec: AppearanceSpec
    videos: tuple[ScoredVideo, ...]


def with_logits(video: ScoredVideo, stored: StoredVideo, network: AppearanceNetwork) -> ScoredVideo | None:
    """A video whose clips are scored, with the logits of its crops in its stretches; None if it has no crops, or shows
    several people at once: scores on disk do not say which track a stretch is."""
    stretches = [s for person in video.people for s in person.stretches]
    together = any(a.start < b.stop and b.start < a.stop for a, b in combinations(stretches, 2))
    crops = None if together or not stretches else crops_of(stored)
    if crops is None:
        return None
    logits = network.logits(middle(crops.pictures))
    scored = [CropScore(float(t), float(x)) for t, x in zip(crops.times, logits, strict=True)]
    people = tuple(
        replace(
            person,
            stretches=tuple(
                replace(s, crops=tuple(c for c in scored if s.start <= c.time <= s.stop)) for s in person.stretches
            ),
        )
        for person in video.people
    )
    return replace(video, people=people)


def fuse(
    videos: Sequence[ScoredVideo], rules: Rules, about: AppearanceSpec, *, false_alarms: float, misses: float
) -> Fused:
    """Fit the weights of both witnesses and the thresholds.

    The rates in the thresholds are those of videos judged by numbers that were fitted without their people.

    Args:
        videos: of `with_logits`, of people that neither network was trained on.
        rules: of the motion.
        about: version, words and training of the network; its numbers are replaced.
        false_alarms, misses: at most these shares of real and of fake videos beyond the thresholds.

    Raises:
        TrainingError: a class is missing.
    """
    motion = replace(rules, appearance=None)
    videos = [video.judged_by(motion) for video in videos]
    spec = _fitted(videos, motion, about, false_alarms, misses)
    apart = []
    for inside, others in dealt(videos):
        own = _fitted(others, motion, about, false_alarms, misses)
        apart += [v.judged_by(replace(motion, appearance=own, thresholds=own.thresholds)) for v in inside]
    assert spec.thresholds is not None
    rates = {
        "false_positive_rate": _rate([v for v in apart if not v.is_fake], State.LIKELY_FAKE),
        "miss_rate": _rate([v for v in apart if v.is_fake], State.NO_EVIDENCE),
    }
    return Fused(spec.model_copy(update={"thresholds": spec.thresholds.model_copy(update=rates)}), tuple(apart))


def dealt(videos: Sequence[ScoredVideo]) -> Iterator[tuple[list[ScoredVideo], list[ScoredVideo]]]:
    """The videos of a part of the people, and those without any of these people, for each part (`PARTS`)."""
    groups = sorted({v.record.group for v in videos})
    for part in (set(groups[i::PARTS]) for i in range(min(PARTS, len(groups)))):
        inside = [v for v in videos if v.record.group in part]
        people = {name for v in inside for name in people_of(v.record)}
        yield inside, [v for v in videos if people.isdisjoint(people_of(v.record))]


def _fitted(
    videos: Sequence[ScoredVideo], motion: Rules, about: AppearanceSpec, false_alarms: float, misses: float
) -> AppearanceSpec:
    rows = [(v, logits) for v, logits in ((v, _logits(v)) for v in videos) if logits]
    fake = np.array([v.is_fake for v, _ in rows], bool)
    if not len(rows) or fake.all() or not fake.any():
        raise TrainingError(
            "Appearance is calibrated on real and on fake videos of people left out; a class is missing.",
            hint="Leave out a fold that has both.",
        )
    weight = class_weights([v for v, _ in rows])
    mean = np.array([np.mean(x) for _, x in rows], np.float64)
    count = np.array([len(x) for _, x in rows], np.float64)
    best, spec = np.inf, about
    for settle in SETTLE:
        grown = count / (count + settle)
        inputs = np.column_stack([mean * grown, grown])
        slope, offset = logistic(inputs, fake, weight)
        odds = inputs @ (slope, offset)
        loss = float((weight * np.logaddexp(0, np.where(fake, -odds, odds))).sum())
        if loss < best - 1e-3:
            best, numbers = loss, {"slope": slope, "offset": offset, "settle": settle, "n": len(rows)}
            spec = about.model_copy(update=numbers)
    judged = [v.judged_by(replace(motion, appearance=spec, thresholds=None)) for v in videos]
    spec = spec.model_copy(update={"largest": largest_ratio(judged)})
    judged = [v.judged_by(replace(motion, appearance=spec, thresholds=None)) for v in judged]
    known = [v for v in judged if v.probability is not None]
    scores = video_probabilities(known)
    likely, none = place_thresholds(scores, false_alarms, misses, np.array([v.record.source for v in known], dtype=str))
    likely = max(likely, LIKELY)
    limits = Thresholds(
        likely_fake=likely, no_evidence=none, false_positive_rate=0.0, miss_rate=0.0, measured_on=about.fitted_on
    )
    return spec.model_copy(update={"thresholds": limits})


def largest_ratio(videos: Sequence[ScoredVideo]) -> float | None:
    """The largest log ratio that the videos support, at least log 2; None without both classes.

    At each ratio t: the share of fakes that reach it, over the largest share of genuine people that may reach it, given
    that k of n do (95 %, one-sided, Clopper-Pearson). The largest of these is the bound. Beyond it a ratio only goes on
    with the fitted line (Vergeer, van Es, de Jongh, Alberink and Stoel, "Numerical likelihood ratios outputted by LR
    systems are often based on extrapolation: When to stop extrapolating?", Science & Justice 56, 2016). People count,
    not videos: those of one person do not err independently.

    Args:
        videos: judged, of people that neither network was trained on.
    """
    fakes: list[float] = []
    people: dict[tuple[str, str], float] = {}
    for video in videos:
        ratio, who = video.verdict.log_ratio, (video.record.source, video.record.group)
        if ratio is not None and video.is_fake:
            fakes.append(ratio)
        elif ratio is not None:
            people[who] = max(people.get(who, ratio), ratio)
    if not fakes or not people:
        return None
    fake, genuine = np.array(fakes), np.array(list(people.values()))
    supported = [float((fake >= t).mean()) / _at_most(int((genuine >= t).sum()), len(genuine)) for t in fakes]
    return float(np.log(max(*supported, 2.0)))


def _at_most(k: int, n: int) -> float:
    """The largest share of which k of n may come, at 95 %."""
    return float(beta.ppf(0.95, k + 1, n - k)) if k < n else 1.0


def class_weights(videos: Sequence[ScoredVideo]) -> NDArray[np.float64]:
    """(N,) weights: in each class a source counts by the root of its videos."""
    fake = np.array([v.is_fake for v in videos], bool)
    source = np.array([v.record.source for v in videos], dtype=str)
    weight = np.zeros(len(videos))
    for label in (True, False):
        weight[fake == label] = root_weights(source[fake == label])
    return weight


def _logits(video: ScoredVideo) -> list[float]:
    return [c.logit for person in video.people for s in person.stretches if s.judged for c in s.crops]


def logistic(inputs: NDArray[np.float64], fake: NDArray[np.bool_], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and offset of a logistic regression, a little shrunk; the slope is at least `LEAST`."""
    fit = LogisticRegression(C=10.0, fit_intercept=False, max_iter=1000)
    fit.fit(inputs, fake, sample_weight=weight * len(fake) / weight.sum())
    slope, offset = fit.coef_[0].tolist()
    return max(slope, LEAST), offset


def _rate(videos: Sequence[ScoredVideo], state: State) -> float:
    """The chance that a further such video errs, (k + 1) / (n + 1): no error among a few videos is no rate of zero."""
    return (sum(v.state is state for v in videos) + 1) / (len(videos) + 1)
