"""`lrnet detect`: videos in, verdicts out."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from lrnet.errors import InternalError, LrnetError, OutputError

if TYPE_CHECKING:
    from lrnet.detector import Detector, VideoResult
    from lrnet.detector import Progress as Step
    from lrnet.report.schema import FailurePart, ReportDocument

NO_VERDICT = 4  # exit code: everything was read, but of one video or more nothing could be said


def detect(
    sources: Annotated[list[str], typer.Argument(help="Video files, or folders that hold videos.", metavar="VIDEO...")],
    model: Annotated[str, typer.Option(help="Name of a model (see `lrnet models list`) or path of a bundle.")] = "",
    json_path: Annotated[
        str, typer.Option("--json", help="Write the results as JSON to this file; - for standard output.")
    ] = "",
    report: Annotated[
        str, typer.Option(help="Write an HTML report to this file; a folder, if several videos are judged.")
    ] = "",
    overlay: Annotated[
        str, typer.Option(help="Write the video with landmarks and scores drawn on it (MP4); a folder likewise.")
    ] = "",
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Open addresses too, not only files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")] = False,
) -> None:
    """Say of each face in a video how likely its motion is manipulated."""
    from lrnet.detector import Detector
    from lrnet.network.registry import DEFAULT_MODEL
    from lrnet.video import find_videos

    videos = find_videos(sources)
    outputs = Outputs.plan(videos, json_path, report, overlay)
    detector = Detector(model or DEFAULT_MODEL)
    out = Console(quiet=quiet, stderr=json_path == "-")
    run = Run(detector, outputs, out, allow_network)
    with _progress(Console(stderr=True, quiet=quiet)) as progress:
        for number, video in enumerate(videos):
            run.judge(video, number, progress)
    run.finish()
    raise typer.Exit(run.exit_code)


@dataclass(frozen=True)
class Outputs:
    """Where results go: for each video a report and an overlay, for all of them one JSON."""

    json: str
    reports: list[Path | None]
    overlays: list[Path | None]

    @classmethod
    def plan(cls, videos: list[str], json_path: str, report: str, overlay: str) -> Outputs:
        """Decide and check before the work begins.

        Raises:
            OutputError: a place cannot be written, or would overwrite a video that is to be judged.
        """
        from lrnet.files import require_writable

        reports = _places(videos, report, ".html")
        overlays = _places(videos, overlay, ".mp4")
        sources = {Path(v).resolve() for v in videos}
        for path in [*reports, *overlays, *([Path(json_path)] if json_path not in ("", "-") else [])]:
            if path is None:
                continue
            if path.resolve() in sources:
                raise OutputError(f"{path} is the video itself.", hint="Write the result to another file.")
            require_writable(path)
        return cls(json_path, reports, overlays)


def _places(videos: list[str], wanted: str, suffix: str) -> list[Path | None]:
    if not wanted:
        return [None] * len(videos)
    target = Path(wanted)
    if not target.is_dir():
        if len(videos) > 1:
            raise OutputError(
                f"{len(videos)} videos need a folder for their results, and {target} is none.",
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
    """One call of the command: judges videos, keeps what the end of it needs."""

    detector: Detector
    outputs: Outputs
    console: Console
    allow_network: bool
    exit_code: int = 0
    documents: list[ReportDocument] = field(default_factory=list)
    failures: list[FailurePart] = field(default_factory=list)
    results: list[VideoResult] = field(default_factory=list)

    def judge(self, video: str, number: int, progress: Progress) -> None:
        """Judge one video and write what is its own; a bad one is noted, and the next can come."""
        from lrnet.cli.render import print_result
        from lrnet.report.json_report import to_document

        report, overlay = self.outputs.reports[number], self.outputs.overlays[number]
        task = progress.add_task(Path(video).name, total=None, seen="")
        try:
            result = self.detector.detect(
                video,
                progress=lambda step: _tell(progress, task, step),
                keep_sequences=report is not None or overlay is not None,
                allow_network=self.allow_network,
            )
            self.documents.append(to_document(result, self.detector.bundle))
            print_result(self.console, result, self.detector.bundle)
            if result.verdict.score is None and not self.exit_code:
                self.exit_code = NO_VERDICT
            self._write_own(result, report, overlay, progress, task)
        except LrnetError as error:
            self._note(video, error)
        except Exception as error:  # one video must not stop a batch, whatever is wrong with it or with us
            self._note(video, InternalError.of(error, video))
        finally:
            progress.remove_task(task)

    def _write_own(
        self, result: VideoResult, report: Path | None, overlay: Path | None, progress: Progress, task: TaskID
    ) -> None:
        if report is not None:
            from lrnet.report.html import write_html

            progress.update(task, description=f"{Path(result.path).name}: report", total=None)
            write_html(result, self.detector.bundle, report, allow_network=self.allow_network)
            self._print_written(report)
        if overlay is not None:
            from lrnet.report.overlay import write_overlay

            progress.update(task, description=f"{Path(result.path).name}: overlay", total=None)
            write_overlay(result, overlay, allow_network=self.allow_network)
            self._print_written(overlay)

    def _print_written(self, path: str | Path) -> None:
        self.console.print(Text(f"  written: {path}", style="dim"), soft_wrap=True)

    def _note(self, video: str, error: LrnetError) -> None:
        from lrnet.cli.app import console_error
        from lrnet.report.json_report import to_failure

        self.failures.append(to_failure(video, error))
        self.exit_code = error.exit_code
        console_error(error)

    def finish(self) -> None:
        """Write the JSON, and for several videos say how the batch went."""
        from lrnet.report.json_report import to_batch, to_json, write_json

        single = len(self.documents) == 1 and not self.failures
        document = self.documents[0] if single else to_batch(self.documents, self.failures)
        if self.outputs.json == "-":
            sys.stdout.write(to_json(document) + "\n")
        elif self.outputs.json:
            write_json(self.outputs.json, document)
            self._print_written(self.outputs.json)
        if len(self.outputs.reports) > 1:
            from lrnet.cli.render import batch_table, print_failures

            batch_table(self.console, self.documents)
            print_failures(self.console, self.failures)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[seen]}"), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _tell(progress: Progress, task: TaskID, step: Step) -> None:
    seen = f"{step.frames} frames, {step.clips} clips scored"
    progress.update(task, completed=step.time, total=step.duration, seen=seen)
