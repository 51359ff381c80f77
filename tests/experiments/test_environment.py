"""What measurements share."""

from __future__ import annotations

import sys

import pytest

from lrnet.experiments import environment, witnesses


def test_an_error_ends_a_measurement_with_the_next_step_and_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["witnesses", "lrnet-2", "/nowhere"])
    with pytest.raises(SystemExit) as ended:
        environment.run(witnesses.main)
    assert ended.value.code == 8
    assert capsys.readouterr().err == "There is no landmark store at /nowhere. Make one with `lrnet extract`.\n"
