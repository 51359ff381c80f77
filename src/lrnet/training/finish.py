"""From out-of-fold scores to a bundle's score calibration, thresholds and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lrnet.data.records import Label
from lrnet.data.store import StoredVideo
from lrnet.evaluation.decide import HeldOut, decide
from lrnet.evaluation.protocol import evaluate
from lrnet.evaluation.results import (
    HELD_OUT,
    SEEN,
    UNSEEN,
    Sets,
    called,
    decision_results,
    edit_results,
    find,
    manipulation_results,
    of_manipulation,
    ranking_results,
    state_results,
    stream_results,
)
from lrnet.network.bundle import ModelBundle
from lrnet.network.spec import ALL_MANIPULATIONS, BundleSpec, MeasuredResult, ScoreCalibration, Thresholds
from lrnet.training.config import TrainingConfig
from lrnet.verdict import Rules, State

KNOWN_TO_THE_START: Final = "the weights it starts from may know these people"
KIND_KNOWN_TO_THE_START: Final = "the weights it starts from may know these people and this manipulation"


@dataclass(frozen=True, slots=True)
class Decided:
    """Score calibration and thresholds of a bundle, set on out-of-fold scores.

    Attributes:
        videos: whole videos, each judged by a calibration and thresholds that were set without its fold.
        results: measured on these videos.
    """

    calibration: ScoreCalibration
    thresholds: Thresholds
    videos: tuple[HeldOut, ...]
    results: tuple[MeasuredResult, ...]


def decide_on(held: Sequence[HeldOut], config: TrainingConfig) -> Decided:
    """Calibrate, set thresholds and measure on out-of-fold scores.

    Calibration and thresholds use the scores of all cross-validations; results are means over them.
    """
    rules = Rules(config.aggregation, config.clips.length)
    calibration, limits, judged = decide(
        held, rules, false_alarms=config.decision.false_alarms, misses=config.decision.misses, what=_in_words(held)
    )
    whole = [h for h in judged if not h.edit]
    sets, raw = _by_repeat(whole), _by_repeat([h for h in held if not h.edit])
    results = [
        *ranking_results(raw),
        *stream_results(raw, config.stream_names, config.aggregation),
        *decision_results(sets),
        *edit_results(HELD_OUT, [(h.edit, h.video) for h in judged]),
    ]
    return Decided(calibration, limits, tuple(whole), _noted(results, config, KNOWN_TO_THE_START))


def on_unseen(
    unseen: Mapping[str, Sequence[HeldOut]], decided: Decided, config: TrainingConfig
) -> list[MeasuredResult]:
    """Results on manipulations that no network was trained on.

    Args:
        unseen: out-of-fold scores of networks that were trained without a manipulation, by its name.
        decided: from out-of-fold scores of networks that were trained on all.
    """
    found: list[MeasuredResult] = []
    seen, fakes = _by_repeat(decided.videos), []
    rules = Rules(config.aggregation, config.clips.length, decided.calibration, decided.thresholds)
    for method, some in unseen.items():
        judged = [replace(h, video=h.video.judged_by(rules)) for h in some if not h.edit]
        found += manipulation_results(method, seen, _by_repeat(judged))
        fakes += [h.video for h in judged if h.video.is_fake]
    known = [h.video for h in decided.videos if h.video.record.method in unseen]
    found += state_results(of_manipulation(ALL_MANIPULATIONS, SEEN), known)
    found += state_results(of_manipulation(ALL_MANIPULATIONS, UNSEEN), fakes)
    return list(_noted(found, config, KIND_KNOWN_TO_THE_START))


def _by_repeat(held: Sequence[HeldOut]) -> list[Sets]:
    repeats = [[h for h in held if h.repeat == r] for r in sorted({h.repeat for h in held})]
    return [Sets.of([h.video for h in some], [h.left_out for h in some]) for some in repeats]


def _noted(results: Sequence[MeasuredResult], config: TrainingConfig, note: str) -> tuple[MeasuredResult, ...]:
    if not any(stream.init_from for stream in config.streams):
        return tuple(results)
    return tuple(r.model_copy(update={"note": note}) for r in results)


def against(bundle: ModelBundle, held: Sequence[HeldOut], stored: Sequence[StoredVideo]) -> list[MeasuredResult]:
    """Results of another model on the same held-out videos, which `stored` holds among others."""
    how = {h.video.record.key: h.left_out for h in held if not h.edit}
    same = [v for v in stored if v.record.key in how]
    scored = evaluate(bundle, same)
    return ranking_results([Sets.of(scored, [how[v.record.key] for v in scored])], bundle.spec.name)


def finished(spec: BundleSpec, decided: Decided, others: Sequence[MeasuredResult] = ()) -> BundleSpec:
    """The description with calibration, thresholds and results."""
    where = {"label": "fake", "left_out": UNSEEN, "manipulation": ALL_MANIPULATIONS}
    unseen = find(others, called(State.NO_EVIDENCE), **where)
    limits = decided.thresholds.model_copy(update={"unseen_miss_rate": None if unseen is None else unseen.value})
    return spec.model_copy(
        update={
            "score_calibration": decided.calibration,
            "thresholds": limits,
            "results": (*decided.results, *others),
        }
    )


def _in_words(held: Sequence[HeldOut]) -> str:
    edits = len({h.video.record.key for h in held if h.edit})
    held = [h for h in held if not h.edit]
    labels = {h.video.record.key: h.video.record.label for h in held}
    counts = {label: sum(found is label for found in labels.values()) for label in Label}
    sources = len({h.video.record.source for h in held if h.left_out == "source"})
    repeats = len({h.repeat for h in held})
    words = f"{counts[Label.REAL]} real and {counts[Label.FAKE]} fake videos whose people were left out of training"
    words += f", {sources} sources as a whole" if sources else ""
    words += f", and {edits} edited videos made of them" if edits else ""
    return words + (f"; {repeats} cross-validations with different folds and first weights" if repeats > 1 else "")
