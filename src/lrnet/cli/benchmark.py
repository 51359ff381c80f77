"""`lrnet benchmark`: repeat the measurements of this package on your own videos."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from lrnet.cli import experiments
from lrnet.cli.console import ERR, OUT
from lrnet.cli.options import FoldsOption, LimitOption, ModelOption

if TYPE_CHECKING:
    from lrnet.experiments.calibration import CalibrationBenchmark

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
    if data:
        experiments.run_experiments(
            ["calibration"], data, out, cache, config, frames or 260, workers, seeds=seeds, folds=folds
        )
        return
    assert videos is not None
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
    result = benchmark_calibration(
        videos,
        {name: landmarker(name) for name in names},
        openface=csv_of,
        frames=frames,
        before_each=lambda video: ERR.print(Text(f"{video}")),
    )
    if out is not None:
        report.write(result, out)
    _print(result)


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
    from lrnet.experiments import speed_report as report
    from lrnet.experiments.environment import prepare
    from lrnet.experiments.speed import benchmark_speed
    from lrnet.network.registry import DEFAULT_MODEL
    from lrnet.video.limits import Access, Limits
    from lrnet.video.reader import probe

    access = Access(limits=Limits().changed(limit or ()))
    if out is not None:
        prepare(out, report.FILES)
    for video in videos:
        probe(video)
    result = benchmark_speed(
        videos,
        model or DEFAULT_MODEL,
        runs=runs,
        threads=threads,
        access=access,
        before_each=lambda video: ERR.print(Text(f"{video}")),
    )
    if out is not None:
        report.write(result, out)
    _print_table(2, *report.table(result))
    for sentence in report.sentences(result):
        OUT.print(Text(sentence))


@app.command("crop")
def crop_command(
    source: Annotated[
        Path, typer.Argument(help="A manifest (CSV with path, label, ...), or FaceForensics++ in its official layout.")
    ],
    model: ModelOption = "",
    compression: Annotated[str, typer.Option(help="Of FaceForensics++: raw, c23 or c40.")] = "c23",
    out: Annotated[Path | None, typer.Option("--json", help="File for the figures and every video's scores.")] = None,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
) -> None:
    """Compare scores with the crop of detection and with a crop averaged over the whole track."""
    from lrnet.data import read_faceforensics, read_manifest
    from lrnet.experiments.crop import benchmark_crop
    from lrnet.files import require_writable, write_text
    from lrnet.network.registry import DEFAULT_MODEL

    if out is not None:
        require_writable(out)
    records = read_faceforensics(source, compression) if source.is_dir() else read_manifest(source)
    done = itertools.count(1)
    result = benchmark_crop(
        records,
        model or DEFAULT_MODEL,
        workers=workers,
        tell=lambda outcome: ERR.print(Text(f"{next(done)} of {len(records)}: {outcome.item.key}")),
    )
    summary = result.summary()
    if out is not None:
        videos = [{"key": v.record.key, "label": v.record.label, **v.scores()} for v in result.videos]
        write_text(out, json.dumps({**summary, "scores": videos}, indent=1) + "\n")
    for unit, count in (("video", summary["videos"]), ("clip", summary["clips"])):
        one, two = summary[f"{unit}_auc"]
        apart = ", ".join(f"{name} {value:.4f}" for name, value in summary[f"{unit}_difference"].items())
        OUT.print(Text(f"{count} {unit}s: AUC {one:.4f} in one pass, {two:.4f} in two; scores apart: {apart}"))


@app.command("network")
def network_command(
    model: ModelOption = "",
) -> None:
    """Measure the time of a clip in the network on one thread, and the difference of ONNX Runtime and PyTorch."""
    from lrnet.experiments.network import benchmark_network
    from lrnet.network.registry import DEFAULT_MODEL, load_model

    bundle = load_model(model or DEFAULT_MODEL)
    found = benchmark_network(bundle)
    words = "PyTorch is not installed" if found.difference is None else f"{found.difference:.1e} from PyTorch at most"
    frames = bundle.spec.preprocessing.clip_length
    OUT.print(
        Text(
            f"{bundle.spec.name}: {found.parameters:,} parameters, {found.clip_ms:.3f} ms a clip of {frames} frames, "
            f"{words}"
        )
    )


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


def _print(result: CalibrationBenchmark) -> None:
    from lrnet.experiments import calibration_report as report

    tables = [(1, *report.landmarker_table(result))]
    if any(video.distances for video in result.videos):
        tables.append((2, *report.distance_table(result)))
    for names, header, rows in tables:
        _print_table(names, header, rows)
    for sentence in (*report.summaries(result), *report.notes(result)):
        OUT.print(Text(sentence))


def _print_table(names: int, header: list[str], rows: list[list[str]]) -> None:
    """Names to the left, numbers to the right; lines are neither broken nor cut."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in (header, *rows):
        sized = enumerate(zip(line, widths, strict=True))
        cells = (cell.ljust(n) if column < names else cell.rjust(n) for column, (cell, n) in sized)
        OUT.print(Text("  ".join(cells)))
    OUT.print()
