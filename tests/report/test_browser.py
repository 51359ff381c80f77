"""The page in a real browser, opened from disk with the network off. Skipped where there is no Chromium."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lrnet.detector import Detector
from lrnet.report import footage
from lrnet.report.html import render, write_html
from tests.report.samples import FAKE_FACE, REAL_FACE, a_bundle, a_result, a_video_result
from tests.service.kit import short_clip
from tests.video.test_sound import write_with_tones

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python (extra dev)")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: install Debian's chromium, or name one in the variable CHROMIUM"
)
QUIET = (
    "--no-sandbox",  # for root, as in containers
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="module")
def report(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    detector, folder = Detector(), tmp_path_factory.mktemp("page")
    video = short_clip(examples / "fake.mp4", folder, 100)
    write_html(detector.detect(video, keep_sequences=True), detector.bundle, folder / "fake.html")
    return folder / "fake.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def said() -> list[str]:
    """What the page wrote to its console, and every request that it made."""
    return []


@pytest.fixture
def page(browser: Any, report: Path, said: list[str], request: pytest.FixtureRequest) -> Iterator[Any]:
    context = browser.new_context(offline=True, **getattr(request, "param", {}))
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    opened.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    opened.on("pageerror", lambda error: said.append(f"error: {error}"))
    opened.on("request", lambda asked: said.append(f"request: {asked.url[:60]}") if asked.url[:4] == "http" else None)
    opened.goto(report.as_uri())
    until(opened, "document.getElementById('clip').readyState >= 1")
    yield opened
    context.close()


def until(page: Any, expression: str) -> None:
    """Wait for a condition. (The page's policy forbids the `eval` with which playwright waits for one.)"""
    for _ in range(200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never true: {expression}")


def position(page: Any) -> float:
    """Seconds that the clip stands at, when it has got there."""
    until(page, "!document.getElementById('clip').seeking")
    return float(page.evaluate("document.getElementById('clip').currentTime"))


def test_a_click_on_the_timeline_seeks_the_video(page: Any, said: list[str]) -> None:
    end = float(page.get_attribute(".track", "data-end"))
    box = page.locator(".track .plot").bounding_box()
    for share in (0.75, 0.25):
        page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
        assert position(page) == pytest.approx(share * end, abs=0.1)
    until(page, "document.querySelector('.plot .playhead').classList.contains('shown')")
    at = page.get_attribute(".plot .playhead", "x1")
    assert float(at.rstrip("%")) == pytest.approx(25, abs=1)
    assert said == []


def test_the_keyboard_walks_over_clips_and_seeks(page: Any, said: list[str]) -> None:
    times = [float(t) for t in page.eval_on_selector_all(".plot [data-time]", "all => all.map(e => e.dataset.time)")]
    assert len(times) > 2
    page.focus(".plot [tabindex='0']")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert position(page) == pytest.approx(times[2], abs=0.05)
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    assert position(page) == pytest.approx(times[0], abs=0.05)
    link = page.locator("h4 a[href^='#t=']")
    link.click()
    until(page, f"Math.abs(document.getElementById('clip').currentTime - {link.get_attribute('href')[3:]}) < 0.05")
    assert said == []


def test_buttons_step_by_a_frame_and_a_link_leads_to_a_moment(page: Any, said: list[str]) -> None:
    page.evaluate("location.hash = '#t=3'")
    until(page, "Math.abs(document.getElementById('clip').currentTime - 3) < 0.05")
    page.click("button[data-step='1']")
    until(page, "Math.abs(document.getElementById('clip').currentTime - 3 - 1 / 25) < 0.02")
    assert said == []


def test_a_clip_has_sound_and_a_moment_outside_of_it_leads_somewhere(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footage, "CLIP_SECONDS", 1.5)
    monkeypatch.setattr(footage, "PIECES", 3)
    result = replace(a_video_result(tmp_path), path=str(write_with_tones(tmp_path / "tones.mp4", 3)))
    write_html(result, a_bundle(), tmp_path / "long.html", explanations=())
    (tmp_path / "frame.html").write_text(
        "<!doctype html><script>told = []; onmessage = (e) => told.push(e.data)</script>"
        "<iframe src='long.html'></iframe>"
    )
    page = browser.new_page(offline=True)
    page.goto((tmp_path / "long.html").as_uri())
    until(page, "document.getElementById('clip').readyState >= 1")
    assert "with its sound" in page.get_attribute("#clip", "aria-label")
    page.evaluate("document.getElementById('clip').play()")
    until(page, "document.getElementById('clip').webkitAudioDecodedByteCount > 0")
    # By itself the report shows the nearest moment, and says which.
    page.locator(".track .plot").first.click(position={"x": 2, "y": 20})
    note = page.locator("#clip-note")
    assert "is not in this clip; this is 0:00.2" in note.inner_text()
    assert page.locator("#clip-note button").count() == 0
    # Inside the service's page, that is asked for the whole video.
    page.goto((tmp_path / "frame.html").as_uri())
    inside = page.frame_locator("iframe")
    inside.locator(".track.live .plot").first.click(position={"x": 2, "y": 20})
    inside.get_by_role("button", name="in the whole video").click()
    until(page, "told.some((word) => word.whole >= 0 && word.whole < 0.1)")
    page.close()


def test_buttons_lead_from_one_suspicious_stretch_to_the_next(browser: Any, tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    (face,) = result.faces
    times = ((0.6, 1.0, 0.96), (1.0, 1.8, 0.15), (1.8, 2.4, 0.97))
    clips = tuple(replace(face.clips[0], start=a, stop=b, score=score) for a, b, score in times)
    result = replace(result, faces=(replace(face, clips=clips),))
    write_html(result, a_bundle(), tmp_path / "fake.html", explanations=())
    page = browser.new_page(offline=True)
    page.goto((tmp_path / "fake.html").as_uri())
    until(page, "document.getElementById('clip').readyState >= 1")
    for button, time in (("▶", 0.6), ("▶", 1.8), ("▶", 1.8), ("◀", 0.6)):
        page.get_by_role("button", name="Suspicious").filter(has_text=button).click()
        until(page, f"Math.abs(document.getElementById('clip').currentTime - {time}) < 0.05")
    page.get_by_role("button", name="◀ Suspicious").click()
    assert "No suspicious stretch before 0:00.6" in page.locator("#clip-note").inner_text()
    page.close()


def test_five_people_fill_few_sheets_and_the_first_sums_up(browser: Any, tmp_path: Path) -> None:
    others = [replace(REAL_FACE, face=number) for number in range(1, 5)]
    (tmp_path / "five.html").write_text(render(a_result([FAKE_FACE, *others]), a_bundle()), encoding="utf-8")
    page = browser.new_page(offline=True, viewport={"width": 680, "height": 1000})  # of an A4 sheet within its margins
    page.goto((tmp_path / "five.html").as_uri())
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) < 7
    page.emulate_media(media="print")
    assert page.evaluate("document.getElementById('summary').getBoundingClientRect().bottom") < 960
    page.close()


LOOKS = [
    {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    for width, height in ((1280, 900), (390, 844))
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=["wide light", "wide dark", "phone light", "phone dark"])
def test_no_accessibility_fault_and_nothing_wider_than_the_screen(page: Any, said: list[str]) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(e => { e.open = true; })")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [(v["id"], n["html"][:120]) for v in found for n in v["nodes"]] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [line for line in said if not line.startswith("log:")] == []


def test_printed_pages_hold_what_is_folded_away(page: Any) -> None:
    printed = page.pdf(format="A4")
    # One face: what somebody takes along is a few sheets, and the model's long table of results stays folded.
    assert 2 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 6
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.getElementById('clip')).display") == "none"
    assert page.evaluate("getComputedStyle(document.querySelector('.still')).display") == "block"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.querySelectorAll('details.print:not([open])').length") == 0
    assert not page.locator(".results").is_visible()


@pytest.mark.parametrize("page", LOOKS[2:], indirect=True, ids=["light", "dark"])
def test_a_phone_shows_comparisons_and_results_without_a_cut(page: Any) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(e => { e.open = true; })")
    wide = "all => all.filter(e => e.scrollWidth > e.clientWidth).length"
    assert page.locator(".wide:has(.results), .wide:has(.compare)").count() > 2
    assert page.eval_on_selector_all(".wide:has(.results), .wide:has(.compare)", wide) == 0
    for help in page.locator(".compare th .note").all():  # not squeezed into the column that it has on paper
        assert help.bounding_box()["width"] > 250
