"""The seven perturbations of DeeperForensics-1.0 at five levels, for frames and for whole videos.

Source: Jiang et al., "DeeperForensics-1.0: A Large-Scale Dataset for Real-World Face Forgery Detection" (CVPR 2020);
the parameters of the levels, and what "mixed" and "random" mean, are those that the dataset's authors publish with it.
What is done otherwise here, and why, stands in `docs/decisions/0016-perturbations.md`.

Frames are (H, W, 3) uint8 RGB. Level 0 changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from lrnet.errors import TreatmentError
from lrnet.files import is_there
from lrnet.video.frame import Frame
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader
from lrnet.video.writer import VideoWriter

Rgb = NDArray[np.uint8]


class Kind(StrEnum):
    """A perturbation, by the name that the command line gives it."""

    SATURATION = "saturation"
    CONTRAST = "contrast"
    BLOCKS = "block-wise"
    NOISE = "white-noise"
    BLUR = "blur"
    JPEG = "jpeg"
    VIDEO = "video-compression"


PARAMETERS: Final[dict[Kind, tuple[float, ...]]] = {
    Kind.SATURATION: (0.4, 0.3, 0.2, 0.1, 0.0),  # what is left of the colour differences
    Kind.CONTRAST: (0.85, 0.725, 0.6, 0.475, 0.35),  # what R, G and B are multiplied by
    Kind.BLOCKS: (16, 32, 48, 64, 80),  # grey blocks a frame, for each 256 pixels of its shorter side
    Kind.NOISE: (0.001, 0.002, 0.005, 0.01, 0.05),  # variance in each of Y', Cb and Cr, 1 being 255 steps
    Kind.BLUR: (7, 9, 13, 17, 21),  # side of the Gaussian kernel, pixels
    Kind.JPEG: (2, 3, 4, 5, 6),  # factor by which the frame is made smaller and larger again
    Kind.VIDEO: (30, 32, 35, 38, 40),  # constant rate factor of H.264
}
"""What levels 1 to 5 mean."""

LEVELS: Final = 5
RANDOM: Final = "random"  # one kind, drawn for each video
MIXED: Final = "mixed"  # several kinds, one after the other
MIXED_KINDS: Final = (2, 3, 4)  # how many kinds a mixed video has
NAMES: Final = (*Kind, MIXED, RANDOM)

BLOCK: Final = 8  # pixels a side
BLOCK_GREY: Final = 128
BLOCKS_PER: Final = 256  # pixels of the shorter side
SIGMA_OF_KERNEL: Final = 1 / 6  # the Gaussian's standard deviation over the side of its kernel
LUMA: Final = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601: Y' of R, G, B
# ITU-R BT.601, 8 bits: a step of Y' (of 219) or of Cb and Cr (of 224) in steps of R, G, B (of 255).
NOISE_TO_RGB: Final = np.array([[255 / 219, 0, 1.402], [255 / 219, -0.344136, -0.714136], [255 / 219, 1.772, 0]]) * [
    1,
    255 / 224,
    255 / 224,
]

# Hardly any loss (55 dB and more on clean video), and the quickest preset: large, and plays everywhere.
NEAR_LOSSLESS_CRF: Final = 10
NEAR_LOSSLESS: Final = {"preset": "ultrafast", "threads": "1"}
AS_PUBLISHED: Final = {"preset": "medium", "threads": "1"}  # FFmpeg's default, which the dataset's authors used


@dataclass(frozen=True, slots=True)
class Step:
    """One perturbation of one video.

    Attributes:
        level: 0 (nothing) to 5.
    """

    kind: Kind
    level: int

    def __post_init__(self) -> None:
        if not 0 <= self.level <= LEVELS:
            raise TreatmentError(
                f"There is no level {self.level} of {self.kind.value}.",
                hint=f"Levels are 1 to {LEVELS}, and 0 for no change.",
            )

    @property
    def parameter(self) -> float:
        """What the level means (`PARAMETERS`); only of levels above 0."""
        return PARAMETERS[self.kind][self.level - 1]


def perturb_frame(rgb: Rgb, step: Step, rng: np.random.Generator) -> Rgb:
    """A perturbed frame; the one that was given is not changed.

    Args:
        rgb: (H, W, 3) uint8.
        rng: for noise and the places of blocks, drawn for each frame; unused by the other kinds.

    Returns:
        (H, W, 3) uint8; `rgb` itself at level 0.

    Raises:
        TreatmentError: video compression, which no single frame has.
    """
    if step.kind is Kind.VIDEO:
        raise TreatmentError("A single frame has no video compression.", hint="Perturb the video: `perturb`.")
    return rgb if step.level == 0 else _OF_FRAMES[step.kind](rgb, step.parameter, rng)


def _saturation(rgb: Rgb, left: float, _: np.random.Generator) -> Rgb:
    matrix = left * np.eye(3) + (1 - left) * np.tile(LUMA, (3, 1))
    return np.asarray(cv2.transform(rgb, matrix), np.uint8)


def _contrast(rgb: Rgb, factor: float, _: np.random.Generator) -> Rgb:
    return np.asarray(cv2.LUT(rgb, np.rint(np.arange(256) * factor).astype(np.uint8)), np.uint8)


def _blocks(rgb: Rgb, count: float, rng: np.random.Generator) -> Rgb:
    height, width = rgb.shape[:2]
    # The published count is 0 for frames of fewer than 256 rows; here they have as many as those of 256.
    blocks = int(count) * max(1, min(height, width) // BLOCKS_PER)
    result = rgb.copy()
    tops, lefts = (rng.integers(0, max(1, side - BLOCK + 1), blocks) for side in (height, width))
    for top, left in zip(tops.tolist(), lefts.tolist(), strict=True):
        result[top : top + BLOCK, left : left + BLOCK] = BLOCK_GREY
    return result


def _noise(rgb: Rgb, variance: float, rng: np.random.Generator) -> Rgb:
    height, width = rgb.shape[:2]
    flat = np.empty((height, 3 * width), np.float32)
    # OpenCV draws four times as fast as NumPy. Its seed is this thread's own.
    cv2.setRNGSeed(int(rng.integers(1, 2**31)))
    cv2.randn(flat, np.zeros(1), np.full(1, 255 * np.sqrt(variance)))
    noise = cv2.transform(flat.reshape(height, width, 3), NOISE_TO_RGB)
    return np.asarray(cv2.add(rgb, noise, dtype=cv2.CV_8U), np.uint8)


def _blur(rgb: Rgb, side: float, _: np.random.Generator) -> Rgb:
    return np.asarray(cv2.GaussianBlur(rgb, (int(side), int(side)), side * SIGMA_OF_KERNEL), np.uint8)


def _jpeg(rgb: Rgb, factor: float, _: np.random.Generator) -> Rgb:
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (max(1, width // int(factor)), max(1, height // int(factor))))
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)


_OF_FRAMES: Final[dict[Kind, Callable[[Rgb, float, np.random.Generator], Rgb]]] = {
    Kind.SATURATION: _saturation,
    Kind.CONTRAST: _contrast,
    Kind.BLOCKS: _blocks,
    Kind.NOISE: _noise,
    Kind.BLUR: _blur,
    Kind.JPEG: _jpeg,
}


def draw_steps(name: str, level: int | None, seed: int | Sequence[int]) -> tuple[Step, ...]:
    """What is done to one video.

    Args:
        name: one of `NAMES`: a kind; "random", one kind, drawn; or "mixed", two to four kinds in a drawn order.
        level: of every step; None draws one from 1 to 5 for each.
        seed: the same seed draws the same.

    Raises:
        TreatmentError: there is no such name or level.
    """
    if name not in NAMES:
        raise TreatmentError(f"There is no perturbation {name!r}.", hint=f"Known are {', '.join(NAMES)}.")
    rng = np.random.default_rng(seed)
    kinds = [Kind(name)] if name not in (MIXED, RANDOM) else list(Kind)
    if name in (MIXED, RANDOM):
        count = int(rng.choice(MIXED_KINDS)) if name == MIXED else 1
        kinds = [kinds[i] for i in rng.permutation(len(kinds))[:count]]
    return tuple(Step(kind, int(rng.integers(1, LEVELS + 1)) if level is None else level) for kind in kinds)


def perturb(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    name: str,
    level: int | None = None,
    seed: int | Sequence[int] = 0,
    most_frames: int | None = None,
) -> tuple[Step, ...]:
    """Write a perturbed video as H.264 in MP4, whole or not at all; sound is left out.

    Frames keep their times and their size (an odd side loses its last row or column: 4:2:0 has none). What the
    perturbation leaves is encoded with hardly any loss, unless the last step is video compression.

    Args:
        name, level, seed: see `draw_steps`. The same seed gives the same frames; where the last step is video
            compression, x264 does not always make the same bits of them (`docs/decisions/0016-perturbations.md`).
        most_frames: how many from the start; None for all.

    Returns:
        the steps, in the order in which they were applied.

    Raises:
        TreatmentError: there is no such perturbation or level, or the target is the source.
        VideoError: the source cannot be read.
        OutputError: the target cannot be written.
    """
    steps = draw_steps(name, level, seed)
    require_other_file(source, target)
    with ExitStack() as stack:
        *firsts, last = _passes(steps)
        if firsts:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="lrnet-")))
            for number, steps_of_pass in enumerate(firsts):
                between = folder / f"{number}.mp4"
                _write(source, between, steps_of_pass, seed, most_frames)
                source = between
        _write(source, target, last, seed, most_frames)
    return steps


def require_other_file(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Raise TreatmentError if both are one file: an original is never written over."""
    if is_there(target) and is_there(source) and Path(target).samefile(source):
        raise TreatmentError(f"{target} is the video itself.", hint="Give another name for what is written.")


