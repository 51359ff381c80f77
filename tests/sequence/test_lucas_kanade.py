"""Algorithm 1 against a closed form (a texture that can be drawn anywhere) and against OpenCV's Lucas-Kanade."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from lrnet.faces.landmark_files import read_landmarks
from lrnet.sequence import Calibrator, OpenCVFlow, PyramidalLucasKanade, optical_flow
from lrnet.sequence.crop import StabilisedCrop
from lrnet.sequence.settings import CalibrationSpec, Preprocessing
from lrnet.video.reader import VideoReader

SIDE = 240
MIDDLE = np.array([120.0, 120.0])
RNG = np.random.default_rng(1)
WAVES = RNG.normal(0, 0.35, (60, 2))  # radians a pixel
PHASES = RNG.uniform(0, 2 * np.pi, 60)
HEIGHTS = 1 / (0.1 + np.linalg.norm(WAVES, axis=1))
HEIGHTS *= 38 / np.sqrt((HEIGHTS**2).sum() / 2)  # grey levels: standard deviation 38
POINTS = RNG.uniform(40, 200, (68, 2)).astype(np.float32)

Matrix = NDArray[np.float64]


def picture(motion: Matrix, brighter: float = 0.0, contrast: float = 1.0) -> NDArray[np.uint8]:
    """The texture after `motion` (2, 3), drawn from its formula: nothing is interpolated, grey levels are rounded."""
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), axis=-1)
    before = (grid - motion[:, 2]) @ np.linalg.inv(motion[:, :2]).T
    waves = sum(h * np.cos(before @ k + p) for h, k, p in zip(HEIGHTS, WAVES, PHASES, strict=True))
    return np.clip(np.rint(128 + contrast * waves + brighter), 0, 255).astype(np.uint8)


def moved(motion: Matrix) -> Matrix:
    return POINTS @ motion[:, :2].T + motion[:, 2]


def shift(x: float, y: float) -> Matrix:
    return np.array([[1, 0, x], [0, 1, y]])


def turn(degrees: float, scale: float = 1.0) -> Matrix:
    """About the middle of the picture."""
    c, s = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    rotation = np.array([[c, -s], [s, c]])
    return np.hstack([rotation, (MIDDLE - rotation @ MIDDLE)[:, None]])


STILL = picture(shift(0, 0))


@pytest.mark.parametrize(
    ("motion", "median", "largest"),
    [
        pytest.param(shift(0, 0), 1e-4, 1e-3, id="still"),
        pytest.param(shift(0.3, -0.7), 0.02, 0.06, id="below a pixel"),
        pytest.param(shift(5.37, -3.21), 0.02, 0.06, id="some pixels"),
        pytest.param(shift(14.3, 9.6), 0.02, 0.06, id="as far as the patch is wide"),
        # A patch that turns or grows is not shifted: what is left is the model's, OpenCV's as much.
        pytest.param(turn(2), 0.12, 0.3, id="turned by 2 degrees"),
        pytest.param(turn(0, 1.02), 0.08, 0.25, id="grown by 2 %"),
    ],
)
def test_motion_is_found_to_a_fraction_of_a_pixel(motion: Matrix, median: float, largest: float) -> None:
    found, status = PyramidalLucasKanade().track(STILL, picture(motion), POINTS, POINTS)
    error = np.linalg.norm(found - moved(motion), axis=1)
    assert status.all()
    assert found.dtype == np.float32
    assert np.median(error) < median
    assert error.max() < largest


@pytest.mark.parametrize("motion", [shift(0.3, -0.7), shift(5.37, -3.21), turn(2), turn(5), turn(0, 1.05)])
def test_as_exact_as_opencv(motion: Matrix) -> None:
    """The Gaussian weights see less of the patch: a little noisier on pure shifts, closer where the patch deforms."""
    target = picture(motion)
    errors = [
        np.median(np.linalg.norm(flow.track(STILL, target, POINTS, POINTS)[0] - moved(motion), axis=1))
        for flow in (PyramidalLucasKanade(), OpenCVFlow())
    ]
    assert errors[0] <= 1.05 * errors[1] + 0.005


def test_with_even_weights_it_is_opencv_s() -> None:
    for motion in (shift(5.37, -3.21), turn(2)):
        target = picture(motion)
        ours, _ = PyramidalLucasKanade(sigma=100.0).track(STILL, target, POINTS, POINTS)
        theirs, _ = OpenCVFlow().track(STILL, target, POINTS, POINTS)
        assert np.median(np.linalg.norm(ours - theirs, axis=1)) < 0.01


@pytest.mark.parametrize(("brighter", "contrast"), [(2.0, 1.0), (0.0, 1.03)])
def test_a_change_of_light_costs_what_it_costs_opencv(brighter: float, contrast: float) -> None:
    """Eq. 1 takes brightness to be constant; neither tracker corrects for it."""
    motion = shift(1.3, -0.7)
    target = picture(motion, brighter, contrast)
    ours, theirs = (
        np.median(np.linalg.norm(flow.track(STILL, target, POINTS, POINTS)[0] - moved(motion), axis=1))
        for flow in (PyramidalLucasKanade(), OpenCVFlow())
    )
    assert ours < 0.3
    assert ours < 1.4 * theirs


def test_grey_and_colour_of_grey_agree() -> None:
    target = picture(shift(1.3, -0.7))
    grey, found_grey = PyramidalLucasKanade().track(STILL, target, POINTS, POINTS)
    colour, found = PyramidalLucasKanade().track(np.dstack([STILL] * 3), np.dstack([target] * 3), POINTS, POINTS)
    np.testing.assert_allclose(colour, grey, atol=2e-3)
    assert np.array_equal(found, found_grey)


def test_colour_sees_what_grey_does_not() -> None:
    """An edge across in red and an edge along in blue: each channel alone leaves one direction open."""
    across = np.tile((100 + 80 * np.sin(np.arange(SIDE) / 6)).astype(np.uint8), (SIDE, 1))
    flat = np.full_like(across, 128)
    image = np.dstack([across, flat, across.T])
    points = np.array([[100.0, 90.0]], np.float32)
    assert not PyramidalLucasKanade().track(across, across, points, points)[1][0]
    assert PyramidalLucasKanade().track(image, image, points, points)[1][0]


def test_a_guess_is_where_the_search_begins() -> None:
    motion = shift(60.0, 0.0)  # far beyond what the pyramid can bridge
    target = picture(motion)
    points = POINTS[POINTS[:, 0] < 150]
    truth = points + np.float32([60, 0])
    near, found = PyramidalLucasKanade().track(STILL, target, points, truth + np.float32([1.5, -1.0]))
    assert found.all()
    assert np.abs(near - truth).max() < 0.1


def test_smooth_patches_and_lost_points_are_not_found_and_harm_no_other() -> None:
    image = STILL.copy()
    image[:100, :100] = 128
    points = np.array([[40, 40], [150, 150], [np.nan, 3], [-20, 50], [SIDE - 2, 150], [1e9, 1e9]], np.float32)
    target = picture(shift(4, 0))
    target[:100, :100] = 128
    found, status = PyramidalLucasKanade().track(image, target, points, points)
    assert status.tolist() == [False, True, False, False, False, False]
    np.testing.assert_allclose(found[1], [154, 150], atol=0.05)
    assert np.isnan(found[2, 0])
    alone, _ = PyramidalLucasKanade().track(image, target, points[1:2], points[1:2])
    np.testing.assert_allclose(found[1], alone[0], atol=1e-4)


def test_a_patch_without_any_gradient_is_not_found_whatever_is_asked_for() -> None:
    image = np.full((240, 320), 100, np.uint8)
    image[:, 160:] = np.random.default_rng(0).integers(0, 256, (240, 160))
    points = np.array([[60, 60], [240, 120]], np.float32)
    found, status = PyramidalLucasKanade(min_eigenvalue=0.0).track(image, image, points, points)
    assert status.tolist() == [False, True]
    np.testing.assert_allclose(found, points, atol=0.01)


@pytest.mark.parametrize("side", [1, 5, 16, 31])
def test_an_image_smaller_than_the_patch_is_no_error(side: int) -> None:
    image = STILL[:side, :side]
    points = np.full((1, 2), side / 2 - 0.5, np.float32)
    found, _ = PyramidalLucasKanade().track(image, image, points, points)
    np.testing.assert_allclose(found, points)


def test_no_points_at_all() -> None:
    found, status = PyramidalLucasKanade().track(
        STILL, STILL, np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    )
    assert found.shape == (0, 2)
    assert status.shape == (0,)


def test_the_settings_name_the_flow() -> None:
    spec = CalibrationSpec(flow="algorithm1", window=21, levels=2, iterations=5, epsilon=0.1)
    assert optical_flow(spec) == PyramidalLucasKanade(21, 2, 5, 0.1)
    assert optical_flow(CalibrationSpec(flow="algorithm1", min_eigenvalue=1e-6)) == PyramidalLucasKanade()
    assert optical_flow(CalibrationSpec()) == OpenCVFlow()
    assert optical_flow(CalibrationSpec(window=15, min_eigenvalue=1e-4)) == OpenCVFlow(15, min_eigenvalue=1e-4)
    with pytest.raises(ValidationError, match="flow"):
        CalibrationSpec.model_validate({"flow": "farneback"})


def test_a_bundle_can_ask_for_it() -> None:
    """Detection hands the bundle's own settings to the builder."""
    spec = CalibrationSpec(flow="algorithm1", window=21, iterations=7)
    preprocessing = Preprocessing(
        landmarker_version="1", clip_length=60, clip_stride=60, min_clip_length=30, calibration=spec
    )
    assert Calibrator(preprocessing).flow == PyramidalLucasKanade(21, 3, 7, 0.03)


def test_the_two_agree_on_a_real_face(shared: Path) -> None:
    """Sixty frames of the released example, each point from its detection; pixels of the 400-pixel crop."""
    golden = shared / "reference" / "upstream" / "calibration"
    landmarks = read_landmarks(golden / "000_003.csv").points
    crop = StabilisedCrop(landmarks[0])
    distances = []
    before: NDArray[np.uint8] | None = None
    with VideoReader(golden / "000_003.mp4") as reader:
        for frame in reader:
            image = crop.cut(frame.luma)
            if before is not None:
                start, guess = (crop.to_crop(landmarks[i]) for i in (frame.index - 1, frame.index))
                ours, found = PyramidalLucasKanade().track(before, image, start, guess)
                theirs, found_too = OpenCVFlow().track(before, image, start, guess)
                distances.append(np.linalg.norm(ours - theirs, axis=1)[found & found_too])
            before = image
            if frame.index == 60:
                break
    assert np.median(np.concatenate(distances)) < 0.25
