"""Landmark sequences of whole datasets, ready to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lrnet import store
from lrnet.datasets.records import VideoRecord
from lrnet.detector import landmark_sequences
from lrnet.engines.local import Outcome, run_local
from lrnet.errors import DatasetError
from lrnet.landmarks import Landmarker, landmarker
from lrnet.network.spec import Preprocessing
from lrnet.video import VideoReader, spaced


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was found in one video.

    Attributes:
        frames: decoded.
        sequences: found, of any length.
    """

    frames: int
    sequences: int


def extract(
    records: Sequence[VideoRecord],
    folder: Path,
    preprocessing: Preprocessing,
    *,
    workers: int = 1,
    tell: Callable[[Outcome[VideoRecord, Extracted]], None] | None = None,
) -> list[Outcome[VideoRecord, Extracted]]:
    """Write the landmark sequences of every face of every video into a store.

    Videos that the store has already are passed over, so that a run that was stopped goes on where it was.

    Args:
        folder: of the store.
        workers: processes.
        tell: called with each outcome as it comes.

    Returns:
        the outcomes of the videos that were not in the store before; a video that cannot be read is one with an error.

    Raises:
        DatasetError: the store holds sequences of other preprocessing.
    """
    made_with = preprocessing.model_dump(mode="json")
    if folder.is_dir() and any(folder.glob("*.parquet")):
        before = store.read(folder)[0].preprocessing
        if before != made_with:
            raise DatasetError(
                f"The store {folder} was made by other preprocessing.", hint="Extract into an empty folder."
            )
    todo = [record for record in records if not store.store_file(folder, record).exists()]
    outcomes = []
    for outcome in run_local(partial(_extract_one, folder=folder, preprocessing=preprocessing), todo, workers):
        outcomes.append(outcome)
        if tell is not None:
            tell(outcome)
    return outcomes


def store_preprocessing() -> Preprocessing:
    """How stores for training are made; how clips are cut from them is decided later."""
    return Preprocessing(
        landmarker="mesh",
        landmarker_version=landmarker("mesh").version,
        clip_length=60,
        clip_stride=30,
        min_clip_length=30,
    )


_finders: dict[str, Landmarker] = {}  # one of each in a process: models load once


def _extract_one(record: VideoRecord, folder: Path, preprocessing: Preprocessing) -> Extracted:
    finder = _finders.get(preprocessing.landmarker)
    if finder is None:
        finder = _finders[preprocessing.landmarker] = landmarker(preprocessing.landmarker)
    with VideoReader(record.path, threads=1) as reader:
        frames = spaced(reader, preprocessing.frame_rate)
        sequences = [s for s in landmark_sequences(frames, finder, preprocessing) if s.valid.any()]
    store.write(folder, record, sequences, preprocessing.model_dump(mode="json"))
    return Extracted(reader.frames, len(sequences))