def _passes(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Steps that one pass over the frames does: video compression ends a pass."""
    done: list[Step] = []
    for number, step in enumerate(steps):
        done.append(step)
        if step.kind is Kind.VIDEO or number == len(steps) - 1:
            yield tuple(done)
            done = []


def _write(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    steps: Sequence[Step],
    seed: int | Sequence[int],
    most_frames: int | None,
) -> None:
    rng = np.random.default_rng(seed)
    crf, options = NEAR_LOSSLESS_CRF, NEAR_LOSSLESS
    of_frames = [step for step in steps if step.level and step.kind is not Kind.VIDEO]
    for step in steps:
        if step.kind is Kind.VIDEO and step.level:
            crf, options = int(step.parameter), AS_PUBLISHED
    with VideoReader(source, WHOLE, threads=1) as reader, ExitStack() as stack:
        writer: VideoWriter | None = None
        for frame in islice(reader.decode(), most_frames):
            if writer is None:
                rate = reader.info.frame_rate or 25.0
                writer = stack.enter_context(VideoWriter(target, frame.width, frame.height, rate, crf, options))
            writer.write_picture(_perturbed(frame, of_frames, rng), frame.time)


def _perturbed(frame: Frame, steps: Sequence[Step], rng: np.random.Generator) -> VideoFrame:
    if not steps:
        return frame.picture()
    rgb = frame.rgb_resized(frame.width, frame.height)
    for step in steps:
        rgb = perturb_frame(rgb, step, rng)
    return frame.picture(rgb)
