"""Table 1: trained on one dataset, tested on it (people left out) and on others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from lrnet.data.records import Label
from lrnet.evaluation.metrics import interval_text
from lrnet.experiments.paper.result import (
    FIGURES,
    PaperFigure,
    Result,
    Row,
    Seeds,
    Unit,
    measured,
    paper_figure,
    share_called_fake,
)
from lrnet.experiments.paper.runs import everybody, with_strangers
from lrnet.experiments.paper.setting import Setting, called, score_model
from lrnet.experiments.paper.videos import VideoSet
from lrnet.training.config import TrainingConfig

MEASURED: Final[dict[Unit, tuple[str, ...]]] = {"video": tuple(FIGURES), "clip": ("AUC",)}


def run(setting: Setting) -> Result:
    """Cross-validation within the dataset, its official splits, and every other dataset; finished models beside."""
    clean, name = setting.data.clean(), setting.data.name
    whole = {data.name: replace(data.clean(), name=data.name) for data in setting.others}
    others = {other: videos.beside(clean) for other, videos in whole.items()}
    lost = {other: len(videos.videos) - len(others[other].videos) for other, videos in whole.items()}
    paper = paper_figure("general", "FaceForensics++")
    result = Result(
        "general",
        "Trained on one dataset, tested on several (the paper's Table 1)",
        setting.protocol(),
        setting.about(clean, *others.values()),
        notes=(
            "Accuracy is that of scores at 0.5. The paper's figure is of networks trained on the whole official "
            "training split (720 originals and their fakes); the abstract does not say whether it is of clips or of "
            "videos.",
            *(
                f"Left out of {other}: {gone} videos that show people of several groups of {name}, of which one is "
                "always trained on."
                for other, gone in lost.items()
                if gone
            ),
            *(
                f"Where the {name} videos of one class are compared with the other class of {other}, differences "
                "between the sources count too."
                for other in others
            ),
        ),
    )
    within = {streams: setting.runs.scored(clean, clean, c, setting.plans()) for streams, c in setting.configs.items()}
    for streams, config in setting.configs.items():
        _add_configuration(result, setting, config, clean, others, within[streams], {"AUC": paper})
    for model in setting.models:
        scored, note = score_model(setting, model, clean)
        labels = {"network": called(setting, model), "tested on": name}
        labels["parameters"] = f"{model.spec.network.parameters:,}"
        result.add(labels, [scored], MEASURED, note=note)
        for other, videos in others.items():
            if len({v.record.label for v in videos.videos}) == 2:
                scored, note = score_model(setting, model, videos, split="")
                labels = {**labels, "network": model.spec.name, "tested on": other}
                result.add(labels, [scored], MEASURED, note=note)
    train = len(clean.videos) * (setting.folds - 1) // setting.folds
    for streams, seeds in within.items():
        e = measured(seeds, "video", "AUC")
        trend = f"An AUC of {paper} on FaceForensics++ is reached with {train} training videos."
        because = f"{streams}: {e.value:.3f} video AUC (95 % interval {interval_text(e.interval)}), people left out"
        result.beside_paper(trend, paper.value, e, because)
    return result


def _add_configuration(
    result: Result,
    setting: Setting,
    config: TrainingConfig,
    clean: VideoSet,
    others: Mapping[str, VideoSet],
    within: Seeds,
    paper: Mapping[str, PaperFigure],
) -> None:
    plans, ours = setting.plans(), setting.data.name
    first = setting.runs.networks(clean, config, plans[0][0])
    labels = {
        "network": " + ".join(config.stream_names),
        "tested on": f"{ours}, people left out",
        "parameters": f"{sum(b.spec.network.parameters for b in first):,}",
    }
    shown = paper if ours == "FaceForensics++" else {}
    result.add(labels, within, MEASURED, paper=shown)
    if setting.has_splits:
        scored = setting.runs.scored(clean, clean, config, setting.split_plans())
        n = len(everybody(setting.split_plans()[0]))
        name = f"{ours}, official split {setting.test_split} ({n} identity groups)"
        result.add({**labels, "tested on": name}, scored, MEASURED, paper=shown)
    for name, other in others.items():
        more = [with_strangers(plan, other.groups) for plan in plans]
        there = [[v for v in seed if v.score is not None] for seed in setting.runs.scored(clean, other, config, more)]
        classes = {v.record.label for v in there[0]}
        if len(classes) == 2:
            result.add({**labels, "tested on": name}, there, MEASURED)
        for label in sorted(classes):
            missing = Label.REAL if label is Label.FAKE else Label.FAKE
            both = [
                [v for v in theirs if v.record.label is label] + [v for v in own if v.record.label is missing]
                for theirs, own in zip(there, within, strict=True)
            ]
            mixed = f"{ours}'s {missing.value} videos (people left out) and {name}'s {label.value} ones"
            result.add({**labels, "tested on": mixed}, both, MEASURED)
        # Of the videos of each source and class the share that is called fake at 0.5 (first seed).
        for source, label in sorted({(v.record.source, v.record.label) for v in there[0]}):
            some = [v for v in there[0] if (v.record.source, v.record.label) == (source, label)]
            groups = len({v.record.group for v in some})
            of_source = {**labels, "tested on": f"{source}, {label.value}, identity groups: {groups}"}
            result.rows.append(Row(of_source, "video", "called fake at 0.5", share_called_fake(some)))
