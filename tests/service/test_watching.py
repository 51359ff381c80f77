"""Watching a call: the rules of the service, and the page in headless Chromium with a film as its camera."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy.exc import OperationalError
from starlette.websockets import WebSocketDisconnect
from tools.screenshots import NOTE_EVENTS, call_film, lag_of, verdicts_seen

from lrnet.detector import Detector
from lrnet.report.json_report import to_document
from lrnet.service import watching
from lrnet.service.api import Service
from lrnet.service.database import Store, opened
from lrnet.service.folder import Folder
from lrnet.service.settings import Settings
from lrnet.service.tokens import Role, Token
from lrnet.service.upload import SPARE
from lrnet.service.web import create_app
from lrnet.verdict.running import RULE
from tests.service.kit import Running, alive, command_line, descendants, running, wait_for
from tests.service.test_page import LONG, QUIET, accessible

ROOT = Path(__file__).resolve().parents[2]
HOST = "http://127.0.0.1:8000"
TOKENS = tuple(Token(role.name.lower() * 5, role.name.lower(), role) for role in Role)


# The service, with a stand-in for the process that judges.


class Asked:
    """A request whose answer is a stream, made of the application in the test's own event loop."""

    def __init__(self, app: FastAPI, method: str, path: str, query: str = "", body: bytes = b"", who: str = "") -> None:
        self.status = 0
        self.lines: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._body: bytes | None = body
        headers = [(b"host", b"127.0.0.1:8000"), (b"authorization", f"Bearer {who * 5}".encode())]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": headers[: 2 if who else 1], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.lines += [json.loads(line) for line in message.get("body", b"").splitlines() if line]

    async def said(self, event: str) -> dict[str, Any]:
        """The first event of a kind, once it is there."""
        async with asyncio.timeout(20):
            while True:
                for line in self.lines:
                    if line.get("event", line.get("error")) == event:
                        return line
                await asyncio.sleep(0.02)


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in the place of `lrnet watch -`."""

    def put(script: str) -> None:
        path = tmp_path / "judge"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))

    put('echo \'{"event": "ready"}\'; cat > /dev/null')
    return put


def tried(wanted: Settings, steps: Callable[[FastAPI], Any]) -> list[Any]:
    """Run steps against a service without workers. Returns its videos as they are afterwards."""
    app = create_app(wanted)
    asyncio.run(asyncio.wait_for(steps(app), 60))
    store = Store(wanted.database_url)
    rows = [store.get(line["video"]) for line in store.audit(100, None) if line["action"] == "submit"]
    store.close()
    assert list(Folder(wanted.data).incoming.iterdir()) == []
    return rows


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("lost", [True, False])
def test_a_watch_ends_with_its_client_or_when_it_is_stopped_and_is_kept_only_if_asked(
    keep: bool, lost: bool, tmp_path: Path, judge: Callable[[str], None]
) -> None:
    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch", f"keep={keep}&name=a%20call.webm&case=17")
        await call.said("ready")
        second = Asked(app, "POST", "/watch")
        assert "one at a time" in (await second.said("watching"))["hint"]
        assert second.status == 409
        watch = f"/watch/{call.lines[0]['id']}"
        for part in (b"one", b"two"):
            await (fed := Asked(app, "PATCH", watch, body=part)).task
            assert fed.status == 204
        for path in (tmp_path / "data" / "incoming").iterdir():
            os.utime(path, (0, 0))
        await Asked(app, "PATCH", watch).task  # an empty part says that the page is still there
        assert Folder(tmp_path / "data").old_uploads(60) == []
        if lost:
            call.gone.set()
        else:
            await Asked(app, "POST", f"{watch}/stop").task
            end = await call.said("end")
            assert (end["message"], end["video"] is not None) == ("", keep)
        await call.task
        await (late := Asked(app, "PATCH", watch, body=b"three")).task
        assert (late.status, late.lines[0]["error"]) == (404, "unknown_watch")
        again = Asked(app, "POST", "/watch")
        await again.said("ready")
        again.gone.set()
        await again.task

    rows = tried(Settings(tmp_path / "data"), steps)
    assert [(row.name, row.size, row.case) for row in rows] == ([("a call.webm", 6, "17")] if keep else [])
    files = [path for path in (tmp_path / "data" / "videos").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == ([b"onetwo"] if keep else [])


@pytest.mark.parametrize(
    ("script", "limits", "message"),
    [
        ('echo \'{"event": "ready"}\'; exit 3', {}, "The process that judges has ended. Begin again."),
        ("head -c 300000 /dev/zero | tr '\\0' x; echo; cat", {}, "The process that judges has ended. Begin again."),
        ("cat > /dev/null", {"LONGEST": 0.5}, "A watch lasts up to"),
        ("cat > /dev/null", {"SILENCE": 0.5}, "Nothing has come"),
    ],
)
def test_a_watch_that_is_over_says_why(
    script: str, limits: dict[str, float], message: str, tmp_path: Path, judge: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    judge(script)
    for name, seconds in limits.items():
        monkeypatch.setattr(watching, name, seconds)

    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch")
        assert message in (await call.said("end"))["message"]
        await call.task

    tried(Settings(tmp_path / "data"), steps)


def test_only_events_are_passed_on(tmp_path: Path, judge: Callable[[str], None]) -> None:
    lines = ['{"event": "ready"}', "{", "[1]", '{"event": ["ready"]}', '{"event": "clip", "score": NaN}', "7",
             '{"event": "error", "message": "x", "hint": "y"}']  # fmt: skip
    judge("\n".join(f"echo '{line}'" for line in lines))

    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch")
        await call.task
        assert [line["event"] for line in call.lines] == ["watch", "ready", "error", "end"]

    tried(Settings(tmp_path / "data"), steps)


@pytest.mark.parametrize("what", ["too large", "no room"])
def test_a_recording_that_cannot_be_kept_ends_the_watch_and_stays_as_far_as_it_came(
    what: str, tmp_path: Path, judge: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch", "keep=true")
        await call.said("ready")
        watch = f"/watch/{call.lines[0]['id']}"
        await Asked(app, "PATCH", watch, body=b"x" * 600).task
        if what == "no room":
            monkeypatch.setattr(Folder, "free", lambda self: SPARE - 1)
            none = Asked(app, "POST", "/watch", "keep=true")
            await none.task
            assert none.status == 409  # the first still runs
        await (refused := Asked(app, "PATCH", watch, body=b"x" * (600 if what == "too large" else 6))).task
        assert refused.status == (413 if what == "too large" else 507)
        end = await call.said("end")
        assert refused.lines[0]["message"] in end["message"]
        assert end["video"]
        await call.task
        if what == "no room":
            await (none := Asked(app, "POST", "/watch", "keep=true")).task
            assert (none.status, none.lines[0]["error"]) == (507, "disk_full")

    rows = tried(Settings(tmp_path / "data", max_upload=1000), steps)
    assert [row.size for row in rows] == [600]


def test_a_recording_waits_for_a_database_that_is_away(
    tmp_path: Path, judge: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Store.add
    calls: list[int] = []

    def away_at_first(self: Store, *arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            add(self, *arguments, **options)  # it is stored, only the answer is lost
        if len(calls) < 3:
            raise OperationalError("…", None, Exception("the server is restarting"))
        return add(self, *arguments, **options)

    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch", "keep=true")
        await call.said("ready")
        watch = f"/watch/{call.lines[0]['id']}"
        await Asked(app, "PATCH", watch, body=b"a call").task
        await Asked(app, "POST", f"{watch}/stop").task
        assert (await call.said("end"))["video"]
        await call.task

    monkeypatch.setattr(Store, "add", away_at_first)
    monkeypatch.setattr("lrnet.service.worker.POLL_SECONDS", 0.01)
    (row,) = tried(Settings(tmp_path / "data"), steps)
    assert Folder(tmp_path / "data").video(row.sha256).read_bytes() == b"a call"
    with opened(Settings(tmp_path / "data").database_url) as store:
        assert store.page().total == 1


def test_origins_tokens_and_roles_are_those_of_uploads(tmp_path: Path, judge: Callable[[str], None]) -> None:
    app = create_app(Settings(tmp_path / "data", tokens=TOKENS))
    with TestClient(app, base_url=HOST) as client:
        paths = (("POST", "/watch"), ("PATCH", f"/watch/{'0' * 32}"), ("POST", f"/watch/{'0' * 32}/stop"))
        token = {"authorization": f"Bearer {'submit' * 5}"}
        for method, path in paths:
            assert client.request(method, path).status_code == 401
            reader = {"authorization": f"Bearer {'read' * 5}"}
            assert client.request(method, path, headers=reader).json()["error"] == "not_allowed"
            for stranger in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
                answer = client.request(method, path, headers={**token, **stranger})
                assert (answer.status_code, answer.json()["error"]) == (403, "cross_origin")
        form = {**token, "content-type": "text/plain"}
        assert client.patch(paths[1][1], content=b"x", headers=form).status_code == 415
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/watch", headers=token):
            pass
        assert "camera=(self)" in client.get("/", headers=token).headers["permissions-policy"]
        assert "camera=()" in client.get("/api", headers=token).headers["permissions-policy"]

    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch", who="submit")
        await call.said("ready")
        other = Asked(app, "PATCH", f"/watch/{call.lines[0]['id']}", body=b"x", who="admin")
        await other.task
        assert other.status == 404  # a watch is its client's own
        call.gone.set()
        await call.task

    tried(Settings(tmp_path / "other", tokens=TOKENS), steps)


def test_a_watch_that_cannot_begin_leaves_nothing_behind(
    tmp_path: Path, judge: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge("exec sleep 60.25")

    def asleep() -> bool:
        return any("60.25" in command_line(pid) for pid in descendants(os.getpid()))

    def refuse(*_: object) -> None:
        wait_for(asleep, 20)
        raise OSError("the database is away")

    async def steps(app: FastAPI) -> None:
        monkeypatch.setattr(Service, "note", refuse)
        call = Asked(app, "POST", "/watch", "keep=true")
        await call.task
        assert call.status == 500
        assert not asleep()

    tried(Settings(tmp_path / "data"), steps)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone bounds another process")
def test_the_process_that_judges_can_write_no_file_and_has_bounded_memory(
    tmp_path: Path, judge: Callable[[str], None]
) -> None:
    judge(
        f"""sleep 1; (echo > {tmp_path}/written); echo '{{"event": "ready", "kB": '$(ulimit -d)'}}'; cat > /dev/null"""
    )

    async def steps(app: FastAPI) -> None:
        call = Asked(app, "POST", "/watch")
        assert (await call.said("ready"))["kB"] == watching.MEMORY / 1024
        assert (tmp_path / "written").read_bytes() == b""
        call.gone.set()
        await call.task

    tried(Settings(tmp_path / "data"), steps)


def test_limits_of_the_service_hold_for_a_watch(tmp_path: Path) -> None:
    from lrnet.video.limits import Access, Limits

    wanted = Settings(tmp_path, access=Access(limits=Limits().changed(["faces=2", "megapixels=1.5"])))
    assert watching._limits(wanted) == ["--limit=megapixels=1.5", "--limit=faces=2"]
    assert watching._limits(Settings(tmp_path)) == []


def test_the_figures_of_the_page_are_those_of_the_documentation() -> None:
    page, told = (ROOT / "src/lrnet/service/page/watch.js").read_text(), (ROOT / "docs/live.md").read_text()
    for figure in ("33 of 64", "2 of 60"):
        assert figure in page
        assert f"| {figure} |" in told
    assert "in 22 minutes of genuine video it was never said, which does not exclude ten times an hour" in page
    assert "21.6 min | 0, so 0 to 10.3 an hour" in told
    assert f"const ALARM = {1 / (1 + math.exp(-RULE.log_ratio)):g};" in page
    assert RULE.hold == 5
    assert "needs five seconds above the line" in page


# The page in a browser whose camera plays a film.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = os.environ.get("LRNET_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    camera = call_film(tmp_path_factory.mktemp("film") / "call.y4m", 2, 204, 216)
    with sync_playwright() as playwright:
        if program is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine (`make browser` installs one; LRNET_CHROMIUM names another)")
        found = playwright.chromium.launch(executable_path=program, args=[*QUIET, *camera])
        yield found
        found.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("watch") / "data", "--workers", "1", "--no-overlay") as service:
        yield service


@pytest.fixture
def page(browser: Browser, service: Running) -> Iterator[Page]:
    """The place to watch a call from."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(LONG)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())  # of a page that is left while it watches
    page.add_init_script(NOTE_EVENTS)
    page.goto(f"{service.url}/#/watch")
    yield page
    context.close()
    assert complaints == []


