"""The stored videos of a run: training and validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from lrnet.data import store
from lrnet.data.records import Label, VideoRecord, joined_groups, of_split, people_of
from lrnet.data.store import StoredVideo
from lrnet.errors import DatasetError, TrainingError
from lrnet.sequence.settings import Preprocessing
from lrnet.training.config import DataConfig, TrainingConfig, Validation


def read_stores(folders: Sequence[Path]) -> list[StoredVideo]:
    """The videos of several stores, as one; groups of different stores that share a person become one.

    Raises:
        DatasetError: a store is missing or damaged, a video is in two of them, or their landmarks were made
            differently.
    """
    videos = [video for folder in folders for video in store.open(folder)]
    seen: dict[str, StoredVideo] = {}
    for video in videos:
        first = seen.setdefault(video.record.key, video)
        if first is not video:
            raise DatasetError(
                f"{video.record.key} is in {first.file.parent} and in {video.file.parent}.",
                hint="Give each store once.",
            )
    preprocessing_of(videos)
    return regrouped(videos)


def regrouped(videos: Sequence[StoredVideo]) -> list[StoredVideo]:
    """The videos with the groups that `lrnet.data.records.joined_groups` gives their records."""
    records = joined_groups([v.record for v in videos])
    return [replace(v, record=record) for v, record in zip(videos, records, strict=True)]


def preprocessing_of(videos: Sequence[StoredVideo]) -> Preprocessing:
    """The preprocessing of all these videos; its clip lengths do not matter.

    Raises:
        DatasetError: it differs, or a store does not state it.
    """
    stated = {json.dumps(v.preprocessing, sort_keys=True): v for v in videos}
    if len(stated) > 1:
        first, second = list(stated.values())[:2]
        raise DatasetError(
            f"The landmarks in {first.file.parent} and {second.file.parent} were made by different preprocessing.",
            hint="Extract both again with this version.",
        )
    try:
        return Preprocessing.model_validate_json(next(iter(stated)), strict=True)
    except (ValueError, StopIteration) as error:
        raise DatasetError(
            "The stores do not state how their landmarks were made.", hint="Extract them again."
        ) from error


def selected(videos: Sequence[StoredVideo], data: DataConfig) -> list[StoredVideo]:
    """The videos that a configuration trains on. Raises TrainingError if there are none."""
    found = [
        v
        for v in videos
        if (not data.splits or v.record.split in data.splits) and v.record.method not in data.exclude_methods
    ]
    if not found:
        there = sorted({v.record.split or "(none)" for v in videos})
        raise TrainingError(
            f"No video is in the splits {', '.join(data.splits)}; the stores have {', '.join(there)}.",
            hint="Set data.splits in the configuration, or give --split.",
        )
    return found


def set_aside(
    videos: Sequence[StoredVideo],
    validation: Validation,
    data: DataConfig,
    everything: Sequence[StoredVideo],
    seed: int,
) -> tuple[list[StoredVideo], list[StoredVideo]]:
    """The training and the validation videos. A share is taken of the groups with and without fakes of every source.

    Args:
        videos: the `selected` ones.
        everything: all videos of the stores, for `validation.split`.

    Raises:
        TrainingError: the two share an identity group, or one of them is empty.
    """
    if not validation.wanted:
        return list(videos), []
    if validation.split:
        aside = [
            v for v in everything if v.record.split == validation.split and v.record.method not in data.exclude_methods
        ]
        kept = [v for v in videos if v.record.split != validation.split]
    else:
        groups = _drawn_groups([v.record for v in videos], validation.share, seed)
        aside = [v for v in videos if v.record.group in groups]
        kept = [v for v in videos if v.record.group not in groups]
    require_no_leak(kept, aside, "what is trained on", "validation")
    if not kept or not aside:
        raise TrainingError(
            f"Validation takes {len(aside)} videos and leaves {len(kept)}.",
            hint="Name a split that exists, or another share.",
        )
    return kept, aside


def split_of(videos: Sequence[StoredVideo], name: str) -> list[StoredVideo]:
    """The videos of one split.

    Raises:
        DatasetError: there is no such split, or it shares a person with another one.
    """
    inside = {r.key for r in of_split([v.record for v in videos], name)}
    return [v for v in videos if v.record.key in inside]


def require_no_leak(one: Sequence[StoredVideo], other: Sequence[StoredVideo], first: str, second: str) -> None:
    """Raise TrainingError if two sets of videos share a person."""
    both = everybody(one) & everybody(other)
    if both:
        raise TrainingError(
            f"{len(both)} identity groups are both in {first} and in {second}, {min(both)} among them.",
            hint="Correct the splits: one person must not be in both.",
        )


def everybody(videos: Iterable[StoredVideo]) -> frozenset[str]:
    """The people in these videos (see `lrnet.data.records.people_of`)."""
    return frozenset().union(*(people_of(v.record) for v in videos))


def fingerprint(videos: Sequence[StoredVideo], config: TrainingConfig) -> str:
    """A hash of a run's configuration and landmarks.

    Settings at their default do not count, so that new settings keep earlier runs valid; nor does `decision`, on which
    no network depends. The metadata and size of a store's file represent its content.
    """
    about = sorted(json.dumps(_identified(v), sort_keys=True, default=str) for v in videos)
    made_with = sorted({json.dumps(v.preprocessing, sort_keys=True) for v in videos})
    settings = config.model_dump_json(exclude={"decision"}, exclude_defaults=True)
    text = settings + json.dumps([about, made_with])
    return hashlib.sha256(text.encode()).hexdigest()


def _identified(video: StoredVideo) -> dict[str, object]:
    """The dataset's fields of a video without its place, the video's hash, and the size of its landmarks."""
    about: dict[str, object] = {f.name: getattr(video.record, f.name) for f in fields(video.record) if f.name != "path"}
    return {**about, "sha256": video.sha256, "size": video.file.stat().st_size}


def _drawn_groups(records: Sequence[VideoRecord], share: float, seed: int) -> set[str]:
    generator = np.random.default_rng((seed, 0x5A11D))
    with_fakes = {r.group for r in records if r.label is Label.FAKE}
    strata: dict[tuple[str, bool], list[str]] = {}
    for source, group in sorted({(r.source, r.group) for r in records}):
        strata.setdefault((source, group in with_fakes), []).append(group)
    drawn: set[str] = set()
    for groups in strata.values():
        count = min(round(share * len(groups)), len(groups) - 1)
        drawn.update(generator.permutation(groups)[:count].tolist())
    return drawn
