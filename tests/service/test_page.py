"""The page in a real browser (headless Chromium)."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.media import moving, write_video
from tests.service.kit import TOKEN, Running, running, short_clip, wait_for

ROOT = Path(__file__).resolve().parents[2]
LONG = 120_000  # ms: a video may be judged on a busy machine
expect.set_options(timeout=60_000)
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
QUIET += ("--disable-component-update", "--disable-sync")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = os.environ.get("LRNET_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        if program is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("no Chromium on this machine (`make browser` installs one; LRNET_CHROMIUM names another)")
        found = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        yield found
        found.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("page") / "data"
    with running(data, "--workers", "1", "--lease-seconds", "2") as service:  # a killed worker's video waits no longer
        yield service


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a fresh visitor; whatever the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.set_default_timeout(LONG)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    ignored = getattr(page, "expected_complaints", ())
    assert [text for text in complaints if not any(part in text for part in ignored)] == []


def accessible(page: Page) -> None:
    """No fault that axe-core finds, and the caution at the foot; the report in its frame is not this page's."""
    expect(page.get_by_text("does not replace it")).to_be_visible()
    found = Axe().run(page, context={"exclude": [["iframe"]]}, options={"resultTypes": ["violations"]})
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found.response["violations"]] == []


def row(page: Page, name: str) -> Any:
    return page.get_by_role("list", name="Videos").get_by_role("listitem").filter(has_text=name)


@pytest.fixture(scope="module")
def fake(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the fake example."""
    return short_clip(examples / "fake.mp4", tmp_path_factory.mktemp("fake"), 75).rename(
        tmp_path_factory.mktemp("clip") / "fake.mp4"
    )


@pytest.fixture(scope="module")
def real(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of the real example: less than a clip of full length, and so inconclusive."""
    return short_clip(examples / "real.mp4", tmp_path_factory.mktemp("real"), 25).rename(
        tmp_path_factory.mktemp("clip") / "real.mp4"
    )


def test_a_fake_and_a_real_video_from_upload_to_deletion(page: Page, service: Running, fake: Path, real: Path) -> None:
    page.goto(service.url)
    expect(page.get_by_text("No videos yet.")).to_be_visible()
    accessible(page)

    # One video alone is shown while it is examined, and turns into its report.
    page.get_by_label("Choose videos").set_input_files(fake)
    expect(page.get_by_role("heading", name="fake.mp4")).to_be_visible()
    # A fast machine may be done before the page is seen at it.
    done, examining = page.locator("iframe.report"), page.get_by_role("heading", name="Examining the motion")
    expect(examining.or_(done)).to_be_visible(timeout=LONG)
    bar = page.get_by_role("progressbar", name="Progress")
    far = "bars => bars.some(bar => Number(bar.getAttribute('value')) > 0.1)"
    wait_for(lambda: bool(done.count()) or bar.evaluate_all(far), LONG / 1000)
    accessible(page)
    report = page.frame_locator("iframe.report")
    expect(report.get_by_role("heading", level=1)).to_be_visible(timeout=LONG)
    told = service.client.get("/v1/videos").json()["items"][0]["verdict"]
    expect(report.get_by_role("heading", level=1)).to_contain_text(told["headline"])
    expect(page.locator(".head")).to_contain_text(told["headline"])
    expect(page.locator("#announcer")).to_contain_text(f"fake.mp4: {told['headline']}")
    accessible(page)

    # There is one scroll: the frame is as high as the report.
    height = report.locator("html").evaluate("e => e.offsetHeight")
    wait_for(lambda: page.locator("iframe.report").evaluate("e => e.offsetHeight") >= height - 2, LONG / 1000)
    assert height > 1000

    # The timeline seeks the clip inside, in the sandbox too.
    report.locator(".track .plot").first.click()
    clip = report.locator("#clip")
    wait_for(lambda: clip.evaluate("v => v.currentTime") > 0.5, LONG / 1000)
    assert clip.evaluate("v => v.currentTime") == pytest.approx(clip.evaluate("v => v.duration") / 2, abs=0.2)

    # The annotated copy plays, and can be sought.
    # The browser gives a click to where the frame was until it has drawn the page at its new place.
    page.get_by_role("link", name="Annotated video").scroll_into_view_if_needed()
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))")
    page.get_by_role("link", name="Annotated video").click()
    video = page.locator("video")
    expect(video).to_be_visible()
    video.evaluate("v => new Promise(done => { v.currentTime = 2; v.addEventListener('seeked', done) })")
    assert video.evaluate("v => v.currentTime") == pytest.approx(2, abs=0.1)
    accessible(page)

    # The real one, watched from the list.
    page.get_by_role("link", name="All videos").click()
    page.get_by_label("Choose videos").set_input_files([real, ROOT / "examples" / "README.md"])
    its_row = row(page, "real.mp4")
    expect(its_row.get_by_role("progressbar").or_(its_row.get_by_text("Inconclusive"))).to_be_visible(timeout=LONG)
    accessible(page)
    expect(its_row).to_contain_text("Inconclusive", timeout=LONG)
    expect(its_row).not_to_contain_text("probability")  # it decides nothing
    expect(row(page, "README.md")).to_contain_text("Not examined", timeout=LONG)
    scores = {v["name"]: (v["verdict"] or {}).get("score") for v in service.client.get("/v1/videos").json()["items"]}
    assert scores["fake.mp4"] > scores["real.mp4"]

    # The history is searched.
    page.get_by_role("searchbox", name="Search").fill("REAL")
    expect(row(page, "fake.mp4")).to_have_count(0)
    expect(its_row).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("")
    page.get_by_label("Verdict").select_option("failed")
    expect(its_row).to_have_count(0)
    expect(row(page, "README.md")).to_be_visible()
    page.get_by_label("Verdict").select_option("")

    # A deletion is asked about, and can be taken back with the keyboard alone.
    its_row.get_by_role("button", name="Delete real.mp4").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete real.mp4?")
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(its_row).to_be_visible()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(its_row).to_have_count(0)
    assert [v["name"] for v in service.client.get("/v1/videos").json()["items"]] == ["README.md", "fake.mp4"]
    expect(page.locator("#announcer")).to_contain_text("real.mp4 is deleted")


