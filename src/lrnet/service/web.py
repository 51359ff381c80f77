"""The web application: the API, its description, the page, and the thread that keeps the service in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from lrnet.report.wording import BLIND_SPOTS, WORDING
from lrnet.service import schema
from lrnet.service.api import MAX_NUMBER, Service, problems
from lrnet.service.database import Store
from lrnet.service.folder import Folder
from lrnet.service.guard import HOLDER, REQUEST, Guard
from lrnet.service.lists import add_lists
from lrnet.service.metrics import Figures, Measured
from lrnet.service.results import add_downloads, add_results
from lrnet.service.resumable import add_uploads
from lrnet.service.settings import Settings
from lrnet.service.site import add_page
from lrnet.service.tokens import Attempts, Role, Token
from lrnet.service.upload import RefusedError, Room
from lrnet.service.videos import add_videos
from lrnet.service.watching import add_watch
from lrnet.service.webhook import notify_one
from lrnet.service.worker import ALIVE_SECONDS, AWAY, Keeper
from lrnet.version import __version__

log = logging.getLogger("lrnet.service.web")

GONE: Final = 499  # the status in the log of a request whose client went away
NOTICE_SECONDS: Final = 1.0  # between two looks for notices that are due

DESCRIPTION: Final = """Videos in, verdicts on the faces in them out.

Hand a video in as the body of `POST /v1/videos`, follow `links.events` or ask `GET /v1/videos/{id}` until its `state`
is `done`, `failed` or `cancelled`, then read `links.result` (JSON) or `links.report` (HTML)."""


def create_app(settings: Settings, ending: Callable[[], bool] = lambda: False) -> FastAPI:
    """The application.

    Args:
        ending: whether the server is shutting down; streams end then.

    Raises:
        ServiceError: the data folder or the database cannot be used.
    """
    folder = Folder(settings.data)
    store = Store(settings.database_url)
    service = Service(settings, store, folder, Room(folder), Figures(store), ending)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=work, args=(service, stop)) for work in (_keep, _notify)]
        for thread in threads:
            thread.start()
        yield
        stop.set()
        for thread in threads:
            thread.join()
        store.close()

    app = FastAPI(
        title="lrnet",
        summary="Deepfake detection in video from the motion and the pixels of faces.",
        description=DESCRIPTION,
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,  # FastAPI's pages load scripts from elsewhere; ours is at /api
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(_refuse_unknown_parameters)],
        # FastAPI can send traces and metrics if the environment says so. This service sends nothing.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    attempts = Attempts()
    add_videos(app, service)
    add_uploads(app, service)
    add_lists(app, service)
    add_results(app, service)
    add_downloads(app, service)
    add_watch(app, service)
    _add_operations(app, service)
    add_page(app, service, attempts)
    _add_errors(app)
    app.add_middleware(Measured, figures=service.figures)
    app.add_middleware(Guard, hosts=settings.hosts, tokens=settings.tokens, attempts=attempts)
    if settings.tokens:
        _describe_token(app)
    return app


def _keep(service: Service, stop: threading.Event) -> None:
    """Put back videos of dead workers also where no other worker is left."""
    keeper = Keeper(service.settings, service.store, service.folder)
    _repeat(keeper.look, keeper.every, stop)


def _notify(service: Service, stop: threading.Event) -> None:
    """Call the webhook; on a thread of its own, because one that does not answer takes long."""
    if (webhook := service.settings.webhook) is not None:

        def call() -> None:
            while not stop.is_set() and notify_one(service.store, webhook):
                pass

        _repeat(call, NOTICE_SECONDS, stop)


def _repeat(step: Callable[[], None], every: float, stop: threading.Event) -> None:
    while not stop.wait(every):
        try:
            step()
        except AWAY as error:
            log.warning("the database does not answer (%s)", type(error).__name__)
        except Exception:
            log.exception("a step of the service failed")


def _refuse_unknown_parameters(request: Request) -> None:
    """A parameter that is misspelt must not be ignored: the list would show everything."""
    route = request.scope["route"]
    if not route.include_in_schema:  # the page
        return
    known = _query_parameters(route.dependant)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        hint = f"Known here: {', '.join(sorted(known)) or 'none'}. See /api."
        raise RefusedError(422, "unknown_parameter", f"Unknown parameter: {', '.join(unknown)[:200]}.", hint)


def _query_parameters(dependant: Any) -> set[str]:
    """The query parameters of a route and of what it depends on."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_query_parameters(part) for part in dependant.dependencies))


