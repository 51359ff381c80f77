"""What happens to a face on its way to the analyst: light, scaling, noise, coding.

A real face and the fakes made of it go through the same (`Degradation`), so that none of it tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from lrnet.appearance.crops import CROP_SIZE
from lrnet.training.appearance.blend import Picture, jpeg, noisy, recoloured, resampled


@dataclass(frozen=True, slots=True)
class Degradation:
    """One way that pictures go; `apply` takes several along it.

    Attributes:
        seed: of the noise and the interpolations, which are the same for each picture.
        colour: seed of the change of colours; None for none.
        grey: whether colours are lost.
        scale: the picture is scaled down by this and up again; 1 for none.
        noise: sigma of Gaussian noise, grey levels.
        crf: of each coding in H.264, in turn.
        quality: of a coding in JPEG; None for none.
        zoom, turn, shift: of the crop that is cut out: factor, degrees, (x, y) pixels.
        mirror: whether left and right change.
    """

    seed: int
    colour: int | None = None
    grey: bool = False
    scale: float = 1.0
    noise: float = 0.0
    crf: tuple[int, ...] = ()
    quality: int | None = None
    zoom: float = 1.0
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirror: bool = False

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> Self:
        """One such as videos meet: most are coded at least once more, some twice."""
        coding = draw.random()
        crf: tuple[int, ...] = ()
        quality = None
        if coding < 0.45:
            crf = (int(draw.integers(18, 46)),)
        elif coding < 0.55:
            crf = (int(draw.integers(18, 37)), int(draw.integers(20, 41)))
        elif coding < 0.75:
            quality = int(draw.integers(40, 96))
        return cls(
            seed=int(draw.integers(2**31)),
            colour=int(draw.integers(2**31)) if draw.random() < 0.6 else None,
            grey=bool(draw.random() < 0.04),
            scale=float(draw.uniform(0.45, 1.0)) if draw.random() < 0.4 else 1.0,
            noise=float(draw.uniform(1, 6)) if draw.random() < 0.15 else 0.0,
            crf=crf,
            quality=quality,
            zoom=float(draw.uniform(0.87, 1.15)),
            turn=float(draw.normal(0, 4)),
            shift=(float(draw.normal(0, 4)), float(draw.normal(0, 4))),
            mirror=bool(draw.random() < 0.5),
        )

    def apply(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Each picture (S, S, 3) as (CROP_SIZE, CROP_SIZE, 3)."""
        found = [self._before_coding(picture) for picture in pictures]
        for crf in self.crf:
            found = [h264(picture, crf) for picture in found]
        if self.quality is not None:
            found = [jpeg(picture, self.quality) for picture in found]
        return [self._cut(picture) for picture in found]

    def _before_coding(self, picture: Picture) -> Picture:
        draw = np.random.default_rng(self.seed)
        if self.colour is not None:
            picture = recoloured(picture, np.random.default_rng(self.colour), 1.5)
        if self.grey:
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
            picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
        if self.scale < 1:
            picture = resampled(picture, self.scale, np.random.default_rng(self.seed))
        return noisy(picture, self.noise, draw) if self.noise else picture

    def _cut(self, picture: Picture) -> Picture:
        middle = (picture.shape[0] - 1) / 2
        matrix = cv2.getRotationMatrix2D((middle, middle), self.turn, self.zoom)
        matrix[:, 2] += (CROP_SIZE - 1) / 2 - middle + np.array(self.shift)
        size = (CROP_SIZE, CROP_SIZE)
        cut = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return np.ascontiguousarray(cut[:, ::-1] if self.mirror else cut, np.uint8)


def h264(picture: Picture, crf: int) -> Picture:
    """Coded in H.264 as a key frame, by an encoder of its own, and decoded.

    An encoder codes what comes first finer: by 4 dB. Were both of a pair coded by one, the order would tell them apart.
    """
    height, width = picture.shape[:2]
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.options = {"crf": str(crf), "preset": "veryfast", "tune": "zerolatency", "g": "1", "threads": "1"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format="yuv420p")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return np.asarray(frames[0].to_ndarray(format="rgb24"), np.uint8)
