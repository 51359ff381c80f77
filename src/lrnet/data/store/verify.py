"""Check a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lrnet.data.records import find_leaks
from lrnet.data.store.crops import crops_of
from lrnet.data.store.files import StoredVideo, require_store, store_file
from lrnet.detector import file_sha256
from lrnet.errors import LrnetError


def verify(folder: Path, *, videos: bool = False) -> tuple[int, list[str]]:
    """Read every file of a store, crops too, and compare its metadata with its content.

    Args:
        videos: also hash the videos at their paths.

    Returns:
        the number of landmark files, and a line for each fault.

    Raises:
        DatasetError: there is no store.
    """
    files = require_store(folder)
    faults: list[str] = []
    sound: list[StoredVideo] = []
    for file in files:
        try:
            video = StoredVideo.of(file)
            faults += [f"{file.name}: {what}" for what in _faults_of(video, folder)]
            faults += _faults_of_crops(video)
            if videos:
                faults += [f"{file.name}: {what}" for what in _faults_of_source(video)]
        except LrnetError as error:
            faults.append(str(error))
        else:
            sound.append(video)
    for video in sound[1:]:
        if video.preprocessing != sound[0].preprocessing:
            faults.append(f"{video.file.name}: made by other preprocessing than {sound[0].file.name}")
    first: dict[str, str] = {}
    for video in sound:
        if video.sha256 and first.setdefault(video.sha256, video.record.key) != video.record.key:
            faults.append(f"{video.file.name}: {video.record.key} holds the same bytes as {first[video.sha256]}")
    faults += [str(leak) for leak in find_leaks(v.record for v in sound)]
    return len(files), faults


def _faults_of(video: StoredVideo, folder: Path) -> list[str]:
    faults: list[str] = []
    if store_file(folder, video.record) != video.file:
        faults.append(f"holds {video.record.key}, which belongs in {store_file(folder, video.record).name}")
    sequences = video.sequences()
    lengths = tuple(len(s) for s in sequences)
    if video.frames and video.frames != lengths:
        faults.append(f"holds sequences of {lengths} frames, and says {video.frames}")
    for number, s in enumerate(sequences):
        if len(s) > 1 and not (np.diff(s.times) > 0).all():
            faults.append(f"times of sequence {number} do not rise")
        if not np.array_equal(np.isfinite(s.values).all(axis=(1, 2)), s.valid):
            faults.append(f"sequence {number} has landmarks where it says there is a gap, or the other way round")
    return faults


def _faults_of_crops(video: StoredVideo) -> list[str]:
    try:
        crops_of(video)
    except LrnetError as error:
        return [str(error)]
    return []


def _faults_of_source(video: StoredVideo) -> list[str]:
    path, provenance = video.record.path, video.provenance
    if video.record.url or provenance is None:
        return []
    if not path.is_file():
        return [f"its video {path} is no longer there"]
    return [] if file_sha256(path) == provenance.sha256 else [f"its video {path} has changed since"]
