"""`python -m lrnet`."""

import subprocess
import sys

import pytest

import lrnet
from lrnet.cli import main


def test_the_package_runs_as_a_module():
    ran = subprocess.run([sys.executable, "-m", "lrnet", "--version"], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, f"lrnet {lrnet.__version__}", "")


def test_an_interruption_before_the_command_begins_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "lrnet.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "lrnet.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130
