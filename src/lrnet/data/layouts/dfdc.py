"""Deepfake Detection Challenge (Dolhansky et al., 2020).

    [dfdc_train_part_N/]metadata.json        {"name.mp4": {"label": "FAKE", "split": "train", "original": "other.mp4"}}
    labels.csv and videos/        (filename,label; 1 is fake: the published test videos)

Videos made from one original are a group. Actors are not named, so that two groups may show the same person.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, videos_in
from lrnet.data.records import Label
from lrnet.errors import DatasetError
from lrnet.files import is_file, read_json

NAME: Final = "dfdc"
METADATA: Final = "metadata.json"
LABELS: Final = "labels.csv"
_SPLITS: Final = {"train": "train", "validation": "val", "val": "val", "test": "test", "": ""}


def matches(root: Path) -> bool:
    if (root / LABELS).is_file():
        return True
    return any(_looks_right(path) for path in _metadata_files(root)[:1])


def read(root: Path) -> Dataset:
    """Everything that the metadata name. Raises DatasetError if metadata cannot be read, or there is nothing of it."""
    found = Collector(NAME, root, "DFDC")
    for path in _metadata_files(root):
        _read_part(found, path)
    if (root / LABELS).is_file():
        _read_labels(found, root / LABELS)
    found.notes.append("actors are not named: groups are of one original each, and two groups may show one person")
    return found.finish()


def _metadata_files(root: Path) -> list[Path]:
    return sorted([*root.glob(METADATA), *root.glob(f"*/{METADATA}"), *root.glob(f"*/*/{METADATA}")])


def _looks_right(path: Path) -> bool:
    try:
        return any("label" in about for about in _load(path).values())
    except DatasetError:
        return False


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = read_json(path)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} is no JSON ({error}).", hint="Unpack the part of the dataset again.") from error
    if not isinstance(content, dict) or not all(isinstance(about, dict) for about in content.values()):
        raise DatasetError(
            f"{path} does not map file names to their labels.", hint="Unpack the part of the dataset again."
        )
    return content


def _read_part(found: Collector, metadata: Path) -> None:
    content = _load(metadata)
    for name, about in sorted(content.items()):
        path = metadata.parent / name
        label = str(about.get("label", "")).lower()
        split = str(about.get("split", "")).lower()
        if label not in (Label.REAL, Label.FAKE):
            found.issue(IssueKind.LABEL, path, repr(about.get("label")))
        elif split not in _SPLITS:
            found.issue(IssueKind.LIST, path, f"split {split!r}")
        elif not is_file(path):
            found.issue(IssueKind.ABSENT, path, f"named by {found.key(metadata)}")
        else:
            original = about.get("original") or name
            people = [f"dfdc-{Path(str(original)).stem}"]
            found.add(path, Label(label), method="DFDC", split=_SPLITS[split], identities=people)
    for path in videos_in(metadata.parent):
        if path.name not in content:
            found.issue(IssueKind.UNLISTED, path)


def _read_labels(found: Collector, table: Path) -> None:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (ValueError, csv.Error, OSError) as error:
        raise DatasetError(f"{table} is no CSV ({error}).", hint="Unpack the dataset again.") from error
    for line, row in enumerate(rows, start=2):
        name, label = (row.get("filename") or "").strip(), (row.get("label") or "").strip()
        if not name or label not in ("0", "1"):
            found.issue(IssueKind.LABEL, f"{LABELS}, line {line}", f"{name} {label}")
            continue
        places = (table.parent / "videos" / name, table.parent / name)
        path = next((p for p in places if is_file(p)), None)
        if path is None:
            found.issue(IssueKind.ABSENT, f"videos/{name}", f"named by {LABELS}")
            continue
        found.add(path, Label.FAKE if label == "1" else Label.REAL, method="DFDC", split="test")


LAYOUT: Final = Layout(
    NAME,
    "Deepfake Detection Challenge",
    f"{METADATA} beside the videos, in the folder or in its parts; or {LABELS} and videos/",
    matches,
    read,
)
