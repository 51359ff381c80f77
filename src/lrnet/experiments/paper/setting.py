"""The setting of experiments: data, configuration, protocol, finished models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lrnet.data.records import Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.evaluation.protocol import ScoredVideo, known_people, shows_one_of
from lrnet.experiments.environment import machine, software
from lrnet.experiments.paper.data import Data
from lrnet.experiments.paper.runs import Plan, Runs, everybody, folds_of, score_set, split_of
from lrnet.experiments.paper.videos import VideoSet
from lrnet.network.bundle import ModelBundle
from lrnet.training.config import StreamConfig, TrainingConfig
from lrnet.training.data import preprocessing_of

PAPER_STREAMS: Final = ("positions", "differences")
REENCODINGS: Final = ("c23", "c40", "hevc", "social")
LEVELS: Final = (1, 2, 3, 4, 5)
CONTAMINATED: Final = "contaminated: the model was trained on people of these videos"
UNKNOWN_TRAINING: Final = "the model does not list whom it was trained on"


@dataclass(frozen=True)
class Setting:
    """Data, configuration and protocol of a run of experiments.

    Attributes:
        data: for training and testing.
        others: further datasets to test on.
        config: without effect of its `data` and `decision`.
        seeds: number of repeats with other seeds and folds.
        folds: of cross-validation.
        models: finished models to test as well.
        split: of the videos that finished models are tested on; "" for all.
        qualities: to re-encode videos of one quality to, for `compression`.
        levels: of perturbations, 1 to 5.
        landmarkers: to compare in `detectors`; () for those that are ready.
        allow_contaminated: test models on people that they were trained on, and mark the rows.
        command: the command line, for the record.
    """

    data: Data
    runs: Runs
    config: TrainingConfig
    others: tuple[Data, ...] = ()
    seeds: int = 1
    folds: int = 5
    models: tuple[ModelBundle, ...] = ()
    split: str = ""
    allow_contaminated: bool = False
    qualities: tuple[str, ...] = REENCODINGS
    landmarkers: tuple[str, ...] = ()
    levels: tuple[int, ...] = LEVELS
    command: str = ""
    tell: Callable[[str], None] = field(default=lambda line: None)

    def __post_init__(self) -> None:
        """Refuse stores that were made differently (DatasetError): their figures cannot stand in one table."""
        if stored := [v for data in (self.data, *self.others) for v in data.stored]:
            preprocessing_of(stored)

    def plans(self) -> list[Plan]:
        """Cross-validation, one plan a seed."""
        return [folds_of(self.data.main, self.folds, seed) for seed in range(self.seeds)]

    def split_plans(self) -> list[Plan]:
        """The dataset's own splits: train on `train`, test on `test`, or on `val` where there is no test split."""
        return [split_of(self.data.main, "train", self.test_split)] * self.seeds

    @property
    def test_split(self) -> str:
        return "test" if any(r.split == "test" for r in self.data.main) else "val"

    @property
    def has_splits(self) -> bool:
        return {"train", self.test_split} <= {r.split for r in self.data.main}

    def with_streams(self, *names: str) -> TrainingConfig:
        """The configuration with these streams; those that it lacks have the width of its first one."""
        known = {stream.name: stream for stream in self.config.streams}
        units = self.config.streams[0].units
        streams = tuple(known.get(name) or StreamConfig(name=name, units=units) for name in names)
        return self.config.model_copy(update={"streams": streams})

    @property
    def papers(self) -> TrainingConfig:
        """The paper's streams, g1 and g2, fitted as the configuration fits."""
        return self.with_streams(*PAPER_STREAMS)

    @property
    def configs(self) -> dict[str, TrainingConfig]:
        """The configuration and the paper's streams, by the names of their streams."""
        return {" + ".join(config.stream_names): config for config in (self.config, self.papers)}

    def heavily_compressed(self) -> VideoSet:
        """The videos in the worst quality of the data; re-encoded to H.264 at CRF 40 if there is only one."""
        qualities = self.data.qualities()
        if len(qualities) > 1:
            name, records = list(qualities.items())[-1]
            return self.data.stored_quality(name, records)
        return self.data.treated("c40")

    def about(self, *sets: VideoSet, **more: Any) -> dict[str, Any]:
        """The record of a result: sets (of different names), settings, versions; `more` adds or replaces entries."""
        return {
            "data": {s.described: about_set(s) for s in sets},
            "configuration": self.config.model_dump(mode="json"),
            "seeds": list(range(self.seeds)),
            "division": f"{self.folds} folds over identity groups",
            "most_frames": self.data.most_frames,
            "models": {m.spec.name: m.content_hash for m in self.models},
            "versions": software("torch", "lightning", "scikit-learn"),
            "machine": machine(),
            **({"command": self.command} if self.command else {}),
            **more,
        }

    def protocol(self) -> str:
        """How networks were trained and tested, in sentences."""
        seeds = "one seed" if self.seeds == 1 else f"the mean over {self.seeds} seeds"
        return (
            f"{self.folds}-fold cross-validation over identity groups on {self.data.name}: every video is scored by a "
            f"network that was trained without its people; {seeds}. Streams are trained alone and joined "
            f"by their scores. A video's score joins those of its clips; figures of clips count each clip. 95 % "
            f"intervals from a bootstrap over identity groups, the same draws on both sides of a difference; they do "
            f"not hold the chance of training. The first {self.data.most_frames or 'all'} frames of each video count."
        )


