"""Results of an experiment: rows, contrasts between them, and findings on the paper's trends."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from lrnet.evaluation.metrics import (
    RANKING,
    Estimate,
    Metric,
    Scores,
    accuracy,
    balanced_accuracy,
    contrast_interval,
    share_interval,
)
from lrnet.evaluation.protocol import ScoredVideo, clip_scores, scores_of, video_scores

Unit = Literal["clip", "video"]
Verdict = Literal["confirmed", "denied", "not decidable here"]
Seeds = Sequence[Sequence[ScoredVideo]]
"""The same videos scored by the networks of each seed."""

Sides = Sequence[tuple[float, Seeds]]
"""Conditions with the weight of each."""

Table = tuple[str, tuple[str, ...], tuple[tuple[str, ...], ...]]
"""Title, header, rows."""

MEASURED: Final[dict[Unit, tuple[str, ...]]] = {"video": ("AUC", "accuracy"), "clip": ("AUC",)}
"""The figures of most experiments."""

RESAMPLES: Final[dict[Unit, int]] = {"video": 1000, "clip": 250}  # clips are many

FIGURES: Final[dict[str, Metric]] = {**RANKING, "accuracy": accuracy, "balanced accuracy": balanced_accuracy}


@dataclass(frozen=True, slots=True)
class PaperFigure:
    """A figure of the paper.

    Attributes:
        experiment: name of the command that measures it.
        what: the thing measured.
        figure: its name, e.g. "AUC".
        where: in the paper.
    """

    experiment: str
    what: str
    figure: str
    value: float
    unit: str
    where: str

    def __str__(self) -> str:
        shown = f"{self.value:g}{' ' if self.unit else ''}{self.unit}"
        return f"{shown} ({self.where})"


@cache
def paper_figures(experiment: str) -> tuple[PaperFigure, ...]:
    """The paper's figures that an experiment repeats."""
    text = (resources.files("lrnet.experiments.paper") / "paper.toml").read_text(encoding="utf-8")
    return tuple(PaperFigure(**f) for f in tomllib.loads(text)["figure"] if f["experiment"] == experiment)


