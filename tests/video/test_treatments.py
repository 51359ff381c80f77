"""Treatments by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.media import moving, write_video

from lrnet.errors import TreatmentError
from lrnet.video.treatments import Perturbation, Reencoding, parse_treatment


@pytest.mark.parametrize(
    ("text", "treatment"),
    [
        ("c40", Reencoding("c40")),
        ("social", Reencoding("social")),
        ("noise:white-noise:3", Perturbation("white-noise", 3)),
        ("noise:mixed", Perturbation("mixed")),
        ("noise:random:5@12", Perturbation("random", 5, 12)),
    ],
)
def test_words_and_treatments_are_the_same(text: str, treatment: Reencoding | Perturbation) -> None:
    assert parse_treatment(text) == treatment
    assert str(treatment) == text


@pytest.mark.parametrize("text", ["", "c41", "noise", "noise:fog:1", "noise:blur:6", "noise:blur:", "blur:3"])
def test_what_there_is_not_is_told(text: str) -> None:
    with pytest.raises(TreatmentError) as caught:
        parse_treatment(text)
    assert caught.value.hint


def test_videos_of_one_dataset_have_noise_of_their_own(tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mp4", moving(3))
    made = {}
    for name, key in (("a", "real/a.mp4"), ("again", "real/a.mp4"), ("b", "real/b.mp4")):
        Perturbation("white-noise", 1, 3).write(source, tmp_path / f"{name}.mp4", key)
        made[name] = (tmp_path / f"{name}.mp4").read_bytes()
    assert made["a"] == made["again"] != made["b"]


def test_an_original_is_never_written_over(tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mp4", moving(3))
    before = source.read_bytes()
    with pytest.raises(TreatmentError, match="is the video itself"):
        Reencoding("c40").write(source, source)
    assert source.read_bytes() == before
