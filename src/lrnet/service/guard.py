"""Access control of every request, and the security headers of every answer.

Every page that the same browser shows can reach a service on loopback. Three things keep strangers' pages out: the
`Host` header must be a name of this service (a page whose own name was pointed at 127.0.0.1 is refused), a request that
changes something must not come from another origin, and no answer may be read, framed or embedded from elsewhere.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrnet.service.tokens import Attempts, Role, Token, holder, session_holder

log = logging.getLogger("lrnet.service.requests")

COOKIE: Final = "lrnet_session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS: Final = frozenset({"/signin", "/signout", "/health/live", "/health/ready", "/favicon.ico"})
OPEN_FOLDER: Final = "/assets/"  # files of the sign-in page; they hold nobody's data

PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
REPORT_POLICY: Final = "; ".join(
    (
        # A report is a file with script and style inside. `sandbox` takes it out of this origin: it can neither send
        # requests to this service nor see the session. The report's own <meta> policy applies too.
        "sandbox allow-scripts allow-modals allow-downloads",
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "media-src data: blob:",
        "font-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with "no-referrer" a browser's forms say "Origin: null", like a stranger's
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), microphone=(), geolocation=(), browsing-topics=()",
}
WATCHING: Final = {
    "Permissions-Policy": "camera=(self), display-capture=(self), microphone=(), geolocation=(), browsing-topics=()"
}


HOLDER: Final = "lrnet.token"  # in the scope: the client's token
REQUEST: Final = "lrnet.request"  # in the scope: the request's identifier
UNLOGGED: Final = "lrnet.unlogged"  # in the scope: whether the request is left out of the log


class Guard:
    """ASGI middleware around everything.

    Args:
        hosts: names, without a port, by which the service is reached.
        tokens: what clients must know; none lets everybody in.
        attempts: shared with the sign-in page.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], tokens: tuple[Token, ...], attempts: Attempts) -> None:
        self._app = app
        self._hosts = frozenset(host.casefold() for host in hosts)
        self._tokens, self._attempts = tokens, attempts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        scope[REQUEST] = given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else secrets.token_hex(8)
        method, began, started = scope["method"], time.perf_counter(), False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(MutableHeaders(scope=message), scope[REQUEST])
                if method not in SAFE_METHODS and not scope.get(UNLOGGED):
                    _log(scope, method, message["status"], time.perf_counter() - began)
            await send(message)

        refused = await self._refusal(scope, headers)
        if refused is None:
            try:
                await self._app(scope, receive, send_guarded)
                return
            except Exception:
                if started:
                    raise
                log.exception("request %s", scope[REQUEST])
                refused = 500, "fault", "The service has a fault.", f"Its log says more: request {scope[REQUEST]}."
        await _answer(send_guarded, *refused)

    async def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, str, str] | None:
        """Status, word, message and hint of a refusal; None lets the request in."""
        if host_name(headers.get("host", "")) not in self._hosts:
            hint = "Use an address the service was started for, or start it with --allow-host NAME."
            return 421, "unknown_host", "The service is not reached by this name.", hint
        if scope["method"] not in SAFE_METHODS and _from_elsewhere(headers):
            hint = "Send it from the service's own page, or from a program."
            return 403, "cross_origin", "A page of another origin may not change anything here.", hint
        if not self._tokens or _is_open(scope["path"]):
            return None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        address = address_of(scope)
        if scheme.casefold() == "bearer":
            if self._attempts.too_many(address):
                return 429, "too_many_attempts", "Too many wrong tokens were given.", "Wait a minute."
            token = holder(given.strip(), self._tokens)
            if token is None:
                await self._attempts.wrong(address)
        else:
            token = session_holder(_cookie(headers), self._tokens)
        if token is None:
            if scope["path"] == "/":
                return 303, "sign_in", "/signin", ""
            hint = "Send 'Authorization: Bearer TOKEN', or sign in at /signin."
            return 401, "unauthorized", "The service asks for a token.", hint
        scope[HOLDER] = token
        if token.role < needed(scope["method"], scope["path"]):
            return 403, "not_allowed", f"The token {token.name} may not do this.", "Use one with another role."
        return None


def needed(method: str, path: str) -> Role:
    """The role that a request needs."""
    if (method == "DELETE" and not path.startswith("/v1/uploads/")) or path == "/v1/audit":
        return Role.ADMIN
    return Role.READ if method in SAFE_METHODS else Role.SUBMIT


def address_of(scope: Scope) -> str:
    """The address that a request came from; behind a proxy the proxy's."""
    return scope["client"][0] if scope.get("client") else ""


def _log(scope: Scope, method: str, status: int, seconds: float) -> None:
    token: Token | None = scope.get(HOLDER)
    fields = {"request": scope[REQUEST], "who": token.name if token else "", "address": address_of(scope)}
    path = scope["path"] if re.fullmatch(r"[\w/.-]{1,100}", scope["path"], re.ASCII) else "?"
    log.info("%s %s: %d in %.3f s", method, path, status, seconds, extra=fields)


def host_name(header: str) -> str:
    """The name of a `Host` header, without its port, in lower case."""
    if header.startswith("["):
        return header.partition("]")[0].casefold() + "]"
    return header.partition(":")[0].casefold()


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser says that another origin's page sent a request."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.casefold() != headers.get("host", "").casefold()
    except ValueError:  # not an address
        return True


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _add_headers(headers: MutableHeaders, request: str) -> None:
    headers["X-Request-ID"] = request
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    headers.setdefault("Cache-Control", "no-store")


async def _answer(send: Any, status: int, error: str, message: str, hint: str) -> None:
    headers = [(b"content-type", b"application/json")]
    body = json.dumps({"error": error, "message": message, "hint": hint}).encode()
    if status == 303:
        headers, body = [(b"location", message.encode())], b""
    elif status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    elif status == 429:
        headers.append((b"retry-after", b"60"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