def test_a_report_cannot_reach_the_service(page: Page, service: Running, real: Path) -> None:
    page.expected_complaints = ("Content Security Policy", "violates", "Failed to")  # type: ignore[attr-defined]
    video = service.hand_in(real)
    wait_for(lambda: service.video(video)["state"] == "done", LONG / 1000)
    path = service.data / "results" / video / service_attempt(service, video) / "report.html"
    # What a report would be into which a video's maker had smuggled a script.
    path.write_text(
        "<!doctype html><title>x</title><h1>smuggled</h1><script>"
        "const tell = (k, v) => document.body.setAttribute('data-' + k, v);"
        "tell('origin', origin);"
        "try { document.cookie; tell('cookie', 'read') } catch { tell('cookie', 'refused') }"
        "try { parent.document.title; tell('parent', 'read') } catch { tell('parent', 'refused') }"
        "fetch('/v1/videos').then(() => tell('api', 'read'), () => tell('api', 'refused'));"
        "</script>"
    )
    for address in (f"/#/videos/{video}", f"/v1/videos/{video}/report"):
        page.goto(service.url + address)
        inside = page.frame_locator("iframe.report") if "#" in address else page
        body = inside.locator("body")
        expect(inside.get_by_role("heading", name="smuggled")).to_be_visible()
        expect(body).to_have_attribute("data-origin", "null")
        expect(body).to_have_attribute("data-cookie", "refused")
        expect(body).to_have_attribute("data-api", "refused")
        if "#" in address:
            expect(body).to_have_attribute("data-parent", "refused")
    service.client.delete(f"/v1/videos/{video}")


def service_attempt(service: Running, video: str) -> str:
    (attempt,) = (service.data / "results" / video).iterdir()
    return attempt.name


def test_a_name_is_text_and_nothing_else(page: Page, service: Running) -> None:
    name = "<img src=x onerror=\"document.title='caught'\">.mp4"
    answer = service.client.post("/v1/videos", params={"name": name}, content=b"x")
    page.goto(service.url)
    expect(row(page, name)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    row(page, name).get_by_role("link").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    assert "caught" not in page.title().replace(name, "")
    service.client.delete(f"/v1/videos/{answer.json()['id']}")


def test_a_second_question_is_not_answered_by_the_first(page: Page, service: Running) -> None:
    """Esc and at once Enter again: the browser tells of the first dialog's closing when the second is open."""
    names = [f"clip-{i}.mp4" for i in range(8)]
    for name in names:
        service.client.post("/v1/videos", params={"name": name}, content=b"x")
    page.goto(service.url)
    for name in names:
        row(page, name).get_by_role("button").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name=f"Delete {name}?")
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        dialog.get_by_role("button", name="Delete", exact=True).click()
        expect(row(page, name)).to_have_count(0)


def test_a_page_that_is_gone_or_never_was_says_so(page: Page, service: Running) -> None:
    page.expected_complaints = ("404",)  # type: ignore[attr-defined]
    page.goto(f"{service.url}/#/videos/{'0' * 32}")
    expect(page.get_by_text("There is no such video.")).to_be_visible()
    accessible(page)


def a_video(number: int, **changes: Any) -> dict[str, Any]:
    """A video as the service tells of it."""
    video = f"{number:032x}"
    links = {
        name: f"/v1/videos/{video}/{name}"
        for name in ("events", "result", "report", "overlay", "bundle", "file", "cancel", "again")
    }
    return {
        "id": video, "number": number, "name": f"clip-{number}.mp4", "sha256": "ab" * 32, "size": 7,
        "state": "queued", "revision": 1, "created": "2026-01-02T03:04:05Z", "owner": None,
        "external_id": None, "labels": [], "case": None, "examiner": None, "notes": None,
        "started": None, "finished": None, "attempts": 0, "progress": None,
        "verdict": None, "failure": None, "links": {"self": f"/v1/videos/{video}", **links}, **changes,
    }  # fmt: skip


FAILED = {"state": "failed", "failure": {"error": "VideoError", "message": "It is no video.", "hint": "Send one."}}


VERDICT = {
    "state": "likely_fake", "headline": "Likely fake", "meaning": "…", "symbol": "▲", "probability": 0.97,
    "when": "", "moment": None, "face": 1, "frames": 240,
    "held_back": False, "score": 0.9, "faces": 1, "model": "m 1", "reasons": [], "seconds_examined": 9.9,
    "duration": 10.0, "damaged_packets": 0, "model_hash": "ab" * 32, "share_examined": 0.99, "extras_failed": {},
}  # fmt: skip


def judged(number: int, **verdict: Any) -> dict[str, Any]:
    return a_video(number, state="done", finished="2026-01-02T03:05:05Z", verdict={**VERDICT, **verdict})


def a_page(*videos: dict[str, Any], total: int | None = None, before: int | None = None) -> str:
    return json.dumps({"items": videos, "total": len(videos) if total is None else total, "before": before})


def stream(video: dict[str, Any], again: int = 300) -> dict[str, Any]:
    """An answer that tells a video's state and breaks off; the browser asks again after so many milliseconds."""
    body = f"retry: {again}\nevent: state\ndata: {json.dumps(video)}\n\n"
    return {"content_type": "text/event-stream", "body": body}


def part_of(route: Route, data: bytes) -> dict[str, Any]:
    """An answer with the part of a file that is asked for: a browser seeks by asking for parts."""
    first, _, last = route.request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
    start, stop = int(first), int(last) + 1 if last else len(data)
    headers = {"content-range": f"bytes {start}-{stop - 1}/{len(data)}", "accept-ranges": "bytes"}
    return {"status": 206, "headers": headers, "body": data[start:stop], "content_type": "application/octet-stream"}


