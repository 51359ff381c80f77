"""Measured results of a model, as a bundle stores them, and those of another model on the same videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np

from lrnet.data.records import Label
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
from lrnet.network.spec import LeftOut, MeasuredResult
from lrnet.verdict import State

Where = dict[str, Any]
"""Fields of a `MeasuredResult` that tell on which videos it was measured; `dataset` says so in words."""

WITHIN: Final[Where] = {"dataset": "people left out, their source trained on", "left_out": "people"}
ACROSS: Final[Where] = {"dataset": "fakes against real videos of sources left out", "left_out": "source"}
HELD_OUT: Final[Where] = {"dataset": "all held-out videos", "left_out": "people or source"}
SEEN: Final = "people"
UNSEEN: Final = "people and manipulation"


@dataclass(frozen=True, slots=True)
class Sets:
    """Held-out videos of one cross-validation.

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
    """How well raw scores of this or another model separate real from fake, mean over cross-validations."""
    within, across = [s.within for s in sets], [s.across for s in sets if s.across is not None]
    found = _rankings(WITHIN, within, RANKING, model)
    clips = [clip_scores(videos) for videos in within]
    if all(scores.both_classes for scores in clips):
        found.append(result(WITHIN, "clip", "AUC", _mean(auc, clips, resamples=250), model))
    if across:
        chosen: dict[str, Metric] = {"AUC": auc, "TPR@1%FPR": recall_at(0.01), "TPR@5%FPR": recall_at(0.05)}
        found += _rankings(ACROSS, across, chosen, model)
    return found


def stream_results(sets: Sequence[Sets], streams: Sequence[str], aggregation: str) -> list[MeasuredResult]:
    """AUC of each stream alone, mean over cross-validations; nothing for a single stream."""
    if len(streams) < 2:
        return []
    found = []
    for name in streams:
        for where, parts in ((WITHIN, [s.within for s in sets]), (ACROSS, [s.across or () for s in sets])):
            scores = [scores_of((v, v.stream_score(name, aggregation)) for v in videos) for videos in parts]
            if all(some.both_classes for some in scores):
                alone = {**where, "dataset": f"{where['dataset']}; stream {name} alone", "stream": name}
                found.append(result(alone, "video", "AUC", _mean(auc, scores)))
    return found


def decision_results(sets: Sequence[Sets]) -> list[MeasuredResult]:
    """Errors of calibrated probabilities and of verdicts, on videos as `lrnet.evaluation.decide` judged them.

    Means over cross-validations; intervals count each video once.
    """
    probabilities = [video_probabilities(s.videos) for s in sets]
    found = [
        result(HELD_OUT, "video", "Brier", _mean(brier, probabilities)),
        result(HELD_OUT, "video", "ECE", _mean(expected_calibration_error, probabilities)),
    ]
    videos = [v for s in sets for v in s.videos]
    left_out = [how for s in sets for how in s.left_out]
    for label in Label:
        some = [v for v in videos if v.record.label is label]
        found += state_results(_verdicts_on(f"{label.value} videos, held out", label), some)
    how = {v.record.source: kind for v, kind in zip(videos, left_out, strict=True)}
    for source in sorted(how):
        some = [v for v in videos if v.record.source == source and not v.is_fake]
        if some:
            what = f"{source}, real, {how[source]} left out"
            where = {"dataset": what, "left_out": how[source], "label": "real", "source": source}
            found.append(state_result(where, some, State.LIKELY_FAKE))
    for method in sorted({v.record.method for v in videos} - {""}):
        found += state_results(of_manipulation(method, SEEN), _of_method(videos, method))
    return found


def edit_results(where: Where, judged: Sequence[tuple[str, ScoredVideo]]) -> list[MeasuredResult]:
    """Shares of the verdicts on edited videos, by how they were edited (`lrnet.training.edits`); "" is left out.

    Args:
        where: `dataset` and what else they have in common.
    """
    found = []
    for edit in sorted({edit for edit, _ in judged} - {""}):
        for label in Label:
            some = [video for what, video in judged if what == edit and video.record.label is label]
            words = f"{where['dataset']}, {label.value}, edited: {edit}"
            found += state_results({**where, "dataset": words, "label": label.value, "edit": edit}, some)
    return found


def _verdicts_on(words: str, label: Label) -> Where:
    return {**HELD_OUT, "dataset": words, "label": label.value}


def manipulation_results(method: str, seen: Sequence[Sets], unseen: Sequence[Sets]) -> list[MeasuredResult]:
    """Results on fakes of one manipulation, by networks trained on others of it and by networks trained on none.

    Rankings are against the real videos of sources left out if there are any, else against those of their own source.
    `decision_results` has the verdicts of the former networks.

    Args:
        seen: cross-validations whose networks were trained on other fakes of this manipulation.
        unseen: those without; their videos judged by the finished model's thresholds.
    """
    chosen: dict[str, Metric] = {"AUC": auc, "TPR@5%FPR": recall_at(0.05)}
    found = []
    both: tuple[tuple[LeftOut, Sequence[Sets]], ...] = ((SEEN, seen), (UNSEEN, unseen))
    for how, sets in both:
        elsewhere = all(s.across is not None for s in sets)
        parts = [s.across if elsewhere and s.across is not None else s.within for s in sets]
        kept = [[v for v in videos if not v.is_fake or v.record.method == method] for videos in parts]
        against = "sources left out" if elsewhere else "its source"
        where = of_manipulation(method, how)
        where["dataset"] += f", against real videos of {against}"
        found += _rankings(where, kept, chosen, "")
    return found + state_results(
        of_manipulation(method, UNSEEN), _of_method((v for s in unseen for v in s.videos), method)
    )