def judging(service: Running) -> list[int]:
    return [pid for pid in descendants(service.process.pid) if "watch" in command_line(pid).split("\0") and alive(pid)]


def both(page: Page) -> list[dict[str, Any]] | None:
    """The face on the left and the one on the right, of the last verdict that was on two seconds of each."""
    for _, event in reversed(verdicts_seen(page)):
        faces = [face for face in event["faces"] if face["box"] and face["probability"] and face["seconds"] >= 2]
        if len(faces) == 2:
            return sorted(faces, key=lambda face: face["box"][0])
    return None


def test_a_call_of_a_real_and_a_fake_face_from_its_start_to_its_report(
    page: Page, browser: Browser, service: Running, record_property: Callable[[str, object], None]
) -> None:
    accessible(page)
    page.get_by_label("Keep the recording").check()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_text("● Recording")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    wait_for(lambda: both(page) is not None, LONG / 1000)
    expect(page.locator(".strip")).to_contain_text("will be kept")
    expect(page.locator(".stage rect").first).to_be_attached()
    accessible(page)

    # A number stands beside a verdict that decides something, and nowhere else.
    said, event = page.evaluate(
        "[[...document.querySelectorAll('.people li')].map((li) => li.innerText),"
        "seen.findLast(([, event]) => event.event === 'verdict')[1]]"
    )
    for text, face in zip(said, event["faces"], strict=True):
        assert f"Person {face['face']}" in text
        assert "s judged" in text
        decided = face["probability"] is not None and face["state"] in ("likely_fake", "no_evidence_of_manipulation")
        assert ("probability" in text) == decided

    # Another tab is told that there is one already.
    other = browser.new_page()
    other.goto(f"{service.url}/#/watch")
    other.get_by_role("button", name="Use the camera").click()
    expect(other.get_by_role("alert")).to_contain_text("Another call is being watched.")
    other.close()

    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("heading", name="The watch is over")).to_be_visible()
    accessible(page)
    seen = verdicts_seen(page)
    found = both(page)
    assert found is not None
    real, fake = found
    assert real["box"][2] < 204 + 20 < 204 + 40 < fake["box"][2]
    assert real["probability"] < fake["probability"]
    record_property("lag", lag_of(page))
    print(lag_of(page))
    assert max(at - event["time"] for at, event in seen) < 20  # on a machine with other work; docs/live.md has figures

    # The recording is a video like any other: its result is that of the stored file.
    page.get_by_role("link", name="Open its report").click()
    expect(page.frame_locator("iframe.report").get_by_role("heading", level=1)).to_be_visible(timeout=LONG)
    (video,) = service.client.get("/v1/videos").json()["items"]
    assert re.fullmatch(r"call \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d\.webm", video["name"])
    document = service.client.get(f"/v1/videos/{video['id']}/result").json()
    detector = Detector()
    stored = detector.detect(Folder(service.data).video(video["sha256"]))
    alone = to_document(stored, detector.bundle).model_dump(mode="json")
    assert document["verdict"] == alone["verdict"]
    assert [(face["probability"], face["state"], face["reasons"]) for face in document["faces"]] == [
        (face["probability"], face["state"], face["reasons"]) for face in alone["faces"]
    ]
    assert stored.info.duration is None  # a browser's recording does not say
    assert stored.seconds_examined > 2
    service.client.delete(f"/v1/videos/{video['id']}")