def _add_operations(app: FastAPI, service: Service) -> None:
    store = service.store
    open_to_all = problems(421, 422, only=True)

    @app.get("/v1/about", tags=["operation"], responses=problems())
    def about(request: Request) -> schema.About:
        """The service's version, model, limits and words."""
        settings = service.settings
        token: Token | None = request.scope.get(HOLDER)
        return schema.About(
            lrnet_version=__version__,
            model=Path(settings.model).name,
            max_upload=settings.max_upload,
            keep_days=settings.keep_days,
            slots=store.slots(ALIVE_SECONDS),
            waiting=store.waiting(),
            token=bool(settings.tokens),
            role=(token.role if token else Role.ADMIN).name.lower(),
            states={state: words.headline for state, words in WORDING.items()},
            caution=BLIND_SPOTS,
        )

    @app.get("/v1/audit", tags=["operation"], responses=problems())
    def audit(
        limit: Annotated[int, Query(ge=1, le=1000, description="How many at most.")] = 100,
        before: Annotated[int | None, Query(ge=1, le=MAX_NUMBER, description="Number of the last line.")] = None,
    ) -> schema.AuditPage:
        """The audit log: submissions, cancellations, further examinations, deletions and sign-ins, with names."""
        return schema.AuditPage(items=tuple(schema.AuditLine(**line) for line in store.audit(limit, before)))

    @app.get(
        "/health/live",
        tags=["operation"],
        response_class=Response,
        status_code=204,
        responses=open_to_all,
    )
    def live() -> None:
        """Whether the web process answers. Asks for no token."""

    @app.get(
        "/health/ready",
        tags=["operation"],
        responses={
            503: {"model": schema.Health, "description": "Something is missing."},
            **open_to_all,
        },
    )
    def ready(response: Response) -> schema.Health:
        """Whether the database and a worker are there. Asks for no token."""
        try:
            database, workers = True, store.slots(ALIVE_SECONDS) > 0
        except SQLAlchemyError:
            database, workers = False, False
        response.status_code = 200 if workers else 503
        return schema.Health(ready=workers, database=database, workers=workers)

    @app.get(
        "/metrics",
        tags=["operation"],
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}, "description": "Figures."}, **problems()},
    )
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(service.figures.registry), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI) -> None:
    def problem(status: int, error: str, message: str, hint: str, headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": error, "message": message, "hint": hint}, status, headers)

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RefusedError)
        headers = {"Retry-After": "60" if error.status == 429 else "30"} if error.status in (429, 503) else None
        return problem(error.status, error.error, error.message, error.hint, headers)

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        what = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:5])
        return problem(422, "invalid", f"A parameter is invalid: {what}.", "See /api.")

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = {"Allow": ", ".join(_methods(app, request))} if error.status_code == 405 else error.headers
        return problem(error.status_code, "http", str(error.detail), "See /api.", headers)

    async def away(request: Request, error: Exception) -> Response:
        log.warning("request %s: the database does not answer (%s)", request.scope[REQUEST], type(error).__name__)
        return problem(503, "database", "The database does not answer.", "Try again later.", {"Retry-After": "30"})

    async def gone(_request: Request, _error: Exception) -> Response:
        return problem(GONE, "broken_off", "The upload broke off.", "Send it again.")  # for the log: nobody reads it

    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        RefusedError: refused,
        RequestValidationError: invalid,
        HTTPException: http,
        **dict.fromkeys(AWAY, away),
        ClientDisconnect: gone,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Every method of a path; the router names only those of the first route that has the path."""
    found: set[str] = set()
    for route in app.routes:
        match, _ = route.matches(request.scope)
        if match != Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _describe_token(app: FastAPI) -> None:
    """Say in the OpenAPI description which routes ask for a token."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        description = plain()
        description.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        description["security"] = [{"token": []}]
        for probe in ("live", "ready"):
            description["paths"][f"/health/{probe}"]["get"]["security"] = []
        return description

    app.openapi = described  # type: ignore[method-assign]
