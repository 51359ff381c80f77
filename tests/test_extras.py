"""What is said to have an extra: read by pip, for a clone and for a package that was installed."""

from __future__ import annotations

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lrnet import extras
from lrnet.extras import MODULES, install_command


def installed_from(monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None) -> None:
    told = None if origin is None else json.dumps(origin)
    monkeypatch.setattr(extras, "distribution", lambda _: SimpleNamespace(read_text=lambda _: told))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", ".venv/bin/pip"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("origin", [None, {"url": "https://example.org/lrnet.whl"}, {"url": "file:///no/such/folder"}])
def test_an_installed_package_is_installed_by_its_name(
    origin: dict[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed_from(monkeypatch, origin)
    assert install_command("train") == "pip install 'lrnet[train]'"
    assert install_command("service", "postgres") == "pip install 'lrnet[service,postgres]'"
    assert install_command() == "pip install lrnet"


@pytest.mark.parametrize(("editable", "flag"), [(True, "-e "), (False, "")])
def test_a_clone_is_installed_from_itself(
    clone: Path, editable: bool, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed_from(monkeypatch, {"url": clone.as_uri(), "dir_info": {"editable": editable}})
    monkeypatch.setattr(sys, "prefix", str(clone / ".venv"))
    monkeypatch.chdir(clone)
    command = f".venv/bin/pip install -c constraints.txt {flag}'.[train]'"
    assert install_command("train") == command
    monkeypatch.chdir("/")
    assert install_command("train") == f"cd {shlex.quote(str(clone))} && {command}"
    (clone / ".venv/bin/pip").unlink()  # as in an environment that another tool made
    assert f"{sys.executable} -m pip install" in install_command("train")


def test_a_package_that_was_never_installed_has_a_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "distribution", missing)
    assert install_command("train") == "pip install 'lrnet[train]'"


def test_every_module_is_brought_by_the_extra_it_is_said_to_be() -> None:
    """The names on the package's own word; sklearn alone is installed under another."""
    required = distribution("lrnet").requires or []
    for module, extra in MODULES.items():
        name = {"sklearn": "scikit-learn"}.get(module, module)
        assert any(line.startswith(name) and f"extra == '{extra}'" in line.replace('"', "'") for line in required), name
