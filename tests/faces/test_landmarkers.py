"""Every landmarker behind the protocol, on a real face; each against a source other than itself.

dlib is compared with dlib (on the whole frame, in whole pixels), face-api with TensorFlow.js, FAN's peaks with a closed
form and with the package's own decoding; and all of them with the mesh. `face-alignment` runs with the package's real
class on weights made here, since its own cannot be had offline: where it puts the points is then meaningless, how it
gets there is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.media import write_video
from typer.testing import CliRunner

from lrnet.cli.app import app
from lrnet.errors import LrnetError, MissingDependencyError, ModelError, SequenceError
from lrnet.extras import install_command
from lrnet.faces import Landmarker, landmarker, landmarker_names, landmarker_status, optional, registry
from lrnet.faces.blazeface import FaceDetector
from lrnet.faces.face_alignment_68 import HEATMAP_SIZE, INPUT_SIZE, WEIGHTS_FILE, FaceAlignment68, _crop_of_box, peaks
from lrnet.faces.face_api_68 import INPUT_SIZE as FACE_API_SIZE
from lrnet.faces.from_table import TableLandmarker
from lrnet.faces.landmarker import overlap
from lrnet.faces.models import open_session
from lrnet.faces.squares import Square, SquareLandmarker, bounding_square, detect_faces_near
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader

HAS_DLIB = optional.installed("dlib") and optional.installed("face_recognition_models")
HAS_FACE_ALIGNMENT = optional.installed("face_alignment")
needs_dlib = pytest.mark.skipif(not HAS_DLIB, reason="the extra dlib is not installed: pip install 'lrnet[dlib]'")
needs_face_alignment = pytest.mark.skipif(
    not HAS_FACE_ALIGNMENT, reason="the extra face-alignment is not installed: pip install 'lrnet[face-alignment]'"
)
ON_PIXELS = ["mesh", "mesh68", "face-api", pytest.param("dlib", marks=needs_dlib)]
BESIDE_MESH = ["mesh68", "face-api", pytest.param("dlib", marks=needs_dlib)]
RIGHT_TO_LEFT = np.array(  # of each of the 68 landmarks the one on the other side of the face
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
    ]
)


@pytest.fixture(scope="module")
def frames(examples: Path) -> list[Frame]:
    """The first 24 frames of the real example."""
    with VideoReader(examples / "real.mp4") as reader:
        return list(islice(reader, 24))


@pytest.fixture(scope="module")
def empty_frame(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> Frame:
    """A frame of the same size without a face."""
    grey = np.full((frames[0].height, frames[0].width, 3), 120, np.uint8)
    with VideoReader(write_video(tmp_path_factory.mktemp("empty") / "grey.mp4", [grey])) as reader:
        return next(iter(reader))


@pytest.fixture(scope="module")
def mesh_points(frames: list[Frame]) -> np.ndarray:
    return tracked("mesh", frames)


def tracked(name: str, frames: list[Frame]) -> np.ndarray:
    """(N, 68, 2) of the one face."""
    steps = FaceTracker(landmarker(name), TrackSettings(max_faces=1)).run(frames)
    return np.stack([next(iter(step.seen.values())).landmarks for step in steps])


def eye_distance(points: np.ndarray) -> float:
    """Between the outer corners of the eyes."""
    return float(np.linalg.norm(points[..., 36, :] - points[..., 45, :], axis=-1).mean())


# The protocol


@pytest.mark.parametrize("name", ON_PIXELS)
def test_finds_and_follows_a_face(name: str, frames: list[Frame]) -> None:
    finder: Landmarker = landmarker(name)
    assert finder.name == name
    assert finder.version
    (face,) = finder.search(frames[0])
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == np.float32
    assert np.isfinite(face.landmarks).all()
    assert 0.5 <= face.confidence <= 1
    assert (face.landmarks > 0).all()
    assert (face.landmarks < [frames[0].width, frames[0].height]).all()
    assert finder.search(frames[0], [face]) == []
    followed = finder.follow(frames[1], face)
    assert followed is not None
    assert 0.5 <= followed.confidence <= 1
    assert overlap(face.box, followed.box) > 0.8


@pytest.mark.parametrize("name", ON_PIXELS)
def test_nothing_is_smoothed_over_time(name: str, frames: list[Frame]) -> None:
    """What is found depends on where the face was last and on this frame, on nothing that came between."""
    finder = landmarker(name)
    (face,) = finder.search(frames[0])
    first = finder.follow(frames[3], face)
    for frame in frames[10:14]:
        finder.follow(frame, face)
    again = finder.follow(frames[3], face)
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first.landmarks, again.landmarks)


@pytest.mark.parametrize("name", ON_PIXELS)
def test_a_face_that_is_gone_is_not_followed(name: str, frames: list[Frame], empty_frame: Frame) -> None:
    finder = landmarker(name)
    (face,) = finder.search(frames[0])
    followed = finder.follow(empty_frame, face)
    assert followed is None or followed.confidence < 0.5
    assert finder.search(empty_frame) == []


@pytest.mark.parametrize("name", ON_PIXELS)
def test_landmarks_lie_between_pixels(name: str, frames: list[Frame]) -> None:
    (face,) = landmarker(name).search(frames[0])
    parts = face.landmarks % 1
    assert ((parts > 0.1) & (parts < 0.9)).mean() > 0.6


@pytest.mark.parametrize("name", BESIDE_MESH)
def test_lands_where_the_mesh_does(name: str, frames: list[Frame], mesh_points: np.ndarray) -> None:
    points = tracked(name, frames)
    away = 100 * np.linalg.norm(points - mesh_points, axis=-1) / eye_distance(mesh_points)
    assert 0.3 < away.mean() < 6  # two landmarkers are never the same, and none is far off
    for group, place in FACIAL_GROUPS.items():
        assert away[:, place].mean() < (9 if group == "jaw" else 6), group


def test_no_two_landmarkers_have_one_version() -> None:
    usable = [s.name for s in landmarker_status() if s.ready and s.name not in ("openface", "arrays")]
    assert len({landmarker(name).version for name in usable}) == len(usable)


# Squares


def test_square_lies_in_the_middle_of_its_crop() -> None:
    square = Square((100.25, 60.5), 40)
    corners = np.array([[80.25, 40.5, 1], [120.25, 80.5, 1]])
    np.testing.assert_allclose(corners @ square.to_crop(200).T, [[-0.5, -0.5], [199.5, 199.5]])
    np.testing.assert_allclose(corners @ square.to_crop(201, 100).T, [[50, 50], [150, 150]])


def test_bounding_square_follows_the_longer_side() -> None:
    square = bounding_square(np.array([[10, 20], [30, 80]], np.float32), 1.5, up=0.1)
    assert square == Square((20.0, 50.0 - 9.0), 90.0)


@pytest.mark.parametrize("side", [float("nan"), 0.0, 1e6])
def test_square_that_holds_no_face_is_not_looked_at(side: float, frames: list[Frame]) -> None:
    assert not Square((10, 10), side).usable(frames[0])


def test_the_window_around_a_face_shows_it_where_the_frame_does(frames: list[Frame]) -> None:
    detector = FaceDetector()
    whole = detector.detect_in(frames[0])
    near = detect_faces_near(detector, frames[0], whole.boxes[0])
    assert len(near) == 1
    size = np.ptp(whole.boxes[0].reshape(2, 2), axis=0).max()
    assert np.abs(near.keypoints[0] - whole.keypoints[0]).mean() < 0.04 * size


# dlib


@needs_dlib
def test_dlib_places_what_dlib_places(frames: list[Frame]) -> None:
    """Against the predictor used plainly: the whole frame, a box and points in whole pixels."""
    import dlib

    from lrnet.faces.dlib_68 import Dlib68, model_path

    plain = dlib.shape_predictor(str(model_path()))
    ours = Dlib68()
    for frame in frames[::6]:
        box = dlib.get_frontal_face_detector()(frame.rgb(), 0)[0]
        points = np.array([(p.x, p.y) for p in plain(frame.rgb(), box).parts()], float)
        centre = ((box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2)
        found = ours.place(frame, Square(centre, box.right() - box.left()))
        away = np.linalg.norm(found - points, axis=1) / eye_distance(points)
        assert np.median(away) < 0.012
        assert np.abs((found - points).mean(axis=0)).max() < 0.005 * eye_distance(points)


@needs_dlib
def test_dlib_looks_where_its_own_detector_looks(frames: list[Frame]) -> None:
    import dlib

    from lrnet.faces.dlib_68 import Dlib68

    model = Dlib68()
    finder = SquareLandmarker(model)
    for frame in frames[::6]:
        (face,) = finder.search(frame)
        square, box = model.square_of_landmarks(face.landmarks), dlib.get_frontal_face_detector()(frame.rgb(), 0)[0]
        half = square.side / 2
        made = np.array(
            [square.centre[0] - half, square.centre[1] - half, square.centre[0] + half, square.centre[1] + half]
        )
        assert overlap(made, np.array([box.left(), box.top(), box.right(), box.bottom()], float)) > 0.75


@needs_dlib
def test_dlib_without_a_model_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRNET_DLIB_MODEL", str(tmp_path / "none.dat"))
    assert not status_of("dlib").ready
    assert "LRNET_DLIB_MODEL" in status_of("dlib").detail
    with pytest.raises(ModelError, match=r"none\.dat.*LRNET_DLIB_MODEL"):
        landmarker("dlib")
    (tmp_path / "none.dat").write_bytes(b"no model")
    with pytest.raises(ModelError, match="not a model of dlib"):
        landmarker("dlib")


# face-api


def test_face_api_gives_what_tensorflow_js_gives() -> None:
    """`golden/face_api_tfjs.npz` is the answer of npm's @vladmandic/face-api 1.7.15 on TensorFlow.js (CPU) for a part
    of the portrait and its mirror image."""
    golden = Path(__file__).parent / "golden"
    with np.load(golden / "tflite_parity.npz") as stored:
        portrait = stored["blazeface_full_range_image"][0]
    face = portrait[20:76, 57:113].repeat(2, axis=0).repeat(2, axis=1)
    (points,) = open_session("face_api_68").run(["points"], {"image": np.stack([face, face[:, ::-1]])})
    with np.load(golden / "face_api_tfjs.npz") as stored:
        np.testing.assert_allclose(points, stored["points"], atol=1e-5)


def test_face_api_counts_from_the_first_pixels_centre(frames: list[Frame], mesh_points: np.ndarray) -> None:
    """Mirrored pixel centres add up to 111; counted from the corner they would to 112. (The net is not quite the same
    on both sides: 109.4 to 110.8 on four videos.)"""
    session = open_session("face_api_68")
    sums = []
    for frame, landmarks in zip(frames, mesh_points, strict=True):
        crop = frame.rgb_warped(bounding_square(landmarks, 1.1).to_crop(FACE_API_SIZE), FACE_API_SIZE, FACE_API_SIZE)
        ((straight, flipped),) = session.run(["points"], {"image": np.stack([crop, crop[:, ::-1]])})
        sums.append((straight[:, 0] + flipped[RIGHT_TO_LEFT, 0]).mean() * FACE_API_SIZE)
    assert np.mean(sums) == pytest.approx(FACE_API_SIZE - 1, abs=0.9)


# face-alignment


def gaussians(places: np.ndarray) -> np.ndarray:
    """(P, 64, 64) Gaussians around places (P, 2), pixels counted from the corner of the first."""
    y, x = np.mgrid[:HEATMAP_SIZE, :HEATMAP_SIZE] + 0.5
    squares = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return np.exp(-squares / 2).astype(np.float32)


def test_peaks_of_gaussians_are_found_between_pixels() -> None:
    places = np.random.default_rng(2).uniform(2, HEATMAP_SIZE - 2, (68, 2))
    np.testing.assert_allclose(peaks(gaussians(places)), places, atol=2e-3)


def test_peaks_at_the_edge_and_of_nothing_are_finite() -> None:
    places = np.array([[0.5, 0.5], [63.5, 20.2], [-3.0, 70.0]])
    assert np.isfinite(peaks(gaussians(places))).all()
    assert np.isfinite(peaks(np.zeros((68, HEATMAP_SIZE, HEATMAP_SIZE), np.float32))).all()


@pytest.fixture(scope="module")
def made_weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of torch.hub in which weights of the right shape lie, made here; with downloads forbidden."""
    if not HAS_FACE_ALIGNMENT:
        pytest.skip("the extra face-alignment is not installed: pip install 'lrnet[face-alignment]'")
    import torch
    from face_alignment.models import FAN

    home = tmp_path_factory.mktemp("torch")
    weights = home / "hub" / "checkpoints" / WEIGHTS_FILE
    weights.parent.mkdir(parents=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other on a busy machine
    torch.manual_seed(0)
    torch.save(FAN(4).state_dict(), weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        forbid_downloads(patch)
        yield weights
    weights.unlink()  # 95 MB
    torch.set_num_threads(threads)


def forbid_downloads(patch: pytest.MonkeyPatch) -> None:
    import face_alignment.utils

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was about to be downloaded")

    patch.setattr(face_alignment.utils, "download_url_to_file", refuse)


def test_face_alignment_works_with_weights_in_the_cache(made_weights: Path, frames: list[Frame]) -> None:
    """The package's own network, its own decoding of the same heat maps: within what its rounding allows."""
    from face_alignment.utils import get_preds_fromhm

    assert status_of("face-alignment").ready
    model = FaceAlignment68()
    assert hashlib.sha256(made_weights.read_bytes()).hexdigest()[:12] in model.version
    square = Square((frames[0].width / 2, frames[0].height / 2), 200)
    points = model.place(frames[0], square)
    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    crop = frames[0].rgb_warped(square.to_crop(INPUT_SIZE), INPUT_SIZE, INPUT_SIZE)
    heatmaps = model._heatmaps(crop)
    assert heatmaps.shape == (68, HEATMAP_SIZE, HEATMAP_SIZE)
    theirs = (get_preds_fromhm(heatmaps[None])[0][0] / HEATMAP_SIZE - 0.5) * square.side + square.centre
    assert np.abs(points - theirs).max() <= 0.76 * square.side / HEATMAP_SIZE + 1


@needs_face_alignment
def test_face_alignment_reads_heat_maps_as_the_package_does() -> None:
    """The package rounds to quarters of a heat map's pixel: half a pixel apart at most, and alike on average."""
    from face_alignment.utils import get_preds_fromhm

    places = np.random.default_rng(3).uniform(4, HEATMAP_SIZE - 4, (68, 2))
    theirs = get_preds_fromhm(gaussians(places)[None])[0][0]
    ours = peaks(gaussians(places))
    assert np.abs(ours - theirs).max() < 0.5
    assert np.abs((ours - theirs).mean(axis=0)).max() < 0.05


@needs_face_alignment
def test_face_alignment_crops_as_the_package_does(frames: list[Frame], mesh_points: np.ndarray) -> None:
    """The package's crop is made of whole pixels of the frame: alike within about one of them."""
    from face_alignment.utils import CENTER_Y_OFFSET, REFERENCE_SCALE, crop

    low, high = mesh_points[0].min(axis=0), mesh_points[0].max(axis=0)
    middle, side = (low + high) / 2, float((high - low).max())
    centre = [float(middle[0]), float(middle[1]) - CENTER_Y_OFFSET * side]
    theirs = crop(frames[0].rgb(), centre, 2 * side / REFERENCE_SCALE)
    square = _crop_of_box(mesh_points[0], 1.0)
    ours = frames[0].rgb_warped(square.to_crop(INPUT_SIZE), INPUT_SIZE, INPUT_SIZE)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (theirs, ours)]
    (x, y), _ = cv2.phaseCorrelate(grey[0], grey[1])
    assert max(abs(x), abs(y)) < 1.5 * max(1, INPUT_SIZE / square.side)


@needs_face_alignment
def test_face_alignment_without_weights_says_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    forbid_downloads(monkeypatch)
    assert not status_of("face-alignment").ready
    assert str(tmp_path) in status_of("face-alignment").detail
    with pytest.raises(ModelError, match=WEIGHTS_FILE) as caught:
        landmarker("face-alignment")
    assert "https://" in caught.value.hint
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / WEIGHTS_FILE).write_bytes(b"cut off")
    with pytest.raises(ModelError, match="does not hold the weights"):
        landmarker("face-alignment")


