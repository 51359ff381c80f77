"""How to install an extra of this package: the command differs for a clone and for an installed package."""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

MODULES: Final = {  # what an extra brings, by the name that it is imported under
    "fsspec": "cluster",
    "ray": "cluster",
    "lightning": "train",
    "matplotlib": "train",
    "pyarrow": "train",
    "sklearn": "train",
    "tensorboard": "train",
    "torch": "train",
}


def install_command(*extras: str) -> str:
    """The command that installs extras, or with none the package itself, in the environment that runs this.

    Installed from a folder that is still there (a clone), it is that folder that pip is given, with its constraints:
    what a package index has under the name need not be the same.
    """
    wanted = f"[{','.join(extras)}]" if extras else ""
    folder, editable = _source()
    if folder is None:
        return f"pip install {shlex.quote('lrnet' + wanted)}"
    own = Path(sys.prefix) / "bin" / "pip"
    pip = shlex.join([str(own.relative_to(folder) if own.is_relative_to(folder) else own)])
    if not own.is_file():
        pip = f"{shlex.quote(sys.executable)} -m pip"
    constraints = "-c constraints.txt " if (folder / "constraints.txt").is_file() else ""
    first = "" if os.path.realpath(".") == os.path.realpath(folder) else f"cd {shlex.quote(str(folder))} && "
    return f"{first}{pip} install {constraints}{'-e ' if editable else ''}{shlex.quote('.' + wanted)}"


def _source() -> tuple[Path | None, bool]:
    """The folder that this package was installed from and whether it still runs from there (PEP 610)."""
    try:
        recorded = distribution("lrnet").read_text("direct_url.json")
        origin = json.loads(recorded) if recorded else {}
    except (PackageNotFoundError, OSError, ValueError):
        return None, False
    address = urlsplit(str(origin.get("url", "")))
    folder = Path(url2pathname(address.path))
    if address.scheme != "file" or not (folder / "pyproject.toml").is_file():
        return None, False
    return folder, bool(origin.get("dir_info", {}).get("editable"))
