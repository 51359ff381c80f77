"""Interlaced frames made whole by FFmpeg's filter: those that their codec flags, and combed ones without a flag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import av.error
import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from numpy.typing import NDArray

FILTER: Final = "bwdif"
OPTIONS: Final = "mode=send_frame:parity=auto:deint=interlaced"  # frames that are not flagged pass unchanged
COMBED_OPTIONS: Final = "mode=send_frame:parity={}:deint=all"

MOST_ROWS: Final = 1088  # no format of interlaced video has more
LOOKED: Final = 64  # frames that are looked at for combs
HELD: Final = 32  # of those wait until it is known, if
HELD_BYTES: Final = 200e6  # they take no more, nor those for which the clock waits
COMBED: Final = 12  # frames that have to be combed the same way, and
SURE: Final = 2  # times as many as those that are not
STRIPE: Final = 8  # grey levels by which a row is brighter, or darker, than both rows beside it
STRIPED: Final = 5e-4  # share of pixels in such rows that combed frames have at least,
ALONE: Final = 0.5  # and as a multiple of that in each of their fields alone: in progressive frames 0.2
WHOLE: Final = 16  # frames that are not combed, and more than those that are: then the video is taken for progressive
LOOK: Final = (("scale", "w=320:h=ih:flags=fast_bilinear"), ("format", "pix_fmts=gray"), ("idet", ""))

Kind = tuple[int, int, str]  # width, height, pixel format


class Deinterlacer:
    """Deinterlaces frames from the first on that is flagged as interlaced, or all if the first ones are combed.

    Combs are recognised by FFmpeg's `idet` on copies with all rows and fewer columns. Without a flag and without
    combs, nothing is filtered, nor are frames that the filter refuses. A frame keeps the time of its first field, so
    that there are as many frames as before.

    Attributes:
        found: whether a frame was interlaced.
        flagged: whether its codec said so.
    """

    def __init__(self) -> None:
        self.found = self.flagged = False
        self._graph: Graph | None = None
        self._kind: Kind | None = None
        self._combs = Combs()
        self._held: list[VideoFrame] = []

    def run(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames in their order, deinterlaced where they were interlaced."""
        for frame in frames:
            if frame.interlaced_frame and not self.found:
                self.found = self.flagged = self._combs.over = True
            if not self._combs.over:
                self._combs.look(frame)
                self.found = self._combs.parity is not None
            self._held.append(frame)
            if self._combs.over or len(self._held) > HELD or too_large(self._held):
                yield from self._let_go()
        yield from self._let_go()
        yield from self._rest()

    def _let_go(self) -> Iterator[VideoFrame]:
        held, self._held = self._held, []
        for frame in held:
            if not self.found:
                yield frame
                continue
            kind = _kind(frame)
            if kind != self._kind:
                yield from self._rest()
                options = OPTIONS if self.flagged else COMBED_OPTIONS.format(self._combs.parity)
                self._graph, self._kind = _graph(frame, (FILTER, options)), kind
            if self._graph is None:
                yield frame
                continue
            self._graph.vpush(frame)
            yield from _ready(self._graph)

    def _rest(self) -> Iterator[VideoFrame]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from _ready(self._graph)
        self._graph = None


class Combs:
    """Looks for combs in the first frames of a video.

    `idet` says that a frame is combed if one field goes better with the frame before than the other one does. Smooth
    pictures that become brighter do so too: combs have to show as striped rows as well.

    Attributes:
        over: whether no further frame has to be looked at.
        parity: "tff" or "bff", the field that comes first, if the video is combed.
    """

    def __init__(self) -> None:
        self.over = False
        self.parity: str | None = None
        self._graph: Graph | None = None
        self._kind: Kind | None = None
        self._looked = 0
        self._found: Counter[str] = Counter()
        self._stripes = self._stripes_alone = 0.0  # summed over frames that seem combed

    def look(self, frame: VideoFrame) -> None:
        """Take the next frame."""
        if self._graph is None and frame.height <= MOST_ROWS:
            self._graph, self._kind = _graph(frame, *LOOK), _kind(frame)
        self._looked += 1
        if self._graph is None or _kind(frame) != self._kind:
            self._end()
            return
        self._graph.vpush(frame)
        for seen in _ready(self._graph):
            found = str(seen.metadata["lavfi.idet.single.current_frame"])
            self._found[found] += 1
            if found in ("tff", "bff"):
                rows = seen.to_ndarray().astype(np.uint8, copy=False)
                self._stripes += _striped(rows)
                self._stripes_alone += (_striped(rows[::2]) + _striped(rows[1::2])) / 2
        (parity, combed), (_, other) = Counter({p: self._found[p] for p in ("tff", "bff")}).most_common()
        whole = self._found["progressive"] + other
        shown = self._stripes >= max(STRIPED * combed, ALONE * self._stripes_alone)
        if combed >= COMBED and combed >= SURE * whole and shown:
            self.parity = parity
        if self.parity or self._looked == LOOKED or whole >= WHOLE + combed:
            self._end()

    def _end(self) -> None:
        self.over, self._graph = True, None


def too_large(frames: Iterable[VideoFrame]) -> bool:
    """Whether frames take so much memory that no more may be waited for."""
    return sum(plane.buffer_size for frame in frames for plane in frame.planes) > HELD_BYTES


def _striped(rows: NDArray[np.uint8]) -> float:
    """Share of pixels, (H, W), that are brighter or darker than both neighbours in their column."""
    if len(rows) < 3:
        return 0.0
    above, below = cv2.subtract(rows[1:-1], rows[:-2]), cv2.subtract(rows[1:-1], rows[2:])
    darker_above, darker_below = cv2.subtract(rows[:-2], rows[1:-1]), cv2.subtract(rows[2:], rows[1:-1])
    either = np.maximum(np.minimum(above, below), np.minimum(darker_above, darker_below))
    return float(np.mean(either > STRIPE))


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    try:
        while True:
            frame = graph.vpull()
            assert isinstance(frame, VideoFrame)
            yield frame
    except (av.error.BlockingIOError, av.error.EOFError):
        return


def _kind(frame: VideoFrame) -> Kind:
    return frame.width, frame.height, frame.format.name


def _graph(frame: VideoFrame, *filters: tuple[str, str]) -> Graph | None:
    """A graph for frames like this one; None if a filter refuses them: too few rows or columns, or their format."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base, name="in"
    )
    try:
        graph.link_nodes(source, *(graph.add(*step) for step in filters), graph.add("buffersink")).configure()
    except (av.error.ArgumentError, av.error.NotImplementedError):
        return None
    return graph
