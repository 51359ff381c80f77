"""Models by name: those that ship with the package, then the user's own; or a bundle by its path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from lrnet.errors import ModelError
from lrnet.network.bundle import SPEC_FILE, ModelBundle

DEFAULT_MODEL = "lrnet-2"


@dataclass(frozen=True)
class ModelEntry:
    """A model that can be loaded by the name of its folder, built-in or the user's own."""

    name: str
    path: Path
    origin: Literal["built-in", "user"]


def built_in_models_folder() -> Path:
    """Where the package keeps the models that ship with it."""
    return Path(str(resources.files("lrnet.network"))) / "models"


def user_models_folder() -> Path:
    """Where the user's own models lie: `$LRNET_HOME/models`, else `lrnet/models` in the user's data folder.

    The data folder is `$XDG_DATA_HOME`, else `~/.local/share`.
    """
    home = os.environ.get("LRNET_HOME")
    if home:
        return Path(home) / "models"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "lrnet" / "models"


def list_models() -> tuple[ModelEntry, ...]:
    """All models by name, built-in ones first, each name once. They are not read."""
    entries: dict[str, ModelEntry] = {}
    origins: tuple[tuple[Literal["built-in", "user"], Path], ...] = (
        ("built-in", built_in_models_folder()),
        ("user", user_models_folder()),
    )
    for origin, folder in origins:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not path.name.startswith(".") and (path / SPEC_FILE).is_file():
                entries.setdefault(path.name, ModelEntry(path.name, path, origin))
    return tuple(entries.values())


def load_model(name_or_path: str | Path = DEFAULT_MODEL, *, appearance: bool = True) -> ModelBundle:
    """Read and verify a model.

    Args:
        name_or_path: a name that `list_models` knows, or the path of a bundle's folder. A name wins over a
            folder of the same name in the current directory; "./name" means the folder. "" is the default model.
        appearance: False for its motion alone.

    Raises:
        ModelError: no such model, or its bundle is refused.
    """
    known = {entry.name: entry.path for entry in list_models()}
    name_or_path = name_or_path or DEFAULT_MODEL
    path = known.get(name_or_path) if isinstance(name_or_path, str) else None
    path = path or Path(name_or_path)
    if path.is_dir():
        bundle = ModelBundle.load(path)
        return bundle if appearance else bundle.motion_alone()
    names = ", ".join(known) or "none is installed"
    raise ModelError(
        f"There is no model {str(name_or_path)!r}.",
        hint=f"Known models: {names}. Or pass the path of a folder that holds a {SPEC_FILE}.",
    )
