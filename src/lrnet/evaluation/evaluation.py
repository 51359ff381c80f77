"""Figures of a model on a set of videos, with intervals, by unit and by kind of video, and its errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lrnet.data.records import Label
from lrnet.evaluation.metrics import (
    PROBABILITY,
    RANKING,
    Estimate,
    auc,
    clustered_interval,
    share_interval,
    summarise,
)
from lrnet.evaluation.protocol import (
    ScoredVideo,
    clip_scores,
    compression_of,
    groups_of,
    video_probabilities,
    video_scores,
)
from lrnet.verdict import State

FEWER_RESAMPLES: Final = 250  # of clips, which are many, and of parts, which are many too
FACE_SIZES: Final = (48, 96, 160, 256)  # edges in frame pixels


@dataclass(frozen=True, slots=True)
class Part:
    """Videos of one kind ("method", "compression", "source" or "face size").

    Attributes:
        real, fake: numbers of scored videos.
        auc: of the videos; None if a class is missing.
        states: share of each class's videos with each state.
    """

    kind: str
    name: str
    real: int
    fake: int
    auc: Estimate | None
    states: dict[Label, dict[State, Estimate]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of a model.

    Attributes:
        figures: by unit ("clip", "video") and metric, over the videos that gave clips; empty if a class is missing.
        unseen: `figures` without the people that the model was trained on; empty if there are none of these.
        states: share of each class's videos with each state.
        parts: by method, compression, source and face size.
    """

    videos: tuple[ScoredVideo, ...]
    figures: dict[str, dict[str, Estimate]]
    unseen: dict[str, dict[str, Estimate]]
    states: dict[Label, dict[State, Estimate]]
    parts: tuple[Part, ...]

    @property
    def unscored(self) -> int:
        """Videos that gave no clip."""
        return sum(v.score is None for v in self.videos)

    @property
    def contaminated(self) -> int:
        """Videos that show people the model was trained on: no measure of it."""
        return sum(v.seen_in_training for v in self.videos)

    @property
    def errors(self) -> list[ScoredVideo]:
        """Real videos called likely_fake and fakes called no evidence, the gravest first."""
        wrong = [v for v in self.videos if v.state is (State.NO_EVIDENCE if v.is_fake else State.LIKELY_FAKE)]
        return sorted(wrong, key=lambda v: abs(float(v.is_fake) - (v.probability or 0.0)), reverse=True)


def measure(videos: Sequence[ScoredVideo]) -> Evaluation:
    """All figures of scored videos."""
    unseen = [v for v in videos if not v.seen_in_training]
    return Evaluation(
        videos=tuple(videos),
        figures=figures_of(videos),
        unseen=figures_of(unseen) if len(unseen) < len(videos) else {},
        states=shares_of_states(videos),
        parts=tuple(_parts(videos)),
    )


def figures_of(videos: Sequence[ScoredVideo]) -> dict[str, dict[str, Estimate]]:
    """Metrics of clips and videos; none if a class is missing.

    Without calibrated probabilities, raw scores are measured as if they were probabilities.
    """
    of_videos = video_scores(videos)
    if not of_videos.both_classes:
        return {}
    probabilities = video_probabilities(videos)
    if not len(probabilities):
        probabilities = of_videos
    return {
        "video": summarise(of_videos, RANKING) | summarise(probabilities, PROBABILITY),
        "clip": summarise(clip_scores(videos), RANKING, resamples=FEWER_RESAMPLES),
    }


def shares_of_states(videos: Iterable[ScoredVideo]) -> dict[Label, dict[State, Estimate]]:
    """For each class that is there, the share of its videos with each of the five states."""
    found: dict[Label, dict[State, Estimate]] = {}
    for label in Label:
        some = [v for v in videos if v.record.label is label]
        if some:
            groups = groups_of(some)
            found[label] = {
                state: share_interval(np.array([v.state is state for v in some]), groups) for state in State
            }
    return found


def _parts(videos: Sequence[ScoredVideo]) -> Iterable[Part]:
    for kind, of in _KINDS.items():
        for name in sorted({of(v) for v in videos} - {""}, key=_natural):
            some = [v for v in videos if of(v) == name]
            if kind == "method":  # its fakes come with the real videos of the sources that have it
                sources = {v.record.source for v in some}
                some += [v for v in videos if not v.is_fake and v.record.source in sources]
            scores = video_scores(some)
            real, fake = np.bincount(scores.label, minlength=2).tolist()
            of_auc = clustered_interval(auc, scores, resamples=FEWER_RESAMPLES) if scores.both_classes else None
            yield Part(kind, name, real, fake, of_auc, shares_of_states(some))


def _face_size(video: ScoredVideo) -> str:
    if video.deciding is None:
        return ""
    size = video.deciding.quality.face_size
    low = max((edge for edge in FACE_SIZES if edge <= size), default=0)
    high = min((edge for edge in FACE_SIZES if edge > size), default=None)
    return f"{low} px or more" if high is None else f"{low} to {high} px"


def _natural(name: str) -> tuple[int, str]:
    head = name.split(" ", 1)[0]
    return (int(head), name) if head.isdigit() else (0, name)


_KINDS: Final[dict[str, Callable[[ScoredVideo], str]]] = {
    "method": lambda v: v.record.method,
    "compression": lambda v: compression_of(v.record),
    "source": lambda v: v.record.source,
    "face size": _face_size,
}
