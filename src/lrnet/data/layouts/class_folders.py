"""A folder per class, below it whatever there is.

    [train|val|test/]{real,fake}/**/*.mp4

A folder between a fake class and its videos is the method. Nobody is named, so that every video is a group of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, folders_in, videos_in
from lrnet.data.records import Label

LAYOUT: Final = "class-folders"
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
    return any(f.name.lower() in CLASSES for f in tops) or any(
        g.name.lower() in CLASSES for f in tops if f.name.lower() in _SPLITS for g in folders_in(f)
    )


def read(root: Path) -> Dataset:
    """Everything that is there.

    Raises:
        DatasetError: there is nothing of it.
    """
    found = Collector(LAYOUT, root, root.resolve().name)
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
        label = CLASSES.get(folder.name.lower())
        videos = videos_in(folder, deep=True)
        if label is None:
            if videos:
                found.issue(IssueKind.LABEL, folder, f"{len(videos)} videos; known classes are {', '.join(CLASSES)}")
            continue
        for path in videos:
            between = path.relative_to(folder).parts[:-1]
            found.add(path, label, method=between[0] if between else folder.name, split=split)
    for path in videos_in(parent):
        found.issue(IssueKind.LABEL, path, "lies in no class's folder")
