"""From clip scores to what may be said."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from lrnet.network.spec import (
    AggregationSpec,
    BundleSpec,
    NetworkSpec,
    ScoreCalibration,
    StreamSpec,
    Thresholds,
)
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.verdict import (
    MAX_QUANTISER,
    REASON_TEXT,
    ClipScore,
    FaceVerdict,
    InputQuality,
    QualityMeter,
    Reason,
    State,
    aggregate,
    judge_face,
    judge_video,
)

SPEC = BundleSpec(
    name="test",
    version="1",
    description="for tests",
    licence="none",
    created=date(2026, 1, 1),
    network=NetworkSpec.of(StreamSpec(name="differences", width=136, units=4)),
    preprocessing=Preprocessing(landmarker_version="1", clip_length=60, clip_stride=60, min_clip_length=30),
    aggregation=AggregationSpec(method="mean_logit"),
    score_calibration=ScoreCalibration(method="platt", a=1.0, b=0.0, fitted_on="nothing", n=0),
    thresholds=Thresholds(
        likely_fake=0.8, no_evidence=0.3, false_positive_rate=0.03, miss_rate=0.05, measured_on="nothing"
    ),
)


def clip(score: float, start: float = 0.0, frames: int = 60) -> ClipScore:
    return ClipScore(start, start + frames / 25, frames, score, {"differences": score})


def meter(
    frames: int = 250,
    *,
    size: float = 200.0,
    rate: float = 25.0,
    gaps: float = 0.0,
    tracked: float = 1.0,
    motion: float = 0.01,
    innovation: float = 0.0,
) -> QualityMeter:
    """A meter that has seen a sequence of just this quality."""
    rng = np.random.default_rng(0)
    shape = rng.uniform(-0.5, 0.5, (68, 2))
    shape[0], shape[1] = (-0.5, 0.0), (0.5, 0.0)
    # Half of the points go to and fro one way and half the other, so that the face as a whole stays.
    way = np.where(np.arange(68) % 2, 1, -1)[:, None] * np.array([1, 1]) * motion / np.sqrt(2)
    walk = np.take([*range(5), *range(3, -5, -1), *range(-3, 0)], np.arange(frames) % 16)[:, None, None] * way
    values = (shape + walk).astype(np.float32)
    values[: int(frames * gaps)] = np.nan
    values[0] = shape
    s = LandmarkSequence.from_values(values, rate=rate)
    kept = np.broadcast_to(np.arange(68) < round(68 * tracked), (frames - 1, 68))
    m = QualityMeter()
    missed = np.full((frames - 1, 68, 2), innovation / np.sqrt(2), np.float32)
    # Detection and prediction lie apart, and the prediction is where it was.
    detected = np.concatenate([s.values[:1], s.values[1:] + missed])
    m.add(replace(s, half_side=size, tracked=kept, innovation=missed, detected=detected))
    return m


def noisy_meter(deformation: float, noise: float, tracked: float, *, frames: int = 250) -> QualityMeter:
    """A meter that has seen a face that slowly changes its shape, under camera motion and white noise."""
    rng = np.random.default_rng(0)
    shape = rng.uniform(-0.5, 0.5, (68, 2))
    way = rng.normal(0, 1, (68, 2))
    slow = np.sin(2 * np.pi * 0.5 * np.arange(frames) / 25)[:, None, None]
    turn = 0.1 * np.sin(np.arange(frames) / 40)
    camera = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], axis=-1).reshape(-1, 2, 2)
    values = (shape + deformation * slow * way) @ camera + rng.normal(0, noise, (frames, 68, 2))
    m = QualityMeter()
    kept = np.broadcast_to(np.arange(68) < round(68 * tracked), (frames - 1, 68))
    m.add(replace(LandmarkSequence.from_values(values.astype(np.float32)), half_side=100.0, tracked=kept))
    return m


@pytest.mark.parametrize(
    ("score", "state", "reason"),
    [
        (0.95, State.LIKELY_FAKE, Reason.ABOVE_THRESHOLD),
        (0.8, State.LIKELY_FAKE, Reason.ABOVE_THRESHOLD),
        (0.5, State.INCONCLUSIVE, Reason.BETWEEN_THRESHOLDS),
        (0.1, State.NO_EVIDENCE, Reason.BELOW_THRESHOLD),
    ],
)
def test_bands(score: float, state: State, reason: Reason) -> None:
    verdict = judge_face(0, [clip(score)], meter(), SPEC)
    assert verdict.state is state
    assert verdict.reasons == (reason,)
    assert verdict.probability == pytest.approx(score)


@pytest.mark.parametrize(
    ("material", "reason"),
    [
        ({"size": 30.0}, Reason.SMALL_FACE),
        ({"rate": 8.0}, Reason.LOW_FRAME_RATE),
        ({"gaps": 0.7}, Reason.MANY_GAPS),
        ({"tracked": 0.2}, Reason.POOR_TRACKING),
        ({"motion": 1e-6}, Reason.NO_MOTION),
    ],
)
@pytest.mark.parametrize("score", [0.999, 0.001])
def test_poor_material_holds_the_verdict_back(material: dict[str, float], reason: Reason, score: float) -> None:
    verdict = judge_face(0, [clip(score)], meter(**material), SPEC)
    assert verdict.state is State.INCONCLUSIVE
    assert verdict.reasons == (reason,)


@pytest.mark.parametrize(
    ("deformation", "noise", "tracked", "rigid"),
    [
        (0.02, 0.003, 0.9, False),  # a face that speaks
        (0.0, 0.003, 0.9, True),  # a picture
        (0.001, 0.003, 0.9, True),  # hardly more
        (0.0, 0.02, 0.9, True),  # a picture on which landmarks are wild
        (0.02, 0.006, 0.9, False),  # a face on which they are
        (0.02, 0.006, 1.0, True),  # a statue in the round: its own parts are followed well
        (0.002, 0.0003, 1.0, False),  # a face that is nearly still, and well seen
    ],
)
@pytest.mark.parametrize("score", [0.999, 0.001])
def test_what_keeps_its_shape_is_not_judged(
    deformation: float, noise: float, tracked: float, rigid: bool, score: float
) -> None:
    verdict = judge_face(0, [clip(score)], noisy_meter(deformation, noise, tracked), SPEC)
    assert (Reason.RIGID in verdict.reasons) is rigid
    assert (verdict.state is State.INCONCLUSIVE) is rigid


def test_on_tiny_faces_noise_does_not_pass_for_deformation() -> None:
    """A statue's figures, measured: the same with a larger face are those of faces that the model was trained on."""
    measured = {"deformation": 0.00752, "tremor": 0.00378, "tracked": 0.9}
    quality = meter().quality()
    assert replace(quality, face_size=50.0, **measured).rigid
    assert not replace(quality, face_size=60.0, **measured).rigid


