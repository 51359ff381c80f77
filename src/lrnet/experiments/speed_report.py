"""The speed benchmark as a table, a JSON file and a figure."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lrnet.evaluation.plots import save_figure
from lrnet.experiments.speed import SpeedBenchmark
from lrnet.files import make_folder, write_text

FILES: Final = ("speed.json", "speed.png", "speed.svg")


def table(result: SpeedBenchmark) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a video each, medians over the runs."""
    names = [stage.name for stage in result.videos[0].stages()]
    header = ["video", "size", "frames", "examined", "faces", "decode / s", "detect / s", "slowest - fastest"]
    header += ["ratio", "x real", "decode alone CPU-ms", "CPU-ms", *names, "MB"]
    rows = []
    for v in result.videos:
        low, high = v.spread
        cells = [v.video, f"{v.width}x{v.height}", str(v.frames), f"{v.examined:.0%}", str(v.faces)]
        cells += [f"{v.decode_rate:.0f}", f"{v.rate:.0f}"]
        cells += [f"{low:.0f} - {high:.0f}", f"{v.ratio:.2f}", f"{v.times_real_time:.1f}", f"{v.decode_cpu:.2f}"]
        cells += [f"{v.cpu:.2f}", *(f"{stage.cpu:.2f}" for stage in v.stages()), f"{v.peak_memory:.0f}"]
        rows.append(cells)
    return header, rows


def sentences(result: SpeedBenchmark) -> list[str]:
    """What the table was measured on."""
    software = ", ".join(f"{name} {number}" for name, number in result.software.items())
    runs = len(result.videos[0].runs)
    return [
        f"{result.machine}, {result.cores} cores, {result.threads} threads; {software}; model {result.model}.",
        f"Medians of {runs} runs, decoding alone and detection in turn; CPU-ms are a frame's, over all threads.",
        f"From the start of the command to the first frame: {result.first_frame:.2f} s.",
    ]


def as_dict(result: SpeedBenchmark) -> dict[str, Any]:
    """Everything measured, run by run, and the medians."""
    document = asdict(result)
    for entry, v in zip(document["videos"], result.videos, strict=True):
        entry |= {
            "decode_rate": v.decode_rate,
            "rate": v.rate,
            "ratio": v.ratio,
            "times_real_time": v.times_real_time,
            "decode_cpu": v.decode_cpu,
            "cpu": v.cpu,
            "stages": [asdict(stage) for stage in v.stages()],
        }
    return document


def write(result: SpeedBenchmark, folder: Path) -> None:
    """`speed.json`, and a bar figure as PNG and SVG."""
    make_folder(folder)
    write_text(folder / "speed.json", json.dumps(as_dict(result), indent=1) + "\n")
    _draw(result, folder)


def _draw(result: SpeedBenchmark, folder: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.4 + 0.75 * len(result.videos)), layout="constrained")
    axes = figure.subplots()
    places = [float(i) for i in range(len(result.videos))]
    alone = [v.decode_cpu for v in result.videos]
    axes.barh([y - 0.22 for y in places], alone, 0.3, label="decoding alone", color="#bbbbbb")
    left = [0.0] * len(places)
    stages = [v.stages() for v in result.videos]
    for i, stage in enumerate(stages[0]):
        widths = [each[i].cpu for each in stages]
        axes.barh([y + 0.16 for y in places], widths, 0.4, left=left, label=stage.name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for y, end, v in zip(places, left, result.videos, strict=True):
        axes.annotate(f"{v.rate:.0f} / s", (end, y + 0.16), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(places, [f"{v.video}\n{v.width}x{v.height}, faces: {v.faces}" for v in result.videos])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(f"CPU-ms a frame ({result.machine}, {result.threads} threads)")
    axes.legend(fontsize="small", loc="lower right")
    save_figure(figure, folder, "speed")
