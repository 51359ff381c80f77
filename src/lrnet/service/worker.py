"""A worker: takes videos from the queue, has them judged, and keeps the service in order.

A worker that dies stops renewing its leases. A `Keeper`, which every worker and every web process runs, puts its videos
back at the front of the queue when their leases have run out, or gives them up after `Settings.max_attempts`. A worker
that was only slow finds that its lease is lost and discards its result.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lrnet.machine import end_of
from lrnet.service.database import Store
from lrnet.service.folder import BUNDLE, OVERLAY, REPORT, Folder
from lrnet.service.rows import Finding, JobState, VideoRow
from lrnet.service.schema import Summary
from lrnet.service.settings import Settings
from lrnet.service.work import Job, JobProcess
from lrnet.verdict import State

log = logging.getLogger("lrnet.service.worker")

LISTEN_SECONDS: Final = 0.25  # how long a look into the pipe waits
TELL_SECONDS: Final = 0.5  # progress is stored at most this often
POLL_SECONDS: Final = 0.5  # how long an idle slot waits before it looks into the queue again
CLEAN_SECONDS: Final = 600.0  # between two rounds of deleting what is old
ALIVE_SECONDS: Final = 30.0  # a worker that was heard of within this time counts as alive
# The database does not answer, its disk is full, or PostgreSQL may only be read (InternalError).
AWAY: Final = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)

T = TypeVar("T")


class Overseer:
    """Judges one video after another; each slot of a worker has one, on its own thread."""

    def __init__(self, settings: Settings, store: Store, folder: Folder, stop: threading.Event) -> None:
        self._settings, self._store, self._folder, self._stop = settings, store, folder, stop
        self.process = JobProcess(settings.model, settings.access)

    def judge_next(self) -> bool:
        """Take the oldest queued video and see it through to a result, a failure, or back into the queue.

        Returns:
            False if no video is queued.
        """
        row = self._store.claim(self._settings.lease_seconds)
        if row is None or row.lease is None:
            return False
        log.info("video %s: attempt %d", row.id, row.attempts)
        results = self._folder.result(row.id, row.lease)
        kept = False
        try:
            kept = self._end(row, row.lease, self._listen(row, row.lease, results), results)
        except BaseException:
            self.process.kill()  # it may still be at this video, and the next one must not get its messages
            raise
        finally:
            if not kept:
                shutil.rmtree(results, ignore_errors=True)
        now = self._patiently(lambda: self._store.get(row.id))
        if now is None or now.state in (JobState.FAILED, JobState.CANCELLED):
            self._folder.remove_results(row.id)
        return True

    def _listen(self, row: VideoRow, lease: str, results: Path) -> _End:
        """Give the video to the process, and wait for the end of the attempt."""
        job = Job(
            str(self._folder.video(row.sha256).absolute()),
            row.name,
            str(results.absolute()),
            self._settings.overlay,
            self._settings.pdf,
            row.case or "",
            row.examiner or "",
            row.notes or "",
            lease,
        )
        watch = Watch.start(self._settings)
        progress: dict[str, Any] | None = None
        finding: dict[str, Any] | None = None
        try:
            self.process.give(job)
            while True:
                message = self.process.hear(LISTEN_SECONDS)
                kind = message.pop("kind", "") if message else ""
                if kind == "failure":
                    return _End("found", finding) if finding else _End("failed", message)
                if kind == "finding":
                    finding = message
                elif kind == "extras" and finding is not None and message is not None:
                    return _End("found", {**finding, **message})
                elif kind == "progress":
                    progress = message
                if self._stop.is_set():
                    self.process.kill()
                    return _End("stopped")
                if watch.over:
                    self.process.kill()
                    return _End("found" if finding else "too long", finding)
                if watch.due(kind == "progress") and not self._renew(row.id, lease, progress, watch):
                    self.process.kill()
                    return _End("lost")
        except (EOFError, OSError):
            status = self.process.kill()
            how = "it ended" if status is None else end_of(status)
            return _End("found", finding) if finding else _End(f"died ({how})")

    def _renew(self, video: str, lease: str, progress: dict[str, Any] | None, watch: Watch) -> bool:
        """Whether the video is still this worker's.

        While the database is away no other worker can take the video, so the work goes on.
        """
        try:
            held = self._store.renew(video, lease, self._settings.lease_seconds, progress)
        except AWAY as error:
            log.warning("video %s: the lease could not be renewed (%s)", video, type(error).__name__)
            held = True
        watch.renewed()
        return held

    def _end(self, row: VideoRow, lease: str, end: _End, results: Path) -> bool:
        """Store how the attempt ended. Returns whether there is a result whose folder is to be kept."""
        if end.how == "found":
            finding = self._checked(end.message or {}, row.sha256, results)
            if finding is not None:
                stored = self._patiently(lambda: self._store.finish(row.id, lease, finding))
                log.info("video %s: %s", row.id, finding.verdict if stored else "its lease was lost")
                if stored:
                    self._folder.remove_results(row.id, keep=lease)
                return stored
            self.process.kill()
            end = _End("sent an invalid result")
        log.info("video %s: %s", row.id, (end.message or {}).get("error", end.how))
        if end.how == "lost":
            return False
        if end.how == "stopped":
            self._patiently(lambda: self._store.release(row.id, lease, counted=False))
            return False
        if end.how == "failed":
            failure = {key: str((end.message or {}).get(key, "")) for key in ("error", "message", "hint")}
        elif end.how == "too long":
            failure = {
                "error": "TimeLimitError",
                "message": f"The video was not judged within {self._settings.time_limit:.0f} seconds.",
                "hint": "Cut it, or have the operator raise the time limit (--time-limit).",
            }
        elif row.attempts < self._settings.max_attempts:
            self._patiently(lambda: self._store.release(row.id, lease, counted=True))
            return False
        else:
            failure = given_up(row.attempts, end.how)
        self._patiently(lambda: self._store.fail(row.id, lease, failure))
        return False

    def _checked(self, message: dict[str, Any], sha256: str, results: Path) -> Finding | None:
        """The finding of a message; None if it is invalid, or on another file than that with the hash.

        Report and annotated video are there, or said to be not.
        """
        try:
            finding = _FINDING.validate_python(message)
            State(finding.verdict)
            Summary.model_validate(finding.summary)
            if json.loads(finding.document)["video"]["sha256"] != sha256:
                return None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        wanted = (REPORT, BUNDLE, OVERLAY) if self._settings.overlay else (REPORT, BUNDLE)
        for name in wanted:
            if not (results / name).is_file():
                finding.extras_failed.setdefault(name, "The work ended before it was made.")
        return finding

    def _patiently(self, step: Callable[[], T]) -> T:
        """`patiently`. Every step names the lease: it changes nothing if another worker has the video meanwhile."""
        return patiently(step, self._stop.is_set)


def patiently(step: Callable[[], T], ending: Callable[[], bool]) -> T:
    """Do something with the database, and wait for it while it is away, unless the work ends.

    What was found is not lost then. A step may be tried again although it was done: only the answer was lost.
    """
    while True:
        try:
            return step()
        except AWAY as error:
            if ending():
                raise
            log.warning("the database does not answer (%s); waiting", type(error).__name__)
            time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class _End:
    """How an attempt ended: "found" or "failed", with a message; "lost", "stopped", "too long", or how it died."""

    how: str
    message: dict[str, Any] | None = None


_FINDING: Final = TypeAdapter(Finding)


@dataclass(slots=True)
class Watch:
    """When the time for a video is over, and when the lease is to be renewed."""

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

    def due(self, fresh: bool) -> bool:
        """Whether to write now; `fresh` says that there is new progress."""
        silent = time.monotonic() - self.last
        return silent > (TELL_SECONDS if fresh else min(1.0, self.lease / 5))

    def renewed(self) -> None:
        self.last = time.monotonic()


def given_up(attempts: int, how: str) -> dict[str, str]:
    """The failure of a video that ended the process which judged it each time."""
    return {
        "error": "WorkerDiedError",
        "message": f"The process that examined the video {how}; {attempts} attempts were made.",
        "hint": "The video may be damaged in a way that the decoder does not survive, or the machine lacks memory.",
    }


class Keeper:
    """Keeps a service in order; several may run at a time."""

    def __init__(self, settings: Settings, store: Store, folder: Folder) -> None:
        self._settings, self._store, self._folder = settings, store, folder
        self._cleaned = -CLEAN_SECONDS

    def look(self) -> None:
        """Do what is due."""
        self.recover()
        if time.monotonic() - self._cleaned > CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            self.clean()

    def recover(self) -> None:
        """Put back the videos of workers that fell silent."""
        for row in self._store.expired():
            lease = row.lease or ""
            if row.attempts >= self._settings.max_attempts:
                if self._store.fail(row.id, lease, given_up(row.attempts, "fell silent")):
                    self._folder.remove_results(row.id)
                log.warning("video %s: given up after %d attempts", row.id, row.attempts)
            elif self._store.release(row.id, lease, counted=True):
                log.warning("video %s: its worker fell silent, queued again", row.id)

    def clean(self) -> None:
        """Delete videos that were kept long enough, and files that no row names."""
        if self._settings.keep_days > 0:
            for video in self._store.finished_before(86_400 * self._settings.keep_days):
                if remove(self._store, self._folder, video):
                    self._store.note("", "expire", video, "")
        for path in self._folder.old_uploads(self._settings.upload_seconds + 60):
            path.unlink(missing_ok=True)
        attempts = self._store.attempts()
        for path in self._folder.old_results():
            if path.name not in attempts:
                shutil.rmtree(path, ignore_errors=True)
            elif (counts := attempts[path.name]) is not None:  # a worker that lost its lease may have been killed too
                self._folder.remove_results(path.name, keep=counts)
        with self._folder.references():
            hashes = self._store.hashes()
            for path in self._folder.old_videos():
                if path.name not in hashes:
                    path.unlink(missing_ok=True)

    @property
    def every(self) -> float:
        """Seconds between two looks."""
        return min(5.0, self._settings.lease_seconds / 4)


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
        slots: videos to judge at a time, each in a separate process.

    Raises:
        ServiceError: the data folder or the database cannot be used.
    """
    worker = Worker(settings, slots)
    if stop is None:
        stop = worker.stop
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop.set())
    worker.run(stop)


