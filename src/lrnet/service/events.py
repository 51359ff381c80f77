"""Server-sent events of one video, and of all videos.

Both look at the database at intervals, because a worker may run on another machine.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from anyio.to_thread import run_sync

from lrnet.service import schema
from lrnet.service.database import Store
from lrnet.service.rows import UNFINISHED, JobState, VideoRow

LOOK_SECONDS: Final = 0.4
SILENCE_SECONDS: Final = 15.0  # after so long a comment is sent, so that no proxy closes the connection
MAX_WATCHED: Final = 2000  # unfinished videos in the stream of all, the oldest first


def of_event(name: str, data: Any, number: int | None = None) -> bytes:
    """One event in the wire's format."""
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()


async def one_video(store: Store, video: str, ending: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The events of one video, from now until it is finished or deleted.

    `state` carries the whole `Video`; `decode`, `faces` and `clips` carry news of a running one; `deleted` its
    identifier. A client that connects late or again gets the state again, and the latest clips.

    Args:
        ending: whether the service is shutting down.
    """
    known = _Known()
    async for _ in _looks(ending):
        row = await run_sync(store.get, video)
        if row is None:
            yield of_event("deleted", {"id": video})
            return
        for event in known.news(row):
            yield event
        if row.state not in UNFINISHED:
            return
        if known.silent():
            yield b": still here\n\n"


async def all_videos(store: Store, ending: Callable[[], bool]) -> AsyncIterator[bytes]:
    """`video` for every video that changes, `deleted` for every unfinished one that is deleted. Does not end.

    Begins with a comment once it watches: every change after that is reported, of the `MAX_WATCHED` oldest unfinished.
    """
    known: dict[str, int] = {}
    silence = 0.0
    seen = await run_sync(store.newest)
    watching = False
    async for _ in _looks(ending):
        newest = await run_sync(store.newest)
        # A video that comes and is finished between two looks is never seen unfinished.
        rows, gone = await run_sync(store.changed, dict(known), MAX_WATCHED, seen)
        seen = newest
        if not watching:
            watching = True
            yield b": watching\n\n"
        for row in rows:
            yield of_event("video", schema.video(row, clips=False).model_dump_json())
            known[row.id] = row.revision
            if row.state not in UNFINISHED:
                del known[row.id]
        for video in gone:
            yield of_event("deleted", {"id": video})
            del known[video]
        silence = 0.0 if rows or gone else silence + LOOK_SECONDS
        if silence >= SILENCE_SECONDS:
            yield b": still here\n\n"
            silence = 0.0


async def _looks(ending: Callable[[], bool]) -> AsyncIterator[None]:
    while not ending():
        yield
        await asyncio.sleep(LOOK_SECONDS)


@dataclass(slots=True)
class _Known:
    """The state that a client of one video's events was sent last."""

    state: tuple[JobState, int] | None = None
    decode: dict[str, Any] = field(default_factory=dict)
    faces: int = -1
    clips: int = 0
    silence: float = 0.0

    def news(self, row: VideoRow) -> list[bytes]:
        found: list[bytes] = []
        if (row.state, row.attempts) != self.state:
            self.state = (row.state, row.attempts)
            self.decode, self.faces, self.clips = {}, -1, 0
            found.append(of_event("state", schema.video(row).model_dump_json(), row.revision))
        progress = schema.progress(row)
        if progress is not None:
            found += self._of_progress(progress, row.revision)
        self.silence = 0.0 if found else self.silence + LOOK_SECONDS
        return found

    def _of_progress(self, now: schema.Progress, revision: int) -> list[bytes]:
        found: list[bytes] = []
        decode = now.model_dump(include={"stage", "frames", "time", "duration"})
        if decode != self.decode:
            self.decode = decode
            found.append(of_event("decode", decode, revision))
        if now.faces != self.faces:
            self.faces = now.faces
            found.append(of_event("faces", {"faces": now.faces}, revision))
        if now.clips > self.clips:
            # Those scored since the last look; the oldest are missing if there were more than a row holds.
            new = now.scored[-(now.clips - self.clips) :]
            self.clips = now.clips
            found.append(of_event("clips", {"clips": now.clips, "scored": [c.model_dump() for c in new]}, revision))
        return found

    def silent(self) -> bool:
        """Whether it is time for a comment."""
        if self.silence < SILENCE_SECONDS:
            return False
        self.silence = 0.0
        return True
