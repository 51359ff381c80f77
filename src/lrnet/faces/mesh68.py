"""A student of the face mesh: 68 points from one small network, trained by `tools/train_landmarker.py`.

It looks at the luma of a square in which the eyes are level and the points of the frame before fill three quarters;
nothing is smoothed. It says itself whether a face is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.faces.blazeface import FaceDetector, sigmoid
from lrnet.faces.landmarker import OUTER_EYE_CORNERS, FaceObservation, lie_on
from lrnet.faces.mesh import CANDIDATE_SCORE, MIN_PRESENCE
from lrnet.faces.models import description, open_session
from lrnet.video.frame import Frame

INPUT: Final = 128  # pixels, side of the network's input
FACE_IN_INPUT: Final = 95.0  # of them, the longer side of the box around the points

Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]


class Mesh68:
    """The student as a `Landmarker`, on one CPU thread."""

    name: Final = "mesh68"
    shareable: Final = True

    def __init__(self) -> None:
        self._session = open_session("mesh68")
        self.version = f"mesh68.{description('mesh68')['sha256'][:12]}.a"  # the network, and how its square is cut
        self._detector = FaceDetector(CANDIDATE_SCORE)

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        """Faces anywhere in the frame, largest first, other than those `known` in it."""
        found = self._detector.detect_in(frame)
        faces = []
        for i in found.largest_first():
            keypoints = found.keypoints[i]
            if any(lie_on(keypoints, face) for face in known):
                continue
            # BlazeFace's box reaches from the brows to the chin, as the box of the points does.
            corners = found.boxes[i].reshape(2, 2)
            first = self._place(frame, square_of(corners, keypoints[0], keypoints[1], INPUT, FACE_IN_INPUT))
            if first is not None and first.confidence >= MIN_PRESENCE:
                faces.append(self.follow(frame, first) or first)
        return faces

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        """The face near where it was in the frame before."""
        return self._place(frame, face_matrix(last.landmarks, INPUT, FACE_IN_INPUT))

    def _place(self, frame: Frame, matrix: Matrix) -> FaceObservation | None:
        zoom = math.hypot(matrix[0, 0], matrix[1, 0])
        if not (np.isfinite(matrix).all() and INPUT / (8 * frame.width) <= zoom <= INPUT / 4):
            return None
        points, logit = self._session.run(None, {"luma": cut(frame.luma, matrix, INPUT)[None]})
        back = np.linalg.inv(matrix[:, :2])
        placed = (points[0].astype(np.float64) - matrix[:, 2]) @ back.T
        return FaceObservation(placed.astype(np.float32), float(sigmoid(logit)[0]))


def face_matrix(points: NDArray[np.floating], size: int, face: float) -> Matrix:
    """(2, 3) matrix from the coordinates of `points` (68, 2) to a square of `size` pixels.

    The eyes are level, the middle of the points' box is in the middle, and its longer side is `face` pixels long.
    """
    right, left = OUTER_EYE_CORNERS
    return square_of(points, points[right], points[left], size, face)


def square_of(
    points: NDArray[np.floating], right: NDArray[np.floating], left: NDArray[np.floating], size: int, face: float
) -> Matrix:
    """The same of any points (P, 2), with a point (2,) of the right and of the left eye."""
    across, down = (left - right).astype(np.float64)
    angle = math.atan2(down, across)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned = points.astype(np.float64) @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    zoom = face / max(float((high - low).max()), 1e-6)
    return np.column_stack([zoom * turn, (size - 1) / 2 - zoom * (low + high) / 2])


def cut(luma: Picture, matrix: Matrix, size: int) -> Picture:
    """(size, size) through a matrix from the picture to the square; edge pixels are repeated outside the picture.

    Where the picture is shrunk it is averaged first, so that what is sampled does not depend on where between pixels a
    sample falls.
    """
    bins = int(1 / math.hypot(matrix[0, 0], matrix[1, 0]))
    if bins > 1:
        corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - matrix[:, 2]
        reached = corners @ np.linalg.inv(matrix[:, :2]).T
        most = np.array(luma.shape[::-1]) - bins
        low = np.clip(np.floor(reached.min(axis=0)) - bins, 0, most).astype(int)
        count = np.maximum((np.clip(np.ceil(reached.max(axis=0)) + bins, low + bins, most + bins) - low) // bins, 1)
        width, height = (int(n) for n in count)
        part = luma[low[1] : low[1] + height * bins, low[0] : low[0] + width * bins]
        luma = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        # Pixel i of what was averaged has its centre at low + bins * i + (bins - 1) / 2.
        shift = matrix[:, 2] + matrix[:, :2] @ (low + (bins - 1) / 2)
        matrix = np.column_stack([matrix[:, :2] * bins, shift])
    warped = cv2.warpAffine(luma, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)
