"""The queue: messages that name a video, from the web process to the workers (huey; SQLite or Redis).

A message only wakes a worker up. What is to be done stands in the store, and a message that is lost or comes twice does
no harm: see `worker.Keeper`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from huey import Huey, RedisHuey, SqliteHuey
from huey.registry import Message
from huey.serializer import Serializer

from lrnet.errors import MissingDependencyError, ServiceError
from lrnet.extras import install_command

NAME: Final = "lrnet"
TASK: Final = "judge"


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON. huey's own are pickles, which run whatever somebody who can write to the queue puts in."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data._asdict() if isinstance(data, Message) else data).encode()

    def _deserialize(self, data: bytes) -> Any:
        value = json.loads(bytes(data))
        return Message(**value) if isinstance(value, dict) and "name" in value else value


class JobQueue:
    """The queue of one service.

    Args:
        url: `redis://…`; empty for an SQLite file in `folder`.
        folder: the data folder.
        judge: what a message makes a worker do with the video it names; None for a process that only sends.

    Raises:
        ServiceError: the queue cannot be reached.
        MissingDependencyError: Redis is wanted, and its driver is not installed.
    """

    def __init__(self, url: str, folder: Path, judge: Callable[[str], None] | None = None) -> None:
        self.huey = _huey(url, folder)

        # Wrapped here, so that the task has one name whoever sends and whoever works.
        def task(video: str) -> None:
            (judge or _nobody)(video)

        self._send = self.huey.task(name=TASK)(task)
        try:
            self.huey.pending_count()
        except Exception as error:  # each storage raises its own
            raise ServiceError(
                f"The queue cannot be reached ({error}).", hint="Check the address given with --queue."
            ) from error

    def send(self, video: str) -> None:
        """Wake a worker up for a video."""
        self._send(video)

    def messages(self) -> set[str]:
        """The videos that messages in the queue name."""
        return {task.args[0] for task in self.huey.pending()}

    def __len__(self) -> int:
        return int(self.huey.pending_count())


def _nobody(video: str) -> None:
    raise RuntimeError(f"This process sends messages and does not work on them: {video}")


def _huey(url: str, folder: Path) -> Huey:
    options = {"results": False, "serializer": JsonSerializer()}
    if not url:
        return SqliteHuey(NAME, filename=str(folder / "queue.sqlite3"), timeout=15, **options)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise ServiceError("The address of the queue is not one of Redis.", hint="Write it like redis://host:6379/0.")
    try:
        return RedisHuey(NAME, url=url, **options)
    except ImportError as error:
        raise MissingDependencyError(
            "A queue in Redis needs the package redis, which is not installed.",
            hint=f"Install it: {install_command('service', 'redis')}",
        ) from error
    except ValueError as error:
        raise ServiceError(
            f"The address of the queue is wrong ({error}).", hint="Write it like redis://host:6379/0."
        ) from error
