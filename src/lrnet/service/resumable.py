"""Uploads in parts: a file that comes in several requests and, after a break, goes on where it stopped.

What has arrived lies in the data folder, with a description beside it: any web process can go on with it, also after a
restart. An upload that nothing is added to for a day is deleted.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Final

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as PathPart
from pydantic import BaseModel

from lrnet.files import lock_file, write_text
from lrnet.service import schema
from lrnet.service.api import Service, name_of, problems
from lrnet.service.folder import Incoming
from lrnet.service.rows import Given
from lrnet.service.upload import RefusedError, append, check_type
from lrnet.service.videos import (
    IdempotencyKey,
    Name,
    declared_length,
    enter,
    full_key,
    given_of,
    refusals_counted,
    refuse_if_full,
)
from lrnet.service.work import display_name

MOST_OPEN: Final = 200  # uploads in parts at a time
UploadId = Annotated[str, PathPart(pattern="^[0-9a-f]{32}$", description="Identifier of an upload.")]


class Described(BaseModel):
    """The description of an upload; `video` is the identifier of its video once all of it has arrived."""

    name: str
    size: int
    given: Given
    key: str | None
    video: str | None = None


def _unknown_upload() -> RefusedError:
    hint = "It may be too old, or its video deleted: begin again."
    return RefusedError(404, "unknown_upload", "There is no such upload.", hint)


class Partial:
    """An upload in parts: the file, and its description beside it."""

    def __init__(self, service: Service, upload: str) -> None:
        self.id = upload
        self.path = service.folder.partial / upload
        self._description = self.path.with_suffix(".json")

    def describe(self, described: Described) -> None:
        write_text(self._description, described.model_dump_json())

    def described(self, owner: str | None) -> Described:
        """The description. Raises RefusedError if there is none, or it is another client's."""
        try:
            found = Described.model_validate_json(self._description.read_bytes())
        except FileNotFoundError:
            found = None
        if found is None or found.given.owner != owner:
            raise _unknown_upload()
        return found

    def offset(self, described: Described) -> int:
        """How many bytes have arrived."""
        if described.video is not None:
            return described.size
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def alone(self) -> Iterator[Incoming]:
        """The file, to be written to; nobody else writes to it meanwhile."""
        with ExitStack() as stack:
            try:
                os.utime(self._description)  # as old as the latest part
                lock = stack.enter_context(self._description.open())
                lock_file(lock, wait=False)
                if os.fstat(lock.fileno()).st_ino != self._description.stat().st_ino:
                    raise BlockingIOError  # another request has just finished it
            except (BlockingIOError, FileNotFoundError) as error:  # not there: it has just been given up
                raise RefusedError(409, "busy", "Another request adds to this upload.", "Wait for its end.") from error
            incoming = Incoming(self.path, resumed=True)
            stack.callback(incoming.close)
            yield incoming

    def discard(self) -> None:
        for path in (self.path, self._description):
            path.unlink(missing_ok=True)


def add_uploads(app: FastAPI, service: Service) -> None:
    """Handing videos in, in parts."""
    largest = service.settings.max_upload

    def answer(response: Response, part: Partial, described: Described) -> schema.Upload:
        offset = part.offset(described)
        response.headers["Upload-Offset"] = str(offset)
        row = service.store.get(described.video) if described.video else None
        if described.video and row is None:  # deleted since; without its video the upload would look unfinished
            raise _unknown_upload()
        video = None if row is None else schema.video(row)
        return schema.Upload(id=part.id, size=described.size, offset=offset, video=video)

    @app.post("/v1/uploads", status_code=201, tags=["uploads"], responses=problems(507))
    def begin(
        request: Request,
        response: Response,
        given: Annotated[Given, Depends(given_of)],
        size: int = Query(ge=1, le=largest, description="Size of the file, bytes."),
        name: Name = "video",
        idempotency_key: IdempotencyKey = None,
    ) -> schema.Upload:
        """Begin an upload in parts."""
        with refusals_counted(service):
            refuse_if_full(service)
            if sum(not path.suffix for path in service.folder.partial.iterdir()) >= MOST_OPEN:
                raise RefusedError(503, "too_many_uploads", "Too many uploads are unfinished.", "Try again later.")
            service.room.take(request, size)  # is there room now? It is looked at again with each part
            service.room.leave(request)
            part = Partial(service, secrets.token_hex(16))
            described = Described(
                name=display_name(name), size=size, given=given, key=full_key(given.owner, idempotency_key)
            )
            part.path.touch()
            part.describe(described)
        response.headers["Location"] = f"/v1/uploads/{part.id}"
        return answer(response, part, described)

    @app.get("/v1/uploads/{upload_id}", tags=["uploads"], responses=problems(404))
    def how_far(request: Request, response: Response, upload_id: UploadId) -> schema.Upload:
        """How far an upload is. `HEAD` gives it too, in `Upload-Offset`."""
        part = Partial(service, upload_id)
        return answer(response, part, part.described(name_of(request)))

    @app.patch(
        "/v1/uploads/{upload_id}",
        tags=["uploads"],
        responses=problems(400, 404, 408, 409, 415, 507),
        openapi_extra={
            "requestBody": {
                "description": "The next bytes.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def go_on(
        request: Request,
        response: Response,
        upload_id: UploadId,
        upload_offset: Annotated[int, Header(ge=0, le=2**50, description="Where in the file the body begins.")],
    ) -> schema.Upload:
        """Add the next bytes to an upload. With the last of them the video is queued."""
        with refusals_counted(service):
            check_type(request.headers.get("content-type", ""))
            part = Partial(service, upload_id)
            described = await run_sync(part.described, name_of(request))
            if described.video is None:
                await run_sync(refuse_if_full, service)
                with part.alone() as incoming:
                    if upload_offset != incoming.size:
                        hint = "Send the bytes from there on."
                        raise RefusedError(409, "wrong_offset", f"The upload is at byte {incoming.size}.", hint)
                    before, declared = incoming.size, declared_length(request)
                    try:
                        await append(
                            incoming, request.stream(), declared, described.size, service.settings, service.room
                        )
                    except RefusedError as error:
                        if error.status != 413:
                            raise
                        hint = "Begin a new upload, and give the file's size."
                        message = f"The file would have more than the {described.size} bytes that were announced."
                        raise RefusedError(409, "beyond_the_end", message, hint) from error
                    finally:
                        service.figures.received.inc(incoming.size - before)
                        await run_sync(incoming.close)  # waits for the disk
                    if incoming.size == described.size:
                        described = await run_sync(finish, request, part, described, incoming)
        return await run_sync(answer, response, part, described)

    def finish(request: Request, part: Partial, described: Described, incoming: Incoming) -> Described:
        try:
            row, fresh = enter(service, incoming, described.name, described.given, described.key)
        except RefusedError:  # the key was used for another file
            part.discard()
            raise
        except FileNotFoundError:
            part.described(described.given.owner)  # refuses if it was given up meanwhile
            raise
        if fresh:
            service.note(request, "submit", row.id)
        part.path.unlink(missing_ok=True)
        described = described.model_copy(update={"video": row.id})
        part.describe(described)
        return described

    @app.delete("/v1/uploads/{upload_id}", status_code=204, tags=["uploads"], responses=problems(404))
    def give_up(request: Request, upload_id: UploadId) -> None:
        """Give an upload up; what has arrived is deleted. A video that it has become stays."""
        part = Partial(service, upload_id)
        part.described(name_of(request))
        part.discard()