def serve_list(page: Page, *videos: dict[str, Any]) -> None:
    page.route("**/v1/videos?*", lambda route: route.fulfill(body=a_page(*videos), content_type="application/json"))


def test_a_list_shows_what_was_not_examined_and_no_number_that_decides_nothing(page: Page, service: Running) -> None:
    part = {"seconds_examined": 2.9, "share_examined": 0.29, "damaged_packets": 1}
    picture = {"state": "unable_to_evaluate", "headline": "Unable to evaluate", "frames": 1, "probability": None}
    unclear = judged(3, state="inconclusive", held_back=True, probability=0.96)
    serve_list(page, judged(1), judged(2, **part), unclear, judged(4, **picture))
    page.goto(service.url)
    expect(row(page, "clip-1.mp4")).to_contain_text("0.97")
    expect(row(page, "clip-1.mp4")).not_to_contain_text("examined")
    expect(row(page, "clip-2.mp4")).to_contain_text("only 2.9 of 10.0 s examined")
    expect(row(page, "clip-3.mp4")).not_to_contain_text("0.9")
    expect(row(page, "clip-4.mp4")).to_contain_text("a picture, not a video")
    expect(page.get_by_text("What it mostly does not see")).to_be_visible()
    expect(page.get_by_text("does not replace it")).to_be_visible()
    accessible(page)


def test_a_probability_is_told_for_another_share_of_fakes(page: Page, service: Running) -> None:
    video = judged(1, probability=0.9)
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    page.route("**/v1/videos/*/report", lambda route: route.fulfill(body="<p>report</p>", content_type="text/html"))
    serve_list(page, video)
    page.goto(f"{service.url}/#/videos/{video['id']}")
    shown = page.locator(".head output")
    expect(shown).to_have_text("0.90")
    page.get_by_label("Expected share of fakes, percent").fill("1")
    expect(shown).to_have_text("0.08")  # odds 9 x 1/99 = 1/11, so 1/12
    expect(page.get_by_text("does not replace it")).to_be_visible()
    accessible(page)


def test_the_plot_of_a_long_examination_keeps_the_latest_clips(page: Page, service: Running) -> None:
    running = a_video(1, state="running", progress=None)
    events = [("state", running)]
    for first in (0, 300, 600):
        scored = [{"face": 1, "start": n, "stop": n + 1, "score": 0.5} for n in range(first, first + 300)]
        events.append(("clips", {"clips": first + 300, "scored": scored}))
    body = "retry: 60000\n" + "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    serve_list(page, running)
    page.goto(f"{service.url}/#/videos/{running['id']}")
    expect(page.locator(".scores rect")).to_have_count(400)
    assert page.locator(".scores rect").last.get_attribute("x") == str(1000 * 899 / 900)


def test_a_verdict_says_when_and_of_whom_and_leads_there(page: Page, service: Running) -> None:
    page.expected_complaints = ("404",)  # type: ignore[attr-defined]
    video = judged(1, when="1:30.0 to 1:45.0, person 2", moment=[90.0, 105.0], face=2)
    report = (
        "<h1>report</h1><script>onhashchange = () => { document.body.append(location.hash) };"
        "const say = (what) => parent.postMessage(what, '*');"
        "say({ top: 2500 }); setTimeout(() => say({ height: 5000 }), 300)</script>"
        "<button onclick='parent.postMessage({ whole: 30.5 }, \"*\")'>whole</button>"
    )
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    page.route("**/v1/videos/*/report", lambda route: route.fulfill(body=report, content_type="text/html"))
    serve_list(page, video)
    page.goto(service.url)
    row(page, "clip-1.mp4").get_by_role("link", name="1:30.0 to 1:45.0, person 2").click()
    frame = page.locator("iframe.report")
    expect(frame).to_have_attribute("src", f"/v1/videos/{video['id']}/report#t=90")
    expect(page.locator(".head")).to_contain_text("Likely fake · 1:30.0 to 1:45.0, person 2")
    wait_for_in(page, lambda: page.evaluate("scrollY > 2400"))
    page.evaluate(f"location.hash = '#/videos/{video['id']}?t=12.5'")
    expect(page.frame_locator("iframe.report").get_by_text("#t=12.5")).to_be_visible()  # the same page, at another time
    accessible(page)
    # A moment that the report's clip does not hold is shown in the annotated video.
    page.frame_locator("iframe.report").get_by_role("button", name="whole").click()
    expect(page.get_by_role("link", name="Annotated video")).to_have_attribute("aria-current", "page")
    assert page.url.endswith(f"#/videos/{video['id']}/overlay?t=30.50")


