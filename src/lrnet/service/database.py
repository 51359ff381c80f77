"""The state of every video: one row each, in SQLite or PostgreSQL.

A row is `queued`, `running`, `done`, `failed` or `cancelled`; `lrnet.service.queue` moves it from one to the next.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from lrnet.service.queue import NO_LEASE, Queue
from lrnet.service.rows import NOTHING_GIVEN, ORDERS, SHOWN, UNFINISHED, Given, JobState, Page, Search, VideoRow, to_row
from lrnet.service.tables import audit, counters, now, videos


class Store(Queue):
    """The database as the web process uses it: lists, changes, and the audit log."""

    def add(
        self,
        name: str,
        sha256: str,
        size: int,
        given: Given = NOTHING_GIVEN,
        *,
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
            **{
                **asdict(given),
                "labels": "\n" + "".join(f"{label}\n" for label in given.labels) if given.labels else None,
            },
            idempotency_key=key,
            state=JobState.QUEUED,
            created=now(),
            notice_due=0.0 if notify else None,
        )
        try:
            with self._engine.begin() as connection:
                return to_row(connection.execute(statement.returning(*SHOWN)).one())
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
        query = select(*SHOWN).where(*found).order_by(*ORDERS[search.sort]).limit(limit + 1)
        numbered = search.sort in ("newest", "oldest")
        if before is not None and numbered:
            query = query.where(videos.c.number < before if search.sort == "newest" else videos.c.number > before)
        elif before is not None:
            query = query.offset(before)
        with self._engine.connect() as connection:
            rows = [to_row(row) for row in connection.execute(query)]
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
            rows = connection.execute(select(*SHOWN).where(videos.c.id.in_(fresh)).order_by(videos.c.number)).all()
        return [to_row(row) for row in rows], [video for video in known if video not in revisions]

    def cancel(self, video: str) -> bool:
        """End an unfinished video and keep it; False if it is not unfinished."""
        return self._change(
            videos.c.id == video,
            videos.c.state.in_(UNFINISHED),
            state=JobState.CANCELLED,
            finished=now(),
            progress=None,
            **NO_LEASE,
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
        """Totals since the database was made."""
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
        """A finished video whose notice is due, and the number of failed attempts; it is reserved for `seconds`."""
        due = select(videos.c.number).where(videos.c.notice_due <= now(), videos.c.state.not_in(UNFINISHED))
        first = due.order_by(videos.c.notice_due).limit(1)
        if self._scalar(first) is None:  # as in `claim`
            return None
        number = first.with_for_update(skip_locked=True).scalar_subquery()
        take = update(videos).where(videos.c.number == number).values(notice_due=now() + seconds)
        with self._engine.begin() as connection:
            row = connection.execute(take.returning(*SHOWN, videos.c.notice_tries)).one_or_none()
        return None if row is None else (to_row(row), row.notice_tries or 0)

    def noticed(self, video: str, again: float | None) -> None:
        """Note that the webhook was called; it is called again after `again` seconds, or not at all if that is None."""
        due = None if again is None else now() + again
        tries = func.coalesce(videos.c.notice_tries, 0) + 1
        with self._engine.begin() as connection:
            connection.execute(update(videos).where(videos.c.id == video).values(notice_due=due, notice_tries=tries))

    def finished_before(self, seconds: float, limit: int = 1000) -> list[str]:
        """Identifiers of videos that were finished more than `seconds` ago."""
        old = select(videos.c.id).where(videos.c.finished < now() - seconds).order_by(videos.c.finished).limit(limit)
        with self._engine.connect() as connection:
            return list(connection.execute(old).scalars())

    def hashes(self) -> set[str]:
        """The SHA-256 of every video file that a row names."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(videos.c.sha256).distinct()).scalars())

    def attempts(self) -> dict[str, str | None]:
        """For every video that may have results the attempt whose results count; None if there is none yet."""
        may = or_(videos.c.attempt.is_not(None), videos.c.state.in_(UNFINISHED))
        with self._engine.connect() as connection:
            query = select(videos.c.id, videos.c.attempt).where(may)
            return {video: attempt for video, attempt in connection.execute(query)}


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """A store that is closed at the end of the block."""
    store = Store(url)
    try:
        yield store
    finally:
        store.close()
