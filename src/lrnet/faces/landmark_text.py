"""Landmarks in text files: OpenFace's CSV, and lines of 136 numbers.

Variants that other programs write are read too: semicolons or tabs between the cells, decimal commas, and any of the
spellings of a number that is missing.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.faces.landmark_table import Columns, LandmarkTable, table_of
from lrnet.faces.landmarker import NUM_LANDMARKS

COORDINATES: Final = tuple(f"{axis}_{i}" for axis in "xy" for i in range(NUM_LANDMARKS))
"""Names of a CSV's landmark columns, in OpenFace's order."""

ABOUT: Final = ("frame", "face_id", "timestamp", "confidence", "success")

MOST_ROWS: Final = 500_000
"""Rows that a file may hold, five hours of a face at 25 Hz: reading takes about 2 kB of memory a row."""

LONGEST_LINE: Final = 2**20  # characters; OpenFace writes about 5000

SEPARATORS: Final = ",;\t"

MISSING: Final = re.compile(r"[+-]?\s*(nan\s*(\(.*\))?|1\.#(ind|qnan|snan|j|r|io?)\d*|n/?a|null|none|)", re.IGNORECASE)
"""How programs write a number that is missing: nan(snan) and -nan(ind) are the C library's of Windows, 1.#IND and the
like an older one's (1.#J and 1.#R where that rounded it), empty cells pandas'."""


def read_csv(file: Path) -> LandmarkTable:
    """Read a CSV as OpenFace writes it (see `lrnet.faces.landmark_files`). Raises SequenceError and OSError."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            lines = _lines(file, text)
            first, before = next(lines, ""), 0
            if first.strip().strip('"').lower().startswith("sep="):  # a spreadsheet's note to itself
                first, before = next(lines, ""), 1
            rows = csv.reader(chain([first], lines), delimiter=max(SEPARATORS, key=first.count))
            header = [name.strip() for name in next(rows, [])]
            require_columns(file, header)
            columns = _csv_columns(file, header, ((rows.line_num + before, row) for row in rows))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SequenceError(f"{file} is no CSV text ({error}).", hint="Give the CSV that OpenFace wrote.") from error
    return table_of_columns(file, columns, None)


def read_txt(file: Path) -> LandmarkTable:
    """Read lines of 136 numbers, x and y in turn, a line a frame. Raises SequenceError and OSError."""
    rows: list[array[float]] = []
    numbers = _Numbers("A missing point is nan.")
    try:
        with file.open(encoding="utf-8-sig") as text:
            for line, content in enumerate(_lines(file, text), start=1):
                cells = content.replace(";", " ").split()
                if not cells:
                    continue
                if len(cells) != 2 * NUM_LANDMARKS and content.count(",") == 2 * NUM_LANDMARKS - 1:
                    cells = content.split(",")
                if len(cells) != 2 * NUM_LANDMARKS:
                    raise SequenceError(
                        f"{file}, line {line}: {len(cells)} numbers where {2 * NUM_LANDMARKS} are expected.",
                        hint="A line is a frame: x and y of 68 points in turn.",
                    )
                rows.append(array("d", (numbers.read(cell.rstrip(","), f"{file}, line {line}") for cell in cells)))
                require_bounded(file, len(rows))
    except UnicodeDecodeError as error:
        raise SequenceError(f"{file} is no text ({error}).", hint="Give lines of 136 numbers.") from error
    return table_of(str(file), {}, np.array(rows, np.float64).reshape(-1, NUM_LANDMARKS, 2), None)


def write_csv(file: Path, table: LandmarkTable) -> None:
    """Write a table as OpenFace writes it."""
    columns = columns_of_table(table)
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(columns)
        for row in zip(*(values.tolist() for values in columns.values()), strict=True):
            writer.writerow([f"{value:.7g}" if isinstance(value, float) else value for value in row])


def write_txt(file: Path, table: LandmarkTable) -> None:
    """Write a line of 136 numbers for each row of a table."""
    rows = table.points.reshape(len(table), -1).tolist()
    file.write_text("".join(" ".join(f"{v:.7g}" for v in row) + "\n" for row in rows), encoding="utf-8")


def require_bounded(file: Path, rows: int) -> None:
    """Raise SequenceError if a file holds too many rows."""
    if rows > MOST_ROWS:
        raise SequenceError(f"{file} holds over {MOST_ROWS} rows.", hint="Split it into several files.")


def require_columns(file: Path, names: list[str]) -> None:
    """Raise SequenceError unless all landmark columns are there, and no column twice."""
    missing = [name for name in COORDINATES if name not in names]
    if missing:
        raise SequenceError(
            f"{file} lacks {len(missing)} of the 136 columns x_0..x_67, y_0..y_67 (the first is {missing[0]}).",
            hint="Let OpenFace write 2-D landmarks (-2Dfp).",
        )
    twice = [name for name in (*ABOUT, *COORDINATES) if names.count(name) > 1]
    if twice:
        raise SequenceError(f"{file} has the column {twice[0]} twice.", hint="Keep one of them.")


