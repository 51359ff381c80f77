"""Can motion accuse somebody in a coarsely encoded video whom the model does not know?

    python -m lrnet.experiments.coarse_people SCORES COPIES [--model M]

SCORES is the folder of `lrnet crossval --out SCORES --keep-networks`, COPIES a landmark store of coarse copies of its
videos (`tools/make_degraded.py STORES FOLDER --coarse`, then `lrnet extract`). Each copy that the rule of decision 22
holds back is scored by the network that knew neither its people nor their source. Prints by kind of fake the AUC
against all real copies, and for the kinds together what a calibration of their own would give: its slope, and the
largest ratio that so few people can show (decision 32) beside the ratio at which M says `likely_fake`. Intervals are
95 %, over people.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from lrnet.data.store import StoredVideo
from lrnet.errors import TrainingError
from lrnet.evaluation.metrics import auc, clustered_interval
from lrnet.evaluation.protocol import ScoredVideo, score_video, scores_of
from lrnet.evaluation.report import table
from lrnet.experiments import environment
from lrnet.network.registry import load_model
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.spec import ScoreCalibration
from lrnet.training.appearance.fuse import class_weights, largest_ratio, logistic
from lrnet.training.crossval import left_out_networks
from lrnet.verdict import Rules, logit
from lrnet.verdict.quality import MAX_QUANTISER


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
        if network is not None and (copy.quantiser or 0) > MAX_QUANTISER:
            found.append(score_video(network, runtimes[id(network)], copy))
    if not found:
        raise TrainingError(
            f"No copy of the cross-validation's people has a quantisation parameter above {MAX_QUANTISER:.0f}.",
            hint="Make copies with `tools/make_degraded.py --coarse`, and extract them.",
        )
    return [v for v in found if v.verdict.score is not None]


def calibrated(copies: Sequence[ScoredVideo], rules: Rules) -> tuple[float, float]:
    """The slope of a log ratio fitted to the copies' log odds, and the largest ratio that their people can show.

    Args:
        rules: of the motion; their calibration is not used.
    """
    fake = np.array([v.is_fake for v in copies], bool)
    raw = logit(np.array([v.verdict.score for v in copies], np.float64))
    slope, offset = logistic(np.column_stack([raw, np.ones(len(raw))]), fake, class_weights(copies))
    own = ScoreCalibration(method="platt", a=slope, b=offset, fitted_on="coarse copies", n=len(copies))
    found = largest_ratio([v.judged_by(replace(rules, score_calibration=own)) for v in copies])
    return slope, math.nan if found is None else math.exp(found)


def report(copies: Sequence[ScoredVideo], rules: Rules, needed: float) -> str:
    """Markdown: the AUC by kind of fake, and what calibrations of their own would give.

    Args:
        needed: ratio at which a video is called `likely_fake`.
    """
    real = [v for v in copies if not v.is_fake]
    persons = len({(v.record.source, v.record.group) for v in real})
    fakes = [v for v in copies if v.is_fake]
    kinds = {f"{source}: {method}" for source, method in ((v.record.source, v.record.method) for v in fakes)}
    sources = {v.record.source for v in fakes}
    parts = {kind: [v for v in fakes if f"{v.record.source}: {v.record.method}" == kind] for kind in sorted(kinds)}
    parts |= {f"all of {source}": [v for v in fakes if v.record.source == source] for source in sorted(sources)}
    parts["all"] = fakes
    rows = []
    for kind, some in parts.items():
        scores = scores_of([(v, v.verdict.score) for v in (*real, *some)])
        slope, largest = calibrated([*real, *some], rules)
        found = str(clustered_interval(auc, scores))
        people = str(len({v.record.group for v in some}))
        rows.append([kind, str(len(some)), people, found, f"{slope:.2f}", f"{largest:.1f}"])
    head = ("fakes", "videos", "people", "AUC", "slope", f"largest ratio ({needed:.1f} is needed)")
    return f"{len(real)} real copies of {persons} people, quantiser above {MAX_QUANTISER:.0f}\n\n{table(head, rows)}"


def main() -> None:
    parser = environment.parser(__doc__, "model")
    parser.add_argument("scores", type=Path)
    parser.add_argument("copies", type=Path)
    args = parser.parse_args()
    spec = load_model(args.model).spec
    threshold = spec.limits.likely_fake if spec.limits is not None else 0.5
    copies = scored_copies(args.scores, environment.stored(args.copies))
    motion = replace(Rules.of(spec), appearance=None, thresholds=None)
    Console(width=180, highlight=False).print(report(copies, motion, threshold / (1 - threshold)), markup=False)


if __name__ == "__main__":
    environment.run(main)
