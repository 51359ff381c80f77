"""Statistics of motion against closed forms, and a reference that gives back what it was fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.errors import DatasetError, SequenceError
from lrnet.network.reference import MotionReference
from lrnet.network.streams import STREAMS
from lrnet.report.motion import (
    LEVELS,
    TYPICAL_CLIPS,
    face_statistics,
    jitter,
    motion_reference,
    percentile,
    smoothness,
    tracking_error,
    typical_clips,
)
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, NUM_LANDMARKS, LandmarkSequence
from lrnet.sequence.settings import ClipSpec

CLIPS = ClipSpec(length=40, stride=40, min_length=20)
NAMES = ("differences", "acceleration")


def random_face(seed: int, frames: int = 90, scale: float = 0.004) -> LandmarkSequence:
    """A face whose landmarks walk at random, a little apart from each other."""
    generator = np.random.default_rng(seed)
    shape = generator.uniform(-0.7, 0.7, (1, NUM_LANDMARKS, 2))
    walk = np.cumsum(generator.normal(0, scale, (frames, NUM_LANDMARKS, 2)), axis=0)
    return LandmarkSequence.from_values((shape + walk).astype(np.float32))


def moved(part: slice, motion: NDArray[np.float64]) -> LandmarkSequence:
    """A still face in which the landmarks of `part` move along x as `motion` (N,), every other one backwards."""
    values = np.zeros((len(motion), NUM_LANDMARKS, 2))
    signs = np.where(np.arange(part.stop - part.start) % 2, -1.0, 1.0)
    values[:, part, 0] = motion[:, None] * signs
    return LandmarkSequence.from_values(values.astype(np.float32))


EVEN_GROUPS = ("nose", "right eye", "left eye", "mouth")


@pytest.mark.parametrize(
    ("motion", "expected"),
    [
        (np.linspace(0, 1, 400), 1.0),  # goes on as it went
        (np.where(np.arange(400) % 2, 0.01, -0.01), -1.0),  # to and fro
        (np.random.default_rng(0).normal(0, 0.01, 20_000), -0.5),  # differences of white noise
        (np.cumsum(np.random.default_rng(1).normal(0, 0.01, 20_000)), 0.0),  # a random walk
    ],
)
def test_smoothness_is_the_autocorrelation_of_velocity(motion: NDArray[np.float64], expected: float) -> None:
    found = smoothness([moved(FACIAL_GROUPS["mouth"], motion)], 1.0)
    assert found["mouth"] == pytest.approx(expected, abs=0.02)
    assert np.isnan(found["right eye"])  # it does not move at all


def test_jitter_is_the_length_of_the_second_difference_in_face_sizes() -> None:
    # x goes 0, a, 0, a, ...: the second difference is 2 a. The mean over all landmarks is zero by the signs.
    sequence = moved(FACIAL_GROUPS["mouth"], np.where(np.arange(50) % 2, 0.01, 0.0))
    assert jitter([sequence], 0.6)["mouth"] == pytest.approx(0.6 * 0.02, rel=1e-4)
    assert jitter([sequence], 0.6)["left eye"] == pytest.approx(0, abs=1e-6)


def test_motion_of_the_whole_head_is_no_jitter() -> None:
    values = np.random.default_rng(0).normal(0, 0.1, (60, 1, 2)).repeat(NUM_LANDMARKS, axis=1)
    values += np.random.default_rng(1).uniform(-0.5, 0.5, (1, NUM_LANDMARKS, 2))
    found = jitter([LandmarkSequence.from_values(values.astype(np.float32))], 0.6)
    assert max(found.values()) < 1e-6


def test_statistics_step_over_gaps() -> None:
    whole = random_face(0)
    values = whole.values.copy()
    values[45] = np.nan
    first, second = (LandmarkSequence.from_values(values[part]) for part in (slice(0, 45), slice(46, 90)))
    holed = LandmarkSequence.from_values(values)
    for key, value in face_statistics([first, second]).items():
        assert face_statistics([holed])[key] == pytest.approx(value, nan_ok=True)


def test_what_was_not_measured_is_not_called_zero() -> None:
    assert all(np.isnan(v) for v in tracking_error([random_face(0)], 1.0).values())


def test_reference_gives_percentiles_and_needs_enough_videos() -> None:
    faces = [[random_face(i, scale=0.001 * (i + 1))] for i in range(20)]
    reference = motion_reference(faces, NAMES, CLIPS, description="made-up faces")
    assert reference.videos == 20
    values = sorted(face_statistics(f)["jitter", "mouth"] for f in faces)
    table = next(q.values for q in reference.quantiles if (q.statistic, q.group) == ("jitter", "mouth"))
    assert table == pytest.approx(np.quantile(values, LEVELS), rel=1e-4)
    assert percentile(reference, "jitter", "mouth", float(np.median(values))) == pytest.approx(0.5, abs=0.01)
    assert percentile(reference, "jitter", "mouth", 0.0) == 0
    assert percentile(reference, "jitter", "mouth", 9.0) == 1
    assert percentile(reference, "jitter", "ear", 0.1) is None
    assert percentile(reference, "tracking_error", "mouth", 0.1) is None  # made-up faces have none
    with pytest.raises(DatasetError, match="7 real videos"):
        motion_reference(faces[: TYPICAL_CLIPS - 1], NAMES, CLIPS, description="too few")
    with pytest.raises(SequenceError):
        motion_reference(faces, ("no-such-stream",), CLIPS, description="unknown stream")


def with_surroundings(sequence: LandmarkSequence, seed: int) -> LandmarkSequence:
    error = np.random.default_rng(seed).uniform(0.001, 0.01, (len(sequence) - 1, 42)).astype(np.float32)
    return replace(sequence, surround_error=error)


@pytest.mark.parametrize("streams", [(name,) for name in STREAMS] + [tuple(STREAMS)])
def test_any_streams_can_have_a_reference(streams: tuple[str, ...]) -> None:
    faces = [[with_surroundings(random_face(i), i)] for i in range(TYPICAL_CLIPS)]
    reference = motion_reference(faces, streams, CLIPS, description="made-up faces")
    again = MotionReference.model_validate_json(reference.model_dump_json(), strict=True)
    assert again == reference
    drawn = typical_clips(reference, 40)
    assert len(drawn) == TYPICAL_CLIPS
    for clip in drawn:
        shapes = {name: rows.shape for name, rows in clip.items()}
        assert shapes == {n: (40 - STREAMS[n].lag, STREAMS[n].width) for n in streams}
        assert all(rows.dtype == np.float32 and np.isfinite(rows).all() for rows in clip.values())


def test_drawn_clips_move_like_the_faces_that_they_are_fitted_to() -> None:
    """Velocities made by x[t] = 0.6 x[t - 1] + new: size of each group and autocorrelation come back."""
    generator = np.random.default_rng(0)
    size = np.ones(NUM_LANDMARKS)
    size[FACIAL_GROUPS["mouth"]] = 4

    def face() -> list[LandmarkSequence]:
        velocity = np.zeros((400, NUM_LANDMARKS, 2))
        modes = generator.normal(0, 1, (400, 1, 2)) + 0.3 * generator.normal(0, 1, (400, NUM_LANDMARKS, 2))
        for t in range(1, 400):
            velocity[t] = 0.6 * velocity[t - 1] + 0.002 * modes[t] * size[:, None]
        return [LandmarkSequence.from_values(np.cumsum(velocity, axis=0).astype(np.float32))]

    settings = ClipSpec(length=300, stride=300, min_length=300)
    reference = motion_reference([face() for _ in range(10)], ("differences",), settings, description="AR(1)")
    rows = np.concatenate([clip["differences"] for clip in typical_clips(reference, 300)])
    points = rows.reshape(len(rows), NUM_LANDMARKS, 2)
    deviation = points.std(axis=0).mean(axis=1)
    expected = 0.002 * np.sqrt((1 + 0.09) / (1 - 0.36))
    assert deviation[FACIAL_GROUPS["nose"]].mean() == pytest.approx(expected, rel=0.15)
    assert deviation[FACIAL_GROUPS["mouth"]].mean() == pytest.approx(4 * expected, rel=0.15)
    mouth = points[:, FACIAL_GROUPS["mouth"]].mean(axis=1)
    assert np.corrcoef(mouth[1:, 0], mouth[:-1, 0])[0, 1] == pytest.approx(0.6, abs=0.1)


def test_a_process_that_grows_without_bound_is_refused() -> None:
    faces = [[random_face(i)] for i in range(TYPICAL_CLIPS)]
    reference = motion_reference(faces, ("differences",), CLIPS, description="made-up faces")
    content = reference.model_dump()
    content["streams"][0]["regression"] = tuple((1.1, 0.0) for _ in content["streams"][0]["regression"])
    with pytest.raises(ValueError, match="not stationary"):
        MotionReference.model_validate(content)
