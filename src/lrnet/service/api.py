"""The routes of the API: videos, their progress, and their results."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as PathPart
from fastapi.responses import FileResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from lrnet.report.schema import ReportDocument
from lrnet.service import events, schema
from lrnet.service.database import UNFINISHED, JobState, Search, Store, VideoRow
from lrnet.service.folder import OVERLAY, REPORT, Folder, Incoming
from lrnet.service.guard import HOLDER, REPORT_POLICY, REQUEST
from lrnet.service.metrics import Figures
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
        name: Annotated[str, Query(max_length=1000, description="The file's name, to be shown.")] = "video",
        external_id: Annotated[
            str | None, Query(min_length=1, max_length=200, description="What the client calls the video.")
        ] = None,
        label: Annotated[
            list[Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{1,60}$")]] | None,
            Query(max_length=20, description="Labels to find it by."),
        ] = None,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=200,
                description="A request that is repeated with the same key and file makes no second video.",
            ),
        ] = None,
    ) -> schema.Video:
        """Hand a video in; it is queued."""
        who = name_of(request)
        key = None if idempotency_key is None else f"{who or ''}:{idempotency_key}"
        values = {"owner": who, "external_id": external_id, "labels": tuple(label or ()), "key": key}
        try:
            row, fresh = await _take_in(service, request, display_name(name), values)
        except RefusedError as error:
            service.figures.refused.labels(error.error).inc()
            raise
        except ClientDisconnect:
            service.figures.refused.labels("broken_off").inc()
            raise
        response.status_code = 201 if fresh else 200
        if fresh:
            await run_sync(service.note, request, "submit", row.id)
        response.headers["Location"] = f"/v1/videos/{row.id}"
        return schema.video(row)

    @app.get("/v1/videos/{video_id}", tags=["videos"], responses=problems(*ALWAYS, 404))
    def video(video_id: VideoId) -> schema.Video:
        """One video."""
        return schema.video(_row(store, video_id))

    @app.post("/v1/videos/{video_id}/cancel", tags=["videos"], responses=problems(*ALWAYS, 404, 409))
    def cancel(request: Request, video_id: VideoId) -> schema.Video:
        """End the examination of a video that is not finished, and keep the video."""
        _row(store, video_id)
        if not store.cancel(video_id):
            raise RefusedError(409, "finished", "The video is finished.", "Nothing is left to cancel.")
        service.note(request, "cancel", video_id)
        return schema.video(_row(store, video_id))

    @app.post("/v1/videos/{video_id}/again", status_code=201, tags=["videos"], responses=problems(*ALWAYS, 404, 409))
    def again(request: Request, video_id: VideoId) -> schema.Video:
        """Examine a finished video once more, with today's model; the answer is a new entry, the old one stays."""
        with service.folder.references():
            row = _row(store, video_id)
            if row.state in UNFINISHED:
                raise RefusedError(409, "not_finished", "The video is not finished.", "Wait for its result.")
            _refuse_if_full(service)
            new = store.add(
                row.name,
                row.sha256,
                row.size,
                owner=name_of(request),
                external_id=row.external_id,
                labels=row.labels,
                notify=service.settings.webhook is not None,
            )
        service.note(request, "again", new.id)
        return schema.video(new)

    @app.delete("/v1/videos/{video_id}", status_code=204, tags=["videos"], responses=problems(*ALWAYS, 404))
    def delete(request: Request, video_id: VideoId) -> None:
        """Delete a video with its file and results; if it is being examined, that ends."""
        if not remove(store, service.folder, video_id):
            raise _unknown()
        service.note(request, "delete", video_id)


async def _take_in(service: Service, request: Request, name: str, values: dict[str, Any]) -> tuple[VideoRow, bool]:
    """The row of a video that was handed in, and whether it is new."""
    check_type(request.headers.get("content-type", ""))
    await run_sync(_refuse_if_full, service)
    length = request.headers.get("content-length", "")
    declared = int(length) if length.isascii() and length.isdigit() else None
    incoming = await receive(request.stream(), declared, service.settings, service.folder, service.room)
    service.figures.received.inc(incoming.size)
    try:
        return await run_sync(_enter, service, incoming, name, values)
    finally:
        await run_sync(incoming.discard)


def _refuse_if_full(service: Service) -> None:
    most = service.settings.max_waiting
    if service.store.waiting() >= most:
        raise RefusedError(503, "queue_full", f"{most} videos are waiting already.", "Try again later.")


def _enter(service: Service, incoming: Incoming, name: str, values: dict[str, Any]) -> tuple[VideoRow, bool]:
    key = values["key"]
    with service.folder.references():
        row = service.store.with_key(key) if key else None
        if row is None:
            service.folder.place(incoming)
            notify = service.settings.webhook is not None
            return service.store.add(name, incoming.sha256, incoming.size, notify=notify, **values), True
    if row.sha256 != incoming.sha256:
        raise RefusedError(409, "key_reused", "This key was used for another file.", "Make a new key for each file.")
    return row, False


