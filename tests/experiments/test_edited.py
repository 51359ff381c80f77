"""Edited videos are what their manifest says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from lrnet.data.engines import SerialEngine
from lrnet.data.records import Label, VideoRecord
from lrnet.errors import DatasetError, OutputError
from lrnet.experiments import edited, editing
from lrnet.experiments.edited import Judged
from lrnet.experiments.editing import BOTH, EDITS, RATE, Edit, Made, Manifest, Shot, Source, planned, read_manifest
from lrnet.verdict import State
from lrnet.video.reader import VideoReader


def source(path: Path, label: Label, group: str, *identities: str, seconds: float = 10.0) -> Source:
    key = f"{label}/{group}/{'_'.join(identities)}"
    return Source(VideoRecord(path, key, label, "", "test", "val", group, identities=identities), seconds)


SOURCES = [
    *(source(Path("x.mp4"), Label.REAL, f"pair-{i // 2}", f"p{i}", seconds=12 + i) for i in range(16)),
    *(source(Path("x.mp4"), Label.FAKE, f"pair-{i // 2}", f"p{i}", f"p{i ^ 1}", seconds=9.5 + i) for i in range(6)),
]


@pytest.fixture(scope="module")
def real(examples: Path) -> Source:
    return source(examples / "real.mp4", Label.REAL, "one")


@pytest.fixture(scope="module")
def fake(examples: Path) -> Source:
    return source(examples / "fake.mp4", Label.FAKE, "other")


def frames(path: Path) -> list[tuple[float, np.ndarray]]:
    with VideoReader(path, threads=1) as reader:
        return [(f.time, f.luma.copy()) for f in reader.decode()]


def no_word(line: str) -> None:
    pass


def test_every_kind_is_planned_as_it_is_described() -> None:
    edits = planned([SOURCES], 12, seed=3)
    assert len(edits) == 12 * sum(len(labels) for labels, _ in EDITS.values())
    for edit in edits:
        people = {who for s in edit.shots for who in s.source.people}
        seconds = [s.stop - s.start for s in edit.shots]
        fakes = [s for s in edit.shots if s.source.record.label is Label.FAKE]
        assert all(0 <= s.start < s.stop <= s.source.seconds for s in edit.shots)
        assert bool(fakes) == (edit.label is Label.FAKE)
        match edit.kind:
            case "shots" | "one-fake-shot":
                assert 6 <= len(edit.shots) <= 14
                assert len(people) <= 12 + 2
                assert min(seconds) >= 2 - 1e-9
                assert max(seconds) <= 5 + 1e-9
                if fakes:
                    assert [s.stop - s.start for s in fakes] == [pytest.approx(5)]
                    groups = [s.source.record.group for s in edit.shots]
                    assert groups.count(fakes[0].source.record.group) == 1
            case "cuts":
                assert len(edit.shots) >= 2
                assert len({s.source.record.key for s in edit.shots}) == 1
                assert all(0.5 <= b.start - a.stop <= 2 for a, b in pairwise(edit.shots))
            case "fades":
                assert all(a.source.people != b.source.people for a, b in pairwise(edit.shots))
            case "side-by-side":
                assert len(edit.shots) == 2
                assert edit.shots[0].source.record.group != edit.shots[1].source.record.group
                assert seconds[0] == pytest.approx(seconds[1])
            case "repeats":
                assert edit.rate == (30, 60)[edit.number % 2]
    encoded = [e.shots[0].source.record.key for e in edits if e.kind == "encoded" and e.label is Label.REAL]
    assert len(set(encoded)) == 12
    counts = {len({s.source.people for s in e.shots}) for e in edits if e.kind == "shots"}
    assert min(counts) <= 3
    assert max(counts) >= 6


def test_the_seed_says_what_is_made_and_more_of_it_leaves_the_first_as_they_are() -> None:
    few, more = planned([SOURCES], 2, seed=3), planned([SOURCES], 5, seed=3)
    assert {e.file: e for e in few}.items() <= {e.file: e for e in more}.items()
    assert few != planned([SOURCES], 2, seed=4)
    assert planned([SOURCES], 2, seed=3, kinds=["cuts"]) == [e for e in few if e.kind == "cuts"]


def test_people_of_two_folds_are_in_no_video() -> None:
    parts = edited.by_fold(SOURCES + [source(Path("x"), Label.FAKE, f"pair-{i}", f"p{2 * i}") for i in range(3, 8)], 0)
    assert sum(map(len, parts)) == len(SOURCES) + 5
    fold = {s.record.key: n for n, part in enumerate(parts) for s in part}
    for edit in planned(parts, 5, seed=0, tell=no_word):
        assert len({fold[s.source.record.key] for s in edit.shots}) == 1


def test_what_the_sources_do_not_suffice_for_is_left_out_with_a_word() -> None:
    said: list[str] = []
    found = planned([[s for s in SOURCES if s.record.label is Label.REAL]], 1, seed=0, tell=said.append)
    assert {e.label for e in found} == {Label.REAL}
    assert len(said) == sum(Label.FAKE in labels for labels, _ in EDITS.values())
    assert all("There is no fake video" in line for line in said)


def test_a_video_of_two_shots(real: Source, fake: Source, tmp_path: Path) -> None:
    edit = Edit("one-fake-shot", Label.FAKE, 0, (Shot(real, 1.0, 3.0), Shot(fake, 2.0, 4.0)))
    made = editing.write(edit, tmp_path / "made.mp4")
    assert made.fake == (2.0, 4.0)
    assert [(s["start"], s["stop"], s["fake"]) for s in made.shots] == [(0.0, 2.0, False), (2.0, 4.0, True)]
    assert made.people == ("one", "other")
    there = frames(tmp_path / "made.mp4")
    assert [t for t, _ in there] == pytest.approx([i / RATE for i in range(100)], abs=1e-4)
    assert there[0][1].shape == (360, 640)
    wholes = [frames(shot.source.record.path)[:110] for shot in edit.shots]
    for i, shot, at in ((0, 0, 1.0), (49, 0, 1 + 49 / RATE), (50, 1, 2.0), (99, 1, 2 + 49 / RATE)):
        newest = max(j for j, (t, _) in enumerate(wholes[shot]) if t <= at + 1e-6)
        near = wholes[shot][newest - 3 : newest + 4]
        apart = [np.abs(_small(there[i][1]) - _small(luma)).mean() for _, luma in near]
        assert apart[3] < 4
        assert apart[3] <= min(apart) + 0.05


def _small(luma: np.ndarray) -> np.ndarray:
    """Comparable whatever the size: the middle, without black bars, 36 rows high."""
    height, width = luma.shape
    columns = min(width, height)
    middle = luma[:, (width - columns) // 2 :][:, :columns].astype(float)
    rows = np.array_split(middle, 12, axis=0)
    return np.array([[part.mean() for part in np.array_split(row, 12, axis=1)] for row in rows])


def test_a_cross_fade_mixes_and_takes_no_time_of_its_own() -> None:
    grey = [[np.full((2, 2, 3), value, np.uint8)] * 6 for value in (10, 90)]
    pictures = list(editing.joined(grey, fade=3))
    assert [int(p[0, 0, 0]) for p, _ in pictures] == [10, 10, 10, 30, 50, 70, 90, 90, 90]
    assert [n for _, n in pictures] == [0] * 3 + [1] * 6


@pytest.mark.parametrize("rate", [30, 60])
def test_repeats_show_the_same_pictures_at_the_same_times(rate: int, real: Source, tmp_path: Path) -> None:
    edit = Edit("repeats", Label.REAL, 0, (Shot(real, 0.0, 0.4),), rate)
    editing.write(edit, tmp_path / "made.mp4")
    editing.write(Edit("cuts", Label.REAL, 0, edit.shots), tmp_path / "once.mp4")
    there, once = frames(tmp_path / "made.mp4"), frames(tmp_path / "once.mp4")
    assert len(there) == 0.4 * rate
    assert np.diff([t for t, _ in there]) == pytest.approx(1 / rate, abs=1e-4)
    for i, (_, luma) in enumerate(there):
        assert np.abs(luma.astype(int) - once[i * RATE // rate][1]).mean() < 2


def test_side_by_side_and_cut_off(real: Source, fake: Source, tmp_path: Path) -> None:
    shots = (Shot(real, 0.0, 0.4), Shot(fake, 0.0, 0.4))
    made = editing.write(Edit("side-by-side", Label.FAKE, 0, shots), tmp_path / "beside.mp4")
    assert [(s["start"], s["stop"]) for s in made.shots] == [(0.0, 0.4)] * 2
    assert frames(tmp_path / "beside.mp4")[0][1].shape == (360, 640)
    editing.write(Edit("cuts", Label.REAL, 0, shots[:1]), tmp_path / "whole.mp4")
    editing.write(Edit("cut-off", Label.REAL, 0, shots[:1]), tmp_path / "cut.mp4")
    whole, cut = ((tmp_path / name).read_bytes() for name in ("whole.mp4", "cut.mp4"))
    assert cut == whole[: int(0.3 * len(whole))]


def test_a_run_goes_on_and_one_video_does_not_stop_the_others(
    real: Source, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    gone = source(bad, Label.FAKE, "other")
    plan = [
        Edit("shots", Label.REAL, 0, (Shot(real, 0.0, 0.2), Shot(real, 4.0, 4.2))),
        Edit("cuts", Label.FAKE, 0, (Shot(gone, 0.0, 0.2),)),
        Edit("cut-off", Label.REAL, 0, (Shot(real, 0.0, 0.2),)),
    ]
    monkeypatch.setattr(editing, "planned", lambda *_: plan)
    out, said = tmp_path / "out", []
    made = editing.make([[real, gone]], out, 1, 0, SerialEngine(), tell=said.append)
    assert [m.file for m in made] == ["shots-real-000.mp4", "cut-off-real-000.mp4"]
    assert any("cuts-fake-000.mp4" in line for line in said)
    assert sorted(read_manifest(out).videos, key=lambda m: m.kind) == sorted(made, key=lambda m: m.kind)
    first = (out / "shots-real-000.mp4").stat().st_mtime_ns
    (out / "cut-off-real-000.mp4").unlink()
    assert editing.make([[real, gone]], out, 1, 0, SerialEngine(), tell=no_word) == made
    assert (out / "shots-real-000.mp4").stat().st_mtime_ns == first
    assert (out / "cut-off-real-000.mp4").is_file()
    with pytest.raises(OutputError, match="another seed"):
        editing.make([[real, gone]], out, 1, 1, SerialEngine(), tell=no_word)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_shares_are_counted_by_kind_and_label() -> None:
    judged = [
        Judged("shots", Label.REAL, ("a", "b"), State.LIKELY_FAKE),
        Judged("shots", Label.REAL, ("a",), State.INCONCLUSIVE),
        Judged("shots", Label.REAL, ("c",), State.NO_EVIDENCE),
        Judged("shots", Label.REAL, ("c",), None),
        Judged("one-fake-shot", Label.FAKE, ("a", "d"), State.LIKELY_FAKE, (6.9, 9.0), (2.0, 7.0)),
        Judged("one-fake-shot", Label.FAKE, ("a", "d"), State.LIKELY_FAKE, (7.0, 9.0), (2.0, 7.0)),
        Judged("one-fake-shot", Label.FAKE, ("a", "d"), State.INCONCLUSIVE, (0.0, 3.0), (2.0, 7.0)),
        Judged("whole", Label.FAKE, ("d",), State.LIKELY_FAKE),
        Judged("encoded", Label.FAKE, ("d",), State.LIKELY_FAKE),
    ]
    lines = edited.report(judged).splitlines()
    assert "| shots | real | 4 | 3 | 25.0% (1) | 25.0% (1) | 25.0% (1) | 25.0% (1) |" in lines
    assert "| one-fake-shot | fake | 3 | 2 | 66.7% (2) | 33.3% (1) | 0.0% (0) | 0.0% (0) |" in lines
    assert "| whole | fake | 1 | 1 | 100.0% (1) | 0.0% (0) | 0.0% (0) | 0.0% (0) |" in lines
    assert "| all edited | fake | 3 | 2 | 66.7% (2) | 33.3% (1) | 0.0% (0) | 0.0% (0) |" in lines
    assert lines[-1].endswith("in 2 of 3 videos, in 1 of the 2 that are likely_fake")


def test_judging_leaves_out_people_whom_the_model_knows(
    real: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editing.write(Edit("cuts", Label.REAL, 0, (Shot(real, 0.0, 2.0),)), tmp_path / "cuts-real-000.mp4")
    whole = {"path": "known", "label": "real", "people": ["ffpp-000"]}
    made = [
        Made(
            "cuts-real-000.mp4",
            "cuts",
            Label.REAL,
            ("nobody",),
            (whole,),
            (),
        ),
        Made("absent.mp4", "cuts", Label.FAKE, ("nobody",), (), ()),
        Made("known.mp4", "cuts", Label.REAL, ("nobody", "known"), (), ()),
    ]
    monkeypatch.setattr(edited, "read_manifest", lambda folder: Manifest(mark="", videos=tuple(made)))
    monkeypatch.setattr(edited, "known_people", lambda spec: frozenset({"known", "ffpp-000"}))
    said: list[str] = []
    judged = edited.judge(tmp_path, edited.DEFAULT_MODEL, True, SerialEngine(), tell=said.append)
    assert said[0].startswith("4 videos, 2 of them left out")
    assert [(j.kind, j.label) for j in judged] == [("cuts", Label.REAL), ("cuts", Label.FAKE)]
    assert judged[0].state is not None
    assert judged[1].state is None
    assert set(BOTH) == set(Label)
