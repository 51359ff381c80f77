"""What motion and appearance say of a face, each alone, and where on the face the pixels look manipulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.appearance.crops import CROP_SIZE
from lrnet.appearance.network import AppearanceNetwork
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import FaceVerdict
from lrnet.verdict.evidence import TELLS

MAPPED_CROPS: Final = 24
"""That a map is averaged over."""

_SHOWN: Final = 320  # pixels, side of the picture
_STRONGEST: Final = 0.65  # how much of the colour covers the face where it is strongest


@dataclass(frozen=True, slots=True)
class PixelMap:
    """Where the crops of a face look manipulated.

    Attributes:
        cells: (CELLS, CELLS) mean logits; their mean is that of the crops.
        picture: (CROP_SIZE, CROP_SIZE, 3) RGB, the mean of the crops.
        crops: how many.
    """

    cells: NDArray[np.float32]
    picture: NDArray[np.uint8]
    crops: int

    def drawn(self) -> bytes:
        """A JPEG of the mean face, red where the logit is above the face's mean, the more the higher."""
        above = np.clip(self.cells - float(self.cells.mean()), 0, None)
        heat = cv2.resize(above / max(float(above.max()), 1e-6), (_SHOWN, _SHOWN), interpolation=cv2.INTER_CUBIC)
        strength = np.clip(heat, 0, 1)[..., None] * _STRONGEST
        large = cv2.resize(self.picture, (_SHOWN, _SHOWN), interpolation=cv2.INTER_CUBIC)
        grey = cv2.cvtColor(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        mixed = (1 - strength) * grey + strength * np.array([215, 48, 31], np.float32)
        bgr = cv2.cvtColor(mixed.astype(np.uint8), cv2.COLOR_RGB2BGR)
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def pixel_map(network: AppearanceNetwork, sequences: Sequence[LandmarkSequence]) -> PixelMap | None:
    """The map of one face, averaged over its crops; None without crops."""
    crops = [crop for s in sequences if s.crops is not None for crop in s.crops]
    if not crops:
        return None
    chosen = [crops[i] for i in np.unique(np.linspace(0, len(crops) - 1, MAPPED_CROPS).round().astype(int))]
    cells = np.mean([network.cells(crop) for crop in chosen], axis=0, dtype=np.float32)
    picture = np.mean(chosen, axis=0).round().astype(np.uint8)
    assert picture.shape == (CROP_SIZE, CROP_SIZE, 3)
    return PixelMap(np.asarray(cells, np.float32), picture, len(chosen))


def says(ratio: float | None) -> str:
    """A log ratio in words."""
    if ratio is None:
        return "was not asked"
    times = float(np.exp(min(abs(ratio), 7)))
    if abs(ratio) < TELLS:
        return "says little either way"
    many = "more than 1000" if abs(ratio) >= np.log(1000) else f"{times:.0f}"
    return f"{many} times likelier for {'a fake' if ratio > 0 else 'a genuine face'}"


def witnesses(face: FaceVerdict) -> tuple[tuple[str, str], ...]:
    """(name, words) of each witness that was asked; () for a model that looks at motion alone."""
    if face.appearance_ratio is None:
        return ()
    return (
        ("Motion of the landmarks", says(face.motion_ratio)),
        (f"Pixels of the face, {len(face.crops)} crops", says(face.appearance_ratio)),
    )
