"""A folder for each class, with videos at any depth.

    [train|val|test/]{real,fake}/**/*.mp4

A number before the class is ignored, as in `0_real` and `1_fake`. A folder between a fake class and its videos is the
method. People are not named: every video is a separate group.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, folders_in, videos_in
from lrnet.data.manifest import HOW_TO
from lrnet.data.records import Label

NAME: Final = "class-folders"
CLASSES: Final = {
    **dict.fromkeys(("real", "original", "originals", "genuine", "pristine", "authentic"), Label.REAL),
    **dict.fromkeys(("fake", "fakes", "manipulated", "deepfake", "deepfakes", "synthetic", "forged"), Label.FAKE),
}
_SPLITS: Final = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"} | {
    "test": "test",
    "testing": "test",
}


def matches(root: Path) -> bool:
    tops = folders_in(root)
    inside = [g for f in tops if f.name.lower() in _SPLITS for g in folders_in(f)]
    return any(_label_of(folder) for folder in (*tops, *inside))


def _label_of(folder: Path) -> Label | None:
    return CLASSES.get(re.sub(r"^\d+[_.\- ]*", "", folder.name.lower()))


def read(root: Path) -> Dataset:
    """Everything that is there."""
    found = Collector(NAME, root, root.resolve().name)
    split_folders = [f for f in folders_in(root) if f.name.lower() in _SPLITS]
    for folder in split_folders:
        _read_classes(found, folder, _SPLITS[folder.name.lower()])
    _read_classes(found, root, "", skip=split_folders)
    found.notes.append("people are not named: every video is a group of its own, and splits may share people unseen")
    return found.finish()


def _read_classes(found: Collector, parent: Path, split: str, skip: list[Path] | None = None) -> None:
    for folder in folders_in(parent):
        if folder in (skip or []):
            continue
        label = _label_of(folder)
        videos = videos_in(folder, deep=True)
        if label is None:
            if videos:
                found.issue(
                    IssueKind.LABEL, folder, f"{len(videos)} videos; known are {', '.join(CLASSES)}; or {HOW_TO}"
                )
            continue
        for path in videos:
            between = path.relative_to(folder).parts[:-1]
            found.add(path, label, method=between[0] if between else folder.name, split=split)
    for path in videos_in(parent):
        found.issue(IssueKind.LABEL, path, f"lies in no class's folder: move it, or {HOW_TO}")


LAYOUT: Final = Layout(
    NAME,
    "anything",
    "[train|val|test/]{real,fake}/[method/]*.mp4; 0_real, 1_fake and the like too",
    matches,
    read,
)
