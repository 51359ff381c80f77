"""Telling another program that a video is finished: an HTTP request with a signature, repeated until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from lrnet.errors import ServiceError
from lrnet.service import schema
from lrnet.service.database import Store
from lrnet.version import __version__

log = logging.getLogger("lrnet.service.webhook")

SIGNATURE: Final = "X-Lrnet-Signature"
ANSWER_SECONDS: Final = 10.0
PAUSES: Final = (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600)  # seconds before each repetition; then it is given up


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where finished videos are told.

    Attributes:
        url: gets a POST request with the video as `GET /v1/videos/{id}` gives it.
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


def signature(secret: str, when: int, body: bytes) -> str:
    """The value of the header: `t` is the time in seconds since the epoch, `v1` HMAC-SHA-256 of "t.body"."""
    proof = hmac.new(secret.encode(), f"{when}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={when},v1={proof}"


def tell_one(store: Store, webhook: Webhook) -> bool:
    """Tell of one video if one is due. Returns whether one was."""
    taken = store.take_notice(3 * ANSWER_SECONDS)
    if taken is None:
        return False
    row, tries = taken
    body = schema.video(row).model_dump_json().encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"lrnet/{__version__}",
        SIGNATURE: signature(webhook.secret, int(time.time()), body),
    }
    request = urllib.request.Request(webhook.url, body, headers, method="POST")
    again: float | None = None
    try:
        with _opener.open(request, timeout=ANSWER_SECONDS):
            log.info("video %s: told", row.id)
    except (OSError, ValueError) as error:  # no answer, or a status that is not of success
        again = PAUSES[tries] if tries < len(PAUSES) else None
        log.warning(
            "video %s: could not be told (%s), %s", row.id, error, f"again in {again} s" if again else "given up"
        )
    store.noticed(row.id, again)
    return True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # the operator named one address


_opener: Final = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))
