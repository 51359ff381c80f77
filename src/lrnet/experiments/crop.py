"""Accuracy in one pass: the crop of detection beside one whose side is the mean over the whole track.

The released code holds a video in memory and cuts every frame with a crop of the mean face size. Detection reads a
video once: its crop starts from the first frame's face and changes when the face has grown or shrunk
(`lrnet.sequence.crop.RESIZE`). Here landmarks are found once, and both crops are calibrated and scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lrnet.data.engines import LocalEngine, Outcome, SerialEngine
from lrnet.data.records import VideoRecord
from lrnet.detector import Detector, Sequencer
from lrnet.evaluation.metrics import auc
from lrnet.evaluation.protocol import record_scores
from lrnet.experiments import environment
from lrnet.faces import landmarker
from lrnet.faces.tracker import FaceTracker, FrameFaces
from lrnet.sequence.crop import face_box
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import Judge
from lrnet.video.pipeline import Pipeline
from lrnet.video.reader import VideoReader
from lrnet.video.spacing import spaced


@dataclass(frozen=True, slots=True)
class CropScores:
    """A video's raw scores with either crop, in [0, 1] (None without a clip), and those of its clips."""

    record: VideoRecord
    one_pass: float | None
    two_passes: float | None
    clips_one_pass: tuple[float, ...]
    clips_two_passes: tuple[float, ...]

    def scores(self) -> dict[str, Any]:
        """All scores, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "record"}


@dataclass(frozen=True, slots=True)
class CropBenchmark:
    """The scores of all videos."""

    model: str
    videos: tuple[CropScores, ...]

    def summary(self) -> dict[str, Any]:
        """AUC of videos and of clips with either crop, and differences of scores."""
        scored = [v for v in self.videos if v.one_pass is not None and v.two_passes is not None]
        apart = np.abs([(v.one_pass or 0.0) - (v.two_passes or 0.0) for v in scored])
        clips = [(v, np.array(v.clips_one_pass), np.array(v.clips_two_passes)) for v in scored]
        videos = [(v.record, v.one_pass) for v in scored], [(v.record, v.two_passes) for v in scored]
        clips_apart = np.abs(np.concatenate([a - b for _, a, b in clips]))
        return {
            "model": self.model,
            "videos": len(scored),
            "unscored": len(self.videos) - len(scored),
            "clips": len(clips_apart),
            "video_auc": [auc(record_scores(rows)) for rows in videos],
            "clip_auc": [auc(record_scores((v.record, float(s)) for v, *two in clips for s in two[i])) for i in (0, 1)],
            "video_difference": _spread(apart),
            "clip_difference": _spread(clips_apart),
        }


def _spread(values: np.ndarray) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "95th percentile": float(np.percentile(values, 95)),
        "largest": float(values.max()),
    }


def benchmark_crop(
    records: Sequence[VideoRecord],
    model: str,
    *,
    workers: int = 1,
    tell: Callable[[Outcome[VideoRecord, CropScores]], None] | None = None,
) -> CropBenchmark:
    """Score every video with either crop.

    Args:
        workers: processes.
        tell: called with each outcome as it comes.

    Raises:
        LrnetError: a video cannot be read.
    """
    found = []
    engine = LocalEngine(workers) if workers > 1 else SerialEngine()
    for outcome in engine.run(partial(score_both, model=model), records):
        if tell is not None:
            tell(outcome)
        if outcome.error is not None:
            raise outcome.error
        assert outcome.result is not None
        found.append(outcome.result)
    return CropBenchmark(model, tuple(sorted(found, key=lambda v: v.record.key)))


def score_both(record: VideoRecord, model: str) -> CropScores:
    """One video with either crop.

    Raises:
        VideoError: it cannot be read.
    """
    detector = environment.detector(model)
    preprocessing = detector.bundle.spec.preprocessing
    tracker = FaceTracker(landmarker(preprocessing.landmarker))
    sequencer = Sequencer(preprocessing, Pipeline())
    seen: list[FrameFaces] = []
    sizes: dict[int, list[float]] = defaultdict(list)
    one: list[LandmarkSequence] = []
    with VideoReader(record.path, threads=1) as reader:
        for frame in spaced(reader.decode(), preprocessing.frame_rate):
            faces = tracker.update(frame)
            one += sequencer.add(faces).ended
            for number, face in faces.seen.items():
                sizes[number].append(face_box(face.landmarks)[1])
            seen.append(replace(faces, frame=None))  # type: ignore[arg-type]  # its pixels come from the second pass
    one += sequencer.finish()
    sides = {number: preprocessing.crop_scale * float(np.mean(s)) for number, s in sizes.items()}
    two = list(_second_pass(record, detector, seen, sides))
    scores, clips = zip(*(_score(detector, sequences) for sequences in (one, two)), strict=True)
    return CropScores(record, *scores, *clips)


def _second_pass(
    record: VideoRecord, detector: Detector, seen: list[FrameFaces], sides: dict[int, float]
) -> Iterator[LandmarkSequence]:
    preprocessing = detector.bundle.spec.preprocessing
    sequencer = Sequencer(preprocessing, Pipeline(), sides)
    with VideoReader(record.path, threads=1) as reader:
        frames = spaced(reader.decode(), preprocessing.frame_rate)
        for frame, faces in zip(frames, seen, strict=True):
            yield from sequencer.add(replace(faces, frame=frame)).ended
    yield from sequencer.finish()


def _score(detector: Detector, sequences: list[LandmarkSequence]) -> tuple[float | None, tuple[float, ...]]:
    judge = Judge(detector.bundle)
    for sequence in sequences:
        judge.add(sequence)
    people, video = judge.verdict()
    return video.score, tuple(clip.score for person in people for clip in person.clips)
