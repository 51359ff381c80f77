"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from lrnet.video.limits import Limits

_DEFAULTS = [f"{name.replace('_', '-')}={value:.9g}" for name, value in Limits().numbers().items()]

EngineOption = Annotated[str, typer.Option(help="Where to work: local (worker processes) or ray (a cluster).")]
AddressOption = Annotated[
    str, typer.Option(help="Of a running Ray cluster, host:6379; left out, one is started on this machine.")
]
IsolateOption = Annotated[
    bool | None,
    typer.Option(
        "--isolate/--no-isolate",
        help="Decode in a process of its own, with bounded memory and time and without network or other files.",
        show_default="isolated where several videos are judged",
    ),
]
LimitOption = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="NAME=NUMBER",
        help=f"Change a limit on what a video may ask for. Defaults: {', '.join(_DEFAULTS)}. See docs/reliability.md.",
    ),
]
RefuseOption = Annotated[
    bool,
    typer.Option("--refuse-past-limits", help="Refuse a video past a limit instead of examining what lies within."),
]
AppearanceOption = Annotated[
    bool,
    typer.Option(
        "--appearance/--no-appearance", help="Whether the pixels of the faces take part, where the model looks at them."
    ),
]
WorkersOption = Annotated[int, typer.Option(help="Videos at a time; 0 for one a core.", min=0)]