def test_disagreement_of_detector_and_flow_keeps_from_accusing_and_from_nothing_else() -> None:
    for innovation, state in ((0.012, State.LIKELY_FAKE), (0.013, State.INCONCLUSIVE)):
        verdict = judge_face(0, [clip(0.99)], meter(innovation=innovation), SPEC)
        assert verdict.state is state
        assert (Reason.DISAGREEMENT in verdict.reasons) is (state is State.INCONCLUSIVE)
    clear = judge_face(0, [clip(0.01)], meter(innovation=0.05), SPEC)
    assert (clear.state, clear.reasons) == (State.NO_EVIDENCE, (Reason.BELOW_THRESHOLD, Reason.DISAGREEMENT))


def test_coarse_encoding_keeps_from_accusing_and_from_nothing_else() -> None:
    limit = MAX_QUANTISER
    for quantiser, state in ((None, State.LIKELY_FAKE), (limit, State.LIKELY_FAKE), (limit + 1, State.INCONCLUSIVE)):
        verdict = judge_face(0, [clip(0.99)], meter(), SPEC, quantiser)
        assert verdict.state is state
        assert (Reason.COARSE in verdict.reasons) is (state is State.INCONCLUSIVE)
    clear = judge_face(0, [clip(0.01)], meter(), SPEC, 51.0)
    assert (clear.state, clear.reasons) == (State.NO_EVIDENCE, (Reason.BELOW_THRESHOLD, Reason.COARSE))


def test_less_than_a_full_clip_is_inconclusive_and_none_is_unable() -> None:
    short = judge_face(0, [clip(0.99, frames=40)], meter(40), SPEC)
    assert (short.state, short.reasons) == (State.INCONCLUSIVE, (Reason.SHORT,))
    none = judge_face(0, [], meter(10), SPEC)
    assert (none.state, none.probability) == (State.UNABLE, None)
    assert none.reasons[0] is Reason.TOO_SHORT


def test_a_model_without_calibration_gives_a_score_and_no_verdict() -> None:
    bare = SPEC.model_copy(update={"score_calibration": None, "thresholds": None})
    verdict = judge_face(0, [clip(0.99)], meter(), bare)
    assert (verdict.state, verdict.probability) == (State.INCONCLUSIVE, None)
    assert verdict.score == pytest.approx(0.99)
    assert verdict.reasons == (Reason.UNCALIBRATED,)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean_probability", 0.25 * 0.2 + 0.5 * 0.5 + 0.25 * 0.9),
        ("mean_logit", 1 / (1 + np.exp(-0.25 * (np.log(0.2 / 0.8) + np.log(0.9 / 0.1))))),
        ("median_logit", 0.5),
    ],
)
def test_aggregation_weighs_by_frames(method: str, expected: float) -> None:
    assert aggregate([0.2, 0.5, 0.9], [30, 60, 30], method) == pytest.approx(expected)


def test_the_video_says_what_its_gravest_face_says() -> None:
    def face(number: int, score: float | None, material: QualityMeter | None = None) -> FaceVerdict:
        return judge_face(number, [] if score is None else [clip(score)], material or meter(), SPEC)

    faces = [face(0, 0.1), face(1, 0.9), face(2, 0.99, meter(size=20.0)), face(3, None)]
    assert (judge_video(faces).state, judge_video(faces).face) == (State.LIKELY_FAKE, 1)
    assert judge_video([faces[0], faces[3]]).state is State.NO_EVIDENCE
    assert judge_video([faces[0], faces[2]]).state is State.INCONCLUSIVE
    assert judge_video([faces[3]]).state is State.UNABLE
    nobody = judge_video([], [Reason.DAMAGED])
    assert (nobody.state, nobody.reasons) == (State.NOT_APPLICABLE, (Reason.NO_FACE, Reason.DAMAGED))


def test_the_meter_measures() -> None:
    quality: InputQuality = meter(101, size=150.0, rate=30.0, tracked=0.5, motion=0.02).quality()
    assert quality.face_size == pytest.approx(150, rel=0.06)
    assert quality.frame_rate == pytest.approx(30)
    assert quality.tracked == pytest.approx(0.5)
    assert quality.motion == pytest.approx(0.02, rel=0.01)
    assert quality.seconds == pytest.approx(100 / 30)
    assert (quality.present, quality.frames) == (1.0, 101)


def test_every_reason_has_words() -> None:
    assert set(REASON_TEXT) == set(Reason)
