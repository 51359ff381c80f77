"""The square around a face that the appearance network sees.

*Crop coordinates* are pixels of the crop, `x` right, `y` down, a pixel's centre at whole numbers.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.crop import face_box
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

SMALLEST: Final = 24.0
"""Frame pixels: no crop is taken of a smaller face, which it would only blow up."""


def crop_matrix(landmarks: NDArray[np.float32], size: int = CROP_SIZE) -> NDArray[np.float64] | None:
    """(2, 3) matrix from frame pixels to coordinates of a crop; None for a face smaller than `SMALLEST`.

    Args:
        landmarks: (68, 2) frame pixels.
        size: pixels, side of the crop.
    """
    middle, side = face_box(landmarks)
    if not np.isfinite(side) or side < SMALLEST:
        return None
    centre = middle - (0.0, _FOREHEAD * side)
    zoom = FACE_IN_CROP / side
    return np.column_stack([np.eye(2) * zoom, (size - 1) / 2 - zoom * centre])


def crop_face(frame: Frame, landmarks: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """(CROP_SIZE, CROP_SIZE, 3) RGB around a face, black outside the frame; None for a face smaller than `SMALLEST`.

    It is the middle of the wide crop to the bit, so that stored crops show what detection sees.

    Args:
        landmarks: (68, 2) frame pixels.
    """
    wide = wide_crop(frame, landmarks)
    return None if wide is None else middle(wide[None])[0]


def wide_crop(frame: Frame, landmarks: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """(WIDE, WIDE, 3) RGB, as `crop_face`.

    Larger faces are averaged down, not sampled: what is finer than a crop's pixel would alias.
    """
    matrix = crop_matrix(landmarks, WIDE)
    if matrix is None:
        return None
    fine = max(1, round(1 / matrix[0, 0]))
    if fine == 1:
        return frame.rgb_warped(matrix, WIDE, WIDE)
    # Pixel centres: crop pixel c is the mean of the fine pixels from c * fine to c * fine + fine - 1.
    matrix = matrix * fine
    matrix[:, 2] += (fine - 1) / 2
    whole = frame.rgb_warped(matrix, WIDE * fine, WIDE * fine)
    return np.asarray(cv2.resize(whole, (WIDE, WIDE), interpolation=cv2.INTER_AREA), np.uint8)


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
