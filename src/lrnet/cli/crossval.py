"""`lrnet crossval`: what configurations are worth on people and sources that they were not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lrnet.network.spec import MeasuredResult

WIDTH = 180
COLUMNS = (
    ("people left out: AUC", "within", "AUC"),
    ("sources left out: AUC", "across", "AUC"),
    ("recall at 5 %", "across", "TPR@5%FPR"),
)
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
    folds: Annotated[int, typer.Option(min=2)] = 5,
    repeats: Annotated[
        int,
        typer.Option(help="Cross-validations, each with folds and first weights of its own: figures are means.", min=1),
    ] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the configuration's.")] = None,
    split: Annotated[
        str, typer.Option(help="Use this split instead of the configuration's; `any` for all videos.")
    ] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(help="A model to compare with on the same videos; may be repeated.", metavar="MODEL"),
    ] = None,
    unseen: Annotated[
        int,
        typer.Option(
            help="So many cross-validations more without each manipulation in turn: what is found of a kind that no "
            "network knew.",
            min=0,
        ),
    ] = 0,
    keep_networks: Annotated[
        bool, typer.Option("--keep-networks", help="Keep each fold's network, a bundle, beside its scores.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Folds trained at a time.", min=1)] = 1,
) -> None:
    """Score every video by a network that saw neither its people nor, for sources without fakes, its source."""
    from lrnet.cli.train import Bar, cross_validate_without, settings_of
    from lrnet.network.registry import load_model
    from lrnet.training.crossval import cross_validate, manipulations
    from lrnet.training.data import read_stores
    from lrnet.training.finish import Decided, decide_on, on_unseen
    from lrnet.training.finish import against as compare

    if keep_networks and out is None:
        raise typer.BadParameter("networks are kept beside the scores: give --out", param_hint="--keep-networks")
    chosen = [settings_of(name, seed, split) for name in config or ["default"]]
    if len({c.name for c in chosen}) < len(chosen):
        raise typer.BadParameter("two configurations have the same name", param_hint="--config")
    others = [load_model(other) for other in against or []]
    videos = read_stores(stores)
    left_out = {settings.name: manipulations(videos, settings) if unseen else [] for settings in chosen}
    found: dict[str, tuple[Decided | None, list[MeasuredResult]]] = {}
    with Bar() as bar:
        for settings in chosen:
            bar.config(settings.name)
            folder = None if out is None else out / settings.name if len(chosen) > 1 else out
            held = cross_validate(
                videos,
                settings,
                folds=folds,
                repeats=repeats,
                folder=folder,
                keep_networks=keep_networks,
                workers=workers,
                tell=bar.fold,
            )
            decided = decide_on(held, settings)
            without = cross_validate_without(
                left_out[settings.name],
                bar,
                videos,
                settings,
                folder=folder,
                folds=folds,
                repeats=unseen,
                workers=workers,
            )
            found[settings.name] = (decided, [*decided.results, *on_unseen(without, held, decided, settings)])
    for other in others:
        found[other.spec.name] = (None, compare(other, held, videos))
    _print(found)
    for settings in chosen:
        if left_out[settings.name]:
            _print_unseen(settings.name, found[settings.name][1])


def _print(found: Mapping[str, tuple[object, list[MeasuredResult]]]) -> None:
    from lrnet.evaluation.results import ACROSS, WITHIN

    where = {"within": WITHIN, "across": ACROSS}
    console = Console(soft_wrap=True, highlight=False)
    wide = Console(width=WIDTH, highlight=False)  # a row stays a row, whatever the terminal's width
    header = [*(title for title, *_ in COLUMNS), "real called likely_fake", "fakes called no evidence", "ECE"]
    table = Table("", *header, box=None)
    for name, (_, results) in found.items():
        figures = {(r.dataset, r.metric): r for r in results if r.unit == "video"}
        cells = [_cell(figures.get((where[kind], metric))) for _, kind, metric in COLUMNS]
        cells.append(_cell(figures.get(("real videos, held out", "called likely_fake"))))
        cells.append(_cell(figures.get(("fake videos, held out", "called no_evidence_of_manipulation"))))
        cells.append(_cell(figures.get(("all held-out videos", "ECE"))))
        table.add_row(Text(name), *cells)
        for stream in _streams(results):
            alone = [
                _cell(figures.get((f"{where[kind]}; stream {stream} alone", metric))) for _, kind, metric in COLUMNS
            ]
            table.add_row(f"  {stream} alone", *alone, "", "", "")
    wide.print(table)
    for name, (decided, _) in found.items():
        note = getattr(decided, "note", "")
        if note:
            console.print(Text(f"{name}: {note}"))


def _print_unseen(name: str, results: list[MeasuredResult]) -> None:
    """Each manipulation as networks see it that were trained on it, and as others do."""
    from lrnet.evaluation.results import SEEN, UNSEEN, known_and_unseen

    table = Table(name, "videos", "trained on", *KINDS, box=None)
    for method, parts in known_and_unseen(results).items():
        count = next(r.n for r in parts[UNSEEN].values() if r.metric.startswith("called"))
        for how, told in ((SEEN, "others of it"), (UNSEEN, "none of it")):
            found = parts.get(how, {})
            table.add_row(Text(method), str(count), told, *(_cell(found.get(metric)) for metric in KINDS.values()))
    Console(width=WIDTH, highlight=False).print(table)


def _streams(results: list[MeasuredResult]) -> list[str]:
    marked = [r.dataset.split("; stream ") for r in results]
    return list(dict.fromkeys(parts[1].removesuffix(" alone") for parts in marked if len(parts) == 2))


def _cell(r: MeasuredResult | None) -> str:
    from lrnet.evaluation.metrics import interval_text

    return "" if r is None else f"{r.value:.3f} ({interval_text(r.interval, 2, '-')})"
