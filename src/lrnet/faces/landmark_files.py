"""Landmark files of other programs in and out, all turned into one table at this border.

| ending | what it holds |
|---|---|
| `.csv` | OpenFace, any version: columns `x_0`..`x_67`, `y_0`..`y_67`; `frame`, `face_id`, `timestamp` (seconds), `confidence` and `success` where they are there; other columns are passed over, spaces in the header too |
| `.txt` | the reference implementation's: a frame a line, 136 numbers, x and y in turn |
| `.npy` | (N, 68, 2), or (N, 136) with x and y in turn |
| `.npz` | the same under `landmarks`; and, if wanted, `frame` (from 0), `face_id`, `timestamp`, `confidence`, each (N,), and `units` |
| `.parquet` | the columns of the CSV; `units` in the schema's metadata (needs pyarrow) |

A missing point is NaN in x and in y; a failed frame of a CSV or Parquet file has `success` 0. Frames count from 0 in a
table and from 1 in CSV and Parquet files, as OpenFace counts; a file that has a frame 0 counts from 0.
"""  # noqa: E501

from __future__ import annotations

import csv
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import LrnetError, MissingDependencyError, OutputError, SequenceError
from lrnet.files import written_beside

NUM_POINTS: Final = 68
COORDINATES: Final = tuple(f"{axis}_{i}" for axis in "xy" for i in range(NUM_POINTS))
"""Names of a CSV's landmark columns, in OpenFace's order."""

ABOUT: Final = ("frame", "face_id", "timestamp", "confidence", "success")

NORMALISED_REACH: Final = 3.0
"""Landmarks that all lie within this of 0 are normalised ones (a face's crop reaches from -1 to 1): in frame pixels the
whole face would be 6 pixels wide. Tells the units of files that have no place to say them."""

MOST_ROWS: Final = 500_000
"""Rows that a file may hold, five hours of a face at 25 Hz: what is read takes about 2 kB of memory a row."""

LARGEST_ROW: Final = 2 * NUM_POINTS * 8  # bytes of a row of landmarks in float64
ARRAYS: Final = ("landmarks", "frame", "face_id", "timestamp", "confidence", "units")

LONGEST_LINE: Final = 2**20  # characters; OpenFace writes about 5000

FARTHEST: Final = 1e6  # pixels; a coordinate beyond this is no place in a video

Units = Literal["frame pixels", "normalised"]
Columns = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LandmarkTable:
    """Landmarks as a file holds them, one row for each face in each frame.

    Attributes:
        points: (N, 68, 2) float32, iBUG 300-W order; NaN where the landmarker failed.
        frame_numbers: (N,) int64, from 0.
        timestamps: (N,) float64 seconds; None if the file has none.
        face_id: (N,) int64, the landmarker's own numbers.
        confidence: (N,) float32, the landmarker's own; 1 where the file has none.
        units: of `points`.
        source: what to call the landmarks in errors: the file, if they come from one.
    """

    points: NDArray[np.float32]
    frame_numbers: NDArray[np.int64]
    timestamps: NDArray[np.float64] | None
    face_id: NDArray[np.int64]
    confidence: NDArray[np.float32]
    units: Units = "frame pixels"
    source: str = "The landmark table"

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.points.shape != (n, NUM_POINTS, 2):
            raise SequenceError(
                f"A landmark table needs points of shape (N, 68, 2), not {self.points.shape}.",
                hint="Give a row for each face in each frame.",
            )
        for name in ("frame_numbers", "timestamps", "face_id", "confidence"):
            values = getattr(self, name)
            if values is not None and values.shape != (n,):
                raise SequenceError(
                    f"A landmark table of {n} rows needs {name} of shape ({n},), not {values.shape}.",
                    hint="Give every array one entry a row.",
                )

    def __len__(self) -> int:
        return len(self.points)

    @property
    def faces(self) -> tuple[int, ...]:
        """The numbers of the faces."""
        return tuple(int(n) for n in np.unique(self.face_id))

    @property
    def frame_count(self) -> int:
        """Frames up to the last one that any face has a row for."""
        return int(self.frame_numbers.max(initial=-1)) + 1

    def of_face(self, face: int | None = None) -> LandmarkTable:
        """The rows of one face, in order of frames.

        Args:
            face: its number; may be left out if there is only one.

        Raises:
            SequenceError: there is no such face, there are several and none was chosen, or it has two rows for a frame.
        """
        faces = self.faces
        seen = ", ".join(f"{n} ({(self.face_id == n).sum()} rows)" for n in faces[:10])
        if face is None and len(faces) > 1:
            raise SequenceError(
                f"{self.source} holds {len(faces)} faces: {seen}.", hint="Choose one by its number (--face)."
            )
        if face is not None and face not in faces:
            raise SequenceError(f"{self.source} holds no face {face}.", hint=f"Faces are {seen or 'none'}.")
        rows = np.arange(len(self)) if face is None else np.flatnonzero(self.face_id == face)
        rows = rows[np.argsort(self.frame_numbers[rows], kind="stable")]
        numbers = self.frame_numbers[rows]
        twice = np.flatnonzero(np.diff(numbers) == 0)
        if len(twice):
            raise SequenceError(
                f"{self.source}: frame {numbers[twice[0]]} (from 0) of face {self.face_id[rows[0]]} has two rows.",
                hint="Keep one row a frame, or tell faces apart in a column face_id.",
            )
        return replace(
            self,
            points=self.points[rows],
            frame_numbers=numbers,
            timestamps=None if self.timestamps is None else self.timestamps[rows],
            face_id=self.face_id[rows],
            confidence=self.confidence[rows],
        )

    @classmethod
    def from_points(cls, points: NDArray[np.floating]) -> LandmarkTable:
        """One face, a row a frame: (N, 68, 2), or (N, 136) with x and y in turn; NaN where a point is missing.

        Raises:
            SequenceError: the shape is another, a number is infinite or absurd, or a point has but one coordinate.
        """
        return _table("The array", {}, _points_of_array("The array", np.asarray(points)), None)


