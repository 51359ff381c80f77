"""The job of a worker: the landmark sequences of one video of a dataset.

It needs no more than detection: machines of a cluster need neither pyarrow nor torch.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import cv2
import numpy as np

from lrnet.data.records import VideoRecord
from lrnet.detector import landmark_sequences
from lrnet.errors import MissingDependencyError, NoFaceError, SequenceError, VideoError, VideoNotFoundError
from lrnet.extras import install_command
from lrnet.faces import Landmarker, landmarker
from lrnet.faces.landmark_files import read_landmarks
from lrnet.faces.tracker import TrackSettings
from lrnet.network.released import RELEASED_LANDMARKER
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.version import __version__, library_versions
from lrnet.video.custody import custody
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access, Limits
from lrnet.video.spacing import spaced
from lrnet.video.treatments import Treatment


@dataclass(frozen=True, slots=True)
class Provenance:
    """The origin of landmarks; independent of time, machine and number of workers.

    Attributes:
        sha256, size: of the video (or landmark file); bytes.
        frames: that were decoded.
        damaged_packets: that could not be decoded.
        quantiser: how coarsely the video is encoded (`lrnet.video.reader.Reader`); None if unknown.
        versions: of lrnet and of the libraries that the landmarks depend on.
    """

    sha256: str = ""
    size: int = 0
    frames: int = 0
    damaged_packets: int = 0
    quantiser: float | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExtractedVideo:
    """The result of a job; `seconds` of wall-clock time."""

    sequences: tuple[LandmarkSequence, ...]
    provenance: Provenance
    seconds: float


@dataclass(frozen=True, slots=True)
class LandmarkJob:
    """Landmark sequences of every face of one video.

    Attributes:
        treatment: applied to the video first, in a temporary copy; provenance names the original.
        most_frames: how many frames from the start are decoded; None for all.
        access: how the video is opened. By default a video past a limit is refused, as stores hold whole videos; of
            more faces than the limit, the largest are followed.

    Raises:
        VideoError: the video cannot be read.
        NoFaceError: it shows no face.
        SequenceError: a landmark file cannot be read, or its landmarks are not normalised.
        MissingDependencyError: the record has an address, and fsspec (or its part for that address) is not installed.
    """

    preprocessing: Preprocessing
    treatment: Treatment | None = None
    most_frames: int | None = None
    access: Access = field(default_factory=lambda: Access(limits=Limits(refuse=True)))

    def __call__(self, record: VideoRecord) -> ExtractedVideo:
        began = perf_counter()
        # One video a core: threads inside one only take time from the others.
        cv2.setNumThreads(1)
        with local_file(record) as path, custody(path) as held:
            if holds_landmarks(path):
                sequences, frames = _read_released(path, self.preprocessing)
                damaged, quantiser = 0, None
            else:
                with self._treated(path, record.key) as video:
                    sequences, frames, damaged, quantiser = self._follow(video)
            if not sequences:
                raise NoFaceError(
                    f"{record.key} shows no face in {frames} frames.", hint="Leave it out of the dataset."
                )
            provenance = Provenance(held.sha256() or "", path.stat().st_size, frames, damaged, quantiser, versions())
        return ExtractedVideo(sequences, provenance, perf_counter() - began)

    @contextmanager
    def _treated(self, path: Path, key: str) -> Iterator[Path]:
        if self.treatment is None:
            yield path
            return
        with TemporaryDirectory(prefix="lrnet-") as folder:
            copy = Path(folder) / "treated.mp4"
            self.treatment.write(path, copy, key, self.most_frames)
            yield copy

    def _follow(self, path: Path) -> tuple[tuple[LandmarkSequence, ...], int, int, float | None]:
        with open_video(path, self.access, threads=1) as reader:
            frames = spaced(islice(reader, self.most_frames), self.preprocessing.frame_rate)
            tracks = TrackSettings(max_faces=self.access.limits.faces)
            found = landmark_sequences(frames, _loaded(self.preprocessing.landmarker), self.preprocessing, tracks)
            sequences = tuple(s for s in found if s.valid.any())
        looked_at = min(reader.frames, self.most_frames or reader.frames)  # some more wait, decoded ahead
        return sequences, looked_at, reader.damaged, reader.quantiser


@lru_cache(maxsize=1)
def _loaded(name: str) -> Landmarker:
    """Loaded once in a process."""
    return landmarker(name)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Of lrnet, Python, and what decodes, detects and follows."""
    own = {"lrnet": __version__, "python": ".".join(map(str, sys.version_info[:2]))}
    return own | library_versions(("av", "numpy", "onnxruntime", "opencv-python-headless"))


def holds_landmarks(path: Path) -> bool:
    """Whether a dataset's file holds landmarks (the released text format), not a video."""
    return path.suffix.lower() == ".txt"


def _read_released(path: Path, preprocessing: Preprocessing) -> tuple[tuple[LandmarkSequence, ...], int]:
    if preprocessing.landmarker != RELEASED_LANDMARKER:
        raise SequenceError(
            f"The landmarks of {path.name} lie in a file, and the store is of {preprocessing.landmarker} landmarks.",
            hint="Put landmark files in a separate store.",
        )
    table = read_landmarks(path)
    if table.units != "normalised" and np.isfinite(table.points).any():
        raise SequenceError(
            f"{path} holds landmarks in frame pixels.",
            hint="Released landmark files are normalised to [-1, 1]; pixels go through `lrnet calibrate`.",
        )
    sequence = LandmarkSequence.from_values(table.points)
    return ((sequence,) if sequence.valid.any() else ()), len(table)


@contextmanager
def local_file(record: VideoRecord) -> Iterator[Path]:
    """The record's file; for an address, a temporary copy."""
    if not record.url:
        yield record.path
        return
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingDependencyError(
            f"{record.url} needs fsspec, which is not installed.", hint=f"Install it: {install_command('cluster')}"
        ) from error
    with TemporaryDirectory(prefix="lrnet-") as folder:
        copy = Path(folder) / record.path.name
        try:
            system, name = url_to_fs(record.url)
            system.get_file(name, str(copy))
        except FileNotFoundError as error:
            raise VideoNotFoundError(f"There is no {record.url}.", hint="Check the address.") from error
        except ImportError as error:
            raise MissingDependencyError(
                f"{record.url} cannot be opened: {error}.", hint="Install the package that it names."
            ) from error
        except Exception as error:  # each storage has its own errors
            raise VideoError(
                f"{record.url} cannot be fetched ({type(error).__name__}: {error}).",
                hint="Check the address and the permission to read it.",
            ) from error
        yield copy