def _search(
    q: Annotated[
        str, Query(max_length=200, description="Part of a name, or the beginning of a SHA-256 or identifier.")
    ] = "",
    sha256: Annotated[
        str, Query(pattern="^([0-9a-f]{64})?$", description="Only videos with this file: look before you upload.")
    ] = "",
    external_id: Annotated[str, Query(max_length=200, description="Only videos that the client calls so.")] = "",
    label: Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{0,60}$", description="Only videos with this label.")] = "",
    state: Annotated[JobState | None, Query(description="Only videos in this state.")] = None,
    verdict: Annotated[State | None, Query(description="Only videos with this verdict.")] = None,
    sort: Annotated[Literal["newest", "oldest", "name", "probability"], Query(description="The order.")] = "newest",
) -> Search:
    return Search(q, sha256, external_id, label, state, verdict, sort)


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
    *("created", "finished", "model", "sha256", "size", "external_id", "labels", "id"),
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
        **{name: own.get(name) for name in COLUMNS[3:7]},
        "verdict": verdict and verdict.state,
        "reasons": "; ".join(reason.text for reason in verdict.reasons) if verdict else "",
        "failure": video.failure and video.failure.message,
        "model": verdict and verdict.model,
        "labels": "; ".join(video.labels),
    }
    return [values[name] for name in COLUMNS]


def _cell(value: Any) -> str:
    text = "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text  # a spreadsheet would run it as a formula


def add_results(app: FastAPI, service: Service) -> None:
    """Progress and results of a video."""
    store = service.store

    @app.get(
        "/v1/videos/{video_id}/events",
        tags=["progress"],
        response_class=StreamingResponse,
        responses={200: _EVENT_STREAM, **problems(*ALWAYS, 404)},
    )
    async def video_events(video_id: VideoId) -> Response:
        """Server-sent events of one video: `state`, `decode`, `faces`, `clips`, `deleted`. Ends when it is finished."""
        await run_sync(_row, store, video_id)
        return await _stream(events.one_video(store, video_id, service.ending))

    @app.get(
        "/v1/events",
        tags=["progress"],
        response_class=StreamingResponse,
        responses={200: _EVENT_STREAM, **problems(*ALWAYS)},
    )
    async def all_events() -> Response:
        """Server-sent events of all videos that change: `video`, `deleted`. Does not end."""
        return await _stream(events.all_videos(store, service.ending))

    @app.get(
        "/v1/videos/{video_id}/result",
        tags=["results"],
        response_model=ReportDocument,
        responses=problems(*ALWAYS, 404, 409),
    )
    def result(video_id: VideoId) -> Response:
        """The whole result, as `lrnet detect --json --report` writes it."""
        _judged(store, video_id)
        return Response(store.document(video_id), media_type="application/json")

    @app.get(
        "/v1/videos/{video_id}/report",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"text/html": {}}, "description": "The report."}, **problems(*ALWAYS, 404, 409)},
    )
    def report(video_id: VideoId) -> Response:
        """The report: one HTML file that needs nothing else."""
        path = _result_file(service, video_id, REPORT)
        # Browsers refuse to show a sandboxed document that also asks for an opener policy.
        headers = {"Content-Security-Policy": REPORT_POLICY, "Cross-Origin-Opener-Policy": "unsafe-none"}
        return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)

    @app.get(
        "/v1/videos/{video_id}/overlay",
        tags=["results"],
        response_class=FileResponse,
        responses={
            200: {"content": {"video/mp4": {}}, "description": "The video."},
            206: {"content": {"video/mp4": {}}, "description": "The part that `Range` asks for."},
            400: {"content": {"text/plain": {}}, "description": "`Range` is malformed."},
            416: {"description": "The video does not have the part that `Range` asks for."},
            **problems(*ALWAYS, 404, 409),
        },
    )
    def overlay(video_id: VideoId) -> Response:
        """The video with landmarks and scores drawn on it (MP4); parts of it with `Range`."""
        return FileResponse(_result_file(service, video_id, OVERLAY), media_type="video/mp4")


_EVENT_STREAM: Final[dict[str, Any]] = {
    "description": "The stream.",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "properties": {
                    "event": {"type": "string", "description": "Name of the event."},
                    "data": {"type": "string", "description": "JSON."},
                    "id": {"type": "string", "description": "Revision of the video."},
                },
            }
        }
    },
}


async def _stream(source: AsyncIterator[bytes]) -> StreamingResponse:
    """A stream that has begun: its first event is there before the head of the answer is sent."""
    first = await anext(source, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for event in source:
            yield event

    return StreamingResponse(whole(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _row(store: Store, video_id: str) -> VideoRow:
    row = store.get(video_id)
    if row is None:
        raise _unknown()
    return row


def _judged(store: Store, video_id: str) -> VideoRow:
    row = _row(store, video_id)
    if row.state != JobState.DONE:
        raise RefusedError(409, "no_result", f"The video is {row.state}.", "Ask for the video itself: it says why.")
    return row


def _result_file(service: Service, video_id: str, name: str) -> Path:
    row = _judged(service.store, video_id)
    path = service.folder.result(video_id, row.attempt or "") / name
    if not path.is_file():
        why = (row.extras_failed or {}).get(name, "It was not made, or was deleted.")
        raise RefusedError(404, "not_made", f"There is no {name} of this video.", why)
    return path


def _unknown() -> RefusedError:
    return RefusedError(404, "unknown_video", "There is no such video.", "It may have been deleted.")
