"""`lrnet train`: stored landmarks in, a bundle out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lrnet.cli import options
from lrnet.cli.console import ERR, OUT

if TYPE_CHECKING:
    from lrnet.training.config import TrainingConfig


def train_command(
    stores: Annotated[list[Path] | None, typer.Argument(help="Landmark stores.", metavar="STORE...")] = None,
    config: Annotated[str, typer.Option(help="A named configuration, or a .toml file.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle.", metavar="BUNDLE")] = None,
    seed: options.SeedOption = None,
    split: options.SplitOption = "",
    run: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints and TensorBoard's logs; BUNDLE.run by default.", metavar="FOLDER"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    crossval: Annotated[
        Path | None,
        typer.Option(
            help="Folder of out-of-fold scores (`lrnet crossval`), completed if need be: calibration, thresholds, "
            "results and card come from them.",
            metavar="FOLDER",
        ),
    ] = None,
    folds: options.FoldsOption = 5,
    repeats: options.RepeatsOption = 1,
    unseen: options.UnseenOption = 0,
    workers: options.FoldWorkersOption = 1,
    against: options.AgainstOption = None,
    test_split: Annotated[
        str, typer.Option(help="Measure the finished model on the videos of this split too.", metavar="SPLIT")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the model; the folder's name by default.")] = "",
    version: Annotated[str, typer.Option(help="Of the model.")] = "1.0.0",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "unspecified",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model in that folder.")] = False,
    list_configs: Annotated[bool, typer.Option("--list", help="List the configurations and exit.")] = False,
    show: Annotated[
        str, typer.Option("--show", help="Print a configuration as TOML, as a start for your own.", metavar="NAME")
    ] = "",
) -> None:
    """Train a network on landmark stores (needs the extra `train`)."""
    if list_configs or show:
        _print_configs(show)
        return
    if not stores or out is None:
        raise typer.BadParameter("Give at least one landmark store, and --out.")
    if crossval is None and (against or unseen):
        raise typer.BadParameter("needs the scores of --crossval FOLDER", param_hint="--against, --unseen")
    settings = settings_of(config, seed, split)

    from lrnet.cli.progress import Bar
    from lrnet.network.registry import load_model
    from lrnet.training.crossval import CrossValidation
    from lrnet.training.data import read_stores
    from lrnet.training.fit import over_budget
    from lrnet.training.make_model import About, check_place, make_model

    check_place(out, name, replace=replace)
    others = [load_model(other) for other in against or []]
    with Bar() as bar:
        bundle = make_model(
            read_stores(stores),
            settings,
            out,
            about=About(name, version, licence, typed_command()),
            crossval=None if crossval is None else CrossValidation(crossval, folds, repeats, unseen, workers),
            compare=others,
            test_split=test_split,
            run=run,
            resume=resume,
            replace=replace,
            listener=bar,
        )
    if bundle.reference is None:
        ERR.print(Text("Too few real videos for a reference of genuine motion: explanations lack it."))
    warning = over_budget(bundle.spec.network)
    if warning:
        ERR.print(Text(warning, "yellow"))
    if crossval is None:
        ERR.print(Text("Without --crossval the model has scores, but no calibrated probability and no verdict."))
    spec, training = bundle.spec, bundle.spec.training
    assert training is not None
    OUT.print(
        Text(
            f"{spec.name}: {spec.network.parameters:,} parameters, {len(training.groups)} identity groups, "
            f"{training.seconds:.0f} s, in {bundle.path}"
        )
    )


def typed_command() -> str:
    """The command line, quoted for a shell."""
    return shlex.join(["lrnet", *sys.argv[1:]])


def settings_of(config: str, seed: int | None, split: str) -> TrainingConfig:
    """The configuration with the options `--seed` and `--split`."""
    from lrnet.training.config import load_config

    settings = load_config(config, seed=seed)
    if split:
        splits = () if split == "any" else (split,)
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"splits": splits})})
    return settings


def _print_configs(show: str) -> None:
    from lrnet.training.config import config_names, config_text, load_config

    if show:
        OUT.print(Text(config_text(show)), end="")
        return
    for name in config_names():
        OUT.print(Text(f"{name:11} {load_config(name).description}"))
