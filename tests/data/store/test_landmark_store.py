"""Stores chosen from, verified and exported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lrnet.data import store
from lrnet.data.landmark_job import Provenance
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store.export import export
from lrnet.data.store.verify import verify
from lrnet.errors import DatasetError, OutputError
from lrnet.faces.landmark_files import read_landmarks
from lrnet.sequence.landmark_sequence import LandmarkSequence


def record(key: str, label: Label, method: str, split: str, group: str) -> VideoRecord:
    return VideoRecord(Path(key), key, label, method, "FaceForensics++", split, group, "c23")


def sequence(n: int, gap: int | None = None) -> LandmarkSequence:
    values = np.random.default_rng(n).uniform(-1, 1, (n, 68, 2)).astype(np.float32)
    if gap is not None:
        values[gap] = np.nan
    return LandmarkSequence.from_values(values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "store"
    for n, video in enumerate(
        (
            record("o/000.mp4", Label.REAL, "", "train", "ffpp-000-003"),
            record("d/000_003.mp4", Label.FAKE, "Deepfakes", "train", "ffpp-000-003"),
            record("f/720_672.mp4", Label.FAKE, "Face2Face", "val", "ffpp-672-720"),
        )
    ):
        store.write(out, video, [sequence(6 + n, gap=2)], {"crop": 400}, Provenance(sha256=str(n)))
    return out


def test_videos_are_chosen_by_what_the_dataset_says(folder: Path) -> None:
    opened = store.open(folder)
    assert len(opened) == 3
    assert {v.record.key for v in opened.select(split="train")} == {"o/000.mp4", "d/000_003.mp4"}
    assert {v.record.method for v in opened.select(method=("", "Face2Face"))} == {"", "Face2Face"}
    assert [v.record.key for v in opened.select(label=Label.FAKE, group="ffpp-672-720")] == ["f/720_672.mp4"]
    assert isinstance(opened[1:], store.LandmarkStore)
    with pytest.raises(DatasetError, match="no split 'test'"):
        opened.select(split="test")
    with pytest.raises(DatasetError, match="There is '', 'Deepfakes', 'Face2Face'"):
        opened.select(method="FaceSwap")


def test_a_split_that_leaks_cannot_be_asked_for(folder: Path) -> None:
    store.write(folder, record("x/003.mp4", Label.REAL, "", "test", "ffpp-000-003"), [sequence(4)], {"crop": 400})
    for split in ("train", "test"):
        with pytest.raises(DatasetError, match="ffpp-000-003"):
            store.open(folder).select(split=split)
    assert len(store.open(folder).select(split="val")) == 1


def test_columns_that_are_not_asked_for_take_no_memory(folder: Path) -> None:
    video = store.open(folder)[0]
    (whole,), (lean,) = video.sequences(), video.sequences(only=("values",))
    np.testing.assert_array_equal(lean.values, whole.values)
    np.testing.assert_array_equal(lean.valid, whole.valid)
    assert np.isnan(lean.detected).all()
    assert not lean.tracked.any()
    own = sum(
        a.nbytes if all(a.strides) else a.itemsize
        for a in (lean.values, lean.times, lean.valid, lean.frame_indices, lean.detected, lean.innovation)
    )
    assert own <= len(lean) * 561 + 8  # what docs/datasets.md says of a frame
    with pytest.raises(ValueError, match="no column depth"):
        video.sequences(only=("depth",))


def test_a_sound_store_verifies_and_a_spoilt_one_does_not(folder: Path) -> None:
    assert verify(folder) == (3, [])
    files = store.open(folder)
    files[0].file.rename(folder / "renamed.parquet")
    files[1].file.write_bytes(files[1].file.read_bytes()[:200])
    store.write(folder, record("y/1.mp4", Label.REAL, "", "train", "g"), [sequence(5)], {"crop": 300}, Provenance("2"))
    count, faults = verify(folder)
    assert count == 4
    text = "\n".join(faults)
    for expected in ("which belongs in", "is damaged", "other preprocessing", "holds the same bytes"):
        assert expected in text, text


def test_export_stays_inside_and_overwrites_nothing_of_its_own(tmp_path: Path) -> None:
    """Whatever a manifest called versions, and however many of its videos have the same name."""
    for key, version in (("a/000.mp4", ""), ("b/000.mp4", ""), ("c/001.mp4", "../../../away")):
        video = VideoRecord(Path(key), key, Label.REAL, "", "FaceForensics++", "train", key, version)
        store.write(tmp_path / "store", video, [sequence(5)], {"crop": 400})
    exported = export(tmp_path / "store", tmp_path / "deep" / "down" / "out", "txt")
    written = [p for p in tmp_path.rglob("*.txt") if p.is_relative_to(tmp_path / "deep" / "down" / "out")]
    assert exported.files == len(written) == len(list(tmp_path.rglob("*.txt"))) == 3


LEADING_AWAY = ("../../../away", "/tmp/away", "..", ".", "a/../../b", "a\\..\\b", "a\0b", "n" * 300)


@pytest.mark.parametrize("form", ["txt", "npz"])
@pytest.mark.parametrize("field", ["key", "method", "source", "split", "group", "compression", "path", "url"])
@pytest.mark.parametrize("source", ["FaceForensics++", "elsewhere"])
def test_no_field_of_a_record_leads_out_of_the_exports_folder(
    tmp_path: Path, form: str, field: str, source: str
) -> None:
    """As they stand in a stranger's file: the label is one of two words, all others are free."""
    plain = VideoRecord(Path("v.mp4"), "000.mp4", Label.FAKE, "Deepfakes", source, "train", "g")
    for number, word in enumerate(LEADING_AWAY):
        place, out = tmp_path / f"store{number}", tmp_path / f"deep{number}" / "out"
        file = store.write(place, plain, [sequence(5)], {"crop": 400})
        table = pq.read_table(file)
        about = json.loads(table.schema.metadata[b"lrnet"])
        about["record"][field] = word
        pq.write_table(table.replace_schema_metadata({"lrnet": json.dumps(about)}), file)
        before = set(tmp_path.rglob("*")) | {out, out.parent}
        try:
            export(place, out, form)
        except DatasetError:
            assert field == "split"  # no store has such a split
        else:
            assert field != "split"
            assert len([p for p in out.rglob("*") if p.is_file()]) == 1
        assert all(p.is_relative_to(out) for p in set(tmp_path.rglob("*")) - before)
        assert not Path("/tmp/away").exists()


