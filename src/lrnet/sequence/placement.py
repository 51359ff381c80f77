"""Whether landmarks of another program are in pixels of the frame here or in pixels as the file stores them.

Frames here are upright and have square pixels. OpenCV, and programs that use it (OpenFace, scripts with dlib), leave
pixels as stored, and some ignore the rotation. Landmark files do not say so: the faces in the picture show it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.faces.registry import landmarker
from lrnet.video.frame import Frame
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader

Array = NDArray[np.float32]
Matrix = NDArray[np.float64]

FRAMES: Final = 5  # in which a face is found and compared
SEARCHES: Final = 20  # for faces, until that many frames have one
EVERY: Final = 12  # frames from one search to the next: neighbours show the same
# Distances are means over the landmarks, in sizes of the face (longer side of its box). Landmarkers differ by 0.02.
FAR: Final = 0.3  # further than this from every face found, landmarks are of something else
CLOSER: Final = 0.7  # of the distance as given, below which a conversion is believed


@dataclass(frozen=True, slots=True)
class Placement:
    """How landmarks become those of upright frames with square pixels.

    Attributes:
        matrix: (2, 3), from pixels of the landmarks to pixels of the frame; None if they are the same.
        notes: for the user.
    """

    matrix: Matrix | None = None
    notes: tuple[str, ...] = ()

    def apply(self, points: Array) -> Array:
        """The landmarks (..., 2) in pixels of the frame."""
        if self.matrix is None:
            return points
        return (points @ self.matrix[:, :2].T + self.matrix[:, 2]).astype(np.float32)


def find_placement(
    video: str | os.PathLike[str], points: Array, row_of: Callable[[int, float], int | None], source: str
) -> Placement:
    """Compare landmarks with the faces that the built-in landmarker finds in a few frames of a video.

    Args:
        points: (M, 68, 2), NaN in rows without a face.
        row_of: maps a frame's number and time to its row.
        source: name of the landmarks in messages.

    Raises:
        SequenceError: the landmarks are on no face, neither as they are nor converted.
        VideoError: the video cannot be read.
    """
    mesh = landmarker("mesh")
    distances: list[list[float]] = []
    ways: list[tuple[str, Matrix]] = []
    searched, due = 0, 0
    shown = ""
    with VideoReader(video, WHOLE) as reader:
        for frame in reader:
            if len(distances) == FRAMES or searched == SEARCHES:
                break
            row = row_of(frame.index, frame.time)
            if row is None or frame.index < due or np.isnan(points[row, 0, 0]):
                continue
            searched, due = searched + 1, frame.index + EVERY
            ways = ways or _ways(frame)
            faces = [face.landmarks for face in mesh.search(frame)]
            if faces:
                distances.append([min(_distance(Placement(m).apply(points[row]), f) for f in faces) for _, m in ways])
                shown = shown or f"frame {frame.index}, {_place(points[row])}; a face at {_place(faces[0])}"
    if not distances:
        unknown = f"No face was found that shows in which pixels {source} is: taken as pixels of the upright frame."
        return Placement(notes=(unknown,) if len(ways) > 1 else ())
    typical = np.median(distances, axis=0)
    best = int(typical.argmin())
    if typical[best] > CLOSER * typical[0]:
        best = 0
    if min(d[best] for d in distances) > FAR:
        raise SequenceError(
            f"The landmarks of {source} are on no face of {os.fspath(video)}: landmarks in {shown}.",
            hint="Check that they were made from this video, at this size and upright "
            "(--no-face-check if the face found is not the one meant).",
        )
    name, matrix = ways[best]
    return Placement(matrix, (f"{source} is in {name}: converted.",)) if best else Placement()


def _ways(frame: Frame) -> list[tuple[str, Matrix]]:
    """The pixels that landmarks of a video may be in, each with its (2, 3) matrix to pixels of the frame."""
    turns = frame.stored.turns
    width, height = frame.stored_size
    square = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    ways = [("pixels of the frame", np.eye(3)[:2])]
    stored = f"pixels as the video stores them, {width} x {height} and not square"
    if square != (width, height):
        upright = (height, width) if turns % 2 else (width, height)
        ways.append((stored, _scaled(upright, (frame.width, frame.height))[:2]))
    if turns:
        ways.append((f"the frame as it is before its rotation by {90 * turns} degrees", _turned(*square, turns)[:2]))
        if square != (width, height):
            matrix = _turned(*square, turns) @ _scaled((width, height), square)
            ways.append((f"{stored}, before the rotation by {90 * turns} degrees", matrix[:2]))
    return ways


def _scaled(before: tuple[int, int], after: tuple[int, int]) -> Matrix:
    """(3, 3): a picture is resized. The centre of the first pixel is at (0, 0), its corner at (-0.5, -0.5)."""
    x, y = after[0] / before[0], after[1] / before[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _turned(width: int, height: int, turns: int) -> Matrix:
    """(3, 3): a picture is turned counter-clockwise by quarter turns, as `numpy.rot90` does."""
    matrix = np.eye(3)
    for _ in range(turns):
        matrix = np.array([[0, 1, 0], [-1, 0, width - 1], [0, 0, 1]]) @ matrix
        width, height = height, width
    return matrix


def _distance(landmarks: Array, face: Array) -> float:
    size = float((face.max(axis=0) - face.min(axis=0)).max())
    return float(np.linalg.norm(landmarks - face, axis=1).mean()) / max(size, 1e-6)


def _place(points: Array) -> str:
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return f"x {left:.0f} to {right:.0f}, y {top:.0f} to {bottom:.0f}"
