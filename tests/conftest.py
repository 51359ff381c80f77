"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before NumPy is imported. Tests run side by side, and threads that wait for each other in BLAS cost more than they do.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from tests.media import SHORT
from tests.summary import SUMMARY

# A pause of the machine is no failure, and a failure can be repeated.
settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parents[1]


# A module is one piece of work for one process, so the longest must not come last. In order of their processor time.
LONG_FIRST = (
    "video/test_bad_inputs.py",
    "service/test_service.py",
    "test_determinism.py",
    "service/test_page.py",
    "test_notebook.py",
    "cli/test_detect.py",
    "evaluation/test_protocol.py",
    "test_detector.py",
    "training/test_crossval.py",
    "report/test_browser.py",
    "sequence/test_calibrate.py",
    "training/test_train.py",
    "test_docs.py",
    "service/test_kills.py",
    "faces/test_landmarkers.py",
    "evaluation/test_decide.py",
    "video/test_isolation.py",
    "test_stream.py",
    "sequence/test_placement.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring long modules to the front; the others stay in order."""
    order = {ROOT / "tests" / name: number for number, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests left to be told; it comes with their reports, from other processes too."""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")):
        for name, lines in report.user_properties:
            if name == SUMMARY:
                terminalreporter.section(SUMMARY)
                terminalreporter.write_line("\n".join(lines))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with golden data and research videos that does not travel with the repository."""
    folder = Path(os.environ.get("LRNET_SHARED", ROOT.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(f"no shared data at {folder}: set LRNET_SHARED to the folder that holds reference/ and data/")
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """The example videos in the repository."""
    return ROOT / "examples"


@pytest.fixture(scope="session")
def short(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first `SHORT` frames of both examples, "real" and "fake", for tests that need no more."""
    from lrnet.video.reencode import reencode

    folder = tmp_path_factory.mktemp("short")
    found = {name: folder / f"{name}.mp4" for name in ("real", "fake")}
    for path in found.values():
        reencode(examples / path.name, path, crf=18, most_frames=SHORT)
    return found


@pytest.fixture(scope="module")
def few_resamples() -> Iterator[None]:
    """Intervals from few draws, for tests of something else: a thousand draws of each figure take seconds."""
    from lrnet.evaluation import metrics

    whole = metrics._resampled

    def few(draw: Any, value: float, groups: int, resamples: int, *rest: Any, **others: Any) -> tuple[float, float]:
        return whole(draw, value, groups, min(resamples, 50), *rest, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "_resampled", few)
        yield


@pytest.fixture
def one_mesh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Placements of landmarks are found by one landmarker: to load it takes longer than to search a few frames."""
    from lrnet.sequence import placement

    monkeypatch.setattr(placement, "landmarker", _loaded_once)


@cache
def _loaded_once(name: str) -> Any:
    from lrnet.faces import landmarker

    return landmarker(name)
