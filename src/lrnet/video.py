"""Video files in and out (PyAV): upright frames with presentation times, one at a time.

Inside the package a frame is three planes, 8-bit Y'CbCr 4:2:0, whatever the file's own format: nearly every video is
stored so, and then nothing is converted until somebody asks for the few pixels of a face. Pixel (0, 0) has its centre
at coordinate (0, 0); x points right, y down.
"""

from __future__ import annotations

import math
import os
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from types import MappingProxyType, TracebackType
from typing import Any, Final, Literal, Self, cast

import av
import av.container
import av.error
import av.logging
import cv2
import numpy as np
from av.codec.context import CodecContext
from av.packet import Packet
from av.sidedata.encparams import VideoEncParams
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lrnet.errors import (
    DamagedVideoError,
    NetworkSourceError,
    NotAVideoError,
    OutputError,
    VideoError,
    VideoNotFoundError,
)
from lrnet.files import is_file, is_folder, is_there, written_beside
from lrnet.limits import WHOLE, Access, Excess, Guard, Limits, past
from lrnet.pipeline import Ahead, Stopped, nothing

# FFmpeg's own messages are told as typed errors instead. No callback into Python may be left in place: a decoding
# thread that logs waits for the interpreter's lock, which whoever frees the decoder may be holding.
av.logging.restore_default_callback()
av.logging.set_libav_level(av.logging.PANIC)

