"""`lrnet benchmark general`, `compression`, `noise` ...: the paper's experiments on one's own data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from lrnet.cli.console import ERR, OUT
from lrnet.cli.options import FoldsOption
from lrnet.cli.train import typed_command
from lrnet.experiments.paper import TITLES

if TYPE_CHECKING:
    from lrnet.experiments.paper.result import Result

DataOption = Annotated[
    list[Path] | None,
    typer.Option(
        help="Dataset in a layout that `lrnet extract` reads, a manifest, or a landmark store; may be repeated.",
        metavar="PATH",
    ),
]
OthersOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--test", help="Another dataset or store, to test on only (general); may be repeated.", metavar="PATH"
    ),
]
OutOption = Annotated[
    Path | None, typer.Option(help="Folder for tables (Markdown, CSV, JSON) and figures.", metavar="DIR")
]
CacheOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder for landmark stores, networks and scores, with which a run goes on where it stopped; DIR.cache by "
        "default.",
        metavar="DIR",
    ),
]
ConfigOption = Annotated[str, typer.Option(help="A named configuration, or a .toml file.")]
ModelOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A finished model to test beside (general, compression, noise); may be repeated.", metavar="MODEL"
    ),
]
SplitOption = Annotated[str, typer.Option(help="Test finished models on the videos of this split only.")]
AllowOption = Annotated[
    bool,
    typer.Option(
        "--allow-contaminated",
        help="Test models on people that they were trained on, and mark the rows as contaminated.",
    ),
]
SeedsOption = Annotated[
    int, typer.Option(min=1, help="How often everything is trained, with another seed and other folds.")
]
FramesOption = Annotated[int, typer.Option(min=30, help="Frames of each video, from its start.")]
WorkersOption = Annotated[
    int, typer.Option(min=0, help="Networks trained, or videos read, at a time; 0 for one a core.")
]

QualitiesOption = Annotated[
    str, typer.Option(help="Qualities that compression makes of videos of one: c23, c40, hevc, social; with commas.")
]
LandmarkersOption = Annotated[
    str, typer.Option(help="Landmarkers that detectors compares, with commas: mesh, face-api and, if installed, dlib.")
]
LevelsOption = Annotated[str, typer.Option(help="Of perturbations in noise, 1 to 5, with commas.")]


def register(app: typer.Typer) -> None:
    """Add a command for each experiment, and `all`; `calibration` is added where it has its other form."""
    for name, title in TITLES.items():
        if name != "calibration":
            app.command(name, help=f"{title} Needs the extra `train`.")(experiment_command)
    app.command("all", help="Every one of the paper's experiments, and a page that leads to them.")(experiment_command)


def experiment_command(
    ctx: typer.Context,
    data: DataOption = None,
    out: OutOption = None,
    others: OthersOption = None,
    model: ModelOption = None,
    split: SplitOption = "",
    allow_contaminated: AllowOption = False,
    config: ConfigOption = "experiments",
    seeds: SeedsOption = 1,
    folds: FoldsOption = 5,
    frames: FramesOption = 260,
    cache: CacheOption = None,
    workers: WorkersOption = 0,
    qualities: QualitiesOption = "c23,c40,hevc,social",
    landmarkers: LandmarkersOption = "",
    levels: LevelsOption = "1,2,3,4,5",
) -> None:
    """Run the experiment of the command's name."""
    from lrnet.faces import landmarker
    from lrnet.video.treatments import Reencoding

    chosen = tuple(int(level) if level in set("12345") else 0 for level in names_of(levels))
    if not chosen or 0 in chosen:
        raise typer.BadParameter("levels are 1 to 5, with commas", param_hint="--levels")
    if (split or allow_contaminated) and not model:
        raise typer.BadParameter("it is of finished models: give --model", param_hint="--split, --allow-contaminated")
    for quality in names_of(qualities):  # before minutes of work
        Reencoding(quality)
    for name in names_of(landmarkers):
        landmarker(name)
    run_experiments(
        list(TITLES) if ctx.info_name == "all" else [str(ctx.info_name)],
        data,
        out,
        cache,
        config,
        frames,
        workers,
        others=others or (),
        models=model or (),
        seeds=seeds,
        folds=folds,
        split=split,
        allow_contaminated=allow_contaminated,
        qualities=names_of(qualities),
        landmarkers=names_of(landmarkers),
        levels=chosen,
    )


def run_experiments(
    names: Sequence[str],
    data: Sequence[Path] | None,
    out: Path | None,
    cache: Path | None,
    config: str,
    frames: int,
    workers: int,
    *,
    others: Sequence[Path] = (),
    models: Sequence[str] = (),
    **settings: Any,
) -> None:
    """Run experiments, write their results, and print the tables.

    Args:
        settings: further fields of `lrnet.experiments.paper.setting.Setting`.
    """
    if not data or out is None:
        raise typer.BadParameter("Give --data and --out.")

    def tell(line: str) -> None:
        ERR.print(Text(line))

    from lrnet.experiments.paper.data import Data
    from lrnet.experiments.paper.report import carry_out, prepare
    from lrnet.experiments.paper.runs import Runs
    from lrnet.experiments.paper.setting import Setting
    from lrnet.machine import cores
    from lrnet.network.registry import load_model
    from lrnet.training.config import load_config

    prepare(out, names)
    cache, workers = cache or out.absolute().with_name(f"{out.name}.cache"), workers or cores()
    how = {"most_frames": frames, "workers": workers, "tell": tell}
    finished, loaded = tuple(load_model(name) for name in models), load_config(config)
    setting = Setting(
        data=Data.open(data, cache, **how),
        runs=Runs(cache, workers=workers, tell=tell),
        config=loaded,
        others=tuple(Data.open([path], cache, **how) for path in others),
        models=finished,
        command=typed_command(),
        tell=tell,
        **settings,
    )
    for result in carry_out(setting, out, names, tell):
        _print(result, brief=len(names) > 1)
    OUT.print(Text(f"written in {out}"))


def names_of(listed: str) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))


def _print(result: Result, *, brief: bool) -> None:
    from lrnet.experiments.paper.report import contrasts_table, rows_table

    OUT.print(Text(result.title, "bold"))
    if not brief:
        OUT.print(Text(rows_table(result.rows)))
        if result.contrasts:
            OUT.print(Text(contrasts_table(result.contrasts)))
    for finding in result.findings:
        OUT.print(Text(str(finding)))
