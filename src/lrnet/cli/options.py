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
ModelOption = Annotated[str, typer.Option(help="Name of a model (see `lrnet models list`), or path of a bundle.")]
AgainstOption = Annotated[
    list[str] | None,
    typer.Option(help="Another model, to compare with on the held-out videos; may be repeated.", metavar="MODEL"),
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Instead of the configuration's.")]
SplitOption = Annotated[str, typer.Option(help="Use this split instead of the configuration's; `any` for all videos.")]
FoldsOption = Annotated[int, typer.Option(help="Of cross-validation over identity groups.", min=2)]
RepeatsOption = Annotated[
    int, typer.Option(help="Cross-validations with different folds and first weights: figures are means.", min=1)
]
UnseenOption = Annotated[
    int,
    typer.Option(
        help="Further cross-validations without each manipulation in turn, to measure how it is then detected.", min=0
    ),
]
FoldWorkersOption = Annotated[int, typer.Option(help="Folds trained at a time.", min=1)]
