"""Run a model over stored landmarks and measure it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrnet.datasets.records import Label, VideoRecord
from lrnet.evaluation.metrics import Estimate, Scores, summarise
from lrnet.features import ClipSettings, LandmarkSequence, cut_clips, embed_clips, main_face
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.store import StoredVideo
from lrnet.verdict import aggregate

FIGURES = ("AUC", "AP", "EER", "TPR@5%FPR")


@dataclass(frozen=True, slots=True)
class ScoredVideo:
    """One video's clip scores and what they come to; `score` is None if it gave no clip."""

    record: VideoRecord
    clips: tuple[float, ...]
    score: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model did.

    Attributes:
        videos: each with its scores.
        figures: by unit ("clip", "video") and metric, of the videos that gave clips.
    """

    videos: tuple[ScoredVideo, ...]
    figures: dict[str, dict[str, Estimate]]

    @property
    def unscored(self) -> int:
        return sum(v.score is None for v in self.videos)


def evaluate(bundle: ModelBundle, videos: Sequence[StoredVideo], *, calibrated: bool = True) -> Evaluation:
    """Score every video's longest-seen face as detection would, and measure clips and videos.

    Raises:
        DatasetError: real or fake videos are missing.
    """
    runtime = NetworkRuntime(bundle)
    scored = tuple(score_video(bundle, runtime, video, calibrated=calibrated) for video in videos)
    return Evaluation(scored, {"clip": summarise(clip_scores(scored), FIGURES), "video": _video_figures(scored)})


def score_video(
    bundle: ModelBundle, runtime: NetworkRuntime, video: StoredVideo, *, calibrated: bool = True
) -> ScoredVideo:
    """One video as detection would score its longest-seen face."""
    spec = bundle.spec
    how = ClipSettings(
        spec.preprocessing.clip_length, spec.preprocessing.clip_stride, spec.preprocessing.min_clip_length
    )
    scores: list[float] = []
    lengths: list[int] = []
    for sequence in main_face(video.sequences()):
        found = _score(runtime, sequence if calibrated else sequence.uncalibrated(), how, spec.network.stream_names)
        scores += [s for s, _ in found]
        lengths += [n for _, n in found]
    overall = aggregate(scores, lengths, spec.aggregation.method) if scores else None
    return ScoredVideo(video.record, tuple(scores), overall)


def _score(
    runtime: NetworkRuntime, sequence: LandmarkSequence, how: ClipSettings, streams: tuple[str, ...]
) -> list[tuple[float, int]]:
    batches = embed_clips(sequence, cut_clips(sequence, how), streams)
    return [
        (float(p), len(clip))
        for batch in batches
        for p, clip in zip(runtime.score(batch.streams).probability, batch.clips, strict=True)
    ]


def clip_scores(videos: Sequence[ScoredVideo]) -> Scores:
    """One row a clip."""
    rows = [(v.record, s) for v in videos for s in v.clips]
    return _scores(rows)


def video_scores(videos: Sequence[ScoredVideo]) -> Scores:
    """One row a video that gave clips."""
    return _scores([(v.record, v.score) for v in videos if v.score is not None])


def _scores(rows: list[tuple[VideoRecord, float]]) -> Scores:
    return Scores(
        np.array([r.label is Label.FAKE for r, _ in rows], np.int64),
        np.array([s for _, s in rows], np.float64),
        np.array([r.group for r, _ in rows]),
    )


def _video_figures(videos: Sequence[ScoredVideo]) -> dict[str, Estimate]:
    return summarise(video_scores(videos), FIGURES)
