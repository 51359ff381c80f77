"""Clips of stored videos, embedded and labelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lrnet.data.records import Label, VideoRecord
from lrnet.data.store import StoredVideo
from lrnet.network.clips import cut_clips
from lrnet.network.streams import STREAMS, embed_clips
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face
from lrnet.sequence.settings import ClipSpec
from lrnet.training.config import TrainingConfig


@dataclass(frozen=True, slots=True)
class ClipTable:
    """Clips of one length.

    Attributes:
        streams: for each stream, (C, length - lag, width) float32.
        label: (C,) float32, 0 real, 1 fake.
        video: (C,) index into `videos`.
        videos: every video that gave clips.
    """

    streams: dict[str, NDArray[np.float32]]
    label: NDArray[np.float32]
    video: NDArray[np.int64]
    videos: tuple[VideoRecord, ...]

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, slots=True)
class FaceOfVideo:
    """A video's record and the sequences of its longest-seen face.

    In a video of several people the label is about one of them, nearly always the one seen longest.
    """

    record: VideoRecord
    sequences: tuple[LandmarkSequence, ...]


def main_faces(videos: Iterable[StoredVideo]) -> list[FaceOfVideo]:
    """Read the longest-seen face of each video: about 2 kB a frame."""
    return [FaceOfVideo(v.record, tuple(main_face(v.sequences()))) for v in videos]


def clip_table(faces: Iterable[FaceOfVideo], streams: Sequence[str], clips: ClipSpec) -> ClipTable:
    """Cut and embed every face.

    Args:
        clips: runs shorter than `length` are left out: a table's clips have one length.
    """
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in streams}
    owners: list[int] = []
    records: list[VideoRecord] = []
    whole = clips.model_copy(update={"min_length": clips.length})
    for face in faces:
        count = 0
        for sequence in face.sequences:
            for batch in embed_clips(sequence, cut_clips(sequence, whole), tuple(streams)):
                count += len(batch.clips)
                for name in streams:
                    parts[name].append(batch.streams[name])
        if count:
            owners += [len(records)] * count
            records.append(face.record)
    owner = np.array(owners, np.int64)
    fake = np.array([r.label is Label.FAKE for r in records], np.float32)
    empty = {name: np.zeros((0, whole.length - STREAMS[name].lag, STREAMS[name].width), np.float32) for name in streams}
    return ClipTable(
        {name: np.concatenate(rows) if rows else empty[name] for name, rows in parts.items()},
        fake[owner] if owners else np.zeros(0, np.float32),
        owner,
        tuple(records),
    )


def training_clips(faces: Iterable[FaceOfVideo], config: TrainingConfig) -> ClipTable:
    """The clips that a configuration trains on, mirror images included."""
    if config.augmentation.mirror:
        faces = [FaceOfVideo(f.record, (*f.sequences, *(s.mirrored() for s in f.sequences))) for f in faces]
    return clip_table(faces, config.stream_names, config.clips)


def balanced_weights(
    table: ClipTable,
    paired_share: float = 0.6,
    *,
    by_source: bool = True,
    copies: Mapping[str, float] = MappingProxyType({}),
) -> NDArray[np.float32]:
    """(C,) weights with mean 1: real and fake weigh the same, and within a class, if `by_source`,

    - sources that have both classes weigh `paired_share`, the others the rest: where all fakes come from one source, a
      network that sees few real videos of that source learns the source;
    - sources otherwise weigh by the root of their number of videos; videos of a source weigh the same, but for
      `copies`: compressions, and what their videos weigh beside others; clips of a video weigh the same.

    Otherwise clips of a class weigh the same.
    """
    if not by_source:
        share = np.where(table.label == 1, table.label.mean(), 1 - table.label.mean())
        return np.asarray(0.5 / share, np.float32)
    fake = np.array([r.label is Label.FAKE for r in table.videos])
    source = np.array([r.source for r in table.videos])
    beside = np.array([copies.get(r.compression, 1.0) for r in table.videos])
    clips = np.bincount(table.video, minlength=len(table.videos))
    present = clips > 0
    paired = set(source[present & fake]) & set(source[present & ~fake])
    weight = np.zeros(len(table.videos))
    for cls in (False, True):
        of_class = present & (fake == cls)
        names = np.unique(source[of_class])
        roots = {name: np.sqrt((of_class & (source == name)).sum()) for name in names}
        alone = paired.isdisjoint(names) or paired.issuperset(names)
        for name, root in roots.items():
            peers = [n for n in names if (n in paired) == (name in paired)]
            share = 1.0 if alone else paired_share if name in paired else 1 - paired_share
            inside = of_class & (source == name)
            weight[inside] = share * root / sum(roots[n] for n in peers) * beside[inside] / beside[inside].sum()
    by_clip = weight[table.video] / clips[table.video]
    return np.asarray(by_clip / by_clip.mean(), np.float32)
