"""The routes of a video: handing it in, looking at it, cancelling, examining again, deleting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from starlette.requests import ClientDisconnect

from lrnet.errors import OutputError
from lrnet.report.examination import LONGEST_FIELD, LONGEST_NOTES
from lrnet.service import schema
from lrnet.service.api import Service, VideoId, name_of, problems, row_of, unknown_video
from lrnet.service.folder import Incoming
from lrnet.service.lists import NO_NUL
from lrnet.service.rows import UNFINISHED, Given, VideoRow
from lrnet.service.upload import RefusedError, check_type, is_full, no_room, receive
from lrnet.service.work import display_name
from lrnet.service.worker import remove

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
    return Query(min_length=1, max_length=longest, pattern=NO_NUL, description=description)


def given_of(
    request: Request,
    external_id: Annotated[str | None, _text(200, "What the client calls the video.")] = None,
    label: Annotated[list[_Label] | None, Query(max_length=20, description="Labels to find it by.")] = None,
    case: Annotated[str | None, _text(LONGEST_FIELD, "Case number, for the report.")] = None,
    examiner: Annotated[str | None, _text(LONGEST_FIELD, "Name of the examiner, for the report.")] = None,
    notes: Annotated[str | None, _text(LONGEST_NOTES, "Notes of the examiner, for the report.")] = None,
) -> Given:
    """The details in a request that hands a video in."""
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
            **problems(400, 408, 409, 413, 415, 507),
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

    @app.get("/v1/videos/{video_id}", tags=["videos"], responses=problems(404))
    def video(video_id: VideoId) -> schema.Video:
        """One video."""
        return schema.video(row_of(store, video_id))

    @app.post("/v1/videos/{video_id}/cancel", tags=["videos"], responses=problems(404, 409))
    def cancel(request: Request, video_id: VideoId) -> schema.Video:
        """End the examination of a video that is not finished, and keep the video."""
        row_of(store, video_id)
        if not store.cancel(video_id):
            raise RefusedError(409, "finished", "The video is finished.", "Nothing is left to cancel.")
        service.note(request, "cancel", video_id)
        return schema.video(row_of(store, video_id))

    @app.post("/v1/videos/{video_id}/again", status_code=201, tags=["videos"], responses=problems(404, 409))
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

    @app.delete("/v1/videos/{video_id}", status_code=204, tags=["videos"], responses=problems(404))
    def delete(request: Request, video_id: VideoId) -> None:
        """Delete a video with its file and results; if it is being examined, that ends."""
        if not remove(store, service.folder, video_id):
            raise unknown_video()
        service.note(request, "delete", video_id)


@contextmanager
def refusals_counted(service: Service) -> Iterator[None]:
    """Count the upload that the block takes in if it is refused or breaks off; a full disk is a refusal too."""
    try:
        try:
            yield
        except (OSError, OutputError) as error:
            if is_full(error):
                raise no_room() from error
            raise
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
    sha256 = incoming.sha256  # a large file takes seconds, and other processes wait for `references`
    with service.folder.references():
        row = service.store.with_key(key) if key else None
        if row is None:
            service.folder.place(incoming)
            notify = service.settings.webhook is not None
            return service.store.add(name, sha256, incoming.size, given, key=key, notify=notify), True
    if row.sha256 != sha256:
        raise RefusedError(409, "key_reused", "This key was used for another file.", "Make a new key for each file.")
    return row, False
