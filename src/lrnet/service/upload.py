"""A video on its way in: streamed to the disk, bounded in size and time, hashed as it comes."""

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
    """A request that cannot be done: HTTP status, a word for programs, what happened, what to do."""

    def __init__(self, status: int, error: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message, self.hint = status, error, message, hint


def check_type(content_type: str) -> None:
    """Refuse the types that a form on any page can send: they would need no consent of this service."""
    kind = content_type.partition(";")[0].strip().casefold()
    if kind and kind != "application/octet-stream" and not kind.startswith("video/"):
        raise RefusedError(
            415,
            "unsupported_type",
            "The body is to be the video itself.",
            "Send the file's bytes as application/octet-stream or video/…, for example: curl -T clip.mp4 -X POST URL",
        )


def check_size(declared: int | None, settings: Settings, folder: Folder) -> None:
    """Refuse before the body what is known to be too large."""
    if declared is not None and declared > settings.max_upload:
        raise _too_large(settings)
    if folder.free() < SPARE + (declared or 0):
        raise _no_room()


async def receive(body: AsyncIterator[bytes], settings: Settings, folder: Folder) -> Incoming:
    """Write a body to the disk. The caller places or discards it.

    Raises:
        RefusedError: it is empty, too large or too slow, or the disk is full.
    """
    incoming = await run_sync(folder.receive)
    try:
        async with asyncio.timeout(settings.upload_seconds):
            await _write(body, incoming, settings)
        if not incoming.size:
            raise RefusedError(400, "empty", "The body is empty.", "Send the video's bytes as the body.")
        await run_sync(incoming.close)
    except TimeoutError as error:
        await run_sync(incoming.discard)
        raise RefusedError(
            408, "too_slow", "The upload took too long, or stood still.", "Send it again over a faster connection."
        ) from error
    except BaseException as error:
        incoming.discard()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # filled up meanwhile
            raise _no_room() from error
        raise
    return incoming


async def _write(body: AsyncIterator[bytes], incoming: Incoming, settings: Settings) -> None:
    pieces = bytearray()
    chunks = aiter(body)
    while True:
        async with asyncio.timeout(settings.upload_idle_seconds):
            chunk = await anext(chunks, None)
        if chunk is not None:
            pieces += chunk
        if incoming.size + len(pieces) > settings.max_upload:
            raise _too_large(settings)
        if len(pieces) >= PIECE or chunk is None:
            await run_sync(incoming.write, bytes(pieces))
            pieces.clear()
        if chunk is None:
            return


def _no_room() -> RefusedError:
    return RefusedError(507, "disk_full", "There is no room for the video.", "Delete videos, or ask the operator.")


def _too_large(settings: Settings) -> RefusedError:
    megabytes = settings.max_upload / 1e6
    return RefusedError(
        413, "too_large", f"Videos may have up to {megabytes:.0f} MB.", "Cut the video, or have the limit raised."
    )
