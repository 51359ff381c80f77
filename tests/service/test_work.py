"""Names of strangers' files, and the process that judges."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lrnet.errors import OutputError
from lrnet.report.evidence_bundle import verify_bundle
from lrnet.service.work import Job, JobProcess, Judge, display_name, file_name
from lrnet.video.limits import Access, Limits
from tests.service.kit import alive, short_clip, wait_for


@pytest.mark.parametrize(
    ("given", "shown", "on_disk"),
    [
        ("clip.mp4", "clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("C:\\Users\\me\\clip.mp4", "clip.mp4", "clip.mp4"),
        ("", "video", "video"),
        ("..", "..", "video"),
        (".hidden", ".hidden", "hidden"),
        ("-rf", "-rf", "rf"),
        ("a\nb\x00c\x1b[31m.mp4", "abc[31m.mp4", "abc[31m.mp4"),
        ("gpj.\u202e4pm", "gpj.4pm", "gpj.4pm"),
        ("http:evil", "http:evil", "http_evil"),
        ("<img src=x>.mp4", "<img src=x>.mp4", "<img src=x>.mp4"),
        ("100%d.mp4", "100%d.mp4", "100_d.mp4"),
        ("Rede über Ärger.mov", "Rede über Ärger.mov", "Rede über Ärger.mov"),
        ("講演.mp4", "講演.mp4", "講演.mp4"),
        ("report.html", "report.html", "video report.html"),
        ("\udcff.mp4", ".mp4", "mp4"),
        ("x" * 300, "x" * 200, "x" * 200),
        ("x" * 300 + ".mp4", "x" * 196 + ".mp4", "x" * 196 + ".mp4"),
        ("x" * 300 + "." + "y" * 30, "x" * 200, "x" * 200),
    ],
)
def test_names_are_cleaned(given: str, shown: str, on_disk: str) -> None:
    assert display_name(given) == shown
    assert file_name(given) == on_disk


def test_a_long_name_in_a_wide_script_fits_the_file_system(tmp_path: Path) -> None:
    name = file_name("講" * 300)
    assert len(name.encode()) <= 200
    (tmp_path / name).touch()


@pytest.fixture(scope="module")
def clip(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_clip(examples / "real.mp4", tmp_path_factory.mktemp("clip"))


def job(video: Path, folder: Path, name: str = "a clip.mp4", pdf: bool = False) -> Job:
    about = {"case": "24 Js 17", "examiner": "A. Müller", "notes": "as found", "lease": folder.name}
    return Job(str(video), name, str(folder / "out"), True, pdf, **about)


def last_word(process: JobProcess, *, of: tuple[str, ...] = ("extras", "failure")) -> dict[str, object]:
    while True:
        message = process.hear(60)
        if message is not None and message["kind"] in of:
            return message


def test_limits_of_the_service_are_kept(clip: Path, tmp_path: Path) -> None:
    process = JobProcess("lrnet-mesh-v2", Access(isolate=True, limits=Limits(megapixels=0.01)))
    try:
        process.give(job(clip, tmp_path / "1"))
        failed = last_word(process)
    finally:
        process.kill()
    assert (failed["kind"], failed["error"]) == ("failure", "LimitError")


def test_one_process_judges_several_videos(clip: Path, tmp_path: Path) -> None:
    process = JobProcess("lrnet-mesh-v2")
    try:
        process.give(job(clip, tmp_path / "1"))
        found = last_word(process, of=("finding", "failure"))
        assert found["kind"] == "finding", found
        assert found["faces"] == 1
        assert found["summary"]["seconds_examined"] > 1  # type: ignore[index]
        extras = last_word(process)
        assert extras["extras_failed"] == {}
        first = process.pid
        bad = tmp_path / "bad"
        bad.write_text("no video")
        process.give(job(bad, tmp_path / "2", "tricky\n name.mp4"))
        failed = last_word(process)
        assert (failed["kind"], failed["error"]) == ("failure", "NotAVideoError")
        assert str(failed["message"]).startswith("tricky name.mp4 is not a video")
        assert process.pid == first
    finally:
        process.kill()
    results = tmp_path / "1" / "out"
    assert sorted(path.name for path in results.iterdir()) == ["evidence.zip", "overlay.mp4", "report.html"]
    report = (results / "report.html").read_text()
    assert "a clip.mp4" in report
    assert str(tmp_path) not in report + str(found["document"]) + str(extras["document"])
    with zipfile.ZipFile(results / "evidence.zip") as archive:
        assert archive.read("report.html").decode() == report  # the same examination, at the same time
        assert "report.pdf" not in archive.namelist()
        assert json.loads(archive.read("result.json")) == json.loads(str(extras["document"]))
    assert verify_bundle(results / "evidence.zip").problems == ()
    for text in ("24 Js 17", "A. Müller", "as found"):
        assert text in report
        assert text in str(found["document"])


def test_messages_about_an_earlier_video_are_not_taken_for_the_next(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("no video")
    process = JobProcess("lrnet-mesh-v2")
    try:
        for name in ("first", "second"):  # nobody hears what is said about the first
            process.give(job(bad, tmp_path / name, f"{name}.mp4"))
        assert str(last_word(process)["message"]).startswith("second.mp4 is not a video")
    finally:
        process.kill()


def test_a_verdict_comes_before_its_report_and_survives_it(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OutputError("overlay.mp4 cannot be written (No space left on device).", hint="Free some.")

    def bug(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("lrnet.report.overlay.write_overlay", no_room)
    monkeypatch.setattr("lrnet.report.explain.Explainer.explain", bug)
    monkeypatch.setattr("lrnet.report.evidence_bundle._pdf", lambda *_: b"%PDF-")
    monkeypatch.chdir(tmp_path)
    told: list[dict[str, Any]] = []
    last = Judge("lrnet-mesh-v2", Access(isolate=False))(job(clip, tmp_path, pdf=True), told.append)
    assert [message["kind"] for message in told if message["kind"] != "progress"] == ["finding"]
    assert set(last["extras_failed"]) == {"explanation", "overlay.mp4"}
    assert "No space left" in last["extras_failed"]["overlay.mp4"]
    assert (tmp_path / "out" / "report.html").exists()
    with zipfile.ZipFile(tmp_path / "out" / "evidence.zip") as archive:
        assert archive.read("report.pdf") == b"%PDF-"


def test_a_disk_without_room_for_results_is_said_and_no_fault_of_lrnet(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder")
    judge = Judge("lrnet-mesh-v2", Access(isolate=False))
    judge._detector = cast(Any, SimpleNamespace(bundle=None))
    said = judge(job(clip, tmp_path), lambda message: None)
    assert (said["kind"], said["error"]) == ("failure", "OutputError")
    assert "cannot be written" in said["message"]
    assert str(tmp_path) not in said["message"]


def test_a_process_that_is_killed_is_noticed_and_replaced(clip: Path, tmp_path: Path) -> None:
    process = JobProcess("lrnet-mesh-v2")
    try:
        process.give(job(clip, tmp_path))
        pid = process.pid
        assert pid is not None
        assert process.hear(60) is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EOFError):
            last_word(process)
        assert process.kill() == -signal.SIGKILL
        wait_for(lambda: not alive(pid), 5)
        process.give(job(clip, tmp_path / "again"))
        assert process.pid != pid
    finally:
        process.kill()
