"""Following faces, with a landmarker that sees what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.faces.landmarker import FaceObservation, overlap
from lrnet.faces.tracker import CutDetector, FaceTracker, FrameFaces, TrackSettings
from lrnet.video.frame import Frame

SHAPE = np.random.default_rng(0).uniform(-0.5, 0.5, (68, 2)).astype(np.float32)
Place = tuple[float, float, float]  # x, y, size


def observation(place: Place) -> FaceObservation:
    x, y, size = place
    return FaceObservation((SHAPE * size + (x, y)).astype(np.float32), 0.99)


@dataclass
class Script:
    """A landmarker whose faces are written down: for each frame the places where faces are."""

    places: list[list[Place]]
    searches: list[int] = field(default_factory=list)
    name: str = "script"
    version: str = "1"

    def search(self, frame: Frame, known: Sequence[FaceObservation] = ()) -> list[FaceObservation]:
        self.searches.append(frame.index)
        faces = [observation(p) for p in self.places[frame.index]]
        return [f for f in faces if not any(overlap(f.box, k.box) > 0.5 for k in known)]

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        near = [observation(p) for p in self.places[frame.index]]
        near = [f for f in near if overlap(f.box, last.box) > 0.3]
        return near[0] if near else None


def frames(count: int, luma: list[NDArray[np.uint8]] | None = None, rate: float = 25.0) -> list[Frame]:
    made = []
    for i in range(count):
        frame = Frame.__new__(Frame)
        frame.index, frame.time, frame.stretch, frame.shot = i, i / rate, 0, 0
        frame.luma = luma[i] if luma else np.full((90, 160), 128, np.uint8)
        made.append(frame)
    return made


def track(
    script: Script, settings: TrackSettings | None = None, luma: list[NDArray[np.uint8]] | None = None
) -> list[FrameFaces]:
    return list(FaceTracker(script, settings).run(frames(len(script.places), luma)))


def test_one_face_keeps_its_number_and_is_searched_for_once_a_second() -> None:
    script = Script([[(50.0 + i, 50.0, 40.0)] for i in range(60)])
    seen = track(script)
    assert all(list(f.seen) == [0] for f in seen)
    assert script.searches == [0, 25, 50]


def test_a_short_loss_is_a_gap_and_a_long_one_ends_the_track() -> None:
    there: list[list[Place]] = [[(50.0, 50.0, 40.0)]]
    script = Script(there * 10 + [[]] * 5 + there * 10 + [[]] * 30 + there * 5)
    seen = track(script)
    assert [f.missing for f in seen[10:15]] == [(0,)] * 5
    assert all(list(f.seen) == [0] for f in seen[15:25])
    ended = [i for i, f in enumerate(seen) if f.ended]
    assert ended == [37]  # the last frame seen is 24, patience is half a second
    assert list(seen[-1].seen) == [1]


def test_after_frames_that_were_left_out_a_face_is_searched_for_and_keeps_its_number_where_it_was() -> None:
    """The second half lies in another stretch, hours later; one face has stayed, another has come."""
    script = Script([[(80, 45, 40)]] * 10 + [[(84, 45, 40), (20, 45, 30)]] * 10)
    pictures = frames(20)
    for frame in pictures[10:]:
        frame.stretch, frame.time = 1, frame.time + 7200
    seen = list(FaceTracker(script).run(pictures))
    assert script.searches == [0, 10]
    assert [sorted(f.seen) for f in seen] == [[0]] * 10 + [[0, 1]] * 10
    assert not any(f.ended for f in seen)


def test_after_a_discontinuity_of_time_a_new_shot_starts() -> None:
    """Recordings that were joined: whoever stands in the same place is another person."""
    pictures = frames(20)
    for frame in pictures[10:]:
        frame.shot = 1
    seen = list(FaceTracker(Script([[(80, 45, 40)]] * 20)).run(pictures))
    assert [list(f.seen) for f in seen] == [[0]] * 10 + [[1]] * 10
    assert [i for i, f in enumerate(seen) if f.cut] == [10]
    assert seen[10].ended == (0,)


def test_a_jump_is_another_face() -> None:
    script = Script([[(50.0, 50.0, 40.0)]] * 5 + [[(75.0, 50.0, 40.0)]] * 20)
    seen = track(script)
    assert list(seen[4].seen) == [0]
    assert list(seen[-1].seen) == [1]


def test_several_faces_and_the_limit_on_them() -> None:
    crowd: list[Place] = [(50.0, 50.0, 40.0), (150.0, 50.0, 30.0), (250.0, 50.0, 20.0)]
    assert sorted(track(Script([crowd] * 3))[-1].seen) == [0, 1, 2]
    limited = track(Script([crowd] * 3), TrackSettings(max_faces=2))
    assert sorted(limited[-1].seen) == [0, 1]


def test_a_face_over_the_limit_is_told_also_if_it_comes_later() -> None:
    one: list[Place] = [(50.0, 50.0, 40.0)]
    two: list[Place] = [*one, (150.0, 50.0, 30.0)]
    seen = track(Script([one] * 30 + [two] * 40), TrackSettings(max_faces=1))
    assert [list(f.seen) for f in seen] == [[0]] * 70
    crowded = [i for i, f in enumerate(seen) if f.crowded]
    assert crowded
    assert 30 <= crowded[0] <= 55


def test_looking_for_faces_over_the_limit_changes_nothing_else() -> None:
    """When a place is free again, the next face is looked for as soon as it was before anybody counted."""
    first: list[Place] = [(50.0, 50.0, 40.0)]
    second: list[Place] = [(150.0, 50.0, 30.0)]
    script = Script([[*first, *second]] * 60 + [second] * 20)
    seen = track(script, TrackSettings(max_faces=1, patience=0.0))
    assert next(i for i, f in enumerate(seen) if 1 in f.seen) == 60


@pytest.mark.parametrize(("limit", "others"), [(1, 1), (2, 2), (2, 3), (3, 5)])
def test_the_limit_holds_when_a_lost_face_returns(limit: int, others: int) -> None:
    """The first face is away for three frames; others come meanwhile and take its place."""
    first: list[Place] = [(50.0, 50.0, 60.0)]
    crowd: list[Place] = [(150.0 + 100 * i, 50.0, 40.0) for i in range(others)]
    seen = track(Script([first] * 5 + [crowd] * 3 + [first + crowd] * 40), TrackSettings(max_faces=limit))
    assert max(len(f.seen) for f in seen) == limit
    assert seen[8].crowded
    assert all(len(f.seen) + len(f.missing) <= limit + 1 for f in seen)


def test_a_new_face_is_found_within_a_second() -> None:
    one: list[Place] = [(50.0, 50.0, 40.0)]
    two: list[Place] = [*one, (150.0, 50.0, 40.0)]
    seen = track(Script([one] * 10 + [two] * 30))
    first = next(i for i, f in enumerate(seen) if 1 in f.seen)
    assert 10 <= first <= 25


def test_two_tracks_on_one_face_become_one() -> None:
    apart = [[(50.0, 50.0, 40.0), (100.0 - 4 * i, 50.0, 40.0)] for i in range(10)]
    seen = track(Script([*apart, *[[(50.0, 50.0, 40.0)]] * 5]))
    assert list(seen[-1].seen) == [0]
    assert any(f.ended == (1,) for f in seen)


def test_a_shot_cut_ends_every_track() -> None:
    noise = np.random.default_rng(0)
    scenes = [noise.integers(0, 255, (9, 16)).astype(np.uint8).repeat(10, 0).repeat(10, 1) for _ in range(2)]
    luma = [scenes[0]] * 10 + [scenes[1]] * 10
    seen = track(Script([[(50.0, 50.0, 40.0)]] * 20), luma=luma)
    assert [i for i, f in enumerate(seen) if f.cut] == [10]
    assert seen[10].ended == (0,)
    assert list(seen[10].seen) == [1]


def test_motion_and_flicker_are_no_cuts() -> None:
    rng = np.random.default_rng(1)
    scene = rng.integers(0, 255, (9, 32)).astype(np.uint8).repeat(10, 0).repeat(10, 1)
    detector = CutDetector()
    moving = [scene[:, 2 * i : 160 + 2 * i] for i in range(40)]
    brighter = [np.clip(moving[-1].astype(int) + 12 * (i % 2), 0, 255).astype(np.uint8) for i in range(20)]
    assert not any(detector.is_cut(luma) for luma in [*moving, *brighter])
