"""Points beside the landmarks, whose optical flow says how well a face's surroundings can be followed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

NUM_SURROUNDINGS: Final = 42

OUTSIDE: Final = 1.3  # of the jaw's distance from the landmarks' mean
ABOVE: Final = 0.35  # of the line from the chin to the root of the nose
MARGIN: Final = 0.16  # of the crop's side, cut beyond each of its edges to hold these points


def surroundings(landmarks: Array) -> Array:
    """Points on and around the face that are no landmarks, (42, 2) in the unit of the (68, 2) landmarks.

    17 outside the jaw, 10 above the brows, 15 on the cheeks, halfway from the jaw to the tip of the nose. A camera and
    an encoder treat them as they treat the landmarks; who replaces a face replaces few of them.
    """
    jaw, brows, chin, nose_root, nose_tip = landmarks[:17], landmarks[17:27], landmarks[8], landmarks[27], landmarks[33]
    centre = landmarks.mean(axis=0)
    outside = centre + np.float32(OUTSIDE) * (jaw - centre)
    above = brows + np.float32(ABOVE) * (nose_root - chin)
    cheeks = (jaw[1:16] + nose_tip) / 2
    return np.concatenate([outside, above, cheeks]).astype(np.float32)
