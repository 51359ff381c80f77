"""The documentation as a site: it builds strictly, has every command, asks nobody else for anything; its code runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.main import get_command

from lrnet.cli.app import app
from lrnet.network.registry import DEFAULT_MODEL, load_model

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    pytest.importorskip("material", reason="the extra `docs` is not installed")
    pytest.importorskip("mkdocstrings", reason="the extra `docs` is not installed")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out


class Page(HTMLParser):
    """What a page says, and what its reader's browser fetches."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("img", "script", "iframe", "video", "source") and given.get("src"):
            self.fetched.append(given["src"] or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "preconnect", "preload", "icon", "prefetch"):
            self.fetched.append(given.get("href") or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def commands() -> dict[str, list[str]]:
    """Every command with its options, from the command line itself."""
    found = {}
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for words, inner in {name: command, **getattr(command, "commands", {})}.items():
            title = f"lrnet {name}" if inner is command else f"lrnet {name} {words}"
            found[title] = [o for p in inner.params for o in p.opts if o.startswith("--") and o != "--help"]
    return found


def test_every_command_has_a_page_with_its_options(site: Path) -> None:
    there = commands()
    assert {"lrnet detect", "lrnet benchmark speed", "lrnet perturb"} <= set(there)
    for title, options in there.items():
        text = Page(site / "commands" / f"{title.split()[1]}.html").text
        assert title in text
        for option in options:
            assert option in text, (title, option)


def test_start_and_model_card_are_those_of_the_repository(site: Path) -> None:
    start = Page(site / "index.html").text
    assert "What the verdict means" in start
    bundle = load_model(DEFAULT_MODEL)
    card = Page(site / "model-card.html").text
    assert bundle.content_hash[:16] in card
    headings = re.findall(r"^## (.+)$", bundle.card, re.MULTILINE)
    assert headings
    assert all(heading in card for heading in headings)
    assert 'href="model-card.html"' in (site / "method.html").read_text(encoding="utf-8")


def test_docstrings_are_on_the_python_pages(site: Path) -> None:
    text = Page(site / "api" / "detection.html").text
    assert "Judges videos with one model" in text
    assert "keep_sequences" in text


def test_pages_that_the_navigation_does_not_name_come_last() -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    from mkdocs.config import load_config
    from tools import docs_site

    config = load_config(str(ROOT / "mkdocs.yml"))
    config.nav = [{"Start": "index.md"}, {"Design": ["decisions/*.md"]}, {"Results": ["results-of-nothing/*.md"]}]
    nav = docs_site.on_config(config).nav
    assert nav is not None
    assert nav[0] == {"Start": "index.md"}
    assert nav[1]["Design"][:2] == ["decisions/index.md", "decisions/0001-planes-not-rgb.md"]
    assert nav[2] == {"Results": []}
    assert {"method.md", "commands/detect.md", "api/errors.md"} <= set(nav[3]["More"])
    assert "index.md" not in nav[3]["More"]


def test_every_decision_is_listed(site: Path) -> None:
    text = Page(site / "decisions" / "index.html").text
    for path in (DOCS / "decisions").glob("[0-9]*.md"):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ").replace("`", "")
        assert title in text


def test_a_reader_s_browser_asks_nobody_else(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        outside = [place for place in Page(page).fetched if place.startswith(("http:", "https:", "//"))]
        assert not outside, (page, outside)
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", style.read_text(encoding="utf-8")), style


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's, or name one in the variable CHROMIUM")
def test_a_real_browser_finds_the_search_and_asks_nobody_else(site: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}/"
    asked: list[str] = []
    try:
        with sync.sync_playwright() as started:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"{home}method.html")
            page.fill("input.md-search__input", "forward-backward")
            page.wait_for_selector(".md-search-result__item", timeout=90_000)
            page.goto(f"{home}commands/detect.html")
            browser.close()
    finally:
        server.shutdown()
    assert len(asked) > 5
    assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_every_figure_of_the_method_is_there_and_shown() -> None:
    text = (DOCS / "method.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]+\]\((images/method/[^)]+)\)", text)
    assert len(shown) == 5
    assert {DOCS / place for place in shown} == set((DOCS / "images" / "method").iterdir())


@pytest.mark.parametrize(
    "page", sorted({*ROOT.glob("*.md"), *DOCS.rglob("*.md")}), ids=lambda p: str(p.relative_to(ROOT))
)
def test_relative_links_hold_on_a_code_host(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        assert (page.parent / target).exists(), target


def test_the_code_on_extending_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    blocks = CODE.findall((DOCS / "extending.md").read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    names: dict[str, object] = {"__name__": "extending"}
    for block in blocks:
        exec(compile(block, "docs/extending.md", "exec"), names)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("40 frames, median forward-backward error ")
    assert told[1].startswith("(40, 2) largest opening 0.")
    assert told[2:5] == ["anna/fake-1.mp4 fake anna", "anna/real-1.mp4 real anna", "ben/fake-1.mp4 fake ben"]
    assert "notes.mp4" in told[5]
