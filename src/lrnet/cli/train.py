"""`lrnet train`: stored landmarks in, a bundle out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from lrnet.data.store import StoredVideo
    from lrnet.evaluation.decide import HeldOut
    from lrnet.network.bundle import ModelBundle
    from lrnet.network.spec import BundleSpec
    from lrnet.training.config import TrainingConfig
    from lrnet.training.fit import Progress as FitProgress
    from lrnet.training.train import TrainedModel

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
    crossval: Annotated[
        Path | None,
        typer.Option(
            help="Folder of out-of-fold scores (`lrnet crossval`), completed if need be: calibration, thresholds, "
            "results and card come from them.",
            metavar="FOLDER",
        ),
    ] = None,
    folds: Annotated[int, typer.Option(help="Of the cross-validation.", min=2)] = 5,
    repeats: Annotated[
        int,
        typer.Option(help="Cross-validations, each with folds and first weights of its own: figures are means.", min=1),
    ] = 1,
    unseen: Annotated[
        int,
        typer.Option(
            help="So many cross-validations more without each manipulation in turn: the card says what is then found.",
            min=0,
        ),
    ] = 0,
    workers: Annotated[int, typer.Option(help="Folds trained at a time.", min=1)] = 1,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Another model, to compare with on the held-out videos; may be repeated.", metavar="MODEL"),
    ] = None,
    test_split: Annotated[
        str, typer.Option(help="Measure the finished model on the videos of this split too.", metavar="SPLIT")
    ] = "",
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
    if against and crossval is None:
        raise typer.BadParameter("held-out videos come from --crossval FOLDER", param_hint="--against")
    if unseen and crossval is None:
        raise typer.BadParameter("what is found comes from --crossval FOLDER", param_hint="--unseen")
    settings = settings_of(config, seed, split)
    if test_split and test_split in settings.data.splits:
        raise typer.BadParameter(f"{test_split!r} is trained on", param_hint="--test-split")
    if test_split and test_split == settings.validation.split:
        raise typer.BadParameter(f"training stops by {test_split!r}", param_hint="--test-split")
    _check_out(out, name or out.name, replace=replace)

    from lrnet.network.bundle import ModelBundle
    from lrnet.network.export import to_onnx
    from lrnet.network.registry import load_model
    from lrnet.training.data import read_stores, require_no_leak, selected, split_of
    from lrnet.training.fit import over_budget
    from lrnet.training.train import bundle_spec, genuine_motion, train

    others = [load_model(other) for other in against or []]  # before minutes of work
    videos = read_stores(stores)
    chosen = selected(videos, settings.data)
    tested = split_of(videos, test_split) if test_split else []
    require_no_leak(chosen, tested, "what is trained on", f"the split {test_split}")
    with Bar() as bar:
        held, without = None, None
        if crossval is not None:
            from lrnet.training.crossval import cross_validate, manipulations

            left_out = manipulations(videos, settings) if unseen else []
            held = cross_validate(
                videos, settings, folds=folds, repeats=repeats, folder=crossval, workers=workers, tell=bar.fold
            )
            without = cross_validate_without(
                left_out, bar, videos, settings, folder=crossval, folds=folds, repeats=unseen, workers=workers
            )
        model = train(videos, settings, folder=run or out.with_name(f"{out.name}.run"), resume=resume, tell=bar.epoch)
    spec = bundle_spec(
        model, settings, name=name or out.name, version=version, licence=licence, command=typed_command()
    )
    if held is not None:
        spec = _decided(spec, held, without or {}, videos, others, settings)
    network = to_onnx(spec.network, model.fitted.weights)
    spec = _measured(spec, model, settings, tested, videos)
    text = ""
    if spec.thresholds is not None:
        from lrnet.evaluation.card import card

        text = card(spec)
    reference = genuine_motion(model, settings)
    bundle = ModelBundle.save(spec, network, text, out, replace=replace, reference=reference)
    if reference is None:
        _STDERR.print(Text("Too few real videos for a reference of genuine motion: explanations go without."))
    warning = over_budget(spec.network)
    if warning:
        _STDERR.print(Text(warning, "yellow"))
    if held is None:
        _STDERR.print(Text("Without --crossval the model has scores, but no calibrated probability and no verdict."))
    Console(soft_wrap=True, highlight=False).print(
        Text(
            f"{spec.name}: {spec.network.parameters:,} parameters, {len(model.trained_on)} videos, "
            f"{model.seconds:.0f} s, in {bundle.path}"
        )
    )


def _decided(
    spec: BundleSpec,
    held: list[HeldOut],
    without: dict[str, list[HeldOut]],
    videos: list[StoredVideo],
    others: list[ModelBundle],
    settings: TrainingConfig,
) -> BundleSpec:
    from lrnet.training.finish import against, decide_on, finished, on_unseen

    decided = decide_on(held, settings)
    further = on_unseen(without, held, decided, settings)
    further += [r for other in others for r in against(other, held, videos)]
    return finished(spec, decided, further)


def _measured(
    spec: BundleSpec,
    model: TrainedModel,
    settings: TrainingConfig,
    tested: list[StoredVideo],
    videos: list[StoredVideo],
) -> BundleSpec:
    """The description with what the finished network does on videos that it was not made from."""
    excluded = [v for v in videos if v.record.method in settings.data.exclude_methods]
    from lrnet.training.finish import measured_on
    from lrnet.training.train import in_memory

    sets: dict[str, list[StoredVideo]] = {}
    copies = settings.data.train_only
    for video in tested:
        copy = f", {video.record.compression}" if video.record.compression in copies else ""
        sets.setdefault(f"split {video.record.split}, {video.record.source}{copy}", []).append(video)
    for video in (v for v in excluded if v.record.compression not in copies):
        sets.setdefault(f"{video.record.method}, not trained on", []).append(video)
    results = measured_on(in_memory(spec, model.fitted), dict(sets))
    return spec.model_copy(update={"results": (*spec.results, *results)})


def cross_validate_without(
    methods: Sequence[str],
    bar: Bar,
    videos: list[StoredVideo],
    settings: TrainingConfig,
    *,
    folder: Path | None,
    folds: int,
    repeats: int,
    workers: int,
) -> dict[str, list[HeldOut]]:
    """Out-of-fold scores of networks that were trained without each of these manipulations, in folders of their own."""
    from lrnet.training.crossval import cross_validate

    found = {}
    for method in methods:
        bar.config(f"{settings.name} without {method}")
        own = None if folder is None else folder / f"unseen-{quote(method, safe='')}"
        found[method] = cross_validate(
            videos,
            settings,
            folds=folds,
            repeats=repeats,
            unseen=method,
            folder=own,
            workers=workers,
            tell=bar.fold,
        )
    return found


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


def settings_of(config: str, seed: int | None, split: str) -> TrainingConfig:
    from lrnet.training.config import load_config

    settings = load_config(config, seed=seed)
    if split:
        splits = () if split == "any" else (split,)
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"splits": splits})})
    return settings


def _check_out(out: Path, name: str, *, replace: bool) -> None:
    """Before minutes of work: can the bundle be written at all?"""
    from lrnet.files import require_writable
    from lrnet.network.bundle import refuse_to_overwrite, require_name

    require_name(name)
    refuse_to_overwrite(out, replace=replace)
    require_writable(out / "bundle.json" if out.is_dir() else out)


class Bar:
    """Folds and epochs done, loss, time left."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            console=_STDERR,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def epoch(self, progress: FitProgress) -> None:
        """An epoch is done."""
        told = f"loss {progress.loss:.4f}"
        if progress.validation is not None:
            told += f", validation {progress.validation:.4f}"
        told += f", {progress.seconds_left:.0f} s left"
        self._show(f"epochs {progress.stream}".strip(), progress.epoch, progress.epochs, told)

    def fold(self, number: int, folds: int, progress: FitProgress | None) -> None:
        """A fold goes on, or is done."""
        if progress is None:
            self._show("folds", number, folds, "")
        else:
            what = f"{progress.stream} " if progress.stream else ""
            told = f"{what}epoch {progress.epoch} of {progress.epochs}, {progress.seconds_left:.0f} s left in this fold"
            self._show("folds", number - 1, folds, told)

    def config(self, name: str) -> None:
        """What comes next is of another configuration."""
        self._tasks = {}
        self._bar.console.print(Text(name))

    def _show(self, name: str, done: int, total: int, told: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=total, told="")
        self._bar.update(self._tasks[name], completed=done, told=told)