VIDEO_SUFFIXES: Final = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"}
    | {".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
"""File name endings that a folder is searched for; a file named outright is opened whatever its ending."""

FORMATS: Final = (
    "mov,mp4,matroska,webm,avi,asf,flv,live_flv,kux,mpegts,mpeg,mpegvideo,mxf,gxf,ogg,wtv,nut,rm,nsv,dv,swf,amv,dhav,"
    "ifv,lmlm4,gif,apng,h261,h263,h264,hevc,vvc,av1,obu,ivf,cavsvideo,m4v,vc1,mjpeg,mjpeg_2000,yuv4mpegpipe,png_pipe,"
    "jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe"
)
"""Demuxers that may be used, by FFmpeg's names: none that opens other files or addresses named inside the file."""

PLAYLIST_HEADS: Final = (b"#extm3u", b"ffconcat", b"v=0", b"[playlist]", b"rtsptext")
PLAYLIST_WORDS: Final = (b"<mpd", b"<asx", b"<playlist", b"<smil")
"""How files begin, or what stands near their beginning, that name others; lower case."""

DECODE_AHEAD: Final = 8  # frames that may wait between the decoding thread and its reader; decoders give them in bursts

CACHE_LINE: Final = 64  # bytes
FULL_RANGE: Final = 2  # FFmpeg's number for Y' from 0 to 255
BT709: Final = 1  # colour spaces by the numbers of ITU-T H.273
UNNAMED: Final = (0, 2)
HD_ROWS: Final = 720  # from which on a frame that names no colour space is taken for BT.709

SQUARE: Final = 0.02  # pixels whose sides differ by less than this share are taken for square
OBLONG: Final = 4.0  # ratio of their sides from which on a file is not believed: no format has such

QUANTISER_FRAMES: Final = 16  # from a key frame on, whose quantisers are looked at
QUANTISER_EVERY: Final = 240  # frames at least from where that begins to where it begins again
COARSEST: Final = 51  # quantisation parameter of H.264
H264_PARAMETERS: Final = 1  # FFmpeg's number for quantisation parameters of that kind
DELTA_QP: Final = 4  # where a block's own parameter stands among the 32-bit numbers that FFmpeg tells of it

_DURATION_TAG: Final = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")
"""What Matroska and WebM say of one stream; the container's own duration is that of the longest."""

Plane = NDArray[np.uint8]
Window = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file's header says of its video. Headers can lie: none of it is relied on for results.

    Attributes:
        path: where it was read from.
        width, height: of the upright frame with square pixels (see `shown_size`).
        frame_rate: average, frames a second; None if the header does not say.
        duration: seconds, of the video stream if the header knows it, else of the longest; None if it does not say.
        frame_count: frames that the header declares; None if it does not.
        rotation: degrees counter-clockwise by which stored frames are turned to be upright; known once a frame is read.
    """

    path: str
    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    frame_rate: float | None
    duration: float | None
    frame_count: int | None
    rotation: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A frame as the file stores it, with square pixels, before it is turned.

    Attributes:
        planes: Y', Cb, Cr, (H, W) and twice (ceil(H / 2), ceil(W / 2)) uint8.
        turns: quarter turns counter-clockwise that make it upright.
        colorspace, color_range: numbers of ITU-T H.273 and of FFmpeg (2: full range); 0 where the file names none.
    """

    planes: tuple[Plane, ...]
    turns: int
    colorspace: int
    color_range: int


class Frame:
    """One upright frame with square pixels.

    Attributes:
        index: position in the file's order of presentation, from 0.
        time: presentation time in seconds from the video's first frame.
        stretch: number of the stretch that it lies in, where only some are examined (`lrnet.limits.Limits.share`).
        luma: (H, W) uint8, the Y' plane, read only.
        stored: the frame as it lies in the file.
    """

    __slots__ = ("_chroma", "_shown", "_source", "_to_rgb", "index", "luma", "stored", "stretch", "time")

    def __init__(
        self,
        source: VideoFrame,
        index: int,
        time: float,
        to_planes: VideoReformatter | None = None,
        turns: int | None = None,
        stretch: int = 0,
        shown: tuple[int, int] | None = None,
    ) -> None:
        """Take a decoded frame; `turns` is the rotation, where `source` does not carry it.

        `shown` is the width and height that its pixels are square at, before it is turned: its own, if not given.
        """
        self.index = index
        self.time = time
        self.stretch = stretch
        self._source = source
        full_range = source.format.name.startswith("yuvj") or int(source.color_range or 0) == FULL_RANGE
        if turns is None:
            turns = turns_of(source)
        planar = source
        stored = source.width, source.height
        self._shown = shown or stored
        if self._shown != stored or source.format.name not in ("yuv420p", "yuvj420p"):
            # One thread: starting more for each frame costs more than they save.
            how = Interpolation.BICUBIC if self._shown != stored else None
            planar = (to_planes or VideoReformatter()).reformat(
                source, *self._shown, "yuv420p", interpolation=how, threads=1
            )
        self.stored = Stored(
            planes_of(planar),
            turns,
            int(source.colorspace or 0),
            FULL_RANGE if full_range else int(source.color_range or 0),
        )
        self.luma, u, v = (_upright(plane, turns) for plane in self.stored.planes)
        self._chroma = (u, v)
        self._to_rgb = _rgb_matrix(self.stored.colorspace, full_range, self.height)

    @property
    def width(self) -> int:
        return int(self.luma.shape[1])

    @property
    def height(self) -> int:
        return int(self.luma.shape[0])

    def rgb(self) -> NDArray[np.uint8]:
        """The whole frame, (H, W, 3) uint8 RGB. Costs a full conversion: for pictures shown to people."""
        source = self._source
        # FFmpeg takes BT.601 where a file names nothing; see `_rgb_matrix`.
        hd = self.stored.colorspace in UNNAMED and self.height >= HD_ROWS and not source.format.is_rgb
        width, height = self._shown
        whole = source.to_ndarray(
            format="rgb24", width=width, height=height, src_colorspace=Colorspace.ITU709 if hd else None
        )
        return np.ascontiguousarray(np.rot90(whole, self.stored.turns))

    def rgb_resized(self, width: int, height: int) -> NDArray[np.uint8]:
        """The whole frame scaled down to (height, width, 3) RGB by area averaging, from the planes."""
        planes = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in (self.luma, *self._chroma)]
        return self._rgb_of(planes)

    def rgb_warped(self, matrix: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
        """A part of the frame as (height, width, 3) RGB, black outside the frame.

        Args:
            matrix: (2, 3), takes frame coordinates to coordinates of the result.
        """
        # A chroma sample covers two by two luma pixels: its centre lies half a pixel beside the first one's.
        half = np.vstack([matrix, [0, 0, 1]]) @ np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
        window = _window(matrix, width, height, self.luma.shape)
        u, v = self._chroma
        _fetch(self.luma[window])
        for plane in (u, v):
            _fetch(plane[tuple(slice(side.start // 2, side.stop // 2 + 1) for side in window)])
        planes = [
            cv2.warpAffine(
                plane,
                m,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(black,),
            )
            for plane, m, black in ((self.luma, matrix, 16), (u, half[:2], 128), (v, half[:2], 128))
        ]
        return self._rgb_of(planes)

    def picture(self, rgb: NDArray[np.uint8] | None = None) -> VideoFrame:
        """The frame as `VideoWriter.write_picture` takes it: upright, 8-bit Y'CbCr 4:2:0, its colours described as the
        source's are. An odd side loses its last row or column.

        Args:
            rgb: (H, W, 3) uint8 to be shown in place of the frame's own pixels, in the colours of `rgb_resized`.

        Raises:
            VideoError: a side has one pixel only.
        """
        height, width = self.height - self.height % 2, self.width - self.width % 2
        if not (height and width):
            raise VideoError(
                f"A frame of {self.width} x {self.height} pixels is too small to be encoded.", hint="Leave it out."
            )
        half = (width // 2, height // 2)
        planes: Sequence[NDArray[Any]]
        if rgb is None:
            u, v = self._chroma
            planes = self.luma[:height, :width], u[: half[1], : half[0]], v[: half[1], : half[0]]
        else:
            back = np.linalg.inv(np.vstack([self._to_rgb, [0, 0, 0, 1]]))[:3]
            y, *chroma = cv2.split(cv2.transform(rgb[:height, :width], back))
            planes = y, *(cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in chroma)
        flat = np.concatenate([np.ascontiguousarray(plane).ravel() for plane in planes])
        picture = VideoFrame.from_ndarray(flat.reshape(height * 3 // 2, width), format="yuv420p")
        picture.colorspace = self._source.colorspace
        picture.color_range = 2 if self._source.format.name.startswith("yuvj") else self._source.color_range
        return picture

    def _rgb_of(self, planes: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
        return cv2.transform(cv2.merge(planes), self._to_rgb).astype(np.uint8, copy=False)


def oblong(aspect: Fraction | None) -> Fraction | None:
    """The aspect of a pixel, width over height, if it is not square; None if it is, or is nothing that a format has."""
    if not aspect or not 1 / OBLONG < aspect < OBLONG or abs(aspect - 1) < SQUARE:
        return None
    return aspect


def shown_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size at which pixels of this aspect (see `oblong`) are square; no pixel is lost.

    Standard definition and some cameras store frames narrower or wider than they are shown.
    """
    if aspect is None:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


def turns_of(source: VideoFrame) -> int:
    """Quarter turns counter-clockwise that make a frame upright, as its display matrix says.

    Where the matrix mirrors too, the frame is what is shown with left and right changed: a mirrored face is as good as
    another, and one that stands on its head is not. A matrix without an inverse turns nothing.
    """
    matrix: Any = source.side_data.get("DISPLAYMATRIX")  # its type is too wide in the stubs
    if matrix is None:
        return 0
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    area = a * d - b * c
    if not area:
        return 0
    sign = 1 if area > 0 else -1
    return round(-math.degrees(math.atan2(b, sign * a)) / 90) % 4


def _quantiser_of(source: VideoFrame, small: VideoReformatter) -> float | None:
    """Mean quantisation parameter of a frame's macroblocks; None if its codec is not H.264, or tells none."""
    # A thumbnail, which brings what is told of the frame: whoever is asked for that is tied into a circle, and kept
    # until the collector comes by.
    told = small.reformat(source, 16, 16, "gray", threads=1).side_data.get("VIDEO_ENC_PARAMS")
    if not isinstance(told, VideoEncParams) or int(told.codec_type) != H264_PARAMETERS or not told.nb_blocks:
        return None
    data: Any = told  # a buffer, which its stubs do not say
    numbers = np.frombuffer(data, np.int32, offset=told.blocks_offset)
    blocks = numbers[: told.nb_blocks * told.block_size // 4].reshape(told.nb_blocks, -1)
    return float(np.clip(told.qp + blocks[:, DELTA_QP].mean(), 0, COARSEST))


def _upright(plane: Plane, turns: int) -> Plane:
    return np.ascontiguousarray(np.rot90(plane, turns)) if turns else plane


def planes_of(frame: VideoFrame) -> tuple[Plane, ...]:
    """Y', Cb and Cr of a frame in 4:2:0, as views of it."""
    return tuple(_plane(frame, i) for i in range(3))


def _plane(frame: VideoFrame, i: int) -> Plane:
    plane = frame.planes[i]
    rows: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _window(matrix: NDArray[np.float64], width: int, height: int, shape: tuple[int, ...]) -> Window:
    """Rows and columns of a frame that a warp by `matrix` into (height, width) reads."""
    (a, b, right), (c, d, down) = matrix.tolist()  # plain numbers: four corners are too few for arrays to pay
    size = a * d - b * c
    corners = [(x - right, y - down) for x in (0, width) for y in (0, height)]
    xs, ys = [(d * x - b * y) / size for x, y in corners], [(a * y - c * x) / size for x, y in corners]
    rows, columns = (
        slice(min(max(0, math.floor(min(at)) - 1), most), min(max(0, math.ceil(max(at)) + 2), most))
        for at, most in zip((ys, xs), shape, strict=True)
    )
    return rows, columns


def _fetch(part: Plane) -> None:
    """Read a byte of each 64 of a part of a plane: a warp that then finds it in the cache takes half the time."""
    if part.size:
        part[:, ::CACHE_LINE].max()


@lru_cache
def _rgb_matrix(colorspace: int, full_range: bool, height: int) -> NDArray[np.float64]:
    """(3, 4) matrix from (Y', Cb, Cr, 1) to RGB, for ITU-R BT.709 or BT.601 and the range in use.

    Colour space numbers are those of ITU-T H.273 (1: BT.709); where a file names none, players take BT.709 for
    high-definition frames and BT.601 for others, and so does this.
    """
    bt709 = colorspace == BT709 or (colorspace in UNNAMED and height >= HD_ROWS)
    kr, kb = (0.2126, 0.0722) if bt709 else (0.299, 0.114)
    luma, chroma, floor = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    kg = 1 - kr - kb
    rotate = np.array(
        [
            [luma, 0, chroma * 2 * (1 - kr)],
            [luma, -chroma * 2 * (1 - kb) * kb / kg, -chroma * 2 * (1 - kr) * kr / kg],
            [luma, chroma * 2 * (1 - kb), 0],
        ]
    )
    return np.hstack([rotate, -rotate @ np.array([[floor], [128.0], [128.0]])])


class Reader(ABC):
    """A video opened for reading: a context manager and an iterator over `Frame`, in order of presentation.

    Attributes:
        frames: decoded so far, those left out for their rate among them.
        damaged: packets that could not be decoded, and frames that the decoder had to patch; they are skipped.
        quantiser: how coarsely frames are encoded so far: quantisation parameter of H.264, from 0 (fine) to 51, the
            median over frames of the mean over their macroblocks, for 16 frames from a key frame on, at most once in
            240; None for other codecs.
        guard: which limits the video went past.
        waiting: called about once a second by the thread that decodes, while that waits for another process.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.guard = Guard(name, limits)
        self.damaged = 0
        self.quantiser: float | None = None
        self.frames = 0
        self.waiting: Callable[[], None] = nothing
        self._begun = False
        self._ahead: Ahead[Frame] | None = None

    @property
    @abstractmethod
    def info(self) -> VideoInfo:
        """What the header says, and since the first frame what that showed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End reading, whoever reads."""
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead.join()
        self._ahead, self.waiting = None, nothing  # they lead back here, and a decoder has many megabytes
        self._release()

    @abstractmethod
    def abort(self) -> None:
        """Cut off what holds the thread that decodes, from another one, where that can be done."""

    def __iter__(self) -> Iterator[Frame]:
        frames = self.decode()
        self._ahead = Ahead(frames, DECODE_AHEAD, "decode", self.abort)
        try:
            yield from self._ahead
        except Stopped:  # closed by another thread
            return

    def decode(self) -> Iterator[Frame]:
        """The frames, decoded on the thread that asks for them."""
        if self._begun:
            raise RuntimeError("a Reader is read once; open the file again to read it again")
        self._begun = True
        return self._decode()

    @abstractmethod
    def _decode(self) -> Iterator[Frame]: ...

    @abstractmethod
    def _release(self) -> None: ...


class VideoReader(Reader):
    """Decodes in this process.

    Frames are decoded on a thread of their own, a bounded number ahead, so memory does not grow with the length;
    `decode` does without that thread.

    Args:
        source: path of a file. An address (`https://…`) is opened only if `access` allows it.
        access: limits, and whether addresses are opened; that of `isolate` is for `lrnet.isolation.open_video`.
        threads: decoding threads; 0 lets FFmpeg choose.

    Raises:
        VideoNotFoundError: there is no such file.
        NotAVideoError: it is empty, of another type, a playlist, or has no video stream.
        NetworkSourceError: an address without permission.
        LimitError: it is larger than a limit; while iterating, if limits refuse.
        DamagedVideoError: while iterating, if not one frame can be decoded.
    """

    def __init__(self, source: str | os.PathLike[str], access: Access | None = None, *, threads: int = 0) -> None:
        access = access or Access()
        super().__init__(os.fspath(source), access.limits)
        self._container = _open(self.name, access)
        try:
            self._stream = self._best_stream()
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = threads
            largest = {"max_pixels": str(round(access.limits.megapixels * 1e6))}
            self._stream.codec_context.options = dict(largest)
            self._quantisers = _Quantisers(self._stream.codec_context, largest)
            self._rotation = 0
            self._aspect = oblong(self._stream.sample_aspect_ratio)
            self._decoding = 0.0
            self._starved = False
            told = self.info
            pixels = max(0, told.width) * max(0, told.height)
            self.guard.header(told.size_bytes, pixels, told.frame_rate, told.duration, told.frame_count)
        except BaseException:
            self._container.close()
            raise

    def _best_stream(self) -> VideoStream:
        """The video stream with the most pixels; a cover picture is none."""
        pictures = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [s for s in self._container.streams.video if not s.disposition & pictures and s.codec_context]
        if not streams:
            raise NotAVideoError(f"{self.name} has no video stream.", hint="Give a file that has moving pictures.")
        return max(streams, key=lambda s: s.width * s.height)

    @property
    def info(self) -> VideoInfo:
        stream, context = self._stream, self._stream.codec_context
        duration = None
        tag = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
        if stream.duration is not None and stream.time_base is not None:
            duration = float(stream.duration * stream.time_base)
        elif tag is not None:
            duration = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        elif self._container.duration is not None:
            duration = self._container.duration / av.time_base
        turned = self._rotation % 180 != 0
        width, height = shown_size(context.width, context.height, self._aspect)
        return VideoInfo(
            path=self.name,
            container=self._container.format.name,
            codec=context.name,
            pixel_format=context.pix_fmt or "unknown",
            width=height if turned else width,
            height=width if turned else height,
            frame_rate=float(stream.average_rate) if stream.average_rate else None,
            duration=duration if duration is not None and duration >= 0 else None,
            frame_count=stream.frames or None,
            rotation=self._rotation,
            size_bytes=max(0, self._container.size),
        )

    def abort(self) -> None:
        """Nothing can: FFmpeg finishes the packet that it is at."""

    def _release(self) -> None:
        self._container.close()

    def _decode(self) -> Iterator[Frame]:
        clock = _Clock(self._stream.average_rate)
        to_planes = VideoReformatter()
        given = False
        # Looked up once for each angle: whoever asks a frame for its matrix ties it into a circle, which keeps it.
        turns: dict[int, int] = {}
        for source in self._pictures():
            time = clock.time_of(source)
            shown = shown_size(source.width, source.height, self._aspect)
            if self.guard.ends(self.frames, time, shown[0] * shown[1]):
                break
            if source.rotation not in turns:
                turns[source.rotation] = turns_of(source)
            if self.frames == 0:
                self._rotation = turns[source.rotation] * 90
            self.frames += 1
            if source.is_corrupt:  # patched from its neighbours: not what was filmed
                self.damaged += 1
            elif not self.guard.leaves_out(time):
                given = True
                stretch = self.guard.limits.stretch(time)
                yield Frame(source, self.frames - 1, time, to_planes, turns[source.rotation], stretch, shown)
        if not given:
            raise self._nothing()

    def _nothing(self) -> VideoError:
        if self.guard.passed:
            return past(self.guard.passed[0], self.name, self.guard.limits)
        if self._starved:
            return past("memory_megabytes", self.name, self.guard.limits)
        return DamagedVideoError(
            f"Not one frame of {self.name} can be decoded whole.",
            hint="The file is damaged or cut off; obtain it again from its source.",
        )

    def _pictures(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while self._in_time():
            began = perf_counter()
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                pictures = self._decoded(packet)
            except IndexError:  # a packet of a stream that the header did not announce
                packets = self._container.demux(self._stream)
                continue
            except (av.error.FFmpegError, OSError) as error:  # the container itself breaks off here
                self._failed(error)
                return
            finally:
                self._decoding += perf_counter() - began
            yield from pictures

    def _decoded(self, packet: Packet[Any]) -> list[VideoFrame]:
        self._quantisers.look(packet)
        self.quantiser = self._quantisers.median
        try:
            return [f for f in packet.decode() if isinstance(f, VideoFrame)]
        except (av.error.FFmpegError, ValueError) as error:
            self._failed(error)
            return []

    def _failed(self, error: Exception) -> None:
        self.damaged += 1
        self._starved |= isinstance(error, MemoryError)

    def _in_time(self) -> bool:
        if self._decoding <= self.guard.limits.decode_seconds:
            return True
        self.guard.note(Excess.DECODE_SECONDS)
        return False


class _Quantisers:
    """How coarsely a stream is encoded, from stretches of its packets.

    A decoder of its own, with one thread, reads them: with several, FFmpeg tells of a frame while others still fill in
    its quantisers.

    Args:
        context: of the stream.
        options: of the decoder.
    """

    def __init__(self, context: VideoCodecContext, options: Mapping[str, str]) -> None:
        self.median: float | None = None
        self._stream = context
        self._options = {**options, "export_side_data": "venc_params"}
        self._decoder: VideoCodecContext | None = None
        self._small = VideoReformatter()
        self._found: list[float] = []
        self._seen = self._ends = 0
        self._next = 0 if context.name == "h264" else None

    def look(self, packet: Packet[Any]) -> None:
        """Take the next packet of the stream."""
        if self._next is None:
            return
        if self._decoder is None and packet.is_keyframe and self._seen >= self._next:
            decoder = cast(VideoCodecContext, CodecContext.create(self._stream.name, "r"))
            decoder.extradata, decoder.thread_count = self._stream.extradata, 1
            decoder.options = dict(self._options)
            self._decoder = decoder
            self._next, self._ends = self._seen + QUANTISER_EVERY, self._seen + QUANTISER_FRAMES
        self._seen += 1
        if self._decoder is None:
            return
        try:
            over = self._seen > self._ends or not packet.size
            self._take(self._decoder.decode(None if over else packet))
        except (av.error.FFmpegError, ValueError):  # damage, which is told where frames are wanted
            over = True
        if over:
            self._decoder = None

    def _take(self, frames: Sequence[VideoFrame]) -> None:
        known = (_quantiser_of(frame, self._small) for frame in frames)
        self._found += [quantiser for quantiser in known if quantiser is not None]
        if self._found:
            self.median = float(np.median(self._found))


class _Clock:
    """Presentation times in seconds from the first frame, strictly rising whatever the file says."""

    def __init__(self, rate: Fraction | None) -> None:
        self._interval = float(1 / rate) if rate else 1 / 25
        self._first: float | None = None
        self._last: float | None = None

    def time_of(self, frame: VideoFrame) -> float:
        raw = frame.time
        if self._first is None or self._last is None:
            self._first, self._last = raw or 0.0, 0.0
            return 0.0
        time = self._last + self._interval if raw is None else raw - self._first
        if time <= self._last:
            time = self._last + self._interval
        self._last = time
        return time


def _open(name: str, access: Access) -> av.container.InputContainer:
    if "://" in name and not is_there(name):
        if not access.allow_network:
            raise NetworkSourceError(
                f"{name} is a network address, and those are not opened.",
                hint="Save the video to a file first, or allow it with --allow-network.",
            )
        return _demuxer(name, name, access.limits, {"protocol_whitelist": "http,https,tcp,tls"})
    if not is_there(name):
        raise VideoNotFoundError(f"There is no file {name}.", hint="Check the spelling of the path.")
    if not is_file(name):
        raise NotAVideoError(f"{name} is not a file.", hint="Give a video file.")
    if not os.access(name, os.R_OK):
        raise NotAVideoError(f"No permission to read {name}.", hint="Ask its owner, or copy it.")
    try:
        return _demux_file(name, access.limits)
    except OSError as error:
        raise NotAVideoError(
            f"{name} cannot be read ({_reason(error)}).", hint="Copy it to another disk, or obtain it again."
        ) from error


def _demux_file(name: str, limits: Limits) -> av.container.InputContainer:
    """Raises OSError if the file cannot be read, NotAVideoError if it is no video."""
    with Path(name).open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise NotAVideoError(f"{name} is empty (0 bytes).", hint="Obtain the file again from its source.")
        head = file.read(1024).lower()
        file.seek(0)
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(PLAYLIST_HEADS) or any(w in head for w in PLAYLIST_WORDS):
            raise NotAVideoError(f"{name} is a playlist, which names other files.", hint="Give the video file itself.")
        # FFmpeg gets the open file and no protocol that opens another one, whatever the file says.
        return _demuxer(name, "fd:", limits, {"fd": str(file.fileno()), "protocol_whitelist": "fd"})


def _demuxer(name: str, address: str, limits: Limits, options: dict[str, str]) -> av.container.InputContainer:
    options["format_whitelist"] = FORMATS
    try:
        return av.open(address, options=options, metadata_errors="replace", timeout=(30.0, 30.0))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise past("memory_megabytes", name, limits) from error
        reason = "it is of no known video format" if isinstance(error, av.error.ArgumentError) else _reason(error)
        raise NotAVideoError(
            f"{name} is not a video that can be opened ({reason}).",
            hint="Check that the file is a video and that it is whole.",
        ) from error


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.rstrip(".").lower()


def probe(source: str | os.PathLike[str]) -> VideoInfo:
    """What the header says, without decoding. Raises as `VideoReader` does on opening."""
    with VideoReader(source, WHOLE) as reader:
        return reader.info


def spaced(frames: Iterable[Frame], rate: float) -> Iterator[Frame]:
    """Leave out frames that come much faster than `rate` (Hz), by their times.

    A frame is kept if at least three quarters of `1 / rate` have passed since the last one kept. For a rate of 25 Hz,
    sources of 17 to 33 frames a second pass whole, 50 and 60 lose every second frame, 120 keep one in four. Frames are
    only ever left out: landmarks interpolated between frames would be smoother than any real ones, and smoothness is
    what the network judges.
    """
    gap = 0.75 / rate
    last = -float("inf")
    for frame in frames:
        if frame.time - last >= gap - 1e-6:
            last = frame.time
            yield frame


def find_videos(sources: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Files as given, and the videos of folders (by their ending, subfolders included, sorted).

    Raises:
        VideoNotFoundError: a folder holds no video, or a name is empty.
    """
    found: list[str] = []
    for source in sources:
        if not os.fspath(source):  # pathlib takes it for the current folder
            raise VideoNotFoundError("The name of a video is empty.", hint="Check the variable that it comes from.")
        path = Path(source)
        if not is_folder(path):
            found.append(os.fspath(source))
            continue
        inside = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file())
        if not inside:
            raise VideoNotFoundError(
                f"The folder {path} holds no video (looked for {', '.join(sorted(VIDEO_SUFFIXES))}).",
                hint="Name the file itself if its ending is another.",
            )
        found += inside
    return list(dict.fromkeys(found))


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
    ) -> None:
        self._name = os.fspath(path)
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
                stream.options = {"crf": str(crf), "preset": "veryfast", **options}
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

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What FFmpeg says of the encoder or of the place that is written to, as a typed error."""
        try:
            yield
        except av.error.FFmpegError as error:
            raise OutputError(
                f"{self._name} cannot be written ({_reason(error)}).",
                hint="Check that there is room, and that the picture is not too small or too large to encode.",
            ) from error
