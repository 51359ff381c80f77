"""What measurements share."""

from __future__ import annotations

import math
import os
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


def test_workers_are_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that is forked while another thread holds a lock (here: of an import) waits for it for ever."""
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    assert list(environment.each(math.sqrt, [1.0, 4.0, 9.0], 2)) == [1.0, 2.0, 3.0]
