"""The script that trains a student of the mesh: what it cuts out, its labels, a few steps, and what it exports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra train is not installed")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx", reason="onnx is not installed")

from tools import train_landmarker as kit  # noqa: E402

from lrnet.data.records import Label, VideoRecord  # noqa: E402
from lrnet.errors import TrainingError  # noqa: E402
from lrnet.sequence.landmark_sequence import MIRROR  # noqa: E402
from lrnet.video.reader import VideoReader  # noqa: E402

QUICK = kit.Settings(steps=3, pairs=2)


@pytest.fixture(scope="module")
def looks() -> kit.Looks:
    """Drawn faces: a spot at each of 68 points, the same ones about an ellipse, on grey."""
    draw = np.random.default_rng(0)
    angle = np.linspace(0.3, 2 * np.pi + 0.2, 68)
    base = 119.5 + 60 * np.column_stack([np.cos(angle), np.sin(angle)]) * np.linspace(1, 0.3, 68)[:, None]
    pictures, points = [], []
    for _ in range(3):
        places = (base + draw.normal(0, 2, (2, 68, 2))).astype(np.float32)
        pictures.append([drawn(p) for p in places])
        points.append(places)
    return kit.Looks(np.array(pictures, np.uint8), np.array(points, np.float32))


def drawn(places: np.ndarray, side: int = kit.CACHE) -> np.ndarray:
    rows, columns = np.indices((side, side))
    light = sum(np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8) for x, y in places)
    return np.clip(60 + 150 * np.asarray(light), 0, 255).astype(np.uint8)


def centre(picture: np.ndarray) -> np.ndarray:
    """Centre of gravity of a bright spot, (x, y)."""
    light = np.clip(picture.astype(np.float64) - 65, 0, None)
    rows, columns = np.indices(light.shape)
    return np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()


@pytest.mark.parametrize("zoom", [1.3, 0.8, 0.4])  # the last is averaged first
def test_a_point_lies_where_its_pixels_are_after_cutting(zoom: float) -> None:
    picture = cv2.GaussianBlur(drawn(np.array([[130.4, 111.7]])), (0, 0), 4)
    picture = cv2.normalize(picture, None, 60, 210, cv2.NORM_MINMAX)
    turn = zoom * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    matrix = np.column_stack([turn, np.array([63.5, 63.5]) - turn @ [125, 115]])
    found = centre(kit.cut(picture, matrix, kit.INPUT))
    np.testing.assert_allclose(found, kit.moved(np.array([[130.4, 111.7]]), matrix)[0], atol=0.05)


def test_labels_stay_on_their_pixels(looks: kit.Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the shift, turn and mirror of training: bright where a label is, on average."""
    monkeypatch.setattr(kit, "coarsened", lambda picture, *_: picture)
    for i in range(8):
        seen, labels = kit.drawn_pair(looks.pictures[0], looks.points[0], np.random.default_rng(i))
        for picture, at in zip(seen, labels, strict=True):
            x, y = np.clip(at.round().astype(int), 0, kit.INPUT - 1).T
            assert picture[y, x].mean() > picture.mean() + 40


def test_a_mirrored_face_has_left_and_right_exchanged(looks: kit.Looks) -> None:
    """The jaw begins on the left in a mirrored face too; which end of it lies lower changes."""
    places = np.column_stack([np.linspace(40, 200, 68), np.full(68, 120.0)]).astype(np.float32)
    places[:17, 1] += 2 * np.arange(17)
    ends = []
    for i in range(12):
        _, (at, _) = kit.drawn_pair(looks.pictures[0], np.stack([places, places]), np.random.default_rng(i))
        ends.append(np.sign(at[16] - at[0]))
    assert {x for x, _ in ends} == {1.0}
    assert {y for _, y in ends} == {-1.0, 1.0}
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))


def test_the_mean_of_a_heat_map_lies_between_cells() -> None:
    maps = torch.full((1, 68, 32, 32), -30.0)
    maps[..., 10, 20] = maps[..., 10, 21] = 5.0
    np.testing.assert_allclose(kit.points_of(maps)[0, 0], [20.5 * 4 + 1.5, 10 * 4 + 1.5], atol=1e-3)


