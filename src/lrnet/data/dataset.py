"""A dataset as found on disk: its videos and its faults."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lrnet.data.records import Label, VideoRecord, find_leaks, identity_groups, joined_groups, of_split
from lrnet.errors import DatasetError
from lrnet.video.folder import VIDEO_SUFFIXES


class IssueKind(StrEnum):
    """Kinds of faults of a dataset."""

    ABSENT = "not there, though the official list names it"
    MISSING = "no such file"
    DUPLICATE = "named twice"
    COPY = "same content as another"
    LABEL = "unknown label"
    UNLISTED = "in no official list"
    UNKNOWN = "not part of the layout"
    LEAK = "identity in two splits"
    LIST = "line that cannot be read"


@dataclass(frozen=True, slots=True)
class Issue:
    """A fault: its kind, the file, list or group concerned, and what was found there (may be "")."""

    kind: IssueKind
    where: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.kind.value}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Videos of one dataset.

    Attributes:
        layout: name of the layout that was recognised (`lrnet datasets list`).
        root: folder or manifest.
        records: the videos, by key.
        issues: faults. A video with an unknown label is not a record.
        notes: caveats on figures that are measured on this dataset.
    """

    layout: str
    root: Path
    records: tuple[VideoRecord, ...]
    issues: tuple[Issue, ...] = ()
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> list[VideoRecord]:
        """The videos of one split.

        Raises:
            DatasetError: there is no such split, or it shares a person with another one.
        """
        return of_split(self.records, name)

    def of_compression(self, compression: str) -> Dataset:
        """Only the videos of one compression (or perturbation). Raises DatasetError if there is none."""
        chosen = tuple(r for r in self.records if r.compression == compression)
        if not chosen:
            there = ", ".join(sorted({r.compression for r in self.records} - {""}))
            raise DatasetError(
                f"{self.root} holds no {compression} video.",
                hint=f"There is {there}." if there else "This dataset has one version: leave the choice out.",
            )
        return replace(self, records=chosen)


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout of datasets.

    Attributes:
        name: for `--layout`.
        dataset: that comes in it.
        expects: the files, in words.
        matches: whether a folder has it.
        read: everything that a folder holds. Raises DatasetError if there is nothing of it.
    """

    name: str
    dataset: str
    expects: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


class Collector:
    """Collects records and issues while a layout is read."""

    def __init__(self, layout: str, root: Path, source: str) -> None:
        self._layout, self._root, self._source = layout, root, source
        self._records: dict[str, VideoRecord] = {}
        self.issues: list[Issue] = []
        self.notes: list[str] = []

    def issue(self, kind: IssueKind, where: str | Path, detail: str = "") -> None:
        self.issues.append(Issue(kind, self.key(where) if isinstance(where, Path) else where, detail))

    def key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else str(path)

    def add(
        self,
        path: Path,
        label: Label,
        *,
        identities: Iterable[str] = (),
        method: str = "",
        split: str = "",
        group: str = "",
        compression: str = "",
        source: str = "",
        key: str = "",
        url: str = "",
        where: str = "",
    ) -> None:
        """Add a video, or an issue that names `where` if its key was added before. Without identities it is a group."""
        key = key or self.key(path)
        if key in self._records:
            self.issue(IssueKind.DUPLICATE, where or key, key)
            return
        self._records[key] = VideoRecord(
            path=path,
            key=key,
            label=label,
            method=method if label is Label.FAKE else "",
            source=source or self._source,
            split=split,
            group=group,
            compression=compression,
            identities=tuple(sorted(set(identities))),
            url=url,
        )

    def finish(self) -> Dataset:
        """Join videos that share people into groups and find splits that leak.

        Raises:
            DatasetError: there is neither a video nor an issue.
        """
        records = list(self._records.values())
        if not records and not self.issues:
            raise DatasetError(
                f"{self._root} looks like {self._layout}, but no video of it is there.",
                hint="Give the dataset's own top folder; `lrnet datasets list` says what a layout holds.",
            )
        open_ones = [i for i, r in enumerate(records) if not r.group]
        groups = identity_groups([records[i].identities or (records[i].key,) for i in open_ones])
        for i, group in zip(open_ones, groups, strict=True):
            records[i] = replace(records[i], group=group)
        records = sorted(joined_groups(records), key=lambda r: r.key)
        for leak in find_leaks(records):
            text = f"{leak.first.key} is {leak.first.split}, {leak.second.key} is {leak.second.split}"
            self.issue(IssueKind.LEAK, leak.who, text)
        return Dataset(self._layout, self._root, tuple(records), tuple(self.issues), tuple(self.notes))


def videos_in(folder: Path, *, deep: bool = False) -> list[Path]:
    """Videos in a folder by their suffix, sorted, without hidden files."""
    if not folder.is_dir():
        return []
    found = folder.rglob("*") if deep else folder.glob("*")
    shown = (p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    return sorted(p for p in shown if p.suffix.lower() in VIDEO_SUFFIXES)


def folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, sorted, without hidden ones."""
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def find_copies(records: Sequence[VideoRecord]) -> list[Issue]:
    """Videos with the same bytes as an earlier one. Only files of the same size are read."""
    by_size: dict[int, list[VideoRecord]] = defaultdict(list)
    for record in records:
        if not record.url and record.path.is_file():
            by_size[record.path.stat().st_size].append(record)
    issues: list[Issue] = []
    for size, alike in by_size.items():
        if len(alike) < 2 or not size:
            continue
        first: dict[str, VideoRecord] = {}
        for record in alike:
            with record.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            original = first.setdefault(digest, record)
            if original is not record:
                issues.append(Issue(IssueKind.COPY, record.key, original.key))
    return issues