def of_manipulation(method: str, left_out: LeftOut) -> Where:
    """Fakes of one manipulation, or of `ALL_MANIPULATIONS`."""
    words = f"{method}, {left_out} left out"
    return {"dataset": words, "left_out": left_out, "label": "fake", "manipulation": method}


def known_and_unseen(results: Iterable[MeasuredResult]) -> dict[str, dict[str, dict[str, MeasuredResult]]]:
    """Results of each manipulation that was left out, by its name, `SEEN` or `UNSEEN`, and metric."""
    found: dict[str, dict[str, dict[str, MeasuredResult]]] = {}
    for r in results:
        if r.manipulation and not r.model:
            found.setdefault(r.manipulation, {}).setdefault(r.left_out, {})[r.metric] = r
    return {method: parts for method, parts in found.items() if UNSEEN in parts}


def find(results: Iterable[MeasuredResult], metric: str, **fields: str) -> MeasuredResult | None:
    """The first result of videos with these fields; fields that are not given are "" in it."""
    empty = dict.fromkeys(("left_out", "label", "source", "manipulation", "edit", "stream"), "")
    wanted = {**empty, **fields, "metric": metric, "unit": "video"}
    return next((r for r in results if all(getattr(r, name) == value for name, value in wanted.items())), None)


def _of_method(videos: Iterable[ScoredVideo], method: str) -> list[ScoredVideo]:
    return [v for v in videos if v.record.method == method]


def state_results(where: Where, videos: Sequence[ScoredVideo]) -> list[MeasuredResult]:
    """Shares of the three verdicts among all videos, and of the two decided ones among the judged videos."""
    shown = (State.LIKELY_FAKE, State.INCONCLUSIVE, State.NO_EVIDENCE)
    found = [state_result(where, videos, state) for state in shown] if videos else []
    judged = [v for v in videos if v.score is not None and not (v.held_back and v.state is State.INCONCLUSIVE)]
    for state in (State.LIKELY_FAKE, State.NO_EVIDENCE) if judged else ():
        share = _share(judged, [v.state is state for v in judged])
        found.append(result(where, "video", f"called {state.value}, of those judged", share))
    return found


def state_result(where: Where, videos: Sequence[ScoredVideo], state: State) -> MeasuredResult:
    """Share of one verdict."""
    return result(where, "video", called(state), _share(videos, [v.state is state for v in videos]))


def called(state: State) -> str:
    """The metric "share of videos with this verdict"."""
    return f"called {state.value}"


def finished_results(name: str, videos: Sequence[ScoredVideo]) -> list[MeasuredResult]:
    """Results of a finished model on videos that neither training nor calibration used."""
    found = []
    where: Where = {"dataset": name}
    if video_scores(videos).both_classes:
        found = _rankings(where, [videos], RANKING, "")
        found.append(result(where, "clip", "AUC", clustered_interval(auc, clip_scores(videos), resamples=250)))
        probabilities = video_probabilities(videos)
        if probabilities.both_classes:
            found.append(result(where, "video", "ECE", clustered_interval(expected_calibration_error, probabilities)))
    for label in Label:
        of_label = {"dataset": f"{name}, {label.value}", "label": label.value}
        found += state_results(of_label, [v for v in videos if v.record.label is label])
    return found


def result(
    where: Where, unit: Literal["clip", "video"], metric: str, estimate: Estimate, model: str = ""
) -> MeasuredResult:
    """An estimate as a bundle stores it, rounded to four places."""
    return MeasuredResult(
        **where,
        unit=unit,
        metric=metric,
        value=round(estimate.value, 4),
        low=None if estimate.interval is None else round(estimate.low, 4),
        high=None if estimate.interval is None else round(estimate.high, 4),
        n=estimate.n,
        people=estimate.people,
        model=model,
    )


def _rankings(
    where: Where, parts: Sequence[Sequence[ScoredVideo]], metrics: dict[str, Metric], model: str
) -> list[MeasuredResult]:
    scores = [video_scores(videos) for videos in parts]
    if not all(some.both_classes for some in scores):
        return []
    return [result(where, "video", name, _mean(metric, scores), model) for name, metric in metrics.items()]


def _mean(metric: Metric, parts: Sequence[Scores], resamples: int = RESAMPLES) -> Estimate:
    """Mean of a metric over cross-validations; the same draw of identity groups resamples all of them."""
    return contrast_interval(metric, [(1 / len(parts), scores) for scores in parts], resamples=resamples)


def _share(videos: Sequence[ScoredVideo], hits: Sequence[bool]) -> Estimate:
    """Share of videos that may be listed several times; `n` counts each once."""
    return replace(share_interval(np.array(hits), groups_of(videos)), n=len({v.record.key for v in videos}))
