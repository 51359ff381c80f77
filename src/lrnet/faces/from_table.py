"""Landmarks of another program as a landmarker: it returns what a table holds for each frame."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrnet.errors import SequenceError
from lrnet.faces.landmark_table import missing_as_nan, rank_within
from lrnet.faces.landmarker import FaceObservation, overlap
from lrnet.video.frame import Frame

KNOWN_OVERLAP: Final = 0.3  # overlap of boxes from which two observations are one face

FloatArray = NDArray[np.float32]


class TableLandmarker:
    """Looks landmarks up by the frame's index; it never uses pixels.

    Args:
        landmarks: (N, 68, 2) frame pixels, iBUG 300-W order, a row for each face in each frame. Rows with a missing
            landmark (see `missing_as_nan`) are frames in which the face was not found.
        faces: (N,) whole numbers: which face a row shows. A face is then followed by its number; without numbers, to
            where the nearest face is.
        frames: (N,) index of the frame of each row, from 0, in any order. Without it, row i is of frame i; with several
            `faces`, the i-th row of each is.
        confidence: (N,) in [0, 1]; 1 if not given.
        name: where the table is from.

    Raises:
        SequenceError: the shapes do not match, or a face is twice in a frame.

    Example:
        >>> import numpy as np
        >>> from lrnet.faces.from_table import TableLandmarker
        >>> finder = TableLandmarker(np.zeros((250, 68, 2)))
        >>> finder.name
        'arrays'
    """

    shareable: Final = True

    def __init__(
        self,
        landmarks: ArrayLike,
        faces: ArrayLike | None = None,
        *,
        frames: ArrayLike | None = None,
        confidence: ArrayLike | None = None,
        name: Literal["arrays", "openface"] = "arrays",
    ) -> None:
        points = np.asarray(landmarks, np.float32)
        if points.ndim != 3 or points.shape[1:] != (68, 2):
            raise SequenceError(f"Landmarks of shape {points.shape} cannot be read.", hint="Give (N, 68, 2).")
        points = missing_as_nan(points)
        n = len(points)
        self._numbered = faces is not None
        number = _column("face numbers", faces, n, np.zeros(n, np.int64)).astype(np.int64)
        frame = _column("frame indices", frames, n, rank_within(number)).astype(np.int64)
        sure = _column("confidences", confidence, n, np.ones(n)).astype(np.float64)
        self.name: Final = name
        self.version: Final = f"{name}.{_digest(points, number, frame, sure)}"
        self._rows: dict[int, list[FaceObservation]] = {}
        for i in range(n):
            if np.isfinite(points[i]).all():
                seen = FaceObservation(points[i], float(np.clip(sure[i], 0, 1)), int(number[i]))
                self._add(int(frame[i]), seen)

    def _add(self, frame: int, seen: FaceObservation) -> None:
        rows = self._rows.setdefault(frame, [])
        if self._numbered and any(row.state == seen.state for row in rows):
            raise SequenceError(
                f"Face {seen.state} is twice in frame {frame}.", hint="Give each face a number of its own."
            )
        rows.append(seen)

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        """The faces that the table has for this frame, largest first, other than those `known` in it."""
        rows = self._rows.get(frame.index, [])
        faces = [row for row in rows if not any(self._same(row, face) for face in known)]
        return sorted(faces, key=lambda face: -float((face.box[2:] - face.box[:2]).max()))

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        """The face of the same number, or without numbers the one nearest; None if this frame has none."""
        rows = self._rows.get(frame.index, [])
        if self._numbered:
            rows = [row for row in rows if row.state == last.state]
        return min(rows, key=lambda row: _distance(row, last), default=None)

    def _same(self, row: FaceObservation, known: FaceObservation) -> bool:
        if self._numbered:
            return bool(row.state == known.state)
        return overlap(row.box, known.box) > KNOWN_OVERLAP


def _column(what: str, given: ArrayLike | None, n: int, default: NDArray[np.generic]) -> NDArray[np.generic]:
    if given is None:
        return default
    column = np.asarray(given)
    if column.shape != (n,):
        raise SequenceError(
            f"{n} rows of landmarks, and {what} of shape {column.shape}.", hint=f"Give one for each row, ({n},)."
        )
    return column


def _digest(*columns: NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()[:12]


def _distance(a: FaceObservation, b: FaceObservation) -> float:
    return float(np.linalg.norm(a.landmarks - b.landmarks, axis=1).mean())
