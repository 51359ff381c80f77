"""The page's files, and signing in."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from anyio.to_thread import run_sync
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from lrnet.service.api import Service
from lrnet.service.guard import COOKIE, HOLDER, WATCHING, address_of
from lrnet.service.tokens import SESSION_SECONDS, Attempts, holder, new_session
from lrnet.service.upload import RefusedError

MAX_FORM: Final = 4096  # bytes
TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def add_page(app: FastAPI, service: Service, attempts: Attempts) -> None:
    """The page, and the sign-in if the service asks for a token."""
    # Read once, so that no request's path ever reaches the disk.
    page = {path.name: path.read_bytes() for path in (files("lrnet.service") / "page").iterdir() if path.is_file()}

    def piece(name: str, request: Request) -> Response:
        data = page.get(name)
        if data is None:
            raise RefusedError(404, "unknown_file", "There is no such file.", "Go to /.")
        tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache", **(WATCHING if name == "index.html" else {})}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=TYPES[Path(name).suffix], headers=headers)

    def add(path: str, name: str) -> None:
        async def send(request: Request) -> Response:
            return piece(name, request)

        app.get(path, include_in_schema=False)(send)

    add("/", "index.html")
    add("/api", "api.html")
    add("/favicon.ico", "icon.svg")

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        return piece(name, request)

    if service.settings.tokens:
        add("/signin", "signin.html")
        _add_session(app, service, attempts)


def _add_session(app: FastAPI, service: Service, attempts: Attempts) -> None:
    tokens = service.settings.tokens

    @app.post("/signin", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        given = parse_qs((await _short_body(request)).decode("utf-8", "replace")).get("token", [""])[0].strip()
        address = address_of(request.scope)
        if attempts.too_many(address):
            raise RefusedError(429, "too_many_attempts", "Too many wrong tokens were given.", "Wait a minute.")
        token = holder(given, tokens)
        if token is None:
            await attempts.wrong(address)
            return RedirectResponse("/signin#wrong", 303)
        request.scope[HOLDER] = token
        await run_sync(service.note, request, "sign in")
        answer = RedirectResponse("/", 303)
        # The header comes from a proxy that speaks TLS. A client that forges it only affects its own cookie.
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
