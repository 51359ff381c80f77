"""Jobs for engines: importable by worker processes, and needing nothing."""

from __future__ import annotations

import gc
import os
import signal
import time
import weakref
from dataclasses import dataclass
from pathlib import Path

from lrnet.errors import VideoError

_calls = 0
_failed: list[weakref.ref[VideoError]] = []


def square(n: int) -> int:
    if n < 0:
        raise VideoError(f"{n} is negative.", hint="Give a number from 0.")
    if n == 13:
        raise ZeroDivisionError("thirteen")
    return n * n


def process_and_call(_: int) -> tuple[int, int]:
    """Which process did it, and its how manieth call that was."""
    global _calls
    _calls += 1
    time.sleep(0.02)
    return os.getpid(), _calls


def unpicklable(_: int) -> object:
    return lambda: None


def fail_once(_: int) -> bool:
    """Fails; after that tells whether the error is still in memory."""
    gc.disable()
    if not _failed:
        error = VideoError("A video failed.", hint="Leave it out.")
        _failed.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error
    return _failed[0]() is not None


@dataclass(frozen=True)
class DieOn:
    """Kills its own process on one item: the first time only, or always."""

    folder: Path
    item: int
    always: bool = False

    def __call__(self, item: int) -> int:
        with (self.folder / f"tried-{item}").open("a") as file:
            file.write(".")
        if item == self.item and (self.always or (self.folder / f"tried-{item}").stat().st_size == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return item


@dataclass(frozen=True)
class SleepAndSay:
    """Tells that it started and in which process, then sleeps long."""

    folder: Path

    def __call__(self, item: int) -> int:
        (self.folder / f"{item}-{os.getpid()}").touch()
        time.sleep(60)
        return item
