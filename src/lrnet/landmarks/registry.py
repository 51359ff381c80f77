"""Landmarkers by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lrnet.errors import ModelError
from lrnet.landmarks.landmarker import Landmarker


def _mesh() -> Landmarker:
    from lrnet.landmarks.mesh import MeshLandmarker

    return MeshLandmarker()


_MAKERS: Final[dict[str, Callable[[], Landmarker]]] = {"mesh": _mesh}


def landmarker_names() -> tuple[str, ...]:
    return tuple(_MAKERS)


def landmarker(name: str) -> Landmarker:
    """A landmarker, ready to use.

    Raises:
        ModelError: none goes by that name.
    """
    if name not in _MAKERS:
        raise ModelError(f"There is no landmarker {name!r}.", hint=f"Known are {', '.join(_MAKERS)}.")
    return _MAKERS[name]()