def test_the_annotated_video_goes_to_moments_and_steps(page: Page, service: Running, tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", moving(75)).read_bytes()
    video = judged(1)
    stretches = {"suspicious": [[0.5, 0.8], [2.0, 2.4]]}
    result = {"faces": [{"explanation": stretches}], "video": {"frame_rate": 25}, "verdict": {}}
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    page.route("**/v1/videos/*/result", lambda route: route.fulfill(json=result))
    page.route("**/v1/videos/*/overlay", lambda route: route.fulfill(**part_of(route, film)))
    page.goto(f"{service.url}/#/videos/{video['id']}/overlay?t=0.2")
    player = page.locator("video")

    def stands_at(time: float) -> bool:
        return bool(player.evaluate(f"v => !v.seeking && Math.abs(v.currentTime - {time}) < 0.02"))

    wait_for_in(page, lambda: stands_at(0.2))
    page.get_by_role("button", name="Suspicious ▶").click()
    wait_for_in(page, lambda: stands_at(0.5))
    page.get_by_role("button", name="Suspicious ▶").click()
    wait_for_in(page, lambda: stands_at(2.0))
    page.get_by_role("button", name="Suspicious ▶").click()
    expect(page.get_by_text("No suspicious stretch after 0:02.")).to_be_visible()
    page.get_by_role("button", name="Frame ▶").click()
    wait_for_in(page, lambda: stands_at(2.04))
    page.evaluate(f"location.hash = '#/videos/{video['id']}/overlay?t=1'")
    wait_for_in(page, lambda: stands_at(1.0))
    accessible(page)


def test_case_examiner_and_notes_go_along_with_an_upload(page: Page, service: Running, tmp_path: Path) -> None:
    page.goto(service.url)
    page.get_by_text("Case, examiner, notes").click()
    page.get_by_label("Case", exact=True).fill("24 Js 17/26")
    page.get_by_label("Examiner").fill("A. Müller")
    page.get_by_label("Notes").fill("as found")
    accessible(page)
    (tmp_path / "of-a-case.mp4").write_bytes(b"no video")
    page.get_by_label("Choose videos").set_input_files(tmp_path / "of-a-case.mp4")
    expect(page.get_by_role("heading", name="of-a-case.mp4")).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("24 Js 17/26")
    expect(page.locator(".facts")).to_contain_text("as found")
    (video,) = service.client.get("/v1/videos", params={"case": "24 Js 17/26"}).json()["items"]
    assert (video["examiner"], video["notes"]) == ("A. Müller", "as found")
    page.get_by_role("link", name="All videos").click()
    expect(row(page, "of-a-case.mp4")).to_contain_text("case 24 Js 17/26")
    service.client.delete(f"/v1/videos/{video['id']}")


def test_a_large_file_is_sent_in_parts_and_goes_on_after_a_break(page: Page, service: Running, tmp_path: Path) -> None:
    page.expected_complaints = ("net::ERR_FAILED",)  # type: ignore[attr-defined]
    data = os.urandom(20_000_000)
    (tmp_path / "large.mp4").write_bytes(data)
    tries: list[str] = []

    def part(route: Route) -> None:
        tries.append(route.request.headers["upload-offset"])
        if len(tries) in (2, 3):
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/uploads/*", lambda route: part(route) if route.request.method == "PATCH" else route.continue_())
    page.goto(service.url)
    page.get_by_label("Choose videos").set_input_files(tmp_path / "large.mp4")
    again = page.get_by_role("button", name="Try large.mp4 again")
    again.click()
    wait_for_in(page, lambda: len(tries) == 3)
    expect(again).to_be_visible()
    page.reload()  # the browser lets go of the file; what has arrived counts all the same
    with page.expect_file_chooser() as chooser:
        again.click()
    chooser.value.set_files(tmp_path / "large.mp4")
    wait_for_in(page, lambda: service.client.get("/v1/videos", params={"q": "large.mp4"}).json()["total"] == 1)
    assert tries == ["0", *[str(16 * 2**20)] * 3]
    (video,) = service.client.get("/v1/videos", params={"q": "large.mp4"}).json()["items"]
    assert video["sha256"] == hashlib.sha256(data).hexdigest()
    service.client.delete(f"/v1/videos/{video['id']}")


def test_a_large_file_whose_video_was_deleted_before_its_answer_came_is_sent_anew(
    page: Page, service: Running, tmp_path: Path
) -> None:
    page.expected_complaints = ("404",)  # type: ignore[attr-defined]
    size, parameters = 17_000_000, {"q": "lost answer.mp4"}
    file = tmp_path / "lost answer.mp4"
    file.write_bytes(bytes(size))
    os.utime(file, (10**9, 10**9))
    begun = service.client.post("/v1/uploads", params={"size": size, "name": file.name}).json()["id"]
    headers = {"content-type": "application/octet-stream", "upload-offset": "0"}
    done = service.client.patch(f"/v1/uploads/{begun}", content=bytes(size), headers=headers).json()
    service.client.delete(f"/v1/videos/{done['video']['id']}")
    left = {"file": {"name": file.name, "size": size, "lastModified": 10**12}, "about": {}, "sent": {"id": begun}}
    page.goto(f"{service.url}/signin")  # not the page itself, which would keep its own rows when it is left
    page.evaluate("rows => sessionStorage.setItem('lrnet uploads', rows)", json.dumps([left]))
    page.goto(service.url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=f"Try {file.name} again").click()
    chooser.value.set_files(file)
    wait_for_in(page, lambda: service.client.get("/v1/videos", params=parameters).json()["total"] == 1)
    (video,) = service.client.get("/v1/videos", params=parameters).json()["items"]
    service.client.delete(f"/v1/videos/{video['id']}")


def test_filter_and_search_live_in_the_address(page: Page, service: Running) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url.partition("?")[2])
        route.fulfill(body=a_page(judged(1)), content_type="application/json")

    page.route("**/v1/videos?*", answer)
    page.goto(f"{service.url}/#/?q=clip&verdict=likely_fake&sort=name")
    expect(row(page, "clip-1.mp4")).to_be_visible()
    assert asked[0] == "q=clip&verdict=likely_fake&sort=name&limit=30"
    assert (
        page.get_by_role("link", name="CSV").get_attribute("href")
        == "/v1/videos.csv?q=clip&verdict=likely_fake&sort=name"
    )
    page.get_by_label("Order").select_option("oldest")
    page.get_by_label("Verdict").select_option("failed")
    wait_for_in(page, lambda: page.url.endswith("#/?q=clip&state=failed&sort=oldest"))
    page.get_by_text("Case and dates").click()
    accessible(page)
    page.get_by_label("Of the case").fill("24 Js 17")
    page.get_by_label("From day").fill("2026-11-27")
    page.get_by_label("to day").fill("2026-11-27")
    wait_for_in(page, lambda: "&case=24+Js+17&" in page.url and page.url.endswith("&from=2026-11-27&to=2026-11-27"))
    page.reload()
    wait_for_in(page, lambda: "since" in asked[-1])
    sent = parse_qs(asked[-1])
    since, until = (datetime.fromisoformat(sent[name][0]) for name in ("since", "until"))
    assert (sent["case"], until - since) == (["24 Js 17"], timedelta(days=1))
    expect(page.get_by_label("From day")).to_have_value("2026-11-27")
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("clip")
    expect(page.get_by_label("Verdict")).to_have_value("failed")


def test_a_day_ends_where_its_clocks_say(browser: Browser, service: Running) -> None:
    """The day on which summer time ends has 25 hours; a year of five digits is no day."""
    context = browser.new_context(timezone_id="Europe/Berlin")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    table = page.get_by_role("link", name="CSV")
    page.goto(f"{service.url}/#/?from=2026-10-25&to=2026-10-25")
    expect(table).to_have_attribute(
        "href", "/v1/videos.csv?since=2026-10-24T22%3A00%3A00.000Z&until=2026-10-25T23%3A00%3A00.000Z"
    )
    page.goto(f"{service.url}/#/?to=12026-10-25")
    expect(table).to_have_attribute("href", "/v1/videos.csv?")
    context.close()
    assert complaints == []


def test_several_videos_are_deleted_at_once(page: Page, service: Running) -> None:
    names = [f"several-{i}.mp4" for i in range(3)]
    for name in names:
        service.client.post("/v1/videos", params={"name": name}, content=b"x")
    page.goto(service.url)
    for name in names[:2]:
        row(page, name).get_by_role("checkbox").check()
    expect(page.get_by_text("2 videos selected")).to_be_visible()
    expect(page.get_by_role("link", name="Evidence bundles")).to_be_hidden()  # they have none
    accessible(page)
    page.get_by_role("button", name="Delete them").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(row(page, "several-0.mp4")).to_have_count(0)
    expect(row(page, "several-1.mp4")).to_have_count(0)
    expect(row(page, "several-2.mp4")).to_be_visible()
    expect(page.get_by_text("selected")).to_be_hidden()
    row(page, "several-2.mp4").get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()


def test_a_video_further_down_that_changes_is_not_taken_for_a_new_one(page: Page, service: Running) -> None:
    """The stream begins with all unfinished videos, and the oldest is the next to be examined."""
    waiting = [a_video(number) for number in range(35, 0, -1)]
    page.route(
        "**/v1/videos?*",
        lambda route: route.fulfill(body=a_page(*waiting[:30], total=35, before=6), content_type="application/json"),
    )
    held: list[Route] = []
    page.route("**/v1/events", lambda route: held.append(route))
    page.goto(service.url)

    def tell(*videos: dict[str, Any]) -> None:
        wait_for_in(page, lambda: bool(held))
        body = "".join(f"event: video\ndata: {json.dumps(video)}\n\n" for video in videos)
        held.pop().fulfill(content_type="text/event-stream", body=f"retry: 100\n\n{body}")

    rows = page.get_by_role("list", name="Videos").get_by_role("listitem")
    tell(*reversed(waiting))
    expect(rows).to_have_count(30)
    tell(a_video(1, state="running", revision=2), a_video(37), a_video(36))  # the last two were stored side by side
    expect(rows).to_have_count(32)
    assert [name.split("-")[1] for name in rows.locator(".name").all_inner_texts()] == [
        f"{number}.mp4" for number in range(37, 5, -1)
    ]
    expect(page.locator(".count")).to_have_text("37")


def test_a_page_whose_rows_are_all_deleted_shows_the_next(page: Page, service: Running) -> None:
    left = [a_video(number, **FAILED) for number in range(35, 0, -1)]

    def answer(route: Route) -> None:
        more = len(left) > 30
        route.fulfill(
            body=a_page(*left[:30], total=len(left), before=6 if more else None), content_type="application/json"
        )

    def delete(route: Route) -> None:
        left[:] = [video for video in left if not route.request.url.endswith(video["id"])]
        route.fulfill(status=204)

    page.route("**/v1/videos?*", answer)
    page.route(re.compile("/v1/videos/[0-9a-f]{32}$"), delete)
    page.route("**/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body="retry: 60000\n\n"))
    page.goto(service.url)
    rows = page.get_by_role("list", name="Videos").get_by_role("listitem")
    expect(rows).to_have_count(30)
    page.evaluate("document.querySelectorAll('.box').forEach(box => box.click())")
    page.get_by_role("button", name="Delete them").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(rows).to_have_count(5)
    expect(page.locator(".count")).to_have_text("5")
    expect(page.get_by_text("No videos yet.")).to_be_hidden()
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_evidence_is_one_button_for_a_video_and_for_those_selected(page: Page, service: Running) -> None:
    without = judged(3, extras_failed={"evidence.zip": "No space left."})
    serve_list(page, judged(1), judged(2), without, a_video(4))
    page.goto(service.url)
    for number in (1, 2, 3, 4):
        row(page, f"clip-{number}.mp4").get_by_role("checkbox").check()
    expect(page.get_by_role("link", name="Evidence bundles")).to_have_attribute(
        "href", f"/v1/bundles?id={1:032x}&id={2:032x}"
    )
    page.unroute("**/v1/videos?*")
    serve_list(page, *map(judged, range(1, 103)))
    page.reload()
    boxes = page.get_by_role("list", name="Videos").get_by_role("checkbox")
    expect(boxes).to_have_count(102)
    for box in boxes.all():
        box.check()
    link = page.get_by_role("link", name="Evidence bundles of the first 100")  # as many as one answer holds
    expect(link).to_have_attribute("href", "/v1/bundles?" + "&".join(f"id={n:032x}" for n in range(1, 101)))
    told = {video["id"]: video for video in (judged(1), without)}
    page.route("**/v1/videos/*/report", lambda route: route.fulfill(body="<p>report</p>", content_type="text/html"))
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(told[route.request.url.split("/")[-2]])))
    for video in told.values():
        page.goto(f"{service.url}/#/videos/{video['id']}")
        link = page.get_by_role("link", name="Evidence bundle")
        expect(page.get_by_role("heading", name=video["name"])).to_be_visible()
        expect(link).to_have_count(0 if video is without else 1)


