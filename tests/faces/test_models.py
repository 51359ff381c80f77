"""The vendored models against their originals, and the geometry around them against closed forms.

`golden/tflite_parity.npz` holds what the original TensorFlow Lite models answer for the public-domain
portrait `skimage.data.astronaut`; `tools/build_landmark_models.py --check` writes it.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrnet.errors import ModelError
from lrnet.faces import models
from lrnet.faces.blazeface import FaceDetector, Letterbox, blend_overlapping, decode, intersection_over_union
from lrnet.faces.face_mesh import (
    CROP_SIZE,
    MESH_POINTS,
    MESH_TO_68,
    FaceMesh,
    RegionOfInterest,
    crop,
    points_to_frame,
    roi_from_detection,
    roi_from_landmarks,
    to_68,
)

NAMES = ("blazeface_full_range", "face_mesh_v2", "face_api_68", "mesh68")
PARITY_PX = 1e-3
# Read off the portrait (512 x 512) by eye: hairline to chin, ear to ear; the eyes' and mouth's middles.
FACE_BOX = np.array([175, 78, 278, 190])
EYES_AND_MOUTH = np.array([[202, 100], [249, 102], [223, 145]])


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "golden" / "tflite_parity.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    return FaceMesh()


@pytest.fixture(scope="module")
def portrait(golden: dict[str, np.ndarray]) -> np.ndarray:
    """The astronaut at 192 x 192."""
    return golden["blazeface_full_range_image"][0]


# Files


@pytest.mark.parametrize("name", NAMES)
def test_file_is_the_one_described(name: str) -> None:
    described = models.description(name)
    assert hashlib.sha256((models.FOLDER / described["file"]).read_bytes()).hexdigest() == described["sha256"]


@pytest.mark.parametrize("name", NAMES)
def test_file_names_no_place_on_the_machine_that_built_it(name: str) -> None:
    data = (models.FOLDER / models.description(name)["file"]).read_bytes()
    assert not [word for word in (b"/tmp", b"/home", b"/root", b"/work", b"site-packages") if word in data]


def test_unknown_model_is_refused() -> None:
    with pytest.raises(ModelError, match="face_mesh_v2"):
        models.open_session("face_mesh_v9")


def test_changed_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models.json").write_text(json.dumps({"models": {"m": {"file": "m.onnx", "sha256": "0" * 64}}}))
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        models.open_session("m")
    (tmp_path / "m.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match="expected 000"):
        models.open_session("m")


# Parity with TensorFlow Lite


@pytest.mark.parametrize(
    ("name", "output", "tolerance"),
    [
        ("blazeface_full_range", "boxes", PARITY_PX),
        ("blazeface_full_range", "score_logits", 1e-4),
        ("face_mesh_v2", "points", PARITY_PX),
        ("face_mesh_v2", "presence_logit", 1e-3),
    ],
)
def test_outputs_equal_the_original_models(
    name: str, output: str, tolerance: float, golden: dict[str, np.ndarray]
) -> None:
    (found,) = models.open_session(name).run([output], {"image": golden[f"{name}_image"]})
    assert found.shape == golden[f"{name}_{output}"].shape
    assert np.abs(found - golden[f"{name}_{output}"]).max() <= tolerance


# Detector


def test_decode_follows_the_anchors() -> None:
    raw, logits = np.zeros((2304, 16), np.float32), np.full(2304, -9, np.float32)
    raw[48 * 10 + 3, :6] = [1, -2, 20, 10, 5, 6]
    logits[48 * 10 + 3] = math.log(3)
    boxes, keypoints, scores = decode(raw, logits, 0.5)
    # The anchor, in the middle of the cell in row 10 and column 3: x = 3.5 * 4 = 14, y = 10.5 * 4 = 42.
    np.testing.assert_allclose(boxes, [[14 + 1 - 10, 42 - 2 - 5, 14 + 1 + 10, 42 - 2 + 5]])
    np.testing.assert_allclose(keypoints[0, 0], [14 + 5, 42 + 6])
    np.testing.assert_allclose(scores, [0.75], rtol=1e-6)


def test_decode_survives_extreme_logits() -> None:
    with np.errstate(all="raise"):
        _, _, scores = decode(np.zeros((2304, 16), np.float32), np.full(2304, 1e4, np.float32), 0.5)
    np.testing.assert_allclose(scores, 1)


@pytest.mark.parametrize(
    ("boxes", "scores", "expected_boxes", "expected_scores"),
    [
        ([], [], [], []),
        ([[0, 0, 10, 10]], [0.7], [[0, 0, 10, 10]], [0.7]),
        ([[0, 0, 10, 10], [2, 0, 12, 10]], [0.6, 0.9], [[1.2, 0, 11.2, 10]], [0.9]),
        ([[0, 0, 9, 9], [20, 0, 29, 9]], [0.6, 0.9], [[20, 0, 29, 9], [0, 0, 9, 9]], [0.9, 0.6]),
        ([[5, 5, 5, 5], [5, 5, 5, 5]], [0.9, 0.6], [[5, 5, 5, 5], [5, 5, 5, 5]], [0.9, 0.6]),
    ],
    ids=["none", "one", "merged by score", "apart, best first", "empty boxes"],
)
def test_overlapping_detections_are_blended(
    boxes: list[list[float]],
    scores: list[float],
    expected_boxes: list[list[float]],
    expected_scores: list[float],
) -> None:
    given = np.array(boxes, np.float32).reshape(-1, 4)
    keypoints = np.repeat(given[:, None, :2], 6, axis=1)
    blended, points, kept = blend_overlapping(given, keypoints, np.array(scores, np.float32), 0.3)
    expected = np.array(expected_boxes, np.float32).reshape(-1, 4)
    np.testing.assert_allclose(blended, expected, rtol=1e-6)
    np.testing.assert_allclose(points, np.repeat(expected[:, None, :2], 6, axis=1), rtol=1e-6)
    np.testing.assert_allclose(kept, np.array(expected_scores, np.float32))


def test_intersection_over_union_of_known_boxes() -> None:
    found = intersection_over_union(np.array([[0, 0, 4, 4], [2, 0, 6, 4], [9, 9, 10, 10]], np.float32))
    np.testing.assert_allclose(found, [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "margins"),
    [((512, 512), (0, 0, 0, 0)), ((512, 512), (100, 300, 0, 400)), ((1024, 1024), (0, 0, 500, 0))],
    ids=["square", "wide, off the middle", "tall, twice the size"],
)
def test_detector_finds_the_face_at_its_place(
    size: tuple[int, int], margins: tuple[int, int, int, int], portrait: np.ndarray, detector: FaceDetector
) -> None:
    top, bottom, left, right = margins
    enlarged = cv2.resize(portrait, size, interpolation=cv2.INTER_LINEAR)
    frame = cv2.copyMakeBorder(enlarged, top, bottom, left, right, cv2.BORDER_CONSTANT)
    found = detector.detect(frame)
    assert len(found) == 1
    zoom = size[0] / 512
    corner = np.array([left, top])
    expected = FACE_BOX * zoom + np.tile(corner, 2)
    pair = np.stack([found.boxes[0], expected]).astype(np.float32)
    assert intersection_over_union(pair)[0, 1] > 0.6
    places = EYES_AND_MOUTH * zoom + corner
    assert np.abs(found.keypoints[0, [0, 1, 3]] - places).max() < 12 * zoom
    assert 0.5 <= found.scores[0] <= 1


def test_detector_finds_nobody_in_an_empty_frame(detector: FaceDetector) -> None:
    found = detector.detect(np.zeros((90, 160, 3), np.uint8))
    assert (found.boxes.shape, found.keypoints.shape, found.scores.shape) == ((0, 4), (0, 6, 2), (0,))


def test_letterboxed_frame_gives_the_same_faces(portrait: np.ndarray, detector: FaceDetector) -> None:
    frame = cv2.copyMakeBorder(portrait, 0, 0, 33, 90, cv2.BORDER_CONSTANT)
    box = Letterbox.of_frame(frame.shape[1], frame.shape[0])
    direct = detector.detect(frame)
    square = detector.detect_letterboxed(box.apply(frame), box.scale_xy, box.offset_xy)
    np.testing.assert_array_equal(direct.boxes, square.boxes)


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (480, 853), (192, 192), (7, 3000)])
def test_letterbox_fits_the_square(width: int, height: int) -> None:
    box = Letterbox.of_frame(width, height)
    assert max(box.width, box.height) == 192
    assert box.scale_xy == (box.width / width, box.height / height)
    assert box.apply(np.zeros((height, width, 3), np.uint8)).shape == (192, 192, 3)


# Regions of interest

ROIS = [
    RegionOfInterest(300.25, 200.75, 256, 0),
    RegionOfInterest(127.5, 127.5, 256, 0),
    RegionOfInterest(640.1, 360.9, 123.4, 0.5),
    RegionOfInterest(-20, 900, 700.7, -2.9),
]


@pytest.mark.parametrize("roi", ROIS)
def test_crop_to_frame_follows_the_closed_form(roi: RegionOfInterest) -> None:
    points = np.random.default_rng(7).uniform(-20, 280, (50, 2)).astype(np.float32)
    across = (points + 0.5) / CROP_SIZE - 0.5  # -0.5..0.5 from edge to edge of the square
    rotated = (across[:, 0] + 1j * across[:, 1]) * np.exp(1j * roi.angle) * roi.size
    expected = np.stack([rotated.real + roi.center_x, rotated.imag + roi.center_y], axis=-1)
    found = points_to_frame(points, roi)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_crop_of_whole_pixels_copies_them() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    roi = RegionOfInterest(100 + 127.5, 60 + 127.5, 256, 0)
    np.testing.assert_array_equal(crop(frame, roi), frame[60:316, 100:356])


def test_crop_and_points_agree_on_where_things_are() -> None:
    spot = np.array([311.3, 222.8])
    y, x = np.mgrid[:480, :640]
    blob = 250 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * 6**2))
    roi = RegionOfInterest(300, 230, 180, 0.7)
    seen = crop(np.repeat(blob.astype(np.uint8)[..., None], 3, axis=-1), roi)[..., 0].astype(np.float64)
    weights = np.where(seen > 20, seen, 0)
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    centroid = np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()
    np.testing.assert_allclose(points_to_frame(centroid.astype(np.float32), roi), spot, atol=0.05)


def test_region_from_a_detection_levels_the_eyes() -> None:
    keypoints = np.zeros((6, 2), np.float32)
    keypoints[:2] = [[10, 20], [40, 50]]
    roi = roi_from_detection(np.array([10, 20, 50, 100], np.float32), keypoints)
    assert roi == RegionOfInterest(30, 60, 1.5 * 80, pytest.approx(math.pi / 4))


@pytest.mark.parametrize("angle", [0, 0.4, -1.2, 3.0])
def test_region_from_landmarks_turns_with_the_head(angle: float) -> None:
    upright = np.random.default_rng(3).uniform(-30, 30, (MESH_POINTS, 2)).astype(np.float32)
    upright[0], upright[1] = [-40, -50], [40, 70]  # the box: 80 x 120 around (0, 10)
    upright[33], upright[263] = [-20, -5], [20, -5]
    turned = (upright[:, 0] + 1j * upright[:, 1]) * np.exp(1j * angle)
    points = np.stack([turned.real + 500, turned.imag + 300], axis=-1).astype(np.float32)
    middle = 10j * np.exp(1j * angle)
    roi = roi_from_landmarks(points)
    assert roi.angle == pytest.approx(angle, abs=1e-5)
    assert roi.size == pytest.approx(1.5 * 120, abs=1e-3)
    assert (roi.center_x, roi.center_y) == pytest.approx((500 + middle.real, 300 + middle.imag), abs=1e-3)


# Mesh


def test_mesh_points_are_the_original_models_in_pixels_of_the_crop(
    golden: dict[str, np.ndarray], mesh: FaceMesh
) -> None:
    points, confidence = mesh.landmarks(golden["face_mesh_v2_image"][0])
    expected = golden["face_mesh_v2_points"][0, :, :2] - 0.5  # counted from the first pixel's centre
    assert points.shape == (MESH_POINTS, 2)
    assert points.dtype == np.float32
    assert np.abs(points - expected).max() <= PARITY_PX
    assert confidence > 0.99


def test_mesh_has_no_confidence_without_a_face(mesh: FaceMesh) -> None:
    assert mesh.landmarks(np.zeros((256, 256, 3), np.uint8))[1] < 0.01


def test_batch_gives_what_single_calls_give(golden: dict[str, np.ndarray], mesh: FaceMesh) -> None:
    face = golden["face_mesh_v2_image"][0]
    crops = np.stack([face, face[:, ::-1], np.zeros_like(face)])
    points, confidence = mesh.landmarks_batch(crops)
    for index, one in enumerate(crops):
        single_points, single_confidence = mesh.landmarks(one)
        np.testing.assert_allclose(points[index], single_points, atol=PARITY_PX)
        assert confidence[index] == pytest.approx(single_confidence, abs=1e-5)


def test_flipped_face_gives_mirrored_landmarks(golden: dict[str, np.ndarray], mesh: FaceMesh) -> None:
    """Holds only if the half pixel is on the right side: mirrored pixel centres add up to 255."""
    face = golden["face_mesh_v2_image"][0]
    (straight, flipped), _ = mesh.landmarks_batch(np.stack([face, face[:, ::-1]]))
    assert np.mean(straight[:, 0] + flipped[:, 0]) == pytest.approx(255, abs=0.9)


def test_detection_and_mesh_agree_on_the_portrait(portrait: np.ndarray, detector: FaceDetector, mesh: FaceMesh) -> None:
    frame = cv2.resize(portrait, (512, 512), interpolation=cv2.INTER_LINEAR)
    found = detector.detect(frame)
    roi = roi_from_detection(found.boxes[0], found.keypoints[0])
    points, confidence = mesh.landmarks(crop(frame, roi))
    landmarks = to_68(points_to_frame(points, roi))
    assert confidence > 0.99
    middles = [landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0), landmarks[48:60].mean(axis=0)]
    assert np.abs(np.array(middles) - EYES_AND_MOUTH).max() < 8


def test_to_68_averages_the_table() -> None:
    points = np.random.default_rng(5).normal(size=(3, MESH_POINTS, 2)).astype(np.float32)
    found = to_68(points)
    assert found.shape == (3, 68, 2)
    assert found.dtype == np.float32
    for place, indices in enumerate(MESH_TO_68):
        np.testing.assert_allclose(found[:, place], points[:, list(indices)].mean(axis=1), atol=1e-6)


def test_table_mirrors_itself_across_the_face(golden: dict[str, np.ndarray]) -> None:
    """Right and left landmarks of the iBUG order stand on their own sides of a nearly frontal face."""
    landmarks = to_68(golden["face_mesh_v2_points"][0, :, :2])
    right, left = [*range(8), *range(17, 22), *range(36, 42)], [*range(9, 17), *range(22, 27), *range(42, 48)]
    assert landmarks[right, 0].max() < landmarks[27, 0] < landmarks[left, 0].min()
