"""Interlaced frames made whole: FFmpeg's filter, for the frames that their codec flags as interlaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

FILTER: Final = "bwdif"
OPTIONS: Final = "mode=send_frame:parity=auto:deint=interlaced"  # frames that are not flagged pass unchanged


class Deinterlacer:
    """Deinterlaces frames from the first on that is flagged as interlaced; without one, nothing is filtered.

    A frame keeps the time of its first field, so that there are as many frames as before.

    Attributes:
        found: whether a frame was interlaced.
    """

    def __init__(self) -> None:
        self.found = False
        self._graph: Graph | None = None
        self._kind: tuple[int, int, str] | None = None

    def run(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        """The frames in their order, deinterlaced where they were interlaced."""
        for frame in frames:
            self.found |= frame.interlaced_frame
            if not self.found:
                yield frame
                continue
            kind = frame.width, frame.height, frame.format.name
            if kind != self._kind:
                yield from self._rest()
                self._graph, self._kind = _graph(frame), kind
            assert self._graph is not None
            self._graph.vpush(frame)
            yield from self._ready()
        yield from self._rest()

    def _rest(self) -> Iterator[VideoFrame]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
        self._graph = None

    def _ready(self) -> Iterator[VideoFrame]:
        assert self._graph is not None
        try:
            while True:
                frame = self._graph.vpull()
                assert isinstance(frame, VideoFrame)
                yield frame
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base, name="in"
    )
    graph.link_nodes(source, graph.add(FILTER, OPTIONS), graph.add("buffersink")).configure()
    return graph
