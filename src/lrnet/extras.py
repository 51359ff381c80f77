"""How to install an extra of this package."""

from __future__ import annotations

import shlex
import sys
from typing import Final

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
    """The command that installs extras, or with none what the package itself needs, in the environment that runs this.

    This package stays as it is installed, from a clone or not: pip finds it there and adds what the extras need.
    """
    wanted = f"lrnet[{','.join(extras)}]" if extras else "lrnet"
    return shlex.join([sys.executable, "-m", "pip", "install", wanted])
