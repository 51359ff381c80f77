"""The API: uploads, history, results, who may ask, and what every answer carries."""

from __future__ import annotations

import asyncio
import csv
import errno
import hashlib
import hmac
import io
import json
import logging
import os
import re
import socket
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError, ProgrammingError

from lrnet.errors import ServiceError
from lrnet.report.evidence_bundle import verify_bundle
from lrnet.report.wording import WORDING
from lrnet.service import events
from lrnet.service.database import Store
from lrnet.service.folder import Folder
from lrnet.service.guard import COOKIE
from lrnet.service.rows import Finding
from lrnet.service.settings import Settings
from lrnet.service.supervisor import log_to_stderr
from lrnet.service.tokens import Role, Token, new_session, read_tokens, session_holder
from lrnet.service.upload import SPARE, RefusedError, Room, receive
from lrnet.service.web import create_app
from lrnet.service.webhook import PAUSES, notify_one
from lrnet.verdict import State
from lrnet.webhook import SIGNATURE, Webhook
from tests.service.kit import TOKEN, wait_for

OCTETS = {"content-type": "application/octet-stream"}
ROOT = Path(__file__).resolve().parents[2]
HOST = "http://127.0.0.1:8000"
SUMMARY: dict[str, Any] = {
    "reasons": [{"code": "score_between_thresholds", "text": "…"}], "seconds_examined": 2.9, "duration": 10.0,
    "damaged_packets": 1, "model_hash": "ab", "face": 2, "moment": [90.0, 105.0],
}  # fmt: skip


@dataclass
class Site:
    """A service without workers; the test plays the worker."""

    settings: Settings
    app: FastAPI
    client: TestClient
    store: Store
    folder: Folder

    def hand_in(self, data: bytes = b"a video", name: str = "clip.mp4") -> str:
        answer = self.client.post("/v1/videos", params={"name": name}, content=data, headers=OCTETS)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def judge(self, video: str, verdict: str = "likely_fake", held_back: bool = False) -> None:
        row = self.store.claim(60)
        assert row is not None
        assert row.id == video
        assert row.lease is not None
        folder = self.folder.result(video, row.lease)
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("<!doctype html><title>Report</title><script>alert(1)</script>")
        (folder / "overlay.mp4").write_bytes(bytes(range(256)) * 8)
        (folder / "evidence.zip").write_bytes(f"bundle of {video}".encode())
        finding = Finding(verdict, 0.97, held_back, 0.9, 2, "m 1", SUMMARY, json.dumps({"of": video}), {})
        assert self.store.finish(video, row.lease, finding)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(Settings(tmp_path, max_upload=1000, max_waiting=50)) as site:
        yield site


def opened(wanted: Settings) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def open_site() -> Iterator[Site]:
        app = create_app(wanted)
        store = Store(wanted.database_url)
        with TestClient(app, base_url=HOST, follow_redirects=False) as client:
            yield Site(wanted, app, client, store, Folder(wanted.data))
        store.close()

    return open_site()


