"""A worker: takes videos from the queue, has them judged, and keeps the service in order.

What can be lost and who mends it:

- A worker that dies stops renewing its lease. A `Keeper` (every worker has one) puts the video back into the queue when
  the lease has run out, or gives it up after `Settings.max_attempts`.
- huey takes a message out of the queue before the work begins, so a message can be lost with a worker. A `Keeper` sends
  a new one for every queued video that no message names.
- A message can come twice. The second worker finds that the video is not queued any more and does nothing.
- A worker that was only slow (a suspended machine) finds that its lease is another's and throws its result away.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy.exc import SQLAlchemyError

from lrnet.service.database import Finding, JobState, Store, VideoRow
from lrnet.service.folder import Folder
from lrnet.service.queue import JobQueue
from lrnet.service.settings import Settings
from lrnet.service.work import Job, JobProcess, clear
from lrnet.verdict import State

log = logging.getLogger("lrnet.service.worker")

LISTEN_SECONDS: Final = 0.25  # how long a look into the pipe waits
TELL_SECONDS: Final = 0.5  # at most this often progress is written down
POLL_SECONDS: Final = 0.5  # how long an idle worker waits before it looks into an SQLite queue again
UNSENT_SECONDS: Final = 5.0  # a video queued for so long without a message has lost it
CLEAN_SECONDS: Final = 600.0  # between two rounds of deleting what is old
ALIVE_SECONDS: Final = 30.0  # a worker that was heard of within this time counts as alive


class Overseer:
    """Judges one video after another; each slot of a worker has one, on a thread of its own."""

    def __init__(
        self, settings: Settings, store: Store, folder: Folder, queue: JobQueue, stop: threading.Event
    ) -> None:
        self._settings, self._store, self._folder, self._queue, self._stop = settings, store, folder, queue, stop
        self.process = JobProcess(settings.model, settings.access)

    def judge(self, video: str) -> None:
        """Take a video if it is still to be had, and see it through to a result, a failure, or back into the queue."""
        row = self._store.claim(video, self._settings.lease_seconds)
        if row is None or row.lease is None:
            log.info("video %s is not queued any more", video)
            return
        log.info("video %s: attempt %d", video, row.attempts)
        watch = Watch.start(self._settings)
        results = self._folder.result(video, row.lease)
        kept = False
        try:
            last = self._listen(row, row.lease, results, watch)
            kept = last is not None and self._store_last(row, row.lease, last)
        except _CutShortError as error:
            self.process.kill()
            log.warning("video %s: %s", video, error)
            if error.then(self._store, row):
                self._queue.send(video)
        finally:
            if not kept:
                clear(results)
        now = self._store.get(video)
        if now is None or now.state == JobState.FAILED:  # deleted meanwhile, or given up: no attempt counts
            self._folder.remove_results(video)

    def _listen(self, row: VideoRow, lease: str, results: Path, watch: Watch) -> dict[str, Any] | None:
        """The process's last word; None if the video is no longer ours. Raises _CutShortError if there is none."""
        job = Job(
            str(self._folder.video(row.sha256).absolute()), row.name, str(results.absolute()), self._settings.overlay
        )
        progress: dict[str, Any] | None = None
        try:
            self.process.give(job)
            while True:
                message = self.process.hear(LISTEN_SECONDS)
                if message is not None and message.get("kind") in ("finding", "failure"):
                    return message
                fresh = message is not None
                progress = message or progress
                if self._stop.is_set():
                    raise _StoppedError
                if watch.over:
                    raise _TooLongError(self._settings.time_limit)
                if watch.due(fresh) and not self._renew(row.id, lease, progress, watch):
                    log.info("video %s was deleted or given to another worker", row.id)
                    self.process.kill()
                    return None
        except (EOFError, OSError) as error:
            status = self.process.kill()
            raise _DiedError(status, row.attempts >= self._settings.max_attempts) from error

    def _renew(self, video: str, lease: str, progress: dict[str, Any] | None, watch: Watch) -> bool:
        try:
            held = self._store.renew(video, lease, self._settings.lease_seconds, progress)
        except SQLAlchemyError:  # a database that is away for a moment costs nobody the work done so far
            log.exception("video %s: the lease could not be renewed", video)
            return watch.lease_lasts
        watch.renewed()
        return held

    def _store_last(self, row: VideoRow, lease: str, last: dict[str, Any]) -> bool:
        """Whether a result was stored, so that its folder is to be kept."""
        kind = last.pop("kind")
        if kind == "failure":
            failure = {key: str(last.get(key, "")) for key in ("error", "message", "hint")}
            self._store.fail(row.id, lease, failure)
            log.info("video %s: cannot be judged: %s", row.id, failure["error"])
            return False
        try:
            finding = _FINDING.validate_python(last)
            State(finding.verdict)
        except ValueError as error:
            log.warning("video %s: its process found what makes no sense", row.id)
            raise _DiedError(self.process.kill(), row.attempts >= self._settings.max_attempts) from error
        stored = self._store.finish(row.id, lease, finding)
        if stored:
            self._folder.remove_results(row.id, keep=lease)
            log.info("video %s: %s", row.id, finding.verdict)
        return stored


