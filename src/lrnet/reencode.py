"""Videos encoded anew, smaller or with less quality: what sharing sites do to an upload."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import islice

import av

from lrnet.errors import NotAVideoError
from lrnet.files import written_beside

SMALLEST = 16  # pixels a side: what H.264 encoders take


def reencode(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    crf: int,
    scale: float = 1.0,
    most_frames: int | None = None,
) -> int:
    """Write a video's picture as H.264 in MP4, whole or not at all; sound is left out.

    Frames keep their times; pixels go from decoder to encoder as they are (Y'CbCr 4:2:0), unless they are resized.

    Args:
        crf: constant rate factor of x264: 18 is fine, 23 its default (c23 of FaceForensics++), 40 coarse (c40).
        scale: of width and height; areas are averaged below 1.
        most_frames: how many from the start; None for all.

    Returns:
        the number of frames written.

    Raises:
        NotAVideoError: the source has no picture that can be decoded.
    """
    count = 0
    try:
        with written_beside(target) as partial, av.open(os.fspath(source)) as read:
            stream = read.streams.video[0]
            stream.codec_context.thread_count = 1
            width, height = (_even(side * scale) for side in (stream.width, stream.height))
            with av.open(str(partial), "w", format="mp4") as written:
                out = written.add_stream("libx264", rate=stream.average_rate or Fraction(25))
                out.width, out.height, out.pix_fmt = width, height, "yuv420p"
                out.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
                out.codec_context.time_base = out.time_base = stream.time_base or Fraction(1, 90_000)
                for frame in islice(read.decode(stream), most_frames):
                    resized = frame.reformat(width, height, "yuv420p", interpolation="AREA" if scale < 1 else "BICUBIC")
                    resized.pts, resized.time_base = frame.pts, frame.time_base
                    written.mux(out.encode(resized))
                    count += 1
                written.mux(out.encode(None))
            if not count:
                raise NotAVideoError(f"{source} has no frame that can be decoded.", hint="Give another video.")
    except (av.FFmpegError, IndexError) as error:
        raise NotAVideoError(f"{source} cannot be encoded anew: {error}.", hint="Give another video.") from error
    return count


def _even(side: float) -> int:
    return max(SMALLEST, round(side / 2) * 2)
