"""Datasets into stores: good videos stored, bad ones in the ledger, nothing done twice, engines alike."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lrnet.cli.app import app
from lrnet.data import Label, open_dataset, store, write_manifest
from lrnet.data.dataset import Dataset
from lrnet.data.engines import LocalEngine, Outcome, SerialEngine
from lrnet.data.engines.base import lost
from lrnet.data.extraction import (
    carry_out,
    extract,
    plan_extraction,
    preprocessing_for,
    released_store_preprocessing,
    sole_writer,
    store_preprocessing,
)
from lrnet.data.landmark_job import LandmarkJob
from lrnet.data.records import VideoRecord
from lrnet.data.store.files import store_file
from lrnet.data.store.ledger import failures, record_failure
from lrnet.errors import (
    DatasetError,
    DecoderDiedError,
    InternalError,
    LimitError,
    LrnetError,
    MissingDependencyError,
    ModelError,
    NoFaceError,
    NotAVideoError,
    SequenceError,
    VideoError,
    VideoNotFoundError,
)
from lrnet.network.registry import load_model
from lrnet.video.limits import Access, Limits
from lrnet.video.reader import VideoReader
from tests.data import trees
from tests.media import moving, write_video

FRAMES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """Two videos with a face among a corrupt, an empty and a faceless one."""
    root = tmp_path_factory.mktemp("mixed")
    for name in ("real/a.mp4", "fake/swap/b.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        with VideoReader(examples / f"{name.split('/')[0]}.mp4") as reader:
            frames = [frame.rgb() for frame, _ in zip(reader, range(FRAMES), strict=False)]
        write_video(root / name, frames)
    write_video(root / "real" / "faceless.mp4", moving(FRAMES))
    (root / "real" / "corrupt.mp4").write_bytes((root / "real" / "a.mp4").read_bytes()[:3000])
    (root / "fake" / "empty.mp4").touch()
    return root


@pytest.fixture(scope="module")
def extracted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("store")
    extract(open_dataset(folder).records, out, store_preprocessing())
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_good_videos_are_stored_and_the_others_are_in_the_ledger(extracted: Path) -> None:
    found = {v.record.key: v for v in store.open(extracted)}
    assert set(found) == {"real/a.mp4", "fake/swap/b.mp4"}
    assert found["fake/swap/b.mp4"].record.method == "swap"
    assert all(v.frames == (FRAMES,) and v.provenance and v.provenance.frames == FRAMES for v in found.values())
    assert {f.key: (f.error, f.exit_code) for f in failures(extracted)} == {
        "real/corrupt.mp4": ("NotAVideoError", 3),
        "fake/empty.mp4": ("NotAVideoError", 3),
        "real/faceless.mp4": ("NoFaceError", 4),
    }
    assert all(f.what and f.hint for f in failures(extracted))


def test_a_second_run_does_nothing_and_a_third_only_what_changed(folder: Path, extracted: Path) -> None:
    records = open_dataset(folder).records
    before = {p.name: p.stat().st_mtime_ns for p in extracted.glob("*.parquet")}
    assert extract(records, extracted, store_preprocessing()) == []
    assert {p.name: p.stat().st_mtime_ns for p in extracted.glob("*.parquet")} == before
    plan = plan_extraction(records, extracted, store_preprocessing(), retry_failed=True)
    assert len(plan.there) == 2
    assert {r.key for r in plan.todo} == {"real/corrupt.mp4", "fake/empty.mp4", "real/faceless.mp4"}


def test_worker_processes_write_the_same_bytes(folder: Path, extracted: Path, tmp_path: Path) -> None:
    extract(open_dataset(folder).records, tmp_path, store_preprocessing(), engine=LocalEngine(2))
    assert files(tmp_path) == files(extracted)


def test_what_a_killed_run_left_is_no_video_and_is_cleared_away(folder: Path, extracted: Path, tmp_path: Path) -> None:
    a = next(p for p in extracted.glob("*.parquet") if p.name.startswith("a."))
    (tmp_path / a.name).write_bytes(a.read_bytes())
    partial = tmp_path / f".{a.stem}.77.part.parquet"
    partial.write_bytes(a.read_bytes()[:100])
    assert len(store.open(tmp_path)) == 1
    record = [r for r in open_dataset(folder).records if r.key == "real/a.mp4"]
    assert extract(record, tmp_path, store_preprocessing()) == []
    assert not partial.exists()


def test_other_preprocessing_is_refused_with_what_differs(folder: Path, extracted: Path) -> None:
    other = store_preprocessing().model_copy(update={"crop_size": 200})
    with pytest.raises(DatasetError, match="crop_size is 400, now 200"):
        extract(open_dataset(folder).records, extracted, other)
    with pytest.raises(DatasetError, match="other preprocessing"):
        plan_extraction([], extracted, other)


def test_no_more_faces_are_followed_than_the_limit_allows(folder: Path, tmp_path: Path) -> None:
    with VideoReader(folder / "real" / "a.mp4") as reader:
        write_video(tmp_path / "two.mp4", [np.hstack([frame.rgb()] * 2) for frame in reader])
    record = VideoRecord(tmp_path / "two.mp4", "two.mp4", Label.REAL, "", "", "", "")
    for faces in (1, 2):
        job = LandmarkJob(store_preprocessing(), access=Access(limits=Limits(faces=faces)))
        assert len(job(record).sequences) == faces


def test_a_label_that_changed_is_written_without_extraction(folder: Path, extracted: Path, tmp_path: Path) -> None:
    for path in extracted.glob("*.parquet"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    table = tmp_path / "list.csv"
    table.write_text(f"path,label,split,group\n{folder / 'real/a.mp4'},fake,test,anna\n")
    first = open_dataset(table).records
    out = tmp_path / "out"
    extract(first, out, store_preprocessing())
    table.write_text(f"path,label,split,group\n{folder / 'real/a.mp4'},real,train,anna\n")
    assert extract(open_dataset(table).records, out, store_preprocessing()) == []
    (video,) = store.open(out)
    assert (video.record.label, video.record.split) == (Label.REAL, "train")
    assert len(video.sequences()[0]) == FRAMES


def test_a_video_that_changed_is_done_again(folder: Path, tmp_path: Path) -> None:
    video = tmp_path / "real" / "v.mp4"
    video.parent.mkdir()
    video.write_bytes((folder / "real" / "a.mp4").read_bytes())
    out = tmp_path / "store"
    extract(open_dataset(tmp_path, "class-folders").records, out, store_preprocessing())
    video.write_bytes((folder / "fake" / "swap" / "b.mp4").read_bytes())
    (outcome,) = extract(open_dataset(tmp_path, "class-folders").records, out, store_preprocessing())
    assert outcome.error is None


def test_a_video_that_changed_and_fails_leaves_nothing_of_what_it_was(folder: Path, tmp_path: Path) -> None:
    video = tmp_path / "real" / "v.mp4"
    video.parent.mkdir()
    video.write_bytes((folder / "real" / "a.mp4").read_bytes())
    records, out = open_dataset(tmp_path, "class-folders").records, tmp_path / "store"
    extract(records, out, store_preprocessing())
    video.write_bytes(video.read_bytes()[:3000])
    (outcome,) = extract(records, out, store_preprocessing())
    assert outcome.error is not None
    assert not list(out.glob("*.parquet"))
    assert extract(records, out, store_preprocessing()) == []  # it stands in the ledger: not tried again


@dataclass
class Failing:
    """An engine whose every item fails with one error."""

    error: LrnetError
    workers: int = 1

    def run(self, job: object, items: Iterable[VideoRecord]) -> Iterator[Outcome[VideoRecord, object]]:
        for index, item in enumerate(items):
            yield Outcome(index, item, None, self.error)


PASSING = [
    VideoError("s3://a cannot be fetched (timeout).", hint=""),
    VideoNotFoundError("There is no a.", hint=""),
    MissingDependencyError("a needs fsspec.", hint=""),
    lost(3, "signal SIGKILL"),
    InternalError.of(MemoryError(), "a"),
    DecoderDiedError("killed", hint=""),
]
LASTING = [NotAVideoError("", hint=""), NoFaceError("", hint=""), SequenceError("", hint=""), LimitError("", hint="")]


@pytest.mark.parametrize("error", [*PASSING, *LASTING], ids=lambda e: type(e).__name__)
def test_only_a_lasting_fault_stands_in_the_ledger_and_drops_landmarks(
    folder: Path, extracted: Path, tmp_path: Path, error: LrnetError
) -> None:
    lasting = error in LASTING
    out = tmp_path / "store"
    shutil.copytree(extracted, out)
    records = [r for r in open_dataset(folder, "class-folders").records if r.key == "real/a.mp4"]
    video = tmp_path / "a.mp4"
    video.write_bytes(records[0].path.read_bytes() + b" ")
    records = [replace(records[0], path=video)]  # changed since
    before = {f.key for f in failures(out)}
    (outcome,) = extract(records, out, store_preprocessing(), engine=Failing(error))
    assert outcome.error is error
    assert store_file(out, records[0]).exists() is not lasting
    assert {f.key for f in failures(out)} - before == ({"real/a.mp4"} if lasting else set())
    again = plan_extraction(records, out, store_preprocessing())
    assert (again.todo == []) is lasting
    record_failure(out, records[0], error)  # as older versions did with every error
    store_file(out, records[0]).unlink(missing_ok=True)
    assert (plan_extraction(records, out, store_preprocessing()).todo == []) is lasting


def test_a_store_that_another_run_filled_meanwhile_is_not_mixed(folder: Path, tmp_path: Path) -> None:
    records = [r for r in open_dataset(folder).records if r.key == "real/a.mp4"]
    others = [r for r in open_dataset(folder).records if r.key == "fake/swap/b.mp4"]
    other = store_preprocessing().model_copy(update={"crop_size": 200})
    plan = plan_extraction(others, tmp_path, other)
    extract(records, tmp_path, store_preprocessing())
    with pytest.raises(DatasetError, match="other preprocessing"):
        carry_out(plan, tmp_path, LandmarkJob(other), SerialEngine())
    assert len(store.open(tmp_path)) == 1


def test_an_error_of_a_listener_is_its_own(folder: Path, tmp_path: Path) -> None:
    def broken(outcome: object) -> None:
        raise BrokenPipeError("nobody reads")

    with pytest.raises(BrokenPipeError):
        extract(open_dataset(folder).records, tmp_path, store_preprocessing(), tell=broken)


def test_a_note_that_a_killed_run_left_half_written_is_none(folder: Path, tmp_path: Path) -> None:
    records = [r for r in open_dataset(folder).records if r.key == "fake/empty.mp4"]
    extract(records, tmp_path, store_preprocessing())
    partial = tmp_path / "failures" / ".empty.77.part.json"
    partial.write_text('{"key":')
    assert [f.key for f in failures(tmp_path)] == ["fake/empty.mp4"]


def test_a_table_of_landmark_files_is_not_said_to_be_of_the_built_in_landmarks(tmp_path: Path) -> None:
    released = open_dataset(trees.released_landmarks(tmp_path / "released"))
    write_manifest(tmp_path / "list.csv", released)
    records = open_dataset(tmp_path / "list.csv").records
    assert preprocessing_for(records) == released_store_preprocessing()
    assert preprocessing_for([replace(records[0], path=tmp_path / "a.mp4")]) == store_preprocessing()
    with pytest.raises(DatasetError, match="landmark files and videos"):
        preprocessing_for([records[0], replace(records[1], path=tmp_path / "a.mp4")])
    (outcome,) = extract(records[:1], tmp_path / "store", store_preprocessing())
    assert "lie in a file" in str(outcome.error)


def test_an_address_is_fetched_for_the_time_of_its_job(folder: Path, extracted: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec", reason="the extra `cluster` is not installed")
    table = tmp_path / "list.csv"
    there, gone = (folder / "real" / name for name in ("a.mp4", "gone.mp4"))
    table.write_text(f"path,label\nfile://{there},real\nfile://{gone},real\n")
    outcomes = {
        o.item.path.name: o for o in extract(open_dataset(table).records, tmp_path / "s", store_preprocessing())
    }
    assert outcomes["a.mp4"].error is None
    assert "There is no file://" in str(outcomes["gone.mp4"].error)
    (video,) = store.open(tmp_path / "s")
    (same,) = store.open(extracted).select(label="real")
    assert (video.sequences()[0].values == same.sequences()[0].values).all()


def test_released_landmark_folders_become_a_store(tmp_path: Path) -> None:
    dataset: Dataset = open_dataset(trees.released_landmarks(tmp_path / "released"))
    outcomes = extract(dataset.records, tmp_path / "store", released_store_preprocessing())
    assert [o.error for o in outcomes] == [None] * 7
    opened = store.open(tmp_path / "store").select(method="Deepfakes", split="train")
    (sequence,) = opened[0].sequences()
    assert sequence.values.shape == (3, 68, 2)
    np.testing.assert_allclose(sequence.values.reshape(3, 136), [np.arange(136) / 136] * 3, atol=1e-4)
    with pytest.raises(DatasetError, match="there landmarker is 'openface', now 'mesh'"):
        extract(dataset.records, tmp_path / "store", store_preprocessing())


@pytest.mark.parametrize("failed", ["0", "-1", "nan", "-nan(ind)", "1.#QNAN"])
def test_failed_rows_of_released_landmarks_are_gaps(tmp_path: Path, failed: str) -> None:
    """One row without a face in each of three frames; a file without any face at all is said to show none."""
    dataset: Dataset = open_dataset(trees.released_landmarks(tmp_path / "released"))
    row = " ".join([failed] * 136) + "\n"
    first, second = (record.path for record in dataset.records[:2])
    good = first.read_text().splitlines(keepends=True)[0]
    first.write_text(good + row + good)
    second.write_text(row * 3)
    outcomes = extract(dataset.records, tmp_path / "store", released_store_preprocessing())
    assert "shows no face in 3 frames" in str(outcomes[1].error)
    assert [o.error for i, o in enumerate(outcomes) if i != 1] == [None] * 6
    kept = {v.record.key: v for v in store.open(tmp_path / "store")}
    (sequence,) = kept[dataset.records[0].key].sequences()
    assert sequence.valid.tolist() == [True, False, True]


def test_two_runs_do_not_write_one_store(tmp_path: Path) -> None:
    with sole_writer(tmp_path), pytest.raises(DatasetError, match="Another extraction"), sole_writer(tmp_path):
        pass
    with sole_writer(tmp_path):  # the first has ended
        pass


def test_a_store_is_of_the_landmarker_that_is_named(folder: Path, tmp_path: Path) -> None:
    """A store that is there is of one landmarker; another is refused, and so is an unknown one."""
    dataset = open_dataset(folder)
    only = [record for record in dataset.records if record.key == "real/a.mp4"]
    write_manifest(tmp_path / "one.csv", replace(dataset, records=only))
    command = ["extract", str(tmp_path / "one.csv"), "--out", str(tmp_path / "store"), "--workers", "1", "--no-isolate"]
    done = CliRunner().invoke(app, [*command, "--landmarker", "face-api"])
    assert done.exit_code == 0, done.output
    (video,) = store.open(tmp_path / "store")
    assert video.preprocessing["landmarker"] == "face-api"
    other = CliRunner().invoke(app, command)
    assert isinstance(other.exception, DatasetError)
    unknown = CliRunner().invoke(app, [*command, "--landmarker", "eyes"])
    assert isinstance(unknown.exception, ModelError)
    assert "mesh, " in str(unknown.exception.hint)


@pytest.mark.parametrize("name", ["lrnet-2", "lrnet-2-fast", "lrnet-mesh-v2"])
def test_a_store_fits_the_shipped_model_of_its_landmarker(name: str) -> None:
    """Else evaluation would not judge as detection does."""
    of_model = load_model(name).spec.preprocessing
    of_store = store_preprocessing(of_model.landmarker)
    clips = ("clip_length", "clip_stride", "min_clip_length")
    assert of_store.model_dump(exclude=set(clips)) == of_model.model_dump(exclude=set(clips))
