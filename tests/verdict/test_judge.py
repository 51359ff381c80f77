"""From clip scores to what may be said."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tests.appearance.kit import second_witness

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
    REASON_TEXT,
    ClipScore,
    Coverage,
    CropScore,
    FaceVerdict,
    InputQuality,
    QualityMeter,
    Reason,
    Rules,
    State,
    Stretch,
    aggregate,
    is_held_back,
    judge_face,
    judge_people,
    judge_video,
    with_prior,
)
from lrnet.verdict.evidence import pooled_ratio
from lrnet.verdict.quality import MAX_QUANTISER
from lrnet.verdict.scores import weighted_median

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


RULES = Rules.of(SPEC)


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


def stretch(
    score: float | None,
    material: QualityMeter | None = None,
    *,
    start: float = 0.0,
    seconds: float = 9.96,
    frames: int = 60,
    quantiser: float | None = None,
) -> Stretch:
    """A stretch with one clip of this score, or with none."""
    clips = () if score is None else (clip(score, start, frames),)
    return Stretch(start, start + seconds, clips, (material or meter()).quality(quantiser))


def judged(
    score: float | None, material: QualityMeter | None = None, *, frames: int = 60, quantiser: float | None = None
) -> FaceVerdict:
    """The verdict on a person in view once."""
    return judge_face(1, [stretch(score, material, frames=frames, quantiser=quantiser)], RULES)


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
    verdict = judged(score)
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
    verdict = judged(score, meter(**material))
    assert verdict.state is State.INCONCLUSIVE
    # At 8 Hz the change of shape over 0.4 s is that of three frames, hardly more than from one to the next.
    assert set(verdict.reasons) - ({Reason.RIGID} if "rate" in material else set()) == {reason}


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
    verdict = judged(score, noisy_meter(deformation, noise, tracked))
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
        verdict = judged(0.99, meter(innovation=innovation))
        assert verdict.state is state
        assert (Reason.DISAGREEMENT in verdict.reasons) is (state is State.INCONCLUSIVE)
    clear = judged(0.01, meter(innovation=0.05))
    assert (clear.state, clear.reasons) == (State.NO_EVIDENCE, (Reason.BELOW_THRESHOLD, Reason.DISAGREEMENT))


def test_coarse_encoding_keeps_from_accusing_and_from_nothing_else() -> None:
    limit = MAX_QUANTISER
    for quantiser, state in ((None, State.LIKELY_FAKE), (limit, State.LIKELY_FAKE), (limit + 1, State.INCONCLUSIVE)):
        verdict = judged(0.99, quantiser=quantiser)
        assert verdict.state is state
        assert (Reason.COARSE in verdict.reasons) is (state is State.INCONCLUSIVE)
    clear = judged(0.01, quantiser=51.0)
    assert (clear.state, clear.reasons) == (State.NO_EVIDENCE, (Reason.BELOW_THRESHOLD, Reason.COARSE))


def test_less_than_a_full_clip_is_inconclusive_and_none_is_unable() -> None:
    short = judged(0.99, meter(40), frames=40)
    assert (short.state, short.reasons) == (State.INCONCLUSIVE, (Reason.SHORT,))
    none = judged(None, meter(10))
    assert (none.state, none.probability) == (State.UNABLE, None)
    assert none.reasons[0] is Reason.TOO_SHORT


def test_a_model_without_calibration_gives_a_score_and_no_verdict() -> None:
    bare = SPEC.model_copy(update={"score_calibration": None, "thresholds": None})
    verdict = judge_face(1, [stretch(0.99)], Rules.of(bare))
    assert (verdict.state, verdict.probability) == (State.INCONCLUSIVE, None)
    assert verdict.score == pytest.approx(0.99)
    assert verdict.reasons == (Reason.UNCALIBRATED,)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("mean_probability", 0.25 * 0.2 + 0.5 * 0.5 + 0.25 * 0.9),
        ("mean_logit", 1 / (1 + np.exp(-0.25 * (np.log(0.2 / 0.8) + np.log(0.9 / 0.1))))),
    ],
)
def test_aggregation_weighs_by_frames(method: str, expected: float) -> None:
    assert aggregate([0.2, 0.5, 0.9], [30, 60, 30], method) == pytest.approx(expected)


def people(*scores: float | None, **how: object) -> list[list[Stretch]]:
    return [[stretch(score, start=10.0 * n)] for n, score in enumerate(scores)]


def test_a_person_in_view_once_has_the_probability_of_the_score() -> None:
    faces, video = judge_people(people(0.62), RULES)
    assert faces[0].probability == video.probability == pytest.approx(0.62)
    assert (video.face, video.moment) == (1, (0.0, 9.96))


def test_of_several_people_the_mean_of_their_likelihood_ratios_counts() -> None:
    """Closed form: with odds of 0.25, 0.25 and 9 the mean is 9.5 / 3, whatever the order."""
    for order in ((0.2, 0.2, 0.9), (0.9, 0.2, 0.2)):
        _, video = judge_people(people(*order), RULES)
        odds = (0.25 + 0.25 + 9) / 3
        assert video.probability == pytest.approx(odds / (1 + odds))
        assert video.face == 1 + order.index(0.9)
        assert video.moment == (10.0 * order.index(0.9), 10.0 * order.index(0.9) + 9.96)


def test_more_people_do_not_accuse_more_often() -> None:
    """Genuine scores that a calibration fits: likelihood ratios with mean 1. Above odds of 19 lie at most 1 in 19."""
    rng = np.random.default_rng(0)
    alarms = {}
    for count in (1, 12):
        logits = rng.normal(-1.0, np.sqrt(2.0), (20_000, count))  # log ratios of two normals with means -1 and 1
        ratios = [pooled_ratio(None, list(row)) for row in logits]
        alarms[count] = float(np.mean(np.array(ratios) > np.log(4)))
    assert alarms[12] <= alarms[1]
    gravest = float(np.mean(rng.normal(-1.0, np.sqrt(2.0), (20_000, 12)).max(axis=1) > np.log(4)))
    assert gravest > 4 * alarms[1]  # what the gravest of twelve would do


def test_a_fake_stretch_among_genuine_ones_of_one_person_is_not_averaged_away() -> None:
    genuine = [stretch(0.1, start=10.0 * n) for n in range(5)]
    faces, video = judge_people([[*genuine, stretch(0.99, start=50.0)]], RULES)
    assert len(faces) == 1
    assert video.state is State.LIKELY_FAKE
    assert video.moment == (50.0, 59.96)
    assert aggregate([0.1] * 5 + [0.99], [60] * 6, "mean_logit") < 0.5  # what a mean over its clips would say


def test_one_shot_among_many_accuses_nobody_beyond_what_the_model_s_people_can_show() -> None:
    """Without a bound, the ratio of a score of 0.999 and of crops that say nothing is 666: enough for 12 people."""

    def twelve(largest: float | None) -> tuple[float | None, State]:
        limits = SPEC.thresholds
        spec = SPEC.model_copy(update={"appearance": second_witness(thresholds=limits, largest=largest)})
        crops = tuple(CropScore(float(k), 0.0) for k in range(10))
        shots = [[replace(stretch(p, start=10.0 * n), crops=crops)] for n, p in enumerate([0.999, *[0.2] * 11])]
        faces, video = judge_people(shots, Rules.of(spec))
        return faces[0].log_ratio, video.state

    free, accused = twelve(None)
    assert free == pytest.approx(np.log((999 + 1 + 999) / 3))
    assert accused is State.LIKELY_FAKE
    bounded, state = twelve(2.0)
    assert (bounded, state) == (2.0, State.INCONCLUSIVE)


def test_a_stretch_that_cannot_be_judged_does_not_outrank_one_that_was() -> None:
    clear, short, poor = stretch(0.1), stretch(None, start=20.0, seconds=2.0), stretch(0.99, meter(size=20.0))
    for more in (short, replace(poor, start=20.0, stop=22.0)):
        _, video = judge_people([[clear], [more]], RULES)
        assert (video.state, video.face) == (State.NO_EVIDENCE, 1)
        faces, video = judge_people([[clear, more]], RULES)
        assert (video.state, faces[0].seconds_judged) == (State.NO_EVIDENCE, pytest.approx(9.96))
    long = replace(poor, start=20.0, stop=50.0)
    assert judge_face(1, [clear, long], RULES).reasons == (Reason.UNJUDGED_STRETCHES,)
    _, video = judge_people([[clear], [long]], RULES)
    assert (video.state, video.reasons) == (State.INCONCLUSIVE, (Reason.UNJUDGED_STRETCHES,))
    _, video = judge_people([[stretch(0.99)], [long]], RULES)
    assert video.state is State.LIKELY_FAKE


def test_nothing_that_can_be_judged() -> None:
    _, video = judge_people([[stretch(None)]], RULES)
    assert (video.state, video.probability, video.moment) == (State.UNABLE, None, None)
    nobody = judge_video([], RULES, Coverage(1.0, 2.0, (Reason.DAMAGED,)))
    assert (nobody.state, nobody.reasons) == (State.NOT_APPLICABLE, (Reason.NO_FACE, Reason.DAMAGED))


@pytest.mark.parametrize(
    ("score", "seconds", "state"),
    [
        (0.1, 2.9, State.INCONCLUSIVE),  # a third of ten seconds clears nothing
        (0.1, 5.1, State.NO_EVIDENCE),
        (0.95, 2.9, State.LIKELY_FAKE),  # what was seen stays seen
    ],
)
def test_a_minor_part_of_a_file_is_not_called_clean(score: float, seconds: float, state: State) -> None:
    _, video = judge_people(people(score), RULES, Coverage(seconds, 10.0, (Reason.PARTLY_EXAMINED,)))
    assert video.state is state
    assert Reason.PARTLY_EXAMINED in video.reasons
    assert (Reason.MINOR_PART in video.reasons) is (seconds < 5)


def test_no_person_is_cleared_or_accused_where_the_video_is_not() -> None:
    part = Coverage(2.9, 10.0, (Reason.PARTLY_EXAMINED,))
    (face,), video = judge_people(people(0.1), RULES, part)
    assert (face.state, face.reasons) == (video.state, (Reason.MINOR_PART,))
    assert is_held_back(face.state, face.reasons)
    # The one who is accused stays so; the other is not cleared by a third of the file.
    faces, video = judge_people(people(0.99, 0.1), RULES, part)
    assert (video.state, [f.state for f in faces]) == (State.LIKELY_FAKE, [State.LIKELY_FAKE, State.INCONCLUSIVE])
    # One of forty would be accused alone: odds of 9 and 39 of 1/9 have the mean 0.33, a probability of 0.25.
    faces, video = judge_people(people(0.9, *[0.1] * 39), RULES)
    assert (video.state, faces[0].state, faces[1].state) == (State.NO_EVIDENCE, State.INCONCLUSIVE, State.NO_EVIDENCE)
    assert faces[0].reasons == (Reason.WHOLE_VIDEO,)
    assert not is_held_back(faces[0].state, faces[0].reasons)  # the material is fine
    # Most of the time nobody could be judged, or the person who decides cannot be accused on such material.
    poor = replace(stretch(0.99, meter(size=20.0)), start=20.0, stop=50.0)
    faces, video = judge_people([[stretch(0.1)], [poor]], RULES)
    assert (faces[0].state, faces[0].reasons) == (State.INCONCLUSIVE, (Reason.UNJUDGED_STRETCHES,))
    coarse = stretch(0.99, start=10.0, quantiser=MAX_QUANTISER + 1)
    faces, video = judge_people([[stretch(0.1)], [coarse]], RULES)
    assert is_held_back(video.state, video.reasons)
    assert (faces[0].state, faces[0].reasons) == (State.INCONCLUSIVE, (Reason.WHOLE_VIDEO,))
    # A video that is undecided by its scores, and not held back, says of each what was found.
    faces, video = judge_people(people(0.6, 0.1), RULES)
    assert [video.state, *(f.state for f in faces)] == [State.INCONCLUSIVE, State.INCONCLUSIVE, State.NO_EVIDENCE]


def test_a_prior_moves_the_probability_by_bayes_rule() -> None:
    assert with_prior(0.7, 0.5) == pytest.approx(0.7)
    assert with_prior(0.99, 0.01) == pytest.approx(0.5)  # as many false alarms as hits
    with pytest.raises(ValueError, match="between 0 and 1"):
        with_prior(0.7, 1.0)


def test_short_evidence_says_less() -> None:
    """Closed form: as long as `settle`, a log ratio counts half."""
    calibration = ScoreCalibration(method="platt", a=1.0, b=0.0, settle=3.0, fitted_on="", n=0)
    rules = replace(RULES, score_calibration=calibration)
    odds = [judge_face(1, [stretch(0.9, seconds=s)], rules).log_ratio for s in (1.0, 3.0, 3e6)]
    assert odds == pytest.approx([np.log(9) / 4, np.log(9) / 2, np.log(9)], rel=1e-5)


def test_medians_weigh_by_frames() -> None:
    assert weighted_median(np.array([1.0, 5.0]), np.array([2, 1500])) == 5.0
    assert weighted_median(np.array([3.0, 1.0, 2.0]), np.ones(3)) == 2.0
    assert weighted_median(np.array([1.0, 2.0]), np.ones(2)) == 1.5
    two, many = meter(60, size=50.0), meter(1500, size=200.0)
    pooled = InputQuality.pooled([two.quality(), many.quality()])
    assert pooled.noise == many.quality().noise
    assert pooled.frames == 1560


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


SECOND = second_witness(slope=2.0, offset=-1.0, settle=5.0)
BOTH = SPEC.model_copy(update={"appearance": SECOND})


def with_crops(score: float, logits: list[float]) -> FaceVerdict:
    crops = tuple(CropScore(0.5 * i, logit) for i, logit in enumerate(logits))
    return judge_face(1, [replace(stretch(score), crops=crops)], Rules.of(BOTH))


def test_either_witness_alone_or_both_may_be_right() -> None:
    """Closed form: logit(0.7) of the motion, (2 x mean - 1) x K / (K + 5) of K crops, and the mean of three ratios."""
    found = with_crops(0.7, [1.0, 3.0, 2.0, 2.0, 2.0])
    motion, appearance = np.log(0.7 / 0.3), (2 * 2.0 - 1) * 5 / 10
    assert found.motion_ratio == pytest.approx(motion)
    assert found.appearance_ratio == pytest.approx(appearance)
    together = np.mean(np.exp([motion, appearance, motion + appearance]))
    assert found.log_ratio == pytest.approx(np.log(together))
    assert found.probability == pytest.approx(together / (1 + together))
    assert [crop.logit for crop in found.crops] == [1.0, 3.0, 2.0, 2.0, 2.0]


def test_natural_motion_does_not_clear_pasted_pixels() -> None:
    pasted = with_crops(0.01, [4.0] * 20)
    assert pasted.log_ratio == pytest.approx(7 * 20 / 25 - np.log(3), abs=0.02)
    assert pasted.state is State.LIKELY_FAKE
    assert with_crops(0.99, [-4.0] * 20).log_ratio == pytest.approx(np.log(0.99 / 0.01) - np.log(3), abs=0.02)


def test_a_witness_without_crops_says_nothing() -> None:
    found = with_crops(0.7, [])
    assert found.appearance_ratio is None
    assert found.log_ratio == found.motion_ratio
    assert found.state is State.INCONCLUSIVE  # by the thresholds of both


def test_few_crops_count_less() -> None:
    few, many = (with_crops(0.5, [2.0] * count).appearance_ratio for count in (1, 20))
    assert few == pytest.approx(3 * 1 / 6)
    assert many == pytest.approx(3 * 20 / 25)


def test_disagreement_is_said() -> None:
    assert Reason.WITNESSES_DISAGREE in with_crops(0.9, [-3.0] * 10).reasons
    assert Reason.WITNESSES_DISAGREE not in with_crops(0.9, [3.0] * 10).reasons
    assert Reason.WITNESSES_DISAGREE not in with_crops(0.55, [-3.0] * 10).reasons  # nearly nothing to disagree with


def test_motion_alone_decides_by_its_own_thresholds() -> None:
    assert Rules.of(BOTH).thresholds == SECOND.thresholds
    assert Rules.of(SPEC).thresholds == SPEC.thresholds
    crops = (CropScore(0.0, 9.0),)
    assert judge_face(1, [replace(stretch(0.7), crops=crops)], RULES).log_ratio == pytest.approx(np.log(0.7 / 0.3))
