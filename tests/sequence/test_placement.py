"""In which pixels landmarks are: all ways that another program may have read a video, on a real face."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import turn_in_header, write_video

from lrnet.errors import SequenceError
from lrnet.faces import Landmarker, landmarker
from lrnet.sequence import placement
from lrnet.sequence.calibrate import calibrate
from lrnet.sequence.placement import Placement, find_placement
from lrnet.video.reader import VideoReader

N = 6  # frames: three are searched for faces
Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def mesh() -> Landmarker:
    return landmarker("mesh")


@pytest.fixture(autouse=True)
def _quickly(one_mesh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Search more often, so that few frames do."""
    monkeypatch.setattr(placement, "EVERY", 2)


@pytest.fixture(scope="module")
def face(examples: Path, mesh: Landmarker) -> Array:
    """(N, 68, 2) landmarks of the example, in pixels of its frames, 640 x 360."""
    rows: list[Array] = []
    last = None
    with VideoReader(examples / "real.mp4") as reader:
        for frame in reader:
            last = mesh.follow(frame, last) if last else mesh.search(frame)[0]
            assert last is not None
            rows.append(last.landmarks)
            if len(rows) == N:
                return np.array(rows)
    raise AssertionError


def stored(examples: Path, path: Path, *, size: tuple[int, int], turns: int) -> Path:
    """The example's first frames as a file that stores them otherwise: resized and turned, with the metadata to undo
    it."""
    pictures = []
    with VideoReader(examples / "real.mp4") as reader:
        for frame in reader:
            small = cv2.resize(frame.rgb(), size, interpolation=cv2.INTER_AREA)
            pictures.append(np.ascontiguousarray(np.rot90(small, -turns)).astype(np.uint8))
            if len(pictures) == N:
                break
    aspect = Fraction(640 * size[1], 360 * size[0])
    write_video(path, pictures, options={"crf": "12"}, aspect=1 / aspect if turns % 2 else aspect)
    if turns:
        turn_in_header(path, 4 - turns)
    return path


def rows_in_order(index: int, time: float) -> int | None:
    return index if index < N else None


@pytest.mark.parametrize("size", [(480, 360), (640, 240), (352, 288), (640, 360)])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_every_way_to_read_a_video_is_recognised(
    examples: Path, tmp_path: Path, mesh: Landmarker, face: Array, size: tuple[int, int], turns: int
) -> None:
    video = stored(examples, tmp_path / "stored.mp4", size=size, turns=turns)
    with VideoReader(video) as reader:
        first = next(iter(reader))
    assert (first.width * 9, first.stored.turns) == (first.height * 16, turns)
    upright = (face + 0.5) * first.width / 640 - 0.5
    found = mesh.search(first)[0].landmarks
    assert np.abs(found - upright[0]).mean() < 0.02 * first.width
    for name, matrix in placement._ways(first):
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        given = Placement(inverse).apply(upright)
        chosen = find_placement(video, given, rows_in_order, "theirs.npy")
        np.testing.assert_allclose(chosen.apply(given), upright, atol=1e-2, err_msg=name)
        assert bool(chosen.notes) == (name != "pixels of the frame")
        assert all("theirs.npy is in" in note and "converted" in note for note in chosen.notes)


def test_landmarks_of_stored_pixels_are_converted(shared: Path) -> None:
    cases = shared / "cases"
    given = np.load(cases / "anamorphic-landmarks-stored-pixels.npy")
    result = calibrate(cases / "anamorphic-480x360-sar4-3.mp4", given)
    expected = (given + 0.5) * [640 / 480, 1] - [0.5, 0.5]
    np.testing.assert_allclose(result.detected, expected, atol=1e-2)
    assert "480 x 360 and not square: converted" in result.notes[0]
    before, after = result.jitter()
    assert after < before < 0.8


@pytest.mark.parametrize(
    "change", [lambda p: p / 2, lambda p: p * 0.6 + 60, lambda p: p - 150], ids=["half", "smaller", "beside"]
)
def test_landmarks_beside_the_face_are_refused(examples: Path, face: Array, change: object) -> None:
    with pytest.raises(SequenceError, match=r"on no face of .*real.mp4: landmarks in frame 0, x .*--no-face-check"):
        find_placement(examples / "real.mp4", change(face), rows_in_order, "theirs")  # type: ignore[operator]


def test_the_check_can_be_left_out(shared: Path) -> None:
    cases = shared / "cases"
    given = np.load(cases / "anamorphic-landmarks-stored-pixels.npy")
    result = calibrate(cases / "anamorphic-480x360-sar4-3.mp4", given, check_faces=False)
    np.testing.assert_allclose(result.detected, given, atol=1e-2)


def test_without_a_face_the_frame_edge_decides_and_doubt_is_said(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind:
        def search(self, frame: object) -> list[object]:
            return []

    monkeypatch.setattr(placement, "landmarker", lambda name: Blind())
    video = shared / "cases" / "anamorphic-480x360-sar4-3.mp4"
    given = np.load(shared / "cases" / "anamorphic-landmarks-stored-pixels.npy").astype(np.float32)
    found = find_placement(video, given, rows_in_order, "theirs.npy")
    assert found.matrix is None
    assert "No face was found that shows in which pixels theirs.npy is" in found.notes[0]
    with pytest.raises(SequenceError, match="are not in the frame of 640 x 360"):
        calibrate(video, given + 1000)
