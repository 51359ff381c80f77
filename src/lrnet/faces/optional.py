"""Packages that only some landmarkers need, imported when they are used."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from lrnet.errors import MissingDependencyError
from lrnet.extras import install_command


def installed(module: str) -> bool:
    """Whether a top-level module is installed; it is not imported."""
    return importlib.util.find_spec(module) is not None


def require(module: str, extra: str) -> Any:
    """Import a module that an extra brings.

    Raises:
        MissingDependencyError: it is not installed, or cannot be loaded on this machine.
    """
    top = module.partition(".")[0]
    if not installed(top):
        raise MissingDependencyError(
            f"The landmarker {extra} needs the package {top}, which is not installed.",
            hint=f"Install it: {install_command(extra)}",
        )
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: a library that it needs is not there
        raise MissingDependencyError(
            f"The package {top} is installed, but cannot be imported ({error}).",
            hint=f"Install it again: {install_command(extra)}",
        ) from error


def package_folder(module: str) -> Path | None:
    """Where an installed package lies, found without importing it; None if it is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent


def torch_checkpoints() -> Path:
    """Where `torch.hub` keeps downloaded weights, by its documented environment variables; torch is not imported."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", Path(cache) / "torch")).expanduser() / "hub" / "checkpoints"
