"""Stages of a chain that run side by side, each on its own thread, with bounded queues between them.

FFmpeg, ONNX Runtime and OpenCV release the interpreter's lock while they work, so threads are enough. A stage is an
iterator over another one's items; order is kept, an error comes out where the items would have, and closing the
pipeline ends every thread, whatever it waits for.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter, thread_time
from types import TracebackType
from typing import Any, Final, Generic, NoReturn, Self, TypeVar

import cv2

T = TypeVar("T")
R = TypeVar("R")

AHEAD: Final = 4  # items that may wait between two stages
PATIENCE: Final = 1.0  # seconds that a stage has to end by itself, and between two calls of `waiting`


@dataclass(frozen=True, slots=True)
class StageTime:
    """The time that a stage took.

    Attributes:
        name: of the stage.
        cpu: seconds of processor time, on the stage's own thread and on those that `Pipeline.each` took for it.
        wall: seconds during which it neither waited for items nor for room to put them.
    """

    name: str
    cpu: float
    wall: float


class Stopwatch:
    """Adds up the time of calls."""

    def __init__(self, name: str) -> None:
        self.total = StageTime(name, 0.0, 0.0)

    def time(self, work: Callable[[T], R], item: T) -> R:
        cpu, wall = thread_time(), perf_counter()
        result = work(item)
        before = self.total
        self.total = StageTime(before.name, before.cpu + thread_time() - cpu, before.wall + perf_counter() - wall)
        return result


def nothing() -> None:
    """Do nothing."""


class Stopped(Exception):
    """The stage that items came from was stopped."""


class Ahead(Generic[T]):
    """The items of `items`, worked out on a thread of its own, a bounded number ahead.

    Whatever `items` raises is raised by `next` after the items that came before. `stop` makes both sides give up at
    once; `join` waits until the thread has ended.

    Args:
        items: only touched by the new thread.
        size: how many items may wait.
        name: of the stage; the thread is called `lrnet-` and this.
        abort: makes `items` give up what it waits for; called by `join`, from another thread, if it does not by itself.
        waiting: called by `next` about once a second while it waits; what it raises comes out there.
        patient: the thread, and those that are started on it, have others end what they are at (see `let_others_end`).
    """

    def __init__(
        self,
        items: Iterable[T],
        size: int = AHEAD,
        name: str = "stage",
        abort: Callable[[], None] = nothing,
        waiting: Callable[[], None] = nothing,
        patient: bool = False,
    ) -> None:
        self._name = name
        self._size = size
        self._patient = patient
        self._abort, self._tell = abort, waiting
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._stopped = self._ended = False
        self._error: BaseException | None = None
        self._cpu = self._wall = self._blocked = 0.0
        self._thread = threading.Thread(target=self._work, args=(items,), name=f"lrnet-{name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        while not self._ready():
            self._tell()
        with self._changed:
            if not self._waiting:
                self._end()
            if len(self._waiting) == self._size:
                self._changed.notify_all()
            return self._waiting.popleft()

    def _ready(self) -> bool:
        """Whether there is an item or an end; waits for it, but not for long."""
        began = perf_counter()
        with self._changed:
            there = self._changed.wait_for(lambda: self._waiting or self._stopped or self._ended, PATIENCE)
        _waits.seconds += perf_counter() - began
        return bool(there)

    def _end(self) -> NoReturn:
        if self._stopped:
            raise Stopped
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopIteration

    @property
    def time(self) -> StageTime:
        return StageTime(self._name, self._cpu, self._wall)

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._abort()
            self._thread.join()
        self._abort = self._tell = nothing  # they lead back to what holds this, and to a decoder

    def _work(self, items: Iterable[T]) -> None:
        if self._patient:
            let_others_end()
        began = perf_counter()
        error: BaseException | None = None
        try:
            for item in items:
                if not self._put(item):
                    break
        except Stopped:
            pass
        except BaseException as raised:  # raised again where the items are read
            error = raised
        finally:
            close = getattr(items, "close", None)  # a generator that was left early
            if close is not None:
                close()
            with self._changed:
                self._cpu = thread_time() + _waits.helpers
                self._wall = perf_counter() - began - _waits.seconds
                self._error, self._ended = error, True
                self._changed.notify_all()

    def _put(self, item: T) -> bool:
        with self._changed:
            while len(self._waiting) >= self._size and not self._stopped:
                began = perf_counter()
                self._changed.wait()
                _waits.seconds += perf_counter() - began
            if self._stopped:
                return False
            self._waiting.append(item)
            if len(self._waiting) == 1:
                self._changed.notify_all()
            return True


class _Waits(threading.local):
    """Seconds that this thread has waited for another stage, and CPU-seconds that others have worked for it."""

    seconds = 0.0
    helpers = 0.0


_waits = _Waits()


class _Inline(Generic[T]):
    """A stage on the thread that reads it. What it takes includes what the stages before it take on that thread."""

    def __init__(self, items: Iterable[T], name: str, before: _Inline[Any] | None) -> None:
        self._items = iter(items)
        self._name = name
        self._before = before
        self._cpu = self._wall = 0.0

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        cpu, wall = thread_time(), perf_counter()
        try:
            return next(self._items)
        finally:
            self._cpu += thread_time() - cpu
            self._wall += perf_counter() - wall

    @property
    def time(self) -> StageTime:
        inner = self._before
        return StageTime(
            self._name,
            self._cpu - (inner._cpu if inner else 0.0),
            self._wall - (inner._wall if inner else 0.0),
        )

    def stop(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def join(self) -> None:
        self._items = iter(())  # what it held leads back to what holds this, and to a decoder


class Pipeline:
    """The stages of one chain, and threads for the parts of a stage's work. A context manager.

    Args:
        threads: how many threads may work side by side; 1 keeps everything on the thread that reads.
        waiting: called about once a second on the thread that made the pipeline, while it waits for another one.

    Example:
        ```python
        with Pipeline(threads=2) as pipeline:
            squares = pipeline.stage("squares", (n * n for n in range(10)))
            for root in pipeline.stage("roots", map(math.sqrt, squares)):
                print(root)
        ```
    """

    def __init__(self, threads: int = 1, waiting: Callable[[], None] = nothing) -> None:
        if threads < 1:
            raise ValueError("a pipeline needs a thread")
        self.threads = threads
        self._waiting, self._owner = waiting, threading.get_ident()
        self._stages: list[Ahead[Any] | _Inline[Any]] = []
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        _one_opencv_thread.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:
            _one_opencv_thread.leave()

    def stage(
        self,
        name: str,
        items: Iterable[T],
        ahead: int = AHEAD,
        abort: Callable[[], None] = nothing,
        patient: bool = False,
    ) -> Iterator[T]:
        """`items`, worked out beside their reader; at most `ahead` wait. `abort` and `patient` as in `Ahead`."""
        stage: Ahead[T] | _Inline[T]
        if self.threads > 1:
            stage = Ahead(items, ahead, name, abort, self._tell, patient)
        else:
            before = self._stages[-1] if self._stages else None
            stage = _Inline(items, name, before if isinstance(before, _Inline) else None)
        self._stages.append(stage)
        return stage

    def each(self, work: Callable[[T], R], items: list[T]) -> list[R]:
        """`work` of each item, in order; side by side if there are several."""
        if self.threads == 1 or len(items) < 2:
            return [work(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="lrnet-each")

        def timed(item: T) -> tuple[R, float]:
            began = thread_time()
            return work(item), thread_time() - began

        found = list(self._pool.map(timed, items))
        _waits.helpers += sum(cpu for _, cpu in found)
        return [result for result, _ in found]

    def close(self) -> None:
        """End every stage and wait for its thread."""
        for stage in self._stages:
            stage.stop()
        for stage in self._stages:
            stage.join()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _tell(self) -> None:
        if threading.get_ident() == self._owner:
            self._waiting()

    def times(self) -> list[StageTime]:
        """The time that each stage took; complete once all items have been read."""
        return [stage.time for stage in self._stages]


class _OneOpenCVThread:
    """OpenCV's own threads off while pipelines run: they would only take cores from other stages, and spin."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 0

    def enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                cv2.setNumThreads(self._before)


_one_opencv_thread = _OneOpenCVThread()


def let_others_end() -> None:
    """From here on the calling thread, when it wakes, does not push another off its core (Linux: `SCHED_BATCH`).

    For the stages beside the longest one: where there are fewer cores than threads, they take time from it otherwise,
    and wait for it afterwards. Beside other programs the thread's share stays what it was; a policy that somebody chose
    for it (`chrt --idle`) is left.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with suppress(OSError):  # a system that does not allow it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
