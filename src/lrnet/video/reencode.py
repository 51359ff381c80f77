"""Re-encode videos, smaller or at lower quality, as datasets and sharing sites do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

from lrnet.errors import TreatmentError
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader
from lrnet.video.writer import VideoWriter

SMALLEST = 16  # pixels a side: what H.264 encoders take


REENCODINGS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    # FaceForensics++ (Rössler et al., ICCV 2019): H.264 with FFmpeg's defaults and constant rate factors of 23 and 40.
    "c23": ({"crf": 23, "preset": "medium"},),
    "c40": ({"crf": 40, "preset": "medium"},),
    # x265's default factor; a quick preset, because the default one takes ten times as long as finding the landmarks.
    "hevc": ({"crf": 28, "codec": "libx265", "preset": "superfast"},),
    # An imitation: an application shrinks and encodes before it sends, the site encodes again for viewing, with a limit
    # on the bit rate and key frames about two seconds apart. Sites do not publish what they do, and change it.
    "social": (
        {"crf": 26, "shorter_side": 540},
        {"crf": 30, "shorter_side": 480, "options": {"maxrate": "1M", "bufsize": "2M", "g": "60"}},
    ),
}
"""Re-encodings by name: the arguments of `reencode` for each pass, which reads what the one before it wrote."""


def reencode(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    crf: int,
    scale: float = 1.0,
    shorter_side: int | None = None,
    most_frames: int | None = None,
    preset: str = "veryfast",
    codec: Literal["libx264", "libx265"] = "libx264",
    options: dict[str, str] | None = None,
) -> int:
    """Write a video's picture as H.264 (or HEVC) in MP4, whole or not at all; sound is left out.

    Frames keep their times; pixels go from decoder to encoder as they are (Y'CbCr 4:2:0), unless they are resized. A
    video that is shown turned is written upright.

    Args:
        crf: constant rate factor; of x264 18 is fine, 23 its default (c23 of FaceForensics++), 40 coarse (c40).
        scale: of width and height; areas are averaged below 1.
        shorter_side: of the frame, pixels, at most: `scale` is made smaller if need be.
        most_frames: how many from the start; None for all.
        preset: of the encoder: what it spends on each frame.
        codec: FFmpeg's name of the encoder.
        options: further options of the encoder, by FFmpeg's names.

    Returns:
        the number of frames written.

    Raises:
        VideoError: the source has no picture that can be decoded.
        OutputError: the target cannot be written.
    """
    chosen = {"preset": preset, **_one_thread(codec), **(options or {})}
    count = 0
    with VideoReader(source, WHOLE, threads=1) as reader:
        frames = islice(reader.decode(), most_frames)
        first = next(frames)
        if shorter_side is not None:
            scale = min(scale, shorter_side / min(first.width, first.height))
        width, height = (_even(side * scale) for side in (first.width, first.height))
        rate = reader.info.frame_rate or 25.0
        with VideoWriter(target, width, height, rate, crf, chosen, codec) as writer:
            for frame in chain([first], frames):
                picture = frame.picture()
                how = "AREA" if scale < 1 else "BICUBIC"
                writer.write_picture(picture.reformat(width, height, "yuv420p", interpolation=how), frame.time)
                count += 1
    return count


def reencode_as(
    name: str,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    most_frames: int | None = None,
) -> None:
    """Write a video as one of `REENCODINGS` does. Raises as `reencoding` and `reencode` do."""
    *firsts, last = reencoding(name)
    with TemporaryDirectory(prefix="lrnet-") as folder:
        for number, settings in enumerate(firsts):
            between = Path(folder) / f"{number}.mp4"
            reencode(source, between, most_frames=most_frames, **settings)
            source = between
        reencode(source, target, most_frames=most_frames, **last)


def reencoding(name: str) -> Sequence[dict[str, Any]]:
    """The passes of a re-encoding. Raises TreatmentError if the name is unknown."""
    if name not in REENCODINGS:
        raise TreatmentError(f"There is no re-encoding {name!r}.", hint=f"Known are {', '.join(REENCODINGS)}.")
    return REENCODINGS[name]


def _one_thread(codec: str) -> dict[str, str]:
    """One video a core: threads inside an encoder only take time from the others."""
    return {"x265-params": "log-level=none:pools=none:frame-threads=1"} if codec == "libx265" else {"threads": "1"}


def _even(side: float) -> int:
    return max(SMALLEST, round(side / 2) * 2)
