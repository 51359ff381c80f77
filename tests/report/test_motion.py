"""Statistics of motion against closed forms, and a reference that gives back what it was fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.errors import DatasetError
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.network.reference import MotionReference
from lrnet.report.motion import (
    LEAST_VIDEOS,
    LEVELS,
    face_statistics,
    jitter,
    motion_reference,
    percentile,
    smoothness,
    tracking_error,
)
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
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
    reference = motion_reference(faces, CLIPS, description="made-up faces")
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
        motion_reference(faces[: LEAST_VIDEOS - 1], CLIPS, description="too few")
    again = MotionReference.model_validate_json(reference.model_dump_json(), strict=True)
    assert again == reference
