"""`lrnet serve`: one web process and one worker process, started, watched and ended together.

They share only files and the database, so either can run alone on another machine.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from typing import Any, Final

from lrnet.errors import ServiceError
from lrnet.service.database import opened
from lrnet.service.folder import Folder
from lrnet.service.settings import Settings

log = logging.getLogger("lrnet.service")

LOOK_SECONDS: Final = 0.2
FIRST_PAUSE: Final = 0.5  # seconds before a worker that died is started again; doubled each time
LONGEST_PAUSE: Final = 30.0
STEADY_SECONDS: Final = 60.0  # a worker that lived so long begins again with the first pause
END_SECONDS: Final = 15.0  # how long the processes may take to end


def check(settings: Settings) -> None:
    """Open folder, database and model once, so that errors are reported before anything is started.

    Raises:
        ServiceError, MissingDependencyError: see `Folder` and `Store`.
        ModelError: there is no such model.
    """
    from lrnet.network.registry import load_model

    Folder(settings.data)
    with opened(settings.database_url):
        pass
    load_model(settings.model)


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes any free one.

    Raises:
        ServiceError: the address is taken, or does not belong to this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Named as TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for the client.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(512)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServiceError(
            f"Cannot listen at {host} port {port} ({reason}).", hint="Choose another with --host and --port."
        ) from error
    return found


def run_web(settings: Settings, listener: socket.socket) -> None:
    """Answer requests until SIGTERM or SIGINT."""
    import uvicorn

    from lrnet.service.web import create_app

    server: uvicorn.Server | None = None
    app = create_app(settings, lambda: server is not None and server.should_exit)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        limit_concurrency=500,
        h11_max_incomplete_event_size=32 * 1024,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])


def serve(settings: Settings, listener: socket.socket, slots: int, ready: Callable[[], None] = lambda: None) -> None:
    """Run web process and worker until SIGTERM or SIGINT.

    Args:
        listener: see `listening`.
        slots: videos to judge at a time; 0 leaves that to workers elsewhere.
        ready: called when both are started.

    Raises:
        ServiceError: the web process died.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    web = _start(_web_process, settings, listener)
    worker = Kept(lambda: _start(_worker_process, settings, slots)) if slots else None
    try:
        ready()
        while not stop.is_set():
            if not web.is_alive():
                raise ServiceError(
                    f"The web process ended by itself (exit status {web.exitcode}).", hint="See what it printed above."
                )
            if worker is not None:
                worker.look()
            stop.wait(LOOK_SECONDS)
    finally:
        _end([web, *([worker.process] if worker is not None else [])])


class Kept:
    """A worker process that is started again when it dies, with longer and longer pauses."""

    def __init__(self, start: Callable[[], BaseProcess]) -> None:
        self._start = start
        self._pause = FIRST_PAUSE
        self._again: float | None = None
        self._began = time.monotonic()
        self.process = start()

    def look(self) -> None:
        """Start the process again if it is dead and the pause is over."""
        now = time.monotonic()
        if self._again is not None:
            if now >= self._again:
                self._again, self._began = None, now
                self.process = self._start()
        elif not self.process.is_alive():
            pause = FIRST_PAUSE if now - self._began > STEADY_SECONDS else self._pause
            self._again, self._pause = now + pause, min(2 * pause, LONGEST_PAUSE)
            log.error("the worker died (exit status %s); it starts again in %.1f s", self.process.exitcode, pause)


def _start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    # Spawned, not forked: threads and database connections do not survive a fork.
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    return process


def _web_process(settings: Settings, listener: socket.socket) -> None:
    log_to_stderr(settings.log_format)
    _end_with_parent()
    run_web(settings, listener)


def _worker_process(settings: Settings, slots: int) -> None:
    from lrnet.service.worker import run_worker

    log_to_stderr(settings.log_format)
    _end_with_parent()
    run_worker(settings, slots)


def _end_with_parent() -> None:
    """End this process in good order when the supervisor has died."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True, name="parent").start()


def _end(processes: list[BaseProcess]) -> None:
    for process in processes:
        if process.is_alive():
            with suppress(ProcessLookupError):
                process.terminate()
    ends = time.monotonic() + END_SECONDS
    for process in processes:
        process.join(max(0.1, ends - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join(5)


def log_to_stderr(style: str = "text") -> None:
    """Log to standard error, one line an event; names of files are not logged.

    Args:
        style: "text" or "json".
    """
    logging.basicConfig(level=logging.WARNING, force=True)
    logging.getLogger().handlers[0].setFormatter(_JsonLines() if style == "json" else _TextLines())
    logging.getLogger("lrnet.service").setLevel(logging.INFO)


def _further(record: logging.LogRecord) -> dict[str, str]:
    """What an event has beside its message."""
    return {name: getattr(record, name) for name in ("request", "who", "address") if hasattr(record, name)}


class _TextLines(logging.Formatter):
    """Lines of text: time, level, logger, message, and what the event has besides."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return " ".join([super().formatMessage(record), *(f"{k}={v}" for k, v in _further(record).items() if v)])


class _JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and what the event has besides."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _further(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)
