"""A face's frames to its sequence, on images whose motion is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrnet.sequence import CalibrationSpec, PointKalmanFilter, SequenceSpec, relative_variance
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.surroundings import surroundings

RNG = np.random.default_rng(0)
TEXTURE = cv2.GaussianBlur(RNG.integers(0, 255, (480, 640)).astype(np.uint8), (0, 0), 2.0)
TEXTURE = cv2.normalize(TEXTURE, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
FACE = (RNG.uniform(-60, 60, (68, 2)) + np.array([320, 240])).astype(np.float32)


def shifted(by: NDArray[np.float64]) -> NDArray[np.uint8]:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float64)
    return cv2.warpAffine(TEXTURE, matrix, (640, 480), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def build(
    shifts: NDArray[np.float64],
    jitter: float = 0.0,
    enabled: bool = True,
    gaps: frozenset[int] = frozenset(),
    around: bool = False,
) -> LandmarkSequence:
    """The sequence of a textured face that moves by `shifts` (N, 2) pixels, detected with noise of `jitter` pixels."""
    noise = np.random.default_rng(5).normal(0, jitter, (len(shifts), 68, 2))
    builder = SequenceBuilder(settings=SequenceSpec(calibration=CalibrationSpec(enabled=enabled, surroundings=around)))
    for i, by in enumerate(shifts):
        if i in gaps:
            builder.add_gap(i, i / 25)
        else:
            builder.add(shifted(by), (FACE + by + noise[i]).astype(np.float32), 0.9, i, i / 25)
    return builder.finish()


@settings(max_examples=20, deadline=None)
@given(place=st.tuples(st.floats(-100, 100), st.floats(-60, 60)), frames=st.integers(1, 8))
def test_constant_landmarks_on_a_still_video_stay_as_they_are(place: tuple[float, float], frames: int) -> None:
    s = build(np.tile(np.array(place), (frames, 1)))
    truth = np.broadcast_to(FACE + np.array(place), (frames, 68, 2))
    np.testing.assert_allclose(s.frame_landmarks(), truth, atol=1e-3)
    if frames > 1:
        assert np.nanmax(s.forward_backward_error) < 1e-3


@settings(max_examples=20, deadline=None)
@given(speed=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_a_translation_is_followed_without_lag(speed: tuple[float, float]) -> None:
    shifts = np.arange(12)[:, None] * np.array(speed)
    s = build(shifts)
    truth = FACE + shifts[:, None, :]
    assert np.abs(s.frame_landmarks() - truth).max() < 0.25
    assert s.tracked.mean() > 0.95


def test_calibration_takes_noise_off_a_still_face() -> None:
    shifts = np.zeros((40, 2))
    errors = {}
    for enabled in (True, False):
        s = build(shifts, jitter=0.6, enabled=enabled)
        errors[enabled] = float(np.linalg.norm(np.diff(s.frame_landmarks(), axis=0), axis=2).mean())
    assert errors[True] < 0.5 * errors[False]


def test_innovation_is_the_detector_s_noise() -> None:
    s = build(np.zeros((40, 2)), jitter=0.6)
    size = np.nanmedian(np.abs(s.innovation)) * s.half_side
    assert 0.2 < size < 0.8  # 0.6745 x 0.6 = 0.40 for detections alone, and the calibrated point before adds a little


def test_surroundings_are_followed_beside_the_landmarks_and_change_nothing_about_these() -> None:
    shifts = np.cumsum(np.random.default_rng(3).uniform(-2, 2, (12, 2)), axis=0)
    alone, both = (build(shifts, jitter=0.5, gaps=frozenset({5}), around=around) for around in (False, True))
    assert alone.surround_error is None
    assert both.surround_error is not None
    assert both.surround_error.shape == (11, 42)
    # A landmark at the crop's edge sees a little more of the picture; the others differ by rounding.
    assert np.nanmedian(np.abs(both.innovation - alone.innovation)) < 1e-5
    assert np.nanmax(np.abs(both.values - alone.values)) < 1e-2
    known = both.valid[1:] & both.valid[:-1]
    assert np.isnan(both.surround_error[~known]).all()
    assert np.isfinite(both.surround_error[known]).mean() > 0.9
    assert np.nanmedian(both.surround_error) * both.half_side < 0.05  # pixels of the frame: the picture only moves


def test_what_surrounds_a_face_and_cannot_be_followed_is_unknown() -> None:
    """A face on a plain ground: nothing beyond the jaw and the brows gives a hold."""
    centre, half = FACE.mean(axis=0), np.abs(FACE - FACE.mean(axis=0)).max()
    picture = np.full_like(TEXTURE, 128)
    low, high = np.rint(centre - half - 4).astype(int), np.rint(centre + half + 4).astype(int)
    picture[low[1] : high[1], low[0] : high[0]] = TEXTURE[low[1] : high[1], low[0] : high[0]]
    builder = SequenceBuilder(settings=SequenceSpec(calibration=CalibrationSpec(surroundings=True)))
    for i in range(3):
        builder.add(picture, FACE, 0.9, i, i / 25)
    s = builder.finish()
    assert s.surround_error is not None
    points = surroundings(FACE)
    away = np.abs(points - centre).max(axis=1) > half + 10
    assert away.any()
    assert np.isnan(s.surround_error[:, away]).all()
    assert np.isfinite(s.surround_error[:, 27:]).mean() > 0.9  # cheeks


def test_an_occluded_patch_is_not_believed() -> None:
    builder = SequenceBuilder()
    other = cv2.flip(TEXTURE, -1)
    for i in range(4):
        builder.add(TEXTURE if i < 2 else other, FACE, 0.9, i, i / 25)
    s = builder.finish()
    assert s.tracked[0].all()
    assert s.tracked[1].mean() < 0.5


@settings(max_examples=25, deadline=None)
@given(gaps=st.frozensets(st.integers(0, 11)))
def test_gaps_keep_length_and_times_and_never_spread(gaps: frozenset[int]) -> None:
    s = build(np.zeros((12, 2)), jitter=0.3, gaps=gaps)
    present = [i not in gaps for i in range(12)]
    last = max((i for i in range(12) if present[i]), default=-1)
    assert len(s) == last + 1
    assert s.valid.tolist() == present[: last + 1]
    np.testing.assert_allclose(s.times, np.arange(last + 1) / 25)
    assert np.isfinite(s.values[s.valid]).all()
    assert np.isnan(s.values[~s.valid]).all()
    pairs = s.valid[1:] & s.valid[:-1]
    assert np.isfinite(s.innovation[pairs]).all()
    assert np.isnan(s.innovation[~pairs]).all()


def test_a_face_that_comes_nearer_is_followed_across_the_change_of_crop() -> None:
    builder = SequenceBuilder()
    centre = np.array([320.0, 240.0])
    for i in range(30):
        zoom = 1 + 0.04 * i
        matrix = np.array([[zoom, 0, centre[0] * (1 - zoom)], [0, zoom, centre[1] * (1 - zoom)]])
        image = cv2.warpAffine(TEXTURE, matrix, (640, 480), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        found = builder.add(image, ((FACE - centre) * zoom + centre).astype(np.float32), 0.9, i, i / 25)
        assert np.abs(found - ((FACE - centre) * zoom + centre)).max() < 1.5  # a patch that grows is not shifted
    s = builder.finish()
    assert s.tracked.mean() > 0.9
    assert s.face_size == pytest.approx(np.ptp(FACE, axis=0).max() * (1 + 0.04 * 14.5), rel=0.02)


def test_kalman_gain_against_the_equations_by_hand() -> None:
    """Two frames of Eq. 4-7 worked out: D = 2, Q = 0.3; P 0 -> 0.3, K = 0.3 / 2.3, P = 0.3 * 2 / 2.3; then again."""
    f = PointKalmanFilter(1)
    predicted, detected = np.array([[10.0, 0.0]], np.float32), np.array([[12.0, 0.0]], np.float32)
    variance = relative_variance(np.array([[4.0, 0.0]]), np.array([[0.0, 2.0]]))
    assert variance == pytest.approx([2.0])
    first = f.merge(predicted, detected, variance, np.array([True]))
    assert first[0, 0] == pytest.approx(10 + 2 * 0.3 / 2.3)
    prior = 0.3 * 2 / 2.3 + 0.3
    second = f.merge(predicted, detected, variance, np.array([True]))
    assert second[0, 0] == pytest.approx(10 + 2 * prior / (prior + 2))
    unused = f.merge(predicted, detected, variance, np.array([False]))
    assert unused[0, 0] == pytest.approx(12.0)


@pytest.mark.parametrize(("detected", "predicted", "expected"), [(0.0, 0.0, 0.0), (3.0, 0.0, 3.0), (3.0, 1.5, 2.0)])
def test_relative_variance_when_nothing_moves(detected: float, predicted: float, expected: float) -> None:
    steps = (np.array([[detected, 0.0]], np.float32), np.array([[predicted, 0.0]], np.float32))
    assert relative_variance(*steps) == pytest.approx([expected])
