"""Receiving a video: written to the disk as it comes, bounded in size and time, and hashed."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from typing import Final

from anyio.to_thread import run_sync

from lrnet.service.folder import Folder, Incoming
from lrnet.service.settings import Settings

SPARE: Final = 512 * 1024 * 1024  # bytes of the disk that uploads leave free
PIECE: Final = 1024 * 1024  # bytes that are written at a time


class RefusedError(Exception):
    """A request that is refused: HTTP status, a word for programs, what happened, what to do."""

    def __init__(self, status: int, error: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message, self.hint = status, error, message, hint


def check_type(content_type: str) -> None:
    """Refuse the types that a form on any page can send without this service's consent."""
    kind = content_type.partition(";")[0].strip().casefold()
    if kind and kind != "application/octet-stream" and not kind.startswith("video/"):
        raise RefusedError(
            415,
            "unsupported_type",
            "The body must be the video itself.",
            "Send the file's bytes as application/octet-stream or video/…, for example: curl -T clip.mp4 -X POST URL",
        )


class Room:
    """The room on the disk, with what uploads that are under way have still to write."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._owed: dict[object, int] = {}

    def take(self, upload: object, size: int) -> None:
        """Set bytes aside for an upload.

        Raises:
            RefusedError: then less than `SPARE` would be left free.
        """
        if self._folder.free() - sum(self._owed.values()) - size < SPARE:
            raise no_room()
        self._owed[upload] = size

    def check(self, upload: object, size: int) -> None:
        """Look before an upload writes bytes; something else may have filled the disk.

        Raises:
            RefusedError: then less than `SPARE` would be left free.
        """
        owed = self._owed.copy()  # uploads begin and end on other threads
        others = sum(owed.values()) - owed.get(upload, 0)
        if self._folder.free() - others - size < SPARE:
            raise no_room()
        self._owed[upload] = max(0, self._owed.get(upload, 0) - size)

    def leave(self, upload: object) -> None:
        """An upload has ended."""
        self._owed.pop(upload, None)


async def receive(
    body: AsyncIterator[bytes], declared: int | None, settings: Settings, folder: Folder, room: Room
) -> Incoming:
    """Write a body to the disk. The caller places or discards it.

    Args:
        declared: size of the body, if it is known beforehand.

    Raises:
        RefusedError: it is empty, too large or too slow, or the disk is full.
    """
    if declared is not None and declared > settings.max_upload:
        raise _too_large(settings.max_upload)
    incoming = await run_sync(folder.receive)
    try:
        await append(incoming, body, declared, settings.max_upload, settings, room)
        if not incoming.size:
            raise RefusedError(400, "empty", "The file is empty.", "Choose another file: this one has 0 bytes.")
        await run_sync(incoming.close)
    except BaseException:
        incoming.discard()
        raise
    return incoming


async def append(
    incoming: Incoming, body: AsyncIterator[bytes], declared: int | None, most: int, settings: Settings, room: Room
) -> None:
    """Write a body to the end of a file, in whole pieces: what came before a break is kept.

    Args:
        most: bytes that the file may have then.

    Raises:
        RefusedError: the body is too large or too slow, or the disk is full.
    """
    room.take(incoming, declared or 0)
    pieces = bytearray()
    chunks = aiter(body)
    try:
        async with asyncio.timeout(settings.upload_seconds):
            while True:
                async with asyncio.timeout(settings.upload_idle_seconds):
                    chunk = await anext(chunks, None)
                pieces += chunk or b""
                if incoming.size + len(pieces) > most:
                    raise _too_large(most)
                if len(pieces) >= PIECE or chunk is None:
                    room.check(incoming, len(pieces))
                    await run_sync(incoming.write, bytes(pieces))
                    pieces.clear()
                if chunk is None:
                    return
    except TimeoutError as error:
        raise RefusedError(
            408, "too_slow", "The upload took too long, or stood still.", "Send it again over a faster connection."
        ) from error
    finally:
        room.leave(incoming)


def is_full(error: Exception) -> bool:
    """Whether an error, or the one that it was raised from, says that the disk is full."""
    return any(getattr(e, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for e in (error, error.__cause__))


def no_room() -> RefusedError:
    """The refusal of an upload for which the disk has no room."""
    return RefusedError(507, "disk_full", "There is no room for the video.", "Delete videos, or ask the operator.")


def _too_large(most: int) -> RefusedError:
    limit = f"{most / 1e6:.0f} MB" if most >= 1e7 else f"{most} bytes"
    return RefusedError(
        413, "too_large", f"A video may have up to {limit}.", "Cut the video, or have the limit raised."
    )
