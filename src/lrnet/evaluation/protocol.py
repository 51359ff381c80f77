"""Judge stored landmarks as detection does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.appearance.network import AppearanceNetwork
from lrnet.data.layouts.faceforensics import members
from lrnet.data.records import Label, VideoRecord, people_of
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import with_crops
from lrnet.evaluation.metrics import Scores
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.spec import BundleSpec
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import (
    HOLD_BACK,
    INCOMPLETE,
    INFLATING,
    ClipScore,
    FaceVerdict,
    Judge,
    Reason,
    Rules,
    State,
    Stretch,
    VideoVerdict,
    aggregate,
    judge_people,
    sigmoid,
)

COMPRESSIONS: Final = ("raw", "c0", "c23", "c40")


@dataclass(frozen=True, slots=True)
class ScoredVideo:
    """A video with the verdicts on it and on each person in it.

    Attributes:
        seen_in_training: whether the model was trained on one of its people.
    """

    record: VideoRecord
    verdict: VideoVerdict
    people: tuple[FaceVerdict, ...] = ()
    seen_in_training: bool = False

    @property
    def score(self) -> float | None:
        """Joint score of all clips for rankings, in [0, 1], not calibrated for the material; None without a clip."""
        return None if self.verdict.log_ratio is None else sigmoid(self.verdict.log_ratio)

    @property
    def probability(self) -> float | None:
        """Calibrated; None if the model is not, or without a clip."""
        return self.verdict.probability

    @property
    def clips(self) -> tuple[ClipScore, ...]:
        """The clips of everybody in it."""
        return tuple(clip for person in self.people for clip in person.clips)

    @property
    def state(self) -> State:
        return self.verdict.state

    @property
    def held_back(self) -> tuple[Reason, ...]:
        """The reasons that hold a verdict back."""
        return tuple(r for r in self.verdict.reasons if r in HOLD_BACK | INFLATING | INCOMPLETE)

    @property
    def deciding(self) -> FaceVerdict | None:
        """The person that decides the verdict; None without a face."""
        return next((p for p in self.people if p.face == self.verdict.face), None)

    @property
    def is_fake(self) -> bool:
        return self.record.label is Label.FAKE

    def stream_score(self, name: str, method: str) -> float | None:
        """The score of one stream alone."""
        if not self.clips:
            return None
        return aggregate([c.streams[name] for c in self.clips], [c.frames for c in self.clips], method)

    def judged_by(self, rules: Rules) -> ScoredVideo:
        """The same clips judged by another score calibration and thresholds."""
        people, verdict = judge_people([p.stretches for p in self.people], rules, self.verdict.coverage)
        return replace(self, verdict=verdict, people=people)


def evaluate(bundle: ModelBundle, videos: Sequence[StoredVideo], *, calibrated: bool = True) -> list[ScoredVideo]:
    """Judge every video as detection does.

    Args:
        calibrated: False feeds landmarks as detected, as a bundle without calibration always requires.

    Raises:
        DatasetError: the model looks at crops, and the store has none.
    """
    runtime, witness = NetworkRuntime(bundle), AppearanceNetwork.of(bundle)
    return [score_video(bundle, runtime, video, calibrated=calibrated, appearance=witness) for video in videos]


def score_video(
    bundle: ModelBundle,
    runtime: NetworkRuntime,
    video: StoredVideo,
    *,
    calibrated: bool = True,
    appearance: AppearanceNetwork | None = None,
) -> ScoredVideo:
    """One stored video, judged as detection does."""
    sequences = video.sequences()
    if appearance is not None:
        sequences = with_crops(video, sequences)
    if not (calibrated and bundle.spec.preprocessing.calibration.enabled):
        sequences = [s.uncalibrated() for s in sequences]
    return score_sequences(bundle, runtime, video.record, sequences, video.quantiser, appearance)


def score_sequences(
    bundle: ModelBundle,
    runtime: NetworkRuntime,
    record: VideoRecord,
    sequences: Iterable[LandmarkSequence],
    quantiser: float | None = None,
    appearance: AppearanceNetwork | None = None,
) -> ScoredVideo:
    """The sequences of one video, judged as detection does."""
    judge = Judge(bundle, runtime, appearance)
    for sequence in sequences:
        judge.add(sequence)
    people, verdict = judge.verdict(quantiser)
    return ScoredVideo(record, verdict, people, shows_one_of(known_people(bundle.spec), record))


def unjudged(record: VideoRecord, people: Sequence[Sequence[Stretch]]) -> ScoredVideo:
    """A video with scored clips, to be judged by `ScoredVideo.judged_by`."""
    faces = tuple(
        FaceVerdict(n, 0.0, 0.0, State.UNABLE, None, None, (), (), stretches[0].quality, tuple(stretches))
        for n, stretches in enumerate(people, start=1)
    )
    return ScoredVideo(record, VideoVerdict(State.UNABLE, None, None, (), None), faces)


def known_people(spec: BundleSpec) -> frozenset[str]:
    """The names of all identity groups and people that a model's networks were trained on."""
    known = set(() if spec.appearance is None else spec.appearance.people)
    if spec.training is not None:
        pairs = (who for group in spec.training.groups for who in members(group))  # of bundles that list groups only
        known.update(spec.training.groups, spec.training.people, pairs)
    return frozenset(known)


def shows_one_of(people: Collection[str], record: VideoRecord) -> bool:
    """Whether a video shows one of these people, by its group or its identities."""
    return not people_of(record).isdisjoint(people)


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
    return record_scores((v.record, s) for v, s in rows)


def record_scores(rows: Iterable[tuple[VideoRecord, float | None]]) -> Scores:
    """Records with a number each; those without one are left out."""
    known = [(r, s) for r, s in rows if s is not None]
    return Scores(
        np.array([r.label is Label.FAKE for r, _ in known], np.int64),
        np.array([s for _, s in known], np.float64),
        np.array([r.group for r, _ in known], dtype=str),
    )


def groups_of(videos: Iterable[ScoredVideo]) -> NDArray[np.str_]:
    """Identity group of each."""
    return np.array([v.record.group for v in videos], dtype=str)


def compression_of(record: VideoRecord) -> str:
    """The compression of a video by its record or key ("c23"); "" if unknown."""
    return record.compression or next((part for part in PurePosixPath(record.key).parts if part in COMPRESSIONS), "")
