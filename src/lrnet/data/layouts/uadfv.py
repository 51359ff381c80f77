"""UADFV (Yang et al., ICASSP 2019): 49 real videos, and each of them as a fake.

    real/0000.mp4   fake/0000_fake.mp4

A pair is an identity group. All fakes have the face of one actor, who is ignored: else the dataset were one group.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, videos_in
from lrnet.data.records import Label

NAME: Final = "uadfv"
_NAMES: Final = {"real": re.compile(r"(\d{4})"), "fake": re.compile(r"(\d{4})_fake")}


def matches(root: Path) -> bool:
    fakes = videos_in(root / "fake")
    return bool(fakes) and (root / "real").is_dir() and all(_NAMES["fake"].fullmatch(p.stem) for p in fakes[:5])


def read(root: Path) -> Dataset:
    """Everything that is there."""
    found = Collector(NAME, root, "UADFV")
    numbers: dict[str, set[str]] = {"real": set(), "fake": set()}
    for label in Label:
        for path in videos_in(root / label.value):
            match = _NAMES[label.value].fullmatch(path.stem)
            if match is None:
                found.issue(IssueKind.UNKNOWN, path, "expected a name like 0000 or 0000_fake")
                continue
            numbers[label.value].add(match[1])
            found.add(path, label, method="FakeApp", identities=[f"uadfv-{match[1]}"])
    for number in sorted(numbers["real"] - numbers["fake"]):
        found.issue(IssueKind.ABSENT, f"fake/{number}_fake.mp4", "the real one is there")
    for number in sorted(numbers["fake"] - numbers["real"]):
        found.issue(IssueKind.ABSENT, f"real/{number}.mp4", "the fake one is there")
    found.notes.append(
        "no split comes with this dataset: test on all of it, or write a manifest with splits of your own"
    )
    return found.finish()


LAYOUT: Final = Layout(
    NAME,
    "UADFV",
    "real/0000.mp4, fake/0000_fake.mp4",
    matches,
    read,
)
