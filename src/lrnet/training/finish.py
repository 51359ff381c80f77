"""From out-of-fold scores to a bundle's calibration, thresholds, results and card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lrnet.data.records import Label
from lrnet.data.store import StoredVideo
from lrnet.evaluation.decide import decide, judged
from lrnet.evaluation.protocol import ScoredVideo, evaluate
from lrnet.evaluation.results import (
    ALL_KINDS,
    SEEN,
    UNSEEN,
    Sets,
    decision_results,
    finished_results,
    judged_all_the_same,
    known_and_unseen,
    manipulation_results,
    ranking_results,
    state_results,
    stream_results,
)
from lrnet.network.bundle import ModelBundle
from lrnet.network.spec import BundleSpec, MeasuredResult, ScoreCalibration, Thresholds
from lrnet.training.config import TrainingConfig
from lrnet.training.crossval import HeldOut
from lrnet.verdict import State

KNOWN_TO_THE_START: Final = "the weights it starts from may know these people"
KIND_KNOWN_TO_THE_START: Final = "the weights it starts from may know these people and this manipulation"


@dataclass(frozen=True, slots=True)
class Decided:
    """What out-of-fold scores say.

    Attributes:
        calibration, thresholds: for the bundle.
        videos: each judged by calibration and thresholds that its fold had no part in.
        results: how good that is.
        note: what the training domain does to the rates.
    """

    calibration: ScoreCalibration
    thresholds: Thresholds
    videos: tuple[ScoredVideo, ...]
    results: tuple[MeasuredResult, ...]
    note: str


def decide_on(held: Sequence[HeldOut], config: TrainingConfig) -> Decided:
    """Calibrate, set thresholds and measure, on out-of-fold scores.

    Of several cross-validations all scores are used for calibration and thresholds, and what is measured is their mean.
    """
    videos = [h.video for h in held]
    folds = [(h.repeat, h.fold) for h in held]
    if not config.decision.outside:
        videos = judged_all_the_same(videos)
    what = _in_words(held)
    how = config.decision

    def decided(some: Sequence[ScoredVideo]) -> tuple[ScoreCalibration, Thresholds, list[ScoredVideo]]:
        return decide(
            some,
            folds,
            false_alarms=how.false_alarms,
            misses=how.misses,
            method=how.score_calibration,
            what=what,
        )

    calibration, limits, apart = decided(videos)
    sets = _by_repeat(held, apart)
    results = [
        *ranking_results(sets),
        *stream_results(sets, config.stream_names, config.aggregation),
        *decision_results(sets),
    ]
    note = _domain_note(apart, decided(judged_all_the_same(videos))[2]) if how.outside else ""
    return Decided(calibration, limits, tuple(apart), _noted(results, config, KNOWN_TO_THE_START), note)


def on_unseen(
    unseen: Mapping[str, Sequence[HeldOut]], held: Sequence[HeldOut], decided: Decided, config: TrainingConfig
) -> list[MeasuredResult]:
    """What becomes of manipulations that no network was trained on.

    Args:
        unseen: out-of-fold scores of networks that were trained without a manipulation, by its name.
        held: those of networks that were trained on all.
        decided: what was decided on those.
    """
    found: list[MeasuredResult] = []
    seen, fakes = _by_repeat(held, decided.videos), []
    for method, some in unseen.items():
        videos = [h.video for h in some]
        if not config.decision.outside:
            videos = judged_all_the_same(videos)
        verdicts = [judged(v, decided.calibration, decided.thresholds) for v in videos]
        found += manipulation_results(method, seen, _by_repeat(some, verdicts))
        fakes += [v for v in verdicts if v.is_fake]
    known = [v for v in decided.videos if v.record.method in unseen]
    found += state_results(f"{ALL_KINDS}, {SEEN}", known) + state_results(f"{ALL_KINDS}, {UNSEEN}", fakes)
    return list(_noted(found, config, KIND_KNOWN_TO_THE_START))


def _by_repeat(held: Sequence[HeldOut], videos: Sequence[ScoredVideo]) -> list[Sets]:
    repeats = [[i for i, h in enumerate(held) if h.repeat == r] for r in sorted({h.repeat for h in held})]
    return [Sets.of([videos[i] for i in some], [held[i].left_out for i in some]) for some in repeats]


def _noted(results: Sequence[MeasuredResult], config: TrainingConfig, note: str) -> tuple[MeasuredResult, ...]:
    if not any(stream.init_from for stream in config.streams):
        return tuple(results)
    return tuple(r.model_copy(update={"note": note}) for r in results)


def against(bundle: ModelBundle, held: Sequence[HeldOut], stored: Sequence[StoredVideo]) -> list[MeasuredResult]:
    """What another model does on the same held-out videos.

    Args:
        stored: holds them all; others are passed over.
    """
    how = {h.video.record.key: h.left_out for h in held}
    same = [v for v in stored if v.record.key in how]
    scored = evaluate(bundle, same)
    return ranking_results([Sets.of(scored, [how[v.record.key] for v in scored])], bundle.spec.name)


def finished(spec: BundleSpec, decided: Decided, others: Sequence[MeasuredResult] = ()) -> BundleSpec:
    """The description with calibration, thresholds and results."""
    domain = None if spec.domain is None else spec.domain.model_copy(update={"note": decided.note})
    unseen = known_and_unseen(others).get(ALL_KINDS, {}).get(UNSEEN, {}).get(f"called {State.NO_EVIDENCE.value}")
    limits = decided.thresholds.model_copy(update={"unseen_miss_rate": None if unseen is None else unseen.value})
    return spec.model_copy(
        update={
            "score_calibration": decided.calibration,
            "thresholds": limits,
            "domain": domain,
            "results": (*decided.results, *others),
        }
    )


def measured_on(bundle: ModelBundle, sets: dict[str, Sequence[StoredVideo]]) -> list[MeasuredResult]:
    """What the finished model does on further videos, by their name."""
    found: list[MeasuredResult] = []
    for name, videos in sets.items():
        if videos:
            found += finished_results(name, evaluate(bundle, videos))
    return found


def _in_words(held: Sequence[HeldOut]) -> str:
    labels = {h.video.record.key: h.video.record.label for h in held}
    counts = {label: sum(found is label for found in labels.values()) for label in Label}
    sources = len({h.video.record.source for h in held if h.left_out == "source"})
    repeats = len({h.repeat for h in held})
    told = f"{counts[Label.REAL]} real and {counts[Label.FAKE]} fake videos whose people were left out of training"
    told += f", {sources} sources as a whole" if sources else ""
    return told + (
        f"; {repeats} cross-validations, each with folds and first weights of its own" if repeats > 1 else ""
    )


def _domain_note(judged: Sequence[ScoredVideo], all_the_same: Sequence[ScoredVideo]) -> str:
    """With and without: how many are not judged, and what the error rates are."""

    def share(videos: Sequence[ScoredVideo], fake: bool, state: State) -> str:
        some = [v for v in videos if v.is_fake is fake]
        return f"{sum(v.state is state for v in some) / max(len(some), 1):.1%}"

    def unlike(fake: bool) -> str:
        some = [(a, b) for a, b in zip(judged, all_the_same, strict=True) if a.is_fake is fake]
        return f"{sum(len(a.held_back) > len(b.held_back) for a, b in some) / max(len(some), 1):.1%}"

    return (
        f"Of held-out videos {unlike(False)} of real ones and {unlike(True)} of fakes are not judged for this reason. "
        f"Real ones called likely_fake: {share(judged, False, State.LIKELY_FAKE)} with this rule, "
        f"{share(all_the_same, False, State.LIKELY_FAKE)} without; fakes called likely_fake: "
        f"{share(judged, True, State.LIKELY_FAKE)} with, {share(all_the_same, True, State.LIKELY_FAKE)} without; fakes "
        f"called no evidence: {share(judged, True, State.NO_EVIDENCE)} with, "
        f"{share(all_the_same, True, State.NO_EVIDENCE)} without."
    )
