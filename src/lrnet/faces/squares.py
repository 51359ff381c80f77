"""Landmarkers that place 68 points in a square around a face: what they have in common.

BlazeFace finds the faces and confirms each followed face in every frame; the model (dlib, FAN,
face-api) only places points. The square that it looks at comes from its own points of the frame before; nothing is
smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from lrnet.faces.blazeface import INPUT_SIZE, FaceDetections, FaceDetector
from lrnet.faces.landmarker import FaceObservation, lie_on
from lrnet.video.frame import Frame

WINDOW: Final = 3.0  # side of the window in which a followed face is looked for, over the face's size
SIZES: Final = (8.0, 4.0)  # a square is no smaller than this, pixels, and no larger than this many frame widths

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Square:
    """An upright square of the frame.

    Attributes:
        centre: (x, y) frame pixels, a pixel's centre at whole numbers.
        side: frame pixels.
    """

    centre: tuple[float, float]
    side: float

    def to_crop(self, size: int, side: float | None = None) -> NDArray[np.float64]:
        """(2, 3) matrix from frame pixels to those of a crop of `size` x `size` pixels, the square in its middle.

        Args:
            side: crop pixels that the square's side becomes; all of the crop if not given.
        """
        zoom = (side or size) / self.side
        x, y = (((size - 1) / 2) - zoom * c for c in self.centre)
        return np.array([[zoom, 0, x], [0, zoom, y]])

    def usable(self, frame: Frame) -> bool:
        """Whether it is finite and of a size that a face of this frame can have."""
        finite = bool(np.isfinite([*self.centre, self.side]).all())
        return finite and SIZES[0] <= self.side <= SIZES[1] * frame.width


class PointModel(Protocol):
    """Places 68 points on a face, given where it is."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the points would."""
        ...

    def square_of_detection(self, box: FloatArray) -> Square:
        """Where to look first: `box` is BlazeFace's, (4,) left, top, right, bottom, frame pixels."""
        ...

    def square_of_landmarks(self, landmarks: FloatArray) -> Square:
        """Where to look next, from the points (68, 2) of the frame before."""
        ...

    def place(self, frame: Frame, square: Square) -> FloatArray:
        """(68, 2) frame pixels, sub-pixel, iBUG 300-W order."""
        ...


class SquareLandmarker:
    """A `Landmarker` made of BlazeFace and a `PointModel`.

    The confidence of a face is BlazeFace's: point models place a face's points on anything. Of a found face the points
    are placed twice: the detector's box is loose, and the second look is made as all later ones are.
    """

    shareable: Final = False  # a point model may keep state

    def __init__(self, model: PointModel) -> None:
        self._model = model
        self._detector = FaceDetector()

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def version(self) -> str:
        return self._model.version

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        """Faces anywhere in the frame, largest first, other than those `known` in it."""
        found = self._detector.detect_in(frame)
        faces = []
        for i in found.largest_first():
            if any(lie_on(found.keypoints[i], face) for face in known):
                continue
            first = self._place(frame, self._model.square_of_detection(found.boxes[i]))
            if first is None:
                continue
            second = self._place(frame, self._model.square_of_landmarks(first))
            faces.append(FaceObservation(first if second is None else second, float(found.scores[i])))
        return faces

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        """The face whose points were `last`; None where BlazeFace sees none on the points found now."""
        landmarks = self._place(frame, self._model.square_of_landmarks(last.landmarks))
        if landmarks is None:
            return None
        observation = FaceObservation(landmarks, 1.0)
        found = detect_faces_near(self._detector, frame, last.box)
        scores = [
            float(score)
            for keypoints, score in zip(found.keypoints, found.scores, strict=True)
            if lie_on(keypoints, observation)
        ]
        return FaceObservation(landmarks, max(scores)) if scores else None

    def _place(self, frame: Frame, square: Square) -> FloatArray | None:
        if not square.usable(frame):
            return None
        landmarks = self._model.place(frame, square)
        return landmarks if np.isfinite(landmarks).all() else None


def detect_faces_near(detector: FaceDetector, frame: Frame, box: FloatArray) -> FaceDetections:
    """BlazeFace on a window of `WINDOW` times the size of a face's box, (4,) left, top, right, bottom."""
    left, top, right, bottom = (float(v) for v in box)
    window = Square(((left + right) / 2, (top + bottom) / 2), WINDOW * max(right - left, bottom - top))
    matrix = window.to_crop(INPUT_SIZE)
    crop = frame.rgb_warped(matrix, INPUT_SIZE, INPUT_SIZE)
    # The detector counts from the corner of the first pixel of its input and takes half a frame pixel off at the end.
    zoom = float(matrix[0, 0])
    offset = (matrix[:, 2] + 0.5 - 0.5 * zoom).tolist()
    return detector.detect_letterboxed(crop, (zoom, zoom), (offset[0], offset[1]))


def face_box(landmarks: FloatArray) -> tuple[NDArray[np.float64], float]:
    """Centre (2,) of the landmarks' bounding box and its longer side, in the landmarks' own units."""
    low, high = landmarks.min(axis=0).astype(np.float64), landmarks.max(axis=0).astype(np.float64)
    return (low + high) / 2, float((high - low).max())


def bounding_square(landmarks: FloatArray, scale: float, up: float = 0.0) -> Square:
    """The square around the bounding box of points (68, 2).

    Args:
        scale: side over the longer side of the box.
        up: by which share of its side the square is moved up.
    """
    (x, y), longer = face_box(landmarks)
    side = scale * longer
    return Square((float(x), float(y) - up * side), side)
