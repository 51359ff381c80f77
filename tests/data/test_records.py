"""Groups and splits: nobody is on both sides of a measurement."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrnet.data import Label, VideoRecord, find_copies
from lrnet.data.dataset import IssueKind
from lrnet.data.records import find_leaks, identity_groups, joined_groups, of_split
from lrnet.errors import DatasetError


def record(key: str, split: str, group: str, *identities: str) -> VideoRecord:
    return VideoRecord(Path(key), key, Label.REAL, "", "s", split, group, identities=identities)


def test_a_group_on_both_sides_of_a_split_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"anna is in split 'train' \(1\) and in split 'test' \(2\)"):
        of_split([record("1", "train", "anna"), record("2", "test", "anna")], "test")


def test_a_person_in_two_groups_leaks_too() -> None:
    records = [record("1", "train", "g1", "anna", "ben"), record("2", "test", "g2", "ben")]
    (leak,) = find_leaks(records)
    assert leak.who == "ben"
    with pytest.raises(DatasetError, match="ben"):
        of_split(records, "test")


def test_groups_that_share_a_person_become_one_and_others_keep_their_names() -> None:
    records = [
        record("1", "", "pair-1-2", "1", "2"),
        record("2", "", "pair-1-2", "2"),
        record("3", "", "m", "actor", "2"),
        record("4", "", "z", "nobody"),
        record("5", "", "a", "ann"),
        record("6", "", "c", "ann"),
        record("7", "", "c", "ben"),
    ]
    assert [r.group for r in joined_groups(records)] == ["m", "m", "m", "z", "a", "a", "a"]
    assert [r.key for r in joined_groups(records)] == [r.key for r in records]


def test_videos_without_a_split_leak_nothing() -> None:
    records = [record("1", "", "anna"), record("2", "test", "anna")]
    assert of_split(records, "test") == records[1:]


def test_a_split_that_is_not_there_is_refused() -> None:
    with pytest.raises(DatasetError, match="Splits are test, train"):
        of_split([record("1", "train", "a"), record("2", "test", "b")], "val")
    with pytest.raises(DatasetError, match="have no splits"):
        of_split([record("1", "", "a")], "test")


def test_groups_join_who_is_seen_together_whatever_the_order() -> None:
    videos = [("b", "c"), ("d",), ("a", "b"), ("e", "d"), ("f",)]
    expected = {("b", "c"): "a", ("a", "b"): "a", ("d",): "d", ("e", "d"): "d", ("f",): "f"}
    for order in permutations(videos):
        assert dict(zip(order, identity_groups(order), strict=True)) == expected


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=3).map(tuple), max_size=12))
def test_groups_are_the_connected_components(videos: list[tuple[str, ...]]) -> None:
    networkx = pytest.importorskip("networkx")
    graph = networkx.Graph()
    for people in videos:
        graph.add_nodes_from(people)
        graph.add_edges_from((people[0], other) for other in people[1:])
    name_of = {who: min(part) for part in networkx.connected_components(graph) for who in part}
    assert identity_groups(videos) == [name_of[people[0]] for people in videos]


def test_copies_are_found_by_content(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one"), ("d", b"long"), ("e", b""), ("f", b"")):
        (tmp_path / name).write_bytes(content)
    records = [VideoRecord(tmp_path / n, n, Label.REAL, "", "", "", n) for n in "abcdefg"]
    (issue,) = find_copies(records)
    assert (issue.kind, issue.where, issue.detail) == (IssueKind.COPY, "c", "a")