_FINDING: Final = TypeAdapter(Finding)


@dataclass(slots=True)
class Watch:
    """When the time for a video is over, and when it is time to renew the lease."""

    ends: float
    lease: float
    last: float

    @classmethod
    def start(cls, settings: Settings) -> Watch:
        now = time.monotonic()
        return cls(now + settings.time_limit, settings.lease_seconds, now)

    @property
    def over(self) -> bool:
        return time.monotonic() > self.ends

    @property
    def lease_lasts(self) -> bool:
        return time.monotonic() - self.last < self.lease

    def due(self, fresh: bool) -> bool:
        """Whether to write now: `fresh` says that there is something new to tell."""
        silent = time.monotonic() - self.last
        return silent > (TELL_SECONDS if fresh else min(1.0, self.lease / 5))

    def renewed(self) -> None:
        self.last = time.monotonic()


class _CutShortError(ABC, Exception):
    """An attempt ended without a last word."""

    @abstractmethod
    def then(self, store: Store, row: VideoRow) -> bool:
        """Decide what becomes of the video; True if it was put back into the queue."""


class _StoppedError(_CutShortError):
    def __str__(self) -> str:
        return "put back, because this worker ends"

    def then(self, store: Store, row: VideoRow) -> bool:
        return store.release(row.id, row.lease or "", counted=False)


class _TooLongError(_CutShortError):
    def __str__(self) -> str:
        return f"not judged within {self.args[0]:.0f} s"

    def then(self, store: Store, row: VideoRow) -> bool:
        failure = {
            "error": "TimeLimitError",
            "message": f"The video was not judged within {self.args[0]:.0f} seconds.",
            "hint": "Cut it, or have the operator raise the time limit (--time-limit).",
        }
        store.fail(row.id, row.lease or "", failure)
        return False


class _DiedError(_CutShortError):
    def __str__(self) -> str:
        return f"its process died ({_how(self.args[0])})"

    def then(self, store: Store, row: VideoRow) -> bool:
        if not self.args[1]:
            return store.release(row.id, row.lease or "", counted=True)
        store.fail(row.id, row.lease or "", given_up(row.attempts, f"died ({_how(self.args[0])})"))
        return False


def given_up(attempts: int, how: str) -> dict[str, str]:
    """The failure of a video that ended the process which judged it each time."""
    return {
        "error": "WorkerDiedError",
        "message": f"The process that examined the video {how}; {attempts} attempts were made.",
        "hint": "The video may be damaged in a way that the decoder does not survive, or the machine lacks memory.",
    }


def _how(status: int | None) -> str:
    if status is None or status >= 0:
        return "it ended" if status is None else f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


class Keeper:
    """Keeps a service in order; every worker runs one, and several at a time do no harm."""

    def __init__(self, settings: Settings, store: Store, folder: Folder, queue: JobQueue) -> None:
        self._settings, self._store, self._folder, self._queue = settings, store, folder, queue

    def recover(self) -> None:
        """Put back the videos of workers that fell silent, and wake workers for videos that no message names."""
        for row in self._store.expired():
            lease = row.lease or ""
            if row.attempts >= self._settings.max_attempts:
                if self._store.fail(row.id, lease, given_up(row.attempts, "fell silent")):
                    self._folder.remove_results(row.id)
                log.warning("video %s: given up after %d attempts", row.id, row.attempts)
            elif self._store.release(row.id, lease, counted=True):
                log.warning("video %s: its worker fell silent, queued again", row.id)
                self._queue.send(row.id)
        # In this order: a message that is sent after the look at the queue belongs to a row that is too young.
        queued = self._store.queued_since(time.time() - UNSENT_SECONDS)
        if queued:
            named = self._queue.messages()
            for video in queued:
                if video not in named and self._is_queued(video):
                    log.info("video %s: no message names it, sent again", video)
                    self._queue.send(video)

    def _is_queued(self, video: str) -> bool:
        row = self._store.get(video)
        return row is not None and row.state == JobState.QUEUED

    def clean(self) -> None:
        """Delete what is kept long enough, and files that no row names."""
        if self._settings.keep_days > 0:
            for video in self._store.finished_before(time.time() - 86_400 * self._settings.keep_days):
                remove(self._store, self._folder, video)
        for path in self._folder.old_uploads(self._settings.upload_seconds + 60):
            path.unlink(missing_ok=True)
        known = self._store.identifiers()
        for path in self._folder.old_results():
            if path.name not in known:
                clear(path)
        with self._folder.references():
            hashes = self._store.hashes()
            for path in self._folder.old_videos():
                if path.name not in hashes:
                    path.unlink(missing_ok=True)


