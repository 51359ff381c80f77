"""ROC curve, reliability and scores as PNG and SVG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrnet.errors import MissingDependencyError
from lrnet.evaluation.metrics import Scores, auc, reliability, roc
from lrnet.extras import install_command
from lrnet.files import written_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL_COLOUR = "#2b6cb0"
FAKE_COLOUR = "#c05621"


def draw_roc(curves: dict[str, Scores], folder: Path) -> list[Path]:
    """`roc.png` and `roc.svg`: true against false positive rate, one curve a name."""
    figure, axes = new_figure()
    for name, scores in curves.items():
        fpr, tpr, _ = roc(scores)
        axes.plot(fpr, tpr, label=f"{name}, AUC {auc(scores):.3f}, n = {len(scores)}")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    axes.set(xlabel="share of real ones called fake", ylabel="share of fakes called fake")
    axes.legend(loc="lower right", fontsize=8)
    return save_figure(figure, folder, "roc")


def draw_reliability(probabilities: Scores, folder: Path) -> list[Path]:
    """`reliability.png` and `.svg`: share of fakes by probability, real and fake weighing the same."""
    figure, axes = new_figure()
    bins = reliability(probabilities)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8, linestyle=":")
    axes.plot([b.probability for b in bins], [b.fakes for b in bins], marker="o", color=FAKE_COLOUR)
    for b in bins:
        axes.annotate(str(b.n), (b.probability, b.fakes), textcoords="offset points", xytext=(5, -9), fontsize=7)
    axes.set(xlabel="probability (mean of bin; number of videos beside it)", ylabel="share of fakes, classes balanced")
    return save_figure(figure, folder, "reliability")


def draw_scores(scores: Scores, thresholds: dict[str, float], folder: Path) -> list[Path]:
    """`scores.png` and `.svg`: how many real and fake videos have which score, with the thresholds."""
    figure, axes = new_figure()
    edges = np.linspace(0, 1, 26).tolist()
    for label, colour, name in ((0, REAL_COLOUR, "real"), (1, FAKE_COLOUR, "fake")):
        axes.hist(scores.score[scores.label == label], bins=edges, alpha=0.6, color=colour, label=name)
    for name, value in thresholds.items():
        axes.axvline(value, color="0.3", linewidth=0.8, linestyle="--")
        axes.text(value, 0.99, f" {name}", transform=axes.get_xaxis_transform(), fontsize=7, va="top", rotation=90)
    axes.set(xlabel="probability" if thresholds else "score", ylabel="videos")
    axes.legend(loc="upper center", fontsize=8)
    return save_figure(figure, folder, "scores")


def new_figure(width: float = 4.8, height: float = 4.2) -> tuple[Figure, Axes]:
    """An empty figure of this size, inches. Raises MissingDependencyError if matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "Drawing needs matplotlib.", hint=f"Install it: {install_command('train')}"
        ) from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def pictures(figure: Any) -> dict[str, bytes]:
    """A matplotlib figure as "png" and "svg", without the time at which they were made."""
    found = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        picture = io.BytesIO()
        figure.savefig(picture, format=kind, dpi=150, metadata=metadata)
        found[kind] = picture.getvalue()
    return found


def save_figure(figure: Any, folder: Path, name: str) -> list[Path]:
    """Write `NAME.png` and `NAME.svg`."""
    found = []
    for kind, content in pictures(figure).items():
        path = folder / f"{name}.{kind}"
        with written_beside(path) as partial:
            partial.write_bytes(content)
        found.append(path)
    return found
