"""The routes of the API: handing videos in, changing them, listing them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as PathPart
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator
from starlette.requests import ClientDisconnect

from lrnet.report.examination import LONGEST_FIELD, LONGEST_NOTES
from lrnet.service import schema
from lrnet.service.database import Store
from lrnet.service.folder import Folder, Incoming
from lrnet.service.guard import HOLDER, REQUEST
from lrnet.service.metrics import Figures
from lrnet.service.rows import UNFINISHED, Given, JobState, Search, VideoRow
from lrnet.service.settings import Settings
from lrnet.service.tokens import Token
from lrnet.service.upload import RefusedError, Room, check_type, receive
from lrnet.service.work import display_name
from lrnet.service.worker import remove
from lrnet.verdict import State

MAX_NUMBER: Final = 2**31 - 1
VideoId = Annotated[str, PathPart(pattern="^[0-9a-f]{32}$", description="Identifier of a video.")]


@dataclass(frozen=True, slots=True)
class Service:
    """What the answers are made from."""

    settings: Settings
    store: Store
    folder: Folder
    room: Room
    figures: Figures
    ending: Callable[[], bool]

    def note(self, request: Request, action: str, video: str | None = None) -> None:
        """Write a line of the audit log."""
        self.store.note(name_of(request) or "", action, video, request.scope[REQUEST])


def name_of(request: Request) -> str | None:
    """The name of the client's token; None if the service asks for none."""
    token: Token | None = request.scope.get(HOLDER)
    return token.name if token else None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its description."""
    return {status: {"model": schema.Problem, "description": _MEANING[status]} for status in statuses}


_MEANING: Final = {
    400: "The body is empty or is no request.",
    401: "The service asks for a token.",
    403: "The token does not allow this, or a page of another origin asks.",
    404: "There is no such video.",
    408: "The upload took too long.",
    409: "The video's state does not allow this, or the key was used for another file.",
    413: "The video is too large.",
    415: "The body's type is not one of a video.",
    421: "The service is not reached by this name.",
    422: "A parameter is unknown or invalid.",
    429: "Too many wrong tokens were given.",
    503: "The queue is full, or the database is away.",
    507: "There is no room on the disk.",
}
ALWAYS: Final = (401, 403, 421, 422, 429, 503)


Name = Annotated[str, Query(max_length=1000, description="The file's name, to be shown.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="A request that is repeated with the same key and file makes no second video.",
    ),
]
_Label = Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{1,60}$")]


def _text(longest: int, description: str) -> Any:
    return Query(min_length=1, max_length=longest, pattern=r"^[^\x00]*$", description=description)


def given_of(
    request: Request,
    external_id: Annotated[str | None, _text(200, "What the client calls the video.")] = None,
    label: Annotated[list[_Label] | None, Query(max_length=20, description="Labels to find it by.")] = None,
    case: Annotated[str | None, _text(LONGEST_FIELD, "Case number, for the report.")] = None,
    examiner: Annotated[str | None, _text(LONGEST_FIELD, "Name of the examiner, for the report.")] = None,
    notes: Annotated[str | None, _text(LONGEST_NOTES, "Notes of the examiner, for the report.")] = None,
) -> Given:
    """What a request says of the video that it hands in."""
    return Given(name_of(request), external_id, tuple(label or ()), case, examiner, notes)


def add_videos(app: FastAPI, service: Service) -> None:
    """Handing videos in, and deleting them."""
    store = service.store

    @app.post(
        "/v1/videos",
        status_code=201,
        tags=["videos"],
        responses={
            200: {"model": schema.Video, "description": "The same file was handed in with this key before."},
            201: {"headers": {"Location": {"description": "Where the video is.", "schema": {"type": "string"}}}},
            **problems(*ALWAYS, 400, 408, 409, 413, 415, 507),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "The file's bytes.",
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}
                },
            }
        },
    )
    async def hand_in(
        request: Request,
        response: Response,
        given: Annotated[Given, Depends(given_of)],
        name: Name = "video",
        idempotency_key: IdempotencyKey = None,
    ) -> schema.Video:
        """Hand a video in; it is queued."""
        with refusals_counted(service):
            check_type(request.headers.get("content-type", ""))
            await run_sync(refuse_if_full, service)
            body, declared = request.stream(), declared_length(request)
            incoming = await receive(body, declared, service.settings, service.folder, service.room)
            service.figures.received.inc(incoming.size)
            try:
                key = full_key(given.owner, idempotency_key)
                row, fresh = await run_sync(enter, service, incoming, display_name(name), given, key)
            finally:
                await run_sync(incoming.discard)
        response.status_code = 201 if fresh else 200
        if fresh:
            await run_sync(service.note, request, "submit", row.id)
        response.headers["Location"] = f"/v1/videos/{row.id}"
        return schema.video(row)

    @app.get("/v1/videos/{video_id}", tags=["videos"], responses=problems(*ALWAYS, 404))
    def video(video_id: VideoId) -> schema.Video:
        """One video."""
        return schema.video(row_of(store, video_id))

    @app.post("/v1/videos/{video_id}/cancel", tags=["videos"], responses=problems(*ALWAYS, 404, 409))
    def cancel(request: Request, video_id: VideoId) -> schema.Video:
        """End the examination of a video that is not finished, and keep the video."""
        row_of(store, video_id)
        if not store.cancel(video_id):
            raise RefusedError(409, "finished", "The video is finished.", "Nothing is left to cancel.")
        service.note(request, "cancel", video_id)
        return schema.video(row_of(store, video_id))

    @app.post("/v1/videos/{video_id}/again", status_code=201, tags=["videos"], responses=problems(*ALWAYS, 404, 409))
    def again(request: Request, video_id: VideoId) -> schema.Video:
        """Examine a finished video once more, with today's model; the answer is a new entry, the old one stays."""
        with service.folder.references():
            row = row_of(store, video_id)
            if row.state in UNFINISHED:
                raise RefusedError(409, "not_finished", "The video is not finished.", "Wait for its result.")
            refuse_if_full(service)
            given = Given(name_of(request), row.external_id, row.labels, row.case, row.examiner, row.notes)
            new = store.add(row.name, row.sha256, row.size, given, notify=service.settings.webhook is not None)
        service.note(request, "again", new.id)
        return schema.video(new)

    @app.delete("/v1/videos/{video_id}", status_code=204, tags=["videos"], responses=problems(*ALWAYS, 404))
    def delete(request: Request, video_id: VideoId) -> None:
        """Delete a video with its file and results; if it is being examined, that ends."""
        if not remove(store, service.folder, video_id):
            raise _unknown()
        service.note(request, "delete", video_id)


