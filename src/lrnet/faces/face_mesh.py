"""Locate 478 facial points with MediaPipe's FaceMesh v2, and reduce them to the 68 of the iBUG 300-W scheme.

Source: Google's "Model Card: MediaPipe Face Mesh V2"; MediaPipe's `face_detector_graph.cc` and
`face_landmarks_detector_graph.cc` for how a region of interest is chosen.

Coordinates, of the frame and of the crop alike, are pixels, `x` right, `y` down, a pixel's centre at whole
numbers (as in OpenCV): the corner of the first pixel is at -0.5. The network itself counts from that corner,
0 to 256: over 80 faces, a point's `x` and that of its mirror image in the flipped crop add up to
256.08 +- 0.04, not 255. Taking the two for the same would move every landmark by half a crop pixel. Nothing
here is rounded, and nothing is smoothed over time: the jitter of the landmarks is what the method measures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.faces.blazeface import sigmoid
from lrnet.faces.models import open_session

CROP_SIZE = 256  # pixels, both sides of the network's input
MESH_POINTS = 478  # 468 of the face, 2 x 5 of the irises
ROI_EXPANSION = 1.5  # side of the region over the longer side of the face, as in MediaPipe
RIGHT_EYE_OUTER_CORNER, LEFT_EYE_OUTER_CORNER = 33, 263  # mesh points that level a tracked region

# The mesh points that stand for each landmark of the iBUG 300-W scheme; of two, the mean is taken. Right
# and left are the subject's own.
# Source: PeizhiYan/Mediapipe_2_Dlib_Landmarks. Of four tables tried it comes closest to OpenFace.
MESH_TO_68: tuple[tuple[int, ...], ...] = (
    *((127,), (234,), (93,), (132, 58), (58, 172), (136,), (150,), (176,), (152,)),  # jaw, right to chin
    *((400,), (379,), (365,), (397, 288), (361,), (323,), (454,), (356,)),  # jaw, chin to left
    *((70,), (63,), (105,), (66,), (107,)),  # right brow
    *((336,), (296,), (334,), (293,), (300,)),  # left brow
    *((168, 6), (197, 195), (5,), (4,)),  # bridge of the nose
    *((75,), (97,), (2,), (326,), (305,)),  # nostrils
    *((33,), (160,), (158,), (133,), (153,), (144,)),  # right eye
    *((362,), (385,), (387,), (263,), (373,), (380,)),  # left eye
    *((61,), (39,), (37,), (0,), (267,), (269,), (291,), (321,), (314,), (17,), (84,), (91,)),  # outer lips
    *((78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,)),  # inner lips
)
_FIRST_OF_68 = np.array([indices[0] for indices in MESH_TO_68])
_LAST_OF_68 = np.array([indices[-1] for indices in MESH_TO_68])

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]


@dataclass(frozen=True)
class RegionOfInterest:
    """A square of the frame that holds one face.

    Attributes:
        center_x, center_y: middle of the square in pixels of the frame.
        size: side of the square in pixels of the frame.
        angle: radians from the frame's `x` axis to the square's, towards the `y` axis (clockwise as seen):
            the roll of the head, so that the eyes are level inside the square.
    """

    center_x: float
    center_y: float
    size: float
    angle: float

    def crop_to_frame(self) -> NDArray[np.float64]:
        """The (2, 3) affine matrix from pixels of the crop to pixels of the frame."""
        scale = self.size / CROP_SIZE
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        middle_of_crop = np.full(2, (CROP_SIZE - 1) / 2)
        shift = np.array([self.center_x, self.center_y]) - linear @ middle_of_crop
        return np.column_stack([linear, shift])

    def frame_to_crop(self) -> NDArray[np.float64]:
        """The inverse of `crop_to_frame`."""
        back = self.crop_to_frame()
        linear = np.linalg.inv(back[:, :2])
        return np.column_stack([linear, -linear @ back[:, 2]])


class FaceMesh:
    """FaceMesh v2 on one CPU thread.

    Raises:
        ModelError: the vendored model is missing or damaged.

    A mesh may be shared by threads: a call keeps no state.
    """

    def __init__(self) -> None:
        self._session = open_session("face_mesh_v2")

    def landmarks(self, crop_rgb: ByteArray) -> tuple[FloatArray, float]:
        """Locate the points of the face in a crop.

        Args:
            crop_rgb: (256, 256, 3) uint8 RGB, as `crop` makes it.

        Returns:
            points (478, 2) in pixels of the crop, sub-pixel; the confidence that the crop holds a face, 0..1.
        """
        points, confidence = self.landmarks_batch(crop_rgb[None])
        return points[0], float(confidence[0])

    def landmarks_batch(self, crops_rgb: ByteArray) -> tuple[FloatArray, FloatArray]:
        """The same for several crops at once: (N, 256, 256, 3) gives (N, 478, 2) and (N,)."""
        points, logits = self._session.run(["points", "presence_logit"], {"image": crops_rgb})
        return points[..., :2] - np.float32(0.5), sigmoid(logits)


def roi_from_detection(box: FloatArray, keypoints: FloatArray) -> RegionOfInterest:
    """The square around a detected face, 1.5 times its longer side, turned so that the eyes are level.

    Args:
        box: (4,) left, top, right, bottom in pixels of the frame.
        keypoints: (6, 2) in pixels of the frame, the right and the left eye first, as `FaceDetector` returns
            them.
    """
    left, top, right, bottom = (float(value) for value in box)
    return RegionOfInterest(
        center_x=(left + right) / 2,
        center_y=(top + bottom) / 2,
        size=ROI_EXPANSION * max(right - left, bottom - top),
        angle=_angle(keypoints[0], keypoints[1]),
    )


def roi_from_landmarks(points: FloatArray) -> RegionOfInterest:
    """The square in which to look for a face in the next frame, from its points in this one.

    One and a half times the longer side of the box around the points, turned so that the outer corners of the
    eyes are level. The box is measured along the turned axes; MediaPipe measures it along the frame's, which
    makes the face smaller in the crop the more the head is tilted.

    Args:
        points: (478, 2) in pixels of the frame.
    """
    angle = _angle(points[RIGHT_EYE_OUTER_CORNER], points[LEFT_EYE_OUTER_CORNER])
    cos, sin = math.cos(angle), math.sin(angle)
    axes = np.array([[cos, sin], [-sin, cos]])
    turned = points.astype(np.float64) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    center = axes.T @ ((low + high) / 2)
    return RegionOfInterest(float(center[0]), float(center[1]), ROI_EXPANSION * float((high - low).max()), angle)


def _angle(right_eye: FloatArray, left_eye: FloatArray) -> float:
    """Roll of the head in radians: the subject's right eye is on the left of the image."""
    across, down = (float(value) for value in left_eye - right_eye)
    return math.atan2(down, across)


def crop(image_rgb: ByteArray, roi: RegionOfInterest) -> ByteArray:
    """Cut a region out of an (H, W, 3) uint8 frame: (256, 256, 3), bilinear, black beyond the edges."""
    return cv2.warpAffine(  # type: ignore[return-value]
        image_rgb,
        roi.crop_to_frame(),
        (CROP_SIZE, CROP_SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )


def points_to_frame(points: FloatArray, roi: RegionOfInterest) -> FloatArray:
    """Move points (..., 2) from pixels of the crop to pixels of the frame."""
    matrix = roi.crop_to_frame()
    return (points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def to_68(points: FloatArray) -> FloatArray:
    """Reduce mesh points (..., 478, 2) to the 68 of the iBUG 300-W scheme, (..., 68, 2), same units."""
    return (points[..., _FIRST_OF_68, :] + points[..., _LAST_OF_68, :]) / np.float32(2)
