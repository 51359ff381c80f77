"""Frames whose motion is known, against a spot's centre of gravity; and the figures, against closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from lrnet.errors import SequenceError
from lrnet.experiments.known_motion import CONDITIONS, PATHS, SHRUNK, measure, moving_frames, picture_of, shake_of
from lrnet.faces import landmarker
from lrnet.faces.landmarker import FaceObservation
from lrnet.video.frame import Frame

FACE = np.random.default_rng(3).uniform(60, 220, (68, 2))  # picture pixels
BLANK = np.full((240, 320, 3), 90, np.uint8)


class KnowsTheWay:
    """Places the points of `FACE` where the path has them, and then errs by itself."""

    name, version, shareable = "knows", "1", False

    def __init__(self, matrices: Sequence[np.ndarray], rounding: bool = False, noise: float = 0.0) -> None:
        self._matrices, self._rounding, self._noise = matrices, rounding, noise
        self._draw = np.random.default_rng(0)

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        return [self.follow(frame, None)]

    def follow(self, frame: Frame, last: FaceObservation | None) -> FaceObservation:
        matrix = self._matrices[frame.index]
        points = FACE @ matrix[:, :2].T + matrix[:, 2] + self._noise * self._draw.normal(size=(68, 2))
        return FaceObservation(np.asarray(points.round() if self._rounding else points, np.float32), 1.0)


@pytest.mark.parametrize("path", [*PATHS, "small", "tilted"])
def test_frames_move_as_the_path_says(path: str) -> None:
    x, y = np.meshgrid(np.arange(320), np.arange(240))
    spot = 120 * np.exp(-((x - 150.3) ** 2 + (y - 133.8) ** 2) / (2 * 9**2))
    picture = np.repeat((60 + spot).round().astype(np.uint8)[..., None], 3, axis=2)
    for frame, matrix in moving_frames(picture, (PATHS | CONDITIONS)[path], 24, noise=0):
        light = np.clip(frame.luma.astype(np.float64) - np.median(frame.luma) - 3, 0, None)
        rows, columns = np.indices(light.shape)
        centre = np.array([(columns * light).sum(), (rows * light).sum()]) / light.sum()
        np.testing.assert_allclose(centre, matrix @ [150.3, 133.8, 1], atol=0.03)


def test_figures_are_those_of_closed_forms() -> None:
    unit = SHRUNK * np.linalg.norm(FACE[36] - FACE[45]) / 100
    frames = moving_frames(BLANK, PATHS["shifted"], 200, noise=0)
    matrices = [matrix for _, matrix in frames]
    right = shake_of(frames, KnowsTheWay(matrices))
    assert right.shake < 1e-3
    assert right.jitter < 1e-3
    assert right.found == 1
    assert shake_of(frames, KnowsTheWay(matrices, rounding=True)).shake * unit == pytest.approx(
        np.sqrt(1 / 6), rel=0.05
    )
    noisy = shake_of(frames, KnowsTheWay(matrices, noise=0.2))
    assert noisy.shake * unit == pytest.approx(0.2 * np.sqrt(2), rel=0.02)
    assert noisy.jitter * unit == pytest.approx(0.2 * 2.884, rel=0.02)
    turned = moving_frames(BLANK, PATHS["turned"], 20, noise=0)
    assert shake_of(turned, KnowsTheWay([matrix for _, matrix in turned])).shake < 1e-3


def test_the_mesh_shakes_little_and_less_than_face_api_but_more_than_its_student(examples: Path) -> None:
    finders = [landmarker("mesh"), landmarker("face-api"), landmarker("mesh68")]
    found = measure([picture_of(examples / "real.mp4", finders[0])], finders, 16)
    assert len(found) == 3 * len(PATHS)
    assert all(shake.found == 1 for shake in found.values())
    assert 0.1 < found["mesh", "shifted"].shake < found["face-api", "shifted"].shake < 2
    for path in PATHS:
        assert found["mesh68", path].shake < 0.9 * found["mesh", path].shake
        assert found["mesh68", path].jitter < 0.6 * found["mesh", path].jitter


def test_dark_and_coarse_frames_are_so() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)

    def pictures(path: str) -> np.ndarray:
        return np.array([frame.rgb() for frame, _ in moving_frames(picture, (PATHS | CONDITIONS)[path], 3, noise=0)])

    plain, dark, coarse = pictures("shifted"), pictures("dark"), pictures("coarse")
    assert dark.mean() == pytest.approx(plain.mean() / 5, abs=1)
    assert 3 < np.abs(coarse.astype(float) - plain).mean() < 30


def test_a_picture_without_a_face_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), BLANK)
    with pytest.raises(SequenceError, match=r"No face is found in .*grey\.png"):
        picture_of(tmp_path / "grey.png", landmarker("mesh"))
