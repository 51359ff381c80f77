"""`lrnet landmarks`: lists the landmarkers and whether they are ready."""

from __future__ import annotations

import typer
from rich.table import Table
from rich.text import Text

from lrnet.cli.console import Terminal

app = typer.Typer(help="Landmarkers, which place the 68 points of a face.", no_args_is_help=True)


@app.command("list")
def list_command() -> None:
    """List the landmarkers, their requirements, and whether they are ready."""
    from lrnet.faces import landmarker_status

    table = Table("name", "ready", "needs", "licence", box=None, pad_edge=False)
    status = landmarker_status()
    for s in status:
        table.add_row(Text(s.name, no_wrap=True), "yes" if s.ready else "no", Text(s.needs), Text(s.licence))
    console = Terminal()
    console.print(table)
    console.print()
    for s in status:
        console.print(Text(f"{s.name}: {s.detail}"), soft_wrap=not s.ready)
