"""Crops of the faces of a landmark store: a Parquet file for each video, in the store's folder `crops`.

A row is a crop: its face, frame, time, landmarks, and the picture, lossless (PNG). Stored crops show more of the
surroundings than those of detection, at the same scale, so that training can shift and turn them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lrnet.appearance.crops import CROP_EVERY, WIDE, middle, to_crop, wide_crop
from lrnet.data.engines import LocalEngine, SerialEngine
from lrnet.data.records import Label
from lrnet.data.store.files import StoredVideo, damaged
from lrnet.errors import DatasetError
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.files import written_beside
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.video.limits import Access
from lrnet.video.reader import VideoReader

FOLDER: Final = "crops"

MOST_CROPS: Final = 120
"""Of one video, a minute of a face; of a longer one they are spread over its time, and detection looks at more."""

_SCHEMA: Final = pa.schema(
    [
        ("face", pa.int32()),
        ("frame_index", pa.int64()),
        ("time", pa.float64()),
        ("landmarks", pa.list_(pa.float32(), 2 * NUM_LANDMARKS)),
        ("png", pa.binary()),
    ]
)


@dataclass(frozen=True, slots=True)
class CropsOfVideo:
    """The crops of one video.

    Attributes:
        key, fake, source, group, method, split: of its record, as it was when they were cut (`crops_of` has them as the
            store says now).
        faces: (K,) number of the track.
        frames: (K,) index of the frame.
        times: (K,) seconds.
        landmarks: (K, 68, 2) float32 crop coordinates.
        pictures: (K, WIDE, WIDE, 3) uint8 RGB.
        made_of: a hash of the video and of how its landmarks were made; "" for stills, and if it is not known.
    """

    key: str
    fake: bool
    source: str
    group: str
    method: str
    split: str
    faces: NDArray[np.int32]
    frames: NDArray[np.int64]
    times: NDArray[np.float64]
    landmarks: NDArray[np.float32]
    pictures: NDArray[np.uint8]
    made_of: str = ""


def crops_file(video: StoredVideo) -> Path:
    """Where the crops of a stored video are."""
    return video.file.parent / FOLDER / video.file.name


def require_crops(videos: Iterable[StoredVideo]) -> None:
    """Raise DatasetError if no crops were cut of one of the videos."""
    for video in videos:
        if not crops_file(video).exists():
            raise _no_crops(video)


def _no_crops(video: StoredVideo) -> DatasetError:
    return DatasetError(
        f"The store has no crops of {video.record.key}, and the model looks at them.",
        hint="Cut them with `lrnet store crops`, or evaluate without appearance.",
    )


def with_crops(video: StoredVideo, sequences: Sequence[LandmarkSequence]) -> list[LandmarkSequence]:
    """A stored video's sequences with the crops that were cut for them.

    Raises:
        DatasetError: there are none; or see `crops_of`.
    """
    crops = crops_of(video)
    if crops is None:
        raise _no_crops(video)
    pictures = middle(crops.pictures)
    found = []
    for sequence in sequences:
        seen = sequence.frame_indices[sequence.valid]
        own = (crops.faces == sequence.face) & np.isin(crops.frames, seen)
        found.append(replace(sequence, crops=pictures[own], crop_times=crops.times[own]) if own.any() else sequence)
    return found


def wanted_frames(
    sequences: Sequence[LandmarkSequence], most: int = MOST_CROPS
) -> dict[int, list[tuple[int, NDArray[np.float32]]]]:
    """Frame index -> (face, landmarks (68, 2) in frame pixels) of the crops to take: one every `CROP_EVERY` seconds of
    each sequence, as detection takes them, thinned out evenly to `most`."""
    found: list[tuple[int, int, NDArray[np.float32]]] = []
    for sequence in sequences:
        detected = sequence.uncalibrated().frame_landmarks()
        last = -np.inf
        for i in np.flatnonzero(sequence.valid):
            if sequence.times[i] - last >= CROP_EVERY:
                last = sequence.times[i]
                found.append((int(sequence.frame_indices[i]), sequence.face, detected[i]))
    if len(found) > most:
        found = [found[round(i)] for i in np.linspace(0, len(found) - 1, most)]
    wanted: dict[int, list[tuple[int, NDArray[np.float32]]]] = {}
    for index, face, landmarks in found:
        wanted.setdefault(index, []).append((face, landmarks))
    return wanted


def cut_crops(video: StoredVideo, most: int = MOST_CROPS) -> int:
    """Decode a stored video and write its crops, at most `most`; how many there are.

    Raises:
        LrnetError: the video cannot be read, or the crops cannot be written.
    """
    wanted = wanted_frames(video.sequences(("detected", "centres")), most)
    found: list[tuple[int, int, float, NDArray[np.float32], NDArray[np.uint8]]] = []
    if wanted:
        last = max(wanted)
        with VideoReader(video.record.path, Access(), threads=1) as reader:
            for frame in reader.decode():
                for face, landmarks in wanted.get(frame.index, ()):
                    picture = wide_crop(frame, landmarks)
                    if picture is not None:
                        found.append((face, frame.index, frame.time, to_crop(landmarks, WIDE), picture))
                if frame.index >= last:
                    break
    faces, frames, times, points, pictures = zip(*found, strict=True) if found else ((),) * 5
    crops = CropsOfVideo(
        **_about(video),
        faces=np.array(faces, np.int32),
        frames=np.array(frames, np.int64),
        times=np.array(times, np.float64),
        landmarks=np.array(points, np.float32).reshape(-1, NUM_LANDMARKS, 2),
        pictures=np.array(pictures, np.uint8).reshape(-1, WIDE, WIDE, 3),
        made_of=_made_of(video),
    )
    crops_file(video).parent.mkdir(exist_ok=True)
    write_crops(crops, crops_file(video))
    return len(found)


def write_crops(crops: CropsOfVideo, target: Path) -> None:
    """Write crops, whole or not at all. Raises OutputError if `target` cannot be written."""
    pngs = [cv2.imencode(".png", cv2.cvtColor(p, cv2.COLOR_RGB2BGR))[1].tobytes() for p in crops.pictures]
    points = crops.landmarks.reshape(-1, 2 * NUM_LANDMARKS).tolist()
    columns = [crops.faces, crops.frames, crops.times, points, pngs]
    names = ("key", "fake", "source", "group", "method", "split", "made_of")
    about = {name: getattr(crops, name) for name in names}
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=_SCHEMA.with_metadata({"lrnet": json.dumps(about)}))
    with written_beside(target) as beside:
        pq.write_table(table, beside, compression="none", use_dictionary=False)


def read_crops(file: Path) -> CropsOfVideo:
    """The crops in a file that `cut_crops` wrote. Raises DatasetError if the file is damaged."""
    try:
        table = pq.read_table(file)
        about = json.loads(table.schema.metadata[b"lrnet"])
        rows = {name: table.column(name) for name in _SCHEMA.names}
        landmarks = np.array(rows["landmarks"].to_pylist(), np.float32).reshape(-1, NUM_LANDMARKS, 2)
        pictures = [_of_png(png) for png in rows["png"].to_pylist()]
        return CropsOfVideo(
            **about,
            faces=rows["face"].to_numpy(),
            frames=rows["frame_index"].to_numpy(),
            times=rows["time"].to_numpy(),
            landmarks=landmarks,
            pictures=np.array(pictures, np.uint8).reshape(-1, WIDE, WIDE, 3),
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, cv2.error) as error:
        raise damaged(file, error, "lrnet store crops") from error


def crops_of(video: StoredVideo) -> CropsOfVideo | None:
    """The crops of a stored video, with the label, source, group, method and split of the store; None without any.

    Raises:
        DatasetError: their file is damaged, or they are of another version of the video or of its landmarks. Files that
            do not say are taken.
    """
    file = crops_file(video)
    if not file.exists():
        return None
    crops = read_crops(file)
    if crops.made_of not in ("", _made_of(video)):
        raise DatasetError(
            f"The crops of {video.record.key} in {file} were cut before it was extracted again.",
            hint="Cut them again with `lrnet store crops`.",
        )
    return replace(crops, **_about(video))


def _about(video: StoredVideo) -> dict[str, Any]:
    record = video.record
    return {
        "key": record.key,
        "fake": record.label is Label.FAKE,
        "source": record.source,
        "group": record.group,
        "method": record.method,
        "split": record.split,
    }


def _made_of(video: StoredVideo) -> str:
    about = json.dumps([video.sha256, video.preprocessing, video.frames], sort_keys=True)
    return hashlib.sha256(about.encode()).hexdigest()


def _is_cut(video: StoredVideo) -> bool:
    """Whether a video has crops that are not of another version of it. Reads the footer only."""
    try:
        about = json.loads(pq.read_schema(crops_file(video)).metadata[b"lrnet"])
        return about.get("made_of", "") in ("", _made_of(video))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError):
        return False


def _of_png(png: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("a crop is not a picture")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def cut_store(
    videos: Sequence[StoredVideo],
    workers: int = 1,
    tell: Callable[[int, int, str], None] | None = None,
    most: int = MOST_CROPS,
) -> list[str]:
    """Cut the crops of every video that has none yet, or that was extracted again since. Started again, it goes on.

    Args:
        workers: processes that cut side by side.
        tell: called after each video with how many are done, how many there are, and its name.
        most: crops of a video.

    Returns:
        The videos that could not be cut, with the reasons.
    """
    missing = [v for v in videos if not _is_cut(v)]
    failed: list[str] = []
    engine = LocalEngine(workers) if workers > 1 else SerialEngine()
    for done, outcome in enumerate(engine.run(partial(cut_crops, most=most), missing), start=1):
        name = outcome.item.record.key
        if outcome.error is not None:
            failed.append(f"{name}: {outcome.error}")
        if tell is not None:
            tell(done, len(missing), name)
    return failed


def read_folder(videos: Sequence[StoredVideo]) -> Iterator[CropsOfVideo]:
    """The crops of each video that has some. Raises as `crops_of`."""
    for video in videos:
        if (crops := crops_of(video)) is not None:
            yield crops
