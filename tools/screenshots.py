"""Pictures for the documentation, light and dark, wide and phone: of a report, and of a running service.

usage: screenshots.py report REPORT.html [--out docs/images]
       screenshots.py service http://127.0.0.1:8765 [--out docs/images]

The service's list is shown as it is, and the newest video in it; judge something first. Needs Chromium and
the extra `dev`. Reports are cut off after two or three screens, so that the pictures stay small.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

SCHEMES = ("light", "dark")
REPORTS = {"wide": (1280, 900, 2050), "phone": (390, 844, 2600)}  # pixels: width and height of the window, height kept
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("report", "service"))
    parser.add_argument("where", help="a report's file, or a service's address")
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        if args.what == "report":
            of_report(browser, Path(args.where), args.out)
        else:
            of_service(browser, args.where.rstrip("/"), args.out)
        browser.close()


if __name__ == "__main__":
    main()