def remove(store: Store, folder: Folder, video: str) -> bool:
    """Delete a video with its results; False if there is none."""
    with folder.references():
        sha256 = store.delete(video)
        if sha256 is None:
            return False
        if sha256:
            folder.video(sha256).unlink(missing_ok=True)
    folder.remove_results(video)
    return True


def run_worker(settings: Settings, slots: int, stop: threading.Event | None = None) -> None:
    """Work until SIGTERM or SIGINT, or until `stop` is set (then signals are left alone, for use in a thread).

    Args:
        slots: videos to judge at a time, each in a process of its own.

    Raises:
        ServiceError: the data folder, database or queue cannot be used.
    """
    worker = Worker(settings, slots)
    if stop is None:
        stop = worker.stop
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop.set())
    worker.run(stop)


class Worker:
    """The threads of one worker process: `slots` overseers and a keeper.

    huey's own consumer is not used: it would judge in the thread or process that holds the message, and could neither
    end a decoder that hangs nor put a video back when it is told to stop.
    """

    def __init__(self, settings: Settings, slots: int) -> None:
        self.stop = threading.Event()
        self.name = secrets.token_hex(8)
        self._settings, self._slots = settings, slots
        self._folder = Folder(settings.data)
        self._store = Store(settings.database_url)
        self._local = threading.local()
        self._queue = JobQueue(settings.queue, settings.data, self._judge)
        self._keeper = Keeper(settings, self._store, self._folder, self._queue)

    def run(self, stop: threading.Event) -> None:
        self.stop = stop
        threads = [threading.Thread(target=self._take, name=f"slot-{i}") for i in range(self._slots)]
        threads.append(threading.Thread(target=self._keep, name="keeper"))
        for thread in threads:
            thread.start()
        log.info("worker %s: %d videos at a time", self.name, self._slots)
        while not stop.wait(0.5):  # a wait without end would not let a signal's handler run
            pass
        for thread in threads:
            thread.join()
        self._patiently(lambda: self._store.leave(self.name))
        self._store.close()

    def _take(self) -> None:
        """One slot: take messages and work on them."""
        overseer = self._local.overseer = Overseer(self._settings, self._store, self._folder, self._queue, self.stop)
        try:
            while not self.stop.is_set():
                if not self._patiently(self._take_one):
                    self.stop.wait(POLL_SECONDS)
        finally:
            overseer.process.kill()

    def _take_one(self) -> bool:
        """Whether there was a message."""
        task = self._queue.huey.dequeue()
        if task is None:
            return False
        self._queue.huey.execute(task)
        return True

    def _judge(self, video: str) -> None:
        overseer: Overseer = self._local.overseer
        overseer.judge(video)

    def _keep(self) -> None:
        every = min(5.0, self._settings.lease_seconds / 4)
        cleaned = -CLEAN_SECONDS
        while True:
            self._patiently(lambda: self._store.beat(self.name, socket.gethostname(), os.getpid(), self._slots))
            self._patiently(self._keeper.recover)
            if time.monotonic() - cleaned > CLEAN_SECONDS:
                cleaned = time.monotonic()
                self._patiently(self._keeper.clean)
            if self.stop.wait(every):
                return

    def _patiently(self, step: Callable[[], object]) -> bool:
        """Whether a step did something; a fault is logged, and the worker goes on: the database may come back."""
        try:
            return bool(step())
        except Exception:
            log.exception("worker %s", self.name)
            self.stop.wait(1.0)
            return False
