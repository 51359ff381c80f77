"""Watch a call from the page: what the browser records comes in, and what `lrnet watch` says of it goes back.

The answer to `POST /watch` lasts as long as the watch: an event a line, as JSON. `PATCH /watch/{id}` brings the next
bytes of the recording, and `POST /watch/{id}/stop` ends it. A client that closes the answer ends the watch too. These
are ordinary requests, so that hosts, origins, tokens and roles are checked as for an upload.

The bytes are decoded in a process of their own, `lrnet watch -`, which may write no file and has bounded memory. They
touch the disk only if the recording is kept; then it becomes a video like any that is handed in.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import Annotated, Any, Final

from anyio import CancelScope
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lrnet.service.api import Service, name_of
from lrnet.service.folder import Incoming
from lrnet.service.guard import UNLOGGED
from lrnet.service.rows import Given
from lrnet.service.settings import Settings
from lrnet.service.upload import RefusedError, append, check_type
from lrnet.service.videos import Name, enter, full_key, given_of, refuse_if_full
from lrnet.service.work import display_name
from lrnet.service.worker import patiently
from lrnet.video.limits import Limits

LONGEST: Final = 2 * 3600.0  # seconds of one watch
SILENCE: Final = 150.0  # seconds without a request; a browser lets a hidden page send one a minute
STALL: Final = 10.0  # seconds between two pieces of one request
FINISHING: Final = 15.0  # seconds for what waits to be judged when the recording has ended
GRACE: Final = 0.5  # seconds for the process to end by itself before it is killed
MEMORY: Final = 3 * 1024**3  # bytes of private memory that the process may take; it needs a tenth
LONGEST_LINE: Final = 256 * 1024  # bytes; an event on eight faces has 3 kB
PASSED_ON: Final = frozenset({"ready", "verdict", "error"})


def add_watch(app: FastAPI, service: Service) -> None:
    """Watching a call; one at a time, because it takes most of two cores. Not part of the API: `lrnet watch` is."""
    running: list[Watch] = []

    def found(request: Request, watch_id: str) -> Watch:
        for watch in running:
            if watch.id == watch_id and watch.owner == name_of(request):
                return watch
        raise RefusedError(404, "unknown_watch", "The watch is over.", "Begin another.")

    @app.post("/watch", include_in_schema=False)
    async def begin(
        request: Request, given: Annotated[Given, Depends(given_of)], keep: bool = False, name: Name = "call.webm"
    ) -> StreamingResponse:
        if running:
            hint = "A service watches one at a time: stop the other watch first."
            raise RefusedError(409, "watching", "Another call is being watched.", hint)
        watch = Watch(service, request, given, display_name(name))
        running.append(watch)
        try:
            await watch.start(keep)
        except BaseException:
            running.remove(watch)
            await watch.end()
            raise
        return _Answer(watch, running)

    @app.patch("/watch/{watch_id}", status_code=204, include_in_schema=False)
    async def take(request: Request, watch_id: str) -> None:
        check_type(request.headers.get("content-type", ""))
        await found(request, watch_id).take(request.stream())
        request.scope[UNLOGGED] = True  # several come each second

    @app.post("/watch/{watch_id}/stop", status_code=204, include_in_schema=False)
    async def stop(request: Request, watch_id: str) -> None:
        found(request, watch_id).stop()


class _Answer(StreamingResponse):
    """The events of a watch; however it ends, the watch ends with it."""

    def __init__(self, watch: Watch, running: list[Watch]) -> None:
        super().__init__(watch.events(), media_type="application/x-ndjson")
        self._watch, self._running = watch, running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                self._running.remove(self._watch)
                await self._watch.end()


class Watch:
    """One watch: the process that judges, and the recording if it is kept.

    Args:
        given: what is said of the recording as a video; the owner also of the watch.
        name: of the recording as a video.
    """

    def __init__(self, service: Service, request: Request, given: Given, name: str) -> None:
        self.id = secrets.token_hex(16)
        self.owner = given.owner
        self._service, self._request, self._given, self._name = service, request, given, name
        self._process: Process | None = None
        self._incoming: Incoming | None = None
        self._video: str | None = None
        self._one_part = asyncio.Lock()
        self._began = self._heard = monotonic()
        self._stopped: float | None = None
        self._why = ""

    async def start(self, keep: bool) -> None:
        """Start the process.

        Raises:
            RefusedError: the recording is to be kept, and there is no room for it.
        """
        settings = self._service.settings
        if keep:
            await run_sync(refuse_if_full, self._service)
            self._service.room.check(self, 0)
            self._service.room.leave(self)
            self._incoming = await run_sync(self._service.folder.receive)
        words = ["watch", "-", "--json", "--model", settings.model, *_limits(settings)]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-B", "-m", "lrnet", *words),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=LONGEST_LINE,
        )
        _hold_in(self._process.pid)
        await run_sync(self._service.note, self._request, "watch", None)

    async def take(self, body: AsyncIterator[bytes]) -> None:
        """Take the next bytes of the recording. If that fails, the watch ends: what came after would not fit.

        Raises:
            RefusedError: it is kept and grows too large, or there is no room on the disk.
        """
        service = self._service
        async with self._one_part:
            self._heard = monotonic()
            try:
                if self._incoming is None:
                    async for _ in self._passed(body):
                        pass
                else:
                    os.utime(self._incoming.path)  # a recording that stands still is no upload that broke off
                    most = service.settings.max_upload
                    await append(self._incoming, self._passed(body), None, most, service.settings, service.room)
            except BaseException as error:
                self._why = f"{error} {error.hint}" if isinstance(error, RefusedError) else "The recording broke off."
                self.stop()
                raise

    async def _passed(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body, given to the process piece by piece; where the process has ended, `events` says so."""
        assert self._process is not None
        assert self._process.stdin is not None
        pieces = aiter(body)
        while self._stopped is None:
            try:
                async with asyncio.timeout(STALL):
                    piece = await anext(pieces, None)
            except TimeoutError as error:
                raise RefusedError(408, "too_slow", "The recording stood still.", "Begin another watch.") from error
            if piece is None:
                return
            self._heard = monotonic()
            with suppress(ConnectionError):
                self._process.stdin.write(piece)
                await self._process.stdin.drain()
            yield piece

    def stop(self) -> None:
        """No more will come: what waits is judged, then the process ends."""
        if self._stopped is None and self._process is not None and self._process.stdin is not None:
            self._stopped = monotonic()
            self._process.stdin.close()

    async def events(self) -> AsyncIterator[bytes]:
        """The events, a line each, from the watch's identifier to its end; an empty line where a second brings none."""
        yield _line({"event": "watch", "id": self.id})
        while (line := await self._hear()) != b"" and not self._is_over():
            event = _event(line)
            yield b"\n" if event is None else _line(event)
        died = line == b"" and self._stopped is None and not self._why
        await self.end()
        why = "The process that judges has ended. Begin again." if died else self._why
        yield _line({"event": "end", "message": why, "video": self._video})

    async def _hear(self) -> bytes | None:
        """The next line of the process, b"" when it has ended, None if a second brings none."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(1.0):
                return await self._process.stdout.readline()
        except TimeoutError:
            return None
        except ValueError:  # a line that is too long: something else has taken over the process
            return b""

    def _is_over(self) -> bool:
        now = monotonic()
        if now - self._began > LONGEST:
            self._why = f"A watch lasts up to {LONGEST / 3600:g} hours. Begin another."
        elif now - self._heard > SILENCE:
            self._why = "Nothing has come for some minutes."
        elif self._service.ending():
            self._why = "The service is ended."
        else:
            return self._stopped is not None and now - self._stopped > FINISHING
        return True

    async def end(self) -> None:
        """End the process, and hand the recording in if it is kept; does nothing the second time."""
        self.stop()
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await self._process.wait()
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        async with self._one_part:
            incoming, self._incoming = self._incoming, None
            if incoming is not None:
                await run_sync(self._hand_in, incoming)

    def _hand_in(self, incoming: Incoming) -> None:
        try:
            if incoming.size:
                incoming.close()
                service, key = self._service, full_key(self.owner, self.id)  # with a key, trying again is harmless
                row, _ = patiently(lambda: enter(service, incoming, self._name, self._given, key), service.ending)
                self._video = row.id
                patiently(lambda: service.note(self._request, "submit", row.id), service.ending)
        finally:
            incoming.discard()


def _limits(settings: Settings) -> list[str]:
    """Options for the limits that differ from the default."""
    usual = Limits().numbers()
    return [f"--limit={name}={n!r}" for name, n in settings.access.limits.numbers().items() if n != usual[name]]


def _hold_in(process: int) -> None:
    """Bound what a process may take and write, where the system can."""
    with suppress(ImportError, AttributeError, OSError):  # Linux; a process that is gone already
        import resource

        resource.prlimit(process, resource.RLIMIT_FSIZE, (0, 0))
        resource.prlimit(process, resource.RLIMIT_CORE, (0, 0))
        resource.prlimit(process, resource.RLIMIT_DATA, (MEMORY, MEMORY))


def _event(line: bytes | None) -> dict[str, Any] | None:
    """An event of the process; None for a line that is not passed on."""
    try:
        event = json.loads(line or b"")
        return event if event["event"] in PASSED_ON else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"
