"""Landmark stores for experiments, made on first use: of videos as they are, re-encoded or perturbed.

A store's folder is named after its condition, a hash of how its landmarks are made (treatment, preprocessing, versions
of the landmarker and of lrnet), and a hash of the videos' content. Videos in the store of another set that was made in
the same way are copied from there. `NAME.json` beside the folder says how, with the hash of each video.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Self

from lrnet.data.engines import LocalEngine, SerialEngine
from lrnet.data.extraction import carry_out, plan_extraction, sole_writer, store_preprocessing
from lrnet.data.landmark_job import LandmarkJob
from lrnet.data.records import VideoRecord
from lrnet.data.store.files import store_file, store_files
from lrnet.data.store.ledger import failures
from lrnet.detector import file_sha256
from lrnet.errors import DatasetError, VideoNotFoundError
from lrnet.files import read_json, write_text, written_beside
from lrnet.machine import cores
from lrnet.sequence.settings import Preprocessing
from lrnet.version import __version__
from lrnet.video.treatments import Treatment, parse_treatment

CLEAN: Final = "clean"
FORMAT: Final = 1  # counts up whenever a treatment of the same name begins to do something else
NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """How videos are treated and looked at before landmarks are stored.

    Attributes:
        name: for tables and file names; landmarks do not depend on it.
        landmarker: by the registry's name.
        treatment: what is done to the videos first; None for nothing.
        most_frames: of each video, from its start; None for all.
    """

    name: str
    landmarker: str = "mesh"
    treatment: Treatment | None = None
    most_frames: int | None = None

    @classmethod
    def of(cls, text: str, landmarker: str = "mesh", most_frames: int | None = None) -> Self:
        """The condition of this name: "clean", or as `parse_treatment` reads it ("c40", "noise:white-noise:3").

        Raises:
            TreatmentError: there is no such condition.
        """
        treatment = None if text == CLEAN else parse_treatment(text)
        return cls(str(treatment or CLEAN), landmarker, treatment, most_frames)


def cached_store(
    records: Sequence[VideoRecord],
    condition: Condition,
    cache: Path,
    *,
    workers: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> Path:
    """The landmark store of videos under a condition, made if it is not there and completed if it is there in part.

    Treated videos are temporary. A video that gives no landmarks (under heavy noise, say) is not in the store; it
    stands in the store's ledger (`lrnet.data.store.ledger.failures`) and is not tried again.

    Args:
        records: labels, splits and groups may change without anything being extracted again.
        cache: folder of the stores; made if need be.
        workers: processes; None for one a core, 1 for this process.
        tell: called with each line about the progress.

    Returns:
        a folder that `lrnet.data.store.open` reads.

    Raises:
        DatasetError: no video was given, none gives landmarks, or another process fills this store.
        VideoNotFoundError: a video is gone.
        ModelError, MissingDependencyError: the landmarker is not ready.
        OutputError: the cache cannot be written.
    """
    if not records:
        raise DatasetError("There is no video to take landmarks of.", hint="Check the dataset and the split.")
    say = tell or (lambda _: None)
    preprocessing = store_preprocessing(condition.landmarker)
    hashes = {record.key: _content(record) for record in records}
    folder = cache / store_name(condition, preprocessing, hashes)
    _take_over(records, hashes, folder)
    plan = plan_extraction(records, folder, preprocessing)
    if plan.todo or plan.relabelled or not _about_file(folder).is_file():
        name = f"{condition.name}, {condition.landmarker}"
        say(f"{name}: {len(plan.todo)} of {len(records)} videos to do ({folder})")
        count = cores() if workers is None else workers
        engine = LocalEngine(count) if count > 1 else SerialEngine()
        job = LandmarkJob(preprocessing, condition.treatment, condition.most_frames)
        outcomes = carry_out(plan, folder, job, engine)
        about = {**_made_by(condition, preprocessing), "name": condition.name, "videos": hashes}
        write_text(_about_file(folder), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
        failed = [f"  {o.item.key}: {o.error}" for o in outcomes if o.error is not None]
        frames = sum(o.result.frames for o in outcomes if o.result is not None)
        for line in failed:
            say(line)
        say(f"{name}: {len(outcomes) - len(failed)} videos, {frames} frames, {len(failed)} failed")
    if not store_files(folder):
        raise DatasetError(
            f"No video of {len(records)} gives landmarks under {condition.name}: {failures(folder)[0]}",
            hint=f"The ledger is {folder / 'failures'}.",
        )
    return folder


def store_name(condition: Condition, preprocessing: Preprocessing, hashes: dict[str, str]) -> str:
    """The name of a store in the cache: condition, landmarker, a hash of how landmarks are made, and one of the videos.

    Args:
        hashes: SHA-256 of each video's content, by key.
    """
    words = NOT_IN_NAMES.sub("-", f"{condition.treatment or CLEAN}-{condition.landmarker}").strip("-")
    frames = f"-{condition.most_frames}" if condition.most_frames else ""
    return f"{words}{frames}-{_digest(_made_by(condition, preprocessing))}-{_digest(sorted(hashes.items()))}"


def _made_by(condition: Condition, preprocessing: Preprocessing) -> dict[str, Any]:
    """Everything that landmarks depend on besides the videos."""
    return {
        "format": FORMAT,
        "lrnet": __version__,
        "condition": {
            "landmarker": condition.landmarker,
            "treatment": str(condition.treatment) if condition.treatment else None,
            "most_frames": condition.most_frames,
        },
        "preprocessing": preprocessing.model_dump(mode="json"),
    }


def _digest(about: object) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]


def _take_over(records: Sequence[VideoRecord], hashes: dict[str, str], folder: Path) -> None:
    """Copy videos from stores of other sets that were made in the same way, if they are the same videos."""
    missing = [record for record in records if not store_file(folder, record).exists()]
    if not missing:
        return
    made_by = folder.name.rpartition("-")[0]
    taken: dict[Path, Path] = {}
    for other in sorted(folder.parent.glob(f"{made_by}-*/")):
        if other == folder or not _about_file(other).is_file():
            continue
        try:
            theirs = read_json(_about_file(other))["videos"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            what = f"{_about_file(other)} cannot be read ({error})."
            raise DatasetError(what, hint="Delete it and its store, and make the store again.") from error
        for record in missing:
            source = store_file(other, record)
            if source.is_file() and theirs.get(record.key) == hashes[record.key]:
                taken.setdefault(store_file(folder, record), source)
    if not taken:
        return
    with sole_writer(folder):  # another process that fills the store deletes half-written files in it
        for target, source in taken.items():
            with written_beside(target) as partial:
                shutil.copyfile(source, partial)


def _about_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def _content(record: VideoRecord) -> str:
    """SHA-256 of a video; of one at an address the address, which is all that is known before it is fetched."""
    if record.url:
        return hashlib.sha256(record.url.encode()).hexdigest()
    try:
        about = record.path.stat()
        return _sha256(record.path, about.st_size, about.st_mtime_ns)
    except OSError as error:
        raise VideoNotFoundError(
            f"{record.path} cannot be read ({error.strerror or error}).", hint="Check where the dataset lies."
        ) from error


@lru_cache(maxsize=100_000)
def _sha256(path: Path, size: int, modified: int) -> str:
    """Read once, though one dataset is asked for in dozens of conditions."""
    return file_sha256(path)