def test_the_released_text_format(folder: Path, tmp_path: Path) -> None:
    exported = export(folder, tmp_path / "out", "txt")
    names = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.txt")}
    assert names == {"Origin/c23/train/000.txt", "DF/c23/train/000_003.txt", "F2F/c23/val/720_672.txt"}
    assert (exported.files, exported.videos, exported.left_out) == (3, 3, ())
    lines = (tmp_path / "out/Origin/c23/train/000.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [136] * 5  # six frames, one of them a gap
    (real,) = [v for v in store.open(folder) if v.record.label is Label.REAL]
    (stored,) = real.sequences()
    table = read_landmarks(tmp_path / "out/Origin/c23/train/000.txt")
    assert table.units == "normalised"
    np.testing.assert_allclose(table.points, stored.values[stored.valid], atol=1e-6)


def test_npz_holds_every_field(folder: Path, tmp_path: Path) -> None:
    export(folder, tmp_path / "out", "npz")
    video = store.open(folder)[0]
    with np.load(tmp_path / "out" / f"{video.file.stem}.npz") as arrays:
        np.testing.assert_array_equal(arrays["0/values"], video.sequences()[0].values)
        assert video.record.key in str(arrays["record"])


def test_nothing_is_overwritten_by_an_export(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(OutputError, match="not empty"):
        export(folder, tmp_path / "out", "txt")
    with pytest.raises(DatasetError, match="no format 'xml'"):
        export(folder, tmp_path / "new", "xml")
