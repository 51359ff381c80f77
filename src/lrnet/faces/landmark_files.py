"""Landmark files of other programs: read and written, all as one table.

| ending | what it holds |
|---|---|
| `.csv`, `.tsv` | OpenFace, any version: columns `x_0`..`x_67`, `y_0`..`y_67`; `frame`, `face_id`, `timestamp` (seconds), `confidence` and `success` where they are there; other columns are ignored. Commas, semicolons or tabs between the cells; decimal points or commas |
| `.txt` | the reference implementation's: a frame a line, 136 numbers, x and y in turn |
| `.npy` | (N, 68, 2), or (N, 136) with x and y in turn |
| `.npz` | the same as `landmarks`; optional `frame` (from 0), `face_id`, `timestamp`, `confidence`, each (N,), and `units` |
| `.parquet` | the columns of the CSV; `units` in the schema's metadata (needs pyarrow) |

Missing landmarks: `lrnet.faces.landmark_table.missing_as_nan`. Frames count from 0 in a table and from 1 in CSV and
Parquet files, as OpenFace counts; a file that has a frame 0 counts from 0.
"""  # noqa: E501

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import LrnetError, MissingDependencyError, OutputError, SequenceError
from lrnet.faces.landmark_table import LandmarkTable, as_float64, points_of_array, table_of
from lrnet.faces.landmark_text import (
    ABOUT,
    COORDINATES,
    columns_of_table,
    read_csv,
    read_txt,
    require_bounded,
    require_columns,
    table_of_columns,
    write_csv,
    write_txt,
)
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.files import written_beside

__all__ = ["LandmarkTable", "read_landmarks", "require_known_suffix", "write_landmarks"]

LARGEST_ROW: Final = 2 * NUM_LANDMARKS * 8  # bytes of a row of landmarks in float64
ARRAYS: Final = ("landmarks", "frame", "face_id", "timestamp", "confidence", "units")


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


def _read_numpy(file: Path) -> LandmarkTable:
    try:
        arrays = _numpy_arrays(file)
    except (OSError, SequenceError):
        raise
    except Exception as error:  # errors of numpy and zipfile on damaged files have no common base
        raise SequenceError(
            f"{file} is no NumPy file ({str(error)[:100]}).", hint="Write it with numpy.save or numpy.savez."
        ) from error
    points = points_of_array(str(file), arrays["landmarks"])
    require_bounded(file, len(points))
    about: dict[str, NDArray[np.float64]] = {}
    for name in ("frame", "face_id", "timestamp", "confidence"):
        if name in arrays:
            about[name] = _vector(f"{file}, array {name}", arrays[name], len(points))
    return table_of(str(file), about, points, str(arrays["units"]) if "units" in arrays else None)


def _numpy_arrays(file: Path) -> dict[str, NDArray[Any]]:
    # Mapped, so that a header which claims more than the file holds is refused before memory is asked for.
    loaded = np.load(file, mmap_mode="r", allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        require_bounded(file, len(loaded) if loaded.ndim else 0)
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
        require_bounded(file, max((unpacked.get(key, 0) for key in wanted), default=0) // LARGEST_ROW)
        return {key: loaded[key] for key in wanted}


def _vector(where: str, array: NDArray[Any], length: int) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiub" or array.shape != (length,):
        raise SequenceError(
            f"{where}: type {array.dtype} and shape {array.shape} where numbers of shape ({length},) are expected.",
            hint="Give one number a row of landmarks.",
        )
    return as_float64(array)


def _parquet() -> Any:
    """pyarrow.parquet. Only Parquet files need it; detection does without."""
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
            require_bounded(file, parquet.read_metadata(data).num_rows)
            content = parquet.read_table(data)
            require_columns(file, content.column_names)
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
    return table_of_columns(file, numbers, None if units is None else units.decode("utf-8", "replace"))


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
    content = import_module("pyarrow").table(columns_of_table(table), metadata={"units": table.units})
    parquet.write_table(content, file, compression="zstd")


_READERS: Final[Mapping[str, Callable[[Path], LandmarkTable]]] = MappingProxyType(
    {
        ".csv": read_csv,
        ".tsv": read_csv,
        ".txt": read_txt,
        ".npy": _read_numpy,
        ".npz": _read_numpy,
        ".parquet": _read_parquet,
    }
)
_WRITERS: Final[Mapping[str, Callable[[Path, LandmarkTable], None]]] = MappingProxyType(
    {".csv": write_csv, ".txt": write_txt, ".npy": _write_npy, ".npz": _write_npz, ".parquet": _write_parquet}
)
