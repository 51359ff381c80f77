"""Tell another program something by HTTP, with a signature that it can check."""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Final

from lrnet.errors import ServiceError
from lrnet.version import __version__

SIGNATURE: Final = "X-Lrnet-Signature"
ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where another program listens.

    Attributes:
        url: gets a POST request with JSON.
        secret: signs it.

    Raises:
        ServiceError: the address is not one of HTTP, or there is no secret.
    """

    url: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ServiceError(
                "The address of the webhook is not one of HTTP.", hint="Write it like https://host/path."
            )
        if len(self.secret) < 16:
            raise ServiceError(
                "The webhook needs a secret of 16 characters or more.",
                hint="Give one with --webhook-secret-file: the receiver checks the signature with it.",
            )

    def post(self, body: bytes) -> None:
        """Send JSON once.

        Raises:
            OSError, ValueError: no answer, or a status that is not of success.
        """
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"lrnet/{__version__}",
            SIGNATURE: signature(self.secret, int(time.time()), body),
        }
        request = urllib.request.Request(self.url, body, headers, method="POST")
        try:
            with _opener.open(request, timeout=ANSWER_SECONDS):
                pass
        except HTTPException as error:  # an answer that is not HTTP
            raise OSError(f"{type(error).__name__}: {error}") from error


def signature(secret: str, when: int, body: bytes) -> str:
    """The value of the header: `t` is the time in seconds since the epoch, `v1` HMAC-SHA-256 of "t.body"."""
    proof = hmac.new(secret.encode(), f"{when}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={when},v1={proof}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # the operator named one address


_opener: Final = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
