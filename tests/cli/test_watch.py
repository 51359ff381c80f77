"""`lrnet watch`: lines, alarms, exit codes."""

from __future__ import annotations

import io
import json
import os
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
from rich.console import Console
from tests.media import write_video
from typer.testing import CliRunner

from lrnet.cli import watch
from lrnet.cli.app import app
from lrnet.cli.watch import Alarms, Screen
from lrnet.detector import PersonSeen
from lrnet.verdict import FaceVerdict, InputQuality, Reason, State, VideoVerdict
from lrnet.verdict.running import RunningFace, RunningVerdict
from lrnet.video import live
from lrnet.webhook import SIGNATURE, Webhook, signature

SECRET = "sixteen letters and more"


class Reader:
    """Stands for a `LiveReader`."""

    examined = 25
    left_out = 0.0

    def lag(self, time: float) -> float:
        return 0.25


def look(time: float, *states: State) -> RunningVerdict:
    quality = InputQuality(time, 25, 100.0, 25.0, 1.0, 1.0, 1.0, 0.01)
    faces = []
    for number, state in enumerate(states, start=1):
        verdict = FaceVerdict(number, 0.0, time, state, 0.95, 0.9, (), (Reason.ABOVE_THRESHOLD,), quality)
        faces.append(RunningFace(number, state, 0.95, 0.9, 0.97, time, verdict))
    return RunningVerdict(time, tuple(faces), VideoVerdict(State.INCONCLUSIVE, 0.95, 0.9, (), 1))


def screen(alarms: Alarms, *, as_json: bool = False, terminal: bool = False) -> Screen:
    out = Console(file=io.StringIO(), width=100, force_terminal=terminal)
    found = Screen("call", out, as_json, False, alarms, Reader())  # type: ignore[arg-type]
    alarms.say = found.say
    return found


def test_an_alarm_is_raised_once_and_passed_on_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    got: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.headers[SIGNATURE], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    hook = Webhook(f"http://127.0.0.1:{server.server_port}/", SECRET)
    alarms = Alarms(["tee", str(tmp_path / "alarm.json")], hook, None, None, [])
    shown = screen(alarms, as_json=True)
    fake, open_ = State.LIKELY_FAKE, State.INCONCLUSIVE
    for time, states in enumerate([(open_,), (fake, open_), (open_, open_), (fake, open_)], start=1):
        shown.take(look(float(time), *states))
    alarms.finish()
    server.shutdown()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (alarm,) = [line for line in lines if line["event"] == "alarm"]
    assert (alarm["face"], alarm["state"], alarm["time"], alarm["source"]) == (1, "likely_fake", 2.0, "call")
    looks = [line for line in lines if line["event"] == "verdict"]
    assert [(line["time"], line["lag"], line["seconds_left_out"]) for line in looks] == [
        (float(t), 0.25, 0.0) for t in (1, 2, 3, 4)
    ]
    assert json.loads((tmp_path / "alarm.json").read_text()) == alarm
    ((header, body),) = got
    assert json.loads(body) == alarm
    assert header == signature(SECRET, int(header.split(",")[0].removeprefix("t=")), body)


def test_a_recording_and_its_report_lie_in_the_folder(examples: Path, tmp_path: Path) -> None:
    kept = live.Recent(60.0)
    with av.open(str(examples / "real.mp4")) as video:
        kept.connect(type("Connection", (), {"stream": video.streams.video[0]})())
        for packet in video.demux(video=0):
            if packet.size and packet.pts * packet.time_base < 2:
                kept.add(packet)
    alarms = Alarms([], None, tmp_path, kept, [])
    screen(alarms).take(look(1.0, State.LIKELY_FAKE))
    alarms.finish()
    found = sorted(path.suffix for path in tmp_path.iterdir())
    assert found == [".html", ".json", ".mkv"]
    (report,) = tmp_path.glob("*.json")
    assert 45 <= json.loads(report.read_text())["video"]["frames_read"] <= 55


def test_quiet_leaves_alarms_and_what_became_of_them() -> None:
    shown = screen(Alarms([], None, None, None, []))
    shown.quiet = True
    shown.take(PersonSeen(1, 0.0))
    shown.take(look(1.0, State.LIKELY_FAKE))
    shown.say("Recorded: alarm.mkv")
    shown.end()
    alarm, recorded = shown.out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert (alarm.partition(" ")[0], recorded) == ("ALARM", "Recorded: alarm.mkv")
    assert "what became of them" in CliRunner().invoke(app, ["watch", "--help"], env={"COLUMNS": "200"}).output