def test_an_upload_that_broke_off_is_tried_again_and_an_empty_file_is_not(
    page: Page, service: Running, tmp_path: Path
) -> None:
    page.expected_complaints = ("net::ERR_FAILED",)  # type: ignore[attr-defined]
    tries: list[Route] = []
    page.route("**/v1/videos?name=*", lambda route: tries.append(route))
    page.goto(service.url)
    files = [tmp_path / name for name in ("empty.mp4", "empty too.mp4", "no bytes.mp4", "broken.mp4")]
    for file in files:
        file.write_bytes(b"x" if file.stem == "broken" else b"")
    page.get_by_label("Choose videos").set_input_files(files)  # as many empty ones as are sent at once
    uploads = page.get_by_role("list", name="Uploads")
    empty = uploads.get_by_role("listitem").filter(has_text="empty.mp4")
    expect(empty).to_contain_text("The file is empty. Choose another file")
    expect(empty).to_contain_text("0 bytes")
    wait_for_in(page, lambda: len(tries) == 1)
    tries[0].abort()
    page.get_by_role("button", name="Try broken.mp4 again").click()
    wait_for_in(page, lambda: len(tries) == 2)
    tries[1].fulfill(status=201, content_type="application/json", body=json.dumps(a_video(1)))
    expect(uploads.get_by_role("listitem")).to_have_count(3)
    accessible(page)


