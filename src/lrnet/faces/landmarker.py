"""The protocol of landmarkers, and overlaps of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lrnet.video.frame import Frame

NUM_LANDMARKS: Final = 68
OUTER_EYE_CORNERS: Final = (36, 45)  # landmarks, the right eye first
SAME_FACE: Final = 0.5  # share of a detection's keypoints inside a face's box from which it is that face


@dataclass(frozen=True, slots=True)
class FaceObservation:
    """A face found by a landmarker in one frame.

    Attributes:
        landmarks: (68, 2) float32 frame pixels, sub-pixel, iBUG 300-W order.
        confidence: in [0, 1], how sure the landmarker is that there is a face.
        state: what the landmarker needs to follow this face; opaque to others.
    """

    landmarks: NDArray[np.float32]
    confidence: float
    state: Any = None

    @property
    def box(self) -> NDArray[np.float32]:
        """(4,) x0, y0, x1, y1 of the landmarks, frame pixels."""
        return np.concatenate([self.landmarks.min(axis=0), self.landmarks.max(axis=0)])


class Landmarker(Protocol):
    """Finds faces and places their landmarks. It must not smooth over time: smoothing hides what the network reads."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the landmarks would."""
        ...

    @property
    def shareable(self) -> bool:
        """Whether several threads may call `follow` at once."""
        ...

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        """Faces anywhere in the frame, largest first, other than those `known` in it already."""
        ...

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        """The face that was at `last` in the frame before; None if it is not there any more."""
        ...


def overlap(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes, (4,) x0, y0, x1, y1."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    areas = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]))
    return shared / max(areas - shared, 1e-9)


def lie_on(keypoints: NDArray[np.float32], face: FaceObservation) -> bool:
    """Whether a detection's keypoints (P, 2) are those of this face: enough of them lie inside its box."""
    return share_inside(keypoints, face.box) >= SAME_FACE


def share_inside(points: NDArray[np.float32], box: NDArray[np.float32]) -> float:
    """Share of (P, 2) points inside a box, (4,) x0, y0, x1, y1."""
    return float(((points >= box[:2]) & (points <= box[2:])).all(axis=1).mean())
