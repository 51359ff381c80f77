"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

EngineOption = Annotated[str, typer.Option(help="Where to work: local (worker processes) or ray (a cluster).")]
AddressOption = Annotated[
    str, typer.Option(help="Of a running Ray cluster, host:6379; left out, one is started on this machine.")
]
WorkersOption = Annotated[int, typer.Option(help="Videos at a time; 0 for one a core.", min=0)]