def test_the_rows_of_refused_and_broken_uploads_outlive_a_reload(page: Page, service: Running, tmp_path: Path) -> None:
    page.expected_complaints = ("net::ERR_FAILED", "413")  # type: ignore[attr-defined]
    refusal = {"message": "A video may have up to 1 MB.", "hint": "Cut the video."}
    answers = {"refused.mp4": {"status": 413, "json": refusal}, "broken.mp4": None, "empty.mp4": None}
    given: list[Route] = []

    def answer(route: Route) -> None:
        given.append(route)
        (name,) = parse_qs(route.request.url.partition("?")[2])["name"]
        route.fulfill(**answers[name]) if answers[name] else route.abort()

    page.route("**/v1/videos?name=*", answer)
    page.goto(service.url)
    for name in answers:
        (tmp_path / name).write_bytes(b"" if name == "empty.mp4" else b"x")
    page.get_by_text("Case, examiner, notes").click()
    page.get_by_label("Case", exact=True).fill("24 Js 17/26")
    page.get_by_label("Choose videos").set_input_files([tmp_path / name for name in answers])
    uploads = page.get_by_role("list", name="Uploads").get_by_role("listitem")
    expect(uploads.filter(has_text="broke off")).to_have_count(1)
    page.reload()
    expect(uploads).to_have_count(3)
    expect(uploads.filter(has_text="refused.mp4")).to_contain_text("A video may have up to 1 MB. Cut the video.")
    expect(uploads.filter(has_text="empty.mp4")).to_contain_text("The file is empty.")
    expect(uploads.filter(has_text="broken.mp4")).to_contain_text("The upload broke off.")
    accessible(page)

    # The browser has let go of the file: it is asked for again, and no other is taken.
    for choice, said in (("refused.mp4", "This is another file. Choose broken.mp4 (1 byte)"), ("broken.mp4", "")):
        answers["broken.mp4"] = {"status": 201, "json": a_video(1)}
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Try broken.mp4 again").click()
        chooser.value.set_files(tmp_path / choice)
        if said:
            expect(uploads.filter(has_text="broken.mp4")).to_contain_text(said)
    expect(uploads).to_have_count(2)
    assert parse_qs(given[-1].request.url.partition("?")[2])["case"] == ["24 Js 17/26"]
    for name in ("refused.mp4", "empty.mp4"):
        page.get_by_role("button", name=f"Dismiss {name}").click()
    page.reload()
    expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
    expect(uploads).to_have_count(0)


def test_results_of_the_same_file_stand_side_by_side(page: Page, service: Running) -> None:
    now = judged(2, when="0:01.0 to 0:02.0", moment=[1.0, 2.0], model="lrnet-mesh-v3 2.0")
    before = judged(1, state="no_evidence_of_manipulation", headline="No evidence", probability=0.1, model="old 1.0")
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(now)))
    page.route("**/v1/videos/*/report", lambda route: route.fulfill(body="<p>report</p>", content_type="text/html"))
    serve_list(page, now, before, a_video(3, **FAILED))
    page.goto(f"{service.url}/#/videos/{now['id']}")
    rows = page.get_by_role("region", name="This file was handed in before or since").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(page.get_by_role("row", name="(this one) Likely fake 0:01.0 to 0:02.0 0.97 – lrnet-mesh-v3")).to_be_visible()
    expect(page.get_by_role("row", name="No evidence – 0.10 – old 1.0, abababababab")).to_be_visible()
    expect(rows.nth(3)).to_contain_text("failed")
    expect(rows.nth(2).get_by_role("link")).to_have_attribute("href", f"#/videos/{before['id']}")
    accessible(page)


def test_a_video_is_cancelled_and_examined_again_from_its_page(page: Page, service: Running) -> None:
    page.expected_complaints = ("409",)  # type: ignore[attr-defined]
    told = {1: a_video(1), 2: a_video(2)}
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        if len(asked) == 1:
            told[1] = a_video(1, state="cancelled", revision=2)
            route.fulfill(json=told[1])
        elif len(asked) == 2:
            route.fulfill(status=409, json={"message": "The video is not finished.", "hint": "Wait for its result."})
        else:
            route.fulfill(status=201, json=told[2])

    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(told[int(route.request.url[-8])])))
    for step in ("cancel", "again"):
        page.route(f"**/v1/videos/*/{step}", answer)
    page.goto(f"{service.url}/#/videos/{told[1]['id']}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The examination was cancelled.")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Examine again").click()
    expect(page.get_by_text("The video is not finished. Wait for its result.")).to_be_visible()
    page.get_by_role("button", name="Examine again").click()
    expect(page.get_by_role("heading", name="clip-2.mp4")).to_be_visible()
    assert asked == ["cancel", "again", "again"]


