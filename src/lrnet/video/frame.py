"""One upright frame with square pixels.

Inside the package a frame is three planes, 8-bit Y'CbCr 4:2:0, whatever the file's own format: nearly every video is
stored so, and then nothing is converted until somebody asks for the few pixels of a face. Pixel (0, 0) has its centre
at coordinate (0, 0); x points right, y down.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from lrnet.errors import (
    VideoError,
)

CACHE_LINE: Final = 64  # bytes

FULL_RANGE: Final = 2  # FFmpeg's number for Y' from 0 to 255

UNNAMED: Final = (0, 2)  # colour spaces by the numbers of ITU-T H.273

BT601: Final = 5

BT709: Final = 1

SMPTE240M: Final = 7

BT2020: Final = 9

BT2020_CONSTANT: Final = 10  # luminance; its weights are those of `BT2020`

CONVERTED: Final = (*UNNAMED, BT709, 4, BT601, 6, SMPTE240M, BT2020)
"""Colour spaces that FFmpeg converts."""

LUMA: Final = {BT709: (0.2126, 0.0722), SMPTE240M: (0.212, 0.087), BT2020: (0.2627, 0.0593)}
"""Weights of red and blue in Y'."""

HD_ROWS: Final = 720  # from which on a frame that names no colour space is taken for BT.709

SQUARE: Final = 0.02  # pixels whose sides differ by less than this share are taken for square

OBLONG: Final = 4.0  # ratio of their sides from which on a file is not believed: no format has such

Plane = NDArray[np.uint8]

Window = tuple[slice, slice]  # rows, columns


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a file's header says of its video. Headers can lie: none of it is relied on for results.

    Attributes:
        path: where it was read from.
        width, height: of the upright frame with square pixels (see `shown_size`).
        frame_rate: average, frames a second; None if the header does not say.
        duration: seconds from time 0 to the end of the video stream, or of the longest where only that is known; None
            if the header does not say. Where its time stamps were wrong, what was found when all frames are read.
        frame_count: frames that the header declares; None if it does not.
        rotation: degrees counter-clockwise by which stored frames are turned to be upright; known once a frame is read.
        notes: what to know of how the file is read, a sentence each: further tracks, wrong time stamps, interlacing.
            Whole once all frames are read.
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
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A frame as the file stores it, with square pixels, before it is turned.

    Attributes:
        planes: Y', Cb, Cr, (H, W) and twice (ceil(H / 2), ceil(W / 2)) uint8.
        turns: quarter turns counter-clockwise that make it upright.
        colorspace, color_range: of the planes, numbers of ITU-T H.273 and of FFmpeg (2: full range); 0 where the file
            names none. Those of RGB are made by BT.601.
    """

    planes: tuple[Plane, ...]
    turns: int
    colorspace: int
    color_range: int


class Frame:
    """One upright frame with square pixels.

    Attributes:
        index: position in the file's order of presentation, from 0.
        time: presentation time in seconds, as a player counts them.
        stretch: number of the stretch that it lies in, where only some are examined (`Limits.share`).
        shot: number of discontinuities of time before it (see `lrnet.video.clock`).
        luma: (H, W) uint8, the Y' plane, read only.
        stored: the frame as it lies in the file.
    """

    __slots__ = ("_chroma", "_shown", "_source", "_to_rgb", "index", "luma", "shot", "stored", "stretch", "time")

    def __init__(
        self,
        source: VideoFrame,
        index: int,
        time: float,
        to_planes: VideoReformatter | None = None,
        turns: int | None = None,
        stretch: int = 0,
        shot: int = 0,
        shown: tuple[int, int] | None = None,
    ) -> None:
        """Take a decoded frame; `turns` is the rotation, where `source` does not carry it.

        `shown` is the width and height that its pixels are square at, before it is turned: its own, if not given.
        """
        self.index = index
        self.time = time
        self.stretch = stretch
        self.shot = shot
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
            BT601 if _is_rgb(source) else int(source.colorspace or 0),
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

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height as the file stores it: its pixels may not be square, and it is not turned."""
        return self._source.width, self._source.height

    def rgb(self) -> NDArray[np.uint8]:
        """The whole frame, (H, W, 3) uint8 RGB. Costs a full conversion: for pictures shown to people."""
        source = self._source
        # FFmpeg takes BT.601 where a file names nothing; see `_rgb_matrix`.
        hd = self.stored.colorspace in UNNAMED and self.height >= HD_ROWS
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

    def rgb_averaged(self, corner: tuple[float, float], step: float, size: int, fine: int) -> NDArray[np.uint8]:
        """An upright square of the frame as (size, size, 3) RGB, black outside the frame.

        A pixel is the mean of `fine` by `fine` samples. Planes are averaged before they become RGB, which is the dearer
        part.

        Args:
            corner: x and y of the first sample, frame coordinates.
            step: frame pixels from one sample to the next.
        """
        planes = []
        for plane, black, chroma in zip((self.luma, *self._chroma), (16, 128, 128), (False, True, True), strict=True):
            # A chroma sample covers two by two luma pixels: its centre lies half a pixel beside the first one's.
            apart, (x, y) = (step / 2, ((at - 0.5) / 2 for at in corner)) if chroma else (step, corner)
            sampled = cv2.warpAffine(
                plane,
                np.array([[apart, 0, x], [0, apart, y]]),
                (size * fine, size * fine),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(black,),
            )
            planes.append(cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA) if fine > 1 else sampled)
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
        picture.colorspace, picture.color_range = self.stored.colorspace, self.stored.color_range
        return picture

    def _rgb_of(self, planes: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
        return cv2.transform(cv2.merge(planes), self._to_rgb).astype(np.uint8, copy=False)


def name_known_colours(frame: VideoFrame) -> None:
    """Let a decoded frame name a colour space that FFmpeg converts, where it names none such: else filters fail."""
    if frame.colorspace not in CONVERTED:
        frame.colorspace = BT2020 if frame.colorspace == BT2020_CONSTANT else BT601


def _is_rgb(frame: VideoFrame) -> bool:
    return frame.format.is_rgb or frame.format.name == "pal8"


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
    angle = round(source.rotation / 90) % 4  # without what mirrors
    if source.format.is_rgb or source.format.name.startswith(("gray", "ya", "pal", "mono")):
        # PNG pictures may have a colour profile with a name, which PyAV 18.1 frees twice if side data are looked at:
        # the process would crash.
        return angle
    try:
        matrix: Any = source.side_data.get("DISPLAYMATRIX")  # its type is too wide in the stubs
    except ValueError:  # PyAV 18.1 does not know every kind of side data: Exif of a picture, views of a spatial video
        return angle
    if matrix is None:
        return 0
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    area = a * d - b * c
    if not area:
        return 0
    sign = 1 if area > 0 else -1
    return round(-math.degrees(math.atan2(b, sign * a)) / 90) % 4


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
    """(3, 4) matrix from (Y', Cb, Cr, 1) to RGB, for the colour space (BT.601 if not in `LUMA`) and the range in use.

    Where a file names no colour space, players take BT.709 for high-definition frames and BT.601 for others, and so
    does this.
    """
    hd = colorspace in UNNAMED and height >= HD_ROWS
    kr, kb = LUMA.get(BT709 if hd else colorspace, (0.299, 0.114))
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
