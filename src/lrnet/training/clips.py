"""Clips of stored videos, embedded and labelled: what an epoch runs over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.datasets.records import Label, VideoRecord
from lrnet.features import STREAMS, ClipSettings, LandmarkSequence, cut_clips, embed_clips, main_face
from lrnet.store import StoredVideo

MIRROR: Final = np.array(
    [
        *range(16, -1, -1),  # jaw
        *range(26, 16, -1),  # brows
        *range(27, 31),  # bridge of the nose
        *range(35, 30, -1),  # nostrils
        *(45, 44, 43, 42, 47, 46),  # right eye
        *(39, 38, 37, 36, 41, 40),  # left eye
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),  # outer lips
        *(64, 63, 62, 61, 60, 67, 66, 65),  # inner lips
    ]
)
"""Which landmark each one becomes in a mirror."""


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

    def of_videos(self, wanted: NDArray[np.bool_]) -> ClipTable:
        """The clips of some videos, (V,) bool; indices into `videos` stay as they are."""
        rows = np.flatnonzero(wanted[self.video])
        return ClipTable(
            {name: values[rows] for name, values in self.streams.items()},
            self.label[rows],
            self.video[rows],
            self.videos,
        )


def mirrored(sequence: LandmarkSequence) -> LandmarkSequence:
    """The sequence as a mirror would show it."""
    flip = np.array([-1, 1], np.float32)
    return replace(
        sequence,
        values=sequence.values[:, MIRROR] * flip,
        detected=sequence.detected[:, MIRROR] * flip,
        innovation=sequence.innovation[:, MIRROR] * flip,
        forward_backward_error=sequence.forward_backward_error[:, MIRROR],
        tracked=sequence.tracked[:, MIRROR],
    )


def clip_table(
    videos: Iterable[StoredVideo],
    streams: Sequence[str],
    clips: ClipSettings,
    *,
    mirror: bool = False,
    calibrated: bool = True,
) -> ClipTable:
    """Cut and embed the longest-lived face of each video.

    In a video of several people the label speaks of one of them, and that is nearly always the one seen longest.

    Args:
        clips: runs shorter than `length` are left out: a table's clips have one length.
        mirror: add every clip's mirror image.
        calibrated: False takes the landmarks as they were detected.
    """
    parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in streams}
    owners: list[int] = []
    records: list[VideoRecord] = []
    whole = replace(clips, min_length=clips.length)
    for video in videos:
        sequences = main_face(video.sequences())
        if not calibrated:
            sequences = [s.uncalibrated() for s in sequences]
        if mirror:
            sequences = [*sequences, *map(mirrored, sequences)]
        count = 0
        for sequence in sequences:
            for batch in embed_clips(sequence, cut_clips(sequence, whole), tuple(streams)):
                count += len(batch.clips)
                for name in streams:
                    parts[name].append(batch.streams[name])
        if count:
            owners += [len(records)] * count
            records.append(video.record)
    owner = np.array(owners, np.int64)
    fake = np.array([r.label is Label.FAKE for r in records], np.float32)
    empty = {name: np.zeros((0, whole.length - STREAMS[name].lag, STREAMS[name].width), np.float32) for name in streams}
    return ClipTable(
        {name: np.concatenate(rows) if rows else empty[name] for name, rows in parts.items()},
        fake[owner],
        owner,
        tuple(records),
    )


def balanced_weights(table: ClipTable, paired_share: float = 0.6) -> NDArray[np.float32]:
    """(C,) weights with mean 1: real and fake weigh the same, and within a class

    - sources that have both classes weigh `paired_share`, the others the rest: where all fakes come from one source, a
      network that is shown few real videos of that source learns to tell the source;
    - sources otherwise weigh by the root of their number of videos, videos of a source the same, clips of a video the
      same.
    """
    fake = np.array([r.label is Label.FAKE for r in table.videos])
    source = np.array([r.source for r in table.videos])
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
            weight[inside] = share * root / sum(roots[n] for n in peers) / inside.sum()
    by_clip = weight[table.video] / clips[table.video]
    return np.asarray(by_clip / by_clip.mean(), np.float32)
