"""How much a score speaks for a fake, and how the evidence of several stretches and people adds up.

The unit is the log ratio: the natural log of how much likelier a score is for a fake than for a genuine face. With as
many fakes as genuine videos it is the log odds of fake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lrnet.network.spec import AppearanceSpec, BundleSpec, Material, ScoreCalibration, Thresholds
from lrnet.verdict.quality import InputQuality
from lrnet.verdict.scores import logit, sigmoid

TELLS: Final = float(np.log(3))
"""Log ratio from which on a witness is said to speak: three times likelier."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a model says on how scores of clips become a verdict.

    Attributes:
        aggregation: how the scores of a stretch's clips become one (`lrnet.verdict.scores.aggregate`).
        clip_length: frames of a whole clip.
        score_calibration: from a score to a probability; None leaves every verdict without one.
        thresholds: of that probability.
        appearance: how appearance takes part; None where motion alone decides.
    """

    aggregation: str
    clip_length: int
    score_calibration: ScoreCalibration | None = None
    thresholds: Thresholds | None = None
    appearance: AppearanceSpec | None = None

    @classmethod
    def of(cls, spec: BundleSpec) -> Rules:
        """The rules that a bundle states."""
        length = spec.preprocessing.clip_length
        return cls(spec.aggregation.method, length, spec.score_calibration, spec.limits, spec.appearance)


def log_ratio(score: float, seconds: float, quality: InputQuality, rules: Rules) -> float:
    """The log ratio of an aggregated score; its log odds if the model has no score calibration.

    Args:
        score: aggregated over the clips, in [0, 1].
        seconds: how long the face was judged.
        quality: of the material that was judged.
    """
    if rules.score_calibration is None:
        return float(logit(score))
    material: dict[Material, float] = {
        "face_size": quality.face_size,
        "noise": quality.noise,
        "quantiser": quality.quantiser,
    }
    return rules.score_calibration.log_ratio(score, seconds, material)


def appearance_ratio(logits: Sequence[float], rules: Rules) -> float | None:
    """The log ratio of appearance alone; None without crops, or where motion alone decides.

    Args:
        logits: of the crops.
    """
    return rules.appearance.log_ratio(logits) if rules.appearance is not None and logits else None


def joint_ratio(motion: float, appearance: float | None, rules: Rules) -> float:
    """One log ratio for "the motion was manipulated so that it shows, or the pixels were, or both".

    It is not known which of the three, so the ratio is the mean of theirs. Natural motion does not clear pixels that
    look pasted, as it would if the log ratios were added. It is never larger than the people on whom the model was
    calibrated can show (`AppearanceSpec.largest`): a ratio of 100 is a claim about one genuine person in a hundred.

    Args:
        motion, appearance: log ratio of each witness; None if it was not asked.
        rules: of the model.
    """
    if appearance is None:
        return motion
    found = float(np.logaddexp.reduce([motion, appearance, motion + appearance]) - np.log(3))
    largest = None if rules.appearance is None else rules.appearance.largest
    return found if largest is None else min(found, largest)


def pooled_ratio(whole: float | None, parts: Sequence[float]) -> float:
    """One log ratio for "all of it is fake, or one part is, no matter which".

    The ratio of "one of k parts is fake" is the mean of the parts' ratios. On genuine material its expectation stays 1
    whatever k is, so it exceeds t with a probability of at most 1 / t (Markov's inequality).

    Args:
        whole: log ratio of everything judged together; None leaves that hypothesis out.
        parts: log ratios of the parts alone, one or more. A single part is the whole.
    """
    if len(parts) == 1:
        return parts[0] if whole is None else whole
    one = float(np.logaddexp.reduce(parts) - np.log(len(parts)))
    return one if whole is None else float(np.logaddexp(whole, one) - np.log(2))


def probability_of(ratio: float | None, rules: Rules) -> float | None:
    """The calibrated probability of fake for a log ratio, supposing as many fakes as genuine videos."""
    how = rules.score_calibration
    if ratio is None or how is None:
        return None
    if rules.appearance is not None:
        return sigmoid(ratio)
    return sigmoid(how.video_slope * ratio + how.video_offset)


def with_prior(probability: float, prior: float) -> float:
    """The probability of fake where a share `prior` of videos is fake instead of one half (Bayes' rule).

    Raises:
        ValueError: the prior is not between 0 and 1.
    """
    if not 0 < prior < 1:
        raise ValueError(f"a prior lies between 0 and 1, not at {prior}")
    fake, genuine = probability * prior, (1 - probability) * (1 - prior)
    return fake / (fake + genuine)
