"""Read a video (PyAV): upright frames with presentation times, one at a time."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from time import perf_counter
from types import TracebackType
from typing import Any, Final, Self

import av
import av.container
import av.error
import av.logging
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from lrnet.errors import (
    DamagedVideoError,
    NotAVideoError,
    VideoError,
)
from lrnet.video.clock import Clock, Timed
from lrnet.video.frame import Frame, VideoInfo, name_known_colours, oblong, shown_size, turns_of
from lrnet.video.interlaced import Deinterlacer, too_large
from lrnet.video.limits import WHOLE, Access, Excess, Guard, Limits, past
from lrnet.video.opening import STAMPS_MAY_RESET, open_container, origin_of
from lrnet.video.pipeline import Ahead, Stopped, nothing
from lrnet.video.quantiser import Quantisers

# FFmpeg's own messages become typed errors. No callback into Python may be left in place: a decoding thread that logs
# would wait for the interpreter's lock, which the thread that frees the decoder may hold.
av.logging.restore_default_callback()

av.logging.set_libav_level(av.logging.PANIC)

DECODE_AHEAD: Final = 8  # frames that may wait between the decoding thread and its reader; decoders give them in bursts

TRACKS_NAMED: Final = 4  # of the video tracks that are not examined

SILENT: Final = ("hevc",)
"""Codecs with a frame for each packet, whose decoder leaves out frames that lack a reference without an error."""

_DURATION_TAG: Final = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")
"""What Matroska and WebM say of one stream; the container's own duration is that of the longest."""


