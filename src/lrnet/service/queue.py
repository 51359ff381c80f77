"""The queue: a worker claims videos, keeps them by a lease, and stores what came of them.

A worker *claims* the oldest queued row and gets a lease: a random word, and a time until which the row is its own. It
renews the lease while it works. Every later write of that worker names the word, so a worker that was silent for too
long, and whose video another one took, can change nothing any more: a video has one result, whichever worker dies.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from lrnet.errors import ServiceError
from lrnet.service.rows import SHOWN, Finding, JobState, VideoRow, to_row
from lrnet.service.tables import counters, create, now, open_engine, videos, workers


class Queue:
    """The database as a worker uses it. Safe to share between threads.

    Args:
        url: SQLAlchemy address.

    Raises:
        ServiceError: it cannot be reached, or was made by another version of lrnet.
        MissingDependencyError: its driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        try:
            with self._engine.begin() as connection:
                create(connection)
        except SQLAlchemyError as error:
            raise ServiceError(
                f"The database {self._engine.url.render_as_string()} cannot be used ({_reason(error)}).",
                hint="Check the address given with --database, and that the server runs.",
            ) from error

    def close(self) -> None:
        self._engine.dispose()

    def claim(self, lease_seconds: float) -> VideoRow | None:
        """Take the oldest queued video; None if none is queued.

        A video that was put back keeps its number, so it is the next one.
        """
        oldest = select(videos.c.number).where(videos.c.state == JobState.QUEUED).order_by(videos.c.number).limit(1)
        if self._scalar(oldest) is None:  # an UPDATE that finds nothing would still make SQLite's other writers wait
            return None
        claim = (
            update(videos)
            .where(videos.c.number == oldest.with_for_update(skip_locked=True).scalar_subquery())
            .values(
                state=JobState.RUNNING,
                lease=secrets.token_hex(16),
                lease_until=now() + lease_seconds,
                started=now(),
                attempts=videos.c.attempts + 1,
                progress=None,
                revision=videos.c.revision + 1,
            )
            .returning(*SHOWN)
        )
        with self._engine.begin() as connection:
            row = connection.execute(claim).one_or_none()
        return None if row is None else to_row(row)

    def renew(self, video: str, lease: str, lease_seconds: float, progress: dict[str, Any] | None) -> bool:
        """Keep a video for longer and store its progress; False if it is no longer this worker's."""
        return self._change(*_held(video, lease), lease_until=now() + lease_seconds, progress=json.dumps(progress))

    def finish(self, video: str, lease: str, finding: Finding) -> bool:
        """Store what was found; False if the video is no longer this worker's, and then nothing is stored."""
        with self._engine.begin() as connection:
            row = connection.execute(
                _ended(video, lease, JobState.DONE)
                .values(
                    verdict=finding.verdict,
                    probability=finding.probability,
                    held_back=finding.held_back,
                    score=finding.score,
                    faces=finding.faces,
                    model=finding.model,
                    summary=json.dumps(finding.summary),
                    document=finding.document,
                    extras_failed=json.dumps(finding.extras_failed) if finding.extras_failed else None,
                    attempt=lease,
                )
                .returning(videos.c.finished - videos.c.started)
            ).one_or_none()
            if row is None:
                return False
            _count(connection, f"verdict_{finding.verdict}", 1)
            _count(connection, "judging_seconds", row[0])
        return True

    def fail(self, video: str, lease: str, failure: Mapping[str, str]) -> bool:
        """Store why a video could not be judged; False if it is no longer this worker's."""
        with self._engine.begin() as connection:
            done = connection.execute(
                _ended(video, lease, JobState.FAILED).values(failure=json.dumps(dict(failure)))
            ).rowcount
            if done:
                _count(connection, "failed", 1)
        return bool(done)

    def release(self, video: str, lease: str, *, counted: bool) -> bool:
        """Put a video back into the queue, where it is the next one; `counted` says whether the attempt counts."""
        change: dict[str, Any] = {"state": JobState.QUEUED, **NO_LEASE, "progress": None}
        if not counted:
            change["attempts"] = videos.c.attempts - 1
        return self._change(*_held(video, lease), **change)

    def beat(self, worker: str, host: str, pid: int, slots: int) -> None:
        """Note that a worker process is alive; those that have been silent for a day are forgotten."""
        with self._engine.begin() as connection:
            known = connection.execute(update(workers).where(workers.c.id == worker).values(seen=now())).rowcount
            if not known:
                connection.execute(insert(workers).values(id=worker, host=host, pid=pid, slots=slots, seen=now()))
            connection.execute(delete(workers).where(workers.c.seen < now() - 86_400))

    def leave(self, worker: str) -> None:
        """Note that a worker process ends."""
        with self._engine.begin() as connection:
            connection.execute(delete(workers).where(workers.c.id == worker))

    def slots(self, seconds: float) -> int:
        """How many videos can be judged at a time by the workers that were alive in the last `seconds`."""
        alive = select(func.coalesce(func.sum(workers.c.slots), 0)).where(workers.c.seen > now() - seconds)
        return int(self._scalar(alive))

    def expired(self) -> list[VideoRow]:
        """Running videos whose worker has let the lease run out."""
        query = select(*SHOWN).where(videos.c.state == JobState.RUNNING, videos.c.lease_until < now())
        with self._engine.connect() as connection:
            return [to_row(row) for row in connection.execute(query)]

    def _scalar(self, query: Any) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _one(self, which: ColumnElement[bool]) -> VideoRow | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(*SHOWN).where(which)).one_or_none()
        return None if row is None else to_row(row)

    def _change(self, *which: ColumnElement[bool], **values: Any) -> bool:
        with self._engine.begin() as connection:
            statement = update(videos).where(*which).values(**values, revision=videos.c.revision + 1)
            return bool(connection.execute(statement).rowcount)


NO_LEASE: Final[dict[str, Any]] = {"lease": None, "lease_until": None}


def _held(video: str, lease: str) -> tuple[ColumnElement[bool], ...]:
    return videos.c.id == video, videos.c.state == JobState.RUNNING, videos.c.lease == lease


def _ended(video: str, lease: str, state: JobState) -> Any:
    return (
        update(videos)
        .where(*_held(video, lease))
        .values(state=state, finished=now(), revision=videos.c.revision + 1, **NO_LEASE)
    )


def _count(connection: Connection, name: str, by: float) -> None:
    connection.execute(update(counters).where(counters.c.name == name).values(value=counters.c.value + by))


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
