"""Datasets described by a CSV table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

from lrnet.datasets.records import Label, VideoRecord
from lrnet.errors import DatasetError

REQUIRED: Final = ("path", "label")
OPTIONAL: Final = ("method", "source", "split", "group")


def read_manifest(table: Path, root: Path | None = None) -> list[VideoRecord]:
    """The videos of a CSV with the columns path and label, and if wanted method, source, split and group.

    Args:
        table: UTF-8, with a header; further columns are ignored. A video without a group is a group of its own.
        root: folder that paths start from; the table's own by default.

    Raises:
        DatasetError: there is no such table, a column is missing, a label is unknown, a video is missing or named
            twice, or a group stands in two splits; the first few are listed.
    """
    if not table.is_file():
        raise DatasetError(f"There is no manifest {table}.", hint="Give a CSV with the columns path and label.")
    root = root or table.parent
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(
                f"{table} has no column {', '.join(missing)}.", hint=f"It needs {', '.join(REQUIRED)} in its header."
            )
        rows = list(reader)
    faults: list[str] = []
    records: dict[str, VideoRecord] = {}
    for line, row in enumerate(rows, start=2):
        key, label = (row["path"] or "").strip(), (row["label"] or "").strip().lower()
        if label not in (Label.REAL, Label.FAKE):
            faults.append(f"line {line}: label {label!r} is neither real nor fake")
        elif key in records:
            faults.append(f"line {line}: {key} is named twice")
        elif not (root / key).is_file():
            faults.append(f"line {line}: there is no file {root / key}")
        else:
            method, source, split, group = ((row.get(name) or "").strip() for name in OPTIONAL)
            records[key] = VideoRecord(root / key, key, Label(label), method, source, split, group or key)
    if faults:
        more = f", and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise DatasetError(f"{table}: {'; '.join(faults[:5])}{more}.", hint="Correct these lines.")
    return list(records.values())


def read_collected(table: Path, folder: Path) -> list[VideoRecord]:
    """Videos collected from public repositories, as many of the table's as are there, each once.

    Args:
        table: CSV with the columns name, label, source, method and person; a person is an identity group.
        folder: where the videos lie under their names.

    Raises:
        DatasetError: there is no such table, or none of its videos.
    """
    if not table.is_file():
        raise DatasetError(f"There is no table {table}.", hint="Give the manifest of the collection.")
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["name"]: row for row in csv.DictReader(file) if (folder / row["name"]).is_file()}
    if not rows:
        raise DatasetError(f"{folder} holds no video that {table} names.", hint="Collect them first.")
    return [
        VideoRecord(
            path=folder / row["name"],
            key=f"more/{row['name']}",
            label=Label(row["label"]),
            method=row["method"] if row["label"] == "fake" else "",
            source=row["source"],
            split="train",
            group=f"more-{row['person']}",
        )
        for row in rows.values()
    ]