def test_a_page_that_is_left_or_whose_service_is_lost_ends_its_watch_and_keeps_nothing(
    page: Page, service: Running
) -> None:
    page.get_by_role("button", name="Share a window or tab").click()
    expect(page.get_by_text("● Watching")).to_be_visible()
    expect(page.locator(".strip")).to_contain_text("nothing is kept")
    assert len(judging(service)) == 1
    page.reload()
    wait_for(lambda: judging(service) == [], 20)
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_text("Starting")).to_be_visible()
    wait_for(lambda: len(judging(service)) == 1, 20)
    page.get_by_role("link", name="All videos").click()
    wait_for(lambda: judging(service) == [], 20)
    assert page.evaluate("document.title") == "lrnet"
    page.goto(f"{service.url}/#/watch")
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_text("● Watching")).to_be_visible()
    assert service.client.get("/v1/videos").json()["items"] == []
    kept = [path for name in ("incoming", "partial", "videos") for path in (service.data / name).rglob("*")]
    assert [path for path in kept if path.is_file()] == []

    service.kill_everything()
    expect(page.get_by_role("alert")).to_contain_text("Check that it still runs.")
    expect(page.get_by_role("heading", name="The watch is over")).to_be_visible()
    expect(page.get_by_text("Nothing was kept.")).to_be_visible()
    service.start(service.port)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "MediaDevices.prototype.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError') }",
            "The browser was not allowed",
        ),
        ("Object.defineProperty(globalThis, 'isSecureContext', { get: () => false })", "comes over TLS"),
    ],
)
def test_what_the_browser_refuses_is_said(page: Page, script: str, said: str) -> None:
    page.add_init_script(script)
    page.reload()
    camera = page.get_by_role("button", name="Use the camera")
    if "TLS" not in said:
        camera.click()
    expect(page.get_by_role("alert")).to_contain_text(said)
    assert camera.is_visible() == ("TLS" not in said)
    accessible(page)


