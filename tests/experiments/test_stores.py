"""Stores of conditions: made once, completed, kept apart, and true to the videos that they are of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.media import moving, write_video

from lrnet.data import VideoRecord, open_dataset, store
from lrnet.data.extraction import extract, sole_writer, store_preprocessing
from lrnet.data.store.files import store_file
from lrnet.data.store.ledger import failures
from lrnet.detector import file_sha256
from lrnet.errors import DatasetError, ModelError, TreatmentError, VideoNotFoundError
from lrnet.experiments import stores
from lrnet.experiments.stores import Condition, cached_store, store_name
from lrnet.video.perturbations import perturb
from lrnet.video.reader import VideoReader
from lrnet.video.treatments import Perturbation, Reencoding

FRAMES = 8


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> list[VideoRecord]:
    """Two videos with a face and one without."""
    root = tmp_path_factory.mktemp("videos")
    for name in ("real/a.mp4", "fake/b.mp4"):
        (root / name).parent.mkdir(exist_ok=True)
        with VideoReader(examples / f"{name.split('/')[0]}.mp4") as reader:
            write_video(root / name, [frame.rgb() for frame, _ in zip(reader, range(FRAMES + 4), strict=False)])
    write_video(root / "real" / "faceless.mp4", moving(FRAMES))
    return list(open_dataset(root).records)


def test_a_store_is_made_once(records: list[VideoRecord], tmp_path: Path) -> None:
    told: list[str] = []
    condition = Condition.of("clean", most_frames=FRAMES)
    folder = cached_store(records, condition, tmp_path / "cache", workers=1, tell=told.append)
    assert {(v.record.key, v.frames) for v in store.open(folder)} == {
        ("real/a.mp4", (FRAMES,)),
        ("fake/b.mp4", (FRAMES,)),
    }
    assert [f.key for f in failures(folder)] == ["real/faceless.mp4"]
    assert "3 of 3 videos to do" in told[0]
    assert any("faceless" in line for line in told)
    assert [failure.key for failure in failures(folder)] == ["real/faceless.mp4"]
    assert told[-1].endswith(f": 2 videos, {2 * FRAMES} frames, 1 failed")
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*")}
    told.clear()
    again = cached_store(list(reversed(records)), condition, tmp_path / "cache", workers=1, tell=told.append)
    assert again == folder
    assert told == []
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*")} == stamps


def done(records: list[VideoRecord], condition: Condition, cache: Path) -> tuple[Path, int]:
    """A store, and how many of its videos were extracted now."""
    told: list[str] = []
    folder = cached_store(records, condition, cache, workers=1, tell=told.append)
    return folder, int(told[-1].partition(": ")[2].split()[0])


def test_what_is_missing_is_made_and_what_is_there_is_not(records: list[VideoRecord], tmp_path: Path) -> None:
    condition = Condition.of("clean", most_frames=FRAMES)
    folder = cached_store(records[:2], condition, tmp_path, workers=1)
    first, second = sorted(folder.glob("*.parquet"))
    first.unlink()
    stamp = second.stat().st_mtime_ns
    assert done(records[:2], condition, tmp_path) == (folder, 1)
    assert first.is_file()
    assert second.stat().st_mtime_ns == stamp


def test_a_larger_set_takes_over_what_a_smaller_one_has(records: list[VideoRecord], tmp_path: Path) -> None:
    a, b = (r for r in records if "faceless" not in r.key)
    condition = Condition.of("clean", most_frames=FRAMES)
    small = cached_store([a], condition, tmp_path, workers=1)
    other = cached_store([a], Condition.of("clean", most_frames=FRAMES - 1), tmp_path, workers=1)
    both, made = done([a, b], condition, tmp_path)
    assert len({small, other, both}) == 3
    assert made == 1
    (taken,) = [v for v in store.open(both) if v.record.key == a.key]
    assert taken.file.read_bytes() == store_file(small, a).read_bytes()
    assert done([b], condition, tmp_path)[1] == 0


def test_a_video_of_the_same_name_and_other_content_is_not_taken_over(
    records: list[VideoRecord], tmp_path: Path
) -> None:
    a, b = (r for r in records if "faceless" not in r.key)
    condition = Condition.of("clean", most_frames=FRAMES)
    cached_store([a], condition, tmp_path, workers=1)
    impostor = replace(a, path=b.path)
    assert done([impostor], condition, tmp_path)[1] == 1


def test_landmarks_are_those_of_the_video_that_the_command_writes(records: list[VideoRecord], tmp_path: Path) -> None:
    record = next(r for r in records if r.key == "real/a.mp4")
    condition = Condition.of("noise:white-noise:2@4", most_frames=FRAMES)
    folder = cached_store([record], condition, tmp_path / "cache", workers=1)
    copy = tmp_path / "real" / "a.mp4"
    copy.parent.mkdir()
    seed = Perturbation("white-noise", 2, 4).seed_of(record.key)
    perturb(record.path, copy, "white-noise", 2, seed, FRAMES)
    extract(open_dataset(tmp_path, "class-folders").records, tmp_path / "store", store_preprocessing())
    (cached,), (written,) = store.open(folder), store.open(tmp_path / "store")
    assert np.array_equal(cached.sequences()[0].values, written.sequences()[0].values)
    assert cached.provenance is not None
    assert cached.provenance.size == record.path.stat().st_size  # of the video, not of its treated copy


def test_every_condition_has_a_store_of_its_own(records: list[VideoRecord], tmp_path: Path) -> None:
    record = [r for r in records if r.key == "real/a.mp4"]
    conditions = [
        Condition.of("clean", most_frames=FRAMES),
        Condition.of("clean", most_frames=FRAMES - 1),
        Condition.of("clean", "face-api", most_frames=FRAMES),
        Condition.of("c40", most_frames=FRAMES),
        Condition.of("noise:blur:1", most_frames=FRAMES),
        Condition.of("noise:blur:5", most_frames=FRAMES),
        Condition.of("noise:mixed@1", most_frames=FRAMES),
    ]
    folders = [cached_store(record, condition, tmp_path, workers=1) for condition in conditions]
    assert len(set(folders)) == len(folders)
    values = [store.open(folder)[0].sequences()[0].values for folder in folders]
    for n, one in enumerate(values):
        for other in values[n + 1 :]:
            assert one.shape != other.shape or not np.array_equal(one, other)
    assert store.open(folders[2]).preprocessing["landmarker"] == "face-api"


def test_the_name_depends_on_everything_that_the_landmarks_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    preprocessing = store_preprocessing()
    hashes = {"a": "1", "b": "2"}
    condition = Condition.of("noise:blur:1")
    base = stores.store_name(condition, preprocessing, hashes)
    assert base.startswith("noise-blur-1-mesh-")
    assert stores.store_name(condition, preprocessing, dict(reversed(hashes.items()))) == base
    assert stores.store_name(Condition("other words", "mesh", condition.treatment), preprocessing, hashes) == base
    others = [
        stores.store_name(Condition.of("noise:blur:1@2"), preprocessing, hashes),
        stores.store_name(condition, preprocessing.model_copy(update={"crop_size": 300}), hashes),
        stores.store_name(condition, preprocessing, {**hashes, "b": "3"}),
    ]
    monkeypatch.setattr(stores, "__version__", "99")
    others.append(stores.store_name(condition, preprocessing, hashes))
    assert len({base, *others}) == 5
    made_by = base.rpartition("-")[0]
    assert [other.startswith(made_by) for other in others] == [False, False, True, False]  # only other videos are alike


def test_words_name_conditions() -> None:
    assert Condition.of("clean", "face-api", 60) == Condition("clean", "face-api", None, 60)
    for treatment in (
        Reencoding("hevc"),
        Perturbation("jpeg", 2, 0),
        Perturbation("mixed", None, 3),
        Perturbation("random", None, 0),
    ):
        assert Condition.of(str(treatment)) == Condition(str(treatment), treatment=treatment)
    with pytest.raises(TreatmentError, match="no treatment 'c41'"):
        Condition.of("c41")


def test_wrong_uses_are_told(records: list[VideoRecord], tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no video"):
        cached_store([], Condition.of("clean"), tmp_path)
    with pytest.raises(ModelError, match="no landmarker 'eyes'"):
        cached_store(records, Condition.of("clean", "eyes"), tmp_path)
    faceless = [r for r in records if "faceless" in r.key]
    with pytest.raises(DatasetError, match="No video of 1 gives landmarks under clean"):
        cached_store(faceless, Condition.of("clean"), tmp_path, workers=1)
    gone = [VideoRecord(tmp_path / "gone.mp4", "gone.mp4", faceless[0].label, "", "", "", "g")]
    with pytest.raises(VideoNotFoundError, match=r"gone\.mp4"):
        cached_store(gone, Condition.of("clean"), tmp_path)


def test_a_damaged_account_is_told(records: list[VideoRecord], tmp_path: Path) -> None:
    a, b = (r for r in records if "faceless" not in r.key)
    condition = Condition.of("clean", most_frames=FRAMES)
    folder = cached_store([a], condition, tmp_path, workers=1)
    folder.with_name(f"{folder.name}.json").write_text("{")
    with pytest.raises(DatasetError, match=rf"{folder.name}\.json"):
        cached_store([a, b], condition, tmp_path, workers=1)


def test_who_takes_videos_over_keeps_others_from_the_store(records: list[VideoRecord], tmp_path: Path) -> None:
    """Another process that fills it clears half-written files away, and would take the copy from under the first."""
    condition = Condition.of("clean", most_frames=FRAMES)
    one = [r for r in records if r.key == "real/a.mp4"]
    two = [r for r in records if r.key in ("real/a.mp4", "fake/b.mp4")]
    cached_store(one, condition, tmp_path, workers=1)
    hashes = {r.key: file_sha256(r.path) for r in two}
    folder = tmp_path / store_name(condition, store_preprocessing(), hashes)
    with sole_writer(folder), pytest.raises(DatasetError, match="Another extraction"):
        cached_store(two, condition, tmp_path, workers=1)
    assert not list(folder.glob("*.parquet"))
    assert len(store.open(cached_store(two, condition, tmp_path, workers=1))) == 2
