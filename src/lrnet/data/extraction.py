"""Fill a landmark store from a dataset: resumable, with a ledger of failures, on any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TextIO

from lrnet.data.engines import Engine, LocalEngine, Outcome, SerialEngine
from lrnet.data.landmark_job import ExtractedVideo, LandmarkJob, holds_landmarks
from lrnet.data.records import VideoRecord
from lrnet.data.store.files import StoredVideo, relabel, store_file, store_files, write
from lrnet.data.store.ledger import Failure, failure_of, forget_failure, record_failure, size_of
from lrnet.errors import DatasetError, EngineError, OutputError
from lrnet.faces import landmarker
from lrnet.files import lock_file
from lrnet.network.released import released_preprocessing
from lrnet.sequence.settings import CalibrationSpec, Preprocessing, SequenceSpec
from lrnet.version import __version__
from lrnet.video.treatments import Treatment


@dataclass(frozen=True, slots=True)
class Extracted:
    """Numbers of decoded frames and sequences of one video, and the seconds that the worker took."""

    frames: int
    sequences: int
    seconds: float


@dataclass(slots=True)
class Plan:
    """The work left until a store holds a dataset.

    Attributes:
        todo: videos to extract.
        there: in the store and up to date.
        changed: in the store, but the video has another size now; they are in `todo`.
        relabelled: in the store with another label, split or group; only that is rewritten.
        failed: failed before and not changed since; they are not in `todo`.
    """

    todo: list[VideoRecord] = field(default_factory=list)
    there: list[VideoRecord] = field(default_factory=list)
    changed: list[VideoRecord] = field(default_factory=list)
    relabelled: list[tuple[StoredVideo, VideoRecord]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def plan_extraction(
    records: Sequence[VideoRecord], folder: Path, preprocessing: Preprocessing, *, retry_failed: bool = False
) -> Plan:
    """Compare a dataset with a store.

    Args:
        folder: of the store; need not exist.
        retry_failed: try videos again that failed before. A video that has another size now is tried anyway.

    Raises:
        DatasetError: the store holds sequences of other preprocessing, or a file of it is damaged.
    """
    made_with = preprocessing.model_dump(mode="json")
    plan = Plan()
    for record in records:
        file = store_file(folder, record)
        size = size_of(record)
        if file.exists():
            stored = StoredVideo.of(file)
            _require_same(stored, made_with, folder)
            if stored.provenance is not None and size >= 0 and stored.provenance.size != size:
                plan.changed.append(record)
                plan.todo.append(record)
            elif _about(stored.record) != _about(record):
                plan.relabelled.append((stored, record))
            else:
                plan.there.append(record)
            continue
        failure = failure_of(folder, record)
        if failure is not None and failure.permanent and failure.size == size and not retry_failed:
            plan.failed.append(failure)
        else:
            plan.todo.append(record)
    # A store of other videos only must not be mixed with either.
    if not (plan.there or plan.changed or plan.relabelled):
        _require_unmixed(folder, made_with)
    return plan


def extract(
    records: Sequence[VideoRecord],
    folder: Path,
    preprocessing: Preprocessing,
    *,
    engine: Engine | None = None,
    workers: int = 1,
    retry_failed: bool = False,
    tell: Callable[[Outcome[VideoRecord, Extracted]], None] | None = None,
    treatment: Treatment | None = None,
    most_frames: int | None = None,
) -> list[Outcome[VideoRecord, Extracted]]:
    """Write the landmark sequences of every face of every video into a store.

    Videos in the store are skipped, so a run that was stopped continues. Only this process writes, each video's file
    beside its place and renamed.

    Args:
        folder: of the store.
        engine: where to work; None for `workers` processes of this machine (1: in this process).
        retry_failed: try videos again that failed before.
        tell: called with each outcome as it comes.
        treatment, most_frames: see `LandmarkJob`. A store does not know of them: one folder for each.

    Returns:
        the outcomes of the videos that were tried, in the order of their end. `permanent` errors are recorded in the
        store's ledger; videos with other errors are tried again by the next run.

    Raises:
        DatasetError: the store holds sequences of other preprocessing, or a file of it is damaged.
        OutputError: the store cannot be written.
        EngineError: the cluster broke down, or runs another version of lrnet.
    """
    plan = plan_extraction(records, folder, preprocessing, retry_failed=retry_failed)
    job = LandmarkJob(preprocessing, treatment, most_frames)
    return carry_out(plan, folder, job, engine or (LocalEngine(workers) if workers > 1 else SerialEngine()), tell)


def carry_out(
    plan: Plan,
    folder: Path,
    job: LandmarkJob,
    engine: Engine,
    tell: Callable[[Outcome[VideoRecord, Extracted]], None] | None = None,
) -> list[Outcome[VideoRecord, Extracted]]:
    """Carry out a plan (see `extract`)."""
    made_with = job.preprocessing.model_dump(mode="json")
    outcomes = []
    with sole_writer(folder):
        _require_unmixed(folder, made_with)  # again: another run may have filled it since the plan was made
        for stored, record in plan.relabelled:
            relabel(stored, record)
        for raw in engine.run(job, plan.todo):
            outcome = _keep(raw, folder, made_with)
            outcomes.append(outcome)
            if tell is not None:
                tell(outcome)
    return outcomes


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold the store's lock until the process ends, and delete partial files of a killed run.

    Raises:
        OutputError: the folder cannot be written. DatasetError: another process extracts into it.
    """
    with _opened_lock(folder) as lock:
        try:
            lock_file(lock, wait=False)
        except BlockingIOError as error:
            raise DatasetError(
                f"Another extraction is writing the store {folder}.", hint="Wait for it, or use another folder."
            ) from error
        except OSError:
            pass  # a mount without such locks
        for part in [*folder.glob(".*.part.parquet"), *folder.glob("failures/.*.part.json")]:
            part.unlink(missing_ok=True)
        yield


