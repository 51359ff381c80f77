"""The figures of experiments, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.evaluation.metrics import Estimate
from lrnet.evaluation.plots import FAKE_COLOUR, REAL_COLOUR, new_figure, save_figure
from lrnet.experiments.paper.result import Row

WRAPPED: Final = 44  # characters of a row's name
UNDRAWN: Final = frozenset({"parameters"})  # labels that only the table has
PAPER_COLOUR: Final = "#2f855a"
OTHER_COLOURS: Final = (
    REAL_COLOUR,
    FAKE_COLOUR,
    "#6b46c1",
    PAPER_COLOUR,
    "#b7791f",
    "#97266d",
    "#4a5568",
    "#2c7a7b",
    "0.6",
)


def draw_rows(rows: Sequence[Row], folder: Path, name: str, axis: str) -> list[Path]:
    """Each row a point with its interval, grey if it has a note; the paper's figure as a diamond."""
    names = [fill(", ".join(v for k, v in row.labels.items() if v and k not in UNDRAWN), WRAPPED) for row in rows]
    lines = sum(max(1, name.count("\n") + 1) for name in names)
    figure, axes = new_figure(7.2, 1.2 + 0.12 * len(rows) + 0.16 * lines)
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        e = row.estimate
        colour = "0.6" if row.note else REAL_COLOUR
        axes.plot([e.low, e.high], [place, place], color=colour, linewidth=1.6)
        axes.plot([e.value], [place], "o", color=colour, markersize=4.5)
        if row.paper is not None:
            axes.plot([row.paper.value], [place], "D", color=PAPER_COLOUR, markersize=4.5, label="the paper's")
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color="0.92")
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles[:1], labels[:1], fontsize=8, loc="outside upper right")
    return save_figure(figure, folder, name)


def draw_auc(rows: Sequence[Row], folder: Path, name: str) -> list[Path]:
    """The AUC of videos of these rows."""
    shown = [row for row in rows if (row.unit, row.figure) == ("video", "AUC")]
    return draw_rows(shown, folder, name, "AUC of videos, 95 % interval")


def draw_lines(
    lines: Mapping[str, Mapping[float, Estimate]],
    folder: Path,
    name: str,
    axes_names: tuple[str, str],
    *,
    bands: bool = True,
) -> list[Path]:
    """A line a name over numbers, with intervals as whiskers."""
    figure, axes = new_figure(7.2, 4.2)
    everywhere = sorted({x for line in lines.values() for x in line})
    step = min(np.diff(everywhere), default=1.0)
    for i, (label, line) in enumerate(lines.items()):
        xs = np.array(sorted(line), float) + (i - (len(lines) - 1) / 2) * 0.05 * step
        found = [line[x] for x in sorted(line)]
        values = np.array([e.value for e in found])
        whiskers = np.array([[e.value - e.low for e in found], [e.high - e.value for e in found]]) if bands else None
        colour = OTHER_COLOURS[i % len(OTHER_COLOURS)]
        axes.errorbar(xs, values, yerr=whiskers, marker="o", markersize=4, capsize=2, label=label, color=colour)
    axes.set_xticks(everywhere)
    axes.set(xlabel=axes_names[0], ylabel=axes_names[1])
    axes.grid(axis="y", color="0.92")
    axes.legend(fontsize=8)
    return save_figure(figure, folder, name)


def draw_matrices(
    matrices: Mapping[str, NDArray[np.float64]], names: Sequence[str], folder: Path, name: str
) -> list[Path]:
    """Square tables of numbers side by side, trained on (rows) and tested on (columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(matrices), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, matrix) in zip(
        figure.subplots(1, len(matrices), squeeze=False)[0], matrices.items(), strict=True
    ):
        axes.imshow(matrix, vmin=0.5, vmax=1, cmap="Blues")
        for i, row in enumerate(matrix):
            for j, value in enumerate(row):
                axes.text(j, i, f"{value:.3f}", ha="center", va="center", color="white" if value > 0.8 else "black")
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="tested on", ylabel="trained on")
    return save_figure(figure, folder, name)
