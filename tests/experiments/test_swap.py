"""Swapping faces frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import moving, write_video

from lrnet.errors import SequenceError
from lrnet.experiments.swap import OUTLINE, Face, Image, faces_of, swap_face, swap_faces, triangulate
from lrnet.faces.face_mesh import to_68
from lrnet.faces.mesh import MeshLandmarker
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader

FRAMES = 12
OUTER_EYE_CORNERS = 36, 45  # of the 68 landmarks


@dataclass(frozen=True)
class Swapped:
    """The start of the example video with the face from its end, mirrored and in other colours, swapped on."""

    source: Face
    targets: list[Face]
    results: list[Image]


@pytest.fixture(scope="module")
def landmarker() -> MeshLandmarker:
    return MeshLandmarker()


@pytest.fixture(scope="module")
def frames(examples: Path) -> list[Frame]:
    with VideoReader(examples / "real.mp4") as reader:
        return list(reader)


@pytest.fixture(scope="module")
def swapped(frames: list[Frame], landmarker: MeshLandmarker, tmp_path_factory: pytest.TempPathFactory) -> Swapped:
    portrait = tmp_path_factory.mktemp("swap") / "portrait.png"
    cv2.imwrite(str(portrait), frames[-100].rgb()[:, ::-1])  # OpenCV takes it for BGR: a mirrored face, blue
    with VideoReader(portrait) as reader:
        source = next(faces_of(reader, landmarker))
    targets = list(faces_of(frames[:FRAMES], landmarker))
    return Swapped(source, targets, list(swap_faces(frames[:FRAMES], repeat(source), landmarker)))


def hull(face: Face, margin: float) -> NDArray[np.bool_]:
    """Pixels inside the outline of the face, grown (or shrunk, below 0) by `margin` pixels."""
    outline = cv2.convexHull(face.points[list(OUTLINE)])
    height, width = face.image.shape[:2]
    depth = [cv2.pointPolygonTest(outline, (x, y), True) for y in range(height) for x in range(width)]
    return np.array(depth).reshape(height, width) >= -margin


def test_every_frame_comes_back_in_its_size(swapped: Swapped) -> None:
    assert len(swapped.results) == FRAMES
    assert {r.shape for r in swapped.results} == {swapped.targets[0].image.shape}
    assert all(r.dtype == np.uint8 for r in swapped.results)


def test_the_face_changes_and_nothing_else_does(swapped: Swapped) -> None:
    for target, result in list(zip(swapped.targets, swapped.results, strict=True))[::5]:
        changed = (target.image != result).any(axis=-1)
        assert changed[hull(target, -25)].mean() > 0.95
        assert not changed[~hull(target, 1.5)].any()


def test_the_result_has_the_landmarks_of_the_target(
    swapped: Swapped, landmarker: MeshLandmarker, tmp_path: Path
) -> None:
    lossless = write_video(tmp_path / "fake.mkv", swapped.results, codec="ffv1", pixel_format="bgr0")
    with VideoReader(lossless) as reader:
        found = list(faces_of(reader, landmarker))
    wanted = to_68(np.stack([face.points for face in swapped.targets]))
    errors = np.linalg.norm(to_68(np.stack([face.points for face in found])) - wanted, axis=-1)
    right, left = (wanted[:, i] for i in OUTER_EYE_CORNERS)
    assert (errors.mean(axis=1) / np.linalg.norm(left - right, axis=-1)).max() < 0.05


def test_colours_are_those_of_the_target(swapped: Swapped) -> None:
    target, result = swapped.targets[0], swapped.results[0]
    face = hull(target, -25)
    source_face = hull(swapped.source, -25)
    off = np.abs(result[face].mean(axis=0) - target.image[face].mean(axis=0))
    assert np.abs(swapped.source.image[source_face].mean(axis=0) - target.image[face].mean(axis=0)).max() > 30
    assert off.max() < 6


def test_a_frame_is_made_from_that_frame_alone(swapped: Swapped) -> None:
    triangles = triangulate(swapped.source.points)
    for target, result in islice(zip(swapped.targets, swapped.results, strict=True), 3):
        np.testing.assert_array_equal(swap_face(swapped.source, target, triangles), result)


def test_a_face_put_on_itself_stays_what_it_was(swapped: Swapped) -> None:
    target = swapped.targets[0]
    result = swap_face(target, target, triangulate(target.points))
    assert np.abs(result.astype(int) - target.image).max() <= 2


def test_a_large_source_is_scaled_down_in_place(swapped: Swapped) -> None:
    target = swapped.targets[0]
    height, width = target.image.shape[:2]
    large = cv2.resize(target.image, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
    source = Face(large.astype(np.uint8), (target.points + 0.5) * 3 - 0.5)
    result = swap_face(source, target, triangulate(source.points))
    assert np.abs(result.astype(int) - target.image).mean() < 0.5


@pytest.mark.parametrize("shift", [(-420.0, 0.0), (170.0, 0.0), (0.0, -230.0), (0.0, 170.0), (5000.0, 5000.0)])
def test_a_face_may_leave_the_picture(swapped: Swapped, shift: tuple[float, float]) -> None:
    target = swapped.targets[0]
    moved = Face(target.image, target.points + np.array(shift, np.float32))
    assert swap_face(swapped.source, moved, triangulate(swapped.source.points)).shape == target.image.shape


def test_the_source_may_be_a_video(frames: list[Frame], landmarker: MeshLandmarker) -> None:
    moving_source = faces_of(frames[100 : 100 + FRAMES], landmarker)
    results = list(swap_faces(frames[:FRAMES], moving_source, landmarker))
    assert len(results) == FRAMES
    assert all((r != f.rgb()).any() for r, f in zip(results, frames, strict=False))


def faceless(folder: Path) -> Iterator[Frame]:
    with VideoReader(write_video(folder / "nobody.mp4", moving(3))) as reader:
        yield from reader


def test_a_source_without_a_face_is_refused(landmarker: MeshLandmarker, tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="no face in the source"):
        next(faces_of(faceless(tmp_path), landmarker))


def test_a_target_without_a_face_comes_back_and_is_told(
    swapped: Swapped, landmarker: MeshLandmarker, tmp_path: Path
) -> None:
    results = swap_faces(faceless(tmp_path), repeat(swapped.source), landmarker)
    for frame in faceless(tmp_path):
        np.testing.assert_array_equal(next(results), frame.rgb())
    with pytest.raises(SequenceError, match="no face in the target"):
        next(results)


def test_a_source_that_ends_too_soon_is_told(swapped: Swapped, frames: list[Frame], landmarker: MeshLandmarker) -> None:
    with pytest.raises(SequenceError, match="2 faces"):
        list(swap_faces(frames[:3], repeat(swapped.source, 2), landmarker))


@pytest.mark.parametrize(
    ("image", "points"),
    [
        (np.zeros((9, 9), np.uint8), np.zeros((478, 2), np.float32)),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((468, 2), np.float32)),
        (np.zeros((9, 9, 3), np.uint8), np.full((478, 2), np.nan, np.float32)),
    ],
)
def test_arrays_that_are_no_face_are_refused(image: Image, points: NDArray[np.float32]) -> None:
    with pytest.raises(SequenceError):
        Face(image, points)
