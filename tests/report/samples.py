"""Results made by hand: every state, no face, several faces, gaps, models with and without calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lrnet import __version__
from lrnet.detector import VideoResult, file_sha256
from lrnet.network.bundle import ModelBundle
from lrnet.network.spec import (
    RELEASED_NETWORK,
    BundleSpec,
    MeasuredResult,
    ScoreCalibration,
    Thresholds,
    TrainingRecord,
)
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.verdict import (
    ClipScore,
    Coverage,
    FaceVerdict,
    InputQuality,
    Reason,
    Rules,
    State,
    Stretch,
    VideoVerdict,
    judge_people,
)
from lrnet.video.frame import VideoInfo
from lrnet.video.writer import VideoWriter

HASH = "5e" * 32
RATE = 25.0


def face_shape() -> NDArray[np.float32]:
    """(68, 2) landmarks of a schematic face in [-0.8, 0.8], iBUG order."""

    def arc(n: int, x: float, y: float, rx: float, ry: float, first: float, last: float) -> NDArray[np.float64]:
        angle = np.linspace(first, last, n) * np.pi
        return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)

    def ring(n: int, x: float, y: float, rx: float, ry: float) -> NDArray[np.float64]:
        return arc(n + 1, x, y, rx, ry, 1, 3)[:n]

    nose = np.concatenate(
        [np.stack([np.zeros(4), np.linspace(-0.3, 0.1, 4)], axis=1), arc(5, 0, 0.15, 0.15, 0.06, 1, 0)]
    )
    parts = [
        arc(17, 0, -0.2, 0.75, 0.95, 1, 0),
        arc(5, -0.35, -0.4, 0.22, 0.15, 1, 2),
        arc(5, 0.35, -0.4, 0.22, 0.15, 1, 2),
        nose,
        ring(6, -0.33, -0.25, 0.13, 0.07),
        ring(6, 0.33, -0.25, 0.13, 0.07),
        ring(12, 0, 0.42, 0.28, 0.13),
        ring(8, 0, 0.42, 0.2, 0.05),
    ]
    return np.concatenate(parts).astype(np.float32)


def a_bundle(*, calibrated: bool = True, results: Sequence[MeasuredResult] = ()) -> ModelBundle:
    """A bundle of which reports read the description only; it holds no network."""
    spec = BundleSpec(
        name="sample-model",
        version="1",
        description="A model for tests.",
        licence="Apache-2.0",
        created=date(2025, 1, 1),
        network=RELEASED_NETWORK,
        preprocessing=Preprocessing(
            landmarker_version="1", clip_length=60, clip_stride=60, min_clip_length=30, frame_rate=RATE
        ),
        score_calibration=ScoreCalibration(method="platt", a=1.0, b=0.0, fitted_on="a sample", n=40)
        if calibrated
        else None,
        thresholds=Thresholds(
            likely_fake=0.9,
            no_evidence=0.3,
            false_positive_rate=0.04,
            miss_rate=0.12,
            unseen_miss_rate=0.34,
            measured_on="50 real and 50 fake sample videos",
        )
        if calibrated
        else None,
        results=tuple(results)
        or (MeasuredResult(dataset="sample set", unit="video", metric="AUC", value=0.97, low=0.91, high=0.99, n=100),),
        training=TrainingRecord(
            data="119 sample videos of 43 people", seed=1, epochs=25, seconds=300.0, command="lrnet train sample"
        ),
    )
    return ModelBundle(spec=spec, path=Path("sample"), network=b"", weights={}, card="", content_hash=HASH)


GOOD = InputQuality(
    seconds=12.0, frames=300, face_size=182.5, frame_rate=25.0, present=1.0, tracked=0.93, confidence=0.98, motion=0.004
)


def a_face(
    number: int,
    state: State,
    probability: float | None,
    scores: Sequence[float],
    reasons: Sequence[Reason],
    *,
    start: float = 0.0,
    stop: float | None = None,
    gap_after: int | None = None,
    quality: InputQuality = GOOD,
) -> FaceVerdict:
    """A face whose clips last 2.36 s each, one after the other.

    Args:
        gap_after: leave 2 s out after this many clips.
    """
    clips = []
    for i, score in enumerate(scores):
        begins = start + i * 2.4 + (2.0 if gap_after is not None and i >= gap_after else 0.0)
        clips.append(ClipScore(begins, begins + 2.36, 60, score, {"positions": score, "differences": score}))
    ends = stop if stop is not None else clips[-1].stop if clips else start + 1.0
    mean = float(np.mean(scores)) if len(scores) else None
    return FaceVerdict(number, start, ends, state, probability, mean, tuple(clips), tuple(reasons), quality)


def a_verdict(faces: Sequence[FaceVerdict], extra: Sequence[Reason] = ()) -> VideoVerdict:
    """The verdict of the gravest of the faces, with further reasons."""
    if not faces:
        return VideoVerdict(State.NOT_APPLICABLE, None, None, (Reason.NO_FACE, *extra), None)
    order = [State.UNABLE, State.NO_EVIDENCE, State.INCONCLUSIVE, State.LIKELY_FAKE]
    worst = max(faces, key=lambda f: (order.index(f.state), -1.0 if f.score is None else f.score))
    return VideoVerdict(
        worst.state,
        worst.probability,
        worst.score,
        (*worst.reasons, *extra),
        worst.face,
        moment=None if worst.score is None else (worst.start, worst.stop),
    )


def a_result(
    faces: Sequence[FaceVerdict],
    *,
    path: str = "clip.mp4",
    verdict: VideoVerdict | None = None,
    extra: Sequence[Reason] = (),
    seconds: float = 12.0,
) -> VideoResult:
    """A result on a file that need not exist."""
    info = VideoInfo(
        path=path,
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        pixel_format="yuv420p",
        width=1280,
        height=720,
        frame_rate=RATE,
        duration=seconds,
        frame_count=round(seconds * RATE),
        rotation=0,
        size_bytes=1_234_567,
    )
    return VideoResult(
        path=path,
        sha256="ab" * 32,
        info=info,
        frames_read=round(seconds * RATE),
        frames_examined=round(seconds * RATE),
        seconds_examined=seconds,
        damaged_packets=3 if Reason.DAMAGED in extra else 0,
        verdict=verdict or a_verdict(faces, extra),
        faces=tuple(faces),
        model="sample-model",
        model_version="1",
        model_hash=HASH,
        lrnet_version=__version__,
        elapsed=1.25,
    )


FAKE_FACE = a_face(0, State.LIKELY_FAKE, 0.97, [0.9, 0.95, 0.99, 0.6, 0.97], [Reason.ABOVE_THRESHOLD])
REAL_FACE = a_face(1, State.NO_EVIDENCE, 0.04, [0.05, 0.02, 0.1], [Reason.BELOW_THRESHOLD], start=1.0, gap_after=1)
POOR = InputQuality(
    seconds=4.0, frames=60, face_size=41.0, frame_rate=12.0, present=0.4, tracked=0.3, confidence=0.6, motion=0.0001
)

RESULTS: dict[str, VideoResult] = {
    "likely fake": a_result([FAKE_FACE]),
    "inconclusive": a_result(
        [a_face(0, State.INCONCLUSIVE, 0.5, [0.4, 0.6], [Reason.BETWEEN_THRESHOLDS, Reason.SHORT])]
    ),
    "no evidence": a_result([REAL_FACE]),
    "no face": a_result([]),
    "unable": a_result([a_face(0, State.UNABLE, None, [], [Reason.TOO_SHORT, Reason.SMALL_FACE], quality=POOR)]),
    "several faces": a_result([FAKE_FACE, REAL_FACE, a_face(2, State.UNABLE, None, [], [Reason.TOO_SHORT], start=8.0)]),
    "held back": a_result(
        [a_face(0, State.INCONCLUSIVE, 0.95, [0.9], [Reason.SMALL_FACE, Reason.POOR_TRACKING], quality=POOR)]
    ),
    "damaged": a_result([FAKE_FACE], extra=[Reason.DAMAGED]),
    "not finite": a_result(
        [
            a_face(
                0,
                State.INCONCLUSIVE,
                float("nan"),
                [float("nan")],
                [Reason.NO_MOTION],
                quality=replace(POOR, face_size=float("inf"), motion=float("nan")),
            )
        ]
    ),
    "nothing read": a_result([], seconds=0.0),
    "hostile name": a_result([FAKE_FACE], path='/tmp/<script>alert("1")</script>\n\x1b[31m\u202eünï&[red]🙂\udcff.mp4'),
}


def half_a_file() -> VideoResult:
    """A file whose first 2.9 of 10 seconds could be read, in which one person moves as genuine faces do."""
    stretch = Stretch(REAL_FACE.start, REAL_FACE.stop, REAL_FACE.clips, GOOD)
    coverage = Coverage(2.9, 10.0, (Reason.DAMAGED, Reason.PARTLY_EXAMINED))
    faces, verdict = judge_people([[stretch]], Rules.of(a_bundle().spec), coverage)
    return a_result(faces, verdict=verdict, seconds=2.9)


RESULTS["half a file"] = half_a_file()
UNCALIBRATED = a_result([a_face(0, State.INCONCLUSIVE, None, [0.8, 0.7], [Reason.UNCALIBRATED])])


def a_sequence(
    face: int,
    indices: NDArray[np.int64],
    times: NDArray[np.float64],
    centres: NDArray[np.floating],
    half_side: float,
    gaps: Sequence[int] = (),
) -> LandmarkSequence:
    """The schematic face in frames `indices` (N,), around `centres` (N, 2) frame pixels; `gaps` are rows without it."""
    values = np.repeat(face_shape()[None], len(indices), axis=0)
    values[list(gaps)] = np.nan
    return replace(
        LandmarkSequence.from_values(values, times=times),
        frame_indices=indices,
        centres=np.asarray(centres, np.float32),
        half_side=half_side,
        face=face,
    )


def write_moving_face(
    path: Path, width: int, height: int, times: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    """A grey video in which a bright disc, the "face", moves right; its centres (N, 2) and radius, pixels.

    Args:
        times: (N,) seconds, of the frames.
    """
    radius = min(width, height) / 5
    x = np.linspace(0.3, 0.6, len(times)) * width
    centres = np.stack([x, np.full(len(times), 0.5 * height)], axis=1).astype(np.float32)
    rows, columns = np.mgrid[:height, :width]
    with VideoWriter(path, width, height, RATE) as writer:
        for (cx, cy), time in zip(centres, times, strict=True):
            disc = (columns - cx) ** 2 + (rows - cy) ** 2 < radius**2
            writer.write(np.where(disc[..., None], (200, 160, 140), (90, 100, 110)).astype(np.uint8), float(time))
    return centres, radius


def a_video_result(
    folder: Path,
    *,
    width: int = 320,
    height: int = 240,
    times: NDArray[np.float64] | None = None,
    step: int = 1,
    gaps: Sequence[int] = (),
) -> VideoResult:
    """A result with landmarks on a video that is there.

    Args:
        step: every how many frames were examined.
        gaps: examined frames, by their order, in which the face is missing.
    """
    when = np.arange(75) / RATE if times is None else times
    path = folder / "moving.mp4"
    centres, radius = write_moving_face(path, width, height, when)
    indices = np.arange(0, len(when), step)
    sequence = a_sequence(0, indices, when[indices], centres[indices], radius, gaps)
    middle = len(when) // 2
    clips = (
        ClipScore(float(when[0]), float(when[middle - 1]), middle, 0.95, {"differences": 0.95}),
        ClipScore(float(when[middle]), float(when[-1]), len(when) - middle, 0.15, {"differences": 0.15}),
    )
    face = replace(FAKE_FACE, clips=clips, stop=float(when[-1]))
    result = a_result([face], path=str(path), seconds=float(when[-1]))
    return replace(result, sha256=file_sha256(path), sequences=(sequence,))
