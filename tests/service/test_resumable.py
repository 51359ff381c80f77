"""Uploads in parts: what a break leaves, who may go on, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrnet.errors import OutputError
from lrnet.service.folder import PARTIAL_SECONDS, Incoming, _references
from lrnet.service.resumable import Described, Partial
from lrnet.service.settings import Settings
from lrnet.service.tokens import Role, Token
from lrnet.service.upload import SPARE
from lrnet.service.worker import Keeper
from tests.service.test_web import OCTETS, Site, opened

DATA = bytes(range(256)) * 3


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(Settings(tmp_path, max_upload=1000, max_waiting=5)) as site:
        yield site


def begin(site: Site, size: int = len(DATA), **parameters: Any) -> str:
    answer = site.client.post("/v1/uploads", params={"size": size, "name": "clip.mp4", **parameters})
    assert answer.status_code == 201, answer.text
    assert answer.json()["offset"] == 0
    assert answer.headers["location"] == f"/v1/uploads/{answer.json()['id']}"
    return str(answer.json()["id"])


def send(site: Site, upload: str, data: bytes, offset: int, **headers: str) -> Any:
    sent = {**OCTETS, "upload-offset": str(offset), **headers}
    return site.client.patch(f"/v1/uploads/{upload}", content=data, headers=sent)


def test_a_file_in_parts_becomes_the_video_that_it_would_be_whole(site: Site) -> None:
    upload = begin(site, case="7", label="press")
    assert send(site, upload, DATA[:300], 0).json()["offset"] == 300
    assert site.client.head(f"/v1/uploads/{upload}").headers["upload-offset"] == "300"
    assert site.store.states() == {}
    last = send(site, upload, DATA[300:], 300).json()
    assert (last["offset"], last["size"]) == (len(DATA), len(DATA))
    video = last["video"]
    sha256 = hashlib.sha256(DATA).hexdigest()
    assert (video["sha256"], video["size"], video["name"]) == (sha256, len(DATA), "clip.mp4")
    assert (video["case"], video["labels"], video["state"]) == ("7", ["press"], "queued")
    assert site.folder.video(sha256).read_bytes() == DATA
    # The last answer may be lost: it can be asked for again, and a repetition makes no second video.
    assert site.client.get(f"/v1/uploads/{upload}").json()["video"]["id"] == video["id"]
    assert send(site, upload, b"", len(DATA)).json()["video"]["id"] == video["id"]
    assert site.store.waiting() == 1
    assert [path.suffix for path in site.folder.partial.iterdir()] == [".json"]


def test_an_upload_whose_video_is_deleted_is_unknown(site: Site) -> None:
    """A client whose last answer was lost begins again; it must not wait for a video that will never be there."""
    upload = begin(site)
    video = send(site, upload, DATA, 0).json()["video"]["id"]
    assert site.client.delete(f"/v1/videos/{video}").status_code == 204
    for answer in (site.client.get(f"/v1/uploads/{upload}"), send(site, upload, b"", len(DATA))):
        assert (answer.status_code, answer.json()["error"]) == (404, "unknown_upload")


def test_an_upload_goes_on_after_a_break_and_a_restart(tmp_path: Path) -> None:
    settings = Settings(tmp_path, max_upload=10_000_000)
    piece = os.urandom(1_500_000)
    with opened(settings) as site:
        upload = begin(site, 2 * len(piece))
        heard = iter(
            [
                {"type": "http.request", "body": piece[:1_200_000], "more_body": True},
                {"type": "http.request", "body": piece[1_200_000:1_300_000], "more_body": True},
                {"type": "http.disconnect"},
            ]
        )

        async def receive() -> Any:
            return next(heard)

        async def ignore(_message: Any) -> None:
            pass

        path = f"/v1/uploads/{upload}"
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "PATCH", "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "headers": [(b"host", b"127.0.0.1:8000"), (b"upload-offset", b"0")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        asyncio.run(site.app(scope, receive, ignore))
    with opened(settings) as site:
        arrived = site.client.get(f"/v1/uploads/{upload}").json()["offset"]
        assert arrived == 1_200_000  # whole pieces
        done = send(site, upload, (piece + piece)[arrived:], arrived).json()
        assert done["video"]["sha256"] == hashlib.sha256(piece + piece).hexdigest()


def test_no_other_request_waits_for_the_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last bytes of a part reach it on a thread, and a whole file is hashed while none holds `references`."""
    synced: list[object] = []
    hashed: list[bool] = []
    sync, digest = os.fsync, hashlib.file_digest

    def fsync(file: int) -> None:
        synced.append(asyncio._get_running_loop())
        sync(file)

    def file_digest(*arguments: Any) -> Any:
        hashed.append(_references.locked())
        return digest(*arguments)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    upload = begin(site)
    synced.clear()
    send(site, upload, DATA[:300], 0)
    assert send(site, upload, DATA[300:], 300).json()["video"]
    assert synced
    assert set(synced) == {None}
    assert hashed == [False]


