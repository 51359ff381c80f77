"""What motion says of coarsely encoded videos, where the pixels are spoilt.

Coarse coding raises the scores of real and of fake faces, and parts them all the same. Coarse copies of people left out
say how far (decision 34).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lrnet.data.store import StoredVideo
from lrnet.errors import TrainingError
from lrnet.evaluation.metrics import root_weights
from lrnet.evaluation.protocol import ScoredVideo, score_video
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.spec import AppearanceSpec, CoarseCalibration
from lrnet.training.appearance.fuse import dealt, largest_ratio, logistic
from lrnet.training.crossval import left_out_networks
from lrnet.verdict import Rules, logit
from lrnet.verdict.quality import MAX_QUANTISER

_UNBOUNDED: Final = 1e6


def scored_copies(scores: Path, copies: Sequence[StoredVideo]) -> list[ScoredVideo]:
    """The copies that are coded coarsely, each scored by a network that knew neither its people nor their source.

    Args:
        scores: folder of `lrnet crossval --out DIR --keep-networks`, of the videos that were copied.

    Raises:
        ModelError: a network is missing or damaged.
        TrainingError: no copy is coarse, or none of their people is in the cross-validation.
    """
    networks = left_out_networks(scores)
    runtimes = {id(network): NetworkRuntime(network) for network in networks.values()}
    found = []
    for copy in copies:
        network = networks.get(copy.record.group)
        if network is not None and copy.provenance is not None and (copy.provenance.quantiser or 0) > MAX_QUANTISER:
            found.append(score_video(network, runtimes[id(network)], copy))
    if not found:
        raise TrainingError(
            f"No copy of the cross-validation's people has a quantisation parameter above {MAX_QUANTISER:.0f}.",
            hint="Make copies with `tools/make_degraded.py --coarse`, and extract them.",
        )
    return [v for v in found if v.verdict.score is not None]


def with_coarse(
    spec: AppearanceSpec, motion: Rules, copies: Sequence[ScoredVideo]
) -> tuple[AppearanceSpec, list[ScoredVideo]]:
    """A model's second witness with a calibration for coarse videos, and the copies judged without their own people's
    part in it.

    Args:
        motion: rules of the motion.
        copies: of `scored_copies`.
    """
    apart = []
    for inside, others in dealt(copies):
        own = spec.model_copy(update={"coarse": _fitted(others, spec, motion)})
        apart += [v.judged_by(_rules(motion, own)) for v in inside]
    return spec.model_copy(update={"coarse": _fitted(copies, spec, motion)}), apart


def _fitted(copies: Sequence[ScoredVideo], spec: AppearanceSpec, motion: Rules) -> CoarseCalibration:
    fake = np.array([v.is_fake for v in copies], bool)
    if not len(copies) or fake.all() or not fake.any():
        raise TrainingError("Coarse copies of real and of fake videos are needed; a class is missing.", hint="Add it.")
    source = np.array([v.record.source for v in copies], dtype=str)
    weight = np.zeros(len(copies))
    for label in (True, False):
        weight[fake == label] = root_weights(source[fake == label])
    raw = logit(np.array([v.verdict.score for v in copies], np.float64))
    slope, offset = logistic(np.column_stack([raw, np.ones(len(raw))]), fake, weight)
    people = len({(v.record.source, v.record.group) for v in copies if not v.is_fake})
    words = (
        f"H.264 copies with a quantisation parameter above {MAX_QUANTISER:.0f} of {len(copies)} videos, the real ones "
        f"of {people} people, each scored by a network that knew neither its people nor their source"
    )
    found = CoarseCalibration(
        above=MAX_QUANTISER, slope=slope, offset=offset, largest=_UNBOUNDED, fitted_on=words, n=len(copies)
    )
    judged = [v.judged_by(_rules(motion, spec.model_copy(update={"coarse": found}))) for v in copies]
    return found.model_copy(update={"largest": largest_ratio(judged)})


def _rules(motion: Rules, spec: AppearanceSpec) -> Rules:
    return replace(motion, appearance=spec, thresholds=spec.thresholds)
