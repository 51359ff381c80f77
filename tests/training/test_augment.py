"""Augmented sequences against closed forms."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from training_kit import walk

from lrnet.network.clips import cut_clips
from lrnet.network.streams import embed_clips
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from lrnet.sequence.settings import ClipSpec
from lrnet.training.augment import augmented, slower, thinned, with_drops, with_noise
from lrnet.training.config import Augmentation


def tracked_walk(seed: int = 1, frames: int = 40) -> LandmarkSequence:
    """A sequence of a wandering face whose tracker measured something."""
    rng = np.random.default_rng(seed)
    s = walk(seed, 0.5, frames)
    return replace(
        s,
        detected=(s.values + rng.normal(0, 0.003, s.values.shape)).astype(np.float32),
        innovation=rng.normal(0, 0.002, s.innovation.shape).astype(np.float32),
        forward_backward_error=rng.uniform(0, 0.01, (frames - 1, 68)).astype(np.float32),
        tracked=rng.random((frames - 1, 68)) < 0.9,
        centres=np.cumsum(rng.normal(0, 2, (frames, 2)), axis=0).astype(np.float32),
        half_side=100.0,
        surround_error=rng.uniform(0, 0.01, (frames - 1, 42)).astype(np.float32),
    )


def flow_steps(s: LandmarkSequence) -> np.ndarray:
    """Where optical flow says each landmark went, frame pixels over half_side."""
    where = s.centres[:, None, :] / s.half_side
    return (s.detected[1:] - s.innovation + where[1:]) - (s.values + where)[:-1]


def test_thinning_adds_up_what_the_tracker_saw() -> None:
    s = tracked_walk()
    kept = np.array([0, 1, 4, 5, 9, 30, 39])
    t = thinned(s, kept)
    np.testing.assert_array_equal(t.values, s.values[kept])
    np.testing.assert_array_equal(t.times, s.times[kept])
    steps, expected = flow_steps(t), flow_steps(s)
    for i, (a, b) in enumerate(pairwise(kept)):
        np.testing.assert_allclose(steps[i], expected[a:b].sum(axis=0), atol=1e-5)
        error = np.sqrt(np.square(s.forward_backward_error[a:b]).sum(axis=0))
        np.testing.assert_allclose(t.forward_backward_error[i], error, rtol=1e-4)
        assert t.surround_error is not None
        assert s.surround_error is not None
        np.testing.assert_allclose(
            t.surround_error[i], np.sqrt(np.square(s.surround_error[a:b]).sum(axis=0)), rtol=1e-4
        )
        np.testing.assert_array_equal(t.tracked[i], s.tracked[a:b].all(axis=0))


def test_thinning_to_all_frames_changes_nothing() -> None:
    s = tracked_walk()
    t = thinned(s, np.arange(len(s)))
    for name in ("values", "detected", "innovation", "forward_backward_error", "tracked", "times", "surround_error"):
        np.testing.assert_array_equal(getattr(t, name), getattr(s, name))


def test_a_gap_stays_a_gap_and_no_clip_leads_over_it() -> None:
    """A tracker did not see what happened there: whoever leaves the gap out has a clip with holes."""
    whole = tracked_walk(frames=60)
    lost = {name: getattr(whole, name).copy() for name in ("values", "detected")}
    between = {name: getattr(whole, name).copy() for name in ("innovation", "forward_backward_error", "surround_error")}
    for array in lost.values():
        array[30] = np.nan
    for array in between.values():
        array[[29, 30]] = np.nan
    s = replace(whole, **lost, **between, valid=np.arange(60) != 30)
    kept = np.array([i for i in range(60) if i % 4 != 2])  # without frame 30
    t = thinned(s, kept)
    assert t.frame_indices.tolist() == sorted([*kept.tolist(), 30])
    assert t.valid.tolist() == [i != 30 for i in t.frame_indices]
    streams = ["positions", "differences", "relative_innovation", "forward_backward_around"]
    found = list(embed_clips(t, cut_clips(t, ClipSpec(length=10, stride=5, min_length=5)), streams))
    assert sum(len(batch.clips) for batch in found) >= 4
    for batch in found:
        assert all(np.isfinite(rows).all() for rows in batch.streams.values())


@pytest.mark.parametrize("share", [0.5, 0.6, 0.9])
def test_a_slower_camera(share: float) -> None:
    s = tracked_walk(frames=101)
    t = slower(s, share)
    assert len(t) == pytest.approx(101 * share, abs=1)
    assert (t.times[0], t.times[-1]) == (s.times[0], s.times[-1])
    assert np.ptp(np.diff(t.times)) <= 0.04 + 1e-9  # evenly: steps differ by a frame at most


def test_drops_are_as_many_as_asked_for() -> None:
    s = walk(3, 0.5, 2000)
    t = with_drops(s, 0.2, np.random.default_rng(0))
    assert len(t) == pytest.approx(1600, abs=60)


def test_noise_has_its_level_lasts_and_is_shared() -> None:
    still = LandmarkSequence.from_values(np.zeros((4000, 68, 2), np.float32) + 0.1)
    noisy = with_noise(still, 0.01, 0.0, np.random.default_rng(0))
    error = noisy.values - still.values
    assert error.std() == pytest.approx(0.01, rel=0.1)
    flat = error.reshape(len(error), -1)
    lag = np.mean([np.corrcoef(flat[1:, i], flat[:-1, i])[0, 1] for i in range(0, 136, 17)])
    assert 0.2 < lag < 0.95
    eye = error[:, FACIAL_GROUPS["left eye"], 0]
    together = np.corrcoef(eye.T)[np.triu_indices(6, 1)].mean()
    assert together == pytest.approx(0.5, abs=0.1)
    apart = np.corrcoef(error[:, 0, 0], error[:, 60, 0])[0, 1]
    assert abs(apart) < 0.2
    np.testing.assert_allclose(noisy.innovation, np.diff(error, axis=0), atol=1e-6)


def test_steps_are_multiples() -> None:
    s = walk(1, 0.9, 50)
    stepped = with_noise(s, 0.0, 0.01, np.random.default_rng(0))
    moves = np.diff(stepped.values, axis=0) / 0.01
    np.testing.assert_allclose(moves, np.round(moves), atol=1e-3)
    assert np.abs(stepped.values - s.values).max() <= 0.005 + 1e-6


def test_what_is_off_does_nothing_and_the_generator_decides() -> None:
    s = tracked_walk()
    assert augmented(s, Augmentation(), np.random.default_rng(0)) is s
    on = Augmentation(frame_rate=1.0, dropped_frames=1.0, noise=1.0)
    one, same, other = (augmented(s, on, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.values, same.values)
    assert one.values.shape != other.values.shape or not np.array_equal(one.values, other.values)