def test_the_list_says_at_once_that_the_service_is_away(page: Page, service: Running) -> None:
    page.expected_complaints = ("net::ERR_FAILED",)  # type: ignore[attr-defined]
    streams = [{"content_type": "text/event-stream", "body": "retry: 100\n\n: watching\n\n"}]
    page.route("**/v1/events", lambda route: route.fulfill(**streams.pop()) if streams else route.abort())
    page.goto(service.url)
    expect(page.get_by_text("The service does not answer.")).to_be_visible(timeout=3000)


def test_names_of_verdicts_are_asked_for_again_where_the_service_did_not_answer_at_first(
    page: Page, service: Running
) -> None:
    page.expected_complaints = ("Failed to load resource",)  # type: ignore[attr-defined]
    tries: list[Route] = []

    def about(route: Route) -> None:
        tries.append(route)
        route.abort() if len(tries) < 3 else route.continue_()

    page.route("**/v1/about", about)
    serve_list(page, judged(1))
    page.goto(service.url)
    expect(page.locator("option", has_text="Likely fake")).to_have_count(1)
    expect(page.locator("#about")).to_contain_text("model lrnet-2")


def test_a_file_dropped_on_a_video_s_page_is_taken(page: Page, service: Running) -> None:
    video = a_video(1, **FAILED)
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    held: list[Route] = []
    page.route("**/v1/videos?name=*", lambda route: held.append(route))
    page.goto(f"{service.url}/#/videos/{video['id']}")
    expect(page.get_by_role("heading", name="Not examined")).to_be_visible()
    page.evaluate(
        "() => { const files = new DataTransfer(); files.items.add(new File(['x'], 'dropped.mp4'));"
        "document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true })) }"
    )
    wait_for_in(page, lambda: len(held) == 1)
    expect(page.get_by_role("list", name="Uploads")).to_contain_text("dropped.mp4")
    held[0].fulfill(status=201, content_type="application/json", body=json.dumps(a_video(2)))


def test_the_page_of_a_video_says_at_once_that_the_service_is_away(page: Page, service: Running) -> None:
    page.expected_complaints = ("net::ERR_FAILED",)  # type: ignore[attr-defined]
    video = a_video(1, state="running", attempts=2)
    answers = [stream(video, again=100)]
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**answers.pop()) if answers else route.abort())
    page.goto(f"{service.url}/#/videos/{video['id']}")
    expect(page.get_by_text("The service does not answer.")).to_be_visible(timeout=3000)
    expect(page.get_by_text("begins again at the start of the video")).to_be_visible()
    answers.append(stream(a_video(1, revision=2, **FAILED)))
    expect(page.get_by_role("heading", name="Not examined")).to_be_visible()
    expect(page.get_by_text("The service does not answer.")).to_be_hidden()


def test_a_verdict_without_its_report_says_what_is_missing(page: Page, service: Running) -> None:
    video = judged(1, extras_failed={"report.html": "No space left.", "overlay.mp4": "No space left."})
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    page.goto(f"{service.url}/#/videos/{video['id']}")
    expect(page.get_by_text("The verdict stands")).to_contain_text("report.html: No space left.")
    expect(page.get_by_text("There is no report.")).to_be_visible()
    accessible(page)


def test_the_page_of_the_api_loads_nothing_from_elsewhere(page: Page, service: Running) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{service.url}/api")
    expect(page.get_by_role("heading", name="POST /v1/videos", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Verdict", exact=True)).to_be_visible()
    assert all(url.startswith(service.url) for url in asked)
    accessible(page)


def test_more_of_an_earlier_search_does_not_get_into_a_later_one(page: Page, service: Running) -> None:
    held: list[Route] = []

    def answer(route: Route) -> None:
        if "before=" in route.request.url:
            held.append(route)
        elif "q=late" in route.request.url:
            route.fulfill(body=a_page(a_video(3)), content_type="application/json")
        else:
            route.fulfill(body=a_page(a_video(1), total=2, before=1), content_type="application/json")

    page.route("**/v1/videos?*", answer)
    page.goto(service.url)
    page.get_by_role("button", name="Show more").click()
    page.get_by_role("searchbox", name="Search").fill("late")
    expect(row(page, "clip-3.mp4")).to_be_visible()
    assert len(held) == 1
    with page.expect_response("**/v1/videos?*before=*"):
        held[0].fulfill(body=a_page(a_video(2), total=2), content_type="application/json")
    page.wait_for_timeout(200)
    expect(page.get_by_role("list", name="Videos").get_by_role("listitem")).to_have_count(1)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()


def test_a_list_that_could_not_be_read_is_not_called_empty_and_is_read_again(page: Page, service: Running) -> None:
    page.expected_complaints = ("503",)  # type: ignore[attr-defined]
    answer: dict[str, Any] = {"status": 503, "body": json.dumps({"message": "No database."})}
    page.route("**/v1/videos?*", lambda route: route.fulfill(content_type="application/json", **answer))
    page.clock.install()
    page.goto(service.url)
    expect(page.get_by_text("No database.")).to_be_visible()
    expect(page.get_by_text("No videos yet.")).to_be_hidden()
    answer |= {"status": 200, "body": a_page(a_video(1))}
    page.clock.fast_forward(10_000)
    expect(row(page, "clip-1.mp4")).to_be_visible()
    expect(page.get_by_text("No database.")).to_be_hidden()


def test_an_answer_that_comes_after_its_view_was_left_changes_nothing(page: Page, service: Running) -> None:
    page.expected_complaints = ("404",)  # type: ignore[attr-defined]
    held: list[Route] = []
    gone = f"{service.url}/v1/videos/{'0' * 32}"
    page.route(gone, lambda route: held.append(route))
    page.goto(service.url)
    expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
    page.evaluate(f"location.hash = '#/videos/{'0' * 32}'")
    wait_for_in(page, lambda: bool(held))
    page.get_by_role("link", name="lrnet").click()
    with page.expect_response(gone):
        held[0].fulfill(status=404, content_type="application/json", body=json.dumps({"message": "gone"}))
    page.wait_for_timeout(200)
    expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
    expect(page.get_by_text("There is no such video.")).to_be_hidden()


def wait_for_in(page: Page, ready: Any) -> None:
    """Wait without keeping the page from working."""
    for _ in range(600):  # half a minute
        if ready():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came")


def test_a_video_that_is_deleted_while_the_stream_is_broken_is_told_of(page: Page, service: Running) -> None:
    page.expected_complaints = ("404",)  # type: ignore[attr-defined]
    video = a_video(1)
    answers = [stream(video)]
    missing = {"status": 404, "content_type": "application/json", "body": json.dumps({"message": "gone"})}
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**(answers.pop() if answers else missing)))
    page.goto(f"{service.url}/#/videos/{video['id']}")
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    expect(page.get_by_text("There is no such video.")).to_be_visible()