def read_landmarks(path: str | os.PathLike[str]) -> LandmarkTable:
    """Read a landmark file by its ending (see the table at the top of this module).

    Raises:
        SequenceError: there is no such file, its ending is unknown, or what it holds cannot be read as landmarks.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.

    Example:
        ```python
        table = read_landmarks("openface.csv")
        face = table.of_face(table.faces[0])
        print(face.points.shape, face.timestamps)
        ```
    """
    file = Path(path)
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise SequenceError(
            f"{file}: landmark files ending in {file.suffix or 'nothing'} are not known.",
            hint=f"Known are {', '.join(_READERS)}.",
        )
    try:
        return read(file)
    except FileNotFoundError as error:
        raise SequenceError(f"There is no file {file}.", hint="Check the spelling of the path.") from error
    except OSError as error:
        raise SequenceError(
            f"{file} cannot be read ({(error.strerror or str(error)).lower()}).", hint="Give a landmark file."
        ) from error


def require_known_suffix(path: str | os.PathLike[str]) -> None:
    """Check before the work that landmarks can be written under that name after it.

    Raises:
        OutputError: its ending is unknown.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
    """
    file = Path(path)
    if file.suffix.lower() not in _WRITERS:
        raise OutputError(
            f"{file}: landmarks cannot be written to files ending in {file.suffix or 'nothing'}.",
            hint=f"Known are {', '.join(_WRITERS)}.",
        )
    if file.suffix.lower() == ".parquet":
        _parquet()


def write_landmarks(path: str | os.PathLike[str], table: LandmarkTable) -> None:
    """Write landmarks, whole or not at all, in the form that the ending says (see `read_landmarks`).

    Raises:
        OutputError: the ending is unknown, the place cannot be written, or the form (`.txt`, `.npy`) has no place for
            what the table says: several faces, or frames left out.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
    """
    require_known_suffix(path)
    suffix = Path(path).suffix.lower()
    plain = len(table.faces) <= 1 and np.array_equal(table.frame_numbers, np.arange(len(table)))
    if suffix in (".txt", ".npy") and not plain:
        raise OutputError(
            f"{path}: a {suffix} file has no place for several faces or left-out frames.",
            hint="Write .csv, .npz or .parquet.",
        )
    with written_beside(path) as partial:
        _WRITERS[suffix](partial, table)


# Reading


def _read_csv(file: Path) -> LandmarkTable:
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            rows = csv.reader(_lines(file, text))
            header = [name.strip() for name in next(rows, [])]
            _require_columns(file, header)
            columns = _csv_columns(file, header, ((rows.line_num, row) for row in rows))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SequenceError(f"{file} is no CSV text ({error}).", hint="Give the CSV that OpenFace wrote.") from error
    return _table_of_columns(file, columns, None)