class Worker:
    """The threads of one worker process: `slots` overseers and a keeper."""

    def __init__(self, settings: Settings, slots: int) -> None:
        self.stop = threading.Event()
        self.name = secrets.token_hex(8)
        self._settings, self._slots = settings, slots
        self._folder = Folder(settings.data)
        self._store = Store(settings.database_url)
        self._keeper = Keeper(settings, self._store, self._folder)

    def run(self, stop: threading.Event) -> None:
        self.stop = stop
        threads = [threading.Thread(target=self._take, name=f"slot-{i}") for i in range(self._slots)]
        threads.append(threading.Thread(target=self._keep, name="keeper"))
        for thread in threads:
            thread.start()
        log.info("worker %s: %d videos at a time", self.name, self._slots)
        while not stop.wait(0.5):  # signals are handled between two waits
            pass
        for thread in threads:
            thread.join()
        self._attempt(lambda: self._store.leave(self.name))
        self._store.close()

    def _take(self) -> None:
        overseer = Overseer(self._settings, self._store, self._folder, self.stop)
        try:
            while not self.stop.is_set():
                if not self._attempt(overseer.judge_next):
                    self.stop.wait(POLL_SECONDS)
        finally:
            overseer.process.kill()

    def _keep(self) -> None:
        while True:
            self._attempt(lambda: self._store.beat(self.name, socket.gethostname(), os.getpid(), self._slots))
            self._attempt(self._keeper.look)
            if self.stop.wait(self._keeper.every):
                return

    def _attempt(self, step: Callable[[], object]) -> bool:
        """Whether a step did something. An error is logged, and the worker goes on: the database may come back."""
        try:
            return bool(step())
        except AWAY as error:
            log.warning("worker %s: the database does not answer (%s)", self.name, type(error).__name__)
        except Exception:
            log.exception("worker %s", self.name)
        self.stop.wait(1.0)
        return False
