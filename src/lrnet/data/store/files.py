"""One video's sequences in one Parquet file, written beside and renamed.

A row is a frame of one sequence; arrays lie flat in fixed-size lists (x and y in turn). The schema's metadata hold the
rest as JSON under `lrnet` (see `About`). The same sequences give the same bytes: a file holds no time or place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from lrnet.data.landmark_job import Provenance
from lrnet.data.records import SPLITS, VideoRecord
from lrnet.errors import DatasetError
from lrnet.faces.look import LOOK_SIZE
from lrnet.files import parse_json, written_beside
from lrnet.schema import first_fault
from lrnet.sequence.landmark_sequence import COLUMNS as SEQUENCE_COLUMNS
from lrnet.sequence.landmark_sequence import Column, LandmarkSequence

FORMAT: Final = 3
READABLE: Final = (1, 2, 3)  # format 1 lacks provenance, compression and identities; 2 looks and quantisers

_STORED_AS: Final = {"frame_indices": "frame_index", "times": "time", "centres": "centre"}
_ARROW: Final = {np.int64: pa.int64(), np.float64: pa.float64(), np.float32: pa.float32(), np.bool_: pa.bool_()}


def _stored_as(column: Column) -> str:
    return _STORED_AS.get(column.name, column.name)


def _field(column: Column) -> pa.Field:
    """How a file holds an array: in flat lists, one a frame. Arrays of pairs have a first row that means nothing."""
    kind, width = _ARROW[column.dtype], math.prod(column.shape)
    return pa.field(_stored_as(column), pa.list_(kind, width) if column.shape else kind)


FIELDS: Final = MappingProxyType({_stored_as(column): _field(column) for column in SEQUENCE_COLUMNS})
"""Each array of a sequence as a column of a file, by its name there."""

SCHEMA: Final = pa.schema(
    [
        ("sequence", pa.int32()),
        ("face", pa.int32()),
        *(FIELDS[_stored_as(column)] for column in SEQUENCE_COLUMNS if not column.optional),
    ]
)
"""The columns that every file has. Files have the optional ones where they were measured."""

_ALWAYS: Final = ("sequence", "face", "frame_index", "time", "valid")

COLUMNS: Final = (*(column.name for column in SEQUENCE_COLUMNS if _stored_as(column) not in _ALWAYS), "looks")
"""The columns that `StoredVideo.sequences` can leave out."""

LEAST_ROW: Final = 100  # bytes; a frame takes about 2000
FREE_ROWS: Final = 10_000  # frames that any file may hold: gaps and still pictures pack well


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video in a store.

    Attributes:
        file: the Parquet file.
        record: the dataset's fields; `record.path` is the path of the video at extraction.
        preprocessing: of its landmarks, as a bundle writes it.
        frames: of each sequence; () for files of the first format.
        rows: frames of all sequences together.
        sequence_count: how many there are.
        provenance: None for files of the first format.
    """

    file: Path
    record: VideoRecord
    preprocessing: dict[str, Any]
    frames: tuple[int, ...] = ()
    rows: int = 0
    sequence_count: int = 0
    provenance: Provenance | None = None

    @classmethod
    def of(cls, file: Path) -> StoredVideo:
        """Read the file's footer. Raises DatasetError if it is damaged or not of a store."""
        try:
            footer = pq.read_metadata(file)
        except (pa.ArrowException, OSError) as error:
            raise damaged(file, error) from error
        about = _about(file, footer.schema.to_arrow_schema())
        sequences = len(about.half_sides)
        return cls(file, about.record, about.preprocessing, about.frames, footer.num_rows, sequences, about.provenance)

    @property
    def sha256(self) -> str:
        """Of the video; empty if it is not known."""
        return "" if self.provenance is None else self.provenance.sha256

    @property
    def quantiser(self) -> float | None:
        """Of the video; None if it is not known."""
        return None if self.provenance is None else self.provenance.quantiser

    def sequences(self, only: Collection[str] = COLUMNS) -> list[LandmarkSequence]:
        """Its sequences, in order.

        Args:
            only: which of `COLUMNS` to read. The others cost no memory and are NaN (False for `tracked`, None for
                `surround_error` and `looks`).

        Raises:
            DatasetError: the file is damaged.
        """
        unknown = set(only) - set(COLUMNS)
        if unknown:
            raise ValueError(f"a store has no column {', '.join(sorted(unknown))}")
        wanted = [*_ALWAYS, *(_STORED_AS.get(name, name) for name in only if name != "looks")]
        _require_bounded(self.file, self.rows)
        try:
            there = pq.read_schema(self.file).names
            wanted = [name for name in wanted if name in there or name in SCHEMA.names]  # others were not measured
            table = pq.read_table(self.file, columns=wanted)
            about = _about(self.file, table.schema)
            halves = about.half_sides
            looks = [some.arrays() if some else {} for some in about.looks or [None] * len(halves)]
            if len(looks) != len(halves):
                raise ValueError(f"it has looks of {len(looks)} of {len(halves)} sequences")
            _require_whole(table, wanted, len(halves))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise damaged(self.file, error) from error
        column = {name: _array(table.column(name)) for name in table.column_names}
        # A sequence's rows lie together, in order.
        bounds = np.searchsorted(column["sequence"], np.arange(len(halves) + 1))
        return [
            _sequence(
                {name: values[bounds[n] : bounds[n + 1]] for name, values in column.items()},
                half,
                looks[n] if "looks" in only else {},
            )
            for n, half in enumerate(halves)
        ]