# Landmarks from a table


def face_at(x: float, y: float, size: float = 60) -> np.ndarray:
    """(68, 2) points in a square around a place."""
    unit = np.random.default_rng(0).uniform(-0.5, 0.5, (68, 2))
    return (unit * size + [x, y]).astype(np.float32)


@pytest.fixture(scope="module")
def small_frames(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    grey = [np.full((120, 320, 3), 128, np.uint8)] * 6
    with VideoReader(write_video(tmp_path_factory.mktemp("table") / "grey.mp4", grey)) as reader:
        return list(reader)


def test_table_feeds_a_tracker(small_frames: list[Frame]) -> None:
    table = np.stack([face_at(100 + 2 * i, 60) for i in range(6)])
    table[3, 5, 0] = np.nan
    steps = list(FaceTracker(TableLandmarker(table)).run(small_frames))
    assert [list(step.seen) for step in steps] == [[0], [0], [0], [], [0], [0]]
    assert steps[3].missing == (0,)
    for i in (0, 1, 2, 4, 5):
        np.testing.assert_array_equal(steps[i].seen[0].landmarks, table[i])


@pytest.mark.parametrize("numbered", [True, False])
def test_table_of_several_faces_keeps_them_apart(numbered: bool, small_frames: list[Frame]) -> None:
    left = np.stack([face_at(60 + i, 60) for i in range(6)])
    right = np.stack([face_at(220 - i, 60, 90) for i in range(6)])
    rows = np.stack([right, left], axis=1).reshape(12, 68, 2)
    finder = TableLandmarker(rows, np.tile([7, 3], 6) if numbered else None, frames=np.repeat(np.arange(6), 2))
    assert [face.landmarks[0, 0] for face in finder.search(small_frames[2])] == [right[2, 0, 0], left[2, 0, 0]]
    steps = list(FaceTracker(finder).run(small_frames))
    for i, step in enumerate(steps):
        np.testing.assert_array_equal(step.seen[0].landmarks, right[i])
        np.testing.assert_array_equal(step.seen[1].landmarks, left[i])


def test_table_with_numbers_and_no_frames_counts_each_face(small_frames: list[Frame]) -> None:
    rows = np.stack([face_at(60, 60), face_at(62, 60), face_at(220, 60), face_at(222, 60)])
    finder = TableLandmarker(rows, [0, 0, 1, 1])
    assert [len(finder.search(frame)) for frame in small_frames[:3]] == [2, 2, 0]
    first = finder.search(small_frames[0])
    assert finder.search(small_frames[0], first[:1]) == first[1:]


def test_table_version_changes_with_the_landmarks() -> None:
    rows = np.stack([face_at(60, 60), face_at(62, 60)])
    same, moved = TableLandmarker(rows.copy()), TableLandmarker(rows + 0.01)
    assert TableLandmarker(rows).version == same.version != moved.version
    assert TableLandmarker(rows, frames=[1, 2]).version != same.version
    assert TableLandmarker(rows, name="openface").name == "openface"


@pytest.mark.parametrize(
    ("shape", "columns", "message"),
    [
        ((4, 136), {}, r"\(4, 136\)"),
        ((4, 67, 2), {}, r"\(4, 67, 2\)"),
        ((4, 68, 2), {"faces": [0, 1]}, "face numbers"),
        ((4, 68, 2), {"frames": [0, 1]}, "frame indices"),
        ((4, 68, 2), {"confidence": [1.0]}, "confidences"),
        ((4, 68, 2), {"faces": [0, 0, 1, 1], "frames": [5, 5, 5, 5]}, "Face 0 is twice in frame 5"),
    ],
)
def test_table_that_does_not_go_together_is_refused(
    shape: tuple[int, ...], columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(SequenceError, match=message):
        TableLandmarker(np.random.default_rng(0).uniform(0, 99, shape), **columns)


# The registry and the command


def status_of(name: str) -> registry.LandmarkerStatus:
    return next(s for s in landmarker_status() if s.name == name)


def test_status_has_every_name_and_tells_the_truth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    status = landmarker_status()
    assert tuple(s.name for s in status) == landmarker_names()
    for s in status:
        if s.name in ("openface", "arrays"):
            continue
        if s.ready:
            assert landmarker(s.name).name == s.name
        else:
            with pytest.raises(LrnetError):
                landmarker(s.name)


@pytest.mark.parametrize("name", ["openface", "arrays"])
def test_landmarks_from_files_need_the_file(name: str) -> None:
    with pytest.raises(ModelError, match="come with each video"):
        landmarker(name)


def test_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="mesh, mesh68, face-api, dlib"):
        landmarker("mash")


@pytest.mark.parametrize("name", ["dlib", "face-alignment"])
def test_missing_extra_names_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (optional, registry):
        monkeypatch.setattr(module, "installed", lambda _: False)
    assert not status_of(name).ready
    assert status_of(name).detail == install_command(name)
    with pytest.raises(MissingDependencyError) as caught:
        landmarker(name)
    assert install_command(name) in caught.value.hint


@pytest.mark.parametrize("error", [ImportError, OSError])
def test_an_extra_that_does_not_load_is_told(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel for another processor, a library that is missing: it is there, and importing it fails."""

    def fail(name: str) -> None:
        raise error("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(optional, "installed", lambda _: True)
    monkeypatch.setattr(optional.importlib, "import_module", fail)
    with pytest.raises(MissingDependencyError, match=r"dlib is installed, but .*libcudart"):
        optional.require("dlib", "dlib")


def test_list_command_fits_a_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["landmarks", "list"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == 0
    table = result.output.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 80
    for name in landmarker_names():
        assert any(line.startswith(name) for line in table)
    assert "no commercial use" in " ".join(" ".join(line[45:].split()) for line in table)
