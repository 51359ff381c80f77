"""Read a source that has no end: a camera, an address, a file that grows, standard input.

Frames are decoded as they arrive, on a thread of their own, and wait for their reader in a queue of bounded size. A
reader that is too slow gets whole stretches: when frames have waited too long, what arrives is left out until the queue
is empty. So what is examined has no gaps inside and is long enough for a clip, and the lag does not grow.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import av
import av.container
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame

from lrnet.errors import DamagedVideoError, NetworkSourceError, NotAVideoError, OutputError, VideoError
from lrnet.files import is_there, written_beside
from lrnet.video.frame import Frame, VideoInfo
from lrnet.video.limits import Access, Limits
from lrnet.video.opening import ANSWERS, FORMATS, open_container, reason_of
from lrnet.video.pipeline import let_others_end, nothing
from lrnet.video.reader import Reader, VideoReader
from lrnet.video.spacing import spaced

STDIN: Final = "-"
MOST_LAG: Final = 1.5  # seconds that a frame may wait before frames are left out; a clip has 1.2
AHEAD: Final = 0.5  # seconds by which a source must be ahead of real time to be made to wait
MOST_BYTES: Final = 100e6  # that waiting frames take
PATIENCE: Final = 10.0  # seconds for which a file must not grow to be over
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before each attempt to connect again

_RTSP: Final = ("rtsp://", "rtsps://")


class LiveReader(Reader):
    """The frames of an endless source that are observations (see `lrnet.video.spacing`); read it once.

    Time counts from the first frame. Where frames were left out, a new stretch begins, and after a lost connection a
    new shot too. A source that is faster than real time, as a file through a pipe, is made to wait; one that is not is
    left out in part where its reader is slower.

    Args:
        source: path of a camera (`/dev/video0`) or of a file that grows, an address, or "-" for standard input.
        access: an address is opened only if it allows it. Of its limits, those on duration, frames and decoding time
            do not hold: there is no end.
        rate: frames a second to examine, at most.
        kept: where the packets are put that `Recent.write` saves.
        tell: called, on the reading thread, with a sentence on each lost connection.

    Attributes:
        left_out: seconds that were left out.
        examined: frames that were given to the reader.

    Raises:
        VideoError: the source cannot be opened. While iterating: a lost connection could not be made again.
    """

    def __init__(
        self,
        source: str,
        access: Access,
        rate: float,
        *,
        kept: Recent | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._access = replace(access, isolate=False, limits=_endless(access.limits))
        super().__init__(source, self._access.limits)
        self._rate = rate
        self._kept = kept
        self._say = tell or (lambda _: None)
        self._network = "://" in source and not is_there(source)
        self._closed = threading.Event()
        self._changed = threading.Condition()
        self._queue: deque[tuple[Frame, float]] = deque()
        self._arrived: deque[tuple[float, float]] = deque(maxlen=512)
        self._error: BaseException | None = None
        self._over = self._leaving_out = False
        self._stretch = 0
        self._left_from = 0.0
        self._first: tuple[float, float] | None = None
        self.left_out = 0.0
        self.examined = 0
        self._connection = self._connect()

    def _connect(self) -> _Connection:
        connection = _Connection(self.name, self._access, self._closed, self._kept)
        if self._kept is not None:
            self._kept.connect(connection)
        return connection

    @property
    def info(self) -> VideoInfo:
        return self._connection.info

    def lag(self, time: float) -> float:
        """Seconds since the frame of this time arrived."""
        with self._changed:  # another thread takes frames meanwhile
            found = next((arrived for at, arrived in reversed(self._arrived) if at <= time), None)
        return 0.0 if found is None else monotonic() - found

    def __iter__(self) -> Iterator[Frame]:
        thread = threading.Thread(target=self._receive, name="lrnet-receive", daemon=True)
        thread.start()
        try:
            while (frame := self._next()) is not None:
                self.examined += 1
                yield frame
        finally:
            self._stop()
            thread.join(2 * PATIENCE)

    def _next(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._over or self._closed.is_set())
            if not self._queue or self._closed.is_set():
                if self._error is not None:
                    raise self._error
                return None
            frame, arrived = self._queue.popleft()
            self._arrived.append((frame.time, arrived))
            self._changed.notify_all()
            return frame

    def _receive(self) -> None:
        let_others_end()
        try:
            for frame in self.decode():
                self._put(frame)
                if self._closed.is_set():
                    break
        except BaseException as error:  # raised again where frames are read
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()

    def _put(self, frame: Frame) -> None:
        with self._changed:
            while True:
                now = monotonic()
                self._first = self._first or (frame.time, now)
                ahead = (frame.time - self._first[0]) - (now - self._first[1])
                full = bool(self._queue) if self._leaving_out else self._is_full(frame, now)
                if not full or ahead <= AHEAD or self._closed.is_set():
                    break
                self._changed.wait(ahead - AHEAD)  # the source can wait
            if full and not self._leaving_out:
                self._leaving_out, self._left_from = True, frame.time
            if self._leaving_out:
                if self._queue:
                    return
                self._leaving_out = False
                self._stretch += 1
                self.left_out += frame.time - self._left_from
            frame.stretch = self._stretch
            self._queue.append((frame, now))
            self._changed.notify_all()

    def _is_full(self, frame: Frame, now: float) -> bool:
        size = max(8, int(MOST_BYTES / (1.5 * frame.luma.size)))
        return len(self._queue) >= size or (bool(self._queue) and now - self._queue[0][1] > MOST_LAG)

    def _decode(self) -> Iterator[Frame]:
        start = time = 0.0
        shot = last = 0
        while True:
            for frame in self._frames():
                self.frames += 1
                frame.index, frame.shot = self.frames - 1, shot + frame.shot
                frame.time = time = start + frame.time
                last = frame.shot
                self.quantiser = self._connection.quantiser
                yield frame
            if not self._network or self._closed.is_set():
                return
            lost = monotonic()
            self._reconnect()
            start = time + monotonic() - lost
            shot = last + 1

    def _frames(self) -> Iterator[Frame]:
        try:
            yield from spaced(self._connection.decode(), self._rate)
        except DamagedVideoError as error:
            if not self._network:
                raise _unwatchable(self.name, "not one frame can be decoded") from error
        except VideoError:
            if not self._network:
                raise
        finally:
            self.damaged += self._connection.damaged
            self._connection.close()

    def _reconnect(self) -> None:
        failed: VideoError | None = None
        for pause in PAUSES:
            self._say(f"The connection was lost; connecting again in {pause:g} s.")
            if self._closed.wait(pause):
                return
            try:
                self._connection = self._connect()
                return
            except VideoError as error:
                failed = error
        assert failed is not None
        raise failed

    def _stop(self) -> None:
        with self._changed:
            self._closed.set()
            self._queue.clear()
            self._changed.notify_all()

    def abort(self) -> None:
        """End reading, from any thread."""
        self._stop()

    def _release(self) -> None:
        self._stop()
        self.waiting = nothing
        if not self._begun:  # else the thread that decodes closes it
            self._connection.close()


class _Connection(VideoReader):
    """One connection to the source."""

    def __init__(self, source: str, access: Access, closed: threading.Event, kept: Recent | None) -> None:
        self._closed, self._kept = closed, kept
        super().__init__(source, access)

    @property
    def stream(self) -> Any:
        return self._stream

    def _open(self, access: Access) -> av.container.InputContainer:
        return open_live(self.name, access, self._closed)

    def _decoded(self, packet: Packet[Any]) -> list[VideoFrame]:
        frames = [] if self._closed.is_set() else super()._decoded(packet)
        if self._kept is not None and packet.size:
            self._kept.add(packet)  # from here on another thread may change it
        return frames

    def _in_time(self) -> bool:
        return not self._closed.is_set()


def open_live(name: str, access: Access, closed: threading.Event) -> av.container.InputContainer:
    """Open a live source; nothing that it names is opened. Raises VideoError."""
    try:
        if name == STDIN:
            return _demuxer(_Bytes(os.dup(sys.stdin.fileno()), closed, 0.0))
        if name.startswith(_RTSP):
            if not access.allow_network:
                raise NetworkSourceError(
                    f"{name} is a network address, and those are not opened.", hint="Allow it with --allow-network."
                )
            options = {"rtsp_transport": "tcp", "protocol_whitelist": "rtsp,rtp,rtcp,tcp,tls,udp"}
            return av.open(name, format="rtsp", options=options, metadata_errors="replace", timeout=(30.0, 30.0))
        if is_there(name) and stat.S_ISCHR(Path(name).stat().st_mode):
            return _open_camera(name)
        if is_there(name) and "://" not in name:
            with Path(name).open("rb") as file:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return _demuxer(_Bytes(os.dup(file.fileno()), closed, PATIENCE))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unwatchable(name, reason_of(error)) from error
    return open_container(name, access)


def _unwatchable(name: str, why: str) -> NotAVideoError:
    hint = "A stream is read from its start, without going back: MPEG-TS, Matroska, WebM or fragmented MP4."
    return NotAVideoError(f"{name} cannot be watched ({why}).", hint=ANSWERS if name.startswith(_RTSP) else hint)


def _demuxer(source: _Bytes) -> av.container.InputContainer:
    # By default FFmpeg reads on to guess the frame rate, in a browser's recording for nearly two seconds.
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "fd", "fpsprobesize": "3"}
    return av.open(source, "r", options=options, metadata_errors="replace")


def _open_camera(name: str) -> av.container.InputContainer:
    with suppress(av.error.FFmpegError):  # most cameras give full rate in this format only
        return av.open(name, format="video4linux2", options={"input_format": "mjpeg"})
    return av.open(name, format="video4linux2")


class _Bytes:
    """A pipe, or a file that grows, for FFmpeg to read; it ends where nothing came for `patience` seconds.

    Args:
        file: descriptor, which is closed with this.
    """

    def __init__(self, file: int, closed: threading.Event, patience: float) -> None:
        self._file, self._closed, self._patience = file, closed, patience
        self._over = False

    def __del__(self) -> None:
        os.close(self._file)

    def read(self, size: int) -> bytes:
        ends = monotonic() + self._patience
        while not self._over and not self._closed.is_set():
            if not select.select([self._file], [], [], 0.2)[0]:
                continue
            found = os.read(self._file, size)
            if found:
                return found
            self._over = monotonic() >= ends  # FFmpeg asks again at the end, and must not wait again
            sleep(0.1)
        return b""


class Recent:
    """The packets of the last seconds, as they were received: what `--record` writes.

    Args:
        seconds: to keep, at least back to the key frame before.
        most_bytes: that they may take; older ones go first.
    """

    def __init__(self, seconds: float, most_bytes: float = 128e6) -> None:
        self._seconds, self._most = seconds, most_bytes
        self._lock = threading.Lock()
        self._groups: deque[tuple[float, list[Packet[Any]]]] = deque()  # each from a key frame on
        self._bytes = 0
        self._template: tuple[av.container.OutputContainer, Any] | None = None

    def connect(self, connection: _Connection) -> None:
        """Start again with a new connection, whose packets do not fit the old ones."""
        nowhere = av.open(BytesIO(), "w", format="matroska")  # outlives the connection, as its stream does not
        with self._lock:
            self._groups.clear()
            self._bytes = 0
            self._template = nowhere, nowhere.add_stream_from_template(connection.stream)

    def add(self, packet: Packet[Any]) -> None:
        """Keep a packet."""
        now = monotonic()
        with self._lock:
            if packet.is_keyframe:
                self._groups.append((now, []))
            if not self._groups:
                return
            self._groups[-1][1].append(packet)
            self._bytes += packet.size
            while len(self._groups) > 1 and (self._bytes > self._most or now - self._groups[1][0] > self._seconds):
                self._bytes -= sum(p.size for p in self._groups.popleft()[1])
            if self._bytes > self._most:  # one group larger than all that may be kept
                self._groups.clear()
                self._bytes = 0

    def write(self, path: Path) -> bool:
        """Write what is kept as Matroska, without encoding it again; the packets are given up. False without any.

        Raises:
            OutputError: it cannot be written.
        """
        with self._lock:
            packets = [packet for _, group in self._groups for packet in group]
            self._groups.clear()
            self._bytes = 0
            template = self._template
        if template is None or not packets:
            return False
        try:
            with written_beside(path) as partial, av.open(str(partial), "w", format="matroska") as out:
                stream = out.add_stream_from_template(template[1])
                base = next((t for t in (packets[0].dts, packets[0].pts) if t is not None), 0)
                for packet in packets:
                    dts = packet.dts if packet.dts is not None else packet.pts
                    if dts is None:
                        continue
                    packet.pts, packet.dts = (packet.pts if packet.pts is not None else dts) - base, dts - base
                    packet.stream = stream
                    out.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise OutputError(f"{path} cannot be written ({reason_of(error)}).", hint="Check the folder.") from error
        return True


def _endless(limits: Limits) -> Limits:
    """The limits without those on length."""
    return replace(limits, duration=1e12, frames=10**15, decode_seconds=1e12, file_megabytes=1e12, share=1.0)
