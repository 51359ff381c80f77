"""`lrnet watch`: a call is judged while it runs."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lrnet.cli.console import Terminal, written_to
from lrnet.cli.detect import NO_VERDICT
from lrnet.cli.options import AppearanceOption, LimitOption, ModelOption
from lrnet.errors import LrnetError, OutputError, ServiceError, UsageError
from lrnet.report.wording import WORDING, clock, person, readable
from lrnet.verdict import REASON_TEXT, State
from lrnet.video.limits import Access, Limits

if TYPE_CHECKING:
    from lrnet.detector import Event
    from lrnet.verdict.running import RunningFace, RunningVerdict
    from lrnet.video.live import LiveReader, Recent
    from lrnet.webhook import Webhook

AFTER: Final = 15.0  # seconds after an alarm that are recorded too
STATUS_EVERY: Final = 10.0  # seconds between lines, where there is no terminal
MINUTE: Final = 60  # looks in a time line
MOST_RECORDINGS: Final = 100  # of one call of the command: a disk must not fill up
MOST_PASSED_ON: Final = 4  # commands and requests under way; a further alarm is not passed on


def watch(
    source: Annotated[
        str,
        typer.Argument(
            help="A camera (/dev/video0), an address (rtsp://, http://), a file that grows, or - for standard input.",
            metavar="SOURCE",
        ),
    ],
    model: ModelOption = "",
    appearance: AppearanceOption = False,
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Open an address.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write events as lines of JSON to standard output.")] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Folder for the minutes around each alarm, as received, with a report.", metavar="DIR"),
    ] = None,
    record_seconds: Annotated[float, typer.Option(min=10, max=600, help="Seconds to record before an alarm.")] = 120.0,
    command: Annotated[
        str, typer.Option("--exec", help="Run this at an alarm; it reads the alarm as JSON.", metavar="CMD")
    ] = "",
    webhook: Annotated[str, typer.Option(help="Send each alarm to this address, signed.", metavar="URL")] = "",
    webhook_secret_file: Annotated[
        str, typer.Option(help="File with the secret that signs; or set LRNET_WEBHOOK_SECRET.", metavar="FILE")
    ] = "",
    limit: LimitOption = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only alarms, what became of them, and what went wrong.")
    ] = False,
) -> None:
    """Judge a call, a camera or a stream while it runs: who is in view, and how likely their motion is manipulated.

    Nothing is kept unless --record asks for it. An alarm is a statistical suspicion; docs/live.md says how often it is
    wrong. Ends with the source, or with Ctrl-C.
    """
    from lrnet.cli.serve import secret_of
    from lrnet.detector import Detector
    from lrnet.network.registry import load_model
    from lrnet.video.live import LiveReader, Recent
    from lrnet.webhook import Webhook

    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--exec cannot be read: {error}.", hint="Close each quotation mark.") from error
    if words and shutil.which(words[0]) is None:
        raise UsageError(f"There is no program {words[0]}.", hint="Check --exec.")
    hook = None
    if webhook:
        try:
            hook = Webhook(webhook, secret_of(webhook_secret_file, "LRNET_WEBHOOK_SECRET", "--webhook-secret-file"))
        except ServiceError as error:
            raise UsageError(error.what, hint=error.hint) from error
    if record is not None and not record.is_dir():
        raise OutputError(f"{record} is no folder.", hint="Create the folder for recordings first.")
    bundle = load_model(model, appearance=appearance)
    detector = Detector(bundle)
    kept = Recent(record_seconds + AFTER) if record is not None else None
    out = Terminal(soft_wrap=True, highlight=False, stderr=as_json)
    judging = [*(["--model", model] if model else []), *([] if appearance else ["--no-appearance"])]
    alarms = Alarms(words, hook, record, kept, judging)
    access = Access(allow_network, limits=Limits().changed(limit or ()))
    screen = Screen(source, out, as_json, quiet, alarms)
    alarms.say = screen.say
    panel = out.is_terminal and not quiet and not as_json
    screen.write({"event": "ready"})
    try:
        reader = LiveReader(source, access, bundle.spec.preprocessing.frame_rate, kept=kept, tell=screen.say)
        screen.reader = reader
        try:
            with Live(console=out, get_renderable=screen.panel, transient=True) if panel else nullcontext():
                screen.shown = panel
                for event in detector.stream(reader):
                    screen.take(event)
        finally:
            screen.shown = False
            reader.close()
            alarms.finish()
    except LrnetError as error:
        screen.write({"event": "error", "message": error.what, "hint": error.hint})
        raise
    screen.end()
    raise typer.Exit(0 if screen.judged else NO_VERDICT)


@dataclass
class Alarms:
    """What is done at an alarm.

    Args:
        command: words of a command that gets the alarm on its standard input.
        webhook: where it is sent.
        folder, kept: where and from what the minutes around it are recorded.
        judging: options of `lrnet detect` for the report.
    """

    command: list[str]
    webhook: Webhook | None
    folder: Path | None
    kept: Recent | None
    judging: list[str]
    say: Callable[[str], None] = lambda _: None
    _due: float | None = None
    _made: int = 0
    _recordings: deque[Path] = field(default_factory=deque)
    _report: subprocess.Popen[bytes] | None = None
    _running: list[threading.Thread] = field(default_factory=list)

    def raised(self, alarm: dict[str, Any]) -> None:
        """An alarm: tell of it, and record once `AFTER` seconds are over."""
        body = json.dumps(alarm).encode()
        self._running = [t for t in self._running if t.is_alive()]
        for tell in ([self._run] if self.command else []) + ([self._post] if self.webhook else []):
            if len(self._running) >= MOST_PASSED_ON:
                self.say("An alarm was not passed on: those before are still being passed on.")
                break
            self._running.append(threading.Thread(target=tell, args=(body,), daemon=True))
            self._running[-1].start()
        if self.folder is not None and self._due is None:
            self._due = monotonic() + AFTER

    def _run(self, body: bytes) -> None:
        try:
            done = subprocess.run(self.command, input=body, stdout=subprocess.DEVNULL, timeout=60, check=False)
            if done.returncode:
                self.say(f"{self.command[0]} ended with {done.returncode}.")
        except (OSError, subprocess.SubprocessError) as error:
            self.say(f"{self.command[0]} could not be run ({error}).")

    def _post(self, body: bytes) -> None:
        assert self.webhook is not None
        for pause in (0.0, 2.0, 10.0):
            sleep(pause)
            try:
                self.webhook.post(body)
                return
            except (OSError, ValueError) as error:
                failed = error
        self.say(f"The webhook could not be reached ({failed}).")

    def look(self, *, now: bool = False) -> None:
        """Write a recording that is due, and start the next report."""
        if self._due is not None and (now or monotonic() >= self._due):
            self._due = None
            self._record()
        while self._recordings and (self._report is None or self._report.poll() is not None):
            path = self._recordings.popleft()
            try:
                self._report = self._start_report(path)
            except OSError as error:
                self.say(f"No report on {path} ({error}).")

    def _record(self) -> None:
        assert self.folder is not None
        assert self.kept is not None
        if self._made >= MOST_RECORDINGS:
            self.say(f"Not recorded: there are {MOST_RECORDINGS} recordings of this call.")
            return
        path = self.folder / f"alarm-{datetime.now(UTC):%Y%m%d-%H%M%S}.mkv"
        try:
            if self.kept.write(path):
                self._made += 1
                self._recordings.append(path)
                self.say(f"Recorded: {path}")
        except OutputError as error:
            self.say(str(error))

    def _start_report(self, path: Path) -> subprocess.Popen[bytes]:
        """Examine a recording beside the call, with less claim to the processor."""
        nice = [found, "-n", "10"] if (found := shutil.which("nice")) else []
        results = ["--report", str(path.with_suffix(".html")), "--json", str(path.with_suffix(".json"))]
        words = [*nice, sys.executable, "-m", "lrnet", "detect", str(path), "--quiet", *self.judging, *results]
        # Ctrl-C ends the watch, and must not end the report that it then waits for.
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)

    def finish(self) -> None:
        """Write what is due and wait for reports and messages."""
        self.look(now=True)
        while self._report is not None:
            try:
                self._report.wait()
            except KeyboardInterrupt:  # once more
                self._report.terminate()
                raise
            self._report = None
            self.look()
        for thread in self._running:
            thread.join(15)


@dataclass
class Screen:
    """What is shown: a panel, lines of text, or lines of JSON."""

    source: str
    out: Console
    as_json: bool
    quiet: bool
    alarms: Alarms
    reader: LiveReader | None = None
    shown: bool = False
    judged: bool = False
    # The newest verdict and each person's time line: replaced as one, because the panel is drawn on another thread.
    _now: tuple[RunningVerdict, dict[int, tuple[float, ...]]] | None = None
    _alarmed: frozenset[int] = frozenset()
    _told_at: float = -STATUS_EVERY
    _told_left_out: float = 0.0
    _rate: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=10))
    _messages: deque[str] = field(default_factory=lambda: deque(maxlen=4))

    def say(self, message: str) -> None:
        """Show a sentence, from any thread."""
        self._messages.append(message)
        if self.as_json:
            self.write({"event": "message", "text": message})
        if not self.shown:
            self.out.print(Text(message))

    def take(self, event: Event) -> None:
        """Show an event, and raise its alarms."""
        from lrnet.detector import ClipScored, PersonSeen, QualityWarning
        from lrnet.verdict.running import RunningVerdict

        if isinstance(event, PersonSeen):
            self.write({"event": "person", "face": event.face, "time": event.time})
            self._line(f"{person(event.face)} is in view.")
        elif isinstance(event, ClipScored):
            clip = event.clip
            self.write(
                {"event": "clip", "face": event.face, "start": clip.start, "stop": clip.stop, "score": clip.score}
            )
        elif isinstance(event, QualityWarning):
            codes = [r.value for r in event.reasons]
            self.write({"event": "quality", "face": event.face, "time": event.time, "reasons": codes})
            why = "; ".join(REASON_TEXT[r] for r in event.reasons)
            self._line(f"{person(event.face)}: {why or 'the material is good again'}.")
        elif isinstance(event, RunningVerdict):
            assert self.reader is not None
            self._rate.append((monotonic(), self.reader.examined))
            before = self._now[1] if self._now else {}
            newest = {f.face: float("nan") if f.probability is None else f.probability for f in event.faces}
            self._now = event, {n: (*before.get(n, ()), p)[-MINUTE:] for n, p in newest.items()}
            self.judged |= any(face.probability is not None for face in event.faces)
            self.write(self.status(event))
            now = frozenset(face.face for face in event.faces if face.state is State.LIKELY_FAKE)
            for face in event.faces:
                if face.face in now - self._alarmed:
                    self._alarm(face, event.time)
            # Once for each person in view: evidence that comes and goes is one alarm.
            self._alarmed = (self._alarmed | now) & {face.face for face in event.faces}
            self._tell_of_left_out()
            if event.time - self._told_at >= STATUS_EVERY:
                self._told_at = event.time
                for face in event.faces:
                    self._line(f"{clock(event.time)} {_summary(face)}")
        self.alarms.look()

    def status(self, event: RunningVerdict) -> dict[str, Any]:
        """A running verdict as JSON."""
        assert self.reader is not None
        return {
            "event": "verdict",
            "time": event.time,
            "lag": round(self.reader.lag(event.time), 3),
            "frames_per_second": round(self.frame_rate, 2),
            "seconds_left_out": round(self.reader.left_out, 3),
            "faces": [_face(face) for face in event.faces],
        }

    @property
    def frame_rate(self) -> float:
        """Frames examined a second, over the last ten looks."""
        (start, before), (stop, after) = self._rate[0], self._rate[-1]
        return (after - before) / (stop - start) if stop > start else 0.0

    def _alarm(self, face: RunningFace, time: float) -> None:
        alarm = {
            "event": "alarm",
            "source": self.source,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "time": time,
            **_face(face),
        }
        self.write(alarm)
        self.say(f"ALARM at {clock(time)}: {person(face.face)} is likely fake (probability {face.probability:.2f}).")
        self.alarms.raised(alarm)

    def _tell_of_left_out(self) -> None:
        assert self.reader is not None
        new = self.reader.left_out - self._told_left_out
        if new > 0:
            self._told_left_out = self.reader.left_out
            self._line(f"Left out {new:.1f} s: this machine cannot keep up ({self._told_left_out:.0f} s in all).")

    def _line(self, text: str) -> None:
        if not (self.quiet or self.as_json or self.shown):
            self.out.print(Text(text))

    def write(self, row: dict[str, Any]) -> None:
        """Write an event as a line of JSON, if that was asked for."""
        if self.as_json:
            with written_to("an event"):
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()

    def panel(self) -> Group:
        """The panel of a terminal."""
        from lrnet.cli.render import ASCII_BLOCKS, BLOCKS, STYLES

        blocks = ASCII_BLOCKS if self.out.options.ascii_only else BLOCKS
        rows: list[Text] = []
        now, reader, messages = self._now, self.reader, list(self._messages)
        if now is None or reader is None:
            return Group(Text(f"{readable(self.source)}: waiting for a face"), *map(Text, messages))
        running, lines = now
        for face in running.faces:
            line = "".join(
                " " if p != p else blocks[min(int(p * len(blocks)), len(blocks) - 1)] for p in lines[face.face]
            )
            words = Text(WORDING[face.state].headline, STYLES[face.state])
            rows.append(
                Text.assemble(f"{person(face.face)}  ", words, f"  {_range(face)}, {face.seconds:.0f} s judged")
            )
            rows.append(Text(f"  {line}"))
            doubts = _doubts(face)
            rows += [Text(f"  {'; '.join(doubts)}", "dim")] if doubts else []
        lag, left = reader.lag(running.time), reader.left_out
        head = (
            f"{readable(self.source)}  {clock(running.time)}  {self.frame_rate:.0f} frames/s  lag {lag:.1f} s"
            f"  left out {left:.0f} s"
        )
        return Group(Text(head, "bold"), *rows, *(Text(m, "bold red") for m in messages))

    def end(self) -> None:
        """The last line."""
        if self._now is None or self.reader is None:
            self._line("The source ended before anybody could be judged.")
            return
        self._line(f"The source ended at {clock(self._now[0].time)}; {self.reader.left_out:.0f} s were left out.")


def _face(face: RunningFace) -> dict[str, Any]:
    return {
        "face": face.face,
        "state": face.state.value,
        "probability": face.probability,
        "low": face.low,
        "high": face.high,
        "seconds": round(face.seconds, 3),
        "reasons": [reason.value for reason in face.verdict.reasons],
        "doubts": _doubts(face),
        "box": None if face.box is None else [round(side) for side in face.box],
    }


def _doubts(face: RunningFace) -> list[str]:
    """What speaks against judging a person, in words; the first two reasons."""
    return [REASON_TEXT[r] for r in face.verdict.reasons[:2] if not r.value.startswith("score_")]


def _range(face: RunningFace) -> str:
    if face.probability is None or face.low is None or face.high is None:
        return "-"
    return f"{face.probability:.2f} ({face.low:.2f} to {face.high:.2f})"


def _summary(face: RunningFace) -> str:
    return f"{person(face.face)}: {WORDING[face.state].headline}, {_range(face)}, {face.seconds:.0f} s judged"
