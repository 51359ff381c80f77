"""Which crops a batch is made of.

A source counts by the square root of the people in it, up to `MOST_PEOPLE` of them, people of a source alike, and so do
a person's videos: no source that has many videos of few people decides what a real face is. A batch holds

- pairs of a real face and a fake made of it (`blend`), and
- fakes at hand, each beside a real face of the same people, where there is one, or of the same source.

Both of a pair go the same way (`Degradation`). Fakes at hand show few people, and a network soon knows them by heart:
at three in ten it separated those it was trained on by an AUC of 0.95, and those of other people by 0.74.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lrnet.data.store.crops import CropsOfVideo
from lrnet.training.appearance.blend import Picture, Points, moved, other_history, self_blended, swapped
from lrnet.training.appearance.degrade import Degradation

MOST_PEOPLE: Final = 36

SWAPPED: Final = 0.15
"""Share of the made fakes that have another person's face."""

ALTERED: Final = 0.5
"""Share of the real faces beside made fakes that have another history as a whole. Blending moves a face, and that
softens it: the softer of a pair would be the fake in five cases of six."""


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Batch number i, always the same for a seed: (2 * pairs, 3, 128, 128) uint8 RGB, and 1.0 for a fake, 0.0 for a
    real face.

    Args:
        videos: to train on.
        count: how many batches there are.
        pairs: of a fake and a real face in a batch.
        at_hand: share of the pairs whose fake is one of the videos, not made here.
        seed: of everything that is drawn.
    """

    def __init__(self, videos: Sequence[CropsOfVideo], count: int, pairs: int, at_hand: float, seed: int) -> None:
        videos = [video for video in videos if len(video.times)]
        self._real = _People([v for v in videos if not v.fake])
        fakes = [v for v in videos if v.fake]
        self._fake = _People(fakes) if fakes and at_hand else None
        self._count, self._pairs, self._at_hand, self._seed = count, pairs, at_hand, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        pictures = [picture for _, *pair in self.pairs(number) for picture in pair]
        stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        return stacked, torch.tensor([1.0, 0.0] * self._pairs)

    def pairs(self, number: int) -> Iterator[tuple[Degradation, Picture, Picture]]:
        """Each pair of a batch: the way that both went, the fake, and the real face."""
        draw = np.random.default_rng((self._seed, number))
        for _ in range(self._pairs):
            way = Degradation.drawn(draw)
            if self._fake is not None and draw.random() < self._at_hand:
                shown = self._fake.video(draw)
                fake, _ = _crop(shown, draw)
                real, _ = _crop(self._real.like(shown, draw), draw)
            else:
                real, landmarks = _crop(self._real.video(draw), draw)
                fake = self._made(real, landmarks, draw)
                if draw.random() < ALTERED:
                    real = other_history(moved(real, draw), draw)
            fake, real = way.apply([fake, real])
            yield way, fake, real

    def _made(self, real: Picture, landmarks: Points, draw: np.random.Generator) -> Picture:
        if draw.random() < SWAPPED:
            donor, theirs = _crop(self._real.video(draw), draw)
            return swapped(real, landmarks, donor, theirs, draw)
        return self_blended(real, landmarks, draw)


class _People:
    """Videos by source and person."""

    def __init__(self, videos: Sequence[CropsOfVideo]) -> None:
        people: dict[str, dict[str, list[CropsOfVideo]]] = defaultdict(lambda: defaultdict(list))
        self._of_group: dict[str, list[CropsOfVideo]] = defaultdict(list)
        for video in videos:
            people[video.source][video.group].append(video)
            self._of_group[video.group].append(video)
        self._sources = sorted(people)
        self._people = {s: [people[s][g] for g in sorted(people[s])] for s in self._sources}
        weights = np.sqrt([min(len(self._people[s]), MOST_PEOPLE) for s in self._sources])
        self._weights = weights / weights.sum()

    def video(self, draw: np.random.Generator, source: str = "") -> CropsOfVideo:
        """One of a source that is drawn too, if it is not given."""
        people = self._people[source or self._sources[int(draw.choice(len(self._sources), p=self._weights))]]
        return _one_of(people[int(draw.integers(len(people)))], draw)

    def like(self, video: CropsOfVideo, draw: np.random.Generator) -> CropsOfVideo:
        """One of the same people; otherwise of the same source, if there is one."""
        if video.group in self._of_group:
            return _one_of(self._of_group[video.group], draw)
        return self.video(draw, video.source if video.source in self._people else "")


def _one_of(videos: Sequence[CropsOfVideo], draw: np.random.Generator) -> CropsOfVideo:
    return videos[int(draw.integers(len(videos)))]


def _crop(video: CropsOfVideo, draw: np.random.Generator) -> tuple[Picture, Points]:
    """A picture and its landmarks."""
    i = int(draw.integers(len(video.times)))
    return video.pictures[i], video.landmarks[i]
