"""`lrnet evaluate`: what a model does on stored landmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text


def evaluate_command(
    stores: Annotated[list[Path], typer.Argument(help="Landmark stores.", metavar="STORE...")],
    model: Annotated[str, typer.Option(help="Name of a model, or path of a bundle.")] = "",
    split: Annotated[str, typer.Option(help="Only videos of this split: train, val or test.")] = "",
    uncalibrated: Annotated[
        bool, typer.Option("--uncalibrated", help="Feed landmarks as detected, to see what calibration adds.")
    ] = False,
) -> None:
    """What a model does on stored landmarks: clip and video figures with 95 % intervals."""
    from lrnet import store
    from lrnet.evaluation.protocol import evaluate
    from lrnet.network.registry import DEFAULT_MODEL, load_model

    bundle = load_model(model or DEFAULT_MODEL)
    opened = [store.open(path) for path in stores]
    videos = [v for s in opened for v in (s.select(split=split) if split else s)]
    outcome = evaluate(bundle, videos, calibrated=not uncalibrated)
    console = Console()
    trained_on = set(bundle.spec.training.groups) if bundle.spec.training else set()
    seen = sum(v.record.group in trained_on for v in videos)
    if seen:
        console.print(
            Text(f"{seen} of {len(videos)} videos show people the model was trained on: no measure of it.", "yellow")
        )
    table = Table("unit", "metric", "value", "95 % interval", "n", box=None, pad_edge=False)
    for unit, figures in outcome.figures.items():
        for name, e in figures.items():
            table.add_row(unit, name, f"{e.value:.3f}", f"{e.low:.3f} to {e.high:.3f}", str(e.n))
    console.print(table)
    console.print(Text(f"{outcome.unscored} of {len(videos)} videos gave no clip."))
