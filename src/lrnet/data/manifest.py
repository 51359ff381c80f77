"""Datasets described by a table: CSV with a header, or JSON (a list of objects).

| column | |
|---|---|
| path | of the video, from the table's folder; or an address that fsspec opens (`s3://bucket/a.mp4`) |
| label | real or fake |
| method, source, split, group, compression | optional; a split is train, val or test |
| identities | optional: the people in it, separated by `;` (in JSON a list); videos that share one share a group |
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout
from lrnet.data.records import SPLITS, Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.files import is_file, read_json, written_beside

NAME: Final = "manifest"
HOW_TO: Final = "name its videos in a manifest.csv: path,label in the first line, then one video a line, real or fake"
SUFFIXES: Final = (".csv", ".json")
REQUIRED: Final = ("path", "label")
OPTIONAL: Final = ("method", "source", "split", "group", "compression", "identities")


def matches(root: Path) -> bool:
    return (root / "manifest.csv").is_file() or (root / "manifest.json").is_file()


def read(table: Path, root: Path | None = None) -> Dataset:
    """The videos that a table names. A video without group and identities is a separate group.

    Args:
        table: CSV (UTF-8, further columns are ignored) or JSON; a folder stands for the manifest in it.
        root: folder that paths start from; the table's own by default.

    Raises:
        DatasetError: there is no such table, it cannot be read, a column is missing, or it names no video.
    """
    if table.is_dir():
        table = next(p for p in (table / "manifest.csv", table / "manifest.json") if p.is_file())
    rows = _rows(table)
    root = root or table.parent
    found = Collector(NAME, root, table.stem if table.stem != "manifest" else table.resolve().parent.name)
    for where, row in rows:
        name, label, split = _text(row, "path"), _text(row, "label").lower(), _text(row, "split").lower()
        url = name if "://" in name else ""
        path = Path(name.rpartition("/")[2]) if url else root / name
        if not name:
            found.issue(IssueKind.LIST, where, "no path")
        elif label not in (Label.REAL, Label.FAKE):
            found.issue(IssueKind.LABEL, where, f"{name}: label {label!r} is neither real nor fake")
        elif split not in ("", *SPLITS):
            found.issue(IssueKind.LIST, where, f"{name}: split {split!r} is not one of {', '.join(SPLITS)}")
        elif not url and not is_file(path):
            found.issue(IssueKind.MISSING, where, f"there is no file {path}")
        else:
            found.add(
                path,
                Label(label),
                key=name,
                url=url,
                where=where,
                split=split,
                method=_text(row, "method"),
                source=_text(row, "source"),
                group=_text(row, "group"),
                compression=_text(row, "compression"),
                identities=_people(row.get("identities")),
            )
    return found.finish()


def read_manifest(table: Path, root: Path | None = None) -> list[VideoRecord]:
    """The videos of a table, as `read` gives them. Raises DatasetError as `read`, and for any issue."""
    dataset = read(table, root)
    if dataset.issues:
        more = f", and {len(dataset.issues) - 5} more" if len(dataset.issues) > 5 else ""
        raise DatasetError(f"{table}: {'; '.join(map(str, dataset.issues[:5]))}{more}.", hint="Correct these lines.")
    return list(dataset.records)


def write_manifest(path: Path, dataset: Dataset) -> None:
    """Write a dataset as a CSV for `read`, in which splits can be edited.

    Raises:
        OutputError: it cannot be written.
    """
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*REQUIRED, *OPTIONAL])
        for r in dataset.records:
            place = r.url or str(r.path.resolve())
            people = ";".join(r.identities)
            writer.writerow([place, r.label.value, r.method, r.source, r.split, r.group, r.compression, people])


def _rows(table: Path, columns: Sequence[str] = REQUIRED) -> list[tuple[str, dict[str, Any]]]:
    if not table.is_file():
        raise DatasetError(f"There is no manifest {table}.", hint="Give a CSV with the columns path and label.")
    try:
        rows = _json_rows(table, columns) if table.suffix.lower() == ".json" else _csv_rows(table, columns)
    except (ValueError, csv.Error, OSError) as error:
        raise DatasetError(
            f"{table} cannot be read as a manifest ({error}).", hint="Give a CSV with a header, or a JSON list."
        ) from error
    if not rows:
        raise DatasetError(f"{table} names no video.", hint="It needs a line for each, with path and label.")
    return rows


def _csv_rows(table: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _require(table, reader.fieldnames or (), columns)
        return [(f"line {reader.line_num}", row) for row in reader]


def _json_rows(table: Path, columns: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    content = read_json(table)
    rows = content.get("videos") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no list of objects")
    for row in rows[:1]:
        _require(table, row, columns)
    return [(f"entry {number}", row) for number, row in enumerate(rows, start=1)]


def _require(table: Path, names: Any, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in names]
    if missing:
        raise DatasetError(
            f"{table} has no column {', '.join(missing)}.", hint=f"It needs {', '.join(columns)} in its header."
        )


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _people(value: Any) -> list[str]:
    names = value if isinstance(value, list) else str(value or "").split(";")
    return [str(name).strip() for name in names if str(name).strip()]


LAYOUT: Final = Layout(
    NAME,
    "anything",
    "a .csv or .json with path, label and more (docs/datasets.md), or a folder with manifest.csv",
    matches,
    read,
)

COLLECTED: Final = ("name", "label", "source", "method", "person")


def read_collected(table: Path, folder: Path) -> list[VideoRecord]:
    """The videos of a table of collected videos that are present, each once.

    Args:
        table: CSV with the columns name, label, source, method and person; a person is an identity group.
        folder: where the videos lie under their names.

    Raises:
        DatasetError: the table or all of its videos are missing.
    """
    rows = {
        row["name"]: row
        for _, row in _rows(table, COLLECTED)
        if None not in (row[name] for name in COLLECTED) and row["name"] and row["label"] in set(Label)
    }
    found = [
        VideoRecord(
            path=folder / name,
            key=f"more/{name}",
            label=Label(row["label"]),
            method=row["method"] if row["label"] == "fake" else "",
            source=row["source"],
            split="train",
            group=f"more-{row['person']}",
        )
        for name, row in rows.items()
        if is_file(folder / name)
    ]
    if not found:
        raise DatasetError(f"{folder} holds no video that {table} names.", hint="Collect them first.")
    return found
