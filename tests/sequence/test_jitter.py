"""Jitter, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lrnet.sequence.jitter import jitter

FACE = np.random.default_rng(3).uniform(-50, 50, (68, 2))


def test_jitter_of_noise_is_its_closed_form() -> None:
    still = FACE + np.random.default_rng(0).normal(0, 0.7, (600, 68, 2))
    assert jitter(still) == pytest.approx(0.7 * np.sqrt(6) * np.sqrt(2 * np.log(2)), rel=0.02)


def test_jitter_of_an_even_acceleration_is_that_and_leaves_gaps_and_cuts_out() -> None:
    points = FACE + np.stack([0.25 * np.arange(30) ** 2, np.zeros(30)], axis=1)[:, None]
    assert jitter(points) == pytest.approx(0.5)
    points[12:] += 500
    points[20] = np.nan
    assert jitter(points, [0, 12]) == pytest.approx(0.5)
    assert np.isnan(jitter(np.full((5, 68, 2), np.nan)))
