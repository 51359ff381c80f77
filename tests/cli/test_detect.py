"""`lrnet detect` as a user types it: results, wrong uses, exit codes, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.commands import lrnet
from tests.media import SHORT, gradient, moving, write_audio, write_video

from lrnet.cli.detect import detect
from lrnet.data.engines import Outcome
from lrnet.errors import EngineError, NotAVideoError
from lrnet.video.reader import VideoReader

LRNET = Path(sys.executable).parent / "lrnet"


def apart(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as from a shell."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    return subprocess.run(
        [LRNET, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=cwd,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def judged(
    short: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess[str], Path]:
    out = tmp_path_factory.mktemp("out")
    return apart("detect", *short.values(), "--report", out, "--overlay", out, "--json", out / "r.json"), out


def test_both_examples_get_a_verdict_and_their_files(judged: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    run, out = judged
    assert run.returncode == 0, run.stderr
    assert sorted(p.name for p in out.iterdir()) == ["fake.html", "fake.mp4", "r.json", "real.html", "real.mp4"]
    document = json.loads((out / "r.json").read_text())
    real, fake = document["results"]
    assert real["verdict"]["state"] != "likely_fake"
    assert fake["verdict"]["score"] > real["verdict"]["score"]
    assert [len(r["faces"]) for r in document["results"]] == [1, 1]
    assert real["video"]["frames_read"] == SHORT


def test_the_same_video_gives_the_same_json(short: dict[str, Path], judged: tuple[object, Path]) -> None:
    again = apart("detect", short["real"], "--json", "-")
    assert again.returncode == 0
    before, fake = json.loads((judged[1] / "r.json").read_text())["results"]
    after = json.loads(again.stdout)
    for document in (before, after):
        document.pop("elapsed_seconds")
        for name in ("utc", "local"):
            document["examination"].pop(name)
    # Only with --report, as the first time, is a score explained, and only of somebody who is not cleared.
    assert all(face["explanation"]["telling"] for face in fake["faces"])
    assert [face.pop("explanation") for face in (*before["faces"], *after["faces"])] == [None, None]
    assert after == before


def test_detection_does_without_torch(short: dict[str, Path]) -> None:
    code = (
        "import sys, lrnet; lrnet.Detector().detect(sys.argv[1]);"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'onnx', 'sklearn', 'pyarrow', 'scipy'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(short["real"])],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stdout.strip() == "[]"


def bad(kind: str, folder: Path) -> Path:
    path = folder / "bad.mp4"
    if kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "empty":
        path.touch()
    elif kind == "audio":
        write_audio(path)
    elif kind == "truncated":
        data = write_video(path, moving(50)).read_bytes()
        path.write_bytes(data[: len(data) // 3])
    elif kind == "no face":
        write_video(path, [gradient(320, 240)] * 40)
    elif kind == "folder without videos":
        path = folder / "nothing"
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("missing", 3, "There is no file"),
        ("text", 3, "is not a video"),
        ("empty", 3, "is empty (0 bytes)"),
        ("audio", 3, "has no video stream"),
        ("truncated", 3, "is not a video"),
        ("folder without videos", 3, "holds no video"),
        ("no face", 4, "no face was found"),
    ],
)
def test_wrong_uses_end_with_a_line_and_a_code(tmp_path: Path, kind: str, code: int, says: str) -> None:
    source = bad(kind, tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    run = lrnet("detect", source, "--report", out / "r.html")
    assert run.returncode == code, run.stderr
    said = " ".join((run.stdout + run.stderr).split())
    assert says in said
    assert "Traceback" not in said
    if code == 3:
        assert run.stderr.count("\n") == 1
        assert run.stderr.startswith("lrnet: ")
        assert list(out.iterdir()) == []


def test_five_frames_of_a_face_are_too_few(tmp_path: Path, examples: Path) -> None:
    from lrnet.video.reader import VideoReader

    with VideoReader(examples / "real.mp4") as reader:
        frames = [frame.rgb() for frame, _ in zip(reader, range(5), strict=False)]
    run = lrnet("detect", write_video(tmp_path / "short.mp4", frames), "--json", "-")
    assert run.returncode == 4
    verdict = json.loads(run.stdout)["verdict"]
    assert verdict["state"] == "unable_to_evaluate"
    assert verdict["probability"] is None
    assert "long enough" in " ".join(run.stderr.split())


@pytest.mark.parametrize("option", ["--report", "--json", "--overlay"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, examples: Path, option: str) -> None:
    run = lrnet("detect", examples / "real.mp4", option, tmp_path / "no" / "where.mp4")
    assert run.returncode == 5
    assert "There is no folder" in run.stderr
    assert run.stdout == ""


def test_a_result_never_overwrites_its_video(tmp_path: Path, examples: Path) -> None:
    copy = tmp_path / "clip.mp4"
    copy.write_bytes((examples / "real.mp4").read_bytes())
    run = lrnet("detect", copy, "--overlay", tmp_path)
    assert run.returncode == 5
    assert copy.read_bytes() == (examples / "real.mp4").read_bytes()


@pytest.mark.parametrize("isolate", ["--isolate", "--no-isolate"])
def test_past_a_limit_a_verdict_says_so_or_the_video_is_refused(tmp_path: Path, examples: Path, isolate: str) -> None:
    limited = ("detect", examples / "real.mp4", isolate, "--limit", "frames=40", "--json", tmp_path / "r.json")
    run = lrnet(*limited)
    assert run.returncode == 0, run.stderr
    assert "only part of the video was examined" in " ".join(run.stdout.split())
    document = json.loads((tmp_path / "r.json").read_text())
    assert "frame_limit_passed" in [reason["code"] for reason in document["verdict"]["reasons"]]
    assert document["video"]["frames_read"] == 40
    run = lrnet(*limited, "--refuse-past-limits")
    assert run.returncode == 11
    assert "--limit frames=" in run.stderr
    assert lrnet("detect", examples / "real.mp4", "--limit", "frame=40").returncode == 2


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path, examples: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    small_copy(examples / "real.mp4", tmp_path / "b.mp4").rename(tmp_path / "b ü\n.mp4")
    run = lrnet("detect", tmp_path, "--json", tmp_path / "r.json")
    assert run.returncode == 3
    document = json.loads((tmp_path / "r.json").read_text())
    assert [Path(r["video"]["path"]).name for r in document["results"]] == ["b ü\n.mp4"]
    assert [Path(f["path"]).name for f in document["failures"]] == ["a.mp4"]


def test_an_unknown_model_names_the_known_ones(examples: Path) -> None:
    run = lrnet("detect", examples / "real.mp4", "--model", "nonesuch")
    assert run.returncode == 6
    assert "lrnet-mesh-v2" in run.stderr


def test_models_are_listed_described_and_verified() -> None:
    assert "lrnet-2 (default)" in lrnet("models", "list").stdout
    assert "likely_fake" in lrnet("models", "info").stdout
    assert "whole" in lrnet("models", "verify").stdout


def test_a_damaged_model_does_not_keep_the_others_from_being_verified(tmp_path: Path) -> None:
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "bundle.json").write_text("{")
    run = lrnet("models", "verify", tmp_path / "spoilt", "lrnet-mesh-v2")
    assert run.returncode == 6
    assert "does not describe a model" in run.stderr
    assert "lrnet-mesh-v2 1.2.1: whole" in run.stdout


def test_a_fault_of_ours_does_not_stop_a_batch_either(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from lrnet.cli.app import app
    from lrnet.detector import Detector

    honest = Detector.detect

    def detect(self: Detector, path: str, **options: object) -> object:
        if "fake" in str(path):
            raise ValueError("nobody thought of this")
        return honest(self, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Detector, "detect", detect)
    out = tmp_path / "r.json"
    good = small_copy(examples / "real.mp4", tmp_path / "good.mp4")
    run = CliRunner().invoke(
        app, ["detect", str(examples / "fake.mp4"), str(good), "--workers", "1", "--json", str(out)]
    )
    assert run.exit_code == 1
    document = json.loads(out.read_text())
    assert "nobody thought of this" in document["failures"][0]["message"]
    assert len(document["results"]) == 1


@pytest.mark.parametrize("command", [["--help"], ["landmarks", "list"]], ids=["typer", "rich"])
def test_a_reader_that_goes_away_is_no_fault(command: list[str]) -> None:
    """As in `lrnet landmarks list | head -1`: 141 is what a shell makes of SIGPIPE, and 1 would be a fault of ours."""
    run = subprocess.Popen([sys.executable, "-m", "lrnet", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    said = run.stderr.read()
    assert (run.wait(60), said) == (141, b"")


def test_a_folder_that_is_not_there_is_not_taken_for_a_file(tmp_path: Path, examples: Path) -> None:
    """`--report reports/` means a folder, and is refused before the work."""
    run = lrnet("detect", str(examples / "real.mp4"), "--report", f"{tmp_path / 'reports'}/")
    assert run.returncode == 5
    assert f"There is no folder {tmp_path / 'reports'}." in run.stderr
    assert not run.stdout
    assert not (tmp_path / "reports").exists()


def test_two_results_cannot_have_one_name(tmp_path: Path, examples: Path) -> None:
    from typer.testing import CliRunner

    from lrnet.cli.app import app
    from lrnet.errors import OutputError

    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    one, other = str(tmp_path / "folder" / "x.mp4"), str(tmp_path / "link" / "x.mp4")
    for options in (["--json", one, "--report", other], ["--report", one, "--overlay", other]):
        run = CliRunner().invoke(app, ["detect", str(examples / "real.mp4"), *options])
        assert isinstance(run.exception, OutputError)
        assert "two results" in str(run.exception)
    assert list((tmp_path / "folder").iterdir()) == []


def test_an_empty_name_is_not_the_current_folder() -> None:
    """As from a variable of the shell that is not set."""
    from typer.testing import CliRunner

    from lrnet.cli.app import app

    run = CliRunner().invoke(app, ["detect", ""])
    assert "name of a video is empty" in str(run.exception)


def test_a_missing_extra_is_a_line_and_a_code(tmp_path: Path) -> None:
    """In a process of its own: here others have imported what is to be missing."""
    from lrnet.extras import install_command

    without = "import sys; sys.modules['pyarrow'] = None; from lrnet.cli import main; main()"
    run = subprocess.run([sys.executable, "-c", without, "evaluate", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 7
    said = " ".join(run.stderr.split())
    assert "needs the package pyarrow" in said
    assert install_command("train") in said


def small_copy(source: Path, target: Path) -> Path:
    """The first 40 frames of a video."""
    with VideoReader(source) as reader:
        frames = [frame.rgb() for frame in islice(reader, 40)]
    return write_video(target, frames, rate=25)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_batch_keeps_its_verdicts(tmp_path: Path, examples: Path, workers: int) -> None:
    first = small_copy(examples / "real.mp4", tmp_path / "a.mp4")
    videos = [first, *(Path(shutil.copy(examples / "real.mp4", tmp_path / f"b{n}.mp4")) for n in range(8))]
    process = subprocess.Popen(
        [LRNET, "detect", *videos, "--workers", str(workers), "--jsonl", "lines", "--json", "all.json"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    lines = tmp_path / "lines"
    try:
        until = monotonic() + 120
        while not (lines.exists() and lines.read_text().endswith("\n")):
            assert process.poll() is None
            assert monotonic() < until
            sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, told
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    document = json.loads((tmp_path / "all.json").read_text())
    assert written[0]["video"]["path"] == str(first)
    assert document["results"] == written
    assert len(document["results"]) + len(document["failures"]) == len(videos)
    assert {f["error"] for f in document["failures"]} == {"StoppedError"}


def test_a_lost_engine_keeps_the_verdicts(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Lost:
        workers = 2

        def run(self, job: Callable[[object], object], items: list[object]) -> Iterator[Outcome[object, object]]:
            yield Outcome(1, items[1], job(items[1]), None)
            raise EngineError("The cluster broke down.", hint="Start it again.")

    monkeypatch.setattr("lrnet.data.engines.engine_by_name", lambda *_: Lost())
    video = small_copy(examples / "real.mp4", tmp_path / "a.mp4")
    with pytest.raises(EngineError, match="broke down"):
        detect([str(examples / "fake.mp4"), str(video)], json_path=str(tmp_path / "j"), jsonl_path="-", workers=2)
    (line,) = capsys.readouterr().out.splitlines()
    document = json.loads((tmp_path / "j").read_text())
    assert document["results"] == [json.loads(line)]
    assert [(f["path"], f["error"]) for f in document["failures"]] == [(str(examples / "fake.mp4"), "EngineError")]


@pytest.mark.parametrize("option", ["--json", "--bundle"])
def test_a_result_on_standard_output_stands_there_alone(short: dict[str, Path], option: str) -> None:
    place = {"--json": "/dev/stdout", "--bundle": "-"}[option]
    run = subprocess.run([LRNET, "detect", short["real"], option, place], capture_output=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith({"--json": b"{", "--bundle": b"PK"}[option])
    assert b"Examined" in run.stderr


def test_an_interrupted_batch_keeps_its_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped:
        workers = 2

        def run(self, job: object, items: list[object]) -> Iterator[Outcome[object, object]]:
            yield Outcome(0, items[0], None, NotAVideoError("It is text.", hint="Check it."))
            raise KeyboardInterrupt

    monkeypatch.setattr("lrnet.data.engines.engine_by_name", lambda *_: Stopped())
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        video.write_text("text")
    with pytest.raises(KeyboardInterrupt):
        detect([str(video) for video in videos], json_path=str(tmp_path / "j"), workers=2)
    document = json.loads((tmp_path / "j").read_text())
    assert [f["error"] for f in document["failures"]] == ["NotAVideoError", "StoppedError"]


def test_lines_hold_failures_too_and_nothing_else_is_on_standard_output(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "b.mp4").touch()
    run = apart("detect", tmp_path / "a.mp4", tmp_path / "b.mp4", "--jsonl", "-", "--json", "/dev/null")
    assert run.returncode == 3
    assert sorted(json.loads(line)["path"] for line in run.stdout.splitlines()) == [
        str(tmp_path / name) for name in ("a.mp4", "b.mp4")
    ]
    assert Path("/dev/null").is_char_device()


def test_names_with_spaces_and_accents_and_a_home_that_cannot_be_written(
    tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Prüfung é 名 1"
    folder.mkdir()
    small_copy(examples / "real.mp4", tmp_path / "a.mp4").rename(folder / "vidéo à un.mp4")
    monkeypatch.setenv("HOME", "/proc/nowhere")
    run = apart("detect", "vidéo à un.mp4", "--report", "rapport é.html", "--json", "ré sultat.json", cwd=folder)
    assert run.returncode in (0, 4), run.stderr
    assert sorted(p.name for p in folder.iterdir()) == sorted(["vidéo à un.mp4", "rapport é.html", "ré sultat.json"])
    assert json.loads((folder / "ré sultat.json").read_text())["video"]["path"] == "vidéo à un.mp4"


@pytest.mark.parametrize("command", [["models", "list"], ["detect", "real.mp4"], ["watch", "real.mp4", "--json"]])
def test_a_full_standard_output_is_a_line_and_a_code(short: dict[str, Path], command: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            [LRNET, *command], stdout=full, stderr=subprocess.PIPE, text=True, cwd=short["real"].parent, timeout=240
        )
    assert run.returncode == 5, run.stderr
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr
    assert "fault" not in run.stderr