@pytest.mark.parametrize(("moved", "openings"), [(range(68), 0.0), ((61, 62, 63), 2 * 3 / kit.OPPOSITE.size)])
def test_openings_count_what_opens_and_not_what_moves_as_a_whole(moved: Iterable[int], openings: float) -> None:
    """All points 2 pixels lower, or the upper lip alone."""
    labels = torch.from_numpy(np.random.default_rng(0).uniform(40, 90, (2, 68, 2)).astype(np.float32))
    placed = labels.clone()
    placed[:, list(moved), 1] += 2

    class Shown(kit.Student):
        def logits(self, luma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            at = kit.cells(32)
            x, y = (-0.5 * ((placed[..., i, None] - at) / 3) ** 2 for i in (0, 1))
            return y[..., :, None] + x[..., None, :], torch.zeros(2)

    _, parts = kit.loss_of(Shown(), torch.zeros(2, 128, 128, dtype=torch.uint8), labels, QUICK)
    assert parts["openings"] == pytest.approx(openings, abs=1e-3)
    assert parts["points"] > 0.02


def test_a_run_that_was_stopped_gives_the_same_network(looks: kit.Looks, tmp_path: Path) -> None:
    whole = kit.fit(looks, QUICK, tmp_path / "whole.pt")
    kit.fit(looks, QUICK, tmp_path / "parts.pt", until=1e-9)
    assert torch.load(tmp_path / "parts.pt", weights_only=True)["step"] == 1
    again = kit.fit(looks, QUICK, tmp_path / "parts.pt")
    for ours, theirs in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_run_goes_on_under_its_own_settings_only(looks: kit.Looks, tmp_path: Path) -> None:
    kit.fit(looks, QUICK, tmp_path / "run.pt", until=1e-9)
    with pytest.raises(TrainingError, match="other settings"):
        kit.fit(looks, replace(QUICK, steps=4), tmp_path / "run.pt")


def test_the_exported_model_gives_what_the_network_gives(looks: kit.Looks, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = kit.Student().eval()
    kit.to_onnx(net, tmp_path / "student.onnx")
    assert (tmp_path / "student.onnx").stat().st_size < 2_000_000
    luma, _ = kit.batch_of(looks, QUICK, 0)
    points, logit = onnxruntime.InferenceSession(str(tmp_path / "student.onnx")).run(None, {"luma": luma.numpy()})
    with torch.no_grad():
        ours = net(luma)
    np.testing.assert_allclose(points, ours[0].numpy(), atol=1e-3)
    np.testing.assert_allclose(logit, ours[1].numpy(), atol=1e-4)


def test_labels_are_the_mean_of_what_the_mesh_sees(examples: Path) -> None:
    teacher = kit.Teacher(looks=6)
    with VideoReader(examples / "real.mp4") as reader:
        (frame,) = islice(reader, 1)
    (face,) = teacher.finder.search(frame)
    one, two = (teacher.label(frame, face, np.random.default_rng(seed)) for seed in (0, 1))
    assert one is not None
    assert two is not None
    unit = np.linalg.norm(face.landmarks[36] - face.landmarks[45])
    away = np.linalg.norm(one - face.landmarks, axis=1).mean() / unit
    assert 0 < np.linalg.norm(one - two, axis=1).mean() / unit < away + 0.01
    assert away < 0.02


def test_a_still_picture_is_a_pair_of_itself(examples: Path, tmp_path: Path) -> None:
    with VideoReader(examples / "real.mp4") as reader:
        picture = next(iter(reader)).rgb()
    still = tmp_path / "still.png"
    cv2.imwrite(str(still), picture[..., ::-1])
    record = VideoRecord(still, "still", Label.REAL, method="", source="stills", split="", group="somebody")
    ((pictures, points),) = kit.pairs_of(record, 4, kit.Teacher(looks=3))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(points[0], points[1])
