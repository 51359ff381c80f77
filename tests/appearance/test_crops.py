"""Where crops are taken, and what is in them."""

from __future__ import annotations

import inspect

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.appearance.crops import CROP_SIZE, FACE_IN_CROP, SMALLEST, WIDE, crop_face, crop_matrix, to_crop, wide_crop
from lrnet.cli.store import crops_command
from lrnet.data.store.crops import MOST_CROPS
from lrnet.video.frame import Frame


def frame_of(rgb: NDArray[np.uint8]) -> Frame:
    return Frame(av.VideoFrame.from_ndarray(rgb, format="rgb24"), 0, 0.0)


def landmarks(x: float, y: float, side: float) -> NDArray[np.float32]:
    """Points on a square whose box has its middle at (x, y)."""
    around = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    square = np.clip(1.5 * np.column_stack([np.cos(around), np.sin(around)]), -1, 1)
    return np.asarray((x, y) + side / 2 * square, np.float32)


def test_the_face_has_one_size_and_one_place_in_every_crop() -> None:
    for x, y, side in ((100.0, 80.0, 50.0), (300.5, 200.25, 200.0), (40.0, 40.0, 30.0)):
        points = to_crop(landmarks(x, y, side))
        low, high = points.min(axis=0), points.max(axis=0)
        np.testing.assert_allclose(high - low, FACE_IN_CROP, rtol=1e-3)
        middle = (low + high) / 2
        np.testing.assert_allclose(middle, ((CROP_SIZE - 1) / 2, (CROP_SIZE - 1) / 2 + 0.08 * FACE_IN_CROP), atol=0.1)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (1921, 1081), (3840, 2160)])
def test_a_wider_crop_shows_more_of_the_same_samples(width: int, height: int) -> None:
    draw = np.random.default_rng(width)
    frame = frame_of(draw.integers(0, 256, (height, width, 3), np.uint8))
    edge = (WIDE - CROP_SIZE) // 2
    for _ in range(25):
        at = draw.uniform(0, (width, height))
        points = landmarks(*at, side=float(np.exp(draw.uniform(np.log(25), np.log(0.9 * height)))))
        narrow, wide = crop_face(frame, points), wide_crop(frame, points)
        assert narrow is not None
        assert wide is not None
        assert wide.shape == (WIDE, WIDE, 3)
        np.testing.assert_array_equal(wide[edge:-edge, edge:-edge], narrow)


@pytest.mark.parametrize("side", [60.0, 100.0, 260.0, 330.0])
def test_a_crop_shows_what_is_at_its_place_in_the_frame(side: float) -> None:
    """A linear ramp: a crop's pixel is the ramp's value where the matrix says, whether it was enlarged or averaged."""
    y, x = np.mgrid[0:480, 0:640]
    ramp = np.stack([(x + y) * 200 / 1120 + 20] * 3, axis=2).round().astype(np.uint8)
    points = landmarks(320, 240, side)
    found, matrix = crop_face(frame_of(ramp), points), crop_matrix(points)
    assert found is not None
    assert matrix is not None
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    v, u = np.mgrid[0:CROP_SIZE, 0:CROP_SIZE]
    fx, fy = (back[:2] @ np.stack([u.ravel(), v.ravel(), np.ones(u.size)])).reshape(2, *u.shape)
    inside = (fx > 4) & (fx < 635) & (fy > 4) & (fy < 475)
    np.testing.assert_allclose(found[..., 0][inside], ((fx + fy) * 200 / 1120 + 20)[inside], atol=2.5)


def test_what_is_finer_than_a_pixel_of_the_crop_is_averaged() -> None:
    y, x = np.mgrid[0:900, 0:900]
    checks = np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    found = crop_face(frame_of(checks), landmarks(450, 450, 400))
    assert found is not None
    assert np.ptp(found[20:-20, 20:-20].astype(int)) < 40
    assert abs(float(found[20:-20, 20:-20].mean()) - 127) < 4


def test_of_a_tiny_face_no_crop_is_taken() -> None:
    blank = frame_of(np.zeros((200, 200, 3), np.uint8))
    assert crop_face(blank, landmarks(100, 100, SMALLEST - 1)) is None
    assert crop_face(blank, landmarks(100, 100, SMALLEST + 1)) is not None
    assert crop_face(blank, np.full((68, 2), np.nan, np.float32)) is None
    with pytest.raises(ValueError, match="small"):
        to_crop(landmarks(100, 100, SMALLEST - 1))


def test_the_command_cuts_as_many_crops_as_the_library() -> None:
    assert inspect.signature(crops_command).parameters["most"].default == MOST_CROPS