class Looks(BaseModel):
    """Looks of a sequence, few (two a second): times, and base64 of little-endian float16."""

    model_config = ConfigDict(strict=True)
    times: list[float]
    looks: bytes

    def arrays(self) -> dict[str, np.ndarray]:
        """As a sequence has them. Raises ValueError for others."""
        looks = np.frombuffer(base64.b64decode(self.looks, validate=True), "<f2").astype(np.float32)
        times = np.array(self.times, np.float64)
        return {"looks": looks.reshape(len(times), LOOK_SIZE), "look_times": times}


class About(BaseModel):
    """The metadata of a file. See `StoredVideo` for the fields; later formats have more than earlier ones."""

    model_config = ConfigDict(strict=True)
    record: VideoRecord
    preprocessing: dict[str, Any]
    half_sides: tuple[float, ...]
    frames: tuple[int, ...] = ()
    looks: tuple[Looks | None, ...] = ()
    provenance: Provenance | None = None


def _require_bounded(file: Path, rows: int) -> None:
    """Refuse a small file that unpacks to an enormous table."""
    most = FREE_ROWS + file.stat().st_size // LEAST_ROW
    if rows > most:
        raise damaged(file, ValueError(f"it claims {rows} frames, and is not large enough for more than {most}"))


def _require_whole(table: pa.Table, wanted: Collection[str], sequences: int) -> None:
    """Raise ValueError unless a table has the columns of the schema, without holes, and rows in order of sequences."""
    for name in wanted:
        if name not in table.column_names:
            raise ValueError(f"the column {name} is missing")
        column = table.column(name)
        if column.type != (FIELDS.get(name) or SCHEMA.field(name)).type:
            raise ValueError(f"the column {name} is of type {column.type}")
        if column.null_count or any(chunk.flatten().null_count for chunk in _lists(column)):
            raise ValueError(f"the column {name} has holes")
    numbers = table.column("sequence").to_numpy()
    if len(numbers) and (numbers[0] < 0 or numbers[-1] >= sequences or (np.diff(numbers) < 0).any()):
        raise ValueError("its rows are not in the order of sequences")


