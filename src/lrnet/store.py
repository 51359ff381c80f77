"""Landmark sequences on disk: one Parquet file a video, written beside and renamed.

A row is a frame of one sequence; arrays lie flat in fixed-size lists (x and y in turn). What holds for the whole file
(the record, the preprocessing, half_side of each sequence) stands as JSON in the schema's metadata under `lrnet`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lrnet.datasets.records import Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.features import NUM_LANDMARKS, LandmarkSequence
from lrnet.files import written_beside

FORMAT: Final = 1
_POINTS: Final = 2 * NUM_LANDMARKS

SCHEMA: Final = pa.schema(
    [
        ("sequence", pa.int32()),
        ("face", pa.int32()),
        ("frame_index", pa.int64()),
        ("time", pa.float64()),  # seconds
        ("valid", pa.bool_()),
        ("confidence", pa.float32()),
        ("centre", pa.list_(pa.float32(), 2)),  # frame pixels
        ("values", pa.list_(pa.float32(), _POINTS)),
        ("detected", pa.list_(pa.float32(), _POINTS)),
        ("innovation", pa.list_(pa.float32(), _POINTS)),  # NaN in a sequence's first row
        ("forward_backward_error", pa.list_(pa.float32(), NUM_LANDMARKS)),  # likewise
        ("tracked", pa.list_(pa.bool_(), NUM_LANDMARKS)),
    ]
)


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """What a store knows of one video.

    Attributes:
        file: the Parquet file.
        record: the dataset's word on it; `record.path` is where the video was when it was read.
        preprocessing: how its landmarks were made, as the bundle's schema writes it.
    """

    file: Path
    record: VideoRecord
    preprocessing: dict[str, Any]

    def sequences(self) -> list[LandmarkSequence]:
        """Its sequences, in order."""
        table = pq.read_table(self.file)
        halves = _metadata(self.file, table.schema)["half_sides"]
        column = {name: _array(table.column(name)) for name in table.column_names}
        found = []
        for number, half in enumerate(halves):
            rows = np.flatnonzero(column["sequence"] == number)
            found.append(_sequence({name: values[rows] for name, values in column.items()}, half))
        return found


def store_file(store: Path, record: VideoRecord) -> Path:
    """Where a store keeps a video: its name, made safe, and enough of a hash of its key to be unique."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(record.key).stem)[:60]
    return store / f"{safe}.{hashlib.sha256(record.key.encode()).hexdigest()[:12]}.parquet"


def write(
    store: Path, record: VideoRecord, sequences: Sequence[LandmarkSequence], preprocessing: dict[str, Any]
) -> Path:
    """Write one video's sequences, whole or not at all.

    Raises:
        OutputError: the store cannot be written.
    """
    store.mkdir(parents=True, exist_ok=True)
    about = {
        "format": FORMAT,
        "record": {
            "path": str(record.path),
            "key": record.key,
            "label": record.label.value,
            "method": record.method,
            "source": record.source,
            "split": record.split,
            "group": record.group,
        },
        "preprocessing": preprocessing,
        "half_sides": [s.half_side for s in sequences],
    }
    tables = [_table(number, s) for number, s in enumerate(sequences)]
    table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    table = table.replace_schema_metadata({"lrnet": json.dumps(about, sort_keys=True)})
    target = store_file(store, record)
    with written_beside(target) as partial:
        pq.write_table(table, partial, compression="zstd")
    return target


def read(store: Path) -> list[StoredVideo]:
    """Every video of a store, by name; landmarks are read when asked for.

    Raises:
        DatasetError: there is no store, it is empty, a file is damaged, or files were made by different preprocessing.
    """
    files = sorted(store.glob("*.parquet")) if store.is_dir() else []
    if not files:
        raise DatasetError(f"There is no landmark store at {store}.", hint="Make one with `lrnet extract`.")
    videos = []
    for file in files:
        try:
            about = _metadata(file, pq.read_schema(file))
        except (pa.ArrowInvalid, OSError) as error:
            raise DatasetError(
                f"{file} is damaged ({error}).", hint="Delete it and run `lrnet extract` again."
            ) from error
        record = about["record"]
        videos.append(
            StoredVideo(
                file,
                VideoRecord(**{**record, "path": Path(record["path"]), "label": Label(record["label"])}),
                about["preprocessing"],
            )
        )
    first = videos[0]
    for video in videos:
        if video.preprocessing != first.preprocessing:
            raise DatasetError(
                f"{video.file.name} and {first.file.name} were made by different preprocessing.",
                hint="Extract into an empty folder.",
            )
    return videos


def iterate(videos: Sequence[StoredVideo]) -> Iterator[tuple[StoredVideo, list[LandmarkSequence]]]:
    """Each video with its sequences, read one at a time."""
    for video in videos:
        yield video, video.sequences()


def _metadata(file: Path, schema: pa.Schema) -> dict[str, Any]:
    raw = (schema.metadata or {}).get(b"lrnet")
    about: dict[str, Any] = json.loads(raw) if raw else {}
    if about.get("format") != FORMAT:
        raise DatasetError(f"{file} is no landmark file of format {FORMAT}.", hint="Extract it again.")
    return about


def _table(number: int, s: LandmarkSequence) -> pa.Table:
    n = len(s)

    def flat(rows: np.ndarray, first: object = None) -> pa.Array:
        if first is not None and n:
            rows = np.concatenate([np.full((1, *rows.shape[1:]), first, rows.dtype), rows])
        width = int(np.prod(rows.shape[1:]))
        return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).ravel()), width)

    return pa.table(
        [
            pa.array(np.full(n, number, np.int32)),
            pa.array(np.full(n, s.face, np.int32)),
            pa.array(s.frame_indices),
            pa.array(s.times),
            pa.array(s.valid),
            pa.array(s.confidence),
            flat(s.centres),
            flat(s.values),
            flat(s.detected),
            flat(s.innovation, np.nan),
            flat(s.forward_backward_error, np.nan),
            flat(s.tracked, False),
        ],
        schema=SCHEMA,
    )


def _array(column: pa.ChunkedArray) -> np.ndarray:
    column = column.combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        flat = column.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat).reshape(len(column), column.type.list_size)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _sequence(rows: dict[str, np.ndarray], half_side: float) -> LandmarkSequence:
    def points(name: str) -> np.ndarray:
        return rows[name].reshape(-1, NUM_LANDMARKS, 2)

    return LandmarkSequence(
        values=points("values"),
        detected=points("detected"),
        times=rows["time"],
        valid=rows["valid"],
        confidence=rows["confidence"],
        forward_backward_error=rows["forward_backward_error"][1:],
        innovation=points("innovation")[1:],
        tracked=rows["tracked"][1:],
        frame_indices=rows["frame_index"],
        centres=rows["centre"],
        half_side=half_side,
        face=int(rows["face"][0]) if len(rows["face"]) else 0,
    )
