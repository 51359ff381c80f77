"""What is true of every video: one row, in SQLite or PostgreSQL.

A row is `queued`, `running`, `done`, `failed` or `cancelled`. A worker *claims* the oldest queued row and gets a lease:
a random word, and a time until which the row is its own. It renews the lease while it works. Every later write of that
worker names the word, so a worker that was silent for too long, and whose video another one took, can change nothing
any more: a video has one result, whichever worker dies.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lrnet.errors import ServiceError
from lrnet.service.tables import audit, counters, create, now, open_engine, videos, workers


class JobState(StrEnum):
    """How far a video is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED: Final = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One video as the database has it; JSON columns are decoded."""

    number: int
    id: str
    name: str
    sha256: str
    size: int
    owner: str | None
    external_id: str | None
    labels: tuple[str, ...]
    state: JobState
    revision: int
    created: float
    started: float | None
    finished: float | None
    attempts: int
    lease: str | None
    lease_until: float | None
    progress: dict[str, Any] | None
    verdict: str | None
    probability: float | None
    held_back: bool | None
    score: float | None
    faces: int | None
    model: str | None
    attempt: str | None
    summary: dict[str, Any] | None
    extras_failed: dict[str, str] | None
    failure: dict[str, str] | None


_SHOWN: Final = [videos.c[name] for name in VideoRow.__dataclass_fields__]
_JSON: Final = ("progress", "summary", "extras_failed", "failure")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a worker found: the columns that lists show, and the JSON document that has everything.

    Attributes:
        held_back: see `lrnet.verdict.is_held_back`.
        summary: see `lrnet.service.tables.summary_of`.
        extras_failed: report and overlay that could not be made, with the reason.
    """

    verdict: str
    probability: float | None
    held_back: bool
    score: float | None
    faces: int
    model: str
    summary: dict[str, Any]
    document: str
    extras_failed: dict[str, str]


@dataclass(frozen=True, slots=True)
class Search:
    """Which videos a list shows; an empty field admits all.

    Attributes:
        text: part of a name (case is ignored), or the beginning of a SHA-256 or identifier.
        sort: "newest", "oldest", "name" or "probability".
    """

    text: str = ""
    sha256: str = ""
    external_id: str = ""
    label: str = ""
    state: JobState | None = None
    verdict: str | None = None
    sort: str = "newest"

    def conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.text:
            text = self.text.casefold()
            found.append(
                or_(
                    videos.c.folded_name.contains(text, autoescape=True),
                    videos.c.sha256.startswith(text, autoescape=True),
                    videos.c.id.startswith(text, autoescape=True),
                )
            )
        if self.label:
            found.append(videos.c.labels.contains(f"\n{self.label}\n", autoescape=True))
        exact = {"sha256": self.sha256, "external_id": self.external_id, "state": self.state, "verdict": self.verdict}
        return found + [videos.c[name] == value for name, value in exact.items() if value]