def test_a_video_is_stored_under_its_hash_and_queued(site: Site) -> None:
    data = b"some bytes"
    answer = site.client.post("/v1/videos", params={"name": "../../x\n.mp4"}, content=data, headers=OCTETS)
    video = answer.json()
    sha256 = hashlib.sha256(data).hexdigest()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/videos/{video['id']}"
    assert (video["name"], video["sha256"], video["size"], video["state"]) == ("x.mp4", sha256, 10, "queued")
    files = [path for path in site.settings.data.rglob("*") if path.is_file() and "sqlite" not in path.name]
    assert [path for path in files if path.name != ".references"] == [site.folder.video(sha256)]
    assert site.folder.video(sha256).read_bytes() == data
    assert site.settings.data.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "headers", "status", "error"),
    [
        (b"", OCTETS, 400, "empty"),
        (b"x" * 1001, OCTETS, 413, "too_large"),
        (b"x", {"content-type": "multipart/form-data; boundary=x"}, 415, "unsupported_type"),
        (b"x", {"content-type": "text/plain"}, 415, "unsupported_type"),
        (b"x", {"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_type"),
        (b"x", {**OCTETS, "origin": "http://elsewhere.example"}, 403, "cross_origin"),
        (b"x", {**OCTETS, "origin": "null"}, 403, "cross_origin"),
        (b"x", {**OCTETS, "sec-fetch-site": "cross-site"}, 403, "cross_origin"),
        (b"x", {**OCTETS, "sec-fetch-site": "same-site"}, 403, "cross_origin"),
        (b"x", {**OCTETS, "host": "evil.example:8000"}, 421, "unknown_host"),
        (b"x", {**OCTETS, "host": "127.0.0.1.evil.example"}, 421, "unknown_host"),
    ],
)
def test_uploads_that_are_refused(site: Site, content: bytes, headers: dict[str, str], status: int, error: str) -> None:
    answer = site.client.post("/v1/videos", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert list(site.folder.incoming.iterdir()) == []
    assert site.store.states() == {}


@pytest.mark.parametrize(
    ("where", "number"),
    [("Incoming.write", errno.ENOSPC), ("Incoming.close", errno.EDQUOT), ("Folder.receive", errno.ENOSPC)],
)
def test_a_disk_that_fills_up_during_an_upload_is_told(
    site: Site, where: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it shows: some file systems say it only when a file is closed."""

    def full(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"lrnet.service.folder.{where}", full)
    answer = site.client.post("/v1/videos", content=b"a video", headers=OCTETS)
    assert (answer.status_code, answer.json()["error"]) == (507, "disk_full")
    assert list(site.folder.incoming.iterdir()) == []
    assert 'lrnet_uploads_refused_total{error="disk_full"} 1.0' in site.client.get("/metrics").text


@pytest.mark.parametrize("error", [KeyError("x"), ProgrammingError("…", None, Exception("no such column"))])
def test_a_fault_of_the_service_is_answered_and_logged_like_everything(
    site: Site, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Store, "page", bug)
    answer = site.client.get("/v1/videos", headers={"x-request-id": "job-7"})
    assert (answer.status_code, answer.json()["error"]) == (500, "fault")
    assert answer.headers["x-request-id"] == "job-7"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == ["request job-7"]


def test_only_the_owner_reads_names_and_verdicts_also_in_a_folder_that_was_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with opened(Settings(tmp_path)) as site:
        site.hand_in()
        for path in tmp_path.iterdir():
            assert path.name == ".references" or path.stat().st_mode & 0o077 == 0, path


def test_an_upload_of_unknown_length_is_bounded_too(site: Site) -> None:
    pieces = (b"x" * 100 for _ in range(20))
    answer = site.client.post("/v1/videos", content=pieces, headers=OCTETS)
    assert answer.json()["error"] == "too_large"
    assert list(site.folder.incoming.iterdir()) == []


@pytest.mark.parametrize(("idle", "whole"), [(0.05, 60.0), (5.0, 0.05)])
def test_an_upload_that_stands_still_or_trickles_ends(tmp_path: Path, idle: float, whole: float) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        for _ in range(10):
            await asyncio.sleep(0.2 if idle < 1 else 0.02)
            yield b"x"

    folder = Folder(tmp_path)
    wanted = Settings(tmp_path, upload_idle_seconds=idle, upload_seconds=whole)
    with pytest.raises(RefusedError) as refused:
        asyncio.run(receive(body(), None, wanted, folder, Room(folder)))
    assert refused.value.status == 408
    assert list(folder.incoming.iterdir()) == []


def test_a_full_queue_says_so(site: Site) -> None:
    for i in range(50):
        site.hand_in(str(i).encode())
    answer = site.client.post("/v1/videos", content=b"x", headers=OCTETS)
    assert (answer.status_code, answer.json()["error"]) == (503, "queue_full")
    assert int(answer.headers["retry-after"]) > 0


def test_the_history_is_searched_and_cut_into_pages(site: Site) -> None:
    videos = [site.hand_in(str(i).encode(), f"{'interview' if i % 2 else 'speech'} {i}.mp4") for i in range(5)]
    site.judge(videos[0])
    site.judge(videos[1], "inconclusive")

    def names(**query: Any) -> list[str]:
        return [video["name"] for video in site.client.get("/v1/videos", params=query).json()["items"]]

    assert names() == ["speech 4.mp4", "interview 3.mp4", "speech 2.mp4", "interview 1.mp4", "speech 0.mp4"]
    assert names(q="INTERVIEW") == ["interview 3.mp4", "interview 1.mp4"]
    assert names(state="queued", q="speech") == ["speech 4.mp4", "speech 2.mp4"]
    assert names(verdict="likely_fake") == ["speech 0.mp4"]
    first = site.client.get("/v1/videos", params={"limit": 3}).json()
    assert (len(first["items"]), first["total"]) == (3, 5)
    numbers = [video["number"] for video in first["items"]]
    assert first["before"] == numbers[-1]
    assert numbers == sorted(numbers, reverse=True)
    assert names(limit=3, before=first["before"]) == ["interview 1.mp4", "speech 0.mp4"]
    for wrong in ({"limit": 0}, {"q": "\0"}, {"case": "\0"}, {"external_id": "\0"}):
        assert site.client.get("/v1/videos", params=wrong).status_code == 422
    assert site.client.get("/v1/videos.csv", params={"q": "\0"}).status_code == 422


def test_a_judged_video_has_its_results(site: Site) -> None:
    video = site.hand_in()
    for part in ("result", "report", "overlay"):
        assert site.client.get(f"/v1/videos/{video}/{part}").json()["error"] == "no_result"
    site.judge(video)
    told = site.client.get(f"/v1/videos/{video}").json()
    verdict = told["verdict"]
    assert verdict["headline"] == WORDING[State.LIKELY_FAKE].headline
    assert (verdict["when"], verdict["moment"], verdict["face"]) == ("1:30.0 to 1:45.0, person 2", [90.0, 105.0], 2)
    assert verdict["probability"] == 0.97
    assert (verdict["share_examined"], verdict["damaged_packets"], verdict["model_hash"]) == (0.29, 1, "ab")
    assert verdict["reasons"] == SUMMARY["reasons"]
    assert site.client.get("/v1/videos").json()["items"][0]["verdict"] == verdict
    assert site.client.get(told["links"]["result"]).json() == {"of": video}
    overlay = told["links"]["overlay"]
    assert site.client.get(overlay).content == bytes(range(256)) * 8
    part = site.client.get(overlay, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-range"] == "bytes 10-19/2048"
    for wrong, status in (("bytes=9999-", 416), ("bytes=x", 400)):
        refused = site.client.get(overlay, headers={"range": wrong})
        assert (refused.status_code, refused.headers["content-type"]) == (status, "text/plain; charset=utf-8")


def test_a_verdict_that_is_held_back_says_so(site: Site) -> None:
    plain, held = site.hand_in(b"1"), site.hand_in(b"2")
    site.judge(plain, "inconclusive")
    site.judge(held, "inconclusive", held_back=True)
    told = [video["verdict"] for video in site.client.get("/v1/videos").json()["items"]]
    assert [(verdict["probability"], verdict["held_back"]) for verdict in told] == [(0.97, True), (0.97, False)]


def test_a_video_s_evidence_is_downloaded_alone_or_with_that_of_others(site: Site, tmp_path: Path) -> None:
    videos = [site.hand_in(str(i).encode(), f"clip {i}.mp4") for i in range(3)]
    for video in videos[:2]:
        site.judge(video)
    one = site.client.get(f"/v1/videos/{videos[0]}/bundle")
    assert (one.status_code, one.content) == (200, f"bundle of {videos[0]}".encode())
    assert f"clip%200-{videos[0][:8]}-evidence.zip" in one.headers["content-disposition"]
    both = site.client.get("/v1/bundles", params={"id": [*videos[:2], videos[0]]})
    path = tmp_path / "both.zip"
    path.write_bytes(both.content)
    found = verify_bundle(path)
    assert (found.files, found.problems) == (2, ())
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read(f"clip 1-{videos[1][:8]}-evidence.zip") == f"bundle of {videos[1]}".encode()
    assert site.client.get("/v1/bundles", params={"id": videos}).json()["error"] == "no_result"
    assert site.client.get("/v1/bundles", params={"id": "0" * 32}).status_code == 404
    for wrong in ([], ["x"], ["0" * 32] * 101):
        assert site.client.get("/v1/bundles", params={"id": wrong}).status_code == 422


def test_a_video_is_given_back_as_a_file_and_never_as_a_page(site: Site) -> None:
    video = site.hand_in(b"<script>", "page.html")
    answer = site.client.get(f"/v1/videos/{video}/file", headers={"range": "bytes=1-3"})
    assert (answer.status_code, answer.content) == (206, b"scr")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    site.folder.video(hashlib.sha256(b"<script>").hexdigest()).unlink()
    assert site.client.get(f"/v1/videos/{video}/file").json()["error"] == "no_file"


def test_case_examiner_and_notes_are_kept_and_found(site: Site) -> None:
    given = {"case": "24 Js 17/26", "examiner": "A. Müller", "notes": "one\ntwo"}
    video = site.client.post("/v1/videos", params=given, content=b"x", headers=OCTETS).json()
    other = site.hand_in()
    assert {name: video[name] for name in given} == given
    assert [v["id"] for v in site.client.get("/v1/videos", params={"case": "24 Js 17/26"}).json()["items"]] == [
        video["id"]
    ]
    site.judge(video["id"])
    again = site.client.post(f"/v1/videos/{video['id']}/again").json()
    assert {name: again[name] for name in given} == given
    rows = list(csv.DictReader(io.StringIO(site.client.get("/v1/videos.csv?sort=oldest").text)))
    assert [(row["case"], row["examiner"], row["when"]) for row in rows] == [
        ("24 Js 17/26", "A. Müller", "1:30.0 to 1:45.0, person 2"), ("", "", ""), ("24 Js 17/26", "A. Müller", ""),
    ]  # fmt: skip
    for wrong in ({"case": "x" * 201}, {"notes": "x" * 4001}, {"examiner": ""}):
        assert site.client.post("/v1/videos", params=wrong, content=b"x", headers=OCTETS).status_code == 422

    created = datetime.fromisoformat(site.client.get(f"/v1/videos/{other}").json()["created"])
    later, earlier = (created + timedelta(seconds=s) for s in (60, -60))

    def total(**search: datetime) -> int:
        answer = site.client.get("/v1/videos", params={name: t.isoformat() for name, t in search.items()})
        return int(answer.json()["total"])

    assert (total(since=earlier), total(since=later), total(until=earlier), total(since=earlier, until=later)) == (
        3, 0, 0, 3,
    )  # fmt: skip
    for wrong in ("2026-11-27T10:00:00", "1764200000", "yesterday"):  # the first has no time zone
        assert site.client.get("/v1/videos", params={"since": wrong}).status_code == 422


def test_a_report_is_taken_out_of_this_origin(site: Site) -> None:
    video = site.hand_in()
    site.judge(video)
    headers = site.client.get(f"/v1/videos/{video}/report").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy  # falls to default-src: nothing
    assert "frame-ancestors 'self'" in policy


def test_deleting_takes_everything_along_but_what_another_needs(site: Site) -> None:
    one, two = site.hand_in(b"same", "one.mp4"), site.hand_in(b"same", "two.mp4")
    for video in (one, two):
        site.judge(video)
    path = site.folder.video(hashlib.sha256(b"same").hexdigest())
    assert site.client.delete(f"/v1/videos/{one}").status_code == 204
    assert path.exists()
    assert site.client.get(f"/v1/videos/{two}/report").status_code == 200
    assert site.client.delete(f"/v1/videos/{two}").status_code == 204
    assert not path.exists()
    assert list(site.folder.results.iterdir()) == []
    for part in ("", "/events", "/result", "/report", "/overlay"):
        assert site.client.get(f"/v1/videos/{two}{part}").status_code == 404
    assert site.client.delete(f"/v1/videos/{two}").status_code == 404


def events_of(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_a_late_listener_hears_the_whole_and_is_let_go(site: Site) -> None:
    video = site.hand_in()
    site.judge(video)
    events = events_of(site.client.get(f"/v1/videos/{video}/events").text)
    assert [(name, data["state"]) for name, data in events] == [("state", "done")]


def test_events_tell_what_is_new_and_no_more(site: Site) -> None:
    from lrnet.service.events import one_video

    video = site.hand_in()
    row = site.store.claim(60)
    assert row is not None
    lease = str(row.lease)
    clip = {"face": 0, "start": 0.0, "stop": 2.4, "score": 0.5}

    def renew(**progress: Any) -> None:
        site.store.renew(video, lease, 60, {"kind": "progress", "stage": "examining", **progress})

    async def follow() -> list[tuple[str, Any]]:
        heard: list[tuple[str, Any]] = []
        steps = iter(
            [
                lambda: renew(frames=25, time=1.0, duration=4.0, faces=1),
                lambda: renew(frames=50, time=2.0, duration=4.0, faces=1, clips=1, scored=[clip]),
                lambda: renew(frames=75, time=3.0, duration=4.0, faces=2, clips=2, scored=[clip, {**clip, "face": 1}]),
                lambda: site.client.delete(f"/v1/videos/{video}"),
            ]
        )
        async for block in one_video(site.store, video, lambda: False):
            heard += events_of(block.decode())
            if heard[-1][0] in ("state", "clips") or len(heard) == 3:
                next(steps)()
        return heard

    heard = asyncio.run(follow())
    assert [name for name, _ in heard] == [
        "state",
        "decode",
        "faces",
        "decode",
        "clips",
        "decode",
        "faces",
        "clips",
        "deleted",
    ]
    assert heard[1][1] == {"stage": "examining", "frames": 25, "time": 1.0, "duration": 4.0}
    assert heard[4][1] == {"clips": 1, "scored": [clip]}
    assert heard[7][1] == {"clips": 2, "scored": [{**clip, "face": 1}]}


def test_every_answer_is_guarded(site: Site) -> None:
    for path in ("/", "/assets/app.js", "/v1/videos", "/nowhere", "/v1/videos/xyz", "/metrics"):
        headers = site.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "same-origin", path
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("origin", ["http://[", "null", "http://evil.example", "nonsense"])
def test_an_origin_that_is_not_ours_is_refused_whatever_it_says(site: Site, origin: str) -> None:
    answer = site.client.post("/v1/videos", content=b"x", headers={**OCTETS, "origin": origin})
    assert (answer.status_code, answer.json()["error"]) == (403, "cross_origin")


def test_the_stream_of_all_watches_before_it_answers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client reads the list when the stream opens: what is finished between the two must be in one of them."""
    video = site.hand_in()
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)
    told: list[dict[str, Any]] = []
    over = asyncio.Event()

    async def send(message: Any) -> None:
        told.append(message)
        if message["type"] == "http.response.start":
            site.judge(video)  # a moment after the list was read
        if b'"state":"done"' in message.get("body", b""):
            over.set()

    async def receive() -> dict[str, Any]:
        await over.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/v1/events", "raw_path": b"/v1/events", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    asyncio.run(asyncio.wait_for(site.app(scope, receive, send), 10))
    assert told[0]["type"] == "http.response.start"


def test_a_stream_ends_in_good_order_when_the_database_goes_away(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks, look = [], Store.changed

    def away(self: Store, *arguments: Any) -> Any:
        looks.append(1)
        if len(looks) > 1:
            raise OperationalError("…", None, Exception("gone"))
        return look(self, *arguments)

    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Store, "changed", away)
    assert site.client.get("/v1/events").text == ": watching\n\n"
    assert not any(record.exc_info for record in caplog.records)


def test_the_page_names_nothing_from_elsewhere(site: Site) -> None:
    page = site.client.get("/").text
    assert "https://" not in page
    assert "<script>" not in page
    assert " style=" not in page
    for name in (
        "app.js",
        "home.js",
        "detail.js",
        "api.js",
        "dom.js",
        "words.js",
        "reference.js",
        "player.js",
        "watch.js",
        "style.css",
    ):
        answer = site.client.get(f"/assets/{name}")
        assert answer.status_code == 200
        assert "https://" not in answer.text
        assert "innerHTML" not in answer.text
        assert site.client.get(f"/assets/{name}", headers={"if-none-match": answer.headers["etag"]}).status_code == 304
    for name in ("..%2f..%2fweb.py", "%2e%2e/web.py", "nothing.js"):
        assert site.client.get(f"/assets/{name}").status_code == 404


def test_a_method_that_a_path_does_not_have_is_answered_with_those_it_has(site: Site) -> None:
    answer = site.client.options("/v1/videos/" + "0" * 32)
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD")


def test_figures_and_health(site: Site) -> None:
    video = site.hand_in()
    site.hand_in(b"another")
    site.judge(video)
    figures = site.client.get("/metrics").text
    assert 'lrnet_videos{state="queued"} 1.0' in figures
    assert 'lrnet_judged_total{verdict="likely_fake"} 1.0' in figures
    assert 'lrnet_http_requests_total{method="POST",route="/v1/videos",status="201"} 2.0' in figures
    assert "clip.mp4" not in figures
    assert site.client.get("/health/live").status_code == 204
    missing = site.client.get("/health/ready")
    assert (missing.status_code, missing.json()["workers"]) == (503, False)
    site.store.beat("w", "here", 1, 2)
    assert site.client.get("/health/ready").json() == {"ready": True, "database": True, "workers": True}
    assert site.client.get("/v1/about").json()["slots"] == 2


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr("lrnet.service.tokens.WRONG_SECONDS", 0.0)
    with opened(Settings(tmp_path, tokens=(Token(TOKEN),))) as site:
        yield site


def test_a_token_is_asked_for_everywhere(locked: Site) -> None:
    client = locked.client
    described = {(m.upper(), path) for path, methods in locked.app.openapi()["paths"].items() for m in methods}
    assert len(described) > 20
    for method, path in described | {("GET", "/openapi.json"), ("GET", "/api"), ("GET", "/nowhere")}:
        status = client.request(method, path.format(video_id="0" * 32, upload_id="0" * 32)).status_code
        assert (status == 401) != path.startswith("/health/"), path
    for method, path in (("GET", "/v1/videos"), ("POST", "/v1/videos")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
        for wrong in ("Bearer x", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}", "Bearer \xff"):
            answer = client.request(method, path, headers={"authorization": wrong.encode("latin-1")})
            assert answer.status_code == 401, wrong
    assert client.get("/v1/videos", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get("/health/live").status_code == 204
    assert client.get("/").headers["location"] == "/signin"
    assert client.get("/assets/style.css").status_code == 200


def test_signing_in_gives_a_session_that_ends(locked: Site) -> None:
    client = locked.client
    assert "Token" in client.get("/signin").text
    form = {"content-type": "application/x-www-form-urlencoded"}
    wrong = client.post("/signin", content="token=nonsense", headers=form)
    assert (wrong.headers["location"], "set-cookie" in wrong.headers) == ("/signin#wrong", False)
    right = client.post("/signin", content=f"token={TOKEN}", headers=form)
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie  # twelve hours, as the page says
    assert abs(int(cookie.split("=")[1].split(".")[0]) - time.time() - 12 * 3600) < 60
    assert TOKEN not in cookie
    assert "Secure" not in cookie  # asked over plain HTTP, a browser would not send it again
    proxied = client.post("/signin", content=f"token={TOKEN}", headers={**form, "x-forwarded-proto": "https"})
    assert "Secure" in proxied.headers["set-cookie"]
    client.cookies.clear()
    client.post("/signin", content=f"token={TOKEN}", headers=form)
    assert client.get("/v1/videos").status_code == 200  # the client kept the cookie
    (line, *_) = client.get("/v1/audit").json()["items"]
    assert (line["who"], line["action"]) == ("token", "sign in")
    assert client.get("/").status_code == 200
    foreign = client.post("/signout", headers={"origin": "http://elsewhere.example"})
    assert foreign.status_code == 403
    assert client.post("/signout").status_code == 303
    assert client.get("/v1/videos").status_code == 401
    assert client.post("/signout").status_code == 303  # of a session that has ended


OURS = Token(TOKEN)


@pytest.mark.parametrize("forge", ["", "x", ".", "9999999999.", "9999999999.token.abc", "².token." + "0" * 64])
def test_a_forged_session_does_not_hold(forge: str) -> None:
    assert session_holder(forge, (OURS,)) is None


def test_a_session_holds_for_its_token_and_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Token("another-token-of-length", "other", Role.READ)
    session = new_session(OURS)
    assert session_holder(session, (other, OURS)) == OURS
    assert session_holder(session, (Token(TOKEN + "x"), other)) is None
    ends, name, proof = session.split(".")
    assert session_holder(f"{int(ends) + 1}.{name}.{proof}", (OURS,)) is None
    assert session_holder(f"{ends}.other.{proof}", (OURS, other)) is None
    monkeypatch.setattr("lrnet.service.tokens.time.time", lambda: float(ends) + 1)
    assert session_holder(session, (OURS,)) is None
    assert COOKIE.isidentifier()


def test_tokens_have_names_and_roles() -> None:
    (alone,) = read_tokens(f"{TOKEN}\n")
    assert (alone.secret, alone.role) == (TOKEN, Role.ADMIN)
    several = read_tokens(f"# who may what\nanna read {'a' * 20}\nbot submit {'b' * 20}\n")
    assert [(token.name, token.role) for token in several] == [("anna", Role.READ), ("bot", Role.SUBMIT)]
    for wrong in (
        "anna king " + "a" * 20,
        "a b",
        f"x read {'a' * 20}\nx read {'b' * 20}",
        "anna read short",
        "x/y read " + "a" * 20,
        f"# anna read {'a' * 20}",  # all were taken away: nobody may get in
    ):
        with pytest.raises(ServiceError):
            read_tokens(wrong)
    assert "secret" not in repr(alone)


def test_a_role_bounds_what_a_token_may_do_and_a_log_says_who_did_what(tmp_path: Path) -> None:
    tokens = tuple(Token(role.name.lower() * 5, role.name.lower(), role) for role in Role)
    with opened(Settings(tmp_path, tokens=tokens)) as site:

        def ask(role: Role, method: str, path: str, **options: Any) -> Any:
            headers = {**OCTETS, "authorization": f"Bearer {role.name.lower() * 5}"}
            return site.client.request(method, path, headers=headers, **options)

        handed = ask(Role.SUBMIT, "POST", "/v1/videos", content=b"x")
        video = handed.json()
        assert video["owner"] == "submit"
        refusals = {
            ("POST", "/v1/videos"): Role.SUBMIT,
            ("POST", f"/v1/videos/{video['id']}/cancel"): Role.SUBMIT,
            ("POST", f"/v1/videos/{video['id']}/again"): Role.SUBMIT,
            ("POST", "/v1/uploads?size=1"): Role.SUBMIT,
            ("PATCH", f"/v1/uploads/{'0' * 32}"): Role.SUBMIT,
            ("DELETE", f"/v1/uploads/{'0' * 32}"): Role.SUBMIT,
            ("GET", "/v1/audit"): Role.ADMIN,
            ("DELETE", f"/v1/videos/{video['id']}"): Role.ADMIN,
        }
        for (method, path), needed in refusals.items():
            for role in Role:
                if role < needed:
                    answer = ask(role, method, path)
                    assert (answer.status_code, answer.json()["error"]) == (403, "not_allowed"), (role, path)
        assert ask(Role.READ, "GET", f"/v1/videos/{video['id']}").status_code == 200
        assert ask(Role.READ, "GET", "/v1/about").json()["role"] == "read"
        assert ask(Role.READ, "POST", "/signout").status_code == 303
        assert ask(Role.ADMIN, "DELETE", f"/v1/videos/{video['id']}").status_code == 204
        lines = ask(Role.ADMIN, "GET", "/v1/audit").json()["items"]
        assert [(line["who"], line["action"], line["video"]) for line in lines] == [
            ("admin", "delete", video["id"]),
            ("submit", "submit", video["id"]),
        ]
        assert lines[1]["request"] == handed.headers["x-request-id"]


def test_wrong_tokens_are_slowed_logged_and_at_last_refused(
    locked: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lrnet.service.tokens.WRONG_SECONDS", 0.2)
    form = {"content-type": "application/x-www-form-urlencoded"}
    for headers, path, content in (
        ({"authorization": "Bearer wrong"}, "/v1/videos", None), (form, "/signin", "token=wrong")
    ):  # fmt: skip
        began = time.monotonic()
        method = "POST" if content else "GET"
        locked.client.request(method, path, headers=headers, content=content)
        assert time.monotonic() - began > 0.15
    assert [record.message for record in caplog.records].count("wrong token from testclient") == 2
    monkeypatch.setattr("lrnet.service.tokens.MOST_WRONG", 0)
    right = locked.client.get("/v1/videos", headers={"authorization": f"Bearer {TOKEN}"})
    assert (right.status_code, right.headers["retry-after"]) == (429, "60")
    assert locked.client.post("/signin", content=f"token={TOKEN}", headers=form).status_code == 429


def test_probes_ask_for_no_token_and_tell_nothing_else(locked: Site) -> None:
    assert locked.client.get("/health/live").status_code == 204
    answer = locked.client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "database": True, "workers": False})


def test_readiness_says_that_the_database_is_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("…", None, Exception("gone"))

    monkeypatch.setattr(Store, "slots", away)
    monkeypatch.setattr(Store, "get", away)
    assert site.client.get("/health/ready").json() == {"ready": False, "database": False, "workers": False}
    answer = site.client.get(f"/v1/videos/{'0' * 32}")
    assert (answer.status_code, answer.json()["error"]) == (503, "database")


def test_every_get_can_be_asked_with_head(site: Site) -> None:
    video = site.hand_in()
    site.judge(video)
    site.store.beat("w", "here", 1, 2)
    upload = site.client.post("/v1/uploads?size=1").json()["id"]
    described = [path for path, methods in site.app.openapi()["paths"].items() if "get" in methods]
    assert len(described) > 15
    for path in [*described, "/", "/api", "/openapi.json", "/assets/app.js"]:
        query = f"?id={video}" if path == "/v1/bundles" else ""
        answer = site.client.head(path.format(video_id=video, upload_id=upload) + query)
        assert answer.status_code in (200, 204), path
        assert answer.content == b""
        if "overlay" in path:
            assert answer.headers["content-length"] == "2048"


@pytest.mark.parametrize("path", ["/v1/videos?verdikt=likely_fake", "/v1/videos?format=csv", "/v1/about?x=1"])
def test_unknown_parameters_are_refused(site: Site, path: str) -> None:
    answer = site.client.get(path)
    assert (answer.status_code, answer.json()["error"]) == (422, "unknown_parameter")
    assert site.client.post("/v1/videos?nmae=x", content=b"x", headers=OCTETS).status_code == 422


def test_uploads_leave_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of unknown length, beside those that have announced theirs, and if something else fills the disk."""
    free = SPARE + 10_000_000
    folder = Folder(tmp_path)
    room = Room(folder)
    monkeypatch.setattr(Folder, "free", lambda self: free - sum(p.stat().st_size for p in self.incoming.iterdir()))
    wanted = Settings(tmp_path)

    async def body(size: int, *, waits: asyncio.Event | None = None) -> AsyncIterator[bytes]:
        for _ in range(size // 1_000_000):
            yield b"x" * 1_000_000
        if waits is not None:
            await waits.wait()

    async def try_it() -> None:
        nonlocal free
        go_on = asyncio.Event()
        with pytest.raises(RefusedError, match="room"):  # more than there is, announced
            await receive(body(0), 11_000_000, wanted, folder, room)
        with pytest.raises(RefusedError, match="room"):  # and not announced
            await receive(body(11_000_000), None, wanted, folder, room)
        assert list(folder.incoming.iterdir()) == []
        first = asyncio.create_task(receive(body(1_000_000, waits=go_on), 7_000_000, wanted, folder, room))
        await asyncio.sleep(0.2)
        with pytest.raises(RefusedError, match="room"):  # the first will still need 6 MB
            await receive(body(0), 4_000_000, wanted, folder, room)
        with pytest.raises(RefusedError, match="room"):
            await receive(body(4_000_000), None, wanted, folder, room)
        (await receive(body(3_000_000), 3_000_000, wanted, folder, room)).discard()
        go_on.set()
        (await first).discard()
        free -= 9_500_000
        with pytest.raises(RefusedError, match="room"):
            await receive(body(1_000_000), None, wanted, folder, room)

    asyncio.run(try_it())
    assert list(folder.incoming.iterdir()) == []


def test_room_is_looked_at_while_another_upload_ends(tmp_path: Path) -> None:
    room = Room(Folder(tmp_path))

    class Bytes(int):
        def __radd__(self, other: int) -> int:
            room.leave("another")  # as a thread would that comes in between
            return int(self) + other

    room.take("this", 5)
    room.take("another", 7)
    room.take("third", Bytes(9))
    room.check("this", 5)


def test_a_client_that_goes_away_is_one_line_in_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    heard = iter([{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(heard)

    async def send(_message: Any) -> None:
        pass

    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": "/v1/videos", "raw_path": b"/v1/videos", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8000")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
    }  # fmt: skip
    asyncio.run(site.app(scope, receive, send))
    (line,) = [record for record in caplog.records if record.name.startswith("lrnet")]
    assert line.getMessage().startswith("POST /v1/videos: 499 in")
    assert line.exc_info is None
    assert list(site.folder.incoming.iterdir()) == []


def test_lists_do_not_carry_the_scores_of_clips(site: Site) -> None:
    video = site.hand_in()
    row = site.store.claim(60)
    assert row is not None
    clip = {"face": 0, "start": 0.0, "stop": 2.4, "score": 0.5}
    site.store.renew(video, str(row.lease), 60, {"stage": "examining", "clips": 1, "scored": [clip]})
    assert site.client.get(f"/v1/videos/{video}").json()["progress"]["scored"] == [clip]
    listed = site.client.get("/v1/videos").json()["items"][0]["progress"]
    assert (listed["clips"], listed["scored"]) == (1, [])


def test_a_table_of_the_list(site: Site) -> None:
    for name in ("=1+1.mp4", 'a "b", c.mp4', "ünter.mp4"):
        site.client.post("/v1/videos", params={"name": name, "case": "\r@x"}, content=name.encode(), headers=OCTETS)
    answer = site.client.get("/v1/videos.csv", params={"sort": "oldest"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["name"] for row in rows] == ["'=1+1.mp4", 'a "b", c.mp4', "ünter.mp4"]  # no formula
    assert {row["case"] for row in rows} == {"'\r@x"}
    site.judge(rows[0]["id"])
    (judged,) = csv.DictReader(io.StringIO(site.client.get("/v1/videos.csv?verdict=likely_fake").text))
    assert (judged["probability"], judged["seconds_examined"], judged["held_back"]) == ("0.97", "2.9", "False")
    site.judge(rows[1]["id"], "inconclusive", held_back=True)
    (judged,) = csv.DictReader(io.StringIO(site.client.get("/v1/videos.csv?verdict=inconclusive").text))
    assert (judged["probability"], judged["held_back"]) == ("", "True")


def test_the_table_is_whole(site: Site) -> None:
    numbers = [site.store.add(f"{i}", "ab" * 32, 7).id for i in range(201)]
    rows = csv.DictReader(io.StringIO(site.client.get("/v1/videos.csv?sort=name").text))
    assert sorted(row["id"] for row in rows) == sorted(numbers)


def test_a_request_that_is_repeated_makes_no_second_video(site: Site) -> None:
    def hand_in(data: bytes, key: str) -> Any:
        return site.client.post("/v1/videos", content=data, headers={**OCTETS, "idempotency-key": key})

    first, second = hand_in(b"1", "a"), hand_in(b"1", "a")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    other = hand_in(b"2", "a")
    assert (other.status_code, other.json()["error"]) == (409, "key_reused")
    assert hand_in(b"2", "b").status_code == 201
    assert list(site.folder.incoming.iterdir()) == []


def test_a_file_is_looked_up_before_it_is_sent(site: Site) -> None:
    video = site.hand_in(b"1")
    site.hand_in(b"2")
    sha256 = hashlib.sha256(b"1").hexdigest()
    assert [v["id"] for v in site.client.get("/v1/videos", params={"sha256": sha256}).json()["items"]] == [video]
    assert site.client.get("/v1/videos?sha256=abc").status_code == 422


def test_what_a_client_calls_a_video(site: Site) -> None:
    parameters = {"external_id": "case 7/1", "label": ["urgent", "press"]}
    video = site.client.post("/v1/videos", params=parameters, content=b"x", headers=OCTETS).json()
    site.hand_in()
    assert (video["external_id"], video["labels"]) == ("case 7/1", ["urgent", "press"])
    for search in ({"external_id": "case 7/1"}, {"label": "press"}):
        assert [v["id"] for v in site.client.get("/v1/videos", params=search).json()["items"]] == [video["id"]]
    for wrong in ({"label": "a\nb"}, {"label": "x" * 61}, {"label": ["x"] * 21}, {"external_id": "x" * 201}):
        assert site.client.post("/v1/videos", params=wrong, content=b"x", headers=OCTETS).status_code == 422


def test_a_video_is_cancelled_and_examined_again(site: Site) -> None:
    video = site.hand_in()
    assert site.client.post(f"/v1/videos/{video}/again").json()["error"] == "not_finished"
    assert site.client.post(f"/v1/videos/{video}/cancel").json()["state"] == "cancelled"
    assert site.client.post(f"/v1/videos/{video}/cancel").json()["error"] == "finished"
    again = site.client.post(f"/v1/videos/{video}/again")
    new = again.json()
    assert (again.status_code, new["state"], new["sha256"]) == (
        201,
        "queued",
        site.client.get(f"/v1/videos/{video}").json()["sha256"],
    )
    assert new["id"] != video
    site.client.delete(f"/v1/videos/{video}")
    assert site.folder.video(new["sha256"]).exists()
    site.judge(new["id"])
    lines = site.client.get("/v1/audit").json()["items"]
    assert [(line["action"], line["video"]) for line in reversed(lines)] == [
        ("submit", video), ("cancel", video), ("again", new["id"]), ("delete", video),
    ]  # fmt: skip


def test_a_video_whose_last_worker_died_is_shown_as_waiting(tmp_path: Path) -> None:
    """Without a worker there is still the web process to notice it."""
    with opened(Settings(tmp_path, lease_seconds=0.4)) as site:
        video = site.hand_in()
        assert site.store.claim(0.4) is not None
        wait_for(lambda: site.client.get(f"/v1/videos/{video}").json()["state"] == "queued", 10)


def test_a_finished_video_is_told_with_a_signature_until_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrnet.service.webhook.PAUSES", (0.1, 0.1))
    monkeypatch.setattr("lrnet.service.web.NOTICE_SECONDS", 0.1)
    told: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append((self.headers[SIGNATURE], self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(500 if len(told) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    receiver = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
    thread.start()
    try:
        webhook = Webhook(f"http://127.0.0.1:{receiver.server_port}/", "s" * 20)
        with opened(Settings(tmp_path, webhook=webhook, lease_seconds=0.4)) as site:
            video = site.hand_in()
            site.judge(video)
            wait_for(lambda: len(told) == 2, 10)
            sent = site.client.get(f"/v1/videos/{video}").json()
            time.sleep(0.5)
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
    assert len(told) == 2
    given, body = told[1]
    when, proof = (part.partition("=")[2] for part in given.split(","))
    assert hmac.new(b"s" * 20, when.encode() + b"." + body, "sha256").hexdigest() == proof
    assert abs(int(when) - time.time()) < 60
    assert json.loads(body) == sent
    assert (sent["id"], sent["state"]) == (video, "done")


def test_the_webhook_follows_no_redirect_and_is_given_up_after_seventeen_hours(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (len(PAUSES), round(sum(PAUSES) / 3600)) == (7, 17)
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(303)  # with this one a client that follows asks with GET
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setattr("lrnet.service.webhook.PAUSES", (0, 0))
    receiver = HTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
    thread.start()
    try:
        site.store.add("clip.mp4", "ab" * 32, 7, notify=True)
        site.store.cancel(site.store.page().items[0].id)
        webhook = Webhook(f"http://127.0.0.1:{receiver.server_port}/", "s" * 20)
        assert [notify_one(site.store, webhook) for _ in range(4)] == [True, True, True, False]
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
    assert asked == ["/"] * 3


def test_an_answer_that_makes_no_sense_is_a_failed_attempt_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrnet.service.webhook.PAUSES", (0,))
    site.store.cancel(site.store.add("clip.mp4", "ab" * 32, 7, notify=True).id)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"no HTTP at all\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        webhook = Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", "s" * 20)
        assert [notify_one(site.store, webhook) for _ in range(3)] == [True, True, False]
        thread.join()


def test_a_webhook_that_does_not_answer_keeps_no_video_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrnet.service.web.NOTICE_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", "s" * 20)
        with opened(Settings(tmp_path, webhook=webhook, lease_seconds=0.4)) as site:
            site.judge(site.hand_in(b"1"))
            connection, _ = silent.accept()  # the notice is being sent, for ten seconds
            video = site.hand_in(b"2")
            assert site.store.claim(0.1) is not None
            wait_for(lambda: site.client.get(f"/v1/videos/{video}").json()["state"] == "queued", 5)
            connection.close()


@pytest.mark.parametrize(("given", "kept"), [("job-7.a_B", True), ("a b", False), ("x" * 65, False), ("ü", False)])
def test_a_request_has_the_client_s_identifier_if_that_is_one(site: Site, given: str, kept: bool) -> None:
    answer = site.client.get("/v1/videos", headers={"x-request-id": given.encode()})
    assert (answer.headers["x-request-id"] == given) == kept
    assert re.fullmatch(r"[\w.-]{1,64}", answer.headers["x-request-id"])


def test_the_log_names_the_request_and_can_be_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"request": "r1", "who": "anna", "address": "::1"}
    try:
        for style in ("text", "json"):
            log_to_stderr(style)
            logging.getLogger("lrnet.service.requests").info("%s %s", "POST", "/v1/videos", extra=fields)
    finally:
        logging.basicConfig(force=True)
    text, line = capsys.readouterr().err.splitlines()
    assert text.endswith("INFO lrnet.service.requests: POST /v1/videos request=r1 who=anna address=::1")
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).tzinfo is not None
    assert told == {"level": "INFO", "logger": "lrnet.service.requests", "message": "POST /v1/videos", **fields}


def test_videos_beyond_those_that_are_watched_are_not_called_deleted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(events, "MAX_WATCHED", 3)
    videos = [site.hand_in(str(i).encode()) for i in range(6)]
    steps = (lambda: None, lambda: site.store.delete(videos[0]), lambda: site.store.cancel(videos[1]), lambda: None)
    looks = iter(steps)
    ended = False

    def look() -> bool:
        nonlocal ended
        step = next(looks, None)
        ended = step is None
        if step is not None:
            step()
        return ended

    async def follow() -> str:
        return b"".join([block async for block in events.all_videos(site.store, look)]).decode()

    told = events_of(asyncio.run(follow()))
    assert [data["id"] for name, data in told if name == "deleted"] == [videos[0]]
    assert {data["id"] for name, data in told if name == "video"} >= set(videos[2:5])


@pytest.mark.parametrize(
    ("url", "secret"), [("ftp://x/", "s" * 20), ("file:///etc/passwd", "s" * 20), ("http://x/", "")]
)
def test_a_webhook_without_address_or_secret_is_refused(url: str, secret: str) -> None:
    with pytest.raises(ServiceError):
        Webhook(url, secret)


def test_nothing_is_sent_anywhere_even_if_the_environment_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # FastAPI sends traces when these are set; without its exporter installed, it would refuse to start.
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/")
    with opened(Settings(tmp_path)) as site:
        assert site.client.get("/v1/videos").status_code == 200