def test_a_panel_shows_each_person_with_a_time_line() -> None:
    shown = screen(Alarms([], None, None, None, []), terminal=True)
    shown.shown = True
    for time in range(1, 100):
        shown.take(look(float(time), State.INCONCLUSIVE, State.NO_EVIDENCE))
    shown.out.print(shown.panel())
    text = shown.out.file.getvalue()  # type: ignore[attr-defined]
    assert "1:39" in text
    assert "lag 0.2 s" in text
    assert "Person 2" in text
    assert text.count("█") == 2 * 60
    assert shown._now is not None
    assert len(shown._now[1][1]) == 60


def test_a_panel_is_drawn_at_any_time() -> None:
    """Another thread draws it, between any two steps of taking an event."""
    shown = screen(Alarms([], None, None, None, []), terminal=True)
    shown.shown = True

    class Person(RunningFace):
        def __getattribute__(self, name: str) -> Any:
            if name == "probability" and not drawing:
                drawing.append(True)
                shown.panel()
                drawing.clear()
            return super().__getattribute__(name)

    drawing: list[bool] = []
    for time, states in enumerate([(State.INCONCLUSIVE,), (State.NO_EVIDENCE,) * 3]):
        running = look(float(time), *states)
        fields = [[getattr(f, name) for name in RunningFace.__slots__] for f in running.faces]
        shown.take(replace(running, faces=tuple(Person(*values) for values in fields)))
    assert "Person 3" in str([row.plain for row in shown.panel().renderables])  # type: ignore[union-attr]


def test_an_alarm_that_is_not_passed_on_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MOST_PASSED_ON", 0)
    recorded: list[Path] = []
    kept = live.Recent(60.0)
    monkeypatch.setattr(kept, "write", lambda path: bool(recorded.append(path)))
    alarms = Alarms(["true"], None, tmp_path, kept, [])
    said = screen(alarms)
    said.take(look(1.0, State.LIKELY_FAKE))
    alarms.finish()
    assert "not passed on" in said._messages[-1]
    assert len(recorded) == 1


@pytest.mark.skipif(not hasattr(os, "getpgid"), reason="process groups are of POSIX")
def test_the_keys_that_end_a_watch_do_not_end_its_report(tmp_path: Path) -> None:
    """Ctrl-C goes to every process of the terminal's group."""
    alarms = Alarms([], None, None, None, [])
    report = alarms._start_report(tmp_path / "missing.mkv")
    assert os.getpgid(report.pid) != os.getpgid(0)
    report.wait()


def test_a_report_that_cannot_be_started_ends_no_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    alarms = Alarms([], None, tmp_path, None, [])
    said = screen(alarms)
    monkeypatch.setattr(alarms, "_start_report", refuse)
    alarms._recordings.extend([tmp_path / "a.mkv", tmp_path / "b.mkv"])
    alarms.finish()
    assert [text.partition(" (")[0] for text in said._messages] == [
        f"No report on {tmp_path / name}" for name in ("a.mkv", "b.mkv")
    ]


@pytest.mark.parametrize("face", [True, False])
def test_a_stream_ends_with_its_exit_code(
    face: bool, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    with av.open(str(examples / "real.mp4")) as video:
        pictures = [f.to_ndarray(format="rgb24") for f, _ in zip(video.decode(video=0), range(50), strict=False)]
    path = write_video(tmp_path / "call.mkv", pictures if face else [p[:64, :64] for p in pictures])
    result = CliRunner().invoke(app, ["watch", str(path), "--json"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = {line["event"] for line in lines}
    assert (result.exit_code, "person" in kinds) == ((0, True) if face else (4, False))
    assert lines[0] == {"event": "ready"}
    (shown,) = [line for line in lines if line["event"] == "verdict"][-1]["faces"] if face else [{"box": None}]
    # Brow to chin and cheek to cheek, as seen in the picture.
    assert (shown["box"] == pytest.approx([345, 75, 550, 300], abs=30)) if face else (shown["box"] is None)


def test_an_error_is_an_event_too() -> None:
    result = CliRunner().invoke(app, ["watch", "missing.ts", "--json"])
    ready, error = [json.loads(line) for line in result.stdout.splitlines()]
    assert (ready["event"], error["event"]) == ("ready", "error")
    assert "missing.ts" in error["message"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["rtsp://camera/1"], 3),
        (["missing.ts"], 3),
        (["-", "--exec", "no-such-program"], 2),
        (["-", "--record", "no-such-folder"], 5),
        (["-", "--webhook", "http://host/"], 2),
        (["-", "--exec", "unbalanced '"], 2),
    ],
)
def test_wrong_uses(options: list[str], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRNET_WEBHOOK_SECRET", raising=False)
    result = CliRunner().invoke(app, ["watch", *options])
    assert getattr(result.exception, "exit_code", result.exit_code) == code
