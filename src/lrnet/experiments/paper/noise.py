"""Table 3: the seven perturbations of DeeperForensics at five levels, single, mixed and random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

from lrnet.evaluation.metrics import interval_text
from lrnet.experiments.paper.draw import draw_lines
from lrnet.experiments.paper.result import (
    MEASURED,
    Contrast,
    Finding,
    Result,
    Row,
    Seeds,
    Table,
    contrast,
    difference,
    in_words,
    measured_rows,
    no_worse_than,
    paper_figure,
)
from lrnet.experiments.paper.runs import everybody
from lrnet.experiments.paper.setting import Setting, called, score_model
from lrnet.experiments.paper.videos import VideoSet
from lrnet.experiments.stores import Condition
from lrnet.video.perturbations import Kind

NAME: Final = "noise"
FRAMES: Final = 100  # of each video: the grid has 37 conditions
Grid = dict[tuple[str, int], VideoSet]
"""By kind and level; level 0 of "clean", and of "mixed" and "random", whose levels are drawn."""


def grid(setting: Setting, frames: int, levels: Sequence[int]) -> Grid:
    """The videos that are tested in every condition."""
    tested = everybody(setting.split_plans()[0] if setting.has_splits else setting.plans()[0])
    records = [r for r in setting.data.main if r.group in tested]
    names = {("clean", 0): "clean"}
    names |= {(k.value, level): f"noise:{k.value}:{level}" for k, level in product(Kind, levels)}
    names |= {(kind, 0): f"noise:{kind}" for kind in ("mixed", "random")}
    return {
        at: setting.data.condition(Condition.of(name), f"{at[0]} {at[1] or ''}".strip(), records, frames)
        for at, name in names.items()
    }


def run(setting: Setting, frames: int = FRAMES) -> Result:
    """Networks of clean videos on perturbed ones."""
    levels = setting.levels
    sets = grid(setting, frames, levels)
    plans = setting.split_plans() if setting.has_splits else setting.plans()
    train = setting.data.clean()
    rows: list[Row] = []
    contrasts: list[Contrast] = []
    findings: list[Finding] = []
    every = {" + ".join(c.stream_names): c for c in (setting.config, setting.papers)}
    by_network = {
        name: {at: setting.runs.scored(train, tested, config, plans) for at, tested in sets.items()}
        for name, config in every.items()
    }
    notes: dict[str, str] = {}
    for at, tested in sets.items():
        for model in setting.models:
            videos, note = score_model(setting, model, tested)
            by_network.setdefault(called(setting, model), {})[at] = [videos]
            notes[called(setting, model)] = note
    for network, found in by_network.items():
        for (kind, level), seeds in found.items():
            labels = {"network": network, "perturbation": kind, "level": str(level or "")}
            rows += measured_rows(labels, seeds, MEASURED, note=notes.get(network, ""))
        for kind, level in (("mixed", 0), ("random", 0)):
            contrasts.append(difference(f"{network}: {kind} - clean", found[(kind, level)], found[("clean", 0)]))
        overall = {figure: decline(network, found, levels, figure) for figure in ("accuracy", "AUC")}
        contrasts += overall.values()
        for kind in dict.fromkeys(k for k, level in found if level):
            worst = found[(kind, max(levels))]
            contrasts.append(difference(f"{network}: {kind} {max(levels)} - clean", worst, found[("clean", 0)]))
        findings.append(like_the_papers(overall["accuracy"]))
    first = by_network[next(iter(every))]
    drawn = {
        kind: {
            float(level): row.estimate
            for level in levels
            for row in rows
            if row.labels == {"network": next(iter(every)), "perturbation": kind, "level": str(level)}
            and (row.unit, row.figure) == ("video", "AUC")
        }
        for kind in dict.fromkeys(k for k, level in first if level)
    }
    return Result(
        NAME,
        "Perturbed videos (the paper's Table 3)",
        _protocol(setting, sets[("clean", 0)], frames),
        tuple(rows),
        tuple(contrasts),
        tuple(findings),
        _about(setting, train, sets[("clean", 0)], frames=frames, levels=list(levels)),
        lambda folder: draw_lines(drawn, folder, NAME, ("level", f"AUC of videos ({next(iter(every))})"), bands=False),
        notes=(
            f"Seven perturbations of DeeperForensics-1.0 at levels {', '.join(map(str, levels))} of 5; `mixed` applies "
            "several in turn, `random` one of a drawn kind and level. They are applied to the video before landmarks "
            "are looked for.",
            _lost(sets),
            f"The paper's decline: {paper_figure(NAME, 'decline under noise')}.",
        ),
        shown=tuple(row for row in rows if not row.labels["level"]),
        extra=tuple(_by_level(network, rows, levels) for network in by_network),
    )


def _by_level(network: str, rows: Sequence[Row], levels: Sequence[int]) -> Table:
    """Kinds by level, AUC of videos."""
    found = {
        (row.labels["perturbation"], row.labels["level"]): row.estimate
        for row in rows
        if (row.labels["network"], row.unit, row.figure) == (network, "video", "AUC") and row.labels["level"]
    }
    kinds = dict.fromkeys(kind for kind, _ in found)
    lines = [
        (k, *(f"{(e := found[(k, str(n))]).value:.3f} ({interval_text(e.interval, 2)})" for n in levels)) for k in kinds
    ]
    return f"{network}: AUC of videos by level", ("", *map(str, levels)), tuple(lines)


def decline(network: str, found: Mapping[tuple[str, int], Seeds], levels: Sequence[int], figure: str) -> Contrast:
    """Mean over all kinds and levels, less clean."""
    single = [seeds for (_, level), seeds in found.items() if level in levels]
    sides = [(1 / len(single), seeds) for seeds in single] + [(-1.0, found[("clean", 0)])]
    return Contrast(
        f"{network}: mean of all kinds and levels - clean", "video", figure, contrast(sides, "video", figure)
    )


def like_the_papers(found: Contrast) -> Finding:
    """Whether the accuracy lost is no more than the paper's."""
    paper = paper_figure(NAME, "decline under noise")
    trend = f"Accuracy falls little under noise ({paper})."
    share, e = paper.value / 100, found.estimate
    inside = "inside" if e.low <= share <= e.high else "outside"
    because = f"{found.what} {in_words(found)}; the paper's lies {inside} this interval."
    return no_worse_than(trend, share, e, because)