@contextmanager
def refusals_counted(service: Service) -> Iterator[None]:
    """Count the upload that the block takes in if it is refused or breaks off."""
    try:
        yield
    except RefusedError as error:
        service.figures.refused.labels(error.error).inc()
        raise
    except ClientDisconnect:
        service.figures.refused.labels("broken_off").inc()
        raise


def declared_length(request: Request) -> int | None:
    """The size of a request's body, if it says so."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


def full_key(owner: str | None, key: str | None) -> str | None:
    """An idempotency key, which is the client's own."""
    return None if key is None else f"{owner or ''}:{key}"


def refuse_if_full(service: Service) -> None:
    """Refuse further videos if as many as may are waiting."""
    most = service.settings.max_waiting
    if service.store.waiting() >= most:
        raise RefusedError(503, "queue_full", f"{most} videos are waiting already.", "Try again later.")


def enter(service: Service, incoming: Incoming, name: str, given: Given, key: str | None) -> tuple[VideoRow, bool]:
    """Place a file that has arrived and queue it. Returns the row, and whether it is new."""
    with service.folder.references():
        row = service.store.with_key(key) if key else None
        if row is None:
            service.folder.place(incoming)
            notify = service.settings.webhook is not None
            return service.store.add(name, incoming.sha256, incoming.size, given, key=key, notify=notify), True
    if row.sha256 != incoming.sha256:
        raise RefusedError(409, "key_reused", "This key was used for another file.", "Make a new key for each file.")
    return row, False


def _written_out(text: Any) -> Any:
    """Refuse a bare number, which pydantic would take for seconds since the epoch."""
    if not re.match(r"\d{4}-\d\d-\d\d", str(text)):
        raise ValueError("write it like 2026-11-27T14:30:00+01:00")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


def _search(
    q: Annotated[
        str, Query(max_length=200, description="Part of a name, or the beginning of a SHA-256 or identifier.")
    ] = "",
    sha256: Annotated[
        str, Query(pattern="^([0-9a-f]{64})?$", description="Only videos with this file: look before you upload.")
    ] = "",
    external_id: Annotated[str, Query(max_length=200, description="Only videos that the client calls so.")] = "",
    label: Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{0,60}$", description="Only videos with this label.")] = "",
    case: Annotated[str, Query(max_length=LONGEST_FIELD, description="Only videos of this case.")] = "",
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

    @app.get("/v1/videos", tags=["videos"], responses=problems(*ALWAYS))
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
        responses={200: {"content": {"text/csv": {}}, "description": "The table."}, **problems(*ALWAYS)},
    )
    def table(search: Annotated[Search, Depends(_search)]) -> Response:
        """The whole list as a table."""
        first = store.page(search, limit=200)
        headers = {"Content-Disposition": 'attachment; filename="videos.csv"'}
        return StreamingResponse(_table(store, search, first), media_type="text/csv; charset=utf-8", headers=headers)


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
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text  # a spreadsheet would run it as a formula


def row_of(store: Store, video_id: str) -> VideoRow:
    row = store.get(video_id)
    if row is None:
        raise _unknown()
    return row


def _unknown() -> RefusedError:
    return RefusedError(404, "unknown_video", "There is no such video.", "It may have been deleted.")
