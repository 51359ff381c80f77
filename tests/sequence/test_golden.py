"""The calibrator against the released one's own output on the released example."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.sequence import CalibrationSpec, Calibrator, SequenceSpec
from lrnet.video.reader import VideoReader

CROP = 400


def openface_landmarks(path: Path) -> NDArray[np.float64]:
    """(N, 68, 2) frame pixels of the first face in an OpenFace CSV."""
    with path.open(newline="") as file:
        rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(file)]
    return np.array([[[float(r[f"{axis}_{i}"]) for axis in "xy"] for i in range(68)] for r in rows])


class WholePixelCrop:
    """The released code's crop: on whole pixels, 1.2 times the mean face size, its centre held within 1.42 pixels."""

    def __init__(self, landmarks: NDArray[np.float64]) -> None:
        sizes = (landmarks.max(axis=1) - landmarks.min(axis=1)).max(axis=1)
        self._side = int(np.rint(sizes.mean()) * 1.2) // 2 * 2
        self._middle: NDArray[np.float64] | None = None

    def cut(
        self, frame: NDArray[np.uint8], shape: NDArray[np.float64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        middle = (shape.min(axis=0) + shape.max(axis=0)) // 2
        if self._middle is None or np.linalg.norm(middle - self._middle) >= 1.42:
            self._middle = middle
        left, top = (int(max(c - self._side // 2, 0)) for c in self._middle)
        height, width = frame.shape[:2]
        side = min(self._side, width - left, height - top)
        part = frame[top : top + side, left : left + side]
        how = cv2.INTER_CUBIC if side < CROP else cv2.INTER_AREA
        return cv2.resize(part, (CROP, CROP), interpolation=how), (shape - [left, top]) * (CROP / side)


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "reference" / "upstream" / "calibration"


@pytest.fixture(scope="module")
def calibrated(golden: Path) -> dict[bool, NDArray[np.float64]]:
    """(N, 136) normalised with and without rounding, through the released code's crops."""
    # The released code's window, and OpenCV's own threshold, which it left as it is.
    flow = CalibrationSpec(window=15, min_eigenvalue=1e-4)
    calibrators = {r: Calibrator(SequenceSpec(calibration=flow, round_to_pixels=r)) for r in (True, False)}
    rows: dict[bool, list[NDArray[np.float32]]] = {True: [], False: []}
    landmarks = openface_landmarks(golden / "000_003.csv")
    crop = WholePixelCrop(landmarks)
    with VideoReader(golden / "000_003.mp4") as reader:
        for frame, shape in zip(reader, landmarks, strict=True):
            bgr = np.ascontiguousarray(frame.rgb()[:, :, ::-1])
            face, points = crop.cut(bgr, shape)
            for rounding, calibrator in calibrators.items():
                rows[rounding].append(calibrator.step(face, points.astype(np.float32)).points)
    middle = CROP / 2
    return {r: (np.array(some, np.float64).reshape(-1, 136) - middle) / middle for r, some in rows.items()}


def test_rounded_calibration_equals_the_released_output(
    golden: Path, calibrated: dict[bool, NDArray[np.float64]]
) -> None:
    expected = np.loadtxt(golden / "000_003.calibrated.txt")
    ours = calibrated[True]
    assert ours.shape == expected.shape
    within = np.abs(ours - expected) <= 1 / 200 + 1e-6
    assert within.mean() >= 0.99, f"{within.mean():.2%} of coordinates within one unit of the rounding"


def test_without_rounding_results_stay_within_the_rounding_s_reach(
    golden: Path, calibrated: dict[bool, NDArray[np.float64]]
) -> None:
    expected = np.loadtxt(golden / "000_003.calibrated.txt")
    difference = np.abs(calibrated[False] - expected) * 200
    print(f"sub-pixel against rounded: median {np.median(difference):.2f}, mean {difference.mean():.2f} crop pixels")
    assert 0.2 < np.median(difference) < 1.0  # three roundings a frame, of up to half or one pixel each
    assert np.percentile(difference, 99) < 5.0
