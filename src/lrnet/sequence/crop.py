"""The square window that follows one face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.landmark_sequence import Array


@dataclass(frozen=True, slots=True)
class CropSettings:
    """How the face is cut from the frame.

    Attributes:
        scale: crop side over face size (the longer side of the landmarks' bounding box); the paper's code takes 1.2.
        size: side of the resampled crop, pixels: the unit in which calibration works.
        hold: the crop's centre stays where it is until the face's centre is further away than this share of the face
            size; jitter of the centre would otherwise move all landmarks at once.
        resize: the side of the crop is measured anew when the face's size leaves it by more than this factor.
        side: of the crop, frame pixels, if it is known beforehand and shall not change; None takes it from the face.
        margin: pixels that are cut beyond each edge of the crop, for what surrounds the face. A multiple of 8 leaves
            what optical flow measures within the crop as it is without: its pyramid halves the picture three times.
    """

    scale: float = 1.2
    size: int = 400
    hold: float = 0.006
    resize: float = 1.15
    side: float | None = None
    margin: int = 0


def face_box(landmarks: Array) -> tuple[NDArray[np.float64], float]:
    """Centre (2,) of the landmarks' bounding box and its longer side, in the landmarks' own units."""
    low, high = landmarks.min(axis=0).astype(np.float64), landmarks.max(axis=0).astype(np.float64)
    return (low + high) / 2, float((high - low).max())


class StabilisedCrop:
    """A square window that follows one face: fixed size, centre held against jitter.

    Attributes:
        centre: (2,) frame pixels.
        side: frame pixels.
        face_size: longer side of the bounding box of the last landmarks, frame pixels.
    """

    def __init__(self, settings: CropSettings, landmarks: Array) -> None:
        self.settings = settings
        self.centre, self.face_size = face_box(landmarks)
        self.side = settings.side or max(settings.scale * self.face_size, 8.0)

    def follow(self, landmarks: Array) -> bool:
        """Move to the face's new place, (68, 2) frame pixels. True if the side had to change as well."""
        centre, size = face_box(landmarks)
        self.face_size = size
        if math.dist(centre, self.centre) > self.settings.hold * size:
            self.centre = centre
        if self.settings.side is not None:
            return False
        ratio = self.settings.scale * size / self.side
        if not 1 / self.settings.resize < ratio < self.settings.resize:
            self.side = max(self.settings.scale * size, 8.0)
            return True
        return False

    @property
    def zoom(self) -> float:
        """Crop pixels for one pixel of the frame."""
        return self.settings.size / self.side

    @property
    def middle(self) -> float:
        """Where the centre lies in what is cut, pixels, x and y alike."""
        return self.settings.size / 2 + self.settings.margin

    def to_crop(self, points: Array) -> Array:
        """Frame pixels to pixels of what is cut, (…, 2)."""
        return ((points - self.centre) * self.zoom + self.middle).astype(np.float32)

    def to_frame(self, points: Array) -> Array:
        """Pixels of what is cut to frame pixels, (…, 2)."""
        return ((points - self.middle) / self.zoom + self.centre).astype(np.float32)

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window of `image`, (H, W) or (H, W, C), with its margin, resampled to a square of `size` + 2 `margin`.

        Edge pixels go on outside the frame.

        A face larger than twice the crop is averaged down first, so that resampling does not skip pixels.
        """
        size, zoom = self.settings.size + 2 * self.settings.margin, self.zoom
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