def test_the_focus_stays_when_a_video_changes_its_state(page: Page, service: Running) -> None:
    video = a_video(1)
    held: list[Route] = []
    answers = [stream(video)]
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**answers.pop()) if answers else held.append(route))
    page.goto(f"{service.url}/#/videos/{video['id']}")
    button = page.get_by_role("button", name="Delete")
    button.focus()
    wait_for_in(page, lambda: bool(held))
    held[0].fulfill(**stream(a_video(1, revision=2, **FAILED)))
    expect(page.get_by_role("heading", name="Not examined")).to_be_visible()
    expect(button).to_be_focused()


def test_a_list_that_loads_does_not_call_back_who_has_just_followed_a_link(page: Page, service: Running) -> None:
    """The stream opens, and the list is loaded again, after the address has changed and before the page hears of it."""
    video = a_video(1, **FAILED)
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    page.goto(service.url)
    expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
    follow = f"""() => {{
        location.hash = '#/videos/{video["id"]}';
        document.querySelector('select').dispatchEvent(new Event('change', {{ bubbles: true }}));
    }}"""
    page.evaluate(follow)
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_visible()
    assert page.url.endswith(video["id"])


def test_going_back_takes_the_question_along(page: Page, service: Running) -> None:
    video = a_video(1, **FAILED)
    page.route("**/v1/videos/*/events", lambda route: route.fulfill(**stream(video)))
    page.goto(service.url)
    page.evaluate(f"location.hash = '#/videos/{video['id']}'")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_one_upload_of_several_is_not_shown_and_a_stopped_one_leaves_the_focus_near(
    page: Page, service: Running, tmp_path: Path
) -> None:
    held: list[Route] = []
    page.route("**/v1/videos?name=*", lambda route: held.append(route))
    page.goto(service.url)
    choose = page.get_by_label("Choose videos")
    for name in ("first.mp4", "second.mp4"):
        (tmp_path / name).write_bytes(b"x")
        choose.set_input_files(tmp_path / name)
    wait_for_in(page, lambda: len(held) == 2)
    held[0].fulfill(status=201, content_type="application/json", body=json.dumps(a_video(1)))
    uploads = page.get_by_role("list", name="Uploads").get_by_role("listitem")
    expect(uploads).to_have_count(1)
    expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
    page.get_by_role("button", name="Stop the upload of second.mp4").focus()
    page.keyboard.press("Enter")
    expect(uploads).to_have_count(0)
    expect(choose).to_be_focused()


def test_the_page_outlives_a_service_that_is_killed(browser: Browser, service: Running, fake: Path) -> None:
    def newest() -> dict[str, Any]:
        found: dict[str, Any] = service.client.get("/v1/videos").json()["items"][0]
        return found

    before = service.metric("lrnet_judged_total")
    page = browser.new_page()
    page.set_default_timeout(LONG)
    page.goto(service.url)
    page.get_by_label("Choose videos").set_input_files(fake)
    expect(page).to_have_url(re.compile("#/videos/"), timeout=LONG)
    wait_for(lambda: newest()["state"] == "running", 30)
    service.kill_everything()
    service.start(service.port)
    report = page.frame_locator("iframe.report")
    expect(report.get_by_role("heading", level=1)).to_be_visible(timeout=LONG)
    video = newest()
    assert (video["state"], video["attempts"]) == ("done", 2)
    assert service.metric("lrnet_judged_total") == before + 1
    assert len(list((service.data / "results" / video["id"]).iterdir())) == 1
    page.close()


def test_a_token_opens_the_page_and_signing_out_closes_it(page: Page, tmp_path: Path) -> None:
    with running(tmp_path / "data", "--workers", "0", LRNET_TOKEN=TOKEN) as service:
        page.goto(service.url)
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        accessible(page)
        page.get_by_label("Token").fill("nonsense")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        accessible(page)
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Drop videos here")).to_be_visible()
        expect(page.get_by_text("No worker is running.")).to_be_visible()
        accessible(page)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        page.close()  # before the service ends: it would complain of a request that the end cuts off


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(browser: Browser, service: Running, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    context.set_default_timeout(LONG)
    page = context.new_page()
    service.client.post("/v1/videos", params={"name": "a-name-without-any-place-to-break-it-" * 4}, content=b"x")
    page.goto(service.url)
    expect(page.get_by_role("list", name="Videos").get_by_role("listitem").first).to_be_visible()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("list", name="Videos").get_by_role("link").first.click()
    expect(page.get_by_role("link", name="All videos")).to_be_visible()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()
