"""The look of a face in a few numbers: enough to say whether two tracks of one video show the same person.

It is a small blurred picture of the face, upright and of standard size, without its mean brightness and contrast. It is
no biometric template: it compares faces under one video's light and views, not across videos.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.video.frame import Frame

LOOK_EVERY: Final = 0.5  # seconds between two looks at a track
SIDE: Final = 12  # of the small picture
LOOK_SIZE: Final = 3 * SIDE * SIDE

_PICTURE: Final = 48  # pixels; side of the picture before it is made small
_REACH: Final = 2.0  # side of the picture over the distance of the eyes, or of the eyes from the mouth
_COLOUR: Final = 2.0  # what colour counts beside brightness


def look_at(frame: Frame, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """The look of a face, (LOOK_SIZE,) float32.

    Args:
        landmarks: (68, 2) frame pixels.
    """
    picture = frame.rgb_warped(_upright(landmarks), _PICTURE, _PICTURE)
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    small = cv2.resize(cv2.GaussianBlur(lab, (0, 0), _PICTURE / SIDE / 2.5), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    light = small[..., 0] - small[..., 0].mean()
    light /= np.linalg.norm(light) + 1e-6
    colour = _COLOUR * (small[..., 1:] - 128) / 60 / SIDE
    look = np.concatenate([light.ravel(), colour.ravel()])
    return look.astype(np.float16).astype(np.float32)  # as stores keep it


def _upright(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """(2, 3) matrix from the frame to the picture: eyes level, the middle of the face in the middle."""
    points = landmarks.astype(np.float64)
    right, left, mouth = points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[48:68].mean(axis=0)
    eyes = (right + left) / 2
    between = left - right
    size = _REACH * max(float(np.linalg.norm(between)), float(np.linalg.norm(mouth - eyes)), 1.0)
    turn, zoom = -np.arctan2(between[1], between[0]), _PICTURE / size
    matrix = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0]]) * zoom
    centre = (eyes + mouth) / 2 - 0.15 * (mouth - eyes)
    matrix[:, 2] = _PICTURE / 2 - matrix[:, :2] @ centre
    return matrix