def _opened_lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(
            f"The store {folder} cannot be written ({error.strerror or error}).",
            hint="Choose a folder that you may write to.",
        ) from error


LANDMARKER: Final = "mesh"


SMALL_CROP: Final = SequenceSpec(
    crop_size=256,
    calibration=CalibrationSpec(window=10, epsilon=0.02, max_forward_backward_error=1.28, surroundings=True),
)


def store_preprocessing(name: str = LANDMARKER) -> Preprocessing:
    """The preprocessing of stores for training with a landmarker; its clip lengths do not matter.

    For `mesh68` the crop has 256 pixels where the released code has 400, and all that is counted in its pixels shrinks
    with it: the same patches are followed, at half the cost. With other landmarkers stores fit the default model.

    Raises:
        ModelError, MissingDependencyError: the landmarker is unknown or not ready.
    """
    sequences = SMALL_CROP if name == "mesh68" else SequenceSpec(calibration=CalibrationSpec(surroundings=True))
    return Preprocessing(
        landmarker=name,
        landmarker_version=landmarker(name).version,
        crop_size=sequences.crop_size,
        calibration=sequences.calibration,
        clip_length=60,
        clip_stride=30,
        min_clip_length=30,
    )


def released_store_preprocessing() -> Preprocessing:
    """The preprocessing of the landmarks that the authors of LRNet released, as far as it is known."""
    return released_preprocessing(clip_length=60).model_copy(update={"clip_stride": 30, "min_clip_length": 30})


def preprocessing_for(records: Sequence[VideoRecord], name: str = LANDMARKER) -> Preprocessing:
    """The preprocessing of a store of these records: videos, or landmark files that the authors of LRNet released.

    Args:
        name: the landmarker of videos.

    Raises:
        DatasetError: there are both.
        ModelError, MissingDependencyError: the landmarker is unknown or not ready.
    """
    files = [record for record in records if holds_landmarks(record.path)]
    if not files:
        return store_preprocessing(name)
    if len(files) < len(records):
        raise DatasetError(
            f"There are landmark files and videos, {files[0].key} and {len(files) - 1} more among the former.",
            hint="Make a store of each: landmarks made in two ways must not be mixed.",
        )
    return released_store_preprocessing()


def _keep(
    raw: Outcome[VideoRecord, ExtractedVideo], folder: Path, made_with: dict[str, object]
) -> Outcome[VideoRecord, Extracted]:
    record, found = raw.item, raw.result
    if found is None:
        assert raw.error is not None
        if raw.error.permanent:  # else the next run tries again, and landmarks of the former file stay until then
            store_file(folder, record).unlink(missing_ok=True)
            record_failure(folder, record, raw.error)
        return Outcome(raw.index, record, None, raw.error)
    theirs = found.provenance.versions["lrnet"]
    if theirs != __version__:
        raise EngineError(
            f"A machine of the cluster has lrnet {theirs}, and this one {__version__}.",
            hint="Install the same version everywhere: landmarks of two versions must not be mixed.",
        )
    write(folder, record, found.sequences, made_with, found.provenance)
    forget_failure(folder, record)
    return Outcome(raw.index, record, Extracted(found.provenance.frames, len(found.sequences), found.seconds), None)


def _require_unmixed(folder: Path, made_with: dict[str, object]) -> None:
    """Check the first file of a store, if there is any."""
    for file in store_files(folder)[:1]:
        _require_same(StoredVideo.of(file), made_with, folder)


def _require_same(stored: StoredVideo, made_with: dict[str, object], folder: Path) -> None:
    if stored.preprocessing == made_with:
        return
    differs = sorted(k for k in {*stored.preprocessing, *made_with} if stored.preprocessing.get(k) != made_with.get(k))
    name = min(differs, key=lambda k: (isinstance(made_with.get(k), dict), k))  # prefer a plain value to a section
    raise DatasetError(
        f"The store {folder} was made by other preprocessing: {', '.join(differs)} (there {name} is "
        f"{stored.preprocessing.get(name)!r}, now {made_with.get(name)!r}).",
        hint="Extract into an empty folder: landmarks made in two ways must not be mixed.",
    )


def _about(record: VideoRecord) -> VideoRecord:
    """The dataset's fields of a video, without its place."""
    return replace(record, path=Path(), url="")