def _csv_columns(file: Path, header: list[str], rows: Iterable[tuple[int, list[str]]]) -> Columns:
    """The numbers of the columns that count; landmarks of failed frames are not looked at and become NaN."""
    about = {name: header.index(name) for name in ABOUT if name in header}
    places = [header.index(name) for name in COORDINATES]
    found: dict[str, list[float]] = {name: [] for name in about}
    coordinates: list[array[float]] = []
    failed = array("d", [float("nan")]) * len(COORDINATES)
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            raise SequenceError(
                f"{file}, line {line}: {len(row)} cells where the header has {len(header)}.",
                hint="The file is damaged or cut off; write it again.",
            )
        for name, place in about.items():
            found[name].append(_number(row[place], f"{file}, line {line}, column {name}"))
        success = found["success"][-1] if "success" in about else 1.0
        where = f"{file}, line {line}"
        numbers_of_row = (_number(row[i], f"{where}, column {header[i]}") for i in places)
        coordinates.append(array("d", numbers_of_row) if success else failed)
        _require_bounded(file, len(coordinates))
    numbers = {name: np.array(values, np.float64) for name, values in found.items()}
    table = np.array(coordinates, np.float64).reshape(-1, len(COORDINATES))
    return numbers | {name: table[:, i] for i, name in enumerate(COORDINATES)}


def _lines(file: Path, text: TextIO) -> Iterator[str]:
    """The lines of a text; SequenceError at one without an end."""
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise SequenceError(f"{file} has a line of over {LONGEST_LINE} characters.", hint="Give a landmark file.")
        yield line


def _require_bounded(file: Path, rows: int) -> None:
    if rows > MOST_ROWS:
        raise SequenceError(f"{file} holds over {MOST_ROWS} rows.", hint="Part it into several files.")


