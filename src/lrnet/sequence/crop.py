"""The square window that follows one face, and the three coordinate systems.

*Frame* coordinates are pixels of the frame. *Crop* coordinates are pixels of the resampled window, in which calibration
works. *Normalised* coordinates have their origin in the window's centre, and 1 is half a window's side.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.faces.squares import face_box
from lrnet.sequence.settings import SequenceSpec
from lrnet.sequence.surroundings import MARGIN

Array = NDArray[np.float32]

HOLD: Final = 0.006
"""Distance of the face's centre, as a share of its size, from which the crop moves: jitter must not move it."""

RESIZE: Final = 1.15
"""Change of the face's size, a factor, from which the crop changes its side."""

SMALLEST_SIDE: Final = 8.0  # frame pixels


def to_normalised(points: NDArray[np.floating], centres: NDArray[np.floating], half_side: float) -> Array:
    """Frame to normalised coordinates: (N, P, 2) points, each frame about its own centre, (N, 2)."""
    return ((points - centres[:, None, :]) / half_side).astype(np.float32)


def from_normalised(points: Array, centres: Array, half_side: float) -> Array:
    """Normalised to frame coordinates, the inverse of `to_normalised`."""
    return (points * half_side + centres[:, None, :]).astype(np.float32)


class StabilisedCrop:
    """A square window that follows one face: fixed size, centre held against jitter.

    Args:
        landmarks: (68, 2) frame pixels, where the face is first.
        settings: side and resolution of the crop. Where the surroundings of the face are measured, a margin is cut
            beyond each edge; it is a multiple of 8 pixels, so that the pyramid of optical flow, which halves the
            picture three times, sees the same pixels within the crop as without it.
        side: side of the crop, frame pixels, if it is known beforehand and must not change.

    Attributes:
        centre: (2,) frame pixels.
        side: frame pixels, without the margin.
        face_size: longer side of the bounding box of the last landmarks, frame pixels.
    """

    def __init__(self, landmarks: Array, settings: SequenceSpec | None = None, *, side: float | None = None) -> None:
        settings = settings or SequenceSpec()
        self._scale, self._size = settings.crop_scale, settings.crop_size
        self._margin = round(MARGIN * self._size / 8) * 8 if settings.calibration.surroundings else 0
        self._fixed = side is not None
        self.centre, self.face_size = face_box(landmarks)
        self.side = side or max(self._scale * self.face_size, SMALLEST_SIDE)

    def follow(self, landmarks: Array) -> bool:
        """Move to the face's new place, (68, 2) frame pixels. Returns whether the side changed as well."""
        centre, size = face_box(landmarks)
        self.face_size = size
        if math.dist(centre, self.centre) > HOLD * size:
            self.centre = centre
        if self._fixed or 1 / RESIZE < self._scale * size / self.side < RESIZE:
            return False
        self.side = max(self._scale * size, SMALLEST_SIDE)
        return True

    @property
    def zoom(self) -> float:
        """Crop pixels for one pixel of the frame."""
        return self._size / self.side

    @property
    def unit(self) -> float:
        """Frame pixels for one pixel of the crop."""
        return 1 / self.zoom

    @property
    def middle(self) -> float:
        """Crop coordinate of the centre, x and y alike; the margin counts."""
        return self._size / 2 + self._margin

    def to_crop(self, points: Array) -> Array:
        """Frame to crop coordinates, (…, 2)."""
        return ((points - self.centre) * self.zoom + self.middle).astype(np.float32)

    def to_frame(self, points: Array) -> Array:
        """Crop to frame coordinates, (…, 2)."""
        return ((points - self.middle) * self.unit + self.centre).astype(np.float32)

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window of `image`, (H, W) or (H, W, C), resampled to a square of `crop_size` pixels and the margin.

        Outside the frame, its edge pixels are repeated. A face larger than twice the crop is averaged down first, so
        that resampling does not skip pixels.
        """
        size, zoom = self._size + 2 * self._margin, self.zoom
        origin = np.zeros(2)
        bins = int(1 / zoom)
        if bins > 1:
            image, origin = _averaged_window(image, self.centre, size / zoom, bins)
            zoom *= bins
        # Pixel i of the averaged window has its centre at origin + bins * i + (bins - 1) / 2.
        centre = (self.centre - origin - (bins - 1) / 2) / bins if bins > 1 else self.centre
        shift = size / 2 - zoom * centre
        matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
        warped = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return warped.astype(np.uint8, copy=False)


def _averaged_window(
    image: NDArray[np.uint8], centre: NDArray[np.float64], side: float, bins: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of `image` around the window, each `bins` by `bins` pixels averaged; and its first pixel (x, y)."""
    low = np.clip(np.floor(centre - side / 2).astype(int) - bins, 0, None)
    high = np.ceil(centre + side / 2).astype(int) + bins
    part = image[low[1] : high[1], low[0] : high[0]]
    rows, columns = (max(1, n // bins) for n in part.shape[:2])
    part = part[: rows * bins, : columns * bins]
    averaged = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    return averaged.astype(np.uint8, copy=False), low.astype(np.float64)
