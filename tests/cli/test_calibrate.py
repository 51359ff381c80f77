"""`lrnet calibrate` as a user types it: files in and out, the two lines it prints, wrong uses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.commands import lrnet
from tests.media import write_video

from lrnet.faces.landmark_files import LandmarkTable, read_landmarks, write_landmarks
from lrnet.sequence.calibrate import calibrate

pytestmark = pytest.mark.usefixtures("one_mesh")
N = 8


def landmarks(faces: int = 1, frames: int = N) -> LandmarkTable:
    rng = np.random.default_rng(0)
    base = rng.uniform(60, 140, (68, 2))
    rows = [base + rng.normal(0, 0.4, (68, 2)) + 10 * face for _ in range(frames) for face in range(faces)]
    n = len(rows)
    numbers = np.repeat(np.arange(frames), faces)
    return LandmarkTable(
        np.array(rows, np.float32), numbers, numbers / 25, np.tile(np.arange(faces), frames), np.ones(n, np.float32)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """face.mp4, and landmarks of it: one.csv, two.csv (two faces), short.csv (too few frames), none.csv (no face)."""
    place = tmp_path_factory.mktemp("calibrate")
    texture = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (200, 200)).astype(np.uint8), (0, 0), 2.0)
    picture: NDArray[np.uint8] = np.dstack([cv2.normalize(texture, None, 0, 255, cv2.NORM_MINMAX)] * 3).astype(np.uint8)
    write_video(place / "face.mp4", [picture] * N)
    write_landmarks(place / "one.csv", landmarks())
    write_landmarks(place / "two.csv", landmarks(faces=2))
    write_landmarks(place / "short.csv", landmarks(frames=N - 2))
    write_landmarks(place / "short.npy", landmarks(frames=N - 2))
    empty = landmarks()
    empty.points[:] = np.nan
    write_landmarks(place / "none.csv", empty)
    return place


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".npy", ".npz", ".parquet"])
def test_a_file_of_every_form_and_two_lines(folder: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    run = lrnet("calibrate", folder / "face.mp4", folder / "one.csv", "-o", out)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    first, second = run.stdout.splitlines()
    assert first.startswith(f"{out}: 8 frames, 0 without the face, 0 shot cuts, ")
    assert first.endswith(" % of points tracked")
    assert second.startswith("jitter (median second difference, % of inter-ocular distance): ")
    before, after = (float(second.split()[i]) for i in (-4, -2))
    assert after < before
    table = read_landmarks(out)
    assert table.points.shape == (N, 68, 2)
    assert table.units == "frame pixels"
    assert np.abs(table.points - landmarks().points).max() < 3
    assert list(tmp_path.iterdir()) == [out]


def test_options_reach_the_calibrator(folder: Path, tmp_path: Path) -> None:
    results = {}
    for name, options in {
        "plain": (),
        "algorithm1": ("--flow", "algorithm1"),
        "window": ("--window", "31"),
        "variance": ("--process-variance", "5"),
        "error": ("--max-error", "0"),
        "round": ("--round",),
        "normalised": ("--normalised",),
    }.items():
        out = tmp_path / f"{name}.npy"
        run = lrnet("calibrate", folder / "face.mp4", folder / "one.csv", "-o", out, *options)
        assert run.returncode == 0, run.stderr
        results[name] = read_landmarks(out).points
    plain = results.pop("plain")
    assert np.abs(results.pop("normalised")).max() <= 1.0
    for name, points in results.items():
        assert not np.array_equal(points, plain), name
        assert np.abs(points - plain).max() < 3, name


def test_without_options_it_is_the_library_s_function(folder: Path, tmp_path: Path) -> None:
    """The command repeats defaults so that its help can show them without importing what takes time."""
    run = lrnet("calibrate", folder / "face.mp4", folder / "one.csv", "-o", tmp_path / "a.npy")
    assert run.returncode == 0, run.stderr
    expected = calibrate(folder / "face.mp4", folder / "one.csv")
    np.testing.assert_array_equal(read_landmarks(tmp_path / "a.npy").points, expected.points)


def test_one_face_of_two(folder: Path, tmp_path: Path) -> None:
    run = lrnet("calibrate", folder / "face.mp4", folder / "two.csv", "-o", tmp_path / "a.csv", "--face", "1")
    assert run.returncode == 0, run.stderr
    assert read_landmarks(tmp_path / "a.csv").faces == (1,)


def test_alignment_by_time(folder: Path, tmp_path: Path) -> None:
    run = lrnet("calibrate", folder / "face.mp4", folder / "short.csv", "-o", tmp_path / "a.csv", "--align", "time")
    assert run.returncode == 0, run.stderr
    assert "8 frames, 2 without the face" in run.stdout
    assert np.isnan(read_landmarks(tmp_path / "a.csv").points[-2:]).all()


def test_notes_stand_on_the_terminal(folder: Path, tmp_path: Path) -> None:
    run = lrnet("calibrate", folder / "face.mp4", folder / "short.csv", "-o", tmp_path / "a.csv")
    assert run.returncode == 0, run.stderr
    assert "8 frames, 2 without the face" in run.stdout
    assert run.stderr == f"Note: {folder / 'short.csv'} has no rows for the last 2 of 8 frames: they are gaps.\n"


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("face.mp4", "one.csv"), 2, "--out"),
        (("face.mp4", "one.csv", "-o", "OUT/a.csv", "--flow", "farneback"), 2, "farneback"),
        (("face.mp4", "one.csv", "-o", "OUT/a.csv", "--window", "2"), 2, "--window"),
        (("face.mp4", "one.csv", "-o", "OUT/a.csv", "--process-variance", "0"), 2, "--process-variance"),
        (("face.mp4", "one.csv", "-o", "OUT/a.csv", "--process-variance", "inf"), 2, "--process-variance"),
        (("face.mp4", "one.csv", "-o", "OUT/a.csv", "--max-error", "nan"), 2, "--max-error"),
        (("face.mp4", "one.csv", "-o", "OUT/a.csv", "--align", "guess"), 2, "guess"),
        (("nothing.mp4", "one.csv", "-o", "OUT/a.csv"), 3, "There is no file nothing.mp4"),
        (("one.csv", "one.csv", "-o", "OUT/a.csv"), 3, "not a video"),
        (("face.mp4", "nothing.csv", "-o", "OUT/a.csv"), 3, "There is no file nothing.csv"),
        (("face.mp4", "face.mp4", "-o", "OUT/a.csv"), 3, "ending in .mp4 are not known"),
        (("face.mp4", "two.csv", "-o", "OUT/a.csv"), 3, "holds 2 faces"),
        (("face.mp4", "two.csv", "-o", "OUT/a.csv", "--face", "7"), 3, "holds no face 7"),
        (("face.mp4", "short.npy", "-o", "OUT/a.csv"), 3, "of 6 frames, and face.mp4 has 8"),
        (("face.mp4", "none.csv", "-o", "OUT/a.csv"), 3, "no face in any frame"),
        (("face.mp4", "one.csv", "-o", "OUT/a.doc"), 5, "ending in .doc"),
        (("face.mp4", "one.csv", "-o", "OUT/no/a.csv"), 5, "There is no folder"),
        (("face.mp4", "one.csv", "-o", "face.mp4"), 5, "is an input"),
        (("face.mp4", "one.csv", "-o", "one.csv"), 5, "is an input"),
    ],
)
def test_wrong_uses(folder: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, what: str) -> None:
    before = (folder / "one.csv").read_bytes()
    run = lrnet("calibrate", *(a.replace("OUT", str(tmp_path)) for a in arguments), cwd=folder)
    assert run.returncode == code, run.stderr
    assert what in run.stderr
    assert "Traceback" not in run.stderr
    if code != 2:
        assert len(run.stderr.splitlines()) == 1
    assert run.stdout == ""
    assert not list(tmp_path.iterdir())
    assert (folder / "one.csv").read_bytes() == before


def test_the_released_example(shared: Path, tmp_path: Path) -> None:
    golden = shared / "reference" / "upstream" / "calibration"
    run = lrnet("calibrate", golden / "000_003.mp4", golden / "000_003.csv", "-o", tmp_path / "a.txt", "--normalised")
    assert run.returncode == 0, run.stderr
    assert "396 frames, 0 without the face, 0 shot cuts" in run.stdout
    assert np.loadtxt(tmp_path / "a.txt").shape == (396, 136)
