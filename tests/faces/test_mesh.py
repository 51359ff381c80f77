"""The built-in landmarkers on the example video: following, small faces, several faces, a face that goes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import write_video

from lrnet.faces import landmarker
from lrnet.faces.mesh import MeshLandmarker
from lrnet.faces.tracker import FaceTracker, FrameFaces
from lrnet.video.reader import VideoReader

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pictures(examples: Path) -> list[Picture]:
    """Thirty frames of the woman's face, square, about 1.6 times the face."""
    with VideoReader(examples / "real.mp4") as reader:
        frames = list(islice(reader, 30))
    box = next(iter(FaceTracker(MeshLandmarker()).update(frames[0]).seen.values())).box
    centre, side = (box[:2] + box[2:]) / 2, 1.6 * float((box[2:] - box[:2]).max())
    cut = [cv2.getRectSubPix(f.rgb(), (int(side), int(side)), tuple(map(float, centre))) for f in frames]
    return [np.asarray(c, np.uint8) for c in cut]


def scene(pictures: list[Picture], places: list[tuple[int, int, float]], size: tuple[int, int]) -> list[Picture]:
    """The face at places (x, y of the centre, face size in pixels) before a grey wall of (width, height)."""
    frames = []
    for picture in pictures:
        frame = np.full((size[1], size[0], 3), 120, np.uint8)
        for x, y, face in places:
            side = round(1.6 * face)
            small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
            frame[y - side // 2 : y - side // 2 + side, x - side // 2 : x - side // 2 + side] = small
        frames.append(frame)
    return frames


Follow = Callable[[Path], list[FrameFaces]]


@pytest.fixture(params=["mesh", "mesh68"])
def followed(request: pytest.FixtureRequest) -> Follow:
    def follow(path: Path) -> list[FrameFaces]:
        with VideoReader(path) as reader:
            return list(FaceTracker(landmarker(request.param)).run(reader))

    return follow


@pytest.mark.parametrize("face", [60.0, 120.0, 400.0])
def test_faces_from_sixty_pixels_on_are_found_in_every_720p_frame(
    tmp_path: Path, pictures: list[Picture], face: float, followed: Follow
) -> None:
    path = write_video(tmp_path / "a.mp4", scene(pictures, [(700, 360, face)], (1280, 720)))
    seen = followed(path)
    assert [list(f.seen) for f in seen] == [[0]] * 30
    box = seen[-1].seen[0].box
    assert np.abs((box[:2] + box[2:]) / 2 - (700, 360)).max() < 0.25 * face
    assert float((box[2:] - box[:2]).max()) == pytest.approx(face, rel=0.25)


def test_the_same_face_gives_the_same_landmarks_wherever_it_is(
    tmp_path: Path, pictures: list[Picture], followed: Follow
) -> None:
    """Landmarks move with the face: no dependence on the place in the frame beyond resampling."""
    points = []
    for name, place in (("a", (400, 300)), ("b", (901, 407))):
        path = write_video(tmp_path / f"{name}.mp4", scene(pictures[:3], [(*place, 300.0)], (1280, 720)))
        points.append(followed(path)[-1].seen[0].landmarks - np.array(place))
    distance = np.linalg.norm(points[0] - points[1], axis=1)
    assert np.median(distance) < 0.005 * 300  # of a face of 300 pixels, with H.264 between
    assert distance.max() < 0.03 * 300


def test_four_faces_keep_their_numbers(tmp_path: Path, pictures: list[Picture], followed: Follow) -> None:
    places = [(250, 200, 160.0), (900, 200, 130.0), (250, 520, 110.0), (900, 520, 90.0)]
    seen = followed(write_video(tmp_path / "a.mp4", scene(pictures, places, (1280, 720))))
    assert sorted(seen[-1].seen) == [0, 1, 2, 3]  # the smaller ones may wait for the second search, a second later
    assert not any(f.ended or f.missing for f in seen)
    for i, (x, y, face) in enumerate(places):  # the largest one has number 0
        middle = seen[-1].seen[i].landmarks.mean(axis=0)
        assert np.abs(middle - (x, y)).max() < 0.3 * face


def test_a_face_that_goes_is_a_gap_and_not_a_copy(tmp_path: Path, pictures: list[Picture], followed: Follow) -> None:
    frames = scene(pictures, [(700, 360, 200.0)], (1280, 720))
    wall = np.full((720, 1280, 3), 120, np.uint8)
    seen = followed(write_video(tmp_path / "a.mp4", [*frames[:10], *[wall] * 5, *frames[15:]]))
    assert [bool(f.seen) for f in seen] == [True] * 10 + [False] * 5 + [True] * 15
    assert all(f.missing == (0,) for f in seen[10:15])
    assert list(seen[-1].seen) == [0]


def test_nothing_is_found_where_there_is_no_face(tmp_path: Path, followed: Follow) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (240, 320, 3)).astype(np.uint8) for _ in range(5)]
    assert not any(f.seen for f in followed(write_video(tmp_path / "a.mp4", noise)))
