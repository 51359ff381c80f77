"""The process that decodes for `lrnet.video.isolation`: bounded by the system in what it may take, open and write."""

from __future__ import annotations

import json
import math
import mmap
import os
import resource
import signal
import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import av.subtitles.stream  # noqa: F401  (PyAV imports it while it opens a file, when no other file can be opened)
import numpy as np
from numpy.typing import NDArray

from lrnet.errors import InternalError, LrnetError
from lrnet.machine import cores
from lrnet.video.frame import Frame
from lrnet.video.isolation import MAX_MESSAGE, SLOTS
from lrnet.video.limits import Access, Limits
from lrnet.video.pipeline import let_others_end
from lrnet.video.reader import VideoReader
from lrnet.video.sound import decode_sound

SPARE_CPU: Final = 2.0  # seconds over the limit, so that the decoder can report it before the signal comes


def main(pipe: int, memory: int, size: int) -> None:
    """Decode one video after the other until the pipe is closed.

    Args:
        pipe, memory: descriptors of the connection and of the shared memory.
        size: bytes of a slot of that memory.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the asking process ends the work
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    let_others_end()
    with mmap.mmap(memory, SLOTS * size) as slots:
        os.close(memory)
        Decoder(socket.socket(fileno=pipe), np.frombuffer(slots, np.uint8).reshape(SLOTS, size)).serve()


class Decoder:
    """The process's life."""

    def __init__(self, pipe: socket.socket, slots: NDArray[np.uint8]) -> None:
        self._pipe, self._slots = pipe, slots
        self._messages: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._memory = _private_bytes()
        for what in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):  # no core dump, no file that grows
            resource.setrlimit(what, (0, 0))
        threading.Thread(target=self._listen, daemon=True).start()

    def serve(self) -> None:
        self._tell({"started": True})
        while True:
            message = self._messages.get()
            if "video" not in message:  # late, for a video that has ended
                continue
            try:
                ending = self._decode(message)
            except LrnetError as error:
                ending = {"error": type(error).__name__, "what": error.what, "hint": error.hint}
            except Exception as error:
                fault = InternalError.of(error, message["video"])
                ending = {"error": "InternalError", "what": fault.what, "hint": fault.hint}
                del fault  # its traceback holds the video's frames, which would count as the next one's memory
            finally:
                for what in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA):  # else the other thread may run into them
                    _bound(what, math.inf)
            self._tell(ending)

    def _decode(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Send every frame of a video, or put its sound into the memory; returns the last message."""
        access = Access(asked["allow_network"], False, Limits(**asked["limits"]))
        self._bound(access, asked["threads"])
        if asked["folder"]:
            os.chdir(asked["folder"])
        if "sound" in asked:
            sound = decode_sound(asked["video"], access, asked["sound"])
            if sound is not None:
                self._slots[0, : sound.nbytes] = sound.view(np.uint8)
            return {"sound": 0 if sound is None else len(sound)}
        with VideoReader(asked["video"], access, threads=asked["threads"]) as reader:
            os.chdir("/")
            self._tell({"info": asdict(reader.info)})
            free, shown = deque(range(SLOTS)), False
            for frame in reader.decode():
                if not self._free(free):
                    break
                word = {
                    "frame": self._put(frame, free.popleft()),
                    "damaged": reader.damaged,
                    "quantiser": reader.quantiser,
                }
                if not shown:
                    word["info"], shown = asdict(reader.info), True
                self._tell(word)
            return {
                "frames": reader.frames,
                "damaged": reader.damaged,
                "quantiser": reader.quantiser,
                "passed": reader.guard.passed,
                "info": asdict(reader.info),
                "end": True,
            }

    def _free(self, free: deque[int]) -> bool:
        """Wait for a slot that is free; False if the video is to be left."""
        while not free or not self._messages.empty():
            message = self._messages.get()
            if "slot" not in message:
                return False
            free.append(message["slot"])
        return True

    def _put(self, frame: Frame, slot: int) -> dict[str, Any]:
        stored, at = frame.stored, 0
        for plane in stored.planes:
            self._slots[slot, at : at + plane.size].reshape(plane.shape)[:] = plane
            at += plane.size
        height, width = stored.planes[0].shape
        return {
            "slot": slot,
            "index": frame.index,
            "time": frame.time,
            "shot": frame.shot,
            "width": width,
            "height": height,
            "turns": stored.turns,
            "colorspace": stored.colorspace,
            "color_range": stored.color_range,
        }

    def _bound(self, access: Access, threads: int) -> None:
        """Set what the system enforces for the next video."""
        limits, used = access.limits, resource.getrusage(resource.RUSAGE_SELF)
        _bound(resource.RLIMIT_DATA, self._memory + limits.memory_megabytes * 1e6)
        _bound(
            resource.RLIMIT_CPU,
            used.ru_utime + used.ru_stime + SPARE_CPU + limits.decode_seconds * (threads or cores()),
        )
        if not access.allow_network:
            # The file, and FFmpeg's copy of its descriptor: neither another file nor a socket can be opened after.
            two = [os.dup(self._pipe.fileno()) for _ in range(2)]
            for descriptor in two:
                os.close(descriptor)
            _bound(resource.RLIMIT_NOFILE, max(two) + 1)

    def _tell(self, message: Mapping[str, Any]) -> None:
        try:
            self._pipe.send(json.dumps(message).encode())
        except OSError:
            os._exit(0)

    def _listen(self) -> None:
        try:
            while word := self._pipe.recv(MAX_MESSAGE):
                self._messages.put(json.loads(word))
        finally:  # the asking process closed the pipe or died, or memory is out: nobody hears what is asked any more
            os._exit(0)


def _bound(what: int, value: float) -> None:
    """Set a soft limit of the system's; what is over the hard one is held to that."""
    _, hard = resource.getrlimit(what)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (resource.RLIM_INFINITY if math.isinf(most) else math.ceil(most), hard))


def _private_bytes() -> int:
    """Memory that RLIMIT_DATA counts and this process has taken already (see proc(5), VmData)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
