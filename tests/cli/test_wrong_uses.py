"""Wrong uses and odd names: one line with the next step, and nothing that is read as markup."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from lrnet.cli.app import app
from lrnet.cli.console import Terminal
from lrnet.cli.detect import _progress
from lrnet.errors import LrnetError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["calibrate", "loop", "loop.csv", "-o", "out.csv"], "no file"),
        (["models", "import", "g1.pth", "g2.pth", "--name", "x", "--out", "file/model"], "cannot be made"),
        (["perturb", "loop", "--kind", "sharpen", "--out", "out.mp4"], "blur, jpeg, video-compression"),
        (["datasets", "list", "--manifest", "out.csv"], "without PATH"),
        (["perturb", "loop", "--kind", "sharpen", "--out", "out.mp4"], "c23, c40, hevc, social"),
    ],
)
def test_an_error_that_says_what_to_do(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, arguments)
    assert isinstance(run.exception, LrnetError)
    assert says in str(run.exception)


def test_names_of_folders_are_shown_as_they_are(tmp_path: Path) -> None:
    for folder in ("real", "fake/[red]swap", "fake/[/bold]"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "clip.mp4").touch()
    run = CliRunner().invoke(app, ["datasets", "list", str(tmp_path)])
    assert run.exit_code == 0
    assert "[red]swap" in run.output


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    title = "m\x1b]0;title\x07"
    table = Table("name")
    table.add_row(Text(title))
    file = io.StringIO()
    terminal = Terminal(file=file, force_terminal=True, width=80)
    terminal.print(Text(title), table)
    assert "\x1b]" not in file.getvalue()
    assert file.getvalue().count(r"m\x1b]0;") == 2

    (tmp_path / "man.csv").write_text(f"path,label,method\nclip.mp4,fake,{title}\n")
    (tmp_path / "clip.mp4").touch()
    run = CliRunner().invoke(app, ["datasets", "list", str(tmp_path / "man.csv")])
    assert "\x1b" not in run.output
    assert r"m\x1b]0;title\x07" in run.output


def test_a_progress_bar_shows_a_name_as_it_is() -> None:
    file = io.StringIO()
    with _progress(Terminal(file=file, force_terminal=True, width=80)) as progress:
        progress.add_task("[/b]\x1b[31m.mp4", seen="")
    assert r"[/b]\x1b[31m" in file.getvalue()
