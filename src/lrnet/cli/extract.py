"""`lrnet extract`: landmark stores of datasets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from lrnet.cli.console import OUT, Terminal
from lrnet.cli.datasets import CompressionOption, LayoutOption, SourceArgument, issues_in_words, open_source
from lrnet.cli.options import AddressOption, EngineOption, LimitOption, WorkersOption
from lrnet.errors import DatasetError, UsageError
from lrnet.report.wording import readable
from lrnet.video.limits import Access, Limits

if TYPE_CHECKING:
    from lrnet.data import Dataset, VideoRecord
    from lrnet.data.engines import Outcome
    from lrnet.data.extraction import Extracted, Plan

LINE_EVERY = 10.0  # seconds between two lines of progress where there is no terminal


def extract_command(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="Folder of the landmark store; an existing one is completed.")],
    layout: LayoutOption = "",
    compression: CompressionOption = "",
    landmarker: Annotated[
        str, typer.Option(help="What places landmarks in videos; `lrnet landmarks list` names them.", metavar="NAME")
    ] = "mesh",
    engine: EngineOption = "local",
    address: AddressOption = "",
    workers: WorkersOption = 0,
    isolate: Annotated[
        bool, typer.Option("--isolate/--no-isolate", help="Decode in processes of their own, as `lrnet detect` does.")
    ] = True,
    limit: LimitOption = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try videos of the store's ledger of failures again.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress.")] = False,
) -> None:
    """Write the landmark sequences of a dataset into a store. Started again after a stop, it continues.

    Needs the extra `cluster` (or `train`).
    """
    from lrnet.data.engines import engine_by_name
    from lrnet.data.extraction import carry_out, plan_extraction, preprocessing_for
    from lrnet.data.landmark_job import LandmarkJob

    access = Access(isolate=isolate, limits=Limits().changed(limit or (), refuse=True))
    if access.limits.share < 1:
        raise UsageError("A store holds whole videos.", hint="Leave out --limit share.")
    dataset = open_source(source, layout, compression)
    preprocessing = preprocessing_for(dataset.records, landmarker)
    plan = plan_extraction(dataset.records, out, preprocessing, retry_failed=retry_failed)
    _print_plan(dataset, plan)
    outcomes: list[Outcome[VideoRecord, Extracted]] = []
    began = monotonic()
    if plan.todo or plan.relabelled:
        runner = engine_by_name(engine, workers, address)
        progress = ExtractionProgress(Terminal(stderr=True, soft_wrap=True, quiet=quiet), len(plan.todo))
        with progress:
            outcomes = carry_out(plan, out, LandmarkJob(preprocessing, access=access), runner, progress.add)
    _print_end(dataset, plan, outcomes, monotonic() - began, out)
    code = _exit_code(dataset, plan, outcomes)
    if code:
        raise typer.Exit(code)


def _print_plan(dataset: Dataset, plan: Plan) -> None:
    parts = [f"{len(plan.todo)} to do"]
    for count, what in (
        (len(plan.there), "there already"),
        (len(plan.changed), "of them changed since"),
        (len(plan.relabelled), "to relabel"),
        (len(plan.failed), "failed before (--retry-failed tries them again)"),
    ):
        if count:
            parts.append(f"{count} {what}")
    OUT.print(Text(f"{dataset.root} ({dataset.layout}): {len(dataset.records)} videos, {', '.join(parts)}"))
    if dataset.issues:
        OUT.print(Text(f"{issues_in_words(dataset.issues)}: see `lrnet datasets check`", style="yellow"))


def _print_end(
    dataset: Dataset,
    plan: Plan,
    outcomes: Sequence[Outcome[VideoRecord, Extracted]],
    seconds: float,
    out: Path,
) -> None:
    done = [o.result for o in outcomes if o.result is not None]
    failed = [o for o in outcomes if o.error is not None]
    if done:
        frames = sum(r.frames for r in done)
        OUT.print(
            Text(f"extracted {len(done)} videos, {frames} frames, in {seconds:.1f} s: {frames / seconds:.0f} frames/s")
        )
    stored = len(plan.there) + len(plan.relabelled) + len(done)
    OUT.print(Text(f"{out}: {stored} of {len(dataset.records)} videos stored"))
    if failed or plan.failed:
        OUT.print(Text(f"{len(failed) + len(plan.failed)} failed; the ledger is {out / 'failures'}:", style="red"))
        for outcome in failed:
            OUT.print(Text(readable(f"  {outcome.item.key}: {outcome.error}"), style="red"))
        for failure in plan.failed:
            OUT.print(Text(readable(f"  {failure}"), style="red"))


def _exit_code(dataset: Dataset, plan: Plan, outcomes: Sequence[Outcome[VideoRecord, Extracted]]) -> int:
    """The lowest exit code of the failures; a partly downloaded dataset is not one."""
    from lrnet.data import IssueKind

    codes = {o.error.exit_code for o in outcomes if o.error is not None} | {f.exit_code for f in plan.failed}
    if any(issue.kind is not IssueKind.ABSENT for issue in dataset.issues):
        codes.add(DatasetError.exit_code)
    return min(codes, default=0)


class ExtractionProgress:
    """Videos done, frames a second, time left: a bar on a terminal, otherwise a line every `LINE_EVERY` seconds."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total = console, total
        self._videos = self._frames = 0
        self._began = self._printed = monotonic()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("videos {task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> ExtractionProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def add(self, outcome: Outcome[VideoRecord, Extracted]) -> None:
        """Count one more video."""
        self._videos += 1
        self._frames += 0 if outcome.result is None else outcome.result.frames
        passed = max(monotonic() - self._began, 1e-3)
        left = timedelta(seconds=round(passed / self._videos * (self._total - self._videos)))
        seen = f"{self._frames / passed:.0f} frames/s, {left} left"
        self._bar.update(self._task, advance=1, description=seen)
        if not self._console.is_terminal and monotonic() - self._printed >= LINE_EVERY:
            self._printed = monotonic()
            self._console.print(f"{self._videos}/{self._total} videos, {seen}")
