"""How coarsely a stream of H.264 is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import av
import av.container
import av.error
import av.logging
import numpy as np
from av.codec.context import CodecContext
from av.packet import Packet
from av.sidedata.encparams import VideoEncParams
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

QUANTISER_FRAMES: Final = 16  # from a key frame on, whose quantisers are looked at

QUANTISER_EVERY: Final = 240  # frames at least from where that begins to where it begins again

COARSEST: Final = 51  # quantisation parameter of H.264

H264_PARAMETERS: Final = 1  # FFmpeg's number for quantisation parameters of that kind

DELTA_QP: Final = 4  # where a block's own parameter stands among the 32-bit numbers that FFmpeg gives of it


def _quantiser_of(source: VideoFrame, small: VideoReformatter) -> float | None:
    """Mean quantisation parameter of a frame's macroblocks; None if its codec is not H.264, or gives none."""
    # Of a thumbnail, to which the frame's side data are copied: a frame whose side data are read is part of a reference
    # cycle, and stays in memory until the garbage collector runs.
    found = small.reformat(source, 16, 16, "gray", threads=1).side_data.get("VIDEO_ENC_PARAMS")
    if not isinstance(found, VideoEncParams) or int(found.codec_type) != H264_PARAMETERS or not found.nb_blocks:
        return None
    data: Any = found  # a buffer, which its stubs do not say
    numbers = np.frombuffer(data, np.int32, offset=found.blocks_offset)
    blocks = numbers[: found.nb_blocks * found.block_size // 4].reshape(found.nb_blocks, -1)
    return float(np.clip(found.qp + blocks[:, DELTA_QP].mean(), 0, COARSEST))


class Quantisers:
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
        except (av.error.FFmpegError, ValueError):  # damage: reported by the reader
            over = True
        if over:
            self._decoder = None

    def _take(self, frames: Sequence[VideoFrame]) -> None:
        known = (_quantiser_of(frame, self._small) for frame in frames)
        self._found += [quantiser for quantiser in known if quantiser is not None]
        if self._found:
            self.median = float(np.median(self._found))
