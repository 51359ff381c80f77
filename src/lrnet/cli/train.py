"""`lrnet train`: stored landmarks in, a bundle out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from lrnet.training.config import TrainingConfig
    from lrnet.training.fit import Progress as FitProgress

_STDERR = Console(stderr=True, soft_wrap=True, highlight=False)


def train_command(
    stores: Annotated[list[Path] | None, typer.Argument(help="Landmark stores.", metavar="STORE...")] = None,
    config: Annotated[str, typer.Option(help="A named configuration, or a .toml file.")] = "default",
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle.", metavar="BUNDLE")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the configuration's.")] = None,
    split: Annotated[
        str, typer.Option(help="Train on this split instead of the configuration's; `any` for all videos.")
    ] = "",
    run: Annotated[
        Path | None,
        typer.Option(help="Folder for checkpoints and TensorBoard's logs; BUNDLE.run by default.", metavar="FOLDER"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    name: Annotated[str, typer.Option(help="What to call the model; the folder's name by default.")] = "",
    version: Annotated[str, typer.Option(help="Of the model.")] = "1.0.0",
    licence: Annotated[str, typer.Option(help="Of the weights.")] = "unspecified",
    replace: Annotated[bool, typer.Option("--replace", help="Replace a model in that folder.")] = False,
    list_configs: Annotated[bool, typer.Option("--list", help="Name the configurations, and end.")] = False,
    show: Annotated[
        str, typer.Option("--show", help="Print a configuration as TOML, to start one's own from.", metavar="NAME")
    ] = "",
) -> None:
    """Train a network on landmark stores (needs the extra `train`)."""
    if list_configs or show:
        _tell_configs(show)
        return
    if not stores or out is None:
        raise typer.BadParameter("Give at least one landmark store, and --out.")
    settings = _settings(config, seed, split)
    _check_out(out, replace=replace)

    from lrnet.network.bundle import ModelBundle
    from lrnet.network.export import to_onnx
    from lrnet.training.data import read_stores
    from lrnet.training.fit import over_budget
    from lrnet.training.train import bundle_spec, train

    videos = read_stores(stores)
    with _Bar() as bar:
        model = train(videos, settings, folder=run or out.with_name(f"{out.name}.run"), resume=resume, tell=bar.advance)
    spec = bundle_spec(
        model, settings, name=name or out.name, version=version, licence=licence, command=typed_command()
    )
    bundle = ModelBundle.save(
        spec, to_onnx(spec.network, model.fitted.weights), model.fitted.weights, "", out, replace=replace
    )
    warning = over_budget(spec.network)
    if warning:
        _STDERR.print(Text(warning, "yellow"))
    Console(soft_wrap=True, highlight=False).print(
        Text(
            f"{spec.name}: {spec.network.parameters:,} parameters, {len(model.trained_on)} videos, "
            f"{model.seconds:.0f} s, in {bundle.path}"
        )
    )


def typed_command() -> str:
    """What was typed, as a shell would read it."""
    return shlex.join(["lrnet", *sys.argv[1:]])


def _tell_configs(show: str) -> None:
    from lrnet.training.config import config_names, config_text, load_config

    if show:
        typer.echo(config_text(show), nl=False)
        return
    for name in config_names():
        typer.echo(f"{name:10} {load_config(name).description}")


def _settings(config: str, seed: int | None, split: str) -> TrainingConfig:
    from lrnet.training.config import load_config

    settings = load_config(config, seed=seed)
    if split:
        splits = () if split == "any" else (split,)
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"splits": splits})})
    return settings


def _check_out(out: Path, *, replace: bool) -> None:
    """Before minutes of work: can the bundle be written at all?"""
    from lrnet.files import require_writable
    from lrnet.network.bundle import refuse_to_overwrite

    refuse_to_overwrite(out, replace=replace)
    require_writable(out / "bundle.json" if out.is_dir() else out)


class _Bar:
    """Epochs done, loss, time left."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            console=_STDERR,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, progress: FitProgress) -> None:
        told = f"loss {progress.loss:.4f}"
        if progress.validation is not None:
            told += f", validation {progress.validation:.4f}"
        told += f", {progress.seconds_left:.0f} s left"
        if progress.stream not in self._tasks:
            name = f"epochs {progress.stream}".strip()
            self._tasks[progress.stream] = self._bar.add_task(name, total=progress.epochs, told="")
        self._bar.update(self._tasks[progress.stream], completed=progress.epoch, told=told)
