"""A video as the database has it, and the types that go with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, case, func, or_

from lrnet.service.tables import videos


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
    case: str | None
    examiner: str | None
    notes: str | None
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


SHOWN: Final = [videos.c[name] for name in VideoRow.__dataclass_fields__]
_JSON: Final = ("progress", "summary", "extras_failed", "failure")


@dataclass(frozen=True, slots=True)
class Given:
    """Details that a client gave with a video; `owner` is the name of its token."""

    owner: str | None = None
    external_id: str | None = None
    labels: tuple[str, ...] = ()
    case: str | None = None
    examiner: str | None = None
    notes: str | None = None


NOTHING_GIVEN: Final = Given()


@dataclass(frozen=True, slots=True)
class Finding:
    """A worker's result: the columns that lists show, and the whole JSON document.

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
        since, until: seconds since the epoch that a video was handed in at, at the earliest; before which it was.
        sort: "newest", "oldest", "name" or "probability".
    """

    text: str = ""
    sha256: str = ""
    external_id: str = ""
    label: str = ""
    case: str = ""
    state: JobState | None = None
    verdict: str | None = None
    since: float | None = None
    until: float | None = None
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
            # LIKE would ignore case on SQLite; `replace` does not.
            found.append(func.replace(videos.c.labels, f"\n{self.label}\n", "") != videos.c.labels)
        if self.since is not None:
            found.append(videos.c.created >= self.since)
        if self.until is not None:
            found.append(videos.c.created < self.until)
        exact = ("sha256", "external_id", "case", "state", "verdict")
        return found + [videos.c[name] == value for name in exact if (value := getattr(self, name))]


ORDERS: Final = {
    "newest": (videos.c.number.desc(),),
    "oldest": (videos.c.number.asc(),),
    "name": (videos.c.folded_name.asc(), videos.c.number.desc()),
    # A probability that is held back says nothing: it has no place in the order either.
    "probability": (
        case((videos.c.held_back.is_not(True), videos.c.probability)).desc().nulls_last(),
        videos.c.number.desc(),
    ),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some videos; `before` is where the next page begins, None if there is none."""

    items: tuple[VideoRow, ...]
    total: int
    before: int | None


def to_row(row: Row[Any]) -> VideoRow:
    values = {name: row._mapping[name] for name in VideoRow.__dataclass_fields__}
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    values["state"] = JobState(values["state"])
    values["labels"] = tuple((values["labels"] or "").split("\n")[1:-1])
    return VideoRow(**values)
