"""What a bundle says it was measured to do, and what another model does on the same videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from lrnet.data.records import Label
from lrnet.evaluation.decide import HeldOut
from lrnet.evaluation.metrics import (
    RANKING,
    RESAMPLES,
    Estimate,
    Metric,
    Scores,
    auc,
    brier,
    clustered_interval,
    contrast_interval,
    expected_calibration_error,
    recall_at,
    share_interval,
)
from lrnet.evaluation.protocol import ScoredVideo, clip_scores, groups_of, scores_of, video_probabilities, video_scores
from lrnet.network.spec import MeasuredResult
from lrnet.verdict import State

WITHIN = "people left out, their source trained on"
ACROSS = "fakes against real videos of sources left out"
SEEN = "people left out"
UNSEEN = "people and manipulation left out"
ALL_KINDS = "all of these"


@dataclass(frozen=True, slots=True)
class Sets:
    """Held-out videos of one cross-validation as they are compared.

    Attributes:
        videos: all of them, each once.
        left_out: of each, "people" or "source".
        within: real and fake videos of sources that have both; only their people were left out.
        across: all fakes, and the real videos of sources that were left out as a whole; None without any.
    """

    videos: tuple[ScoredVideo, ...]
    left_out: tuple[str, ...]
    within: tuple[ScoredVideo, ...]
    across: tuple[ScoredVideo, ...] | None

    @classmethod
    def of(cls, videos: Sequence[ScoredVideo], left_out: Sequence[str]) -> Sets:
        within = tuple(v for v, how in zip(videos, left_out, strict=True) if how == "people")
        elsewhere = [v for v, how in zip(videos, left_out, strict=True) if how == "source" and not v.is_fake]
        fakes = [v for v in videos if v.is_fake]
        return cls(tuple(videos), tuple(left_out), within, (*fakes, *elsewhere) if elsewhere else None)


def ranking_results(sets: Sequence[Sets], model: str = "") -> list[MeasuredResult]:
    """How well raw scores tell real from fake, mean over cross-validations.

    Args:
        model: "" for this one, or another one's name.
    """
    within, across = [s.within for s in sets], [s.across for s in sets if s.across is not None]
    found = _rankings(WITHIN, within, RANKING, model)
    clips = [clip_scores(videos) for videos in within]
    if all(scores.both_classes for scores in clips):
        found.append(result(WITHIN, "clip", "AUC", _mean(auc, clips, resamples=250), model=model))
    if across:
        chosen: dict[str, Metric] = {"AUC": auc, "TPR@1%FPR": recall_at(0.01), "TPR@5%FPR": recall_at(0.05)}
        found += _rankings(ACROSS, across, chosen, model)
    return found


def stream_results(sets: Sequence[Sets], streams: Sequence[str], aggregation: str) -> list[MeasuredResult]:
    """What each stream says alone, mean over cross-validations; with one stream nothing."""
    if len(streams) < 2:
        return []
    found = []
    for name in streams:
        for what, parts in ((WITHIN, [s.within for s in sets]), (ACROSS, [s.across or () for s in sets])):
            scores = [scores_of((v, v.stream_score(name, aggregation)) for v in videos) for videos in parts]
            if all(some.both_classes for some in scores):
                found.append(result(f"{what}; stream {name} alone", "video", "AUC", _mean(auc, scores)))
    return found


def decision_results(sets: Sequence[Sets]) -> list[MeasuredResult]:
    """What comes of calibrated probabilities and thresholds, of videos as `lrnet.evaluation.decide` judged them.

    Of several cross-validations means; intervals count each video once.
    """
    probabilities = [video_probabilities(s.videos) for s in sets]
    found = [
        result("all held-out videos", "video", "Brier", _mean(brier, probabilities)),
        result("all held-out videos", "video", "ECE", _mean(expected_calibration_error, probabilities)),
    ]
    videos = [v for s in sets for v in s.videos]
    left_out = [how for s in sets for how in s.left_out]
    for label in Label:
        some = [v for v in videos if v.record.label is label]
        found += state_results(f"{label.value} videos, held out", some)
    how = {v.record.source: kind for v, kind in zip(videos, left_out, strict=True)}
    for source in sorted(how):
        some = [v for v in videos if v.record.source == source and not v.is_fake]
        if some:
            what = f"{source}, real, {'source' if how[source] == 'source' else 'people'} left out"
            found.append(state_result(what, some, State.LIKELY_FAKE))
    for method in sorted({v.record.method for v in videos} - {""}):
        found += state_results(f"{method}, {SEEN}", _of_method(videos, method))
    return found


def edit_results(held: Sequence[HeldOut]) -> list[MeasuredResult]:
    """Shares of the verdicts on edited videos, by how they were edited, as `lrnet.evaluation.decide` judged them."""
    found = []
    for edit in sorted({h.edit for h in held} - {""}):
        for label in Label:
            some = [h.video for h in held if h.edit == edit and h.video.record.label is label]
            found += state_results(f"{label.value} videos, held out, edited: {edit}", some)
    return found


def manipulation_results(method: str, seen: Sequence[Sets], unseen: Sequence[Sets]) -> list[MeasuredResult]:
    """What networks make of fakes of one manipulation: those that were trained on others of it, and those on none.

    Rankings are against the real videos of sources left out if there are any, else against those of their own source.
    `decision_results` has the verdicts of the former networks.

    Args:
        seen: cross-validations whose networks were trained on other fakes of this manipulation.
        unseen: such whose networks were trained on none; their videos judged by the finished model's thresholds.
    """
    chosen: dict[str, Metric] = {"AUC": auc, "TPR@5%FPR": recall_at(0.05)}
    found = []
    for how, sets in ((SEEN, seen), (UNSEEN, unseen)):
        elsewhere = all(s.across is not None for s in sets)
        parts = [s.across if elsewhere and s.across is not None else s.within for s in sets]
        kept = [[v for v in videos if not v.is_fake or v.record.method == method] for videos in parts]
        against = "sources left out" if elsewhere else "its source"
        found += _rankings(f"{method}, {how}, against real videos of {against}", kept, chosen, "")
    return found + state_results(f"{method}, {UNSEEN}", _of_method((v for s in unseen for v in s.videos), method))


def known_and_unseen(results: Iterable[MeasuredResult]) -> dict[str, dict[str, dict[str, MeasuredResult]]]:
    """What is known of each manipulation that was left out: by its name, then `SEEN` or `UNSEEN`, then metric."""
    found: dict[str, dict[str, dict[str, MeasuredResult]]] = {}
    for r in results:
        for how in (SEEN, UNSEEN):
            method, mark, _ = r.dataset.partition(f", {how}")
            if mark and not r.model:
                found.setdefault(method, {}).setdefault(how, {})[r.metric] = r
    return {method: parts for method, parts in found.items() if UNSEEN in parts}


def _of_method(videos: Iterable[ScoredVideo], method: str) -> list[ScoredVideo]:
    return [v for v in videos if v.record.method == method]


def state_results(what: str, videos: Sequence[ScoredVideo]) -> list[MeasuredResult]:
    """Shares of the three verdicts among all videos, and of the two that say something among those judged."""
    shown = (State.LIKELY_FAKE, State.INCONCLUSIVE, State.NO_EVIDENCE)
    found = [state_result(what, videos, state) for state in shown] if videos else []
    judged = [v for v in videos if v.score is not None and not (v.held_back and v.state is State.INCONCLUSIVE)]
    for state in (State.LIKELY_FAKE, State.NO_EVIDENCE) if judged else ():
        share = _share(judged, [v.state is state for v in judged])
        found.append(result(what, "video", f"called {state.value}, of those judged", share))
    return found


def state_result(what: str, videos: Sequence[ScoredVideo], state: State) -> MeasuredResult:
    """Share of one verdict."""
    return result(what, "video", f"called {state.value}", _share(videos, [v.state is state for v in videos]))


def finished_results(name: str, videos: Sequence[ScoredVideo]) -> list[MeasuredResult]:
    """What a finished model does on videos that nothing was set on."""
    found = []
    if video_scores(videos).both_classes:
        found = _rankings(name, [videos], RANKING, "")
        found.append(result(name, "clip", "AUC", clustered_interval(auc, clip_scores(videos), resamples=250)))
        probabilities = video_probabilities(videos)
        if probabilities.both_classes:
            found.append(result(name, "video", "ECE", clustered_interval(expected_calibration_error, probabilities)))
    for label in Label:
        found += state_results(f"{name}, {label.value}", [v for v in videos if v.record.label is label])
    return found


def result(
    dataset: str,
    unit: Literal["clip", "video"],
    metric: str,
    estimate: Estimate,
    *,
    note: str = "",
    model: str = "",
) -> MeasuredResult:
    """An estimate as a bundle keeps it, four places."""
    return MeasuredResult(
        dataset=dataset,
        unit=unit,
        metric=metric,
        value=round(estimate.value, 4),
        low=None if estimate.interval is None else round(estimate.low, 4),
        high=None if estimate.interval is None else round(estimate.high, 4),
        n=estimate.n,
        people=estimate.people,
        note=note,
        model=model,
    )


def _rankings(
    what: str, parts: Sequence[Sequence[ScoredVideo]], metrics: dict[str, Metric], model: str
) -> list[MeasuredResult]:
    scores = [video_scores(videos) for videos in parts]
    if not all(some.both_classes for some in scores):
        return []
    return [result(what, "video", name, _mean(metric, scores), model=model) for name, metric in metrics.items()]


def _mean(metric: Metric, parts: Sequence[Scores], resamples: int = RESAMPLES) -> Estimate:
    """Mean of a metric over cross-validations, whose identity groups are resampled by the same draw."""
    return contrast_interval(metric, [(1 / len(parts), scores) for scores in parts], resamples=resamples)


def _share(videos: Sequence[ScoredVideo], hits: Sequence[bool]) -> Estimate:
    """Of videos that may be there several times; `n` counts each once."""
    return replace(share_interval(np.array(hits), groups_of(videos)), n=len({v.record.key for v in videos}))
