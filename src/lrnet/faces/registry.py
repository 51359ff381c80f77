"""Landmarkers by name: how each is made, what it needs, and whether that is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lrnet.errors import ModelError
from lrnet.extras import install_command
from lrnet.faces.landmarker import Landmarker
from lrnet.faces.optional import installed, torch_checkpoints


@dataclass(frozen=True, slots=True)
class LandmarkerStatus:
    """State of a landmarker on this machine.

    Attributes:
        needs: what must be installed beside the package itself.
        licence: of the weights, if it differs from the package's.
        ready: whether it can be used now.
        detail: what it is, or the next step if it is not ready.
    """

    name: str
    needs: str
    licence: str
    ready: bool
    detail: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """`missing` returns the next step, or None if nothing is missing; it imports nothing and reads no weights."""

    make: Callable[[], Landmarker]
    needs: str
    licence: str
    about: str
    missing: Callable[[], str | None] = lambda: None


def _mesh() -> Landmarker:
    from lrnet.faces.mesh import MeshLandmarker

    return MeshLandmarker()


def _mesh68() -> Landmarker:
    from lrnet.faces.mesh68 import Mesh68

    return Mesh68()


def _face_api() -> Landmarker:
    from lrnet.faces.face_api_68 import FaceApi68
    from lrnet.faces.squares import SquareLandmarker

    return SquareLandmarker(FaceApi68())


def _dlib() -> Landmarker:
    from lrnet.faces.dlib_68 import Dlib68
    from lrnet.faces.squares import SquareLandmarker

    return SquareLandmarker(Dlib68())


def _dlib_missing() -> str | None:
    from lrnet.faces.dlib_68 import MODEL_FILE, MODEL_VARIABLE, model_path

    if not installed("dlib"):
        return install_command("dlib")
    path = model_path()
    if path is None or not path.is_file():
        return f"No model at {path or 'any known place'}: set {MODEL_VARIABLE} to the path of {MODEL_FILE}."
    return None


def _face_alignment() -> Landmarker:
    from lrnet.faces.face_alignment_68 import FaceAlignment68
    from lrnet.faces.squares import SquareLandmarker

    return SquareLandmarker(FaceAlignment68())


def _face_alignment_missing() -> str | None:
    from lrnet.faces.face_alignment_68 import WEIGHTS_FILE, WEIGHTS_URL

    if not (installed("face_alignment") and installed("torch")):
        return install_command("face-alignment")
    path = torch_checkpoints() / WEIGHTS_FILE
    return None if path.is_file() else f"No weights at {path}: put the file from {WEIGHTS_URL} there."


def _from_file(name: str, how: str) -> Callable[[], Landmarker]:
    def refuse() -> Landmarker:
        raise ModelError(f"The landmarks of {name!r} come with each video: a name alone gives none.", hint=how)

    return refuse


FROM_OPENFACE: Final = "Give the video and its CSV to `lrnet calibrate`."
FROM_ARRAYS: Final = "Give the array to `lrnet.faces.from_table.TableLandmarker`, or to `lrnet.calibrate`."

_ENTRIES: Final[dict[str, _Entry]] = {
    "mesh": _Entry(_mesh, "nothing", "Apache-2.0", "MediaPipe's FaceMesh v2, 68 of its 478 points. The default."),
    "mesh68": _Entry(
        _mesh68, "nothing", "that of lrnet", "The mesh's student: a fifth of its time, expressions mostly."
    ),
    "face-api": _Entry(_face_api, "nothing", "MIT; training data undisclosed", "face-api's net of 68 points."),
    "dlib": _Entry(
        _dlib,
        "extra dlib, 100 MB of weights",
        "weights from iBUG 300-W: no commercial use",
        "dlib's predictor of 68 points, the paper's.",
        _dlib_missing,
    ),
    "face-alignment": _Entry(
        _face_alignment,
        "extra face-alignment (torch), weights in torch's cache",
        "BSD; weights from 300W-LP: research use",
        "2DFAN-4 by Bulat and Tzimiropoulos.",
        _face_alignment_missing,
    ),
    "openface": _Entry(_from_file("openface", FROM_OPENFACE), "a CSV of OpenFace", "OpenFace's own", FROM_OPENFACE),
    "arrays": _Entry(_from_file("arrays", FROM_ARRAYS), "an array (N, 68, 2)", "yours", FROM_ARRAYS),
}


def landmarker_names() -> tuple[str, ...]:
    """Every name that `landmarker` knows, ready or not."""
    return tuple(_ENTRIES)


def landmarker(name: str) -> Landmarker:
    """A landmarker, ready to use.

    Raises:
        ModelError: the name is unknown; its weights are missing or damaged; or its landmarks come from a file.
        MissingDependencyError: it needs an extra that is not installed.
    """
    if name not in _ENTRIES:
        raise ModelError(f"There is no landmarker {name!r}.", hint=f"Known are {', '.join(_ENTRIES)}.")
    return _ENTRIES[name].make()


def landmarker_status() -> list[LandmarkerStatus]:
    """The needs of each landmarker and whether they are met. Imports nothing and reads no weights."""
    found = []
    for name, entry in _ENTRIES.items():
        missing = entry.missing()
        found.append(LandmarkerStatus(name, entry.needs, entry.licence, missing is None, missing or entry.about))
    return found
