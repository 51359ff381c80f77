"""What a plain number tells of the pairs that appearance is trained on."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.training.test_appearance import crops

from lrnet.experiments.tells import NUMBERS, measured
from lrnet.training.appearance import samples
from lrnet.training.appearance.samples import Batches


def test_the_way_of_a_pair_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is done to the fake, no number is larger for it, whatever the coding."""
    monkeypatch.setattr(samples, "ALTERED", 0.0)
    monkeypatch.setattr(Batches, "_made", lambda self, real, landmarks, draw: real)
    found = measured([crops(False, 1), crops(False, 3)], 3, 0.0)
    assert found.keys() == NUMBERS.keys()
    for by_coding in found.values():
        assert by_coding.keys() == {"none", "JPEG", "H.264"}
        assert all(set(pairs) == {0.5} for pairs in by_coding.values())


def test_a_number_that_tells_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "ALTERED", 0.0)
    monkeypatch.setattr(Batches, "_made", lambda self, real, landmarks, draw: real // 2)
    brightness = measured([crops(False, 1), crops(False, 3)], 3, 0.0)["brightness"]
    assert all(set(pairs) == {0.0} for pairs in brightness.values())


def test_some_real_faces_have_another_history_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "_made", lambda self, real, landmarks, draw: real)
    pairs = measured([crops(False, 1), crops(False, 3)], 8, 0.0)["sharpness"]
    same = [pair == 0.5 for some in pairs.values() for pair in some]
    assert 0.3 < sum(same) / len(same) < 0.7
