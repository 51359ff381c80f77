"""The web application: the API, its description, and the page."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as PathPart
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from lrnet.report.schema import ReportDocument
from lrnet.service import events, schema
from lrnet.service.database import JobState, Store, VideoRow
from lrnet.service.folder import OVERLAY, REPORT, Folder, Incoming
from lrnet.service.guard import COOKIE, REPORT_POLICY, SESSION_SECONDS, Guard, new_session, same
from lrnet.service.metrics import Figures, Measured
from lrnet.service.queue import JobQueue
from lrnet.service.settings import Settings
from lrnet.service.upload import RefusedError, check_size, check_type, receive
from lrnet.service.work import display_name
from lrnet.service.worker import ALIVE_SECONDS, remove
from lrnet.verdict import State
from lrnet.version import __version__

MAX_NUMBER: Final = 2**31 - 1
MAX_FORM: Final = 4096  # bytes
VideoId = Annotated[str, PathPart(pattern="^[0-9a-f]{32}$", description="Identifier of a video.")]

DESCRIPTION: Final = """Videos in, verdicts on the motion of the faces in them out.

Hand a video in as the body of `POST /v1/videos`, follow `links.events` or ask `GET /v1/videos/{id}` until its `state`
is `done` or `failed`, then read `links.result` (JSON) or `links.report` (HTML)."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the answers are made from."""

    settings: Settings
    store: Store
    folder: Folder
    queue: JobQueue
    figures: Figures
    ending: Callable[[], bool]


