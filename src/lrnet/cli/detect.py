"""`lrnet detect`: videos in, verdicts out."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from lrnet.cli.batch import Judged, JudgeJob, VideoTask, judge
from lrnet.cli.console import Terminal, written_to
from lrnet.cli.options import (
    AddressOption,
    AppearanceOption,
    EngineOption,
    IsolateOption,
    LimitOption,
    ModelOption,
    RefuseOption,
    WorkersOption,
)
from lrnet.errors import InternalError, LrnetError, OutputError, StoppedError, UsageError
from lrnet.files import is_folder, is_stdout, require_writable
from lrnet.report.wording import readable
from lrnet.video.limits import Access, Limits

if TYPE_CHECKING:
    from lrnet.data.engines import Engine
    from lrnet.detector import Detector, VideoResult
    from lrnet.detector import Progress as Step
    from lrnet.network.bundle import ModelBundle
    from lrnet.report.examination import Examination
    from lrnet.report.schema import FailurePart, ReportDocument

NO_VERDICT = 4  # exit code: all videos were read, but at least one could not be judged


def detect(
    sources: Annotated[list[str], typer.Argument(help="Video files, or folders that hold videos.", metavar="VIDEO...")],
    model: ModelOption = "",
    appearance: AppearanceOption = True,
    json_path: Annotated[
        str,
        typer.Option(
            "--json",
            help="Write the results as JSON to this file; - for standard output. With --report it explains scores too.",
        ),
    ] = "",
    jsonl_path: Annotated[
        str,
        typer.Option(
            "--jsonl", help="Write each video's result as a line of JSON as soon as it is there; - for standard output."
        ),
    ] = "",
    report: Annotated[
        str, typer.Option(help="Write an HTML report to this file; a folder, if several videos are judged.")
    ] = "",
    overlay: Annotated[
        str, typer.Option(help="Write the video with landmarks and scores drawn on it (MP4); a folder likewise.")
    ] = "",
    bundle: Annotated[
        str,
        typer.Option(
            help="Write an evidence bundle (ZIP: report, data, clips, hashes) to this file; a folder likewise."
        ),
    ] = "",
    bundle_video: Annotated[
        bool, typer.Option("--bundle-video", help="Put the video itself into the evidence bundle too.")
    ] = False,
    case: Annotated[str, typer.Option(help="Case number, for the report.")] = "",
    examiner: Annotated[str, typer.Option(help="Name of the examiner, for the report.")] = "",
    notes: Annotated[str, typer.Option(help="Notes of the examiner, for the report.")] = "",
    time: Annotated[
        str,
        typer.Option(
            help="Time of the examination, such as 2026-11-27T14:30:00+01:00; now, if not given. With it, equal input "
            "gives equal files."
        ),
    ] = "",
    prior: Annotated[
        float | None,
        typer.Option(
            help="Share of videos that are fake where these come from, such as 0.01: print the probability for it too."
        ),
    ] = None,
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Open addresses too, not only files.")] = False,
    isolate: IsolateOption = None,
    limit: LimitOption = None,
    refuse_past_limits: RefuseOption = False,
    workers: WorkersOption = 0,
    engine: EngineOption = "local",
    address: AddressOption = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")] = False,
) -> None:
    """Say of each face in a video how likely it is manipulated."""
    from lrnet.data.engines import engine_by_name
    from lrnet.machine import cores
    from lrnet.network.registry import load_model
    from lrnet.report.examination import Examination
    from lrnet.video.folder import find_videos
    from lrnet.video.isolation import can_isolate

    examination = Examination.of(time=time, case=case, examiner=examiner, notes=notes)
    if bundle_video and not bundle:
        raise UsageError("--bundle-video was given without --bundle.", hint="Say where the bundle is to go: --bundle.")
    if prior is not None and not 0 < prior < 1:
        raise UsageError(f"--prior {prior} is no share of videos.", hint="Give a number between 0 and 1, such as 0.01.")
    limits = Limits().changed(limit or (), refuse_past_limits)
    videos = find_videos(sources)
    access = Access(allow_network, len(videos) > 1 and can_isolate() if isolate is None else isolate, limits)
    outputs = Outputs.plan(videos, json_path, report, overlay, jsonl_path, bundle)
    out = Terminal(quiet=quiet, stderr=any(map(is_stdout, (json_path, jsonl_path, report, bundle))))
    at_once = min(workers or cores(), len(videos))
    loaded = load_model(model, appearance=appearance)
    with opened_lines(jsonl_path) as lines:
        run = Run(loaded, outputs, out, access, examination, bundle_video, lines, prior)
        try:
            with _progress(Terminal(stderr=True, quiet=quiet)) as progress:
                if engine == "local" and not address and at_once == 1:
                    run.judge_in_turn(videos, progress)
                else:
                    runner = engine_by_name(engine, at_once, address)
                    run.judge_at_once(videos, JudgeJob(model, access, appearance), runner, progress)
        except BaseException as error:
            run.stop(videos, error)
            raise
        run.finish()
    raise typer.Exit(run.exit_code)


@dataclass(frozen=True)
class Outputs:
    """Where results go: for each video a report, an overlay and an evidence bundle, for all of them one JSON."""

    json: str
    reports: list[Path | None]
    overlays: list[Path | None]
    bundles: list[Path | None]

    @classmethod
    def plan(
        cls, videos: list[str], json_path: str, report: str, overlay: str, jsonl_path: str = "", bundle: str = ""
    ) -> Outputs:
        """Decide and check before the work begins.

        Raises:
            OutputError: a place cannot be written, or would overwrite a video that is to be judged.
        """
        reports = _places(videos, report, ".html")
        overlays = _places(videos, overlay, ".mp4")
        bundles = _places(videos, bundle, ".zip")
        taken: set[str] = set()
        sources = {os.path.realpath(v) for v in videos}  # Path.resolve() raises on links that go in a circle
        for path in [*reports, *overlays, *bundles, *(Path(p) if p else None for p in (json_path, jsonl_path))]:
            if path is None:
                continue
            real = "-" if is_stdout(path) else os.path.realpath(path)
            if real in sources:
                raise OutputError(f"{path} is the video itself.", hint="Write the result to another file.")
            if real in taken and not _keeps_nothing(path):
                raise OutputError(f"{path} is named for two results.", hint="Give each a different file.")
            taken.add(real)
            require_writable(path)
        return cls(json_path, reports, overlays, bundles)

    def of(self, number: int) -> tuple[Path | None, Path | None, Path | None]:
        """Report, overlay and bundle of a video."""
        return self.reports[number], self.overlays[number], self.bundles[number]


def _keeps_nothing(path: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(os.devnull)


def _places(videos: list[str], wanted: str, suffix: str) -> list[Path | None]:
    if not wanted:
        return [None] * len(videos)
    target = Path(wanted)
    if not is_folder(target):
        if wanted.endswith(os.sep):
            raise OutputError(f"There is no folder {target}.", hint="Create it, or choose another place.")
        if len(videos) > 1:
            raise OutputError(
                f"{len(videos)} videos need a folder for their results, and {target} is no folder.",
                hint="Create the folder first and give its name.",
            )
        if suffix == ".mp4" and target.suffix.lower() != suffix:
            raise OutputError(f"{target} does not end in .mp4.", hint="Overlays are written as MP4: name it so.")
        return [target]
    taken: set[str] = set()
    places: list[Path | None] = []
    for video in videos:
        name, count = Path(video).stem or "video", 1
        while f"{name}{suffix}" in taken:
            count += 1
            name = f"{Path(video).stem}-{count}"
        taken.add(f"{name}{suffix}")
        places.append(target / f"{name}{suffix}")
    return places


@dataclass
class Run:
    """One run of the command: judges the videos and collects their results."""

    bundle: ModelBundle
    outputs: Outputs
    console: Console
    access: Access
    examination: Examination
    with_video: bool = False
    lines: TextIO | None = None
    prior: float | None = None
    exit_code: int = 0
    documents: dict[int, ReportDocument] = field(default_factory=dict)
    failures: dict[int, FailurePart] = field(default_factory=dict)

    def judge_in_turn(self, videos: list[str], progress: Progress) -> None:
        """Judge videos one after the other, each on all cores."""
        from lrnet.detector import Detector

        detector = Detector(self.bundle)
        for number, video in enumerate(videos):
            self._judge(detector, self._task(number, video), number, progress)

    def judge_at_once(self, videos: list[str], job: JudgeJob, engine: Engine, progress: Progress) -> None:
        """Judge several videos at a time, each on one core; each result is printed when it is there."""
        bar = progress.add_task(f"{len(videos)} videos, {engine.workers} at a time", total=len(videos), seen="")
        tasks = [self._task(number, video) for number, video in enumerate(videos)]
        for outcome in engine.run(job, tasks):
            number, video, judged = outcome.index, outcome.item.video, outcome.result
            if judged is None:
                assert outcome.error is not None
                self._note(number, video, outcome.error)
            else:
                self._take(number, judged.result, judged.document)
                self._end(number, video, judged)
            progress.update(bar, advance=1, seen=f"{len(self.failures)} failed" if self.failures else "")

    def _task(self, number: int, video: str) -> VideoTask:
        return VideoTask(video, *self.outputs.of(number), self.examination, self.with_video)

    def _judge(self, detector: Detector, task: VideoTask, number: int, progress: Progress) -> None:
        """Judge one video and write its files. An error is recorded, and the batch goes on."""
        name = readable(Path(task.video).name)
        bar = progress.add_task(name, total=None, seen="")
        try:
            judged = judge(
                detector,
                task,
                self.access,
                progress=lambda step: _show(progress, bar, step),
                found=lambda result, document: self._take(number, result, document),
                doing=lambda what: progress.update(bar, description=f"{name}: {what}", total=None),
            )
            self._end(number, task.video, judged)
        except LrnetError as error:
            self._note(number, task.video, error)
        except Exception as error:  # one video must not stop a batch, whatever goes wrong
            self._note(number, task.video, InternalError.of(error, task.video))
        finally:
            progress.remove_task(bar)

    def _end(self, number: int, video: str, judged: Judged) -> None:
        for path in judged.written:
            self._print_written(path)
        if judged.error is not None:
            self._note(number, video, judged.error)

    def _take(self, number: int, result: VideoResult, document: ReportDocument) -> None:
        from lrnet.cli.render import print_result

        self.documents[number] = document
        self._write_line(document)
        print_result(self.console, result, self.bundle, self.prior)
        if result.verdict.score is None and not self.exit_code:
            self.exit_code = NO_VERDICT

    def _print_written(self, path: str | Path) -> None:
        self.console.print(Text(f"  written: {readable(str(path))}", style="dim"), soft_wrap=True)

    def _note(self, number: int, video: str, error: LrnetError) -> None:
        from lrnet.cli.console import console_error
        from lrnet.report.json_report import to_failure

        self.failures[number] = to_failure(video, error)
        self._write_line(self.failures[number])
        self.exit_code = error.exit_code
        console_error(error)

    def _write_line(self, part: ReportDocument | FailurePart) -> None:
        if self.lines is None:
            return
        with written_to("a line of results"):
            self.lines.write(part.model_dump_json() + "\n")
            self.lines.flush()

    def stop(self, videos: list[str], error: BaseException) -> None:
        """Write the results of a batch that ends early; its other videos are failures in the document."""
        from lrnet.report.json_report import to_failure

        if not (self.documents or self.failures):
            return
        if not isinstance(error, LrnetError):
            error = StoppedError("The batch was interrupted before this video.", hint="Examine it again.")
        for number, video in enumerate(videos):
            if number not in self.documents and number not in self.failures:
                self.failures[number] = to_failure(video, error)
        self.finish()

    def finish(self) -> None:
        """Write the JSON, and print a summary of several videos."""
        from lrnet.report.json_report import to_batch, write_json

        documents = [self.documents[n] for n in sorted(self.documents)]  # in the order in which videos were given
        failures = [self.failures[n] for n in sorted(self.failures)]
        single = len(documents) == 1 and not failures
        if self.outputs.json:
            write_json(self.outputs.json, documents[0] if single else to_batch(documents, failures))
            if not is_stdout(self.outputs.json):
                self._print_written(self.outputs.json)
        if len(self.outputs.reports) > 1:
            from lrnet.cli.render import batch_table, print_failures

            batch_table(self.console, documents)
            print_failures(self.console, failures)


def opened_lines(path: str) -> AbstractContextManager[TextIO | None]:
    """Open the file of `--jsonl`, if one was named."""
    if not path:
        return nullcontext()
    if is_stdout(path):
        return nullcontext(sys.stdout)
    try:
        return Path(path).open("w", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}.", hint="Choose another place.") from error


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[seen]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _show(progress: Progress, task: TaskID, step: Step) -> None:
    seen = f"{step.frames} frames, {step.clips} clips scored"
    progress.update(task, completed=step.time, total=step.duration, seen=seen)
