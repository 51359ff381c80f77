"""`lrnet crossval`: measure configurations on people and sources that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lrnet.cli import options
from lrnet.cli.console import Terminal
from lrnet.cli.train import settings_of

if TYPE_CHECKING:
    from lrnet.network.spec import MeasuredResult

WIDTH = 180  # characters; a row is not broken, whatever the terminal's width
COLUMNS = {
    "people left out: AUC": ("AUC", {"left_out": "people"}),
    "sources left out: AUC": ("AUC", {"left_out": "source"}),
    "recall at 5 %": ("TPR@5%FPR", {"left_out": "source"}),
    "real called likely_fake": ("called likely_fake", {"left_out": "people or source", "label": "real"}),
    "fakes called no evidence": (
        "called no_evidence_of_manipulation",
        {"left_out": "people or source", "label": "fake"},
    ),
    "ECE": ("ECE", {"left_out": "people or source"}),
}
"""Heads of the table, with metric and fields of the result (`lrnet.evaluation.results.find`)."""
KINDS = {
    "AUC": "AUC",
    "recall at 5 %": "TPR@5%FPR",
    "called likely_fake": "called likely_fake",
    "called no evidence": "called no_evidence_of_manipulation",
}


def crossval_command(
    stores: Annotated[list[Path], typer.Argument(help="Landmark stores.", metavar="STORE...")],
    config: Annotated[
        list[str] | None,
        typer.Option(help="A named configuration or a .toml file; may be repeated, for an ablation."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the scores, one of each configuration in it if there are several. Folds that are there "
            "already are not trained again.",
            metavar="FOLDER",
        ),
    ] = None,
    folds: options.FoldsOption = 5,
    repeats: options.RepeatsOption = 1,
    seed: options.SeedOption = None,
    split: options.SplitOption = "",
    against: options.AgainstOption = None,
    unseen: options.UnseenOption = 0,
    keep_networks: Annotated[
        bool, typer.Option("--keep-networks", help="Keep each fold's network, a bundle, beside its scores.")
    ] = False,
    workers: options.FoldWorkersOption = 1,
) -> None:
    """Score every video by a network that saw neither its people nor, for sources without fakes, its source.

    Needs the extra `train`.
    """
    from lrnet.cli.progress import Bar
    from lrnet.network.registry import load_model
    from lrnet.training.crossval import CrossValidation, cross_validate_all
    from lrnet.training.data import read_stores
    from lrnet.training.finish import against as compare
    from lrnet.training.finish import decide_on, on_unseen

    if keep_networks and out is None:
        raise typer.BadParameter("networks are kept beside the scores: give --out", param_hint="--keep-networks")
    chosen = [settings_of(name, seed, split) for name in config or ["default"]]
    if len({c.name for c in chosen}) < len(chosen):
        raise typer.BadParameter("two configurations have the same name", param_hint="--config")
    others = [load_model(other) for other in against or []]
    videos = read_stores(stores)
    found: dict[str, list[MeasuredResult]] = {}
    with Bar() as bar:
        for settings in chosen:
            bar.config(settings.name)
            folder = out / settings.name if out is not None and len(chosen) > 1 else out
            how = CrossValidation(folder, folds, repeats, unseen, workers, keep_networks)
            scores = cross_validate_all(videos, settings, how, bar)
            decided = decide_on(scores.held, settings)
            found[settings.name] = [*decided.results, *on_unseen(scores.unseen, decided, settings)]
    compared = {other.spec.name: compare(other, scores.held, videos) for other in others}
    _print(found | compared)
    for settings in chosen if unseen else []:
        _print_unseen(settings.name, found[settings.name])


def _print(found: Mapping[str, Sequence[MeasuredResult]]) -> None:
    from lrnet.evaluation.results import find

    table = Table("", *COLUMNS, box=None)
    for name, results in found.items():
        table.add_row(Text(name), *(_cell(find(results, metric, **fields)) for metric, fields in COLUMNS.values()))
        for stream in dict.fromkeys(r.stream for r in results if r.stream):
            cells = (_cell(find(results, metric, **fields, stream=stream)) for metric, fields in COLUMNS.values())
            table.add_row(f"  {stream} alone", *cells)
    Terminal(width=WIDTH, highlight=False).print(table)


def _print_unseen(name: str, results: list[MeasuredResult]) -> None:
    """Print results of each manipulation by networks trained on others of it, and by networks trained on none."""
    from lrnet.evaluation import results as measured
    from lrnet.report.wording import readable

    table = Table(name, "videos", "trained on", *KINDS, box=None)
    for method, parts in measured.known_and_unseen(results).items():
        count = next(r.n for r in parts[measured.UNSEEN].values() if r.metric.startswith("called"))
        for how, words in ((measured.SEEN, "others of it"), (measured.UNSEEN, "none of it")):
            found = parts.get(how, {})
            table.add_row(
                Text(readable(method)), str(count), words, *(_cell(found.get(metric)) for metric in KINDS.values())
            )
    Terminal(width=WIDTH, highlight=False).print(table)


def _cell(r: MeasuredResult | None) -> str:
    from lrnet.evaluation.metrics import interval_text

    return "" if r is None else f"{r.value:.3f} ({interval_text(r.interval, 2, '-')})"