def about_set(videos: VideoSet) -> dict[str, Any]:
    """Numbers of videos and groups, and a hash of the content."""
    fakes = sum(v.record.label is Label.FAKE for v in videos.videos)
    return {
        "videos": len(videos.videos),
        "real": len(videos.videos) - fakes,
        "fake": fakes,
        "groups": len(videos.groups),
        "content": videos.content(),
        "landmarks": videos.landmarks,
    }


def score_model(
    setting: Setting, model: ModelBundle, videos: VideoSet, split: str | None = None
) -> tuple[list[ScoredVideo], str]:
    """A finished model's scores of a split (by default the setting's; "" for all videos), and a note on them.

    Raises:
        DatasetError: see `contamination`; or the split is empty.
    """
    split = setting.split if split is None else split
    asked = replace(videos, videos=tuple(v for v in videos.videos if not split or v.record.split == split))
    if not asked.videos:
        raise _no_such_split(videos.name, split)
    records = [v.record for v in asked.videos]
    return score_set(model, asked), contamination(model, records, videos.name, allowed=setting.allow_contaminated)


def _no_such_split(name: str, split: str) -> DatasetError:
    return DatasetError(f"No video of {name} is in the split {split!r}.", hint="Leave --split out, or correct it.")


def check_models(setting: Setting, names: Sequence[str]) -> None:
    """Refuse models on people that they know, or on a split that is not there, before anything is trained.

    Raises:
        DatasetError: see `contamination` and `score_model`.
    """
    own = [r for r in setting.data.main if not setting.split or r.split == setting.split]
    if setting.models and not own:
        raise _no_such_split(setting.data.name, setting.split)
    asked = [(setting.data.name, own)] if {"general", "compression"} & set(names) else []
    asked += [(data.name, list(data.main)) for data in setting.others if "general" in names]
    if "noise" in names:
        tested = everybody(setting.split_plans()[0] if setting.has_splits else setting.plans()[0])
        asked.append((setting.data.name, [r for r in own if r.group in tested]))
    for model in setting.models:
        for name, records in asked:
            contamination(model, records, name, allowed=setting.allow_contaminated)


def contamination(model: ModelBundle, records: Sequence[VideoRecord], name: str, *, allowed: bool) -> str:
    """A note on a model's row for these videos; "" if it was not trained on their people.

    Raises:
        DatasetError: it was trained on some of them, and that is not allowed.
    """
    training = model.spec.training
    if training is None or not training.groups:
        return UNKNOWN_TRAINING
    known = known_people(model.spec)
    seen = sum(shows_one_of(known, r) for r in records)
    if seen and not allowed:
        raise DatasetError(
            f"{model.spec.name} was trained on people of {seen} of the {len(records)} videos of {name}: a "
            "figure on them would be too good.",
            hint="Choose others (--split val), or mark the rows as contaminated with --allow-contaminated.",
        )
    notes = [f"{CONTAMINATED} ({seen} of {len(records)})"] if seen else []
    streams: Any = training.configuration.get("streams", [])
    starts = sorted({str(s["init_from"]) for s in streams if isinstance(s, dict) and s.get("init_from")})
    notes += [f"starts from {name}, which may know these people" for name in starts]
    return "; ".join(notes)


def called(setting: Setting, model: ModelBundle) -> str:
    """A finished model in tables: its name, and the split that it is tested on."""
    return model.spec.name + (f", split {setting.split}" if setting.split else "")
