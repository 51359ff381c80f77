"""Celeb-DF (Li et al., CVPR 2020), version 1 or 2.

    Celeb-real/id0_0000.mp4   Celeb-synthesis/id0_id1_0000.mp4   YouTube-real/00000.mp4
    List_of_testing_videos.txt        (a label and a path a line; label 1 is real)

The official list names test videos only. The people in them are also in the other videos, which therefore have no
split: training on those and testing on the list would measure recognition of people.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, videos_in
from lrnet.data.records import Label

NAME: Final = "celeb-df"
TEST_LIST: Final = "List_of_testing_videos.txt"
_TEST_VIDEOS_OF_V1: Final = 100  # version 2 lists 518
_FOLDERS: Final = {
    "celeb-real": (Label.REAL, re.compile(r"(id\d+)_\d+"), "id0_0000"),
    "celeb-synthesis": (Label.FAKE, re.compile(r"(id\d+)_(id\d+)_\d+"), "id0_id1_0000"),
    "youtube-real": (Label.REAL, re.compile(r"\d+"), "00000"),
}


def matches(root: Path) -> bool:
    return any(p.name.lower() in ("celeb-real", "celeb-synthesis") for p in root.iterdir() if p.is_dir())


def read(root: Path) -> Dataset:
    """Everything that is there."""
    found = Collector(NAME, root, "Celeb-DF")
    listed = _test_list(found, root)
    source = f"Celeb-DF v{_version(root, len(listed))}"
    there: set[str] = set()
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        if folder.name.lower() not in _FOLDERS:
            continue
        label, pattern, example = _FOLDERS[folder.name.lower()]
        for path in videos_in(folder, deep=True):
            match = pattern.fullmatch(path.stem)
            if match is None:
                found.issue(IssueKind.UNKNOWN, path, f"expected a name like {example}")
                continue
            name = f"{folder.name.lower()}/{path.name}"
            there.add(name)
            if listed.get(name, label) is not label:
                found.issue(IssueKind.LABEL, path, f"{TEST_LIST} calls it {listed[name].value}")
            people = [f"celebdf-{p}" for p in match.groups()] or [f"celebdf-youtube-{path.stem}"]
            found.add(
                path,
                label,
                method="Celeb-synthesis",
                split="test" if name in listed else "",
                identities=people,
                source=source,
            )
    for name in sorted(set(listed) - there):
        found.issue(IssueKind.ABSENT, name, f"named by {TEST_LIST}")
    found.notes.append(
        "the official list names test videos only; the people in them are in the other videos too: test on it, and "
        "train on another dataset"
    )
    return found.finish()


def _version(root: Path, listed: int) -> int:
    named = re.search(r"v([12])\b", root.resolve().name.lower())
    return int(named[1]) if named else 2 if listed > _TEST_VIDEOS_OF_V1 else 1


def _test_list(found: Collector, root: Path) -> dict[str, Label]:
    path = root / TEST_LIST
    if not path.is_file():
        found.issue(IssueKind.MISSING, TEST_LIST, "without it no video has a split")
        return {}
    listed: dict[str, Label] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        label, _, name = line.strip().replace("\\", "/").partition(" ")
        if label not in ("0", "1") or "/" not in name:
            found.issue(IssueKind.LIST, f"{TEST_LIST}, line {number}", line.strip()[:60])
            continue
        folder, _, file = name.strip().partition("/")
        listed[f"{folder.lower()}/{file.rpartition('/')[2]}"] = Label.REAL if label == "1" else Label.FAKE
    return listed


LAYOUT: Final = Layout(
    NAME,
    "Celeb-DF v1, v2",
    f"Celeb-real/, Celeb-synthesis/, YouTube-real/, {TEST_LIST}",
    matches,
    read,
)
