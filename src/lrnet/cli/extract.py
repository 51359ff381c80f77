"""`lrnet extract`: landmark stores of datasets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.text import Text

from lrnet.cli.datasets import CompressionOption

if TYPE_CHECKING:
    from lrnet.datasets import VideoRecord


def extract_command(
    source: Annotated[
        Path, typer.Argument(help="A manifest (CSV with path, label, ...), or FaceForensics++ in its official layout.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the landmark store; an existing one is completed.")],
    compression: CompressionOption = "",
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1)] = os.cpu_count() or 1,
) -> None:
    """Write the landmark sequences of a dataset into a store (needs the extra `train`)."""
    from lrnet.extraction import extract, store_preprocessing

    records = _records(source, compression)
    console = Console(stderr=True, soft_wrap=True)
    with Progress(
        *Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as p:
        task = p.add_task("videos", total=len(records))
        outcomes = extract(records, out, store_preprocessing(), workers=workers, tell=lambda outcome: p.advance(task))
        p.update(task, completed=len(records))
    failed = [o for o in outcomes if o.error is not None]
    Console(soft_wrap=True).print(
        Text(
            f"{len(records)} videos: {len(outcomes) - len(failed)} extracted, {len(failed)} failed, "
            f"{len(records) - len(outcomes)} were there before; in {out}"
        )
    )
    for outcome in failed:
        console.print(Text(f"  {outcome.item.key}: {outcome.error}", style="red"))
    if failed:
        raise typer.Exit(3)


def _records(source: Path, compression: str) -> list[VideoRecord]:
    from lrnet.cli.datasets import open_source

    return list(open_source(source, "", compression).records)