class Reader(ABC):
    """A video opened for reading: a context manager and an iterator over `Frame`, in order of presentation.

    Attributes:
        frames: decoded so far, those left out for their rate among them.
        damaged: packets that could not be decoded, and frames that the decoder had to patch or that cannot be
            converted; they are skipped.
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
        """What the header says, corrected by the frames that were read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End reading, from any thread."""
        if self._ahead is not None:
            self._ahead.stop()
            self._ahead.join()
        self._ahead, self.waiting = None, nothing  # they lead back here, and a decoder has many megabytes
        self._release()

    @abstractmethod
    def abort(self) -> None:
        """Interrupt the decoding thread from another one, where that is possible."""

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
        access: limits, and whether addresses are opened; `isolate` is for `lrnet.video.isolation.open_video`.
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
        self._container = self._open(access)
        try:
            self._streams = self._video_streams()
            self._stream = self._streams[0]
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = threads
            largest = {"max_pixels": str(round(access.limits.megapixels * 1e6))}
            self._stream.codec_context.options = dict(largest)
            self._quantisers = Quantisers(self._stream.codec_context, largest)
            self._rotation = 0
            self._aspect = oblong(self._stream.sample_aspect_ratio)
            self._clock = self._new_clock()
            self._ended = False
            self._missing = 0  # packets of which no frame has come, and no error
            self._cut = 0  # packets that the container says are not whole
            self._first_pts: int | None = None
            self._deinterlacer = Deinterlacer()
            self._decoding = 0.0
            self._starved = False
            header = self.info
            pixels = max(0, header.width) * max(0, header.height)
            # Formats that do not count their frames make the duration of time stamps, of which one may be wrong.
            duration = header.duration if header.frame_count else None
            self.guard.header(header.size_bytes, pixels, header.frame_rate, duration, header.frame_count)
        except BaseException:
            self._container.close()
            raise

    def _open(self, access: Access) -> av.container.InputContainer:
        return open_container(self.name, access)

    def _video_streams(self) -> list[VideoStream]:
        """The video streams, the one that players show first: the default one, else the first. Covers are left out, and
        pictures beside a moving stream (the still of an animated AVIF)."""
        pictures = Disposition.attached_pic | Disposition.timed_thumbnails
        streams = [s for s in self._container.streams.video if not s.disposition & pictures and s.codec_context]
        if not streams:
            raise NotAVideoError(f"{self.name} has no video stream.", hint="Give a file that has moving pictures.")
        streams = [s for s in streams if s.frames != 1] or streams
        return sorted(streams, key=lambda s: (not s.width * s.height, not s.disposition & Disposition.default, s.index))

    def _notes(self) -> tuple[str, ...]:
        """What to know of how the file is read, a sentence each."""
        notes = []
        if self._streams[1:]:
            others = ", ".join(f"track {s.index} ({_kind(s)})" for s in self._streams[1 : 1 + TRACKS_NAMED])
            more = f" and {len(self._streams) - 1 - TRACKS_NAMED} more" if self._streams[1 + TRACKS_NAMED :] else ""
            notes.append(
                f"Only track {self._stream.index} ({_kind(self._stream)}) was examined, the one that players show. "
                f"The file has further video: {others}{more}."
            )
        if self._clock.mended:
            notes.append("Some time stamps of the file contradict the others: their frames were given other times.")
        if self._deinterlacer.found:
            unsaid = "" if self._deinterlacer.flagged else ", which the file does not say"
            notes.append(
                f"The video is interlaced{unsaid}: its frames were deinterlaced. Manipulations show less on such video."
            )
        return tuple(notes)

    def _new_clock(self) -> Clock[VideoFrame]:
        stream, container = self._stream, self._container
        started = (container.start_time or 0) / av.time_base
        whole = None if container.duration is None else container.duration / av.time_base
        resets = bool(container.format.flags & STAMPS_MAY_RESET)
        return Clock(
            float(1 / stream.average_rate) if stream.average_rate else 1 / 25,
            origin_of(container),
            started + whole if whole and not resets else None,
            resets,
            too_large,
        )

    def _duration(self) -> float | None:
        """Time at which the video ends, seconds, as the header says unless the frames contradict it."""
        stream, clock = self._stream, self._clock
        tag = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
        if stream.duration is not None and stream.time_base is not None:
            start = clock.start(float((stream.start_time or 0) * stream.time_base))
            said = start + float(stream.duration * stream.time_base)
        elif tag is not None:  # counts from the stamp 0
            said = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
            said -= clock.origin if said > clock.origin else 0
        elif self._container.duration is not None:
            said = self._container.duration / av.time_base
        else:
            return None
        if self._ended and clock.contradicts(said):
            return clock.time + clock.interval
        return said

    @property
    def info(self) -> VideoInfo:
        stream, context = self._stream, self._stream.codec_context
        duration = self._duration()
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
            notes=self._notes(),
        )

    def abort(self) -> None:
        """Does nothing: FFmpeg finishes its packet first."""

    def _release(self) -> None:
        self._container.close()

    def _decode(self) -> Iterator[Frame]:
        try:
            yield from self._converted()
        except MemoryError as error:  # of a filter, a conversion, or Python itself
            raise past("memory_megabytes", self.name, self.guard.limits) from error

    def _converted(self) -> Iterator[Frame]:
        to_planes = VideoReformatter()
        given = False
        # Looked up once for each angle: side data hold a reference cycle that keeps the frame in memory.
        turns: dict[int, int] = {}
        for timed in self._timed():
            source, time = timed.item, timed.time
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
                stretch = self.guard.limits.stretch(time)
                try:
                    frame = Frame(
                        source, self.frames - 1, time, to_planes, turns[source.rotation], stretch, timed.shot, shown
                    )
                except MemoryError:
                    raise
                except av.error.FFmpegError:  # a pixel format, or a size of it, that cannot be converted
                    self.damaged += 1
                    continue
                given = True
                yield frame
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

    def _timed(self) -> Iterator[Timed[VideoFrame]]:
        for picture in self._deinterlacer.run(self._pictures()):
            yield from self._clock.add(picture, picture.time)
        yield from self._clock.finish()

    def _pictures(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while self._in_time():
            began = perf_counter()
            try:
                packet = next(packets, None)
                if packet is None:
                    self._ended = True
                    if self._stream.codec_context.name in SILENT:
                        self.damaged += max(0, self._missing)
                    # Several decoding threads drop the errors of the last packets, among them that of a file cut off.
                    self.damaged = max(self.damaged, min(self._missing, self._cut))
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
        self._cut += packet.is_corrupt
        self._quantisers.look(packet)
        self.quantiser = self._quantisers.median
        if packet.pts is not None and packet.size and not packet.is_discard:
            self._first_pts = packet.pts if self._first_pts is None else self._first_pts
            # Frames that are shown before the first one encoded may need others that an editor cut off.
            self._missing += packet.pts >= self._first_pts
        try:
            frames = [f for f in packet.decode() if isinstance(f, VideoFrame)]
            self._missing -= len(frames)
            for frame in frames:
                name_known_colours(frame)
            return frames
        except (av.error.FFmpegError, ValueError) as error:
            self._failed(error)
            return []

    def _failed(self, error: Exception) -> None:
        self.damaged += 1
        self._missing -= 1
        self._starved |= isinstance(error, MemoryError)

    def _in_time(self) -> bool:
        if self._decoding <= self.guard.limits.decode_seconds:
            return True
        self.guard.note(Excess.DECODE_SECONDS)
        return False


def _kind(stream: VideoStream) -> str:
    return f"{stream.codec_context.name}, {stream.width} x {stream.height}"


def probe(source: str | os.PathLike[str]) -> VideoInfo:
    """What the header says, without decoding. Raises as `VideoReader` does on opening."""
    with VideoReader(source, WHOLE) as reader:
        return reader.info
