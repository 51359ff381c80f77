"""With the time of examination given, the same file gives the same JSON, on any number of threads and processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lrnet.cli.batch import JudgeJob, VideoTask
from lrnet.data.engines import Engine, LocalEngine, SerialEngine
from lrnet.detector import Detector
from lrnet.network.registry import DEFAULT_MODEL
from lrnet.report.examination import Examination
from lrnet.report.explain import Explainer
from lrnet.report.json_report import to_document
from lrnet.report.schema import ReportDocument
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access

THEN = Examination.of(time="2026-11-27T14:30:00+01:00")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def clips(short: dict[str, Path]) -> list[str]:
    return [str(path) for path in short.values()]


def explained(detector: Detector, clip: str) -> ReportDocument:
    """The document of a clip, with explanations."""
    result = detector.detect(clip, keep_sequences=True)
    return to_document(result, detector.bundle, Explainer(detector.bundle).explain(result), THEN)


@pytest.fixture(scope="module")
def expected(clips: list[str]) -> list[str]:
    """What one thread of this process says, with explanations."""
    detector = Detector(threads=1)
    documents = [explained(detector, clip) for clip in clips]
    assert any(document.faces[0].explanation for document in documents)
    found = [document.model_dump_json() for document in documents]
    assert found[0] != found[1]
    return found


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_runs_and_threads(threads: int, clips: list[str], expected: list[str]) -> None:
    detector = Detector(threads=threads)
    for clip, said in [*zip(clips, expected, strict=True)] * (2 if threads == 2 else 1):  # `expected` was one thread's
        assert explained(detector, clip).model_dump_json() == said


def test_damaged_videos_on_one_thread(clips: list[str], tmp_path: Path) -> None:
    """What a decoder makes of damage hangs on its threads; on one thread it is the same each time, here and apart."""
    data = bytearray(Path(clips[0]).read_bytes())
    start = data.index(b"mdat")
    for at in range(start + 4000, len(data) - 4000, 4999):
        data[at] ^= 0x55
    (tmp_path / "damaged.mp4").write_bytes(data)
    found = []
    for isolate in (False, True, False, True):
        with open_video(tmp_path / "damaged.mp4", Access(isolate=isolate), threads=1) as reader:
            planes = [(f.index, f.time, *(hash(p.tobytes()) for p in f.stored.planes)) for f in reader.decode()]
        found.append((planes, reader.damaged))
    assert found[0][1] > 0
    assert len(found[0][0]) > 0
    assert all(other == found[0] for other in found)


def engine_named(name: str) -> Engine:
    if name == "ray":
        pytest.importorskip("ray", reason="the extra `cluster` is not installed")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        from lrnet.data.engines.ray import RayEngine

        return RayEngine(workers=2)
    return SerialEngine() if name == "serial" else LocalEngine(2)


@pytest.mark.parametrize("name", ["serial", "local", "ray"])
def test_engines(name: str, clips: list[str], expected: list[str], tmp_path: Path) -> None:
    tasks = [VideoTask(clip, tmp_path / f"{i}.html", None, None, THEN) for i, clip in enumerate(clips)]
    engine = engine_named(name)
    try:
        outcomes = sorted(engine.run(JudgeJob(DEFAULT_MODEL, Access(isolate=True)), tasks), key=lambda o: o.index)
    finally:
        if hasattr(engine, "close"):
            engine.close()
    for outcome, said in zip(outcomes, expected, strict=True):
        assert outcome.error is None
        assert outcome.result is not None
        assert outcome.result.document.model_dump_json() == said


def test_command_line(clips: list[str], expected: list[str], tmp_path: Path) -> None:
    for i, (clip, said) in enumerate(zip(clips, expected, strict=True)):
        out = tmp_path / f"{i}.json"
        command = [
            sys.executable,
            "-m",
            "lrnet",
            "detect",
            clip,
            "--report",
            f"{tmp_path}/{i}.html",
            "--json",
            str(out),
            "--time",
            THEN.local,
        ]
        subprocess.run(command, check=False, capture_output=True, timeout=120)
        assert ReportDocument.model_validate_json(out.read_text(encoding="utf-8")).model_dump_json() == said
