"""Manifests: CSV and JSON, their faults, and back again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrnet.data import IssueKind, Label, open_dataset, read_manifest, write_manifest
from lrnet.errors import DatasetError
from tests.data import trees


def manifest(tmp_path: Path, text: str, name: str = "list.csv") -> Path:
    for video in ("a.mp4", "b.mp4"):
        (tmp_path / video).write_text(video)
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table(tmp_path: Path) -> None:
    table = manifest(tmp_path, "path,label,group,extra\na.mp4,real,anna,1\nb.mp4,FAKE,,2\n")
    a, b = read_manifest(table)
    assert (a.label, a.group, a.split) == (Label.REAL, "anna", "")
    assert (b.label, b.group) == (Label.FAKE, "b.mp4")


def test_people_make_groups(tmp_path: Path) -> None:
    a, b = read_manifest(manifest(tmp_path, "path,label,identities\na.mp4,real,anna\nb.mp4,fake,anna; ben\n"))
    assert a.group == b.group == "anna"
    assert b.identities == ("anna", "ben")


def test_groups_that_share_people_are_joined(tmp_path: Path) -> None:
    """Else cross-validation over groups would train on ben and test on him."""
    text = "path,label,group,identities\na.mp4,real,first,anna;ben\nb.mp4,fake,second,ben\n"
    assert {r.group for r in read_manifest(manifest(tmp_path, text))} == {"first"}


def test_json_says_the_same_as_csv(tmp_path: Path) -> None:
    rows = [
        {"path": "a.mp4", "label": "real", "split": "train", "identities": ["anna"]},
        {"path": "b.mp4", "label": "fake", "method": "swap", "split": "train", "identities": ["anna", "ben"]},
    ]
    plain = manifest(tmp_path, json.dumps(rows), "list.json")
    nested = manifest(tmp_path, json.dumps({"videos": rows}), "nested.json")
    table = manifest(
        tmp_path, "path,label,method,split,identities\na.mp4,real,,train,anna\nb.mp4,fake,swap,train,ben;anna\n"
    )
    expected = [(r.key, r.label, r.method, r.group) for r in read_manifest(table)]
    for path in (plain, nested):
        assert [(r.key, r.label, r.method, r.group) for r in read_manifest(path)] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.mp4,real\n", "no column path"),
        ("path,label\n", "names no video"),
        ("path,label\na.mp4,perhaps\n", "line 2: unknown label .*'perhaps' is neither"),
        ("path,label\na.mp4,real\na.mp4,fake\n", r"line 3: named twice \(a.mp4\)"),
        ("path,label\nc.mp4,real\n", "line 2: no such file"),
        ("path,label\n\n\na.mp4,real\nc.mp4,fake\n", "line 5: no such file"),
        ("path,label\n,real\n", "line 2: .*no path"),
        ("path,label,split\na.mp4,real,dev\n", "line 2: .*split 'dev'"),
        ("path,label,split,group\na.mp4,real,train,g\nb.mp4,real,test,g\n", "g: identity in two splits"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_manifest(manifest(tmp_path, text))


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"videos": 3}', '"a.mp4"'])
def test_what_is_no_json_manifest_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DatasetError, match="cannot be read as a manifest"):
        open_dataset(manifest(tmp_path, text, "list.json"))


def test_good_lines_are_read_though_others_are_bad(tmp_path: Path) -> None:
    dataset = open_dataset(manifest(tmp_path, "path,label\na.mp4,real\nc.mp4,fake\nb.mp4,odd\n"))
    assert [r.key for r in dataset.records] == ["a.mp4"]
    assert [i.kind for i in dataset.issues] == [IssueKind.MISSING, IssueKind.LABEL]


def test_addresses_are_kept_whole(tmp_path: Path) -> None:
    (record,) = read_manifest(manifest(tmp_path, "path,label\ns3://bucket/folder/v.mp4,fake\n"))
    assert (record.url, record.key, record.path) == (
        "s3://bucket/folder/v.mp4",
        "s3://bucket/folder/v.mp4",
        Path("v.mp4"),
    )


def test_a_dataset_written_as_a_manifest_is_the_same_dataset(tmp_path: Path) -> None:
    dataset = open_dataset(trees.celeb_df(tmp_path / "Celeb-DF-v2"))
    write_manifest(tmp_path / "celeb.csv", dataset)
    again = open_dataset(tmp_path / "celeb.csv")

    def content(records: object) -> set[tuple[object, ...]]:
        return {
            (r.path.resolve(), r.label, r.method, r.source, r.split, r.group, r.identities)
            for r in records  # type: ignore[attr-defined]
        }

    assert content(again.records) == content(dataset.records)
