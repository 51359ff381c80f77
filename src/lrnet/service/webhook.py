"""Notices to another program that a video is finished: signed HTTP requests, repeated until one is accepted."""

from __future__ import annotations

import logging
from typing import Final

from lrnet.service import schema
from lrnet.service.database import Store
from lrnet.webhook import ANSWER_SECONDS, Webhook

log = logging.getLogger("lrnet.service.webhook")

PAUSES: Final = (5, 30, 120, 600, 3600, 4 * 3600, 12 * 3600)  # seconds before each repetition; then it is given up


def notify_one(store: Store, webhook: Webhook) -> bool:
    """Send the notice of one video, if one is due. Returns whether one was.

    The video is sent as `GET /v1/videos/{id}` gives it.
    """
    taken = store.take_notice(3 * ANSWER_SECONDS)
    if taken is None:
        return False
    row, tries = taken
    again: float | None = None
    try:
        webhook.post(schema.video(row).model_dump_json().encode())
        log.info("video %s: notice sent", row.id)
    except (OSError, ValueError) as error:
        again = PAUSES[tries] if tries < len(PAUSES) else None
        what_next = f"again in {again} s" if again else "given up"
        log.warning("video %s: the notice could not be sent (%s), %s", row.id, error, what_next)
    store.noticed(row.id, again)
    return True
