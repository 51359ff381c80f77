"""`lrnet store`: describe, check and export landmark stores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lrnet.cli.console import ERR, OUT
from lrnet.cli.datasets import counts_table
from lrnet.errors import DatasetError

app = typer.Typer(help="Landmark stores.", no_args_is_help=True, rich_markup_mode=None)

StoreArgument = Annotated[Path, typer.Argument(help="Folder of a landmark store.", metavar="STORE")]


@app.command("info")
def info_command(path: StoreArgument) -> None:
    """Print videos by method and split, frames, bytes, preprocessing and failures."""
    from lrnet.data import store
    from lrnet.data.store.ledger import failures

    opened = store.open(path)
    rows = sum(v.rows for v in opened)
    size = sum(v.file.stat().st_size for v in opened)
    OUT.print(
        Text(
            f"{path}: {len(opened)} videos, {sum(v.sequence_count for v in opened)} sequences, {rows} frames of faces, "
            f"{size / 1e6:.1f} MB ({size / max(rows, 1):.0f} bytes a frame)",
            "bold",
        )
    )
    OUT.print(counts_table([v.record for v in opened]))
    made_with = opened.preprocessing
    OUT.print(
        Text(f"landmarker {made_with['landmarker']} {made_with['landmarker_version']}, {made_with['frame_rate']:g} Hz")
    )
    versions = {tuple(sorted(v.provenance.versions.items())) for v in opened if v.provenance is not None}
    for found in sorted(versions):
        OUT.print(Text("made with " + ", ".join(f"{name} {version}" for name, version in found)))
    failed = failures(path)
    if failed:
        OUT.print(Text(f"{len(failed)} videos failed:", style="red"))
        for failure in failed:
            OUT.print(Text(f"  {failure}", style="red"))


@app.command("verify")
def verify_command(
    path: StoreArgument,
    videos: Annotated[
        bool, typer.Option("--videos", help="Also hash the videos, and compare with what they were.")
    ] = False,
) -> None:
    """Read every file, of crops too; exit code 8 if one is damaged, misnamed or made differently, or if splits leak."""
    from lrnet.data.store.verify import verify

    checked, faults = verify(path, videos=videos)
    for fault in faults:
        OUT.print(Text(fault, style="red"))
    OUT.print(f"{checked} files read, {len(faults)} faults")
    if faults:
        raise typer.Exit(DatasetError.exit_code)


@app.command("export")
def export_command(
    path: StoreArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to; it must be empty or not be there.")],
    form: Annotated[
        str, typer.Option("--format", help="txt: the folders and files of LRNet's release; npz: a file a video.")
    ] = "txt",
    uncalibrated: Annotated[bool, typer.Option("--uncalibrated", help="The landmarks as they were detected.")] = False,
) -> None:
    """Write a store's landmarks for other programs."""
    from lrnet.data.store.export import export

    exported = export(path, out, form, calibrated=not uncalibrated)
    OUT.print(Text(f"{exported.files} files of {exported.videos} videos written to {out}"))
    for key, why in exported.left_out:
        OUT.print(Text(f"  left out: {key} ({why})", style="yellow"))


@app.command("crops")
def crops_command(
    path: StoreArgument,
    workers: Annotated[int, typer.Option(help="Videos at a time.", min=1)] = 1,
    most: Annotated[int, typer.Option(help="Crops of a video; of more they are spread over its time.", min=1)] = 120,
) -> None:
    """Cut the faces that appearance is trained and evaluated on out of the store's videos; goes on where it stopped.

    A video that was extracted again is cut again.
    """
    from lrnet.data import store
    from lrnet.data.store.crops import cut_store

    opened = store.open(path)

    def tell(done: int, count: int, name: str) -> None:
        if done % 20 == 0 or done == count:
            ERR.print(Text(f"{done} of {count} videos: {name}"))

    failed = cut_store(list(opened), workers, tell, most)
    for why in failed:
        OUT.print(Text(f"  left out: {why}", style="yellow"))
    OUT.print(Text(f"{len(opened) - len(failed)} videos have crops in {path}/crops"))
    if failed:
        raise typer.Exit(DatasetError.exit_code)
