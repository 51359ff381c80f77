"""What fuzzing and thinking about it brought out, one test each: every one of these was no typed error once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrnet.data.layouts import open_dataset
from lrnet.data.manifest import read_collected
from lrnet.errors import DatasetError, SequenceError, TrainingError
from lrnet.faces import landmark_files, landmark_text
from lrnet.faces.landmark_files import read_landmarks
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.training.config import load_config
from tests.data import trees

DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,label\na.mp4,real\n", "no column source"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"name,label,source,method,person\n" + b"a" * 140_000 + b",real,s,,p\n", "cannot be read"),
        (b"name,label,source,method,person\na.mp4,neither,s,,p\n", "holds no video"),
        (b"name,label,source,method,person\na.mp4,real\n", "holds no video"),
        (b"name,label,source,method,person\n,real,s,,p\n", "holds no video"),
        (b"name,label,source,method,person\n" + b"a" * 5000 + b",real,s,,p\n", "holds no video"),
    ],
    ids=["columns missing", "no text", "long cell", "odd label", "short row", "no name", "long name"],
)
def test_collections(content: bytes, message: str, tmp_path: Path) -> None:
    trees.touch(tmp_path, "a.mp4")
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_collected(tmp_path / "table.csv", tmp_path)


@pytest.mark.parametrize("name", ["a" * 5000 + ".mp4", "a\x00.mp4", "\ud800.mp4"])
def test_manifests_of_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps([{"path": name, "label": "real"}]))
    dataset = open_dataset(tmp_path / "table.json")
    assert [issue.kind.name for issue in dataset.issues] == ["MISSING"]


def test_names_that_cannot_be_printed(tmp_path: Path) -> None:
    """Neither half of a surrogate pair ends the command with a trace, nor does a name move the terminal's cursor."""
    rows = [{"path": "\ud800.mp4", "label": "real"}, {"path": "\x1b[2J.mp4", "label": "\x1b[2J"}]
    (tmp_path / "table.json").write_text(json.dumps(rows))
    command = [sys.executable, "-m", "lrnet", "datasets", "check", str(tmp_path / "table.json")]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == DatasetError.exit_code
    assert b"Traceback" not in done.stderr
    assert b"\x1b[2J" not in done.stdout + done.stderr
    assert rb"\ud800.mp4" in done.stdout
    missing = [sys.executable, "-m", "lrnet", "datasets", "check", str(tmp_path / "\x1b[2J\udcff.csv")]
    done = subprocess.run(missing, capture_output=True, timeout=60)
    assert done.returncode == DatasetError.exit_code
    assert b"Traceback" not in done.stderr
    assert b"\x1b[2J" not in done.stderr


