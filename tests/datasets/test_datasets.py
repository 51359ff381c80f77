"""Reading datasets, and refusing what would spoil a measurement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrnet.datasets import Label, VideoRecord, read_faceforensics, read_manifest, require_disjoint_groups
from lrnet.errors import DatasetError


def tree(root: Path) -> Path:
    """A tiny FaceForensics++ in the official layout."""
    names = {
        "original_sequences/youtube": ["000", "003", "183"],
        "manipulated_sequences/Deepfakes": ["000_003", "003_000"],
        "manipulated_sequences/NeuralTextures": ["183_253"],
    }
    for folder, stems in names.items():
        videos = root / folder / "c23" / "videos"
        videos.mkdir(parents=True)
        for stem in stems:
            (videos / f"{stem}.mp4").touch()
    (root / "splits").mkdir()
    for split, pairs in {"train": [["000", "003"]], "val": [["183", "253"]], "test": []}.items():
        (root / "splits" / f"{split}.json").write_text(json.dumps(pairs))
    return root


def test_faceforensics_in_its_official_layout(tmp_path: Path) -> None:
    records = {Path(r.key).stem: r for r in read_faceforensics(tree(tmp_path))}
    assert set(records) == {"000", "003", "183", "000_003", "003_000", "183_253"}
    fake = records["000_003"]
    assert (fake.label, fake.method, fake.split, fake.group) == (Label.FAKE, "Deepfakes", "train", "ffpp-000-003")
    assert records["003"].group == fake.group
    assert (records["183"].label, records["183"].split) == (Label.REAL, "val")
    require_disjoint_groups(records.values())


def test_the_shared_clips_are_what_their_table_says(shared: Path) -> None:
    import csv

    root = shared / "data" / "ffpp"
    with (root / "manifest.csv").open(newline="") as file:
        expected = {row["path"]: (row["label"], row["split"]) for row in csv.DictReader(file)}
    found = {r.key: (r.label.value, r.split) for r in read_faceforensics(root)}
    assert found == expected


def test_other_compression_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no c40 video"):
        read_faceforensics(tree(tmp_path), "c40")


def manifest(tmp_path: Path, text: str) -> Path:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest(tmp_path: Path) -> None:
    table = manifest(tmp_path, "path,label,group,extra\na.mp4,real,anna,1\nb.mp4,FAKE,,2\n")
    a, b = read_manifest(table)
    assert (a.label, a.group, a.split) == (Label.REAL, "anna", "")
    assert (b.label, b.group) == (Label.FAKE, "b.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.mp4,real\n", "no column path"),
        ("path,label\na.mp4,perhaps\n", "line 2: label 'perhaps'"),
        ("path,label\na.mp4,real\na.mp4,fake\n", "line 3: a.mp4 is named twice"),
        ("path,label\nc.mp4,real\n", "line 2: there is no file"),
    ],
)
def test_faults_of_a_manifest_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_manifest(manifest(tmp_path, text))


def test_a_person_on_both_sides_of_a_split_is_refused() -> None:
    records = [
        VideoRecord(Path("x"), k, Label.REAL, "", "s", split, "anna") for k, split in (("1", "train"), ("2", "test"))
    ]
    with pytest.raises(DatasetError, match="anna"):
        require_disjoint_groups(records)