def create_app(settings: Settings, ending: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application.

    Args:
        ending: whether the server is shutting down; streams end then.

    Raises:
        ServiceError: the data folder, database or queue cannot be used.
    """
    folder = Folder(settings.data)
    store = Store(settings.database_url)
    queue = JobQueue(settings.queue, settings.data)
    service = Service(settings, store, folder, queue, Figures(store), ending)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    app = FastAPI(
        title="lrnet",
        summary="Deepfake detection in video from the motion of facial landmarks.",
        description=DESCRIPTION,
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        # FastAPI can send traces and metrics if the environment says so. This service sends nothing.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    _add_videos(app, service)
    _add_results(app, service)
    _add_operations(app, service)
    _add_page(app, service)
    _add_errors(app)
    app.add_middleware(Measured, figures=service.figures)
    app.add_middleware(Guard, hosts=settings.hosts, token=settings.token)
    if settings.token is not None:
        _describe_token(app)
    return app


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route for its description."""
    return {status: {"model": schema.Problem, "description": _MEANING[status]} for status in statuses}


_MEANING: Final = {
    400: "The body is empty or is no request.",
    401: "The service asks for a token.",
    403: "A page of another origin may not change anything here.",
    404: "There is no such video.",
    408: "The upload took too long.",
    409: "The video has no result: it is not judged yet, or it failed.",
    413: "The video is too large.",
    415: "The body's type is not one of a video.",
    421: "The service is not reached by this name.",
    422: "A parameter is not what it should be.",
    503: "The queue is full, or the database is away.",
    507: "There is no room on the disk.",
}
_ALWAYS: Final = (401, 403, 421, 422, 503)


def _add_videos(app: FastAPI, service: Service) -> None:
    store = service.store

    @app.post(
        "/v1/videos",
        status_code=201,
        tags=["videos"],
        responses={
            201: {"headers": {"Location": {"description": "Where the video is.", "schema": {"type": "string"}}}},
            **_problems(*_ALWAYS, 400, 408, 413, 415, 507),
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
    ) -> schema.Video:
        """Hand a video in; it is queued."""
        try:
            row = await _take_in(service, request, name)
        except RefusedError as error:
            service.figures.refused.labels(error.error).inc()
            raise
        except ClientDisconnect:
            service.figures.refused.labels("broken_off").inc()
            raise
        response.headers["Location"] = f"/v1/videos/{row.id}"
        return schema.video(row)

    @app.get("/v1/videos", tags=["videos"], responses=_problems(*_ALWAYS))
    def history(
        q: Annotated[
            str, Query(max_length=200, description="Part of a name, or the beginning of a SHA-256 or identifier.")
        ] = "",
        state: Annotated[JobState | None, Query(description="Only videos in this state.")] = None,
        verdict: Annotated[State | None, Query(description="Only videos with this verdict.")] = None,
        limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
        before: Annotated[int | None, Query(ge=1, le=MAX_NUMBER, description="`before` of the last page.")] = None,
    ) -> schema.VideoPage:
        """The history, newest first."""
        return schema.page(store.page(text=q, state=state, verdict=verdict, limit=limit, before=before))

    @app.get("/v1/videos/{video_id}", tags=["videos"], responses=_problems(*_ALWAYS, 404))
    def video(video_id: VideoId) -> schema.Video:
        """One video."""
        return schema.video(_row(store, video_id))

    @app.delete("/v1/videos/{video_id}", status_code=204, tags=["videos"], responses=_problems(*_ALWAYS, 404))
    def delete(video_id: VideoId) -> None:
        """Delete a video with its file and results; if it is being judged, that ends."""
        if not remove(store, service.folder, video_id):
            raise _unknown()


async def _take_in(service: Service, request: Request, name: str) -> VideoRow:
    settings, folder = service.settings, service.folder
    check_type(request.headers.get("content-type", ""))
    length = request.headers.get("content-length", "")
    check_size(int(length) if length.isascii() and length.isdigit() else None, settings, folder)
    if await run_sync(service.store.waiting) >= settings.max_waiting:
        raise RefusedError(503, "queue_full", f"{settings.max_waiting} videos wait already.", "Try again later.")
    incoming = await receive(request.stream(), settings, folder)
    service.figures.received.inc(incoming.size)
    try:
        return await run_sync(_enter, service, incoming, display_name(name))
    finally:
        await run_sync(incoming.discard)


def _enter(service: Service, incoming: Incoming, name: str) -> VideoRow:
    with service.folder.references():
        service.folder.place(incoming)
        row = service.store.add(name, incoming.sha256, incoming.size)
    with suppress(Exception):  # a queue that is away: a worker's keeper sends the message when it is back
        service.queue.send(row.id)
    return row


def _add_results(app: FastAPI, service: Service) -> None:
    store = service.store

    @app.get(
        "/v1/videos/{video_id}/events",
        tags=["progress"],
        response_class=StreamingResponse,
        responses={200: _EVENT_STREAM, **_problems(*_ALWAYS, 404)},
    )
    async def video_events(video_id: VideoId) -> Response:
        """Server-sent events of one video: `state`, `decode`, `faces`, `clips`, `deleted`. Ends when it is judged."""
        await run_sync(_row, store, video_id)
        return await _stream(events.one_video(store, video_id, service.ending))

    @app.get(
        "/v1/events",
        tags=["progress"],
        response_class=StreamingResponse,
        responses={200: _EVENT_STREAM, **_problems(*_ALWAYS)},
    )
    async def all_events() -> Response:
        """Server-sent events of all videos that change: `video`, `deleted`. Does not end."""
        return await _stream(events.all_videos(store, service.ending))

    @app.get(
        "/v1/videos/{video_id}/result",
        tags=["results"],
        response_model=ReportDocument,
        responses=_problems(*_ALWAYS, 404, 409),
    )
    def result(video_id: VideoId) -> Response:
        """Everything that is said of a video, as `lrnet detect --json --report` writes it."""
        _judged(store, video_id)
        return Response(store.document(video_id), media_type="application/json")

    @app.get(
        "/v1/videos/{video_id}/report",
        tags=["results"],
        response_class=FileResponse,
        responses={200: {"content": {"text/html": {}}, "description": "The report."}, **_problems(*_ALWAYS, 404, 409)},
    )
    def report(video_id: VideoId) -> Response:
        """The report: one HTML file that needs nothing else."""
        path = _result_file(service, video_id, REPORT)
        # A sandboxed document may not also ask for an opener policy: browsers refuse to show it.
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
            **_problems(*_ALWAYS, 404, 409),
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
    """A stream that has begun: its first word is there before the head of the answer is sent."""
    first = await anext(source, b"")

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for word in source:
            yield word

    return StreamingResponse(whole(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _row(store: Store, video_id: str) -> VideoRow:
    row = store.get(video_id)
    if row is None:
        raise _unknown()
    return row


def _judged(store: Store, video_id: str) -> VideoRow:
    row = _row(store, video_id)
    if row.state != JobState.DONE:
        what = "The video failed." if row.state == JobState.FAILED else f"The video is {row.state}."
        raise RefusedError(409, "no_result", what, "Ask for the video itself: its state tells more.")
    return row


def _result_file(service: Service, video_id: str, name: str) -> Path:
    path = service.folder.result(video_id, _judged(service.store, video_id).attempt or "") / name
    if not path.is_file():
        raise RefusedError(404, "not_made", f"There is no {name} of this video.", "It was not made, or was deleted.")
    return path


def _unknown() -> RefusedError:
    return RefusedError(404, "unknown_video", "There is no such video.", "It may have been deleted.")


def _add_operations(app: FastAPI, service: Service) -> None:
    store = service.store

    @app.get("/v1/about", tags=["operation"], responses=_problems(*_ALWAYS))
    def about() -> schema.About:
        """The service's version, model and limits."""
        settings = service.settings
        return schema.About(
            lrnet_version=__version__,
            model=Path(settings.model).name,
            max_upload=settings.max_upload,
            keep_days=settings.keep_days,
            slots=store.slots(ALIVE_SECONDS),
            waiting=store.waiting(),
            token=settings.token is not None,
        )

    @app.get("/health/live", tags=["operation"], response_class=Response, status_code=204, responses=_problems(421))
    def live() -> None:
        """Whether the web process answers. Asks for no token."""

    @app.get(
        "/health/ready",
        tags=["operation"],
        responses={503: {"model": schema.Health, "description": "Something is missing."}, **_problems(401, 421)},
    )
    def ready(response: Response) -> schema.Health:
        """Whether database, queue and a worker are there."""
        database = _answers(store.ping)
        queue = _answers(lambda: len(service.queue))
        workers = database and _answers(lambda: 1 / store.slots(ALIVE_SECONDS))
        health = schema.Health(ready=database and queue and workers, database=database, queue=queue, workers=workers)
        response.status_code = 200 if health.ready else 503
        return health

    @app.get(
        "/metrics",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Figures."}, **_problems(401, 421, 503)},
    )
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(service.figures.registry), media_type=CONTENT_TYPE_LATEST)


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Exception:
        return False
    return True


TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _add_page(app: FastAPI, service: Service) -> None:
    # Read once: what is served is what came with the package, and no request's path ever reaches the disk.
    page = {path.name: path.read_bytes() for path in (files("lrnet.service") / "page").iterdir() if path.is_file()}

    def piece(name: str, request: Request) -> Response:
        data = page.get(name)
        if data is None:
            raise RefusedError(404, "unknown_file", "There is no such file.", "Go to /.")
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=TYPES[Path(name).suffix], headers=headers)

    @app.get("/", include_in_schema=False)
    async def start(request: Request) -> Response:
        return piece("index.html", request)

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        return piece(name, request)

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon(request: Request) -> Response:
        return piece("icon.svg", request)

    if service.settings.token is not None:
        _add_session(app, service.settings.token, piece)


def _add_session(app: FastAPI, token: str, piece: Callable[[str, Request], Response]) -> None:
    @app.get("/signin", include_in_schema=False)
    async def sign_in_page(request: Request) -> Response:
        return piece("signin.html", request)

    @app.post("/signin", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        given = parse_qs((await _short_body(request)).decode("utf-8", "replace")).get("token", [""])[0].strip()
        if not same(given, token):
            return RedirectResponse("/signin#wrong", 303)
        answer = RedirectResponse("/", 303)
        # The word of a proxy that speaks TLS; who lies here spoils a cookie of their own.
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        answer.set_cookie(
            COOKIE, new_session(token), max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure
        )
        return answer

    @app.post("/signout", include_in_schema=False)
    async def sign_out() -> Response:
        answer = RedirectResponse("/signin", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


async def _short_body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM:
            raise RefusedError(413, "too_large", "The form is too large.", "Send the token alone.")
    return body


def _add_errors(app: FastAPI) -> None:
    def problem(status: int, error: str, message: str, hint: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": error, "message": message, "hint": hint}, status, headers)

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        headers = {"Retry-After": "30"} if error.status == 503 else None
        return problem(error.status, error.error, error.message, error.hint, headers)

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        what = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:5])
        return problem(422, "invalid", f"A parameter is not what it should be: {what}.", "See /openapi.json.")

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = {"Allow": ", ".join(_methods(app, request))} if error.status_code == 405 else error.headers
        return problem(error.status_code, "http", str(error.detail), "See /openapi.json.", headers)

    async def away(_request: Request, _error: Exception) -> Response:
        return problem(503, "database", "The database does not answer.", "Try again later.", {"Retry-After": "30"})

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        RefusedError: refused,
        RequestValidationError: invalid,
        HTTPException: http,
        SQLAlchemyError: away,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Every method that a path has; the router names only those of the first route that has the path."""
    found: set[str] = set()
    for route in app.routes:
        match, _ = route.matches(request.scope)
        if match != Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def _describe_token(app: FastAPI) -> None:
    """Say in the OpenAPI description that every route but two asks for a token."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        description = plain()
        description.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{"token": []}]
        description["paths"]["/health/live"]["get"]["security"] = []
        return description

    app.openapi = described  # type: ignore[method-assign]