def test_parts_that_do_not_fit_are_refused_and_change_nothing(site: Site) -> None:
    upload = begin(site)
    send(site, upload, DATA[:300], 0)
    for offset in (0, 299, 301, 2**40):
        answer = send(site, upload, b"x", offset)
        assert (answer.status_code, answer.json()["error"]) == (409, "wrong_offset")
        assert "byte 300" in answer.json()["message"]
    assert send(site, upload, b"x" * len(DATA), 300).json()["error"] == "beyond_the_end"
    assert send(site, upload, b"x", 300, **{"content-type": "text/plain"}).status_code == 415
    assert send(site, upload, b"x", 300, origin="http://elsewhere.example").status_code == 403
    assert site.client.patch(f"/v1/uploads/{upload}", content=b"x", headers=OCTETS).status_code == 422
    assert send(site, "0" * 32, b"x", 0).json()["error"] == "unknown_upload"
    assert site.client.get(f"/v1/uploads/{upload}").json()["offset"] == 300
    for size in (0, 1001):
        assert site.client.post("/v1/uploads", params={"size": size}).status_code == 422
    with (site.folder.partial / f"{upload}.json").open() as lock:  # another process adds to it
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert send(site, upload, b"x", 300).json()["error"] == "busy"


def test_the_key_of_a_repeated_request_counts_for_uploads_in_parts_too(site: Site) -> None:
    def whole(data: bytes) -> Any:
        begun = site.client.post("/v1/uploads", params={"size": len(data)}, headers={"idempotency-key": "a"})
        return send(site, begun.json()["id"], data, 0)

    first = whole(b"1").json()["video"]["id"]
    assert whole(b"1").json()["video"]["id"] == first
    assert whole(b"2").json()["error"] == "key_reused"
    assert site.store.waiting() == 1
    assert [line["action"] for line in site.client.get("/v1/audit").json()["items"]] == ["submit"]


def test_an_upload_that_is_given_up_meanwhile_takes_nothing_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begin(site)
    known = Partial.described

    def given_up_next(self: Partial, owner: str | None) -> Described:
        described = known(self, owner)
        self.discard()
        return described

    monkeypatch.setattr(Partial, "described", given_up_next)
    assert send(site, upload, b"x", 0).status_code == 409
    assert list(site.folder.partial.iterdir()) == []


def test_an_upload_that_is_given_up_while_its_last_part_comes_is_unknown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, write = begin(site), Incoming.write

    def write_and_give_up(self: Incoming, data: bytes) -> None:
        write(self, data)
        assert site.client.delete(f"/v1/uploads/{upload}").status_code == 204

    monkeypatch.setattr(Incoming, "write", write_and_give_up)
    answer = send(site, upload, DATA, 0)
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_upload")
    assert site.store.waiting() == 0


def test_a_full_disk_at_the_beginning_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OutputError("It cannot be written.", hint="Make room.") from OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("lrnet.service.resumable.write_text", full)
    answer = site.client.post("/v1/uploads", params={"size": 100})
    assert (answer.status_code, answer.json()["error"]) == (507, "disk_full")


def test_a_full_queue_and_a_full_disk_keep_what_has_arrived(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = begin(site)
    send(site, upload, DATA[:300], 0)
    monkeypatch.setattr(type(site.folder), "free", lambda self: SPARE + 10)
    assert send(site, upload, DATA[300:], 300).json()["error"] == "disk_full"
    assert site.client.post("/v1/uploads", params={"size": 100}).json()["error"] == "disk_full"
    monkeypatch.undo()
    for i in range(5):
        site.hand_in(str(i).encode())
    assert send(site, upload, DATA[300:], 300).json()["error"] == "queue_full"
    site.store.cancel(site.store.page().items[0].id)
    assert send(site, upload, DATA[300:], 300).json()["video"] is not None


def test_so_many_uploads_may_be_unfinished(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrnet.service.resumable.MOST_OPEN", 2)
    for _ in range(3):  # those that are finished do not count
        send(site, begin(site, 1), b"x", 0)
    begin(site)
    begin(site)
    assert site.client.post("/v1/uploads", params={"size": 1}).json()["error"] == "too_many_uploads"


def test_only_the_client_that_began_an_upload_knows_it(tmp_path: Path) -> None:
    tokens = tuple(Token(name * 5, name, Role.SUBMIT) for name in ("anna", "bert"))
    with opened(Settings(tmp_path, tokens=tokens)) as site:
        site.client.headers["authorization"] = f"Bearer {'anna' * 5}"
        upload = begin(site)
        site.client.headers["authorization"] = f"Bearer {'bert' * 5}"
        assert send(site, upload, b"x", 0).status_code == 404
        assert site.client.get(f"/v1/uploads/{upload}").status_code == 404
        assert site.client.delete(f"/v1/uploads/{upload}").status_code == 404
        site.client.headers["authorization"] = f"Bearer {'anna' * 5}"
        assert site.client.delete(f"/v1/uploads/{upload}").status_code == 204
        assert list(site.folder.partial.iterdir()) == []


def test_uploads_that_nothing_is_added_to_for_a_day_are_deleted(site: Site) -> None:
    old, young = begin(site), begin(site)
    for upload in (old, young):
        send(site, upload, DATA[:300], 0)
    past = time.time() - PARTIAL_SECONDS - 60
    for path in site.folder.partial.iterdir():
        os.utime(path, (past, past))
    send(site, young, DATA[300:400], 300)
    Keeper(site.settings, site.store, site.folder).clean()
    assert site.client.get(f"/v1/uploads/{old}").status_code == 404
    assert site.client.get(f"/v1/uploads/{young}").json()["offset"] == 400
    assert len(list(site.folder.partial.iterdir())) == 2
