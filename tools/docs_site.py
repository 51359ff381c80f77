"""Pages of the documentation site that are made from something else when it is built (a hook of MkDocs).

    index.md             README.md, its links turned to the site's pages
    commands/*.md        the commands, from the command line itself
    model-card.md        the card of the model that ships
    decisions/index.md   the list of decisions

So none of them can go stale. Entries of the navigation with a star are filled in here too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command

from lrnet.cli.app import EXIT_CODES, app
from lrnet.network.registry import DEFAULT_MODEL, load_model

ROOT: Final = Path(__file__).resolve().parents[1]
LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
CARD: Final = f"src/lrnet/network/models/{DEFAULT_MODEL}/MODEL_CARD.md"
PAGES_OF: Final = {"docs/decisions": "decisions/index.md", CARD: "model-card.md"}
"""What the repository has, and the pages of the site that stand for it."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the stars of the navigation in; what it does not name comes last."""
    docs = Path(config.docs_dir)
    written = sorted(p.relative_to(docs).as_posix() for p in docs.rglob("*.md"))
    pages = [*_pages(), *written]
    nav = _filled(config.nav or [], pages)
    named = set(_named(nav))
    others = [page for page in pages if page not in named]
    config.nav = [*nav, {"More": others}] if others else nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    for place, content in _pages().items():
        files.append(File.generated(config, place, content=content()))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that hold in the repository to ones that hold on the site."""
    place = Path(page.file.src_uri)
    made = page.file.src_uri in _pages()
    return with_links_of_site(markdown, Path() if made else "docs" / place.parent, place.parent)


def with_links_of_site(markdown: str, folder: Path, page: Path) -> str:
    """What is on the site is linked there; what is not is named as a file of the repository.

    Args:
        folder: that relative links start from, in the repository.
        page: folder of the page, on the site.
    """

    def turned(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        place = os.path.normpath(folder / target)
        if place in PAGES_OF:
            place = f"docs/{PAGES_OF[place]}"
        elif not place.startswith("docs/"):
            return f"{text} (`{place}`)"
        return f"[{text}]({os.path.relpath(place.removeprefix('docs/'), page)}{anchor})"

    return LINK.sub(turned, markdown)


def _filled(nav: Any, pages: list[str]) -> Any:
    """The navigation with each star replaced by the pages that fit, in their order."""
    if isinstance(nav, dict):
        return {title: _filled(inside, pages) for title, inside in nav.items()}
    if not isinstance(nav, list):
        return nav
    filled: list[Any] = []
    for entry in nav:
        if isinstance(entry, str) and "*" in entry:
            filled += [page for page in pages if fnmatch(page, entry)]
        else:
            filled.append(_filled(entry, pages))
    return filled


def _named(nav: Any) -> Iterator[str]:
    """Every page that a navigation names."""
    if isinstance(nav, str):
        yield nav
    for inside in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from _named(inside)


def _pages() -> dict[str, Callable[[], str]]:
    commands = {f"commands/{name}.md": _command_page(name) for name in get_command(app).commands}  # type: ignore[attr-defined]
    return {"index.md": start, "model-card.md": model_card, "decisions/index.md": decisions, **commands}


def start() -> str:
    """README.md; `on_page_markdown` turns its links."""
    return (ROOT / "README.md").read_text(encoding="utf-8")


def model_card() -> str:
    """The card that the default model carries."""
    bundle = load_model(DEFAULT_MODEL)
    note = f"*The card of the model that ships, hash `{bundle.content_hash[:16]}`. `lrnet models info` prints it.*"
    title, _, rest = (bundle.card or f"# {bundle.spec.name}\n").partition("\n")
    return f"# Model card: {title.lstrip('# ')}\n\n{note}\n{rest}"


def decisions() -> str:
    """Every decision, by number."""
    lines = []
    for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}](docs/decisions/{path.name})")
    return "# Decisions\n\nChoices that were not obvious, and why they were made.\n\n" + "\n".join(lines) + "\n"


def _command_page(name: str) -> Callable[[], str]:
    return lambda: command_page(name)


def command_page(name: str) -> str:
    """What the command line says of a command, and of those below it."""
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    parts = [f"# lrnet {name}", *_described(command, f"lrnet {name}")]
    for inner, below in getattr(command, "commands", {}).items():
        parts += [f"## lrnet {name} {inner}", *_described(below, f"lrnet {name} {inner}")]
    return "\n\n".join([*parts, f"*{' '.join(EXIT_CODES.split())}*"]) + "\n"


def _described(command: Any, name: str) -> Iterator[str]:
    """Usage, text, arguments and options in Markdown."""
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    yield "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    yield f"```text\n{name} {usage}\n```"
    shown = [p.get_help_record(context) for p in command.params if "--help" not in p.opts]
    shown = [record for record in shown if record]
    if shown:
        rows = [f"| `{_cell(left)}` | {_cell(_plain(right))} |" for left, right in shown]
        yield "\n".join(["| argument or option | what |", "|---|---|", *rows])


def _plain(text: str) -> str:
    """Angle brackets would be taken for HTML."""
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