def _lists(column: pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if pa.types.is_fixed_size_list(column.type) else []


def damaged(file: Path, error: Exception, made_by: str = "lrnet extract") -> DatasetError:
    """The error for a file of a store that cannot be read."""
    return DatasetError(f"{file} is damaged ({error}).", hint=f"Delete it and run `{made_by}` again.")


def store_name(key: str) -> str:
    """The name of a video in a store: the end of its key, made safe, and a hash of the key."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(key).stem)[:60]
    return f"{safe}.{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def store_file(store: Path, record: VideoRecord) -> Path:
    """The file of a video in a store."""
    return store / f"{store_name(record.key)}.parquet"


def store_files(store: Path) -> list[Path]:
    """The landmark files of a folder, by name, without partial ones; none if it is no folder."""
    return sorted(p for p in store.glob("*.parquet") if not p.name.startswith(".")) if store.is_dir() else []


def require_store(store: Path) -> list[Path]:
    """The files of a store. Raises DatasetError if there are none."""
    if files := store_files(store):
        return files
    raise DatasetError(f"There is no landmark store at {store}.", hint="Make one with `lrnet extract`.")


def write(
    store: Path,
    record: VideoRecord,
    sequences: Sequence[LandmarkSequence],
    preprocessing: dict[str, Any],
    provenance: Provenance | None = None,
) -> Path:
    """Write one video's sequences, whole or not at all. Raises OutputError if the store cannot be written."""
    store.mkdir(parents=True, exist_ok=True)
    about = {
        "format": FORMAT,
        "record": _record_as_json(record),
        "preprocessing": preprocessing,
        "half_sides": [s.half_side for s in sequences],
        "looks": [_looks_as_json(s) for s in sequences],
        "frames": [len(s) for s in sequences],
        "provenance": asdict(provenance) if provenance else None,
    }
    tables = [_table(number, s) for number, s in enumerate(sequences)]
    table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    target = store_file(store, record)
    _write_table(target, table, about)
    return target


def relabel(stored: StoredVideo, record: VideoRecord) -> None:
    """Rewrite the dataset's fields of a video; its landmarks stay.

    Raises:
        DatasetError: the file is damaged. OutputError: it cannot be written.
    """
    try:
        table = pq.read_table(stored.file)
    except (pa.ArrowException, OSError) as error:
        raise damaged(stored.file, error) from error
    _write_table(stored.file, table, {**_metadata(stored.file, table.schema), "record": _record_as_json(record)})


def _write_table(target: Path, table: pa.Table, about: dict[str, Any]) -> None:
    table = table.replace_schema_metadata({"lrnet": json.dumps(about, sort_keys=True)})
    with written_beside(target) as partial:
        # Byte streams split and no dictionaries of numbers that never repeat: 1.6 kB a frame instead of 2.7.
        pq.write_table(
            table, partial, compression="zstd", use_dictionary=False, use_byte_stream_split=_floats(table.schema)
        )


def _record_as_json(record: VideoRecord) -> dict[str, Any]:
    return {**asdict(record), "path": str(record.path), "label": record.label.value}


def _floats(schema: pa.Schema) -> list[str]:
    """Names of the columns that hold fractions, as the Parquet writer wants them."""
    lists = {f.name: f.type.value_type for f in schema if pa.types.is_fixed_size_list(f.type)}
    return [
        f"{f.name}.list.element" if f.name in lists else f.name
        for f in schema
        if pa.types.is_floating(lists.get(f.name, f.type))
    ]


def _about(file: Path, schema: pa.Schema) -> About:
    try:
        about = About.model_validate_json(json.dumps(_metadata(file, schema)))
        if about.record.split not in ("", *SPLITS):
            raise ValueError(f"unknown split {about.record.split[:40]!r}")
        return about
    except ValidationError as error:
        raise damaged(file, ValueError(first_fault(error))) from error
    except ValueError as error:
        raise damaged(file, error) from error


def _metadata(file: Path, schema: pa.Schema) -> dict[str, Any]:
    try:
        about = parse_json((schema.metadata or {}).get(b"lrnet", b"{}"))
    except ValueError as error:
        raise damaged(file, error) from error
    if not isinstance(about, dict) or about.get("format") not in READABLE:
        raise DatasetError(
            f"{file} is no landmark file of a format that this version reads ({', '.join(map(str, READABLE))}).",
            hint="Extract it again, or read it with the version of lrnet that wrote it.",
        )
    return about


def _table(number: int, s: LandmarkSequence) -> pa.Table:
    n = len(s)
    columns = [("sequence", pa.array(np.full(n, number, np.int32))), ("face", pa.array(np.full(n, s.face, np.int32)))]
    for column in SEQUENCE_COLUMNS:
        rows = getattr(s, column.name)
        if rows is None:
            continue
        if column.per == "pair" and n:
            rows = np.concatenate([np.full((1, *column.shape), column.missing, rows.dtype), rows])
        columns.append((_stored_as(column), _flat(rows) if column.shape else pa.array(rows)))
    schema = pa.schema([FIELDS.get(name) or pa.field(name, values.type) for name, values in columns])
    return pa.table([values for _, values in columns], schema=schema)


def _flat(rows: np.ndarray) -> pa.Array:
    """(N, …) as N lists."""
    flat = pa.array(np.ascontiguousarray(rows).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, math.prod(rows.shape[1:]))


def _array(column: pa.ChunkedArray) -> np.ndarray:
    column = column.combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(column), column.type.list_size)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _looks_as_json(sequence: LandmarkSequence) -> dict[str, Any] | None:
    if sequence.looks is None or sequence.look_times is None:
        return None
    packed = base64.b64encode(sequence.looks.astype("<f2").tobytes()).decode()
    return {"times": sequence.look_times.tolist(), "looks": packed}


def _sequence(rows: dict[str, np.ndarray], half_side: float, looks: dict[str, np.ndarray]) -> LandmarkSequence:
    n = len(rows["time"])
    arrays: dict[str, Any] = {}
    for column in SEQUENCE_COLUMNS:
        count = n if column.per == "frame" else max(n - 1, 0)
        stored = rows.get(_stored_as(column))
        if stored is not None:
            arrays[column.name] = stored[n - count :].reshape(count, *column.shape)
        elif column.optional:
            arrays[column.name] = None
        else:  # not wanted: one value, broadcast
            nothing = column.dtype(False if column.dtype is np.bool_ else np.nan)
            arrays[column.name] = np.broadcast_to(nothing, (count, *column.shape))
    return LandmarkSequence(**arrays, half_side=half_side, face=int(rows["face"][0]) if n else 0, **looks)
