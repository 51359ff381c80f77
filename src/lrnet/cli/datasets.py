"""`lrnet datasets`: the content and the faults of a dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lrnet.cli.console import OUT
from lrnet.errors import DatasetError, UsageError
from lrnet.report.wording import readable

if TYPE_CHECKING:
    from lrnet.data import Dataset, Issue, VideoRecord

app = typer.Typer(help="Datasets in their official layouts.", no_args_is_help=True, rich_markup_mode=None)

SHOWN = 10  # issues of one kind, unless all are asked for

SourceArgument = Annotated[
    Path, typer.Argument(help="Top folder of a dataset, or a manifest (.csv, .json).", metavar="PATH")
]
LayoutOption = Annotated[str, typer.Option(help="Read it as this layout; by default it is detected.")]
CompressionOption = Annotated[
    str, typer.Option(help="Only this version: raw, c23 or c40; level_1 and the like. All, if left out.")
]


@app.command("list")
def list_command(
    path: Annotated[
        Path | None, typer.Argument(help="Top folder of a dataset, or a manifest (.csv, .json).", metavar="[PATH]")
    ] = None,
    layout: LayoutOption = "",
    compression: CompressionOption = "",
    manifest: Annotated[Path | None, typer.Option(help="Write all its videos to this CSV, a manifest.")] = None,
) -> None:
    """List the known layouts; with PATH, the videos of a dataset by method and split."""
    if path is None:
        if manifest is not None:
            raise UsageError(
                "--manifest was given without PATH.", hint="Name the dataset whose videos are to be written."
            )
        _print_layouts()
        return
    dataset = open_source(path, layout, compression)
    print_counts(dataset)
    if manifest is not None:
        from lrnet.data import write_manifest

        write_manifest(manifest, dataset)
        OUT.print(Text(f"written: {manifest} ({len(dataset.records)} videos)", style="dim"))
    if dataset.issues:
        OUT.print(Text(f"{issues_in_words(dataset.issues)}: see `lrnet datasets check`", style="yellow"))


@app.command("check")
def check_command(
    path: SourceArgument,
    layout: LayoutOption = "",
    compression: CompressionOption = "",
    every: Annotated[bool, typer.Option("--all", help=f"List every problem, not the first {SHOWN} of a kind.")] = False,
) -> None:
    """List what is missing, doubled, unlabelled or leaking; exit code 8 if anything is."""
    from dataclasses import replace

    from lrnet.data import find_copies

    dataset = open_source(path, layout, compression)
    dataset = replace(dataset, issues=(*dataset.issues, *find_copies(dataset.records)))
    print_counts(dataset)
    by_kind: dict[str, list[Issue]] = {}
    for issue in dataset.issues:
        by_kind.setdefault(issue.kind.value, []).append(issue)
    for kind, issues in by_kind.items():
        OUT.print(Text(f"{len(issues)} x {kind}:", style="yellow"))
        shown = issues if every else issues[:SHOWN]
        for issue in shown:
            OUT.print(Text("  " + readable(issue.where + (f" ({issue.detail})" if issue.detail else ""))))
        if len(shown) < len(issues):
            OUT.print(Text(f"  and {len(issues) - len(shown)} more (--all)", style="dim"))
    if dataset.issues:
        raise typer.Exit(DatasetError.exit_code)
    OUT.print("nothing is missing, doubled, unlabelled or leaking")


def open_source(path: Path, layout: str, compression: str) -> Dataset:
    """The dataset that the options choose."""
    from lrnet.data import open_dataset

    dataset = open_dataset(path, layout)
    return dataset.of_compression(compression) if compression else dataset


def issues_in_words(issues: tuple[Issue, ...]) -> str:
    """Such as "3 x no such file, 1 x unknown label"."""
    return ", ".join(f"{n} x {kind}" for kind, n in Counter(i.kind.value for i in issues).items())


def print_counts(dataset: Dataset) -> None:
    """The videos of a dataset by version, method and split."""
    groups = len({r.group for r in dataset.records})
    OUT.print(
        Text(f"{dataset.root}: {dataset.layout}, {len(dataset.records)} videos, {groups} identity groups", "bold")
    )
    OUT.print(counts_table(dataset.records))
    for note in dataset.notes:
        OUT.print(Text(f"note: {note}", style="dim"))


def counts_table(records: Sequence[VideoRecord]) -> Table:
    """Numbers of videos by source, version, label, method and split."""
    from lrnet.data.records import SPLITS

    splits = [s for s in (*SPLITS, "") if any(r.split == s for r in records)]
    rows = Counter((r.source, r.compression, r.label.value, r.method, r.split) for r in records)
    table = Table("source", "version", "label", "method", *(s or "no split" for s in splits), box=None, pad_edge=False)
    for key in sorted({row[:4] for row in rows}):
        # As Text: a table would read "[red]" as markup. Escaped before the table measures its columns.
        table.add_row(*(Text(readable(name)) for name in key), *(str(rows[(*key, s)]) for s in splits))
    return table


def _print_layouts() -> None:
    from lrnet.data import LAYOUTS

    for layout in LAYOUTS.values():
        OUT.print(Text.assemble((layout.name, "bold"), f"  {layout.dataset}"))
        OUT.print(Text(f"    {layout.expects}"))
