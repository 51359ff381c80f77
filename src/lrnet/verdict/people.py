"""Who is who: which stretches of a video show the same person, and where one track passes from one person to another.

Decided by looks (`lrnet.faces.look`), small pictures of the face. Two stretches are joined where any look of one is as
near to a look of the other as looks of different people hardly ever are; a person who comes back turned, lit or made up
otherwise counts as another one. `python -m lrnet.experiments.people STORE...` measures it: of 320 real videos of 88
groups of people, the halves of a track are joined in 94 %, tracks of two people in 0.03 % (of one source, 0.2 %), and
one track is cut though it shows one person.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.sequence.landmark_sequence import LandmarkSequence

SAME_PERSON: Final = 0.4  # distance of two looks below which they are of one person
OTHER_PERSON: Final = 0.9  # distance of all looks before from all looks after, above which a track changed hands
NEVER_ALIKE: Final = 0.7  # distance of any look before from any look after, over the whole sequence, below which not
STEADY: Final = 0.5  # distance of neighbouring looks up to which the look counts as settled
FADE: Final = 0.75  # seconds on either side of a change that are left out: the picture is of both
MOST_LOOKS: Final = 60  # kept of one stretch, spread over it

Looks = NDArray[np.float32]


class LooksOfStretch:
    """The looks of one stretch, at most `MOST_LOOKS` of them."""

    def __init__(self, looks: Looks | None = None) -> None:
        self._looks: list[NDArray[np.float32]] = [] if looks is None else list(looks)

    def add(self, sequence: LandmarkSequence) -> None:
        """Take the looks of the stretch's next sequence."""
        if sequence.looks is not None:
            self._looks += list(sequence.looks)
        while len(self._looks) > MOST_LOOKS:
            self._looks = self._looks[::2]

    def resembles(self, other: LooksOfStretch) -> bool:
        """Whether both show the same person; False without looks."""
        if not (self._looks and other._looks):
            return False
        return float(distances(np.array(self._looks), np.array(other._looks)).min()) < SAME_PERSON

    def goes_on_in(self, sequence: LandmarkSequence) -> bool:
        """Whether the track's next sequence still shows the same person; True where looks do not tell."""
        if not self._looks or sequence.looks is None:
            return True
        return float(distances(np.array(self._looks), sequence.looks).min()) < OTHER_PERSON


def distances(a: Looks, b: Looks) -> NDArray[np.float32]:
    """(A, B) Euclidean distances of looks (A, L) and (B, L)."""
    return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=2), np.float32)


def parts_of(sequence: LandmarkSequence) -> list[LandmarkSequence]:
    """The sequence, cut where it passes from one person to another, as in a cross-fade.

    Such a place is where the looks within two seconds before and after are steady, and none before is like any after.
    """
    if sequence.looks is None or sequence.look_times is None:
        return [sequence]
    cuts = _changes(sequence.looks, sequence.look_times)
    if not cuts:
        return [sequence]
    edges = [-np.inf, *cuts, np.inf]
    parts = [sequence.between(start + FADE, stop - FADE) for start, stop in pairwise(edges)]
    return [part for part in parts if len(part) > 1]


def _changes(looks: Looks, times: NDArray[np.float64]) -> list[float]:
    """Seconds at which the person changes."""
    found: list[tuple[float, float]] = []
    for i in range(1, len(times)):
        middle = (times[i - 1] + times[i]) / 2
        before = looks[(times < middle - FADE / 2) & (times > middle - 2.5)]
        after = looks[(times > middle + FADE / 2) & (times < middle + 2.5)]
        if len(before) < 3 or len(after) < 3 or not (_steady(before) and _steady(after)):
            continue
        apart = float(distances(before, after).min())
        if apart > OTHER_PERSON:
            found.append((apart, float(middle)))
    changes: list[float] = []
    for _, middle in sorted(found, reverse=True):  # of neighbouring candidates the clearest
        before, after = looks[times < middle - FADE / 2], looks[times > middle + FADE / 2]
        # Somebody who turned the head is soon seen as before.
        if all(abs(middle - other) > 2.5 for other in changes) and distances(before, after).min() > NEVER_ALIKE:
            changes.append(middle)
    return sorted(changes)


def _steady(looks: Looks) -> bool:
    return bool((np.linalg.norm(np.diff(looks, axis=0), axis=1) < STEADY).all())


def people_of_stretches(stretches: Sequence[tuple[float, float, LooksOfStretch]]) -> list[list[int]]:
    """Which stretches (start, stop, looks) are of one person: lists of their places, in order of first sight.

    A stretch joins the person whom it resembles and who is not in view elsewhere at the same time. Without looks each
    stretch is a person.
    """
    people: list[list[int]] = []
    for i in sorted(range(len(stretches)), key=lambda n: stretches[n][:2]):
        start, stop, look = stretches[i]
        for person in people:
            apart = all(stretches[j][1] <= start or stretches[j][0] >= stop for j in person)
            if apart and any(stretches[j][2].resembles(look) for j in person):
                person.append(i)
                break
        else:
            people.append([i])
    return people
