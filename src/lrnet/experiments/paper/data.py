"""The data of an experiment: datasets or landmark stores, and their videos in other conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lrnet.data import open_dataset, store
from lrnet.data.records import Label, VideoRecord, joined_groups
from lrnet.data.store import StoredVideo
from lrnet.data.store.files import store_files
from lrnet.errors import DatasetError
from lrnet.evaluation.protocol import COMPRESSIONS, compression_of
from lrnet.experiments.paper.videos import VideoSet
from lrnet.experiments.stores import Condition, cached_store

MOST_FRAMES: Final = 260  # of each video: ten seconds at 25 Hz


@dataclass
class Data:
    """Labelled videos, and their landmarks in any condition.

    Attributes:
        name: for tables.
        records: of every quality that the data hold.
        cache: folder for the stores of conditions.
        most_frames: of each video.
        workers: videos at a time.
    """

    name: str
    records: tuple[VideoRecord, ...]
    cache: Path
    most_frames: int | None = MOST_FRAMES
    workers: int = 1
    tell: Callable[[str], None] = lambda line: None
    _stored: dict[str, StoredVideo] = field(default_factory=dict)

    @classmethod
    def open(cls, paths: Sequence[Path], cache: Path, **settings: Any) -> Data:
        """Datasets and landmark stores, taken together; groups that share a person become one.

        Raises:
            DatasetError: there is nothing to read at a path, or a video stands in two of them.
        """
        records: dict[str, VideoRecord] = {}
        stored: dict[str, StoredVideo] = {}
        for path in paths:
            if store_files(path):
                found = {v.record.key: v for v in store.open(path)}
                stored |= found
                some = [v.record for v in found.values()]
            else:
                some = list(open_dataset(path).records)
            for record in some:
                if record.key in records:
                    raise DatasetError(f"{record.key} is in two of the datasets given.", hint="Give each once.")
                records[record.key] = record
        records = {r.key: r for r in joined_groups(list(records.values()))}
        stored = {key: replace(video, record=records[key]) for key, video in stored.items()}
        sources = list(dict.fromkeys(r.source for r in records.values()))
        name = " and ".join(sources) if len(sources) < 3 else f"{paths[0].name} ({len(sources)} sources)"
        return cls(name, tuple(records.values()), cache, _stored=stored, **settings)

    def qualities(self) -> dict[str, tuple[VideoRecord, ...]]:
        """The videos by how strongly the dataset compressed them, the least first; only qualities with both classes."""
        found: dict[str, list[VideoRecord]] = {}
        for record in self.records:
            found.setdefault(compression_of(record), []).append(record)
        both = {q: tuple(rs) for q, rs in found.items() if len({r.label for r in rs}) == 2}
        order = {name: i for i, name in enumerate(COMPRESSIONS)}
        return dict(sorted(both.items(), key=lambda item: order.get(item[0], len(order))))

    @property
    def stored(self) -> tuple[StoredVideo, ...]:
        """The videos that come from landmark stores."""
        return tuple(self._stored.values())

    @property
    def main(self) -> tuple[VideoRecord, ...]:
        """The videos in the best quality that has both classes; all of them if none has."""
        qualities = self.qualities()
        return next(iter(qualities.values())) if qualities else self.records

    @property
    def has_videos(self) -> bool:
        """Whether the videos themselves can be read."""
        return all(r.url or r.path.is_file() for r in self.main)

    def require_both_classes(self) -> None:
        """Raise DatasetError where there is nothing to train on."""
        if len({r.label for r in self.main}) < 2:
            there = "real" if all(r.label is Label.REAL for r in self.records) else "fake"
            raise DatasetError(f"{self.name} has only {there} videos.", hint="An experiment trains: add the others.")

    def clean(self, *, landmarker: str = "mesh") -> VideoSet:
        """The videos as they are."""
        name = "clean" if landmarker == "mesh" else landmarker
        return self.condition(Condition.of("clean", landmarker), name)

    def stored_quality(self, name: str, records: Sequence[VideoRecord]) -> VideoSet:
        """The videos of one of the dataset's own qualities, as they are."""
        return self.condition(Condition.of("clean"), name, records)

    def treated(self, name: str) -> VideoSet:
        """The videos re-encoded (see `lrnet.video.treatments.Reencoding`)."""
        return self.condition(Condition.of(name), name)

    def condition(
        self,
        condition: Condition,
        name: str,
        records: Sequence[VideoRecord] | None = None,
        most_frames: int | None = None,
    ) -> VideoSet:
        """The videos in a condition, from the store that holds them or, made once, from the cache.

        Args:
            records: some of the videos; the main ones by default.
            most_frames: fewer than usual.

        Raises:
            DatasetError: a video is no longer where a store says that it was.
        """
        chosen = self.main if records is None else tuple(records)
        most = most_frames or self.most_frames
        there = [self._stored[r.key] for r in chosen if r.key in self._stored]
        fit = condition.treatment is None and all(v.preprocessing["landmarker"] == condition.landmarker for v in there)
        if fit and len(there) == len(chosen):
            return VideoSet(name, tuple(there), most_frames=most)
        gone = [r for r in chosen if not r.url and not r.path.is_file()]
        if gone:
            raise DatasetError(
                f"{name}: {len(gone)} videos are needed and not at their paths, {gone[0].path} among them.",
                hint=f"Give the dataset itself, or a store of its {condition.landmarker} landmarks so treated.",
            )
        self.tell(f"{name}: landmarks of {len(chosen)} videos")
        folder = cached_store(chosen, replace(condition, most_frames=most), self.cache, workers=self.workers)
        keys = {r.key for r in chosen}
        found = tuple(v for v in store.open(folder) if v.record.key in keys)
        # Splits and groups are those of the data given, whatever they were when the cache was filled.
        known = {r.key: r for r in chosen}
        return VideoSet(name, tuple(replace(v, record=known[v.record.key]) for v in found), most_frames=most)
