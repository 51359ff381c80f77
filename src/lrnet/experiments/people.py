"""Are people distinguished by their looks? `python -m lrnet.experiments.people STORE...`.

Prints, for the real videos of landmark stores with looks, how often the two halves of a track are joined (one person),
how often tracks of two people are (of any source, of the same source), and how often a track of one person is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lrnet.data.records import Label, VideoRecord
from lrnet.experiments import environment
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face
from lrnet.verdict.people import LooksOfStretch, parts_of

LEAST_LOOKS = 4  # of a track whose halves are compared
PAIRS = 40  # other tracks that each one is compared with

Track = tuple[VideoRecord, LandmarkSequence]


def main() -> None:
    parser = environment.parser(__doc__)
    parser.add_argument("stores", type=Path, nargs="+")
    tracks: list[Track] = []
    for folder in parser.parse_args().stores:
        for video in environment.stored(folder):
            if video.record.label is not Label.REAL:  # the group of a fake does not identify its face
                continue
            faces = main_face(video.sequences(only=("looks",)))
            tracks += [(video.record, s) for s in faces[:1] if s.looks is not None and len(s.looks) >= LEAST_LOOKS]
    report(tracks)


def report(tracks: Sequence[Track]) -> None:
    """Print what was found in the longest-seen track of each real video."""
    halves = [(record, *_halves(sequence)) for record, sequence in tracks]
    people = len({record.group for record, _ in tracks})
    joined = [first.resembles(second) for _, first, second in halves]
    draw = np.random.default_rng(0)
    apart: list[tuple[bool, bool]] = []
    for record, first, _ in halves:
        for i in draw.choice(len(halves), min(PAIRS, len(halves)), replace=False):
            other, look, _ = halves[int(i)]
            if other.group != record.group:
                apart.append((first.resembles(look), other.source == record.source))
    cut = [len(parts_of(sequence)) > 1 for _, sequence in tracks]
    print(f"{len(tracks)} videos of {people} groups of people")
    print(f"halves of one track joined: {np.mean(joined):.3f}")
    for what, rows in (("of any source", apart), ("of the same source", [row for row in apart if row[1]])):
        shown = f"{np.mean([same for same, _ in rows]):.4f}" if rows else "no pairs"
        print(f"tracks of two people {what} joined: {shown} of {len(rows)} pairs")
    owners = {record.group for (record, _), was in zip(tracks, cut, strict=True) if was}
    print(f"tracks cut: {sum(cut)} of {len(cut)}, of {len(owners)} groups of people")


def _halves(sequence: LandmarkSequence) -> tuple[LooksOfStretch, LooksOfStretch]:
    assert sequence.looks is not None
    middle = len(sequence.looks) // 2
    return LooksOfStretch(sequence.looks[:middle]), LooksOfStretch(sequence.looks[middle:])


if __name__ == "__main__":
    environment.run(main)