def test_a_browser_that_asks_is_asked_once_and_shares_nothing_with_a_page_that_was_left(page: Page) -> None:
    page.add_init_script(
        "const given = MediaDevices.prototype.getUserMedia; asked = 0; tracks = [];"
        "MediaDevices.prototype.getUserMedia = async function (wanted) {"
        "  asked++; await new Promise((allow) => { allowed = allow; });"
        "  const stream = await given.call(this, wanted); tracks.push(...stream.getTracks()); return stream; }"
    )
    page.reload()
    watches: list[str] = []
    page.on("request", lambda request: watches.append(request.url) if "/watch?" in request.url else None)
    camera = page.get_by_role("button", name="Use the camera")
    camera.click()
    camera.click()
    assert page.evaluate("asked") == 1
    page.get_by_role("link", name="All videos").click()
    page.evaluate("allowed()")
    over = "tracks.length > 0 && tracks.every((track) => track.readyState === 'ended')"
    wait_for(lambda: page.evaluate(over), 20)
    assert not page.evaluate("document.body.classList.contains('watching')")
    assert watches == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "MediaRecorder.prototype.start = () => { throw new DOMException('no codec', 'NotSupportedError') }",
            "no codec",
        ),
        (
            "const start = MediaRecorder.prototype.start;"
            "MediaRecorder.prototype.start = function (every) {"
            "  start.call(this, every); setTimeout(() => this.dispatchEvent(new Event('error')), 100); }",
            "could not go on with the recording",
        ),
    ],
)
def test_a_recording_that_fails_is_said_and_ends_the_watch(
    page: Page, service: Running, script: str, said: str
) -> None:
    page.add_init_script(script)
    page.reload()
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("alert")).to_contain_text(said)
    wait_for(lambda: judging(service) == [], 20)


