"""The 68-point net of face-api: small, quick, permissively licensed, and native in the iBUG order.

Source: `face_landmark_68_model` of npm's @vladmandic/face-api (MIT), which goes back to face-api.js by V. Mühler; its
training set is not disclosed. `tools/build_face_api_model.py` made the ONNX file; it gives what TensorFlow.js gives.
"""

from __future__ import annotations

from typing import Final

from lrnet.faces.models import description, open_session
from lrnet.faces.squares import FloatArray, Square, bounding_square
from lrnet.video.frame import Frame

MODEL: Final = "face_api_68"
INPUT_SIZE: Final = 112  # pixels, both sides
# Side of the square over the longer side of the points' box. Between 1.0 and 1.3 neither the distance to the mesh nor
# the jitter changes much; further in, both grow.
SQUARE_OVER_POINTS: Final = 1.1


class FaceApi68:
    """face-api's net as a `PointModel`, on one CPU thread.

    Raises:
        ModelError: the vendored model is missing or damaged.
    """

    name: Final = "face-api"

    def __init__(self) -> None:
        self._session = open_session(MODEL)
        self.version: Final = f"face-api-1.7.15.{description(MODEL)['sha256'][:12]}.a"  # a: the way the square is made

    def square_of_detection(self, box: FloatArray) -> Square:
        """BlazeFace's box reaches from the brows to the chin, as the box of the points does."""
        return bounding_square(box.reshape(2, 2), SQUARE_OVER_POINTS)

    def square_of_landmarks(self, landmarks: FloatArray) -> Square:
        return bounding_square(landmarks, SQUARE_OVER_POINTS)

    def place(self, frame: Frame, square: Square) -> FloatArray:
        matrix = square.to_crop(INPUT_SIZE)
        crop = frame.rgb_warped(matrix, INPUT_SIZE, INPUT_SIZE)
        (shares,) = self._session.run(["points"], {"image": crop[None]})
        # A point and its mirror image in the flipped crop add up to INPUT_SIZE - 1: it counts from the first pixel's
        # centre, as we do.
        placed: FloatArray = ((shares[0] * INPUT_SIZE - matrix[:, 2]) / matrix[0, 0]).astype("float32")
        return placed
