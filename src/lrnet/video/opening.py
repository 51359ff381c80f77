"""Open a file or an address with FFmpeg, and nothing that it names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import av
import av.container
import av.error
import av.logging

from lrnet.errors import (
    NetworkSourceError,
    NotAVideoError,
    VideoNotFoundError,
)
from lrnet.files import is_file, is_there
from lrnet.video.clock import LONGEST_PAUSE
from lrnet.video.limits import Access, Limits, past

FORMATS: Final = (
    "mov,mp4,matroska,webm,avi,asf,flv,live_flv,kux,mpegts,mpeg,mpegvideo,mxf,gxf,ogg,wtv,nut,rm,nsv,dv,swf,amv,dhav,"
    "ifv,lmlm4,gif,apng,h261,h263,h264,hevc,vvc,av1,obu,ivf,cavsvideo,m4v,vc1,mjpeg,mjpeg_2000,yuv4mpegpipe,png_pipe,"
    "jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,gif_pipe"
)
"""Demuxers that may be used, by FFmpeg's names: none that opens other files or addresses named inside the file."""

PLAYLIST_HEADS: Final = (b"#extm3u", b"ffconcat", b"v=0", b"[playlist]", b"rtsptext")

PLAYLIST_WORDS: Final = (b"<mpd", b"<asx", b"<playlist", b"<smil")
"""How files begin, or what stands near their beginning, that name others; lower case."""

STAMPS_MAY_RESET: Final = 0x0200  # FFmpeg's AVFMT_TS_DISCONT

WEBP_ANIMATION: Final = 0x02  # in the flags of a WebP file's header

ANSWERS: Final = "Check the address, and that its server answers with a video."
"""Hint where an address cannot be opened."""


def open_container(name: str, access: Access) -> av.container.InputContainer:
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
            f"{name} cannot be read ({reason_of(error)}).", hint="Copy it to another disk, or obtain it again."
        ) from error


def origin_of(container: av.container.InputContainer) -> float:
    """The stamp, seconds, that a player shows as 0: 0 itself, but for formats without a zero (transport streams) and
    pieces of a live recording."""
    started = (container.start_time or 0) / av.time_base
    return started if container.format.flags & STAMPS_MAY_RESET or started > LONGEST_PAUSE else 0.0


def _demux_file(name: str, limits: Limits) -> av.container.InputContainer:
    """Raises OSError if the file cannot be read, NotAVideoError if it is no video."""
    with Path(name).open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise NotAVideoError(f"{name} is empty (0 bytes).", hint="Obtain the file again from its source.")
        head = file.read(1024).lower()
        file.seek(0)
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(PLAYLIST_HEADS) or any(w in head for w in PLAYLIST_WORDS):
            raise NotAVideoError(f"{name} is a playlist, which names other files.", hint="Give the video file itself.")
        if head[:4] == b"riff" and head[8:16] == b"webpvp8x" and head[20] & WEBP_ANIMATION:
            raise NotAVideoError(
                f"{name} is an animated WebP, which FFmpeg cannot decode.",
                hint="Convert it to MP4 with another program, or give the video that it was made from.",
            )
        # FFmpeg gets the open file and no protocol that opens another one, whatever the file says.
        return _demuxer(name, "fd:", limits, {"fd": str(file.fileno()), "protocol_whitelist": "fd"})


def _demuxer(name: str, address: str, limits: Limits, options: dict[str, str]) -> av.container.InputContainer:
    options["format_whitelist"] = FORMATS
    try:
        return av.open(address, options=options, metadata_errors="replace", timeout=(30.0, 30.0))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, MemoryError):
            raise past("memory_megabytes", name, limits) from error
        reason = "it is of no known video format" if isinstance(error, av.error.ArgumentError) else reason_of(error)
        raise NotAVideoError(
            f"{name} is not a video that can be opened ({reason}).",
            hint=ANSWERS if "://" in address else "Check that the file is a video and that it is whole.",
        ) from error


def reason_of(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.rstrip(".").lower()
