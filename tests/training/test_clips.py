"""Tables of clips and what clips weigh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_kit import PREPROCESSING, quick, record, walk, write_store

from lrnet.data import store
from lrnet.data.records import Label
from lrnet.sequence.settings import ClipSpec
from lrnet.training.clips import ClipTable, balanced_weights, clip_table, main_faces, training_clips

CLIPS = ClipSpec(length=20, stride=10, min_length=20)


def test_a_table_holds_every_clip_of_the_longest_seen_face(tmp_path: Path) -> None:
    other = replace(walk(5, 0.5, 30), face=1)
    store.write(tmp_path, record("a", Label.FAKE), [walk(1, 0.5, 60), other], PREPROCESSING)
    table = clip_table(main_faces(store.open(tmp_path)), ("differences", "acceleration"), CLIPS)
    assert len(table) == 5
    assert {n: v.shape[1:] for n, v in table.streams.items()} == {"differences": (19, 136), "acceleration": (18, 143)}
    assert (table.label == 1).all()


def table_of(counts: dict[tuple[str, Label], int]) -> ClipTable:
    records = [record(f"{s}{label}{i}", label, s) for (s, label), n in counts.items() for i in range(n)]
    video = np.repeat(np.arange(len(records)), np.arange(len(records)) % 3 + 1)
    label = np.array([r.label is Label.FAKE for r in records], np.float32)[video]
    return ClipTable({}, label, video, tuple(records))


def test_weights_balance_classes_sources_and_videos() -> None:
    table = table_of({("ff", Label.REAL): 3, ("ff", Label.FAKE): 9, ("tv", Label.REAL): 16, ("web", Label.REAL): 4})
    weight = balanced_weights(table, paired_share=0.6)
    source = np.array([r.source for r in table.videos])[table.video]
    assert weight.mean() == pytest.approx(1, rel=1e-5)
    real, fake = (weight[table.label == k].sum() for k in (0, 1))
    assert real == pytest.approx(fake, rel=1e-4)
    share = {s: weight[(table.label == 0) & (source == s)].sum() / real for s in ("ff", "tv", "web")}
    assert share["ff"] == pytest.approx(0.6, rel=1e-4)
    assert share["tv"] / share["web"] == pytest.approx(2, rel=1e-4)  # the root of 16 over that of 4
    by_video = np.bincount(table.video, weight)
    assert np.ptp(by_video[:3]) < 1e-4


def test_weights_by_class_alone() -> None:
    table = table_of({("ff", Label.REAL): 3, ("ff", Label.FAKE): 9, ("tv", Label.REAL): 16})
    weight = balanced_weights(table, by_source=False)
    assert weight.mean() == pytest.approx(1, rel=1e-5)
    assert len(np.unique(weight[table.label == 0])) == 1
    assert weight[table.label == 0].sum() == pytest.approx(weight[table.label == 1].sum(), rel=1e-4)


def test_mirroring_doubles_a_table(tmp_path: Path) -> None:
    faces = main_faces(write_store(tmp_path, 2))
    once = training_clips(faces, quick())
    twice = training_clips(faces, quick(augmentation={"mirror": True}))
    assert len(twice) == 2 * len(once)


def test_copies_weigh_what_they_are_told_to_and_their_source_as_before() -> None:
    records = [record("plain", Label.FAKE), replace(record("copy", Label.FAKE), compression="small")]
    table = ClipTable({}, np.array([1, 1, 0], np.float32), np.arange(3), (*records, record("r", Label.REAL)))
    weight = balanced_weights(table, copies={"small": 0.5})
    assert weight[0] == pytest.approx(2 * weight[1])
    assert weight[:2].sum() == pytest.approx(weight[2])
