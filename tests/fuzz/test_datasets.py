"""Manifests and the lists of published datasets: whatever stands in them, a dataset or a `DatasetError`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrnet.data.layouts import open_dataset
from lrnet.data.manifest import read_collected, read_manifest
from tests.data import trees
from tests.fuzz.kit import changed, fuzz, spoilt, typed_or_well

ROWS = [
    {"path": "a.mp4", "label": "real", "split": "train", "identities": ["p", "q"], "group": ""},
    {"path": "b.mp4", "label": "fake", "split": "test", "method": "x", "source": "s", "compression": "c23"},
]
CSV = b"path,label,method,source,split,group,identities\na.mp4,real,,s,train,,p;q\nb.mp4,fake,x,s,test,,\n"
COLLECTED = b"name,label,source,method,person\na.mp4,real,s,,p\nb.mp4,fake,s,x,q\n"

LISTS = {
    "faceforensics": "splits/train.json",
    "celeb_df": "List_of_testing_videos.txt",
    "deeper_forensics": "lists/splits/train.txt",
    "dfdc": "dfdc_train_part_0/metadata.json",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fuzz")
    trees.touch(root, "a.mp4", "b.mp4")
    return root


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@fuzz
@given(data=st.data())
def test_spoilt_manifests(suffix: str, data: st.DataObject, folder: Path) -> None:
    table = folder / f"table{suffix}"
    table.write_bytes(data.draw(spoilt(CSV if suffix == ".csv" else json.dumps(ROWS).encode())))
    with typed_or_well():
        open_dataset(table)
    with typed_or_well():
        read_manifest(table)


@fuzz
@given(rows=changed({"videos": ROWS}) | changed(ROWS))
def test_odd_manifests(rows: object, folder: Path) -> None:
    table = folder / "odd.json"
    table.write_text(json.dumps(rows))
    with typed_or_well():
        open_dataset(table)


@fuzz
@given(content=spoilt(COLLECTED))
def test_spoilt_collections(content: bytes, folder: Path) -> None:
    table = folder / "collected.csv"
    table.write_bytes(content)
    with typed_or_well():
        read_collected(table, folder)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: getattr(trees, name)(tmp_path_factory.mktemp(name)) for name in LISTS}


@pytest.mark.parametrize("name", LISTS)
@fuzz
@given(data=st.data())
def test_spoilt_lists(name: str, data: st.DataObject, layouts: dict[str, Path]) -> None:
    place = layouts[name] / LISTS[name]
    sound = place.read_bytes()
    try:
        place.write_bytes(data.draw(spoilt(sound)))
        with typed_or_well():
            open_dataset(layouts[name])
    finally:
        place.write_bytes(sound)


@pytest.mark.parametrize("name", ["faceforensics", "dfdc"])
@fuzz
@given(data=st.data())
def test_odd_lists(name: str, data: st.DataObject, layouts: dict[str, Path]) -> None:
    place = layouts[name] / LISTS[name]
    sound = place.read_bytes()
    try:
        place.write_text(json.dumps(data.draw(changed(json.loads(sound)))))
        with typed_or_well():
            open_dataset(layouts[name])
    finally:
        place.write_bytes(sound)


@fuzz
@given(content=spoilt(b"filename,label\naaa.mp4,1\nbbb.mp4,0\n"))
def test_spoilt_labels_of_dfdc(content: bytes, tmp_path_factory: pytest.TempPathFactory, folder: Path) -> None:
    (folder / "labels").mkdir(exist_ok=True)
    trees.touch(folder / "labels", "videos/aaa.mp4", "videos/bbb.mp4")
    (folder / "labels" / "labels.csv").write_bytes(content)
    with typed_or_well():
        open_dataset(folder / "labels")
