"""One video of a dataset and what is known of it; the rules of splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from lrnet.errors import DatasetError

SPLITS: Final = ("train", "val", "test")


class Label(StrEnum):
    REAL = "real"
    FAKE = "fake"


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """A labelled video.

    Attributes:
        path: of the file.
        key: name inside its dataset, unique there, with "/" between folders.
        label: real or fake.
        method: how it was manipulated; "" for a real one.
        source: the dataset or site that it comes from.
        split: "train", "val", "test", or "" if the dataset does not say.
        group: the identity group of its people: videos of one group stay on one side of a split.
        compression: or perturbation, of datasets that exist in several, e.g. "c23"; "" elsewhere.
        identities: the people seen in it, where the dataset names them. Videos that share one share a group.
        url: address for fsspec ("s3://…") of a video that is not a local file; `path` is then only its name.
    """

    path: Path
    key: str
    label: Label
    method: str
    source: str
    split: str
    group: str
    compression: str = ""
    identities: tuple[str, ...] = ()
    url: str = ""


def people_of(record: VideoRecord) -> frozenset[str]:
    """The names of the people in a video: its group, and its identities, which other datasets use too."""
    return frozenset((record.group, *record.identities))


@dataclass(frozen=True, slots=True)
class Leak:
    """An identity (or group) in two splits, with a video of each."""

    who: str
    first: VideoRecord
    second: VideoRecord

    def __str__(self) -> str:
        return (
            f"identity group {self.who} is in split {self.first.split!r} ({self.first.key}) and in split "
            f"{self.second.split!r} ({self.second.key})"
        )


def find_leaks(records: Iterable[VideoRecord]) -> list[Leak]:
    """Groups and identities in more than one named split, once each. Videos without a split do not count."""
    seen: dict[str, VideoRecord] = {}
    found: dict[str, Leak] = {}
    for record in records:
        if not record.split:
            continue
        for who in (record.group, *record.identities):
            first = seen.setdefault(who, record)
            if first.split != record.split and who not in found:
                found[who] = Leak(who, first, record)
    return list(found.values())


def of_split(records: Sequence[VideoRecord], split: str) -> list[VideoRecord]:
    """The videos of one split.

    Raises:
        DatasetError: there is no such split, or it shares a person with another one.
    """
    chosen = [r for r in records if r.split == split]
    if not split or not chosen:
        there = sorted({r.split for r in records if r.split})
        raise DatasetError(
            f"There is no split {split!r} here.",
            hint=f"Splits are {', '.join(there)}." if there else "These videos have no splits: leave the choice out.",
        )
    leaks = [leak for leak in find_leaks(records) if split in (leak.first.split, leak.second.split)]
    if leaks:
        text, more = str(leaks[0]), f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
        raise DatasetError(
            f"{text[0].upper()}{text[1:]}{more}.",
            hint="A figure measured on people that were trained on says nothing: correct the splits.",
        )
    return chosen


def joined_groups(records: Sequence[VideoRecord]) -> list[VideoRecord]:
    """The same videos; groups that share a person are joined and have the first of their names in sorted order."""
    parts = identity_groups([(r.group, *r.identities) for r in records])
    names: dict[str, str] = {}
    for record, part in zip(records, parts, strict=True):
        names[part] = min(names.get(part, record.group), record.group)
    return [
        r if r.group == names[part] else replace(r, group=names[part]) for r, part in zip(records, parts, strict=True)
    ]


def identity_groups(identities: Sequence[tuple[str, ...]]) -> list[str]:
    """The group of each video: videos that share an identity, directly or through others, are in one.

    A group is called by the first of its identities in sorted order, of which each video has at least one.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for people in identities:
        for name in people:
            parent.setdefault(name, name)
        first = root(people[0])
        for name in people[1:]:
            other = root(name)
            # The smaller name is the root, so that a group's name does not depend on the order of videos.
            first, last = min(first, other), max(first, other)
            parent[last] = first
    return [root(people[0]) for people in identities]
