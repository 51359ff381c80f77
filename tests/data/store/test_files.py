"""What is written is what is read."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lrnet.data import store
from lrnet.data.records import Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.faces.look import LOOK_SIZE
from lrnet.sequence.landmark_sequence import LandmarkSequence


def record(key: str = "a/b ü.mp4") -> VideoRecord:
    return VideoRecord(Path("/videos") / key, key, Label.FAKE, "Deepfakes", "FF++", "train", "g1")


def sequence(n: int, face: int = 0) -> LandmarkSequence:
    rng = np.random.default_rng(n)
    values = rng.normal(size=(n, 68, 2)).astype(np.float32)
    values[n // 2] = np.nan
    return LandmarkSequence(
        values=values,
        detected=values + 1,
        times=np.arange(n) / 30,
        valid=np.isfinite(values[:, 0, 0]),
        confidence=rng.uniform(size=n).astype(np.float32),
        forward_backward_error=rng.uniform(size=(n - 1, 68)).astype(np.float32),
        innovation=rng.normal(size=(n - 1, 68, 2)).astype(np.float32),
        tracked=rng.uniform(size=(n - 1, 68)) > 0.2,
        frame_indices=np.arange(n) * 2,
        centres=rng.normal(size=(n, 2)).astype(np.float32),
        half_side=123.4,
        face=face,
    )


def surround_error(n: int) -> NDArray[np.float32]:
    return np.random.default_rng(n).uniform(size=(n - 1, 42)).astype(np.float32)


@pytest.mark.parametrize("around", [False, True])
def test_round_trip(tmp_path: Path, around: bool) -> None:
    written = [sequence(10), sequence(7, face=1), sequence(1, face=2)]
    if around:
        written = [dataclasses.replace(s, surround_error=surround_error(len(s))) for s in written]
    store.write(tmp_path, record(), written, {"crop": 400})
    (video,) = store.open(tmp_path)
    assert video.record == record()
    assert video.preprocessing == {"crop": 400}
    for before, after in zip(written, video.sequences(), strict=True):
        for field in dataclasses.fields(LandmarkSequence):
            np.testing.assert_array_equal(getattr(after, field.name), getattr(before, field.name), field.name)
            if isinstance(getattr(before, field.name), np.ndarray):
                assert getattr(after, field.name).dtype == getattr(before, field.name).dtype


def test_what_surrounds_a_face_can_be_left_out(tmp_path: Path) -> None:
    written = dataclasses.replace(sequence(10), surround_error=surround_error(10))
    store.write(tmp_path, record(), [written], {})
    video = store.open(tmp_path)[0]
    assert video.sequences(only=("values",))[0].surround_error is None
    (kept,) = video.sequences(only=("surround_error",))
    np.testing.assert_array_equal(kept.surround_error, written.surround_error)


def test_a_video_without_a_face_is_remembered(tmp_path: Path) -> None:
    store.write(tmp_path, record(), [], {})
    assert store.open(tmp_path)[0].sequences() == []


def test_names_do_not_collide_and_stay_inside(tmp_path: Path) -> None:
    keys = ["a/v.mp4", "b/v.mp4", "../v.mp4", "v\n.mp4", "x" * 300]
    files = {store.store_file(tmp_path, record(k)) for k in keys}
    assert len(files) == len(keys)
    assert all(f.parent == tmp_path and f.name.isascii() for f in files)


def test_faults_of_a_store_are_typed(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no landmark store"):
        store.open(tmp_path / "none")
    path = store.write(tmp_path, record(), [sequence(5)], {"crop": 400})
    store.write(tmp_path, record("other.mp4"), [sequence(5)], {"crop": 200})
    with pytest.raises(DatasetError, match="different preprocessing"):
        store.open(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DatasetError, match="damaged"):
        store.open(tmp_path)


def test_looks_are_kept_and_read_only_where_asked_for(tmp_path: Path) -> None:
    looks = np.random.default_rng(0).normal(size=(3, LOOK_SIZE)).astype(np.float16).astype(np.float32)
    with_looks = dataclasses.replace(sequence(10), looks=looks, look_times=np.array([0, 4, 9]) / 30)
    store.write(tmp_path, record(), [with_looks, sequence(7, face=1)], {})
    video = store.open(tmp_path)[0]
    assert all(s.looks is None and s.look_times is None for s in video.sequences(only=("values",)))
    first, second = video.sequences()
    np.testing.assert_array_equal(first.looks, looks)
    np.testing.assert_array_equal(first.look_times, with_looks.look_times)
    assert second.looks is None


def test_a_file_is_the_same_as_in_earlier_versions(tmp_path: Path) -> None:
    """Order and types of the columns: other programs read them, too."""
    store.write(tmp_path, record(), [dataclasses.replace(sequence(10), surround_error=surround_error(10))], {})
    (path,) = tmp_path.glob("*.parquet")
    schema = pq.read_schema(path)
    assert schema.names == [
        *("sequence", "face", "frame_index", "time", "valid", "confidence", "centre", "values", "detected"),
        *("innovation", "forward_backward_error", "tracked", "surround_error"),
    ]
    widths = {f.name: f.type.list_size for f in schema if pa.types.is_fixed_size_list(f.type)}
    assert widths == {
        **{"centre": 2, "values": 136, "detected": 136, "innovation": 136},
        **{"forward_backward_error": 68, "tracked": 68, "surround_error": 42},
    }
    assert str(schema.field("frame_index").type) == "int64"
    assert str(schema.field("time").type) == "double"
