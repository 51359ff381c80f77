"""A store's landmarks for other programs.

`txt` is the format of the landmarks released with LRNet: a frame a line, 136 normalised numbers, in
`<dataset>/<compression>/<split>/<name>.txt`, of the longest-seen face and without gaps. `npz` has an array for each
field of each sequence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrnet.data.layouts.released_landmarks import METHOD_OF
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store.files import StoredVideo, store_name
from lrnet.data.store.landmark_store import open as open_store
from lrnet.errors import DatasetError, OutputError
from lrnet.faces.landmark_files import LandmarkTable, write_landmarks
from lrnet.files import written_beside
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face

_FOLDER_OF: Final = {method: folder for folder, method in METHOD_OF.items()}


@dataclass(frozen=True, slots=True)
class Exported:
    """Numbers of files and videos, and the videos that were left out, with the reason."""

    files: int
    videos: int
    left_out: tuple[tuple[str, str], ...]


def export(folder: Path, out: Path, form: str, *, calibrated: bool = True) -> Exported:
    """Write every video of a store.

    Args:
        folder: of the store.
        out: a new or empty folder.
        form: "txt" or "npz".
        calibrated: False for the landmarks as they were detected.

    Raises:
        DatasetError: there is no such store or no such form.
        OutputError: `out` holds something, or cannot be written.
    """
    if form not in _WRITERS:
        raise DatasetError(f"There is no format {form!r}.", hint=f"Formats are {', '.join(_WRITERS)}.")
    videos = open_store(folder)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} is not empty.", hint="Give a new folder: nothing is overwritten.")
    written = 0
    left_out: list[tuple[str, str]] = []
    for video in videos:
        sequences = video.sequences()
        if not calibrated:
            sequences = [s.uncalibrated() for s in sequences]
        if not any(s.valid.any() for s in sequences):
            left_out.append((video.record.key, "no face"))
            continue
        place, write = _WRITERS[form]
        path = out / place(video.record)
        if not path.resolve().is_relative_to(out.resolve()):
            raise DatasetError(f"{video.file} would be written outside {out}.", hint="Leave it out of the store.")
        if path.exists():  # another video of this name, from another folder
            path = path.with_name(f"{store_name(video.record.key)}{path.suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"Cannot make {path.parent}: {error.strerror or error}.", hint="Choose a folder that you may write to."
            ) from error
        write(path, video, sequences)
        written += 1
    return Exported(written, len(videos), tuple(left_out))


def _released_place(record: VideoRecord) -> Path:
    """`DF/c23/train/000_003.txt`; other datasets by their own names, with the key's hash so that none collide."""
    folder = _FOLDER_OF.get(record.method) if record.source == "FaceForensics++" else None
    name = Path(record.key).stem
    if folder is None:
        what = record.method if record.label is Label.FAKE else "real"
        folder = "-".join(filter(None, (record.source, what or "fake")))
        name = store_name(record.key)
    return Path(
        *map(_one_name, (folder, record.compression or "raw", record.split or "unsplit")), f"{_one_name(name)}.txt"
    )


def _one_name(word: str) -> str:
    """A word of a manifest as the name of one file or folder, which leads nowhere else."""
    return re.sub(r"[\\/:\s\x00-\x1f]", "-", word).lstrip(".")[:100] or "-"


def _write_released(path: Path, video: StoredVideo, sequences: list[LandmarkSequence]) -> None:
    seen = np.concatenate([s.values[s.valid] for s in main_face(sequences)])
    write_landmarks(path, LandmarkTable.from_points(seen))


def _write_npz(path: Path, video: StoredVideo, sequences: list[LandmarkSequence]) -> None:
    names = ("key", "label", "method", "source", "split", "group", "compression")
    about = json.dumps({name: getattr(video.record, name) for name in names}, ensure_ascii=False)
    arrays: dict[str, Any] = {"record": np.array(about)}
    for number, sequence in enumerate(sequences):
        for field in fields(sequence):
            values = getattr(sequence, field.name)
            if values is not None:  # measured
                arrays[f"{number}/{field.name}"] = np.asarray(values)
    with written_beside(path) as partial:
        np.savez_compressed(partial, **arrays)


_WRITERS: Final[dict[str, tuple[Callable[[VideoRecord], Path], Callable[..., None]]]] = {
    "txt": (_released_place, _write_released),
    "npz": (lambda record: Path(f"{store_name(record.key)}.npz"), _write_npz),
}
"""For each form, where a video goes, and what writes it."""
