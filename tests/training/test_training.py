"""Clip tables and fitting."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lrnet import store
from lrnet.datasets.records import Label, VideoRecord
from lrnet.features import FACIAL_GROUPS, ClipSettings, LandmarkSequence
from lrnet.store import StoredVideo
from lrnet.training.clips import MIRROR, ClipTable, balanced_weights, clip_table, mirrored

torch = pytest.importorskip("torch")

from lrnet.training.fit import TrainingSettings, fit, predict  # noqa: E402

CLIPS = ClipSettings(20, 10, 20)


def record(key: str, label: Label, source: str = "one") -> VideoRecord:
    return VideoRecord(Path(key), key, label, "" if label is Label.REAL else "swap", source, "train", key)


def walk(seed: int, smoothness: float, frames: int = 60) -> LandmarkSequence:
    """Landmarks around a fixed shape with noise whose neighbours in time agree by `smoothness` (AR(1))."""
    rng = np.random.default_rng(seed)
    shape = np.random.default_rng(0).uniform(-0.8, 0.8, (68, 2))
    noise = rng.normal(0, 0.01, (frames, 68, 2))
    for t in range(1, frames):
        noise[t] = smoothness * noise[t - 1] + np.sqrt(1 - smoothness**2) * noise[t]
    return LandmarkSequence.from_values((shape + noise).astype(np.float32))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[StoredVideo]:
    """Real ones move smoothly, fake ones do not."""
    folder = tmp_path_factory.mktemp("store")
    for i in range(24):
        label = Label.FAKE if i % 2 else Label.REAL
        smoothness = 0.0 if label is Label.FAKE else 0.98
        store.write(folder, record(f"v{i:02}", label), [walk(i, smoothness)], {})
    return store.read(folder)


def test_the_mirror_swaps_sides_and_is_its_own_inverse() -> None:
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))
    for right, left in (("right brow", "left brow"), ("right eye", "left eye")):
        assert set(MIRROR[FACIAL_GROUPS[right]]) == set(range(68)[FACIAL_GROUPS[left]])
    s = walk(1, 0.5)
    np.testing.assert_allclose(mirrored(mirrored(s)).values, s.values)
    np.testing.assert_allclose(mirrored(s).values[:, 36, 0], -s.values[:, 45, 0])


def test_a_table_holds_every_clip_of_the_longest_seen_face(tmp_path: Path) -> None:
    other = replace(walk(5, 0.5, 30), face=1)
    store.write(tmp_path, record("a", Label.FAKE), [walk(1, 0.5, 60), other], {})
    table = clip_table(store.read(tmp_path), ("differences", "acceleration"), CLIPS, mirror=True)
    assert len(table) == 2 * 5
    assert {n: v.shape[1:] for n, v in table.streams.items()} == {"differences": (19, 136), "acceleration": (18, 143)}
    assert (table.label == 1).all()


def table_of(counts: dict[tuple[str, Label], int]) -> ClipTable:
    records = [record(f"{s}{label}{i}", label, s) for (s, label), n in counts.items() for i in range(n)]
    video = np.repeat(np.arange(len(records)), np.arange(len(records)) % 3 + 1)
    label = np.array([r.label is Label.FAKE for r in records], np.float32)[video]
    return ClipTable({}, label, video, tuple(records))


def test_weights_balance_classes_sources_and_videos() -> None:
    table = table_of({("ff", Label.REAL): 3, ("ff", Label.FAKE): 9, ("tv", Label.REAL): 16, ("web", Label.REAL): 4})
    weight = balanced_weights(table, paired_share=0.6)
    source = np.array([r.source for r in table.videos])[table.video]
    assert weight.mean() == pytest.approx(1, rel=1e-5)
    real, fake = (weight[table.label == k].sum() for k in (0, 1))
    assert real == pytest.approx(fake, rel=1e-4)
    share = {s: weight[(table.label == 0) & (source == s)].sum() / real for s in ("ff", "tv", "web")}
    assert share["ff"] == pytest.approx(0.6, rel=1e-4)
    assert share["tv"] / share["web"] == pytest.approx(2, rel=1e-4)  # the root of 16 over that of 4
    by_video = np.bincount(table.video, weight)
    assert np.ptp(by_video[:3]) < 1e-4


def test_a_network_learns_what_separates_and_the_seed_decides_all(videos: list[StoredVideo]) -> None:
    table = clip_table(videos, ("differences",), CLIPS)
    train = np.array([i < 16 for i in range(24)])
    settings = TrainingSettings(
        streams=("differences",), units=8, epochs=20, batch=16, learning_rate=1e-2, dropout=0.0, landmark_dropout=0.0
    )
    spec, weights = fit(table.of_videos(train), settings)
    test = table.of_videos(~train)
    p = predict(spec, weights, test)
    assert roc_auc_score(test.label, p) > 0.98
    again = fit(table.of_videos(train), settings)[1]
    other = fit(table.of_videos(train), replace(settings, seed=1))[1]
    assert all(np.array_equal(weights[n], again[n]) for n in weights)
    assert any(not np.array_equal(weights[n], other[n]) for n in weights)


def test_inputs_are_scaled_by_what_the_table_holds(videos: list[StoredVideo]) -> None:
    table = clip_table(videos, ("differences",), CLIPS)
    spec, _ = fit(table, TrainingSettings(streams=("differences",), units=4, epochs=1))
    expected = np.sqrt(np.mean(np.square(table.streams["differences"], dtype=np.float64)))
    assert spec.streams[0].scale == pytest.approx(expected)
