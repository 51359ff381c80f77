"""Landmark stores, their ledgers and training configurations: whatever stands in them, a result or a typed error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrnet.data.records import Label, VideoRecord
from lrnet.errors import DamagedVideoError
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.training.config import config_text, load_config
from tests.fuzz.kit import changed, fuzz, spoilt, typed_or_well

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from lrnet.data.store import files, ledger, verify  # noqa: E402
from lrnet.data.store import open as open_store  # noqa: E402

RECORD = VideoRecord(path=Path("a.mp4"), key="a", label=Label.FAKE, method="x", source="s", split="train", group="g")
PREPROCESSING = {"landmarker": "mesh", "landmarker_version": "1", "clip_length": 30}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    values = np.random.default_rng(0).normal(0, 0.3, (2, 4, 68, 2)).astype(np.float32)
    files.write(folder, RECORD, [LandmarkSequence.from_values(v) for v in values], PREPROCESSING)
    ledger.record_failure(folder, RECORD, DamagedVideoError("Broken.", hint="Mend it."))
    return folder


def read_through(store: Path) -> None:
    with typed_or_well():
        for video in open_store(store):
            for sequence in video.sequences():
                assert sequence.values.shape == (len(sequence), 68, 2)
    with typed_or_well():
        verify.verify(store)


@fuzz
@given(data=st.data())
def test_spoilt_files(data: st.DataObject, store: Path) -> None:
    file = files.store_file(store, RECORD)
    sound = file.read_bytes()
    try:
        file.write_bytes(data.draw(spoilt(sound)))
        read_through(store)
    finally:
        file.write_bytes(sound)


@fuzz
@given(data=st.data())
def test_odd_metadata(data: st.DataObject, store: Path) -> None:
    file = files.store_file(store, RECORD)
    sound = file.read_bytes()
    table = pq.read_table(file)
    about = json.loads(table.schema.metadata[b"lrnet"])
    odd = data.draw(changed(about).map(lambda a: json.dumps(a).encode()) | spoilt(json.dumps(about).encode()))
    try:
        pq.write_table(table.replace_schema_metadata({"lrnet": odd}), file)
        read_through(store)
    finally:
        file.write_bytes(sound)


@fuzz
@given(data=st.data())
def test_odd_columns(data: st.DataObject, store: Path) -> None:
    """Columns left out, of other types, with nulls, in another order; sequences numbered anyhow."""
    file = files.store_file(store, RECORD)
    sound = file.read_bytes()
    table = pq.read_table(file)
    name = data.draw(st.sampled_from(table.column_names))
    at = table.column_names.index(name)
    n = table.num_rows
    odd = data.draw(
        st.sampled_from(
            [
                None,
                pa.array([None] * n, pa.float32()),
                pa.array(["x"] * n),
                pa.array([-1] * n, pa.int32()),
                pa.array([2**31 - 1] * n, pa.int32()),
                pa.array([[1.0]] * n),
                pa.array([[1.0] * 136] * n, pa.list_(pa.float32(), 136)),
                pa.array([[]] * n, pa.list_(pa.float32())),
                pa.array(list(range(n))[::-1], pa.int32()),
                pa.array([float("nan")] * n, pa.float64()),
            ]
        )
    )
    changed = table.remove_column(at) if odd is None else table.set_column(at, name, odd)
    try:
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), file)
        read_through(store)
    finally:
        file.write_bytes(sound)


@fuzz
@given(data=st.data())
def test_spoilt_ledgers(data: st.DataObject, store: Path) -> None:
    place = next((store / ledger.FOLDER).glob("*.json"))
    sound = place.read_bytes()
    odd = data.draw(spoilt(sound) | changed(json.loads(sound)).map(lambda a: json.dumps(a).encode()))
    try:
        place.write_bytes(odd)
        with typed_or_well():
            for failure in ledger.failures(store):
                assert str(failure)
        with typed_or_well():
            ledger.failure_of(store, RECORD)
    finally:
        place.write_bytes(sound)


@pytest.mark.parametrize("name", ["default", "mesh-v2"])
@fuzz
@given(data=st.data())
def test_spoilt_configurations(name: str, data: st.DataObject, store: Path) -> None:
    path = store / "config.toml"
    path.write_bytes(data.draw(spoilt(config_text(name).encode())))
    with typed_or_well():
        load_config(path)
