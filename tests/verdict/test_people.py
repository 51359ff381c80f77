"""Who is who."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict.people import OTHER_PERSON, SAME_PERSON, LooksOfStretch, parts_of, people_of_stretches

RNG = np.random.default_rng(0)
ANNA, BEN = (v / np.linalg.norm(v) for v in RNG.normal(size=(2, 40)))


def looks(of: np.ndarray, count: int, noise: float = 0.02) -> np.ndarray:
    return (of + noise * RNG.normal(size=(count, 40))).astype(np.float32)


def sequence(seen: np.ndarray, rate: float = 25.0) -> LandmarkSequence:
    """A track with two looks a second."""
    frames = int(len(seen) / 2 * rate)
    values = RNG.normal(size=(frames, 68, 2)).astype(np.float32)
    bare = LandmarkSequence.from_values(values, rate=rate)
    times = bare.times[:: int(rate / 2)][: len(seen)]
    return replace(bare, looks=seen[: len(times)], look_times=times)


def test_the_made_up_people_are_apart() -> None:
    assert SAME_PERSON < OTHER_PERSON < np.linalg.norm(ANNA - BEN)


def test_stretches_of_one_person_are_joined_and_numbered_by_first_sight() -> None:
    a, b, again = (LooksOfStretch(looks(of, 5)) for of in (ANNA, BEN, ANNA))
    assert people_of_stretches([(0.0, 3.0, b), (3.0, 6.0, a), (6.0, 9.0, b), (9.0, 12.0, again)]) == [[0, 2], [1, 3]]


def test_who_is_in_view_twice_at_a_time_is_two_people() -> None:
    twins = [(0.0, 5.0, LooksOfStretch(looks(ANNA, 5))), (2.0, 7.0, LooksOfStretch(looks(ANNA, 5)))]
    assert people_of_stretches(twins) == [[0], [1]]


def test_without_looks_each_stretch_is_a_person() -> None:
    assert people_of_stretches([(0.0, 1.0, LooksOfStretch()), (1.0, 2.0, LooksOfStretch())]) == [[0], [1]]


def test_a_track_that_passes_to_another_person_is_cut() -> None:
    """As in a cross-fade of a second at 5 s: the looks between are of both."""
    fade = [((1 - w) * ANNA + w * BEN).astype(np.float32) for w in (0.25, 0.75)]
    track = sequence(np.concatenate([looks(ANNA, 10), fade, looks(BEN, 10)]))
    parts = parts_of(track)
    assert len(parts) == 2
    assert parts[0].times[-1] == pytest.approx(4.75, abs=0.6)
    assert parts[1].times[0] == pytest.approx(6.0, abs=0.6)


@pytest.mark.parametrize("turned", [0.0, 0.5])
def test_a_person_who_stays_is_one_part(turned: float) -> None:
    """Also one who turns the head for a moment."""
    away = (ANNA + turned * BEN).astype(np.float32)
    track = sequence(np.concatenate([looks(ANNA, 8), looks(away, 4), looks(ANNA, 8)]))
    assert parts_of(track) == [track]
