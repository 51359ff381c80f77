"""What is said to have an extra: a command of the environment that runs, and the extra that brings a module."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import distribution

from lrnet.extras import MODULES, install_command


def test_an_extra_is_installed_where_the_package_runs() -> None:
    python = shlex.quote(sys.executable)
    assert install_command("train") == f"{python} -m pip install 'lrnet[train]'"
    assert install_command("service", "postgres") == f"{python} -m pip install 'lrnet[service,postgres]'"
    assert install_command() == f"{python} -m pip install lrnet"


def test_every_module_is_brought_by_the_extra_it_is_said_to_be() -> None:
    """The names on the package's own word; sklearn alone is installed under another."""
    required = distribution("lrnet").requires or []
    for module, extra in MODULES.items():
        name = {"sklearn": "scikit-learn"}.get(module, module)
        assert any(line.startswith(name) and f"extra == '{extra}'" in line.replace('"', "'") for line in required), name
