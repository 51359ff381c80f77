"""Pictures of a report for the documentation: wide and phone, light and dark.

usage: report_screenshots.py REPORT.html [--out docs/images]

Needs Chromium and the extra `dev`. Pages are cut off after two or three screens, so that the pictures stay small.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

LOOKS = {"wide": (1280, 900, 2050), "phone": (390, 844, 2600)}  # pixels: width and height of the window, height kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height, kept) in LOOKS.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                    offline=True,
                )
                page = context.new_page()
                page.set_default_timeout(300_000)
                page.goto(args.report.resolve().as_uri())
                page.screenshot(
                    path=args.out / f"report-{name}-{scheme}.jpg",
                    full_page=True,
                    type="jpeg",
                    quality=72,
                    clip={"x": 0, "y": 0, "width": width, "height": kept},
                )
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
