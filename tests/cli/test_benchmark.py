"""`lrnet benchmark calibration` as a user types it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from tests.commands import lrnet
from tests.media import moving, write_video

from lrnet.experiments.calibration_report import FILES
from lrnet.faces.landmark_files import LandmarkTable, write_landmarks

FRAMES = 14
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """empty.mp4 (no face), and landmarks: empty.csv (of its length), other.csv (of another)."""
    place = tmp_path_factory.mktemp("benchmark")
    write_video(place / "empty.mp4", moving(12))
    for name, n in (("empty.csv", 12), ("other.csv", 7)):
        points = np.random.default_rng(0).uniform(20, 80, (n, 68, 2)).astype(np.float32)
        table = LandmarkTable(points, np.arange(n), None, np.zeros(n, np.int64), np.ones(n, np.float32))
        write_landmarks(place / name, table)
    return place


def test_the_table_is_printed_whole_in_a_narrow_window(examples: Path) -> None:
    run = lrnet("benchmark", "calibration", examples / "real.mp4", "--frames", str(FRAMES), columns=60)
    assert run.returncode == 0, run.stderr
    assert run.stderr == f"{examples / 'real.mp4'}\n"
    lines = run.stdout.splitlines()
    assert lines[0].split()[:3] == ["landmarker", "videos", "found"]
    assert [line.split()[0] for line in lines[1:3]] == ["mesh", "face-api"]
    pairs = [line for line in lines if line.startswith("mesh - face-api")]
    assert len(pairs) == 7
    assert len({len(line) for line in pairs}) == 1
    assert "…" not in run.stdout
    assert any(line.startswith("mesh and face-api come closer: plain in ") for line in lines)


def test_one_landmarker_beside_an_openface_table(folder: Path) -> None:
    run = lrnet("benchmark", "calibration", "empty.mp4", "--landmarkers", "mesh", "--openface", "empty.csv", cwd=folder)
    assert run.returncode == 0, run.stderr
    assert "openface" in run.stdout


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="the extra benchmark is not installed: pip install 'lrnet[benchmark]'")
def test_files_are_written(examples: Path, tmp_path: Path) -> None:
    run = lrnet(
        "benchmark",
        "calibration",
        examples / "real.mp4",
        "--landmarkers",
        "mesh",
        "--frames",
        str(FRAMES),
        "--out",
        tmp_path / "figures",
    )
    assert run.returncode == 0, run.stderr
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(FILES)


@pytest.mark.skipif(HAS_MATPLOTLIB, reason="matplotlib is installed")
def test_without_matplotlib_the_extra_is_named(examples: Path, tmp_path: Path) -> None:
    run = lrnet("benchmark", "calibration", examples / "real.mp4", "--out", tmp_path)
    assert run.returncode == 7
    assert "lrnet[benchmark]" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        ((), 2, "VIDEO"),
        (("empty.mp4", "--frames", "3"), 2, "--frames"),
        (("empty.mp4", "--landmarkers", ","), 2, "--landmarkers"),
        (("empty.mp4", "nothing.mp4", "--openface", "other.csv"), 2, "0 of the videos"),
        (("nothing.mp4",), 3, "There is no file nothing.mp4"),
        (("empty.mp4",), 3, "No landmarker finds a face in empty.mp4"),
        (("empty.mp4", "--openface", "other.csv"), 3, "of 7 frames, and empty.mp4 has 12"),
        (("empty.mp4", "--openface", "nothing.csv"), 3, "There is no file nothing.csv"),
        (("empty.mp4", "--landmarkers", "mosh"), 6, "no landmarker 'mosh'"),
        (("empty.mp4", "--landmarkers", "openface"), 6, "come with each video"),
    ],
)
def test_wrong_uses(folder: Path, arguments: tuple[str, ...], code: int, what: str) -> None:
    run = lrnet("benchmark", "calibration", *arguments, cwd=folder)
    assert run.returncode == code, run.stderr
    assert what in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
