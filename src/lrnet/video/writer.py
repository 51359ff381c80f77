"""Write frames as H.264 or HEVC in MP4."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from types import MappingProxyType, TracebackType
from typing import Final, Literal, Self

import av
import av.container
import av.error
import av.logging
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from lrnet.errors import (
    OutputError,
)
from lrnet.files import written_beside
from lrnet.video.frame import HD_ROWS
from lrnet.video.opening import reason_of
from lrnet.video.sound import Samples, add_sound

REPEATABLE: Final = MappingProxyType({"mbtree": "0"})
"""Options with which equal pictures give equal bytes: x264's macroblock tree reads memory that nothing has set."""


class VideoWriter:
    """Write frames with their times as H.264 in MP4, beside the target and renamed when closed without an error.

    Args:
        path: where to; ends in `.mp4`.
        width, height: of the frames given, pixels, two or more; an odd side loses its last row or column (4:2:0 has
            none).
        rate: nominal frame rate, Hz, for players; each frame carries its own time all the same.
        crf: the encoder's constant rate factor; higher is smaller and coarser.
        options: further options of the encoder, by FFmpeg's names.
        codec: FFmpeg's name of the encoder; "libx265" writes HEVC.
        sound: called at the end, gives the sound (`lrnet.video.sound.add_sound`). A fault of it costs the sound only.
    """

    TIME_BASE: Final = Fraction(1, 90_000)

    def __init__(
        self,
        path: str | os.PathLike[str],
        width: int,
        height: int,
        rate: float,
        crf: int = 23,
        options: Mapping[str, str] = MappingProxyType({}),
        codec: Literal["libx264", "libx265"] = "libx264",
        sound: Callable[[], Iterable[Samples]] | None = None,
    ) -> None:
        self._name, self._sound = os.fspath(path), sound
        self._width, self._height = width - width % 2, height - height % 2
        if not (self._width and self._height):
            raise OutputError(
                f"{self._name} cannot be written: a picture of {width} x {height} pixels is too small to encode.",
                hint="Give one of 2 x 2 pixels or more.",
            )
        self._beside = written_beside(path)
        self._partial = self._beside.__enter__()
        try:
            with self._told():
                self._container = av.open(str(self._partial), "w", format="mp4", options={"movflags": "+faststart"})
                stream = self._container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001))
                stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
                if codec == "libx265":
                    stream.codec_context.codec_tag = "hvc1"  # Apple's players open no other
                # On several threads the encoder's bytes depend on what else the machine does.
                threads = {"threads": "1"} if codec == "libx264" else {}
                stream.options = {"crf": str(crf), "preset": "veryfast", **threads, **options}
                stream.codec_context.time_base = self.TIME_BASE
                stream.time_base = self.TIME_BASE
                self._stream = stream
        except BaseException as error:
            self._beside.__exit__(type(error), error, error.__traceback__)
            raise

    def write(self, rgb: NDArray[np.uint8], time: float) -> None:
        """Add a frame, (height, width, 3) RGB, shown from `time` seconds on.

        It is written in limited range by the matrix that players expect of its size (BT.709 from `HD_ROWS` on, else
        BT.601), and the file says so.
        """
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(rgb[: self._height, : self._width]), format="rgb24")
        matrix = Colorspace.ITU709 if self._height >= HD_ROWS else Colorspace.ITU601
        limited = ColorRange.MPEG
        self.write_picture(
            frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=limited, threads=1), time
        )

    def write_picture(self, picture: VideoFrame, time: float) -> None:
        """Add a frame that is Y'CbCr 4:2:0 already, of the size that is written. It goes to the encoder as it is, and
        the first one says how the file describes its colours."""
        context = self._stream.codec_context
        if not context.is_open:
            context.colorspace, context.color_range = picture.colorspace, picture.color_range
        picture.time_base = self.TIME_BASE
        picture.pts = round(time / self.TIME_BASE)
        with self._told():
            self._container.mux(self._stream.encode(picture))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._finish(whole=error is None)
        except BaseException as failed:
            self._beside.__exit__(type(failed), failed, failed.__traceback__)
            raise
        self._beside.__exit__(kind, error, trace)

    def _finish(self, whole: bool) -> None:
        with self._told():
            try:
                if whole:
                    self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()
        if whole and self._sound is not None:
            with suppress(OSError, av.error.FFmpegError):
                add_sound(self._partial, self._sound())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What FFmpeg says of the encoder or of the place that is written to, as a typed error."""
        try:
            yield
        except av.error.FFmpegError as error:
            raise OutputError(
                f"{self._name} cannot be written ({reason_of(error)}).",
                hint="Check that there is room, and that the picture is not too small or too large to encode.",
            ) from error