def _number(cell: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        shown = cell.strip()[:30]
        raise SequenceError(
            f"{where}: {shown!r} is not a number.", hint="A missing point is nan; a failed frame has success 0."
        ) from error


def _read_txt(file: Path) -> LandmarkTable:
    rows: list[array[float]] = []
    try:
        with file.open(encoding="utf-8-sig") as text:
            for line, content in enumerate(_lines(file, text), start=1):
                cells = content.split()
                if not cells:
                    continue
                if len(cells) != 2 * NUM_POINTS:
                    raise SequenceError(
                        f"{file}, line {line}: {len(cells)} numbers where {2 * NUM_POINTS} are expected.",
                        hint="A line is a frame: x and y of 68 points in turn.",
                    )
                rows.append(array("d", (_number(cell, f"{file}, line {line}") for cell in cells)))
                _require_bounded(file, len(rows))
    except UnicodeDecodeError as error:
        raise SequenceError(f"{file} is no text ({error}).", hint="Give lines of 136 numbers.") from error
    return _table(str(file), {}, np.array(rows, np.float64).reshape(-1, NUM_POINTS, 2), None)


def _read_numpy(file: Path) -> LandmarkTable:
    try:
        arrays = _numpy_arrays(file)
    except (OSError, SequenceError):
        raise
    except Exception as error:  # what numpy and zipfile raise on damaged files has no base of its own
        raise SequenceError(
            f"{file} is no NumPy file ({str(error)[:100]}).", hint="Write it with numpy.save or numpy.savez."
        ) from error
    points = _points_of_array(str(file), arrays["landmarks"])
    _require_bounded(file, len(points))
    about: dict[str, NDArray[np.float64]] = {}
    for name in ("frame", "face_id", "timestamp", "confidence"):
        if name in arrays:
            about[name] = _vector(f"{file}, array {name}", arrays[name], len(points))
    return _table(str(file), about, points, str(arrays["units"]) if "units" in arrays else None)


def _numpy_arrays(file: Path) -> dict[str, NDArray[Any]]:
    # Mapped, so that a header which claims more than the file holds is refused before memory is asked for.
    loaded = np.load(file, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        _require_bounded(file, len(loaded) if loaded.ndim else 0)
        return {"landmarks": loaded}
    with loaded:
        if "landmarks" not in loaded.files:
            raise SequenceError(
                f"{file} has no array `landmarks`, only {', '.join(sorted(loaded.files)) or 'nothing'}.",
                hint="Save it with numpy.savez(path, landmarks=...).",
            )
        # An archive may unpack to far more than its size: only what is wanted is unpacked, and not too much of it.
        wanted = [key for key in ARRAYS if key in loaded.files]
        unpacked = {Path(member.filename).stem: member.file_size for member in loaded.zip.infolist()}
        _require_bounded(file, max((unpacked.get(key, 0) for key in wanted), default=0) // LARGEST_ROW)
        return {key: loaded[key] for key in wanted}


def _points_of_array(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiu":
        raise SequenceError(f"{name}: landmarks of type {array.dtype} are no numbers.", hint="Give float32.")
    if array.ndim not in (2, 3) or array.shape[1:] not in ((2 * NUM_POINTS,), (NUM_POINTS, 2)):
        raise SequenceError(f"{name}: landmarks of shape {array.shape}.", hint="Give (N, 68, 2) or (N, 136).")
    return _as_float64(array).reshape(-1, NUM_POINTS, 2)


def _vector(where: str, array: NDArray[Any], length: int) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiub" or array.shape != (length,):
        raise SequenceError(
            f"{where}: type {array.dtype} and shape {array.shape} where numbers of shape ({length},) are expected.",
            hint="Give one number a row of landmarks.",
        )
    return _as_float64(array)


def _as_float64(array: NDArray[Any]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):  # a damaged file may hold signalling NaN and the like; values are checked later
        return np.asarray(array, np.float64)


def _parquet() -> Any:
    """pyarrow.parquet. Only who reads or writes Parquet needs it; detection does without."""
    try:
        return import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet files need pyarrow, which is not installed.", hint="Install it: pip install pyarrow."
        ) from error


def _read_parquet(file: Path) -> LandmarkTable:
    parquet = _parquet()
    try:
        # Opened here: given a name, pyarrow would also read folders and look for a file system in it.
        with file.open("rb") as data:
            _require_bounded(file, parquet.read_metadata(data).num_rows)
            content = parquet.read_table(data)
            _require_columns(file, content.column_names)
            names = [name for name in (*ABOUT, *COORDINATES) if name in content.column_names]
            columns = {n: np.asarray(content.column(n).to_numpy()) for n in names}
    except (LrnetError, FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # pyarrow's own errors, whose base is only known once it is imported
        raise SequenceError(
            f"{file} is no Parquet file that can be read ({str(error)[:100]}).", hint="Write it again."
        ) from error
    rows = len(columns[COORDINATES[0]])
    numbers = {name: _vector(f"{file}, column {name}", values, rows) for name, values in columns.items()}
    units = (content.schema.metadata or {}).get(b"units")
    return _table_of_columns(file, numbers, None if units is None else units.decode("utf-8", "replace"))


def _require_columns(file: Path, names: list[str]) -> None:
    missing = [name for name in COORDINATES if name not in names]
    if missing:
        raise SequenceError(
            f"{file} lacks {len(missing)} of the 136 columns x_0..x_67, y_0..y_67 (the first is {missing[0]}).",
            hint="Let OpenFace write 2-D landmarks (-2Dfp).",
        )
    twice = [name for name in (*ABOUT, *COORDINATES) if names.count(name) > 1]
    if twice:
        raise SequenceError(f"{file} has the column {twice[0]} twice.", hint="Keep one of them.")


def _table_of_columns(file: Path, columns: Columns, units: str | None) -> LandmarkTable:
    points = np.stack([np.stack([columns[f"{a}_{i}"] for a in "xy"], axis=-1) for i in range(NUM_POINTS)], axis=1)
    about = {name: columns[name] for name in ABOUT if name in columns}
    if "success" in about:
        points[~(about["success"] > 0)] = np.nan
    if "frame" in about and len(points) and about["frame"].min() >= 1:
        about["frame"] = about["frame"] - 1
    return _table(str(file), about, points, units)


def _table(name: str, about: Columns, points: NDArray[np.float64], units: str | None) -> LandmarkTable:
    """Check the numbers of a file (or array) called `name`, and give those that it lacks."""
    n = len(points)
    if not n:
        raise SequenceError(f"{name} holds no landmarks.", hint="Give at least one frame.")
    for column in about:
        if not np.isfinite(about[column]).all():
            row = int(np.flatnonzero(~np.isfinite(about[column]))[0]) + 1
            raise SequenceError(f"{name}: {column} of row {row} is not finite.", hint="Give a number in every row.")
    whole = {"frame": np.arange(n, dtype=np.float64), "face_id": np.zeros(n)} | {
        column: about[column] for column in ("frame", "face_id") if column in about
    }
    for column, values in whole.items():
        wrong = np.flatnonzero((values != np.floor(values)) | (values < 0) | (values > 2**53))
        if len(wrong):
            raise SequenceError(
                f"{name}: {column} of row {wrong[0] + 1} is {values[wrong[0]]:g}.", hint="Give whole numbers from 0."
            )
    checked = _checked_points(name, points)
    if units not in (None, "frame pixels", "normalised"):
        raise SequenceError(f"{name}: units {units[:30]!r} are not known.", hint='Say "frame pixels" or "normalised".')
    normalised = units == "normalised" or (units is None and _look_normalised(checked))
    return LandmarkTable(
        points=checked,
        frame_numbers=whole["frame"].astype(np.int64),
        timestamps=about.get("timestamp"),
        face_id=whole["face_id"].astype(np.int64),
        confidence=np.clip(about.get("confidence", np.ones(n)), 0, 1).astype(np.float32),
        units="normalised" if normalised else "frame pixels",
        source=name,
    )


def _checked_points(name: str, points: NDArray[np.float64]) -> NDArray[np.float32]:
    halves = np.isnan(points[..., 0]) != np.isnan(points[..., 1])
    absurd = (np.abs(points) > FARTHEST).any(axis=-1)
    for wrong, what in ((absurd, f"lies beyond {FARTHEST:g} pixels"), (halves, "has only one coordinate")):
        if wrong.any():
            row, point = (int(i) for i in np.argwhere(wrong)[0])
            raise SequenceError(
                f"{name}: point {point} (from 0) of row {row + 1} {what}.",
                hint="Give x and y of a point, or NaN for both where it is missing.",
            )
    return points.astype(np.float32)


def _look_normalised(points: NDArray[np.float32]) -> bool:
    known = points[np.isfinite(points)]
    return bool(known.size) and float(np.abs(known).max()) <= NORMALISED_REACH


# Writing


def _columns_of_table(table: LandmarkTable) -> dict[str, NDArray[Any]]:
    success = np.asarray(~np.isnan(table.points).all(axis=(1, 2)), bool)
    columns: dict[str, NDArray[Any]] = {"frame": np.add(table.frame_numbers, 1), "face_id": table.face_id}
    if table.timestamps is not None:
        columns["timestamp"] = table.timestamps
    columns |= {"confidence": table.confidence, "success": success.astype(np.int64)}
    # OpenFace writes zeros for a frame in which it failed.
    points = np.where(success[:, None, None], table.points, np.float32(0))
    return columns | {f"{axis}_{i}": points[:, i, a] for a, axis in enumerate("xy") for i in range(NUM_POINTS)}


def _write_csv(file: Path, table: LandmarkTable) -> None:
    columns = _columns_of_table(table)
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text)
        writer.writerow(columns)
        for row in zip(*(values.tolist() for values in columns.values()), strict=True):
            writer.writerow([f"{value:.7g}" if isinstance(value, float) else value for value in row])


def _write_txt(file: Path, table: LandmarkTable) -> None:
    rows = table.points.reshape(len(table), -1).tolist()
    file.write_text("".join(" ".join(f"{v:.7g}" for v in row) + "\n" for row in rows), encoding="utf-8")


def _write_npy(file: Path, table: LandmarkTable) -> None:
    np.save(file, table.points)


def _write_npz(file: Path, table: LandmarkTable) -> None:
    arrays: dict[str, Any] = {
        "landmarks": table.points,
        "frame": table.frame_numbers,
        "face_id": table.face_id,
        "confidence": table.confidence,
        "units": np.array(table.units),
    }
    if table.timestamps is not None:
        arrays["timestamp"] = table.timestamps
    np.savez_compressed(file, **arrays)


def _write_parquet(file: Path, table: LandmarkTable) -> None:
    parquet = _parquet()
    content = import_module("pyarrow").table(_columns_of_table(table), metadata={"units": table.units})
    parquet.write_table(content, file, compression="zstd")


_READERS: Final[Mapping[str, Callable[[Path], LandmarkTable]]] = MappingProxyType(
    {".csv": _read_csv, ".txt": _read_txt, ".npy": _read_numpy, ".npz": _read_numpy, ".parquet": _read_parquet}
)
_WRITERS: Final[Mapping[str, Callable[[Path, LandmarkTable], None]]] = MappingProxyType(
    {".csv": _write_csv, ".txt": _write_txt, ".npy": _write_npy, ".npz": _write_npz, ".parquet": _write_parquet}
)
