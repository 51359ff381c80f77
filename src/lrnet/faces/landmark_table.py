"""Landmarks as a table, one row for each face in each frame; and the one place that decides what is missing in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.faces.landmarker import NUM_LANDMARKS

NORMALISED_REACH: Final = 3.0
"""Landmarks that all lie within this distance of 0 are normalised (a face's crop reaches from -1 to 1): in frame pixels
the whole face would be 6 pixels wide. Decides the units of files that do not name them."""

FARTHEST: Final = 1e6  # pixels; no video is that large
SMALLEST: Final = 1e-3  # extent of a face, pixels or normalised units; smaller ones are a single point repeated

Units = Literal["frame pixels", "normalised"]
Columns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LandmarkTable:
    """Landmarks as a file holds them, one row for each face in each frame.

    Attributes:
        points: (N, 68, 2) float32, iBUG 300-W order; NaN where a landmark is missing (see `missing_as_nan`).
        frame_numbers: (N,) int64, from 0.
        timestamps: (N,) float64 seconds; None if the file has none.
        face_id: (N,) int64, the landmarker's own numbers.
        confidence: (N,) float32, the landmarker's own; 1 where the file has none.
        units: of `points`.
        source: name of the landmarks in error messages: the file, if they come from one.
        numbered: whether the source states the frame numbers; if not, its rows were counted.
    """

    points: NDArray[np.float32]
    frame_numbers: NDArray[np.int64]
    timestamps: NDArray[np.float64] | None
    face_id: NDArray[np.int64]
    confidence: NDArray[np.float32]
    units: Units = "frame pixels"
    source: str = "The landmark table"
    numbered: bool = True

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.points.shape != (n, NUM_LANDMARKS, 2):
            raise SequenceError(
                f"A landmark table needs points of shape (N, 68, 2), not {self.points.shape}.",
                hint="Give a row for each face in each frame.",
            )
        for name in ("frame_numbers", "timestamps", "face_id", "confidence"):
            values = getattr(self, name)
            if values is not None and values.shape != (n,):
                raise SequenceError(
                    f"A landmark table of {n} rows needs {name} of shape ({n},), not {values.shape}.",
                    hint="Give every array one entry a row.",
                )
        object.__setattr__(self, "points", missing_as_nan(self.points))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def faces(self) -> tuple[int, ...]:
        """The numbers of the faces."""
        return tuple(int(n) for n in np.unique(self.face_id))

    @property
    def frame_count(self) -> int:
        """Number of frames up to the last one that has a row."""
        return int(self.frame_numbers.max(initial=-1)) + 1

    def of_face(self, face: int | None = None) -> LandmarkTable:
        """The rows of one face, ordered by frame.

        Args:
            face: its number; may be left out if there is only one.

        Raises:
            SequenceError: there is no such face, there are several and none was chosen, or it has two rows for a frame.
        """
        faces = self.faces
        seen = ", ".join(f"{n} ({(self.face_id == n).sum()} rows)" for n in faces[:10])
        if face is None and len(faces) > 1:
            raise SequenceError(
                f"{self.source} holds {len(faces)} faces: {seen}.", hint="Choose one by its number (--face)."
            )
        if face is not None and face not in faces:
            raise SequenceError(f"{self.source} holds no face {face}.", hint=f"Faces are {seen or 'none'}.")
        rows = np.arange(len(self)) if face is None else np.flatnonzero(self.face_id == face)
        rows = rows[np.argsort(self.frame_numbers[rows], kind="stable")]
        numbers = self.frame_numbers[rows]
        twice = np.flatnonzero(np.diff(numbers) == 0)
        if len(twice):
            raise SequenceError(
                f"{self.source}: frame {numbers[twice[0]]} (from 0) of face {self.face_id[rows[0]]} has two rows.",
                hint="Keep one row a frame, or number the faces in a column face_id.",
            )
        return replace(
            self,
            points=self.points[rows],
            frame_numbers=numbers,
            timestamps=None if self.timestamps is None else self.timestamps[rows],
            face_id=self.face_id[rows],
            confidence=self.confidence[rows],
        )

    @classmethod
    def from_points(cls, points: NDArray[np.floating]) -> LandmarkTable:
        """A table of one face with a row a frame.

        Args:
            points: (N, 68, 2), or (N, 136) with x and y in turn; NaN where a landmark is missing.

        Raises:
            SequenceError: the shape is another, a coordinate is beyond `FARTHEST`, or a point has only one coordinate.
        """
        return table_of("The array", {}, points_of_array("The array", np.asarray(points)), None)


def missing_as_nan(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 68, 2) landmarks with NaN for those that fill in for landmarks that were not found.

    Landmarkers write zeros for a face that they lost, for some of its points, or one point 68 times. A row without
    any extent is no face, and two landmarks of a face never share the place (0, 0).
    """
    at_zero = (points == 0).all(axis=2)
    at_zero &= at_zero.sum(axis=1, keepdims=True) > 1
    points = np.where(at_zero[:, :, None], np.float32(np.nan), points)
    known = np.isfinite(points)
    low, high = np.where(known, points, np.inf).min(axis=1), np.where(known, points, -np.inf).max(axis=1)
    points[(high - low).max(axis=1, initial=-np.inf) <= SMALLEST] = np.nan
    return points


def points_of_array(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """(N, 68, 2) float64 landmarks of an array called `name`, (N, 68, 2) or (N, 136) with x and y in turn.

    Raises:
        SequenceError: its type or its shape is another.
    """
    if array.dtype.kind not in "fiu":
        raise SequenceError(f"{name}: landmarks of type {array.dtype} are no numbers.", hint="Give float32.")
    if array.ndim not in (2, 3) or array.shape[1:] not in ((2 * NUM_LANDMARKS,), (NUM_LANDMARKS, 2)):
        raise SequenceError(f"{name}: landmarks of shape {array.shape}.", hint="Give (N, 68, 2) or (N, 136).")
    return as_float64(array).reshape(-1, NUM_LANDMARKS, 2)


def as_float64(array: NDArray[Any]) -> NDArray[np.float64]:
    """The array in float64. A damaged file may hold signalling NaN: values are checked later."""
    with np.errstate(all="ignore"):
        return np.asarray(array, np.float64)


def table_of(name: str, about: Columns, points: NDArray[np.float64], units: str | None) -> LandmarkTable:
    """Check the numbers of a file (or array) called `name`, and fill in those that it lacks.

    Args:
        about: any of `frame`, `face_id`, `timestamp`, `confidence`, each (N,).
        points: (N, 68, 2).
        units: None if the file does not name them.

    Raises:
        SequenceError: a number is not possible where it stands.
    """
    n = len(points)
    if not n:
        raise SequenceError(f"{name} holds no landmarks.", hint="Give at least one frame.")
    face_id = about.get("face_id", np.zeros(n))
    whole = {"face_id": face_id, "frame": about["frame"] if "frame" in about else rank_within(face_id)}
    for column, values in (whole | {c: about[c] for c in ("timestamp",) if c in about}).items():
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0]) + 1
            raise SequenceError(f"{name}: {column} of row {row} is not finite.", hint="Give a number in every row.")
    for column, values in whole.items():
        wrong = np.flatnonzero((values != np.floor(values)) | (values < 0) | (values > 2**53))
        if len(wrong):
            raise SequenceError(
                f"{name}: {column} of row {wrong[0] + 1} is {values[wrong[0]]:g}.", hint="Give whole numbers from 0."
            )
    checked = _checked_points(name, points)
    if units not in (None, "frame pixels", "normalised"):
        raise SequenceError(f"{name}: units {units[:30]!r} are not known.", hint='Say "frame pixels" or "normalised".')
    normalised = units == "normalised" or (units is None and _look_normalised(checked))
    return LandmarkTable(
        points=checked,
        frame_numbers=whole["frame"].astype(np.int64),
        timestamps=about.get("timestamp"),
        face_id=face_id.astype(np.int64),
        confidence=np.clip(np.nan_to_num(about.get("confidence", np.ones(n))), 0, 1).astype(np.float32),
        units="normalised" if normalised else "frame pixels",
        source=name,
        numbered="frame" in about,
    )


def _checked_points(name: str, points: NDArray[np.float64]) -> NDArray[np.float32]:
    halves = np.isnan(points[..., 0]) != np.isnan(points[..., 1])
    absurd = (np.abs(points) > FARTHEST).any(axis=-1)
    for wrong, what in ((absurd, f"lies beyond {FARTHEST:g} pixels"), (halves, "has only one coordinate")):
        if wrong.any():
            row, point = (int(i) for i in np.argwhere(wrong)[0])
            raise SequenceError(
                f"{name}: point {point} (from 0) of row {row + 1} {what}.",
                hint="Give x and y of a point, or NaN for both where it is missing.",
            )
    return points.astype(np.float32)


def _look_normalised(points: NDArray[np.float32]) -> bool:
    known = missing_as_nan(points)
    known = known[np.isfinite(known)]
    return bool(known.size) and float(np.abs(known).max()) <= NORMALISED_REACH


def rank_within(numbers: NDArray[np.generic]) -> NDArray[np.int64]:
    """(N,) how many rows of the same face come before each row: the frame of a row, where none is stated."""
    ranks = np.zeros(len(numbers), np.int64)
    for number in np.unique(numbers):
        ranks[numbers == number] = np.arange((numbers == number).sum())
    return ranks
