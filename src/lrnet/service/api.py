"""The service behind the routes of the API, their descriptions of refusals, and the video that a path names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Path as PathPart
from fastapi import Request

from lrnet.service import schema
from lrnet.service.database import Store
from lrnet.service.folder import Folder
from lrnet.service.guard import HOLDER, REQUEST
from lrnet.service.metrics import Figures
from lrnet.service.rows import VideoRow
from lrnet.service.settings import Settings
from lrnet.service.tokens import Token
from lrnet.service.upload import RefusedError, Room

MAX_NUMBER: Final = 2**31 - 1
VideoId = Annotated[str, PathPart(pattern="^[0-9a-f]{32}$", description="Identifier of a video.")]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service that its routes use."""

    settings: Settings
    store: Store
    folder: Folder
    room: Room
    figures: Figures
    ending: Callable[[], bool]

    def note(self, request: Request, action: str, video: str | None = None) -> None:
        """Write a line of the audit log."""
        self.store.note(name_of(request) or "", action, video, request.scope[REQUEST])


def name_of(request: Request) -> str | None:
    """The name of the client's token; None if the service asks for none."""
    token: Token | None = request.scope.get(HOLDER)
    return token.name if token else None


def problems(*statuses: int, only: bool = False) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its description: these, and unless `only` is set those that any route may give."""
    given = statuses if only else (*ALWAYS, *statuses)
    return {status: {"model": schema.Problem, "description": _MEANING[status]} for status in given}


_MEANING: Final = {
    400: "The body is empty or is no request.",
    401: "The service asks for a token.",
    403: "The token does not allow this, or a page of another origin asks.",
    404: "There is no such video.",
    408: "The upload took too long.",
    409: "The video's state does not allow this, or the key was used for another file.",
    413: "The video is too large.",
    415: "The body's type is not one of a video.",
    421: "The service is not reached by this name.",
    422: "A parameter is unknown or invalid.",
    429: "Too many wrong tokens were given.",
    503: "The queue is full, or the database is away.",
    507: "There is no room on the disk.",
}
ALWAYS: Final = (401, 403, 421, 422, 429, 503)


def row_of(store: Store, video_id: str) -> VideoRow:
    """A video's row. Raises RefusedError if there is none."""
    row = store.get(video_id)
    if row is None:
        raise unknown_video()
    return row


def unknown_video() -> RefusedError:
    return RefusedError(404, "unknown_video", "There is no such video.", "It may have been deleted.")
