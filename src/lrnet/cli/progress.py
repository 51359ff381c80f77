"""Progress bars of training."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from lrnet.cli.console import ERR
from lrnet.training.crossval import Listener
from lrnet.training.fit import Progress as FitProgress


class Bar(Listener):
    """Folds and epochs done, loss, time left, on standard error."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
        )
        self._bar = Progress(*columns, console=ERR)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def config(self, name: str) -> None:
        self._tasks = {}
        self._bar.console.print(Text(name))

    def epoch(self, progress: FitProgress) -> None:
        state = f"loss {progress.loss:.4f}"
        if progress.validation is not None:
            state += f", validation {progress.validation:.4f}"
        state += f", {progress.seconds_left:.0f} s left"
        self._show(f"epochs {progress.stream}".strip(), progress.epoch, progress.epochs, state)

    def fold(self, number: int, folds: int, progress: FitProgress | None) -> None:
        if progress is None:
            self._show("folds", number, folds, "")
            return
        epoch = f"{progress.stream} epoch {progress.epoch} of {progress.epochs}".strip()
        self._show("folds", number - 1, folds, f"{epoch}, {progress.seconds_left:.0f} s left in this fold")

    def _show(self, name: str, done: int, total: int, state: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=total, state="")
        self._bar.update(self._tasks[name], completed=done, state=state)