_ORDERS: Final = {
    "newest": (videos.c.number.desc(),),
    "oldest": (videos.c.number.asc(),),
    "name": (videos.c.folded_name.asc(), videos.c.number.desc()),
    "probability": (videos.c.probability.desc().nulls_last(), videos.c.number.desc()),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some videos; `before` is where the next page begins, None if there is none."""

    items: tuple[VideoRow, ...]
    total: int
    before: int | None


class Store:
    """The database. Safe to share between threads.

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

    def ping(self) -> None:
        """Raise SQLAlchemyError if the database does not answer."""
        self._scalar(select(1))

    # The web process.

    def add(
        self,
        name: str,
        sha256: str,
        size: int,
        *,
        owner: str | None = None,
        external_id: str | None = None,
        labels: tuple[str, ...] = (),
        key: str | None = None,
        notify: bool = False,
    ) -> VideoRow:
        """Queue a new video.

        Args:
            key: a video that was added with the same key is returned instead.
            notify: call the webhook when the video is finished.
        """
        statement = insert(videos).values(
            id=secrets.token_hex(16),
            name=name,
            folded_name=name.casefold(),
            sha256=sha256,
            size=size,
            owner=owner,
            external_id=external_id,
            labels="\n" + "".join(f"{label}\n" for label in labels) if labels else None,
            idempotency_key=key,
            state=JobState.QUEUED,
            created=now(),
            notice_due=0.0 if notify else None,
        )
        try:
            with self._engine.begin() as connection:
                return _video(connection.execute(statement.returning(*_SHOWN)).one())
        except IntegrityError:
            known = self.with_key(key) if key else None
            if known is None:
                raise
            return known

    def get(self, video: str) -> VideoRow | None:
        return self._one(videos.c.id == video)

    def with_key(self, key: str) -> VideoRow | None:
        """The video that was handed in with an idempotency key."""
        return self._one(videos.c.idempotency_key == key)

    def document(self, video: str) -> str | None:
        """The JSON document of a judged video."""
        text: str | None = self._scalar(select(videos.c.document).where(videos.c.id == video))
        return text

    def page(self, search: Search | None = None, *, limit: int = 50, before: int | None = None) -> Page:
        """A page of the list.

        Args:
            before: of the last page. In the order of numbers this is where the next page begins, whatever came in
                meanwhile; in another order it is how many videos to leave out.
        """
        search = search or Search()
        found = search.conditions()
        query = select(*_SHOWN).where(*found).order_by(*_ORDERS[search.sort]).limit(limit + 1)
        numbered = search.sort in ("newest", "oldest")
        if before is not None and numbered:
            query = query.where(videos.c.number < before if search.sort == "newest" else videos.c.number > before)
        elif before is not None:
            query = query.offset(before)
        with self._engine.connect() as connection:
            rows = [_video(row) for row in connection.execute(query)]
            total = connection.execute(select(func.count()).select_from(videos).where(*found)).scalar_one()
        more = len(rows) > limit
        rows = rows[:limit]
        following = rows[-1].number if numbered and rows else (before or 0) + len(rows)
        return Page(tuple(rows), total, following if more else None)

    def newest(self) -> int:
        """Number of the latest video; numbers grow with time."""
        return int(self._scalar(select(func.max(videos.c.number))) or 0)

    def changed(
        self, known: Mapping[str, int], limit: int, after: int | None = None
    ) -> tuple[list[VideoRow], list[str]]:
        """The unfinished videos whose revision differs from the known one.

        Args:
            known: revisions by identifier.
            limit: of unfinished videos, only so many are looked at, the oldest first.
            after: finished videos with a higher number count too; None for none.

        Returns:
            rows: in order of number.
            gone: identifiers of `known` that are no longer there.
        """
        look = select(videos.c.id, videos.c.revision)
        queries = [
            look.where(videos.c.state.in_(UNFINISHED)).order_by(videos.c.number).limit(limit),
            look.where(videos.c.id.in_(list(known))),
        ]
        if after is not None:
            queries.append(look.where(videos.c.number > after).order_by(videos.c.number).limit(limit))
        with self._engine.connect() as connection:
            revisions: dict[str, int] = {row.id: row.revision for query in queries for row in connection.execute(query)}
            fresh = [video for video, revision in revisions.items() if known.get(video) != revision]
            rows = connection.execute(select(*_SHOWN).where(videos.c.id.in_(fresh)).order_by(videos.c.number)).all()
        return [_video(row) for row in rows], [video for video in known if video not in revisions]

    def cancel(self, video: str) -> bool:
        """End an unfinished video and keep it; False if it is not unfinished."""
        return self._change(
            videos.c.id == video,
            videos.c.state.in_(UNFINISHED),
            state=JobState.CANCELLED,
            finished=now(),
            progress=None,
            **_NO_LEASE,
        )

    def delete(self, video: str) -> str | None:
        """Delete a video's row. Returns the SHA-256 of its file if no other row names that, an empty text if one does.

        None if there is no such video. A worker that judges it notices when it renews its lease.
        """
        with self._engine.begin() as connection:
            gone = connection.execute(
                delete(videos).where(videos.c.id == video).returning(videos.c.sha256)
            ).scalar_one_or_none()
            if gone is None:
                return None
            left = connection.execute(select(func.count()).where(videos.c.sha256 == gone)).scalar_one()
        return "" if left else str(gone)

    def waiting(self) -> int:
        """How many videos are queued."""
        return self.states().get(JobState.QUEUED, 0)

    def states(self) -> dict[JobState, int]:
        """How many videos there are in each state."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(videos.c.state, func.count()).group_by(videos.c.state)).all()
        return {JobState(state): count for state, count in rows}

    def longest_wait(self) -> float:
        """How many seconds the oldest queued video has been waiting."""
        oldest = select(now() - func.min(videos.c.created)).where(videos.c.state == JobState.QUEUED)
        return max(0.0, self._scalar(oldest) or 0.0)

    def counters(self) -> dict[str, float]:
        """What has been counted since the database was made."""
        with self._engine.connect() as connection:
            return {name: value for name, value in connection.execute(select(counters.c.name, counters.c.value))}

    def note(self, who: str, action: str, video: str | None, request: str) -> None:
        """Write a line of the audit log."""
        with self._engine.begin() as connection:
            connection.execute(insert(audit).values(time=now(), who=who, action=action, video=video, request=request))

    def audit(self, limit: int, before: int | None) -> list[dict[str, Any]]:
        """Lines of the audit log, newest first."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        with self._engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def take_notice(self, seconds: float) -> tuple[VideoRow, int] | None:
        """A finished video whose webhook is due, and how often it was called in vain; nobody else gets it meanwhile."""
        due = select(videos.c.number).where(videos.c.notice_due <= now(), videos.c.state.not_in(UNFINISHED))
        first = due.order_by(videos.c.notice_due).limit(1).with_for_update(skip_locked=True).scalar_subquery()
        take = update(videos).where(videos.c.number == first).values(notice_due=now() + seconds)
        with self._engine.begin() as connection:
            row = connection.execute(take.returning(*_SHOWN, videos.c.notice_tries)).one_or_none()
        return None if row is None else (_video(row), row.notice_tries or 0)

    def noticed(self, video: str, again: float | None) -> None:
        """The webhook was called; after `again` seconds it is called once more, None for not."""
        due = None if again is None else now() + again
        tries = func.coalesce(videos.c.notice_tries, 0) + 1
        with self._engine.begin() as connection:
            connection.execute(update(videos).where(videos.c.id == video).values(notice_due=due, notice_tries=tries))

    # A worker.

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
            .returning(*_SHOWN)
        )
        with self._engine.begin() as connection:
            row = connection.execute(claim).one_or_none()
        return None if row is None else _video(row)

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
        change: dict[str, Any] = {"state": JobState.QUEUED, **_NO_LEASE, "progress": None}
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

    # Keeping order.

    def expired(self) -> list[VideoRow]:
        """Running videos whose worker has let the lease run out."""
        query = select(*_SHOWN).where(videos.c.state == JobState.RUNNING, videos.c.lease_until < now())
        with self._engine.connect() as connection:
            return [_video(row) for row in connection.execute(query)]

    def finished_before(self, seconds: float, limit: int = 1000) -> list[str]:
        """Identifiers of videos that were finished more than `seconds` ago."""
        old = select(videos.c.id).where(videos.c.finished < now() - seconds).order_by(videos.c.finished).limit(limit)
        with self._engine.connect() as connection:
            return list(connection.execute(old).scalars())

    def hashes(self) -> set[str]:
        """The SHA-256 of every video file that a row names."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(videos.c.sha256).distinct()).scalars())

    def identifiers(self) -> set[str]:
        with self._engine.connect() as connection:
            return set(connection.execute(select(videos.c.id)).scalars())

    def _scalar(self, query: Any) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def _one(self, which: ColumnElement[bool]) -> VideoRow | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(*_SHOWN).where(which)).one_or_none()
        return None if row is None else _video(row)

    def _change(self, *which: ColumnElement[bool], **values: Any) -> bool:
        with self._engine.begin() as connection:
            statement = update(videos).where(*which).values(**values, revision=videos.c.revision + 1)
            return bool(connection.execute(statement).rowcount)


_NO_LEASE: Final[dict[str, Any]] = {"lease": None, "lease_until": None}


def _held(video: str, lease: str) -> tuple[ColumnElement[bool], ...]:
    return videos.c.id == video, videos.c.state == JobState.RUNNING, videos.c.lease == lease


def _ended(video: str, lease: str, state: JobState) -> Any:
    return (
        update(videos)
        .where(*_held(video, lease))
        .values(state=state, finished=now(), revision=videos.c.revision + 1, **_NO_LEASE)
    )


def _count(connection: Connection, name: str, by: float) -> None:
    connection.execute(update(counters).where(counters.c.name == name).values(value=counters.c.value + by))


def _video(row: Row[Any]) -> VideoRow:
    values = {name: row._mapping[name] for name in VideoRow.__dataclass_fields__}
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    values["state"] = JobState(values["state"])
    values["labels"] = tuple((values["labels"] or "").split("\n")[1:-1])
    return VideoRow(**values)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store that is closed at the end of the block."""
    store = Store(url)
    try:
        yield store
    finally:
        store.close()
