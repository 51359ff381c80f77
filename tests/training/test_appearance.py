"""Training of the appearance network: fakes that are made, what they go through, and the run itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

from lrnet.appearance.crops import CROP_SIZE, WIDE
from lrnet.data.store.crops import CropsOfVideo
from lrnet.errors import TrainingError
from lrnet.training.appearance.blend import PARTS, jpeg, outline, self_blended, soft_mask, swapped
from lrnet.training.appearance.degrade import Degradation, h264
from lrnet.training.appearance.fit import AppearanceSettings, fit
from lrnet.training.appearance.samples import Batches


def face(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A smooth picture, and landmarks about where a crop has them."""
    draw = np.random.default_rng(seed)
    rough = draw.integers(40, 216, (12, 12, 3), np.uint8)
    picture = np.kron(rough, np.ones((WIDE // 12, WIDE // 12, 1), np.uint8))
    jaw = [(96 + 50 * np.cos(a), 100 + 55 * np.sin(a)) for a in np.linspace(np.pi, 0, 17)]
    brows = [(x, 62.0) for x in (*np.linspace(55, 88, 5), *np.linspace(104, 137, 5))]
    nose = [(96.0, y) for y in (72, 80, 88, 96)] + [(x, 102.0) for x in np.linspace(86, 106, 5)]
    eyes = [(x + dx, 75 + dy) for x in (72, 120) for dx, dy in ((-8, 0), (-3, -3), (3, -3), (8, 0), (3, 3), (-3, 3))]
    lips = [(96 + r * np.cos(a), 125 + r / 2 * np.sin(a)) for r, n in ((20, 12), (12, 8)) for a in _circle(n)]
    return picture, np.array([*jaw, *brows, *nose, *eyes, *lips], np.float32)


def _circle(count: int) -> NDArray[np.float64]:
    return np.linspace(np.pi, 3 * np.pi, count, endpoint=False)


def crops(fake: bool, seed: int, source: str = "a") -> CropsOfVideo:
    pictures, points = zip(*(face(seed + i) for i in range(2)), strict=True)
    return CropsOfVideo(
        f"{source}{seed}",
        fake,
        source,
        f"person-{seed}",
        "made" if fake else "",
        "train",
        np.zeros(2, np.int32),
        np.arange(2),
        np.arange(2) * 0.5,
        np.array(points),
        np.array(pictures),
    )


def test_each_mask_covers_its_part_of_the_face_and_not_the_border() -> None:
    _, points = face()
    for part in PARTS:
        hull = outline(part, points, np.random.default_rng(0))
        assert hull.shape[1] == 2
        assert (np.ptp(hull, axis=0) > 10).all()
    mouth, whole = (outline(p, points, np.random.default_rng(0)) for p in ("mouth", "face"))
    assert mouth[:, 1].min() > points[33, 1] - 5
    assert whole[:, 1].min() < points[17:27, 1].min() + 1
    for seed in range(30):
        mask = soft_mask(WIDE, points, np.random.default_rng(seed))
        assert mask.shape == (WIDE, WIDE, 1)
        assert 0.2 < mask.max() <= 1.0
        assert mask.min() >= 0
        assert mask[:4].max() < 0.1  # the picture's edge is no part of a face
        assert mask[-4:].max() < 0.1


@pytest.mark.parametrize("made", [self_blended, lambda p, m, d: swapped(p, m, *face(5), d)])
def test_a_made_fake_differs_in_the_face(made: Callable[..., NDArray[np.uint8]]) -> None:
    picture, points = face()
    untouched_outside = 0
    for seed in range(20):
        fake = made(picture, points, np.random.default_rng(seed))
        assert fake.shape == picture.shape
        assert fake.dtype == np.uint8
        np.testing.assert_array_equal(fake, made(picture, points, np.random.default_rng(seed)))
        changed = np.abs(fake.astype(int) - picture).mean(axis=2)
        assert changed[50:150, 50:142].max() > 3
        if changed[:3].max() <= 1 and changed[:, :3].max() <= 1:  # otherwise it is the surroundings that were changed
            untouched_outside += 1
    assert untouched_outside >= 6


def test_a_pair_goes_one_way() -> None:
    picture, _ = face()
    for seed in range(24):
        way = Degradation.drawn(np.random.default_rng(seed))
        one, other = way.apply([picture, picture])
        assert one.shape == (CROP_SIZE, CROP_SIZE, 3)
        np.testing.assert_array_equal(one, other)
    kept = Degradation(seed=0).apply([picture])[0]
    edge = (WIDE - CROP_SIZE) // 2
    np.testing.assert_array_equal(kept, picture[edge:-edge, edge:-edge])


def test_coarser_coding_leaves_less() -> None:
    picture, _ = face()
    fine, coarse = (np.abs(h264(picture, crf).astype(int) - picture).mean() for crf in (18, 40))
    assert fine < coarse
    assert fine < 6


def test_a_jpeg_keeps_more_of_red_than_of_blue() -> None:
    """Colour loses its detail, light keeps it: that is 59 % green, 30 % red and 11 % blue."""
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    coded = jpeg(picture, 90)
    red, green, blue = (np.abs(coded[..., i].astype(int) - picture[..., i]).mean() for i in range(3))
    assert blue > 1.1 * red > 1.1 * green


def test_batches_are_the_same_every_time_and_have_as_many_of_each_class() -> None:
    videos = [crops(False, 1), crops(False, 3), crops(True, 5), crops(True, 7, "b")]
    batches = Batches(videos, 3, pairs=4, at_hand=0.5, seed=2)
    again = Batches(videos, 3, pairs=4, at_hand=0.5, seed=2)
    for i in (2, 0):
        pictures, labels = batches[i]
        assert pictures.shape == (8, 3, CROP_SIZE, CROP_SIZE)
        assert labels.sum() == 4
        assert torch.equal(pictures, again[i][0])
    assert not torch.equal(batches[0][0], batches[1][0])


def test_a_stopped_run_goes_on_to_the_same_network(tmp_path: Path) -> None:
    videos = [crops(False, 1), crops(True, 3)]
    settings = AppearanceSettings(steps=2, pairs=1, every=1, rate=1e-3)
    heard: list[int] = []

    def stop(step: int, loss: float, rate: float) -> None:
        heard.append(step)
        assert np.isfinite(loss)
        assert rate > 0
        if len(heard) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(videos, settings, tmp_path / "a.pt", tell=stop, loaders=0)
    resumed = fit(videos, settings, tmp_path / "a.pt", tell=stop, loaders=0).weights()
    straight = fit(videos, settings, tmp_path / "b.pt", loaders=0).weights()
    assert heard == [1, 2]
    for name, array in straight.items():
        np.testing.assert_array_equal(resumed[name], array, name)
    with pytest.raises(TrainingError, match="other settings") as refused:
        fit(videos, replace(settings, at_hand=0.0), tmp_path / "a.pt", loaders=0)
    assert "--run" in refused.value.hint
    with pytest.raises(TrainingError, match="on other crops"):
        fit([crops(False, 1), crops(True, 5)], settings, tmp_path / "a.pt", loaders=0)
    state = torch.load(tmp_path / "a.pt", weights_only=True)
    del state["settings"]
    torch.save(state, tmp_path / "older.pt")
    with pytest.raises(TrainingError, match="other settings"):
        fit(videos, settings, tmp_path / "older.pt", loaders=0)


def test_fakes_may_all_be_made_of_real_faces() -> None:
    videos = [crops(False, 1), crops(False, 3)]
    pictures, labels = Batches(videos, 1, pairs=4, at_hand=0, seed=2)[0]
    assert labels.sum() == 4
    assert len({picture.numpy().tobytes() for picture in pictures}) == 8


def test_the_rate_rises_stays_and_falls() -> None:
    settings = AppearanceSettings(steps=1000, rate=1.0)
    rates = [settings.rate_at(step) for step in range(1000)]
    assert rates[0] < 0.1
    assert set(rates[settings.rise : 650]) == {1.0}
    assert rates[-1] < 0.01
    assert all(a >= b for a, b in pairwise(rates[650:]))


def test_batches_are_not_made_by_a_forked_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for ever for a lock that another thread held as it was forked."""
    videos = [crops(False, 1), crops(True, 3)]
    settings = AppearanceSettings(steps=2, pairs=1, every=1, rate=1e-3)
    here = fit(videos, settings, tmp_path / "a.pt", loaders=0).weights()
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    there = fit(videos, settings, tmp_path / "b.pt", loaders=1).weights()
    for name, array in here.items():
        np.testing.assert_array_equal(there[name], array, name)
