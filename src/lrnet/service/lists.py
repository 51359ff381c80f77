"""The list of videos: searched, sorted, in pages or as a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator

from lrnet.report.examination import LONGEST_FIELD
from lrnet.service import schema
from lrnet.service.api import MAX_NUMBER, Service, problems
from lrnet.service.database import Store
from lrnet.service.rows import JobState, Search
from lrnet.verdict import State


def _written_out(text: Any) -> Any:
    """Refuse a bare number, which pydantic would take for seconds since the epoch."""
    if not re.match(r"\d{4}-\d\d-\d\d", str(text)):
        raise ValueError("write it like 2026-11-27T14:30:00+01:00")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
NO_NUL: Final = r"^[^\x00]*$"  # PostgreSQL's texts have none


def _search(
    q: Annotated[
        str,
        Query(
            max_length=200,
            pattern=NO_NUL,
            description="Part of a name, or the beginning of a SHA-256 or identifier.",
        ),
    ] = "",
    sha256: Annotated[
        str, Query(pattern="^([0-9a-f]{64})?$", description="Only videos with this file: look before you upload.")
    ] = "",
    external_id: Annotated[
        str, Query(max_length=200, pattern=NO_NUL, description="Only videos that the client calls so.")
    ] = "",
    label: Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{0,60}$", description="Only videos with this label.")] = "",
    case: Annotated[str, Query(max_length=LONGEST_FIELD, pattern=NO_NUL, description="Only videos of this case.")] = "",
    state: Annotated[JobState | None, Query(description="Only videos in this state.")] = None,
    verdict: Annotated[State | None, Query(description="Only videos with this verdict.")] = None,
    since: Annotated[Moment | None, Query(description="Only videos that were handed in then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Only videos that were handed in before.")] = None,
    sort: Annotated[Literal["newest", "oldest", "name", "probability"], Query(description="The order.")] = "newest",
) -> Search:
    first, last = (None if time is None else time.timestamp() for time in (since, until))
    return Search(q, sha256, external_id, label, case, state, verdict, first, last, sort)


def add_lists(app: FastAPI, service: Service) -> None:
    """The list of videos."""
    store = service.store

    @app.get("/v1/videos", tags=["videos"], responses=problems())
    def history(
        search: Annotated[Search, Depends(_search)],
        limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
        before: Annotated[int | None, Query(ge=1, le=MAX_NUMBER, description="`before` of the last page.")] = None,
    ) -> schema.VideoPage:
        """The list of videos."""
        return schema.page(store.page(search, limit=limit, before=before))

    @app.get(
        "/v1/videos.csv",
        tags=["videos"],
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}}, "description": "The table."}, **problems()},
    )
    def table(search: Annotated[Search, Depends(_search)]) -> Response:
        """The whole list as a table."""
        first = store.page(search, limit=200)
        headers = {"Content-Disposition": 'attachment; filename="videos.csv"'}
        return StreamingResponse(_table(store, search, first), media_type="text/csv; charset=utf-8", headers=headers)


FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what begins so would be run by a spreadsheet
COLUMNS: Final = (
    *("name", "state", "verdict", "probability", "held_back", "seconds_examined", "duration", "reasons", "failure"),
    *("when", "created", "finished", "model", "sha256", "size", "case", "examiner", "external_id", "labels", "id"),
)


def _table(store: Store, search: Search, page: Any) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\r\n"
    while True:
        text = io.StringIO()
        writer = csv.writer(text)
        for row in page.items:
            writer.writerow([_cell(value) for value in _values(schema.video(row))])
        yield text.getvalue()
        if page.before is None:
            return
        page = store.page(search, limit=200, before=page.before)


def _values(video: schema.Video) -> list[Any]:
    verdict, all_of_it = video.verdict, dict(video)
    own: dict[str, Any] = dict(verdict) if verdict else {}
    values = {
        **all_of_it,
        **{name: own.get(name) for name in (*COLUMNS[3:7], "when")},
        "verdict": verdict and verdict.state,
        "probability": None if verdict is None or verdict.held_back else verdict.probability,
        "reasons": "; ".join(reason.text for reason in verdict.reasons) if verdict else "",
        "failure": video.failure and video.failure.message,
        "model": verdict and verdict.model,
        "labels": "; ".join(video.labels),
    }
    return [values[name] for name in COLUMNS]


def _cell(value: Any) -> str:
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
