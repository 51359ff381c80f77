"""Table 1: trained on one dataset, tested on it (people left out) and on others."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lrnet.data.records import Label
from lrnet.evaluation.metrics import Estimate, interval_text
from lrnet.experiments.paper.draw import draw_auc
from lrnet.experiments.paper.result import (
    FIGURES,
    Finding,
    PaperFigure,
    Result,
    Row,
    Seeds,
    Unit,
    measured,
    measured_rows,
    no_worse_than,
    paper_figure,
    share_called_fake,
)
from lrnet.experiments.paper.runs import everybody, with_strangers
from lrnet.experiments.paper.setting import Setting, called, score_model
from lrnet.experiments.paper.videos import VideoSet
from lrnet.training.config import TrainingConfig

NAME: Final = "general"
MEASURED: Final[dict[Unit, tuple[str, ...]]] = {"video": tuple(FIGURES), "clip": ("AUC",)}


def run(setting: Setting) -> Result:
    """Cross-validation within the dataset, its official splits, and every other dataset; finished models beside."""
    clean = setting.data.clean()
    whole = {data.name: replace(data.clean(), name=data.name) for data in setting.others}
    others = {name: videos.beside(clean) for name, videos in whole.items()}
    paper = {"AUC": paper_figure(NAME, "FaceForensics++")}
    rows: list[Row] = []
    within: dict[str, Seeds] = {}
    notes = [
        f"Left out of {name}: {gone} videos that show people of several groups of {setting.data.name}, of which one is "
        "always trained on."
        for name, videos in whole.items()
        if (gone := len(videos.videos) - len(others[name].videos))
    ]
    for config in (setting.config, setting.papers):
        found, some_notes = _of_recipe(setting, config, clean, others, paper)
        rows += found
        notes += [n for n in some_notes if n not in notes]
        within[" + ".join(config.stream_names)] = setting.runs.scored(clean, clean, config, setting.plans())
    for model in setting.models:
        scored, note = score_model(setting, model, clean)
        labels = {
            "network": called(setting, model),
            "tested on": setting.data.name,
            "parameters": f"{model.spec.network.parameters:,}",
        }
        rows += measured_rows(labels, [scored], MEASURED, note=note)
        for name, other in others.items():
            if len({v.record.label for v in other.videos}) == 2:
                scored, note = score_model(setting, model, other, split="")
                labels = {**labels, "network": model.spec.name, "tested on": name}
                rows += measured_rows(labels, [scored], MEASURED, note=note)
    train = len(clean.videos) * (setting.folds - 1) // setting.folds
    findings = [_beside_paper(name, seeds, paper["AUC"], train) for name, seeds in within.items()]
    return Result(
        NAME,
        "Trained on one dataset, tested on several (the paper's Table 1)",
        setting.protocol(),
        tuple(rows),
        (),
        tuple(findings),
        setting.about(clean, *others.values()),
        lambda folder: draw_auc(rows, folder, NAME),
        notes=(
            "Accuracy is that of scores at 0.5. The paper's figure is of networks trained on the whole official "
            "training split (720 originals and their fakes); the abstract does not say whether it is of clips or of "
            "videos.",
            *notes,
        ),
    )


def _of_recipe(
    setting: Setting,
    config: TrainingConfig,
    clean: VideoSet,
    others: dict[str, VideoSet],
    paper: dict[str, PaperFigure],
) -> tuple[list[Row], list[str]]:
    plans = setting.plans()
    first = setting.runs.networks(clean, config, plans[0][0])
    labels = {
        "network": " + ".join(config.stream_names),
        "tested on": f"{setting.data.name}, people left out",
        "parameters": f"{sum(b.spec.network.parameters for b in first):,}",
    }
    shown = paper if setting.data.name == "FaceForensics++" else {}
    within = setting.runs.scored(clean, clean, config, plans)
    rows = measured_rows(labels, within, MEASURED, paper=shown)
    if setting.has_splits:
        scored = setting.runs.scored(clean, clean, config, setting.split_plans())
        n = len(everybody(setting.split_plans()[0]))
        name = f"{setting.data.name}, official split {setting.test_split} ({n} identity groups)"
        rows += measured_rows({**labels, "tested on": name}, scored, MEASURED, paper=shown)
    notes = []
    for name, other in others.items():
        more = [with_strangers(plan, other.groups) for plan in plans]
        there = [
            [v for v in videos if v.score is not None] for videos in setting.runs.scored(clean, other, config, more)
        ]
        classes = {v.record.label for v in there[0]}
        if len(classes) == 2:
            rows += measured_rows({**labels, "tested on": name}, there, MEASURED)
        for label in sorted(classes):
            missing = Label.REAL if label is Label.FAKE else Label.FAKE
            both = [
                [v for v in theirs if v.record.label is label] + [v for v in ours if v.record.label is missing]
                for theirs, ours in zip(there, within, strict=True)
            ]
            mixed = f"{setting.data.name}'s {missing.value} videos (people left out) and {name}'s {label.value} ones"
            rows += measured_rows({**labels, "tested on": mixed}, both, MEASURED)
        rows += _by_source(there, labels)
        notes.append(
            f"Where the {setting.data.name} videos of one class are compared with the other class of {name}, "
            "differences between the sources count too."
        )
    return rows, notes


def _by_source(seeds: Seeds, labels: dict[str, str]) -> list[Row]:
    """Of the videos of each source and class the share that is called fake at 0.5 (first seed)."""
    kinds = sorted({(v.record.source, v.record.label) for v in seeds[0]})
    rows = []
    for source, label in kinds:
        some = [v for v in seeds[0] if (v.record.source, v.record.label) == (source, label)]
        groups = len({v.record.group for v in some})
        of_source = {**labels, "tested on": f"{source}, {label.value}, identity groups: {groups}"}
        rows.append(Row(of_source, "video", "called fake at 0.5", share_called_fake(some)))
    return rows


def _beside_paper(name: str, seeds: Seeds, paper: PaperFigure, train: int) -> Finding:
    e: Estimate = measured(seeds, "video", "AUC")
    trend = f"An AUC of {paper} on FaceForensics++ is reached with {train} training videos."
    because = f"{name}: {e.value:.3f} video AUC (95 % interval {interval_text(e.interval)}), people left out."
    return no_worse_than(trend, paper.value, e, because)
