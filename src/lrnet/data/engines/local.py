"""Worker processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from queue import SimpleQueue
from threading import Thread
from typing import Any

from lrnet.data.engines.base import ATTEMPTS, Item, Outcome, Result, attempt, lost
from lrnet.errors import EngineError, InternalError, LrnetError
from lrnet.machine import cores, end_of


@dataclass(slots=True)
class _Task:
    """One item on its way."""

    index: int
    item: Any
    attempts: int = 0


class LocalEngine:
    """Worker processes with one job at a time. A worker that dies is replaced, and its item is tried again.

    Workers exit when their pipe closes, so they end with this process. `workers` 0 means one a core.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or cores()

    def run(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """See `Engine.run`."""
        tasks = (_Task(index, item) for index, item in enumerate(items))
        again: list[_Task] = []
        workers: list[_Worker] = []

        def next_task() -> _Task | None:
            return again.pop() if again else next(tasks, None)

        try:
            while True:
                while len(workers) < self.workers and (task := next_task()) is not None:
                    workers.append(_Worker(job, task))
                if not workers:
                    return
                ready = wait([w.pipe for w in workers])
                for worker in [w for w in workers if w.pipe in ready]:
                    task = worker.task
                    try:
                        reply = worker.answer()
                    except (EOFError, OSError):
                        workers.remove(worker)
                        why = worker.end()
                        task.attempts += 1
                        if task.attempts < ATTEMPTS:
                            again.append(task)
                        else:
                            yield Outcome(task.index, task.item, None, lost(task.attempts, why))
                        continue
                    if reply is None:
                        continue
                    # Before the outcome is yielded: its use must not keep the worker waiting.
                    following = next_task()
                    if following is None:
                        workers.remove(worker)
                        worker.end()
                    else:
                        worker.give(following)
                    yield Outcome(task.index, task.item, *reply)
        finally:
            for worker in workers:
                worker.end()


class _Worker:
    """This end of a worker process."""

    def __init__(self, job: Callable[[Any], Any], task: _Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=_serve, args=(job, theirs), daemon=True)
        try:
            self._process.start()
        except OSError as error:
            raise EngineError(
                f"A worker process cannot be started ({error.strerror or error}).", hint="Use fewer workers."
            ) from error
        theirs.close()
        self._started = False
        self.give(task)

    def give(self, task: _Task) -> None:
        self.task = task
        with suppress(OSError):  # the loss of a worker is noticed in `answer`
            self.pipe.send(task.item)

    def answer(self) -> tuple[Any, LrnetError | None] | None:
        """The reply to the task; None for the message that the process has started.

        Raises:
            EOFError, OSError: the process is gone.
            EngineError: it failed at its start, as the next one would.
        """
        try:
            reply: tuple[Any, LrnetError | None] | None = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join(timeout=2)
            if not self._started and (self._process.exitcode or 0) > 0:
                raise EngineError(
                    f"Worker processes end as they start (exit code {self._process.exitcode}).",
                    hint='In a script, start the work below `if __name__ == "__main__":`.',
                ) from None
            raise
        self._started = True
        return reply

    def end(self) -> str:
        """Close the pipe, on which the worker exits, and describe its end."""
        self.pipe.close()
        self._process.join(timeout=2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        return end_of(self._process.exitcode or 0)


def _serve(job: Callable[[Any], Any], pipe: Connection) -> None:
    """The worker's end: do each item until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the main process ends the work
    items: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_listen, args=(pipe, items), daemon=True).start()
    pipe.send(None)  # started
    while True:
        item = items.get()
        try:
            # The reply has no name: an error's traceback would hold frames through the next item.
            pipe.send(attempt(job, item))
        except OSError:
            os._exit(1)
        except Exception as error:  # a result that cannot be pickled
            pipe.send((None, InternalError.of(error, str(item))))


def _listen(pipe: Connection, items: SimpleQueue[Any]) -> None:
    try:
        while True:
            items.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)  # the other process closed the pipe or died: nobody waits for the current job
