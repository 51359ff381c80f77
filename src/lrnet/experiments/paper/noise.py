"""Table 3: the seven perturbations of DeeperForensics at five levels, single, mixed and random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

from lrnet.evaluation.metrics import Estimate, interval_text
from lrnet.experiments.paper.draw import draw_lines
from lrnet.experiments.paper.result import Contrast, Result, Seeds, paper_figure
from lrnet.experiments.paper.runs import everybody
from lrnet.experiments.paper.setting import Setting, called, score_model
from lrnet.experiments.paper.videos import VideoSet
from lrnet.experiments.stores import Condition
from lrnet.video.perturbations import Kind

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
    levels, train = setting.levels, setting.data.clean()
    sets = grid(setting, frames, levels)
    clean = sets[("clean", 0)]
    plans = setting.split_plans() if setting.has_splits else setting.plans()
    paper = paper_figure("noise", "decline under noise")
    result = Result(
        "noise",
        "Perturbed videos (the paper's Table 3)",
        _protocol(setting, clean, frames),
        _about(setting, train, clean, frames=frames, levels=list(levels)),
        notes=(
            f"Seven perturbations of DeeperForensics-1.0 at levels {', '.join(map(str, levels))} of 5; `mixed` applies "
            "several in turn, `random` one of a drawn kind and level. They are applied to the video before landmarks "
            "are looked for.",
            _lost(sets),
            f"The paper's decline: {paper}.",
        ),
    )
    by_network: dict[str, dict[tuple[str, int], Seeds]] = {
        name: {at: setting.runs.scored(train, tested, config, plans) for at, tested in sets.items()}
        for name, config in setting.configs.items()
    }
    notes: dict[str, str] = {}
    for model in setting.models:
        name = called(setting, model)
        for at, tested in sets.items():
            videos, notes[name] = score_model(setting, model, tested)
            by_network.setdefault(name, {})[at] = [videos]
    for network, found in by_network.items():
        for (kind, level), seeds in found.items():
            labels = {"network": network, "perturbation": kind, "level": str(level or "")}
            result.add(labels, seeds, note=notes.get(network, ""))
        for kind in ("mixed", "random"):
            result.differ(f"{network}: {kind} - clean", found[(kind, 0)], found[("clean", 0)])
        lost = _decline(result, network, found, levels, "accuracy")
        _decline(result, network, found, levels, "AUC")
        for kind in dict.fromkeys(k for k, level in found if level):
            worst = found[(kind, max(levels))]
            result.differ(f"{network}: {kind} {max(levels)} - clean", worst, found[("clean", 0)])
        result.decline(f"Accuracy falls little under noise ({paper}).", paper.value / 100, lost, lost.what)
    result.shown = [row for row in result.rows if not row.labels["level"]]
    aucs = {network: _by_level(result, network) for network in by_network}
    head, *_ = aucs
    axes = ("level", f"AUC of videos ({head})")
    result.draw = lambda folder: draw_lines(aucs[head], folder, result.name, axes, bands=False)
    result.extra = tuple(
        (
            f"{network}: AUC of videos by level",
            ("", *map(str, levels)),
            tuple(
                (kind, *(f"{e.value:.3f} ({interval_text(e.interval, 2)})" for e in line.values()))
                for kind, line in lines.items()
            ),
        )
        for network, lines in aucs.items()
    )
    return result


def _by_level(result: Result, network: str) -> dict[str, dict[float, Estimate]]:
    """The AUC of videos by kind and level."""
    found: dict[str, dict[float, Estimate]] = {}
    for row in result.rows:
        if (row.labels["network"], row.unit, row.figure) == (network, "video", "AUC") and row.labels["level"]:
            found.setdefault(row.labels["perturbation"], {})[float(row.labels["level"])] = row.estimate
    return found


def _decline(
    result: Result, network: str, found: Mapping[tuple[str, int], Seeds], levels: Sequence[int], figure: str
) -> Contrast:
    """Mean over all kinds and levels, less clean."""
    single = [seeds for (_, level), seeds in found.items() if level in levels]
    sides = [(1 / len(single), seeds) for seeds in single] + [(-1.0, found[("clean", 0)])]
    return result.weigh(f"{network}: mean of all kinds and levels - clean", sides, "video", figure)


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