def test_a_browser_without_windows_to_share_has_the_camera(page: Page) -> None:
    page.add_init_script("delete MediaDevices.prototype.getDisplayMedia")
    page.reload()
    expect(page.get_by_role("button", name="Use the camera")).to_be_visible()
    expect(page.get_by_role("button", name="Share a window or tab")).to_have_count(0)
    expect(page.get_by_role("alert")).to_be_hidden()


FACE = {"face": 1, "state": "likely_fake", "probability": 0.97, "low": 0.9, "high": 0.99, "seconds": 30.0,
        "reasons": [], "doubts": ["the face is small"], "box": [20, 20, 90, 100]}  # fmt: skip


def answer_watches(page: Page, *verdicts: dict[str, Any], message: str = "") -> None:
    """In the service's place: some verdicts, and the end."""
    events = [{"event": "watch", "id": "0" * 32}, {"event": "ready"}, *verdicts,
              {"event": "end", "message": message, "video": None}]  # fmt: skip
    body = "\n".join(map(json.dumps, events)) + "\n"
    page.route(re.compile(r"/watch\?"), lambda route: route.fulfill(body=body, content_type="application/x-ndjson"))
    page.route("**/watch/*", lambda route: route.fulfill(status=204))


def test_as_many_people_as_are_seen_are_shown(page: Page) -> None:
    """The people of half a minute: a film that is watched may show dozens."""
    faces = [{**FACE, "face": number} for number in range(1, 31)]
    answer_watches(
        page, *({"event": "verdict", "time": 7.0 + n, "seconds_left_out": 0, "faces": faces[:n]} for n in (2, 30, 29))
    )
    page.get_by_role("button", name="Use the camera").click()
    summary = page.get_by_label("The watch is over")
    expect(summary).to_contain_text("Person 29, at last: Likely fake")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_the_watch_without_scrolling_sideways(browser: Browser, service: Running, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    page = context.new_page()
    page.goto(f"{service.url}/#/watch")
    verdict = {"event": "verdict", "time": 7.0, "seconds_left_out": 0, "faces": [FACE, {**FACE, "face": 2}]}
    answer_watches(page, verdict, message="A watch lasts up to 2 hours. Begin another.")
    page.get_by_role("button", name="Use the camera").click()
    summary = page.get_by_label("The watch is over")
    expect(summary).to_contain_text("Person 2, at last: Likely fake, 30 s judged, first called likely fake at 0:07.")
    expect(page.get_by_role("alert")).to_contain_text("Begin another.")
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()