def paper_figure(experiment: str, what: str) -> PaperFigure:
    """The one of this name."""
    return next(f for f in paper_figures(experiment) if f.what == what)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure.

    Attributes:
        labels: a word for each column of the table.
        unit: "clip" or "video"; other figures (seconds, MB) have their own unit.
        figure: name of the quantity.
        estimate: with its interval; low and high are the value where there is none.
        paper: the paper's figure, if known.
        note: a caveat, e.g. that the row is contaminated.
    """

    labels: Mapping[str, str]
    unit: str
    figure: str
    estimate: Estimate
    paper: PaperFigure | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A difference of measured figures, with the same draws of people on both sides. `what` names it."""

    what: str
    unit: Unit
    figure: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a trend of the paper, or a question, is confirmed by the figures in `because`."""

    trend: str
    verdict: Verdict
    because: str

    def __str__(self) -> str:
        said = {"confirmed": "Confirmed", "denied": "Denied", "not decidable here": "Not decidable here"}
        return f"{self.trend} {said[self.verdict]}: {self.because}"


@dataclass(slots=True)
class Result:
    """An experiment's outcome, which fills while it runs.

    Attributes:
        name, title: of the experiment.
        protocol: how it was measured, in sentences.
        about: data with hashes, configuration, seeds, versions, machine.
        draw: draws the figure into a folder and returns its files; None for the AUC of all rows.
        notes: on the whole result.
        shown: the rows of the page's table; empty for all of them. CSV and JSON have all.
        extra: further tables.
    """

    name: str
    title: str
    protocol: str
    about: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)
    contrasts: list[Contrast] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    draw: Callable[[Path], Sequence[Path]] | None = None
    notes: tuple[str, ...] = ()
    shown: Sequence[Row] = ()
    extra: tuple[Table, ...] = ()

    def add(
        self,
        labels: Mapping[str, str],
        seeds: Seeds,
        figures: Mapping[Unit, Sequence[str]] = MEASURED,
        *,
        paper: Mapping[str, PaperFigure] = MappingProxyType({}),
        note: str = "",
    ) -> None:
        """Add a row for each figure of each unit.

        Args:
            paper: the paper's figures by name of the figure, shown beside those of videos.
        """
        for unit, names in figures.items():
            for figure in names:
                theirs = paper.get(figure) if unit == "video" else None
                self.rows.append(Row(labels, unit, figure, measured(seeds, unit, figure), theirs, note))

    def differ(self, what: str, one: Seeds, other: Seeds, unit: Unit = "video", figure: str = "AUC") -> Contrast:
        """Add `one` minus `other`."""
        return self.weigh(what, [(1.0, one), (-1.0, other)], unit, figure)

    def weigh(self, what: str, sides: Sides, unit: Unit = "video", figure: str = "AUC") -> Contrast:
        """Add a weighted sum over conditions."""
        self.contrasts.append(Contrast(what, unit, figure, contrast(sides, unit, figure)))
        return self.contrasts[-1]

    def ask(self, trend: str, found: Contrast, name: str = "") -> None:
        """Add whether a difference lies above 0."""
        self.findings.append(is_above(trend, found, name))

    def beside_paper(self, trend: str, paper: float, e: Estimate, because: str) -> None:
        """Add whether an estimate lies at or above the paper's value with its whole interval, below, or neither."""
        verdict: Verdict = "confirmed" if e.low >= paper else "denied" if e.high < paper else "not decidable here"
        self.findings.append(Finding(trend, verdict, f"{because}."))

    def decline(self, trend: str, paper: float, found: Contrast, name: str) -> None:
        """Add whether a decline is no worse than the paper's."""
        e = found.estimate
        inside = "inside" if e.low <= paper <= e.high else "outside"
        where = "" if e.interval is None else f"; the paper's lies {inside} this interval"
        self.beside_paper(trend, paper, e, f"{name} {in_words(found)}{where}")


def scores(videos: Sequence[ScoredVideo], unit: Unit) -> Scores:
    """One row a clip or a video, raw scores."""
    return clip_scores(videos) if unit == "clip" else video_scores(videos)


def measured(seeds: Seeds, unit: Unit, figure: str) -> Estimate:
    """A figure, its mean over seeds, with the interval over people."""
    return contrast([(1.0, seeds)], unit, figure)


def contrast(sides: Sides, unit: Unit, figure: str) -> Estimate:
    """A weighted sum of a figure over conditions, each averaged over its seeds."""
    parts = [(weight / len(seeds), scores(videos, unit)) for weight, seeds in sides for videos in seeds]
    return contrast_interval(FIGURES[figure], parts, resamples=RESAMPLES[unit])


def share_called_fake(videos: Sequence[ScoredVideo], threshold: float = 0.5) -> Estimate:
    """Share of videos scored at or above a threshold. With too few groups for an interval it is 0 to 1."""
    table = scores_of([(v, v.score) for v in videos if v.score is not None])
    found = share_interval(table.score >= threshold, table.group)
    return replace(found, low=0.0, high=1.0) if found.interval is None else found


def is_above(trend: str, found: Contrast, name: str = "") -> Finding:
    """Whether a difference lies above 0 with its whole interval, below, or neither."""
    e = found.estimate
    verdict: Verdict = "confirmed" if e.low > 0 else "denied" if e.high < 0 else "not decidable here"
    return Finding(trend, verdict, f"{name or found.what} {in_words(found)}.")


def in_words(found: Contrast) -> str:
    """The difference with its interval."""
    e = found.estimate
    return f"{e.value:+.3f} {found.unit} {found.figure} (95 % interval {signed_interval(e)})"


def signed_interval(e: Estimate) -> str:
    return "too few people" if e.interval is None else f"{e.low:+.3f} to {e.high:+.3f}"
