"""Decode in a process of its own: the asking side.

A decoder is a million lines of C that read files from strangers. With `Access.isolate`, `open_video` runs it in a
process with bounded memory and processor time, which can open no file but the one given and no socket (unless it reads
an address), cannot write, and is ended when it stands still. If it dies, the video has an error and this process goes
on. Frames come back as planes in shared memory, messages as JSON; both are checked as if they were the file itself.
The other side is `lrnet.video.decoder_process`. A process reads one video after the other, and ends with the process
that started it.
"""

from __future__ import annotations

import atexit
import json
import math
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, Final

import av.error
import numpy as np
from av.video.frame import VideoFrame

from lrnet import errors
from lrnet.errors import DecoderDiedError, VideoError
from lrnet.files import parse_json
from lrnet.machine import end_of
from lrnet.video.frame import Frame, VideoInfo, name_known_colours, planes_of
from lrnet.video.limits import Access, Excess, Limits, past
from lrnet.video.pipeline import PATIENCE
from lrnet.video.quantiser import COARSEST
from lrnet.video.reader import Reader, VideoReader
from lrnet.video.sound import ALL_SECONDS, PART, RATE, SECONDS, Piece, Samples, decode_sound, samples_of

SLOTS: Final = 4  # frames that may lie in the shared memory at a time
START_SECONDS: Final = 120.0  # for a process to come up, on a busy machine
STOP_SECONDS: Final = 1.0  # for a decoder to stop when the rest of a video is not wanted
MAX_MESSAGE: Final = 1024 * 1024  # bytes
LONGEST_WORD: Final = 400  # letters in what a header calls its container, its codec, its pixel format, and in a note
MOST_NOTES: Final = 8
VIDEOS_EACH: Final = 100  # that one process reads: what libraries leak does not add up

_NONSENSE: Final = (KeyError, TypeError, ValueError, OverflowError)
"""Exceptions that a malformed message can raise."""

_TOLD: Final = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, (VideoError, errors.InternalError))
}


def can_isolate() -> bool:
    """Whether this system has what a decoding process is held in with: Linux's sealed anonymous files."""
    return hasattr(os, "memfd_create")


def open_video(source: str | os.PathLike[str], access: Access | None = None, *, threads: int = 0) -> Reader:
    """Open a video for reading, in this process or in one of its own, as `access` says.

    Args:
        threads: decoding threads; 0 lets FFmpeg choose.

    Raises:
        VideoError: see `lrnet.video.reader.VideoReader`; DecoderDiedError, LimitError: on opening, or while iterating.
    """
    access = access or Access()
    if access.isolate:
        return IsolatedReader(source, access, threads=threads)
    return VideoReader(source, access, threads=threads)


def sound_of(source: str | os.PathLike[str], access: Access, pieces: Sequence[Piece]) -> Samples | None:
    """The sound of a clip (see `lrnet.video.sound.decode_sound`), decoded where `access` says.

    None if there is none, or if it cannot be decoded, whatever the reason: a clip is shown without it then.
    """
    name = os.fspath(source)
    try:
        return _isolated_sound(name, access, pieces) if access.isolate else decode_sound(name, access, pieces)
    except (VideoError, OSError, av.error.FFmpegError, EOFError, MemoryError, *_NONSENSE):
        return None


def whole_sound_of(source: str | os.PathLike[str], access: Access, seconds: float) -> Iterator[Samples]:
    """The first `seconds` of a video's sound in parts, silent where `sound_of` gives none; no part if it never does."""
    ends, silent = monotonic() + ALL_SECONDS, 0
    for start in np.arange(0.0, seconds, PART).tolist():
        piece = (0.0, start, min(start + PART, seconds))
        found = sound_of(source, access, [piece]) if monotonic() < ends else None
        if found is None:
            silent += samples_of([piece])
            continue
        while silent:
            yield np.zeros(min(silent, round(PART * RATE)), np.int16)
            silent -= min(silent, round(PART * RATE))
        yield found


