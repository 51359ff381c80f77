"""`lrnet benchmark`: repeat the measurements of this package on your own videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from lrnet.cli import experiments
from lrnet.cli.console import ERR, OUT, Terminal
from lrnet.cli.datasets import CompressionOption, SourceArgument, open_source
from lrnet.cli.options import FoldsOption, LimitOption, ModelOption
from lrnet.report.wording import readable

app = typer.Typer(
    help="Repeat the documentation's measurements and the paper's experiments on your own videos.",
    no_args_is_help=True,
)
experiments.register(app)


@app.command("calibration")
def calibration_command(
    videos: Annotated[
        list[Path] | None, typer.Argument(help="Videos; the largest face of each counts.", metavar="[VIDEO]...")
    ] = None,
    landmarkers: Annotated[
        str, typer.Option(help="Names with commas, as `lrnet landmarks list` has them.")
    ] = "mesh,face-api",
    openface: Annotated[
        list[Path] | None,
        typer.Option(help="OpenFace CSV of a video, named as the video is, or the only one's; may be repeated."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for tables (Markdown, CSV, JSON) and a figure (needs matplotlib).")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=10, help="Frames of each video, from its start.")] = None,
    data: experiments.DataOption = None,
    config: experiments.ConfigOption = "experiments",
    seeds: experiments.SeedsOption = 1,
    folds: FoldsOption = 5,
    cache: experiments.CacheOption = None,
    workers: experiments.WorkersOption = 0,
) -> None:
    """Measure calibration, in two forms.

    With VIDEO: jitter, distance between landmarkers by facial group, lag and time, before and after. With --data:
    networks trained with and without it and its Kalman filter (Table 5) and distances by facial group (Figure 6);
    needs the extra `train`.
    """
    if bool(videos) == bool(data):
        raise typer.BadParameter("Give either videos, or labelled videos with --data.")
    if not videos:
        experiments.run_experiments(
            ["calibration"], data, out, cache, config, frames or 260, workers, seeds=seeds, folds=folds
        )
        return
    csv_of = _csv_of(videos, openface or [])
    names = experiments.names_of(landmarkers)
    if not names and not csv_of:
        raise typer.BadParameter("No landmarker is named.", param_hint="--landmarkers")

    from lrnet.experiments import calibration_report as report
    from lrnet.experiments.calibration import benchmark_calibration
    from lrnet.experiments.environment import prepare
    from lrnet.faces import landmarker

    if out is not None:
        prepare(out, report.FILES)
    chosen = {name: landmarker(name) for name in names}
    result = benchmark_calibration(videos, chosen, openface=csv_of, frames=frames, before_each=_say)
    if out is not None:
        report.write(result, out)
    _print_table(1, *report.landmarker_table(result))
    if any(video.distances for video in result.videos):
        _print_table(2, *report.distance_table(result))
    for sentence in (*report.summaries(result), *report.notes(result)):
        OUT.print(Text(sentence))


@app.command("speed")
def speed_command(
    videos: Annotated[list[Path], typer.Argument(help="Videos.", metavar="VIDEO")],
    model: ModelOption = "",
    runs: Annotated[int, typer.Option(help="Pairs of decoding alone and detection.", min=1)] = 3,
    threads: Annotated[int | None, typer.Option(help="Threads; as many as cores by default.", min=1)] = None,
    limit: LimitOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON and a figure (needs matplotlib).")] = None,
) -> None:
    """Frames a second, CPU-ms a frame of each stage and memory, beside decoding alone on the same file."""
    from lrnet.experiments import speed
    from lrnet.experiments.environment import prepare
    from lrnet.network.registry import DEFAULT_MODEL
    from lrnet.video.limits import Access, Limits
    from lrnet.video.reader import probe

    access = Access(limits=Limits().changed(limit or ()))
    if out is not None:
        prepare(out, speed.FILES)
    for video in videos:
        probe(video)
    result = speed.benchmark_speed(
        videos, model or DEFAULT_MODEL, runs=runs, threads=threads, access=access, before_each=_say
    )
    if out is not None:
        speed.write(result, out)
    _print_table(2, *speed.table(result))
    for sentence in speed.sentences(result):
        OUT.print(Text(sentence))


@app.command("crop")
def crop_command(
    source: SourceArgument,
    model: ModelOption = "",
    compression: CompressionOption = "",
    workers: experiments.WorkersOption = 1,
) -> None:
    """Compare scores with the crop of detection and with a crop averaged over the whole track."""
    from functools import partial

    from lrnet.data.engines import LocalEngine
    from lrnet.experiments.crop import score_both, summary
    from lrnet.network.registry import DEFAULT_MODEL

    records = open_source(source, "", compression).records
    videos = []
    for outcome in LocalEngine(workers).run(partial(score_both, model=model or DEFAULT_MODEL), records):
        if outcome.result is None:
            raise outcome.error or AssertionError("an outcome has a result or an error")
        videos.append(outcome.result)
        ERR.print(Text(f"{len(videos)} of {len(records)}: {outcome.item.key}"))
    found = summary(videos)
    for unit in ("video", "clip"):
        one, two = found[f"{unit}_auc"]
        apart = ", ".join(f"{name} {value:.4f}" for name, value in found[f"{unit}_difference"].items())
        counted = f"{found[f'{unit}s']} {unit}s"
        OUT.print(Text(f"{counted}: AUC {one:.4f} in one pass, {two:.4f} in two; scores apart: {apart}"))


@app.command("network")
def network_command(model: ModelOption = "") -> None:
    """Measure the time of a clip in the network on one thread, and the difference of ONNX Runtime and PyTorch."""
    from lrnet.experiments.network import benchmark_network
    from lrnet.network.registry import load_model

    bundle = load_model(model)
    milliseconds, difference = benchmark_network(bundle)
    words = "PyTorch is not installed" if difference is None else f"{difference:.1e} from PyTorch at most"
    clip = f"{milliseconds:.3f} ms a clip of {bundle.spec.preprocessing.clip_length} frames"
    OUT.print(Text(f"{bundle.spec.name}: {bundle.spec.network.parameters:,} parameters, {clip}, {words}"))


def _say(video: Path) -> None:
    ERR.print(Text(readable(str(video))))


def _csv_of(videos: list[Path], tables: list[Path]) -> dict[Path, Path]:
    """The CSV of each video, by name, or the only one of the only video."""
    if len(videos) == len(tables) == 1:
        return {videos[0]: tables[0]}
    found = {}
    for table in tables:
        same = [video for video in videos if video.stem == table.stem]
        if len(same) != 1:
            raise typer.BadParameter(
                f"{table} belongs to {len(same)} of the videos: name it as its video is named.", param_hint="--openface"
            )
        found[same[0]] = table
    return found


def _print_table(names: int, header: list[str], rows: list[list[str]]) -> None:
    """Names to the left, numbers to the right; lines are neither broken nor cut."""
    table = Table(box=None, pad_edge=False)
    for i, title in enumerate(header):
        table.add_column(title, justify="left" if i < names else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(readable(cell)) for cell in row))
    Terminal(width=1000, highlight=False).print(table)
    OUT.print()
