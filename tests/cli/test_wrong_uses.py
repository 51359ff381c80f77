"""Wrong uses and odd names: one line with the next step, and nothing that is read as markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrnet.cli.app import app
from lrnet.errors import LrnetError


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["calibrate", "loop", "loop.csv", "-o", "out.csv"], "no file"),
        (["models", "import", "g1.pth", "g2.pth", "--name", "x", "--out", "file/model"], "cannot be made"),
        (["perturb", "loop", "--kind", "sharpen", "--out", "out.mp4"], "blur, jpeg, video-compression"),
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
