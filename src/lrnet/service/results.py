"""The routes of progress and results: events, documents, reports, annotated videos, evidence bundles."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import FastAPI, Query, Response
from fastapi.responses import FileResponse, StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from lrnet.report.evidence_bundle import join_bundles
from lrnet.report.schema import ReportDocument
from lrnet.service import events, schema
from lrnet.service.api import Service, VideoId, problems, row_of
from lrnet.service.database import Store
from lrnet.service.folder import BUNDLE, OVERLAY, REPORT
from lrnet.service.guard import REPORT_POLICY
from lrnet.service.rows import JobState, VideoRow
from lrnet.service.upload import RefusedError

log = logging.getLogger("lrnet.service.web")


def add_results(app: FastAPI, service: Service) -> None:
    """Progress and results of a video."""
    store = service.store

    @app.get(
        "/v1/videos/{video_id}/events",
        tags=["progress"],
        response_class=StreamingResponse,
        responses={200: _EVENT_STREAM, **problems(404)},
    )
    async def video_events(video_id: VideoId) -> Response:
        """Server-sent events of one video: `state`, `decode`, `faces`, `clips`, `deleted`. Ends when it is finished."""
        await run_sync(row_of, store, video_id)
        return await _stream(events.one_video(store, video_id, service.ending))

    @app.get(
        "/v1/events",
        tags=["progress"],
        response_class=StreamingResponse,
        responses={200: _EVENT_STREAM, **problems()},
    )
    async def all_events() -> Response:
        """Server-sent events of all videos that change: `video`, `deleted`. Does not end."""
        return await _stream(events.all_videos(store, service.ending))

    @app.get(
        "/v1/videos/{video_id}/result",
        tags=["results"],
        response_model=ReportDocument,
        responses=problems(404, 409),
    )
    def result(video_id: VideoId) -> Response:
        """The whole result, as `lrnet detect --json --report` writes it."""
        _judged(store, video_id)
        return Response(store.document(video_id), media_type="application/json")

    @app.get(
        "/v1/videos/{video_id}/report",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"text/html": {}}, "description": "The report."}, **problems(404, 409)},
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
            **_PARTS,
            **problems(404, 409),
        },
    )
    def overlay(video_id: VideoId) -> Response:
        """The video with landmarks and scores drawn on it (MP4); parts of it with `Range`."""
        return FileResponse(_result_file(service, video_id, OVERLAY), media_type="video/mp4")


def add_downloads(app: FastAPI, service: Service) -> None:
    """Evidence bundles, and the videos themselves."""
    store = service.store

    @app.get(
        "/v1/videos/{video_id}/bundle",
        tags=["results"],
        response_class=FileResponse,
        responses={200: _ZIP, **problems(404, 409)},
    )
    def bundle(video_id: VideoId) -> Response:
        """The evidence bundle: report, JSON, clips, pictures and hashes (ZIP); `lrnet verify` checks it."""
        path = _result_file(service, video_id, BUNDLE)
        return FileResponse(path, media_type="application/zip", filename=_bundle_name(row_of(store, video_id)))

    @app.get(
        "/v1/bundles",
        tags=["results"],
        response_class=StreamingResponse,
        responses={200: _ZIP, **problems(404, 409)},
    )
    def bundles(
        id: Annotated[list[schema.Identifier], Query(min_length=1, max_length=100, description="Which videos.")],
    ) -> Response:
        """The evidence bundles of several videos in one file (ZIP), with their hashes."""
        paths = {
            _bundle_name(row_of(store, video)): _result_file(service, video, BUNDLE) for video in dict.fromkeys(id)
        }
        headers = {"Content-Disposition": 'attachment; filename="evidence.zip"'}
        return StreamingResponse(join_bundles(paths, datetime.now(UTC)), media_type="application/zip", headers=headers)

    @app.get(
        "/v1/videos/{video_id}/file",
        tags=["results"],
        response_class=FileResponse,
        responses={
            200: {"content": {"application/octet-stream": {}}, "description": "The file."},
            **_PARTS,
            **problems(404),
        },
    )
    def file(video_id: VideoId) -> Response:
        """The video itself, as it was handed in; parts of it with `Range`."""
        row = row_of(store, video_id)
        path = service.folder.video(row.sha256)
        if not path.is_file():
            raise RefusedError(404, "no_file", "The video's file is gone.", "Hand the video in again.")
        return FileResponse(path, media_type="application/octet-stream", filename=row.name, headers=FILE_HEADERS)


# A stranger's file: saved or played, never shown as a page.
FILE_HEADERS: Final = {"Content-Security-Policy": "sandbox; default-src 'none'"}
_ZIP: Final[dict[str, Any]] = {"content": {"application/zip": {}}, "description": "The file."}
_PARTS: Final[dict[int | str, dict[str, Any]]] = {
    206: {"description": "The part that `Range` asks for."},
    400: {"content": {"text/plain": {}}, "description": "`Range` is malformed."},
    416: {"description": "There is no such part as `Range` asks for."},
}


def _bundle_name(row: VideoRow) -> str:
    stem = re.sub(r"[^\w.() -]", "_", row.name.rpartition(".")[0] or row.name).strip(". ")[:80] or "video"
    return f"{stem}-{row.id[:8]}-evidence.zip"


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
        try:
            async for event in source:
                yield event
        except SQLAlchemyError as error:  # the client connects again, and gets an error then
            log.warning("a stream of events ends: the database does not answer (%s)", type(error).__name__)

    return StreamingResponse(whole(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _judged(store: Store, video_id: str) -> VideoRow:
    row = row_of(store, video_id)
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
