"""Pictures for the documentation, light and dark, wide and phone: of a report, and of a running service.

usage: screenshots.py report REPORT.html [--out docs/images]
       screenshots.py service http://127.0.0.1:8765 [--out docs/images]
       screenshots.py watch http://127.0.0.1:8765 [--people 1] [--out docs/images]

The service's list is shown as it is, and the newest video in it; judge something first. Needs Chromium and
the extra `dev`. `watch` lets the service watch a call of two examples, or of the fake one alone, and prints by how much
the page was behind. Reports are cut off after two or three screens, so that the pictures stay small.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import av
import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

SCHEMES = ("light", "dark")
REPORTS = {"wide": (1280, 900, 2050), "phone": (390, 844, 2600)}  # pixels: width and height of the window, height kept
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
WATCHED = 20  # seconds
PAGES = {"list": (1280, 860, "#/"), "report": (1280, 860, "#/videos/{newest}"), "phone": (390, 844, "#/")}


@contextmanager
def page_of(browser: Browser, width: int, height: int, scheme: str, *, offline: bool) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        offline=offline,
    )
    page = context.new_page()
    page.set_default_timeout(300_000)
    yield page
    context.close()


def of_report(browser: Browser, report: Path, out: Path) -> None:
    for name, (width, height, kept) in REPORTS.items():
        for scheme in SCHEMES:
            with page_of(browser, width, height, scheme, offline=True) as page:
                page.goto(report.resolve().as_uri())
                page.wait_for_timeout(3000)  # until the players have loaded their clips
                page.screenshot(
                    path=out / f"report-{name}-{scheme}.jpg",
                    full_page=True,
                    type="jpeg",
                    quality=72,
                    clip={"x": 0, "y": 0, "width": width, "height": kept},
                )


def of_service(browser: Browser, address: str, out: Path) -> None:
    with urlopen(f"{address}/v1/videos?limit=1") as answer:
        newest = json.load(answer)["items"][0]["id"]
    for name, (width, height, where) in PAGES.items():
        for scheme in SCHEMES:
            with page_of(browser, width, height, scheme, offline=False) as page:
                page.goto(f"{address}/{where.format(newest=newest)}")
                page.wait_for_timeout(3000)  # a report in its frame, fonts and events
                page.screenshot(path=out / f"service-{name}-{scheme}.jpg", type="jpeg", quality=60)


def call_film(path: Path, people: int = 2, width: int = 340, height: int = 360, frames: int = 240) -> list[str]:
    """Write a call of two people, the real example on the left and the coarse fake on the right, or of the fake alone.

    Args:
        width, height: of each person's part, pixels.

    Returns:
        The options with which Chromium plays it as its camera.
    """

    def faces(name: str) -> Iterator[Any]:
        with av.open(str(EXAMPLES / name)) as video:
            for frame in islice(video.decode(video=0), frames):
                face = frame.to_ndarray(format="rgb24")[:, 270:610]
                yield cv2.resize(face, (width, height), interpolation=cv2.INTER_AREA)

    with path.open("wb") as out:
        out.write(f"YUV4MPEG2 W{people * width} H{height} F24:1 Ip A1:1 C420jpeg\n".encode())
        for parts in zip(*map(faces, ("real.mp4", "coarse-fake.mp4")[-people:]), strict=False):
            frame = av.VideoFrame.from_ndarray(np.hstack(parts), format="rgb24").reformat(format="yuv420p")
            out.write(b"FRAME\n" + frame.to_ndarray().tobytes())
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    return [*fake, f"--use-file-for-fake-video-capture={path}"]


NOTE_EVENTS = """
globalThis.seen = [];
const parse = JSON.parse, start = MediaRecorder.prototype.start;
let began = 0;
JSON.parse = (text) => {
  const event = parse(text);
  if (event?.event) seen.push([(performance.now() - began) / 1000, event]);
  return event;
};
MediaRecorder.prototype.start = function (slice) {
  began = performance.now();
  return start.call(this, slice);
};
"""
"""Script for a page that watches: `seen` gets each event, with the seconds of recording until it came."""


def verdicts_seen(page: Page) -> list[tuple[float, dict[str, Any]]]:
    """The running verdicts that a page with `NOTE_EVENTS` got, each with its seconds."""
    return [(at, event) for at, event in page.evaluate("seen") if event["event"] == "verdict"]


def lag_of(page: Page) -> str:
    """How much later than the frame that it is about each running verdict came."""
    lags = [at - event["time"] for at, event in verdicts_seen(page)]
    left_out = verdicts_seen(page)[-1][1]["seconds_left_out"]
    return (
        f"{len(lags)} verdicts, behind by {median(lags):.1f} s in the median, {max(lags):.1f} s at most, "
        f"{lags[-1]:.1f} s at the last; {left_out:.1f} s left out"
    )


def of_watch(browser: Browser, address: str, out: Path) -> None:
    for scheme in SCHEMES:
        with page_of(browser, 1280, 900, scheme, offline=False) as page:
            page.add_init_script(NOTE_EVENTS)
            page.goto(f"{address}/#/watch")
            page.get_by_role("button", name="Use the camera").click()
            page.locator(".people li").first.wait_for()
            page.wait_for_timeout(1000 * WATCHED)
            page.screenshot(path=out / f"live-watch-{scheme}.jpg", type="jpeg", quality=72)
            print(f"{scheme}: {lag_of(page)}")
            page.get_by_role("button", name="Stop").click()
            page.get_by_role("heading", name="The watch is over").wait_for()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("report", "service", "watch"))
    parser.add_argument("where", help="a report's file, or a service's address")
    parser.add_argument("--people", type=int, choices=(1, 2), default=2, help="in the call")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        camera = call_film(Path(folder) / "call.y4m", args.people) if args.what == "watch" else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", *camera])
        if args.what == "report":
            of_report(browser, Path(args.where), args.out)
        else:
            of = of_watch if args.what == "watch" else of_service
            of(browser, args.where.rstrip("/"), args.out)
        browser.close()


if __name__ == "__main__":
    main()
