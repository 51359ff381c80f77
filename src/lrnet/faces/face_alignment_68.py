"""FAN, the face alignment network, through the package `face-alignment`.

Source: Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem?" (ICCV 2017); the
package `face-alignment` by the first author (BSD), whose network and weights are used as they are. The weights are not
part of the package: it downloads them when it is first used. This program never does; it reads the copy in the cache.

The package's own way from heat maps to landmarks rounds to whole pixels of the frame, twice. Here the crop is cut with
sub-pixel accuracy and the heat maps' peaks are located between pixels.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import ModelError
from lrnet.faces.optional import require
from lrnet.faces.squares import FloatArray, Square, bounding_square
from lrnet.video.frame import Frame

EXTRA: Final = "face-alignment"
NETWORK: Final = "2DFAN-4"
WEIGHTS_FILE: Final = "2DFAN4-11f355bf06.pth.tar"  # in the folder `checkpoints` of torch.hub's cache
WEIGHTS_URL: Final = f"https://www.adrianbulat.com/downloads/python-fan/{WEIGHTS_FILE}"
INPUT_SIZE: Final = 256  # pixels, both sides
HEATMAP_SIZE: Final = 64  # pixels, both sides
FLOOR: Final = 1e-6  # of a heat map: its logarithm is taken

# The crop that the package makes of a face's box of width w and height h: its side is 200 / 195 (w + h), its centre
# 0.12 h above the box's (`api.py`, `utils.py`). With a square box of side s that is 2.05 s.
CROP_OVER_BOX: Final = 2 * 200 / 195
CROP_ABOVE_BOX: Final = 0.12 / CROP_OVER_BOX  # of the crop's side
BOX_OVER_DETECTION: Final = 1.1  # side of that box over the longer side of BlazeFace's


class FaceAlignment68:
    """2DFAN-4 as a `PointModel`, on the CPU, averaged over the face and its mirror image as the package does.

    Raises:
        MissingDependencyError: face-alignment or torch is not installed.
        ModelError: the weights are not in the cache, or are damaged.
    """

    name: Final = "face-alignment"

    def __init__(self) -> None:
        package = require("face_alignment", EXTRA)
        self._torch = require("torch", EXTRA)
        self._utils = require("face_alignment.utils", EXTRA)
        weights = self._weights()
        try:
            # `folder` is the one face detector that needs no weights; it is not used.
            aligner = package.FaceAlignment(
                package.LandmarksType.TWO_D, device="cpu", face_detector="folder", compile=False
            )
        except Exception as error:  # torch raises many kinds for a damaged file
            raise ModelError(
                f"{weights} does not hold the weights of {NETWORK} ({' '.join(str(error).split())[:200]}).",
                hint=f"Delete it and put the file from {WEIGHTS_URL} in its place.",
            ) from error
        self._network = aligner.face_alignment_net
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # a: the way the crop is made and the peaks are located here
        self.version: Final = f"face-alignment-{version('face-alignment')}.{digest[:12]}.a"

    def _weights(self) -> Path:
        path = Path(self._torch.hub.get_dir()) / "checkpoints" / WEIGHTS_FILE
        if not path.is_file():
            raise ModelError(
                f"The weights of face-alignment are not at {path}, and nothing is downloaded here.",
                hint=f"Put the file from {WEIGHTS_URL} there, or run face-alignment once by itself.",
            )
        return path

    def square_of_detection(self, box: FloatArray) -> Square:
        return _crop_of_box(box.reshape(2, 2), BOX_OVER_DETECTION)

    def square_of_landmarks(self, landmarks: FloatArray) -> Square:
        return _crop_of_box(landmarks, 1.0)

    def place(self, frame: Frame, square: Square) -> FloatArray:
        matrix = square.to_crop(INPUT_SIZE)
        crop = frame.rgb_warped(matrix, INPUT_SIZE, INPUT_SIZE)
        in_crop = peaks(self._heatmaps(crop)) * (INPUT_SIZE / HEATMAP_SIZE) - 0.5
        placed: FloatArray = ((in_crop - matrix[:, 2]) / matrix[0, 0]).astype(np.float32)
        return placed

    def _heatmaps(self, crop: NDArray[np.uint8]) -> FloatArray:
        """(68, 64, 64), the mean over a (256, 256, 3) crop and its mirror image."""
        torch, flip = self._torch, self._utils.flip
        with torch.inference_mode():
            image = torch.from_numpy(crop.transpose(2, 0, 1).astype(np.float32) / 255)[None]
            straight = self._last(self._network(image))
            mirrored = flip(self._last(self._network(flip(image))), is_label=True)
            found: FloatArray = ((straight + mirrored) / 2)[0].numpy()
        return found

    @staticmethod
    def _last(outputs: Any) -> Any:
        """Of the stacked hourglasses' heat maps the last one's."""
        return outputs[-1] if isinstance(outputs, list) else outputs


def peaks(heatmaps: FloatArray) -> FloatArray:
    """Where heat maps are highest, between pixels, counted from the corner of the first pixel.

    FAN learns Gaussians; the logarithm of a Gaussian is a parabola, and three values around the highest pixel give its
    vertex exactly.

    Args:
        heatmaps: (P, H, W).

    Returns:
        (P, 2) x, y in pixels of the heat map.
    """
    count, height, width = heatmaps.shape
    best = heatmaps.reshape(count, -1).argmax(axis=1)
    y, x = np.unravel_index(best, (height, width))
    logs = np.log(np.maximum(heatmaps.astype(np.float64), FLOOR))
    rows, columns = logs[np.arange(count), y], logs[np.arange(count), :, x]
    return np.stack([x + 0.5 + _vertex(rows, x), y + 0.5 + _vertex(columns, y)], axis=-1).astype(np.float32)


def _vertex(lines: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.float64]:
    """Offset of the parabola's vertex from the highest value `at` of each line, (P, N): within half a pixel."""
    last = lines.shape[1] - 1
    each = np.arange(len(lines))
    before, middle, after = lines[each, np.maximum(at - 1, 0)], lines[each, at], lines[each, np.minimum(at + 1, last)]
    bend = before - 2 * middle + after
    inside = (at > 0) & (at < last) & (bend < 0)
    offset: NDArray[np.float64] = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=inside)
    return offset.clip(-0.5, 0.5)


def _crop_of_box(points: FloatArray, scale: float) -> Square:
    return bounding_square(points, scale * CROP_OVER_BOX, CROP_ABOVE_BOX)
