"""A store as a sequence of videos, read lazily and chosen by split, group, method."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, overload

from lrnet.data.records import Label, of_split
from lrnet.data.store.files import StoredVideo, require_store
from lrnet.errors import DatasetError


class LandmarkStore(Sequence[StoredVideo]):
    """Videos of a store, by file name, made by one preprocessing. Landmarks are read on demand and not kept."""

    def __init__(self, folder: Path, videos: Sequence[StoredVideo], preprocessing: dict[str, Any]) -> None:
        self.folder = folder
        self.preprocessing = preprocessing
        self._videos = tuple(videos)

    def __len__(self) -> int:
        return len(self._videos)

    @overload
    def __getitem__(self, index: int) -> StoredVideo: ...
    @overload
    def __getitem__(self, index: slice) -> LandmarkStore: ...
    def __getitem__(self, index: int | slice) -> StoredVideo | LandmarkStore:
        if isinstance(index, slice):
            return LandmarkStore(self.folder, self._videos[index], self.preprocessing)
        return self._videos[index]

    def select(
        self,
        *,
        split: str | None = None,
        label: Label | str | None = None,
        method: str | Collection[str] | None = None,
        compression: str | Collection[str] | None = None,
        source: str | Collection[str] | None = None,
        group: str | Collection[str] | None = None,
    ) -> LandmarkStore:
        """The videos that fit every choice, one value or several of each. A real video's method is "".

        Raises:
            DatasetError: the split is missing or shares a person with another split; or no video fits.
        """
        chosen = list(self._videos)
        if split is not None:
            inside = {r.key for r in of_split([v.record for v in chosen], split)}
            chosen = [v for v in chosen if v.record.key in inside]
        wanted = {"label": label, "method": method, "compression": compression, "source": source, "group": group}
        for name, choice in wanted.items():
            if choice is not None:
                values = {choice} if isinstance(choice, str) else set(choice)
                chosen = [v for v in chosen if getattr(v.record, name) in values]
                if not chosen:
                    there = sorted({str(getattr(v.record, name)) for v in self._videos})
                    raise DatasetError(
                        f"No video of {self.folder} has the {name} {' or '.join(sorted(map(repr, values)))}.",
                        hint=f"There is {', '.join(repr(t) for t in there[:12])}.",
                    )
        return LandmarkStore(self.folder, chosen, self.preprocessing)


def open(store: str | os.PathLike[str]) -> LandmarkStore:
    """The videos of a store. Reads the footer of every file (below a millisecond each), not the landmarks.

    Raises:
        DatasetError: there is no store, it is empty, a file is damaged, or files were made by different preprocessing.
    """
    folder = Path(store)
    videos = [StoredVideo.of(file) for file in require_store(folder)]
    first = videos[0]
    for video in videos:
        if video.preprocessing != first.preprocessing:
            raise DatasetError(
                f"{video.file.name} and {first.file.name} were made by different preprocessing.",
                hint="Extract into an empty folder.",
            )
    return LandmarkStore(folder, videos, first.preprocessing)
