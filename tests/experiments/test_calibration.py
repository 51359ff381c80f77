"""The calibration benchmark: measures against closed forms, two made-up detectors whose noise is known, files."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import write_video

from lrnet.errors import MissingDependencyError, OutputError, SequenceError
from lrnet.experiments import calibration_report as report
from lrnet.experiments.calibration import CalibrationBenchmark, benchmark_calibration, measure_video
from lrnet.experiments.environment import prepare
from lrnet.experiments.measures import (
    DISTANCES,
    change_interval,
    distance_of_steps,
    distance_without_offset,
    lag,
    plain_distance,
)
from lrnet.extras import install_command
from lrnet.faces.from_table import TableLandmarker
from lrnet.faces.landmark_files import LandmarkTable
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS

Points = NDArray[np.float64]

N = 64
WIDTH, HEIGHT = 320, 240
RNG = np.random.default_rng(3)
FACE = RNG.uniform(-50, 50, (68, 2)) + np.array([150, 120])
FACE[36], FACE[45] = (110, 100), (190, 100)  # outer corners of the eyes, 80 pixels apart
MEAN_OF_RAYLEIGH = np.sqrt(np.pi / 2)  # length of a vector of two normal coordinates, sigma 1
MEDIAN_OF_RAYLEIGH = np.sqrt(2 * np.log(2))


def path(n: int = N, delay: float = 0.0) -> Points:
    """(n, 2): a nod of 12 pixels."""
    t = np.arange(n) - delay
    return np.stack([12 * np.sin(2 * np.pi * t / 24), 4 * np.sin(2 * np.pi * t / 24)], axis=1)


def noisy(sigma: float, seed: int, n: int = N, offset: float = 0.0) -> Points:
    noise = np.random.default_rng(seed).normal(0, sigma, (n, 68, 2))
    return FACE + path(n)[:, None] + noise + np.array([offset, 0])


# Measures


def test_distances_of_two_detectors_are_their_closed_forms() -> None:
    n, sigma, offset = 500, (0.5, 1.2), 4.0
    a, b = noisy(sigma[0], 1, n), noisy(sigma[1], 2, n, offset)
    both = np.hypot(*sigma)
    for group in FACIAL_GROUPS:
        assert plain_distance(a, FACE + path(n)[:, None] + [offset, 0], [])[group] == pytest.approx(4.03, abs=0.05)
        assert distance_without_offset(a, b, [])[group] == pytest.approx(MEAN_OF_RAYLEIGH * both, rel=0.03)
        assert distance_of_steps(a, b, [])[group] == pytest.approx(MEAN_OF_RAYLEIGH * np.sqrt(2) * both, rel=0.03)


def test_distance_looks_only_where_both_are() -> None:
    a, b = noisy(0, 1), noisy(0, 2, offset=3.0)
    a[5] = b[9] = np.nan
    for measure, expected in (("plain", 3.0), ("offset removed", 0.0), ("steps", 0.0)):
        assert DISTANCES[measure](a, b, [])["nose"] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(plain_distance(np.full_like(a, np.nan), b, [])["nose"])


@pytest.mark.parametrize("delay", [-0.4, 0.0, 0.3, 0.5, 1.0, 1.7])
def test_lag_of_a_delayed_signal_is_the_delay(delay: float) -> None:
    n = 240
    detected, calibrated = FACE + path(n)[:, None], FACE + path(n, delay)[:, None]
    behind, along = lag(detected, calibrated)
    assert behind == pytest.approx(delay, abs=0.03)
    fastest = np.hypot(12, 4) * 2 * np.pi / 24  # pixels a frame, where the sine rises most
    assert along == pytest.approx(-delay * fastest, rel=0.06, abs=1e-6)


def test_lag_stands_up_to_noise_and_cuts() -> None:
    n = 240
    calibrated = FACE + path(n, 0.5)[:, None]
    detected = noisy(0.4, 7, n)
    detected[120:], calibrated[120:] = detected[120:] + 300, calibrated[120:] + 300
    behind, _ = lag(detected, calibrated, [0, 120])
    assert behind == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("points", [FACE + np.zeros((60, 1, 2)), np.full((60, 68, 2), np.nan), FACE + path(8)[:, None]])
def test_no_lag_without_motion_or_frames(points: Points) -> None:
    assert np.isnan(lag(points, points)).all()


def test_interval_of_a_change_that_is_the_same_everywhere_is_that_change() -> None:
    before = np.arange(1.0, 9.0)
    assert change_interval(before, 0.8 * before) == pytest.approx((-20, -20))
    low, high = change_interval(before, before * np.linspace(0.6, 1.0, 8))
    assert -40 < low < 100 * ((before * np.linspace(0.6, 1.0, 8)).mean() / before.mean() - 1) < high < 0


# Two detectors on a video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8), (0, 0), 2.0)
    texture = cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    frames = []
    for by in path():
        matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
        moved = cv2.warpAffine(texture, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frames.append(np.dstack([moved] * 3).astype(np.uint8))
    return write_video(tmp_path_factory.mktemp("video") / "nod.mp4", frames, options={"crf": "10"})


@pytest.fixture(scope="module")
def result(video: Path) -> CalibrationBenchmark:
    detectors = {"good": TableLandmarker(noisy(0.3, 1)), "bad": TableLandmarker(noisy(0.9, 2, offset=4.0))}
    return benchmark_calibration([video] * 5, detectors)


def test_known_detectors_are_measured_as_known(result: CalibrationBenchmark) -> None:
    figures = result.videos[0]
    assert figures.frames == N
    assert figures.inter_ocular == pytest.approx(80, rel=0.01)
    percent = 100 / figures.inter_ocular
    own = np.hypot(12, 4) * (2 * np.pi / 24) ** 2  # second difference of the nod itself, at most
    for name, sigma in (("good", 0.3), ("bad", 0.9)):
        f = figures.landmarkers[name]
        noise = sigma * np.sqrt(6) * MEDIAN_OF_RAYLEIGH * percent
        assert 0.95 * noise < f.jitter_before < np.hypot(noise, own * percent) * 1.1
        assert f.jitter_after < 0.8 * f.jitter_before
        assert f.found == 1.0
        assert abs(f.lag_frames) < 0.2
        assert f.milliseconds_per_frame > 0
        assert f.milliseconds_of_landmarks > 0
        assert f.version.startswith("arrays.")
    distances = figures.distances["good", "bad"]
    expected = MEAN_OF_RAYLEIGH * np.hypot(0.3, 0.9) * percent
    for group in FACIAL_GROUPS:
        assert distances["plain"][group][0] == pytest.approx(4.0 * percent, rel=0.1)
        assert distances["offset removed"][group][0] == pytest.approx(expected, rel=0.15)
        assert distances["steps"][group][0] == pytest.approx(np.sqrt(2) * expected, rel=0.15)
        for measure in ("offset removed", "steps"):
            before, after = distances[measure][group]
            assert after < 0.8 * before


def test_rows_join_the_videos(result: CalibrationBenchmark) -> None:
    rows = result.distance_rows()
    assert len(rows) == len(DISTANCES) * len(FACIAL_GROUPS)
    for row in rows:
        assert row.videos == 5
        assert row.interval_95 == pytest.approx((row.change_percent, row.change_percent))  # the same video five times
    assert {name: n for name, (n, _) in result.landmarker_rows().items()} == {"good": 5, "bad": 5}
    assert report.summaries(result)[0].count("7 of 7 groups") >= 2


def test_fewer_than_five_videos_have_no_interval(result: CalibrationBenchmark) -> None:
    few = CalibrationBenchmark(result.videos[:4])
    assert {row.interval_95 for row in few.distance_rows()} == {None}
    assert "[" not in report.as_markdown(few)


def test_a_landmarker_on_another_face_counts_as_missing(video: Path) -> None:
    elsewhere = noisy(0.3, 5) + np.array([400, 300])
    gaps = noisy(0.3, 6)
    gaps[10:18] = np.nan
    figures = measure_video(
        video, {"a": TableLandmarker(noisy(0.3, 1)), "b": TableLandmarker(elsewhere), "c": TableLandmarker(gaps)}
    )
    assert [figures.landmarkers[name].found for name in "abc"] == [1.0, 0.0, 1 - 8 / 64]
    assert np.isnan(figures.distances["a", "b"]["plain"]["jaw"]).all()
    assert np.isfinite(figures.distances["a", "c"]["steps"]["jaw"]).all()
    report.as_json(CalibrationBenchmark((figures,)))  # nothing in it is NaN


def openface(n: int) -> LandmarkTable:
    points = noisy(0.3, 4)[:n].astype(np.float32)
    return LandmarkTable(points, np.arange(n), None, np.zeros(n, np.int64), np.ones(n, np.float32), source="of.csv")


def test_an_openface_table_stands_beside_the_landmarkers(video: Path) -> None:
    figures = measure_video(video, {"a": TableLandmarker(noisy(0.3, 1))}, openface=openface(N), frames=20)
    assert figures.frames == 20
    assert list(figures.distances) == [("a", "openface")]


def test_what_does_not_fit_is_said(video: Path) -> None:
    finder = {"a": TableLandmarker(noisy(0.3, 1))}
    with pytest.raises(SequenceError, match=r"of.csv holds landmarks of 30 frames, and .*nod.mp4 has 64"):
        measure_video(video, finder, openface=openface(30))
    with pytest.raises(SequenceError, match="No landmarker finds a face"):
        measure_video(video, {"a": TableLandmarker(np.full((N, 68, 2), np.nan))})


# Files


def test_tables_say_what_was_measured(result: CalibrationBenchmark) -> None:
    content = json.loads(report.as_json(result))
    assert len(content["videos"]) == 5
    assert len(content["videos"][0]["sha256"]) == 64
    assert {"lrnet", "python", "numpy", "opencv-python-headless", "onnxruntime", "av"} == set(content["versions"])
    assert content["machine"]["cores"] >= 1
    assert [row["name"] for row in content["landmarkers"]] == ["good", "bad"]
    lines = list(csv.DictReader(report.as_csv(result).splitlines()))
    assert len(lines) == 5 * (2 * 6 + len(DISTANCES) * len(FACIAL_GROUPS))
    jaw = next(line for line in lines if (line["measure"], line["group"]) == ("plain", "jaw"))
    row = next(r for r in result.distance_rows() if (r.measure, r.group) == ("plain", "jaw"))
    assert float(jaw["before"]) == pytest.approx(row.before, rel=1e-4)
    text = report.as_markdown(result)
    assert "| good | 5 | 100% |" in text
    assert "| good - bad | jaw |" in text


def test_files_are_written_whole(result: CalibrationBenchmark, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    for _ in range(2):  # a second time over the first
        report.write(result, out)
        assert sorted(p.name for p in out.iterdir()) == sorted(report.FILES)
    assert (out / "calibration.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "calibration.svg").read_text()


def test_nothing_is_left_of_a_failure(
    result: CalibrationBenchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = pytest.importorskip("matplotlib.figure")

    def fail(*args: object, **options: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(figures.Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write(result, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_and_leaves_no_part(
    result: CalibrationBenchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")

    def fail(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match="No space left"):
        report.write(result, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named_before_the_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=re.escape(install_command("benchmark"))):
        prepare(tmp_path, report.FILES)


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    prepare(tmp_path / "new", report.FILES)
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "no" / "such", tmp_path / "file"):
        with pytest.raises(OutputError):
            prepare(folder, report.FILES)
