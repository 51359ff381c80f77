"""What does one pass cost, with a crop that does not know the whole video? `lrnet benchmark crop`.

The released code holds a video in memory and cuts every frame with a crop of the mean face size. Detection reads a
video once: its crop starts from the first frame's face and changes when the face has grown or shrunk
(`lrnet.sequence.crop.RESIZE`). Here landmarks are found once, and both crops are calibrated and scored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lrnet.data.records import VideoRecord
from lrnet.detector import Detector, Sequencer
from lrnet.evaluation.metrics import auc
from lrnet.evaluation.protocol import record_scores
from lrnet.experiments import environment
from lrnet.faces import landmarker
from lrnet.faces.squares import face_box
from lrnet.faces.tracker import FaceTracker, FrameFaces
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import Judge
from lrnet.video.pipeline import Pipeline
from lrnet.video.reader import VideoReader
from lrnet.video.spacing import spaced


@dataclass(frozen=True, slots=True)
class CropScores:
    """A video's raw scores, in one pass and in two, in [0, 1] (None without a clip), and those of its clips."""

    record: VideoRecord
    video: tuple[float | None, float | None]
    clips: tuple[tuple[float, ...], tuple[float, ...]]


def score_both(record: VideoRecord, model: str) -> CropScores:
    """One video with either crop. Raises VideoError if it cannot be read."""
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
    first, second = _score(detector, one), _score(detector, _second_pass(record, detector, seen, sides))
    return CropScores(record, (first[0], second[0]), (first[1], second[1]))


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


def _score(detector: Detector, sequences: Iterable[LandmarkSequence]) -> tuple[float | None, tuple[float, ...]]:
    judge = Judge(detector.bundle)
    for sequence in sequences:
        judge.add(sequence)
    people, video = judge.verdict()
    return video.score, tuple(clip.score for person in people for clip in person.clips)


def summary(videos: Sequence[CropScores]) -> dict[str, Any]:
    """For videos and for clips: how many, the AUC with either crop, and differences of scores."""
    scored = [v for v in videos if None not in v.video]
    of_videos = [(v.record, v.video) for v in scored]
    of_clips = [(v.record, pair) for v in scored for pair in zip(*v.clips, strict=True)]
    found: dict[str, Any] = {"videos": len(scored), "unscored": len(videos) - len(scored), "clips": len(of_clips)}
    for unit, rows in (("video", of_videos), ("clip", of_clips)):
        apart = np.abs([float(one or 0) - float(two or 0) for _, (one, two) in rows])
        found[f"{unit}_auc"] = [auc(record_scores((record, both[i]) for record, both in rows)) for i in (0, 1)]
        spread = {"mean": apart.mean(), "95th percentile": np.percentile(apart, 95), "largest": apart.max()}
        found[f"{unit}_difference"] = {name: float(value) for name, value in spread.items()}
    return found
