"""Who may ask, and what every answer says about itself.

A service on loopback is reached by every page that the same browser shows. Three things keep strangers' pages out: the
`Host` header must be a name of this service (a page whose own name was pointed at 127.0.0.1 is refused), a request that
changes something must not come from another origin, and no answer may be read, framed or embedded from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "lrnet_session"
SESSION_SECONDS: Final = 12 * 3600
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS: Final = frozenset({"/signin", "/health/live", "/favicon.ico"})
OPEN_FOLDER: Final = "/assets/"  # what the sign-in page needs; nothing of anybody's is in it

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
        # A report is a file of its own with script and style inside. `sandbox` takes it out of this origin: whatever is
        # in it, it can neither ask this service anything nor see the session. Its own <meta> policy holds besides.
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
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
}


class Guard:
    """ASGI middleware around everything.

    Args:
        hosts: names, without a port, by which the service is reached.
        token: what a client must know; None lets everybody in.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str | None) -> None:
        self._app = app
        self._hosts = frozenset(host.casefold() for host in hosts)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message))
            await send(message)

        refused = self._refusal(scope, headers)
        if refused is None:
            await self._app(scope, receive, send_guarded)
        else:
            await _answer(send_guarded, *refused)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, str, str] | None:
        """Status, word, message and hint of a refusal; None lets the request in."""
        if host_name(headers.get("host", "")) not in self._hosts:
            hint = "Use an address the service was started for, or start it with --allow-host NAME."
            return 421, "unknown_host", "The service is not reached by this name.", hint
        if scope["method"] not in SAFE_METHODS and _from_elsewhere(headers):
            hint = "Send it from the service's own page, or from a program."
            return 403, "cross_origin", "A page of another origin may not change anything here.", hint
        if self._token is not None and not _is_open(scope["path"]) and not self._knows_token(headers):
            if scope["path"] == "/":
                return 303, "sign_in", "/signin", ""
            hint = "Send 'Authorization: Bearer TOKEN', or sign in at /signin."
            return 401, "unauthorized", "The service asks for a token.", hint
        return None

    def _knows_token(self, headers: Headers) -> bool:
        assert self._token is not None
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.casefold() == "bearer":
            return same(given.strip(), self._token)
        return session_holds(_cookie(headers), self._token)


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
    except ValueError:  # no address at all
        return True


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def same(given: str, token: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def new_session(token: str) -> str:
    """The value of a session's cookie: when it ends, and a proof that we made it."""
    ends = str(int(time.time()) + SESSION_SECONDS)
    return f"{ends}.{_proof(ends, token)}"


def session_holds(cookie: str, token: str) -> bool:
    """Whether a cookie is one of ours and has not ended."""
    ends, _, proof = cookie.partition(".")
    return same(proof, _proof(ends, token)) and ends.isascii() and ends.isdigit() and int(ends) > time.time()


def _proof(ends: str, token: str) -> str:
    return hmac.new(token.encode(), f"lrnet session {ends}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _cookie(headers: Headers) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _add_headers(headers: MutableHeaders) -> None:
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
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