def test_manifest_that_nests_deep(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(DEEP)
    with pytest.raises(DatasetError, match="nests too deep"):
        open_dataset(tmp_path / "table.json")


def test_lists_that_nest_deep(tmp_path: Path) -> None:
    trees.faceforensics(tmp_path / "ff")
    (tmp_path / "ff" / "splits" / "train.json").write_text(DEEP)
    with pytest.raises(DatasetError, match="nests too deep"):
        open_dataset(tmp_path / "ff")
    trees.dfdc(tmp_path / "dfdc")
    (tmp_path / "dfdc" / "dfdc_train_part_1" / "metadata.json").write_text(DEEP)
    with pytest.raises(DatasetError, match="nests too deep"):
        open_dataset(tmp_path / "dfdc")


@pytest.mark.parametrize("content", [b"filename,label\n\x80", b"filename,label\n" + b"a" * 140_000 + b",1\n"])
def test_labels_of_dfdc_that_are_no_table(content: bytes, tmp_path: Path) -> None:
    trees.touch(tmp_path, "videos/aaa.mp4")
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match="is no CSV"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("value", ["[" * 5000, "9" * 5000, "2026-99-99"])
def test_configurations_that_are_none(value: str, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(f"a = {value}")
    with pytest.raises(TrainingError, match="is no TOML"):
        load_config(tmp_path / "odd.toml")


def test_archive_that_unpacks_to_far_more_than_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, landmarks=np.zeros((20_000, 136)), other=np.zeros(10**6))
    assert path.stat().st_size < 2**16
    read = np.lib.npyio.NpzFile.__getitem__
    unpacked: list[str] = []
    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", lambda self, key: unpacked.append(key) or read(self, key))
    assert len(read_landmarks(path)) == 20_000
    assert unpacked == ["landmarks"]
    monkeypatch.setattr(landmark_text, "MOST_ROWS", 10_000)
    with pytest.raises(SequenceError, match="over 10000 rows"):
        read_landmarks(path)
    assert unpacked == ["landmarks"]


@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_line_without_an_end(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"endless{suffix}"
    path.write_text("0 " * 2**20)
    with pytest.raises(SequenceError, match="has a line of over"):
        read_landmarks(path)


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".npy", ".npz", ".parquet"])
def test_more_rows_than_memory(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / f"long{suffix}"
    landmark_files.write_landmarks(path, landmark_files.LandmarkTable.from_points(np.ones((6, 68, 2))))
    monkeypatch.setattr(landmark_text, "MOST_ROWS", 5)
    with pytest.raises(SequenceError, match="over 5 rows"):
        read_landmarks(path)


# Stores


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """The one file of a store."""
    pytest.importorskip("pyarrow")
    from lrnet.data.records import Label, VideoRecord
    from lrnet.data.store import files

    record = VideoRecord(
        path=Path("a.mp4"), key="a", label=Label.FAKE, method="x", source="s", split="train", group="g"
    )
    sequence = LandmarkSequence.from_values(np.zeros((4, 68, 2), np.float32))
    return files.write(tmp_path, record, [sequence, sequence], {"landmarker": "mesh"})


ODD_METADATA = {
    "no text": b"\xff",
    "deep": DEEP.encode(),
    "a list": b"[]",
    "nothing else": b'{"format": 2}',
    "a record that is none": b'{"format": 2, "record": [], "preprocessing": {}, "half_sides": []}',
    "another label": None,
    "a path that is a number": None,
    "sizes that are none": None,
    "a preprocessing that is none": None,
    "fewer sequences": None,
}
CHANGES = {
    "another label": {"record": {"label": "neither"}},
    "a path that is a number": {"record": {"path": 1}},
    "sizes that are none": {"half_sides": ["a", "b"]},
    "a preprocessing that is none": {"preprocessing": 3},
    "fewer sequences": {"half_sides": [1.0]},
}


@pytest.mark.parametrize("name", ODD_METADATA)
def test_stores_with_odd_metadata(name: str, stored: Path) -> None:
    import pyarrow.parquet as pq

    from lrnet.data.store import StoredVideo

    table = pq.read_table(stored)
    content = ODD_METADATA[name]
    if content is None:
        about = json.loads(table.schema.metadata[b"lrnet"])
        for key, value in CHANGES[name].items():
            about[key] = {**about[key], **value} if isinstance(value, dict) else value
        content = json.dumps(about).encode()
    pq.write_table(table.replace_schema_metadata({"lrnet": content}), stored)
    with pytest.raises(DatasetError, match=r"is damaged|no landmark file"):
        StoredVideo.of(stored).sequences()


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("sequence", "int32", None),
        ("sequence", "int32", -1),
        ("sequence", "int32", 7),
        ("time", "string", "x"),
        ("valid", "float64", 1.0),
        ("confidence", "float32", None),
        ("values", "list", [1.0]),
        ("frame_index", None, None),
    ],
)
def test_stores_with_odd_columns(column: str, kind: str | None, value: object, stored: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lrnet.data.store import StoredVideo

    table = pq.read_table(stored)
    at = table.column_names.index(column)
    odd = table.remove_column(at)
    if kind is not None:
        type_ = pa.list_(pa.float32()) if kind == "list" else getattr(pa, kind)()
        odd = odd.add_column(at, column, pa.array([value] * len(table), type_))
    pq.write_table(odd.replace_schema_metadata(table.schema.metadata), stored)
    with pytest.raises(DatasetError, match="is damaged"):
        StoredVideo.of(stored).sequences()


def test_small_file_that_claims_a_hundred_million_frames(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    from lrnet.data.store import StoredVideo, files

    monkeypatch.setattr(files, "FREE_ROWS", -(stored.stat().st_size // files.LEAST_ROW) + 7)
    video = StoredVideo.of(stored)
    monkeypatch.setattr(pq, "read_table", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DatasetError, match="claims 8 frames"):
        video.sequences()


@pytest.mark.parametrize(
    "content",
    [DEEP, "3", '{"key": 1}', '{"key":1,"path":"","error":"","exit_code":1,"what":"","hint":"","size":0}'],
)
def test_ledger_entries_that_are_none(content: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    from lrnet.data.store import ledger

    (tmp_path / ledger.FOLDER).mkdir()
    (tmp_path / ledger.FOLDER / "a.json").write_text(content)
    with pytest.raises(DatasetError, match="is damaged"):
        ledger.failures(tmp_path)