def _isolated_sound(name: str, access: Access, pieces: Sequence[Piece]) -> Samples | None:
    process = DecoderProcess.take(access.limits)
    try:
        process.ask({**_request(name, access, 1), "sound": pieces})
        message = process.hear(SECONDS + STOP_SECONDS)
        if message is None or _whole(message["sound"], 0) > min(samples_of(pieces), process.size // 2):
            raise ValueError("invalid sound")
        found = np.frombuffer(process.slots, np.int16, message["sound"]).copy()
    except BaseException:
        process.kill()
        raise
    process.give_back()
    return found if found.size else None


class IsolatedReader(Reader):
    """Reads a video that a `DecoderProcess` decodes; the frames are those of `VideoReader`.

    Raises:
        DecoderDiedError: the process died. Others as `VideoReader`.
    """

    def __init__(self, source: str | os.PathLike[str], access: Access, *, threads: int = 0) -> None:
        super().__init__(os.fspath(source), access.limits)
        self._waited = 0.0
        self._process: DecoderProcess | None = DecoderProcess.take(access.limits)
        try:
            self._process.ask(_request(self.name, access, threads))
            first = self._hear()
            if first is None:  # time is up
                raise past("stall_seconds", self.name, access.limits)
            self._info = self._header(first["info"])
            self.guard.header(self._info.size_bytes, self._info.width * self._info.height, None, None, None)
        except BaseException as error:
            self._kill()
            if isinstance(error, _NONSENSE):
                raise self._nonsense() from error
            raise

    @property
    def info(self) -> VideoInfo:
        return self._info

    def _decode(self) -> Iterator[Frame]:
        try:
            while (message := self._hear()) is not None:
                if "frame" not in message:
                    self._note(message)
                    if not message["end"]:
                        raise ValueError("invalid end")
                    self._over()
                    return
                frame = self._frame(message)
                if frame is None:
                    self._kill()
                    return
                yield frame
        except _NONSENSE as error:
            self._kill()
            raise self._nonsense() from error

    def _frame(self, message: Mapping[str, Any]) -> Frame | None:
        """The frame that a message announces; None if it lies past a limit. Raises ValueError if malformed."""
        assert self._process is not None
        self._note(message)
        sent = message["frame"]
        width, height, time = _whole(sent["width"], 1), _whole(sent["height"], 1), float(sent["time"])
        if not math.isfinite(time):
            raise ValueError("invalid time")
        if self.guard.ends(self.frames, time, width * height):
            return None
        source = VideoFrame(width, height, "yuv420p")
        source.colorspace, source.color_range = (_whole(sent[name], 0, 255) for name in ("colorspace", "color_range"))
        name_known_colours(source)
        self._process.copy(_whole(sent["slot"], 0), planes_of(source))
        self.frames = _whole(sent["index"], self.frames) + 1
        stretch = self.guard.limits.stretch(time)
        turns, shot = _whole(sent["turns"], 0) % 4, _whole(sent["shot"], 0)
        return Frame(source, self.frames - 1, time, turns=turns, stretch=stretch, shot=shot)

    def _note(self, message: Mapping[str, Any]) -> None:
        """Take what any message may hold: header, damage, quantiser, limits passed."""
        self.damaged = _whole(message.get("damaged", self.damaged), 0)
        self.frames = max(self.frames, _whole(message.get("frames", 0), 0))
        if message.get("quantiser") is not None:
            self.quantiser = _quantiser(message["quantiser"])
        for excess in message.get("passed", ()):
            self.guard.note(Excess(excess))
        if "info" in message:
            self._info = self._header(message["info"])

    def _header(self, header: Mapping[str, Any]) -> VideoInfo:
        """The header as the decoder reports it. Raises TypeError or ValueError if it is malformed."""
        info = VideoInfo(**{**header, "notes": tuple(header.get("notes", ())[:MOST_NOTES])})
        if not all(isinstance(word, str) and len(word) <= LONGEST_WORD for word in _words(info)):
            raise ValueError("invalid word")
        if not all(isinstance(n, int) and n >= 0 for n in (info.size_bytes, info.frame_count or 0)):
            raise ValueError("invalid number")
        if not all(math.isfinite(n or 0) for n in (info.frame_rate, info.duration)):
            raise ValueError("invalid time")
        for side in (info.width, info.height, info.rotation):
            _whole(side, 0)
        return replace(info, path=self.name)

    def _hear(self) -> dict[str, Any] | None:
        """The next message; None if time is up and the frames so far count. Raises VideoError."""
        if self._process is None:
            return None
        limits, began = self.guard.limits, monotonic()
        left = limits.decode_seconds - self._waited
        try:
            message = self._listen(self._process, began + min(limits.stall_seconds, left))
        except EOFError:
            self._died()
            return None
        self._waited += monotonic() - began
        if message is None:
            self._kill()
            self._too_long("stall_seconds" if limits.stall_seconds < left else "decode_seconds")
            return None
        if "error" in message:
            self._over()
            kind = _TOLD.get(str(message["error"]), DecoderDiedError)
            raise kind(str(message.get("what", "")), hint=str(message.get("hint", "")))
        return message

    def _listen(self, process: DecoderProcess, until: float) -> dict[str, Any] | None:
        """The next message, None if there is none by then. Raises EOFError if the process is gone."""
        while True:
            left = max(0.0, until - monotonic())
            message = process.hear(min(PATIENCE, left))
            if message is not None or left <= PATIENCE:
                return message
            self.waiting()

    def _too_long(self, limit: str) -> None:
        if not self.frames:
            raise past(limit, self.name, self.guard.limits)
        self.guard.note(Excess.DECODE_SECONDS)

    def _died(self) -> None:
        """Raise the error for the process's death, unless it ran out of time and the frames so far count."""
        process = self._process
        status = self._kill()
        if process is None or status is None:  # closed from another thread
            return
        if status == -signal.SIGXCPU:
            self._too_long("decode_seconds")
            return
        raise DecoderDiedError(
            f"The process that decoded {self.name} died ({end_of(status)}).",
            hint="The file may be damaged or made to do that; leave it out, or obtain it again from its source.",
        )

    def _nonsense(self) -> DecoderDiedError:
        return DecoderDiedError(
            f"The process that decoded {self.name} sent an invalid message and was ended.",
            hint="The file may be made to take over the decoder; treat it with care.",
        )

    def abort(self) -> None:
        process = self._process
        if process is not None:
            process.end()

    def _release(self) -> None:
        process = self._process
        if process is not None and process.leave():
            self._over()
        self._kill()

    def _over(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.give_back()

    def _kill(self) -> int | None:
        process, self._process = self._process, None
        return None if process is None else process.kill()


def _request(name: str, access: Access, threads: int) -> dict[str, Any]:
    folder = ""
    with suppress(OSError):
        folder = str(Path.cwd())
    return {
        "video": name,
        "folder": folder,
        "threads": threads,
        "allow_network": access.allow_network,
        "limits": {**access.limits.numbers(), "refuse": access.limits.refuse},
    }


def _words(info: VideoInfo) -> tuple[str, ...]:
    return info.container, info.codec, info.pixel_format, *info.notes


def _whole(value: Any, low: int, high: int = 2**31 - 1) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise ValueError("invalid number")
    return value


def _quantiser(value: Any) -> float:
    if not isinstance(value, float) or not 0 <= value <= COARSEST:
        raise ValueError("invalid quantiser")
    return value


def slot_bytes(limits: Limits) -> int:
    """Bytes that the planes of the largest frame take, or a part of a video's sound, in whole pages.

    Three a pixel, not one and a half: in a frame of one row each chroma plane has half a sample for each of luma.
    """
    return -(-round(max(3e6 * limits.megapixels + 4, 2 * RATE * (PART + 1))) // mmap.PAGESIZE) * mmap.PAGESIZE


class DecoderProcess:
    """The process that decodes, and the memory that it shares with this one.

    Args:
        size: bytes of a slot.

    Attributes:
        slots: the shared memory.
    """

    _idle: Final[list[DecoderProcess]] = []
    _lock: Final = threading.Lock()

    def __init__(self, size: int) -> None:
        if not can_isolate():
            raise _not_started("it needs Linux")
        import fcntl  # not on Windows

        self.size = size
        self._owner = os.getpid()
        self._videos = 0
        memory = os.memfd_create("lrnet-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # Sequential packets: a message arrives whole or not at all.
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            os.ftruncate(memory, SLOTS * size)
            # A decoder that was taken over must not be able to shrink the memory under this process.
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            self.slots = mmap.mmap(memory, SLOTS * size, mmap.MAP_SHARED, mmap.PROT_READ)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _boot(theirs.fileno(), memory, size)],
                pass_fds=(theirs.fileno(), memory),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            ours.close()
            raise _not_started(error.strerror or str(error)) from error
        finally:
            theirs.close()
            os.close(memory)
        self._pipe = ours
        try:
            started = self.hear(START_SECONDS)
        except EOFError:
            started = None
        if started is None:
            raise _not_started(end_of(self.kill() or 0))

    @classmethod
    def take(cls, limits: Limits) -> DecoderProcess:
        """An idle process, or a new one. Raises DecoderDiedError if none can be started."""
        size = slot_bytes(limits)
        with cls._lock:
            process = cls._idle.pop() if cls._idle else None
        if process is None:
            return cls(size)
        if process._owner == os.getpid() and process.size == size and process._process.poll() is None:
            return process
        if process._owner == os.getpid():
            process.kill()
        return cls(size)

    def give_back(self) -> None:
        """Keep the process for the next video, or end it."""
        self._videos += 1
        with self._lock:
            if self._videos < VIDEOS_EACH and not self._idle:
                self._idle.append(self)
                return
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, message: Mapping[str, Any]) -> None:
        """Send a message; that a process is gone shows when `hear` is called.

        Raises ValueError if it has not read what was sent before.
        """
        with suppress(OSError):
            try:
                self._pipe.send(json.dumps(message).encode(), socket.MSG_DONTWAIT)
            except BlockingIOError as error:
                raise ValueError("a process that does not listen") from error

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """The next message, None if none comes in time. Raises EOFError if the process is gone."""
        try:
            readable = select.poll()
            readable.register(self._pipe, select.POLLIN)
            if not readable.poll(1000 * seconds):
                return None
            message = parse_json(self._pipe.recv(MAX_MESSAGE))  # empty, which is invalid JSON, if the process is gone
        except (OSError, ValueError) as error:
            raise EOFError from error
        if not isinstance(message, dict):
            raise EOFError
        return message

    def copy(self, slot: int, planes: tuple[Any, ...]) -> None:
        """Fill planes from a slot and give it back. Raises ValueError if the slot does not hold so much."""
        if slot >= SLOTS or sum(plane.size for plane in planes) > self.size:
            raise ValueError("a frame that does not fit")
        at = slot * self.size
        for plane in planes:
            plane[:] = np.frombuffer(self.slots, np.uint8, plane.size, at).reshape(plane.shape)
            at += plane.size
        self.ask({"slot": slot})

    def leave(self) -> bool:
        """Ask the process to stop decoding its video; False if it does not within `STOP_SECONDS`."""
        ends = monotonic() + STOP_SECONDS
        try:
            self.ask({"leave": True})
            while (message := self.hear(max(0.0, ends - monotonic()))) is not None:
                if "end" in message or "error" in message:
                    return True
        except (EOFError, ValueError):
            pass
        return False

    def end(self) -> None:
        """End the process; a waiting `hear` raises EOFError."""
        self._process.kill()

    def kill(self) -> int:
        """End the process at once. Returns its exit status if it was already dead: negative is the signal's number."""
        self._pipe.close()
        with suppress(subprocess.TimeoutExpired):  # a process that died by itself has an exit status
            self._process.wait(0.2)
        self._process.kill()
        return self._process.wait()


def _boot(pipe: int, memory: int, size: int) -> str:
    """The code that the process runs: with this process's module path, without the user's settings."""
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return (
        f"import sys; sys.path[:] = {path!r}; from lrnet.video.decoder_process import main; "
        f"main({pipe}, {memory}, {size})"
    )


def _not_started(why: str) -> DecoderDiedError:
    return DecoderDiedError(
        f"A decoding process cannot be started ({why}).", hint="Free memory, or decode in this process: --no-isolate."
    )


def _end_idle() -> None:
    for process in DecoderProcess._idle:
        if process._owner == os.getpid():
            process.kill()


atexit.register(_end_idle)
