"""One video of a dataset and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lrnet.errors import DatasetError


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
        split: "train", "val", "test", or "" if the dataset has none.
        group: everybody who is seen in it, as one identity group: videos of one group stay on one side of a split.
    """

    path: Path
    key: str
    label: Label
    method: str
    source: str
    split: str
    group: str


def require_disjoint_groups(records: Iterable[VideoRecord]) -> None:
    """Check that no identity group stands in two splits.

    Raises:
        DatasetError: one does.
    """
    seen: dict[str, VideoRecord] = {}
    for record in records:
        first = seen.setdefault(record.group, record)
        if first.split != record.split:
            raise DatasetError(
                f"Identity group {record.group} stands in split {first.split!r} ({first.key}) and in split "
                f"{record.split!r} ({record.key}).",
                hint="Correct the manifest: one person must not be in both training and test.",
            )
