"""Telling another program that a video is finished: an HTTP request with a signature, repeated until it is taken."""

from __future__ import annotations

import logging
from typing import Final

from lrnet.service import schema
from lrnet.service.database import Store
from lrnet.webhook import ANSWER_SECONDS, SIGNATURE, Webhook

__all__ = ["PAUSES", "SIGNATURE", "Webhook", "tell_one"]

log = logging.getLogger("lrnet.service.webhook")

PAUSES: Final = (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600)  # seconds before each repetition; then it is given up


def tell_one(store: Store, webhook: Webhook) -> bool:
    """Tell of one video if one is due. Returns whether one was.

    The video is sent as `GET /v1/videos/{id}` gives it.
    """
    taken = store.take_notice(3 * ANSWER_SECONDS)
    if taken is None:
        return False
    row, tries = taken
    again: float | None = None
    try:
        webhook.post(schema.video(row).model_dump_json().encode())
        log.info("video %s: told", row.id)
    except (OSError, ValueError) as error:
        again = PAUSES[tries] if tries < len(PAUSES) else None
        log.warning(
            "video %s: could not be told (%s), %s", row.id, error, f"again in {again} s" if again else "given up"
        )
    store.noticed(row.id, again)
    return True