def table_of_columns(file: Path, columns: Columns, units: str | None) -> LandmarkTable:
    """The table of a CSV's columns; frames of `success` 0 become NaN, and frame numbers count from 0."""
    points = np.stack([np.stack([columns[f"{a}_{i}"] for a in "xy"], axis=-1) for i in range(NUM_LANDMARKS)], axis=1)
    about = {name: columns[name] for name in ABOUT if name in columns}
    if "success" in about:
        points[~(about["success"] > 0)] = np.nan
    if "frame" in about and len(points) and about["frame"].min() >= 1:
        about["frame"] = about["frame"] - _first_number(about)
    return table_of(str(file), about, points, units)


def columns_of_table(table: LandmarkTable) -> dict[str, NDArray[Any]]:
    """The columns of a CSV, (N,) each."""
    success = np.asarray(~np.isnan(table.points).all(axis=(1, 2)), bool)
    columns: dict[str, NDArray[Any]] = {"frame": np.add(table.frame_numbers, 1), "face_id": table.face_id}
    if table.timestamps is not None:
        columns["timestamp"] = table.timestamps
    columns |= {"confidence": table.confidence, "success": success.astype(np.int64)}
    # OpenFace writes zeros for a frame in which it failed.
    points = np.where(success[:, None, None], table.points, np.float32(0))
    return columns | {f"{axis}_{i}": points[:, i, a] for a, axis in enumerate("xy") for i in range(NUM_LANDMARKS)}


def _first_number(about: Columns) -> int:
    """The number of the first frame, where no row has number 0: 1, as OpenFace counts, unless time stamps that go with
    the numbers show that frame 0 has no row."""
    numbers, stamps = about["frame"], about.get("timestamp")
    if stamps is None or np.ptp(numbers) == 0 or not (np.isfinite(stamps).all() and np.isfinite(numbers).all()):
        return 1
    step = np.ptp(stamps) / np.ptp(numbers)
    return 0 if step > 0 and bool((np.abs(stamps - step * numbers) < step / 4).all()) else 1


def _csv_columns(file: Path, header: list[str], rows: Iterable[tuple[int, list[str]]]) -> Columns:
    """The columns that are used; landmarks of failed frames are not looked at and become NaN."""
    about = {name: header.index(name) for name in ABOUT if name in header}
    places = [header.index(name) for name in COORDINATES]
    found: dict[str, list[float]] = {name: [] for name in about}
    coordinates: list[array[float]] = []
    failed = array("d", [float("nan")]) * len(COORDINATES)
    numbers = _Numbers("A missing point is nan; a failed frame has success 0.")
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        where = f"{file}, line {line}"
        if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            raise SequenceError(
                f"{where}: {len(row)} cells where the header has {len(header)}.",
                hint="The file is damaged or cut off; write it again.",
            )
        for name, place in about.items():
            found[name].append(numbers.read(row[place], f"{where}, column {name}"))
        read = (numbers.read(row[i], f"{where}, column {header[i]}") for i in places)
        coordinates.append(array("d", read) if "success" not in about or found["success"][-1] else failed)
        require_bounded(file, len(coordinates))
    table = np.array(coordinates, np.float64).reshape(-1, len(COORDINATES))
    columns = {name: np.array(values, np.float64) for name, values in found.items()}
    return columns | {name: table[:, i] for i, name in enumerate(COORDINATES)}


class _Numbers:
    """The numbers of one file. Its cells have decimal points or decimal commas, not both."""

    def __init__(self, hint: str) -> None:
        self._hint = hint
        self._decimal = ""

    def read(self, cell: str, where: str) -> float:
        """The number in a cell; NaN where the cell says that it is missing.

        Raises:
            SequenceError: the cell holds something else.
        """
        try:
            value = float(cell)
        except ValueError:
            cell = cell.strip()
            if MISSING.fullmatch(cell):
                return float("nan")
            try:
                value = float(cell.replace(",", "."))
            except ValueError:
                raise SequenceError(f"{where}: {cell[:30]!r} is not a number.", hint=self._hint) from None
        mark = "," if "," in cell else "." if "." in cell else self._decimal
        if self._decimal not in ("", mark):
            raise SequenceError(
                f"{where}: {cell.strip()[:30]!r} in a file of numbers with {self._decimal!r} as the decimal mark.",
                hint="Write all numbers alike, without marks between thousands.",
            )
        self._decimal = mark
        return value


def _lines(file: Path, text: TextIO) -> Iterator[str]:
    """The lines of a text; SequenceError at one without an end."""
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise SequenceError(f"{file} has a line of over {LONGEST_LINE} characters.", hint="Give a landmark file.")
        yield line
