"""Run a model over stored landmarks, as detection would, one face a video."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.data.layouts.faceforensics import members
from lrnet.data.records import Label, VideoRecord, people_of
from lrnet.data.store import StoredVideo
from lrnet.evaluation.metrics import Scores
from lrnet.network.bundle import ModelBundle
from lrnet.network.clips import cut_clips
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.spec import TrainingRecord
from lrnet.network.streams import embed_clips
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face
from lrnet.sequence.settings import ClipSpec
from lrnet.verdict import CLEAR, HOLD_BACK, ClipScore, FaceVerdict, QualityMeter, Reason, State, aggregate, judge_face

COMPRESSIONS: Final = ("raw", "c0", "c23", "c40")


@dataclass(frozen=True, slots=True)
class ScoredVideo:
    """A video and what is said of its longest-seen face.

    Attributes:
        record: the dataset's word on it.
        verdict: the model's; None if no face was found.
        seen_in_training: whether it shows somebody whom the model was trained on.
    """

    record: VideoRecord
    verdict: FaceVerdict | None
    seen_in_training: bool = False

    @property
    def score(self) -> float | None:
        """The clips' scores, aggregated; None without a clip."""
        return None if self.verdict is None else self.verdict.score

    @property
    def probability(self) -> float | None:
        """Calibrated; None if the model is not, or without a clip."""
        return None if self.verdict is None else self.verdict.probability

    @property
    def clips(self) -> tuple[ClipScore, ...]:
        return () if self.verdict is None else self.verdict.clips

    @property
    def state(self) -> State:
        return State.NOT_APPLICABLE if self.verdict is None else self.verdict.state

    @property
    def held_back(self) -> tuple[Reason, ...]:
        """What of the material keeps a score from becoming a verdict."""
        return () if self.verdict is None else tuple(r for r in self.verdict.reasons if r in HOLD_BACK | CLEAR)

    @property
    def is_fake(self) -> bool:
        return self.record.label is Label.FAKE

    def stream_score(self, name: str, method: str) -> float | None:
        """What one stream alone says."""
        if not self.clips:
            return None
        return aggregate([c.streams[name] for c in self.clips], [c.frames for c in self.clips], method)


def evaluate(bundle: ModelBundle, videos: Sequence[StoredVideo], *, calibrated: bool = True) -> list[ScoredVideo]:
    """Score every video's longest-seen face as detection would.

    Args:
        calibrated: False feeds landmarks as they were detected, as a bundle without calibration is always fed.
    """
    runtime = NetworkRuntime(bundle)
    return [score_video(bundle, runtime, video, calibrated=calibrated) for video in videos]


def score_video(
    bundle: ModelBundle, runtime: NetworkRuntime, video: StoredVideo, *, calibrated: bool = True
) -> ScoredVideo:
    """One stored video as detection would score its longest-seen face."""
    sequences = main_face(video.sequences())
    if not (calibrated and bundle.spec.preprocessing.calibration.enabled):
        sequences = [s.uncalibrated() for s in sequences]
    return score_face(bundle, runtime, video.record, sequences)


def score_face(
    bundle: ModelBundle, runtime: NetworkRuntime, record: VideoRecord, sequences: Iterable[LandmarkSequence]
) -> ScoredVideo:
    """One face's sequences scored and judged."""
    spec = bundle.spec
    meter = QualityMeter()
    clips: list[ClipScore] = []
    face = None
    for sequence in sequences:
        face = sequence.face
        meter.add(sequence)
        clips += _scored_clips(runtime, sequence, spec.preprocessing.clips)
    seen = spec.training is not None and shows_one_of(known_people(spec.training), record)
    verdict = None if face is None else judge_face(face, clips, meter, spec)
    return ScoredVideo(record, verdict, seen)


def known_people(training: TrainingRecord) -> frozenset[str]:
    """Everybody whom a model was trained on, under every name known: of its groups, and of the people in them."""
    pairs = (who for group in training.groups for who in members(group))  # of bundles that list groups only
    return frozenset((*training.groups, *training.people, *pairs))


def shows_one_of(people: Collection[str], record: VideoRecord) -> bool:
    """Whether a video shows one of these people; not only its group counts, as other datasets group them otherwise."""
    return not people_of(record).isdisjoint(people)


def _scored_clips(runtime: NetworkRuntime, sequence: LandmarkSequence, how: ClipSpec) -> list[ClipScore]:
    found = []
    for batch in embed_clips(sequence, cut_clips(sequence, how), runtime.spec.stream_names):
        scores = runtime.score(batch.streams)
        for i, clip in enumerate(batch.clips):
            start, stop = float(sequence.times[clip.start]), float(sequence.times[clip.stop - 1])
            streams = {name: float(p[i]) for name, p in scores.per_stream.items()}
            found.append(ClipScore(start, stop, len(clip), float(scores.probability[i]), streams))
    return found


def clip_scores(videos: Iterable[ScoredVideo]) -> Scores:
    """One row a clip, raw scores."""
    return scores_of([(v, clip.score) for v in videos for clip in v.clips])


def video_scores(videos: Iterable[ScoredVideo]) -> Scores:
    """One row a video that gave clips, raw scores."""
    return scores_of([(v, v.score) for v in videos])


def video_probabilities(videos: Iterable[ScoredVideo]) -> Scores:
    """One row a video that gave clips, calibrated probabilities."""
    return scores_of([(v, v.probability) for v in videos])


def scores_of(rows: Iterable[tuple[ScoredVideo, float | None]]) -> Scores:
    """Videos with a number each; those without one are left out."""
    known = [(v, s) for v, s in rows if s is not None]
    return Scores(
        np.array([v.is_fake for v, _ in known], np.int64),
        np.array([s for _, s in known], np.float64),
        groups_of(v for v, _ in known),
    )


def groups_of(videos: Iterable[ScoredVideo]) -> NDArray[np.str_]:
    """Identity group of each."""
    return np.array([v.record.group for v in videos], dtype=str)


def compression_of(record: VideoRecord) -> str:
    """A dataset's own word for how strongly it compressed the video ("c23"), "" if it has none."""
    said = getattr(record, "compression", "")
    if said:
        return str(said)
    return next((part for part in PurePosixPath(record.key).parts if part in COMPRESSIONS), "")
