"""The count of repeated frames as a user types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lrnet.experiments import environment, repeats


def test_it_has_help_and_counts(
    examples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["repeats", "--help"])
    with pytest.raises(SystemExit) as ended:
        repeats.main()
    assert ended.value.code == 0
    assert "VIDEO" in capsys.readouterr().out
    monkeypatch.setattr(repeats, "FRAMES", 25)
    monkeypatch.setattr(sys, "argv", ["repeats", str(examples / "real.mp4")])
    environment.run(repeats.main)
    assert "0 of 25 frames in 1 videos" in capsys.readouterr().out


def test_a_video_that_is_not_there_ends_it_with_a_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["repeats", "/nowhere.mp4"])
    with pytest.raises(SystemExit):
        environment.run(repeats.main)
    assert "/nowhere.mp4" in capsys.readouterr().err