def _about(setting: Setting, train: VideoSet, tested: VideoSet, **more: Any) -> dict[str, Any]:
    if not setting.has_splits:
        return setting.about(train, replace(tested, name=f"{tested.name}, perturbed"), **more)
    inside = tuple(v for v in train.videos if v.record.split == "train")
    sides = (replace(train, name="split train", videos=inside), replace(tested, name=f"split {setting.test_split}"))
    return setting.about(*sides, division="the official splits", **more)


def _protocol(setting: Setting, tested: VideoSet, frames: int) -> str:
    if not setting.has_splits:
        return f"{setting.protocol()} Perturbed are the first {frames} frames of each video."
    n = len(tested.groups)
    return (
        f"Trained on the official training split as it is, tested on the first {frames} frames of the "
        f"{len(tested.videos)} videos of the {setting.test_split} split ({n} identity groups: intervals are wide, and "
        f"with so few groups they are rather too narrow than too wide). {setting.seeds} seed(s). A video "
        "whose landmarks cannot be found once it is perturbed is left out. 95 % intervals from a bootstrap over "
        "identity groups, the same draws on both sides of a difference."
    )


def _lost(sets: Grid) -> str:
    whole = len(sets[("clean", 0)].videos)
    lost = {tested.name: whole - len(tested.videos) for tested in sets.values() if len(tested.videos) < whole}
    if not lost:
        return "Landmarks were found in every video; where n is smaller, they were too broken up for a clip."
    return "Videos without landmarks: " + ", ".join(f"{name} {n} of {whole}" for name, n in lost.items()) + "."
