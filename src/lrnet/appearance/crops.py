"""The square around a face that the appearance network sees.

*Crop coordinates* are pixels of the crop, `x` right, `y` down, a pixel's centre at whole numbers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrnet.faces.squares import face_box
from lrnet.video.frame import Frame

CROP_EVERY: Final = 0.5
"""Seconds between two crops of a face."""

CROP_SIZE: Final = 128
"""Pixels, side of a crop."""

WIDE: Final = 192
"""Pixels, side of a wide crop: more of the surroundings at the same scale, for training to shift and turn."""

FACE_IN_CROP: Final = 100.0
"""Crop pixels, the longer side of the landmarks' bounding box."""

_FOREHEAD: Final = 0.08
"""How far above the middle of the bounding box the crop's centre lies, over the box's longer side."""

_ROUNDED: Final = 2048
"""Samples lie at multiples of 1 / 2048 frame pixel, so that crops of either side have the same, to the bit."""

SMALLEST: Final = 24.0
"""Frame pixels: no crop is taken of a smaller face, which it would only blow up."""


class _Grid(NamedTuple):
    """Where a crop samples the frame.

    Attributes:
        x, y: frame coordinates of the first sample.
        step: frame pixels from one sample to the next.
        fine: samples along a pixel of the crop.
    """

    x: float
    y: float
    step: float
    fine: int


def _grid(landmarks: NDArray[np.float32], size: int) -> _Grid | None:
    """None for a face smaller than `SMALLEST`."""
    centre, side = face_box(landmarks)
    if not np.isfinite(side) or side < SMALLEST:
        return None
    centre = centre - (0.0, _FOREHEAD * side)
    fine = max(1, round(side / FACE_IN_CROP))
    step = round(side / (FACE_IN_CROP * fine) * _ROUNDED) / _ROUNDED
    first = np.round((centre - step * (WIDE * fine - 1) / 2) * _ROUNDED) / _ROUNDED
    x, y = first + step * fine * ((WIDE - size) // 2)
    return _Grid(float(x), float(y), step, fine)


def crop_matrix(landmarks: NDArray[np.float32], size: int = CROP_SIZE) -> NDArray[np.float64] | None:
    """(2, 3) matrix from frame pixels to coordinates of a crop; None for a face smaller than `SMALLEST`.

    Args:
        landmarks: (68, 2) frame pixels.
        size: pixels, side of the crop.
    """
    grid = _grid(landmarks, size)
    if grid is None:
        return None
    pixel = grid.step * grid.fine
    first = np.array([grid.x, grid.y]) + grid.step * (grid.fine - 1) / 2  # middle of the first pixel
    return np.column_stack([np.eye(2) / pixel, -first / pixel])


def crop_face(frame: Frame, landmarks: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """(CROP_SIZE, CROP_SIZE, 3) RGB around a face, black outside the frame; None for a face smaller than `SMALLEST`.

    It is the middle of the wide crop to the bit, so that stored crops show what detection sees.

    Args:
        landmarks: (68, 2) frame pixels.
    """
    return _crop(frame, landmarks, CROP_SIZE)


def wide_crop(frame: Frame, landmarks: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """(WIDE, WIDE, 3) RGB, as `crop_face`."""
    return _crop(frame, landmarks, WIDE)


def _crop(frame: Frame, landmarks: NDArray[np.float32], size: int) -> NDArray[np.uint8] | None:
    grid = _grid(landmarks, size)
    return None if grid is None else frame.rgb_averaged((grid.x, grid.y), grid.step, size, grid.fine)


def middle(wide: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(K, CROP_SIZE, CROP_SIZE, 3): what `crop_face` gives of wide crops (K, WIDE, WIDE, 3)."""
    edge = (WIDE - CROP_SIZE) // 2
    return np.ascontiguousarray(wide[:, edge:-edge, edge:-edge])


def to_crop(landmarks: NDArray[np.float32], size: int = CROP_SIZE) -> NDArray[np.float32]:
    """(68, 2) crop coordinates of landmarks (68, 2) in frame pixels, in the crop that they give.

    Raises:
        ValueError: the face is smaller than `SMALLEST`.
    """
    matrix = crop_matrix(landmarks, size)
    if matrix is None:
        raise ValueError("no crop is taken of so small a face")
    return np.asarray(landmarks @ matrix[:, :2].T + matrix[:, 2], np.float32)
