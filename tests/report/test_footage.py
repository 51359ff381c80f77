"""The clip in the page: the right seconds, small, and playable by another reader."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrnet.errors import VideoError
from lrnet.report import footage
from lrnet.report.footage import clip_spans, take
from lrnet.report.overlay import drawn_size
from lrnet.video.isolation import sound_of
from lrnet.video.limits import Access
from lrnet.video.reader import VideoReader
from tests.report.samples import a_video_result
from tests.report.test_views import FOUND
from tests.video.test_sound import pitch, write_with_tones


def test_clip_shows_the_whole_of_a_short_video(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    taken = take(result, result.faces)
    assert taken.clip is not None
    assert (taken.clip.start, taken.clip.stop) == (0.0, pytest.approx(74 / 25))
    assert taken.clip.poster.startswith(b"\xff\xd8")
    (tmp_path / "clip.mp4").write_bytes(taken.clip.mp4)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        times = [frame.time for frame in reader]
        assert (reader.info.codec, reader.info.width, reader.info.height) == ("h264", 320, 240)
    assert len(times) == 75
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=1e-3)
    assert taken.close == {}


def test_clip_of_a_long_video_shows_the_telling_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "CLIP_SECONDS", 1.2)
    monkeypatch.setattr(footage, "PIECES", 3)
    result = a_video_result(tmp_path)
    taken = take(result, result.faces, [replace(FOUND, face=result.verdict.face or 0, telling=(1.4, 2.0))])
    assert taken.clip is not None
    assert [piece[1:] for piece in taken.clip.pieces] == [
        pytest.approx((0.56, 0.72), abs=0.03),
        pytest.approx((1.32, 2.08), abs=0.03),
        pytest.approx((2.44, 2.6), abs=0.03),
    ]
    close = taken.close[result.verdict.face or 0]
    assert (close.start, close.stop) == (pytest.approx(1.4), pytest.approx(2.0))
    assert (close.width, close.height) == (360, 360)


def test_clip_of_a_long_video_joins_its_suspicious_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "CLIP_SECONDS", 1.0)
    monkeypatch.setattr(footage, "MARGIN", 0.1)
    result = a_video_result(tmp_path)
    monkeypatch.setattr(footage, "PIECES", 4)
    monkeypatch.setattr(footage, "SUSPICIOUS", 0.8)
    clip = take(result, result.faces, stretches=[(0.5, 0.7), (2.0, 2.2)]).clip
    assert clip is not None
    assert [piece[1:] for piece in clip.pieces[::2]] == [pytest.approx((0.4, 0.8)), pytest.approx((1.92, 2.28))]
    assert [at for at, _, _ in clip.pieces[:2]] == [0.0, pytest.approx(0.44)]
    (tmp_path / "clip.mp4").write_bytes(clip.mp4)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        np.testing.assert_allclose(np.diff([frame.time for frame in reader]), 1 / 25, atol=1e-3)


def test_pieces_are_bounded_in_number_and_length(tmp_path: Path) -> None:
    result = replace(a_video_result(tmp_path), seconds_examined=3600.0)
    spans = clip_spans(result, None, [(float(t), t + 30.0) for t in range(0, 3600, 60)])
    assert len(spans) == footage.PIECES
    assert sum(stop - start for start, stop in spans) <= footage.CLIP_SECONDS + 1e-6
    assert all(b[0] > a[1] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("stretches", [[], [(100.0, 190.0)], [(float(t), t + 9.0) for t in range(0, 600, 30)]])
def test_every_moment_of_a_long_video_has_one_in_the_clip_near_it(
    stretches: list[tuple[float, float]], tmp_path: Path
) -> None:
    result = replace(a_video_result(tmp_path), seconds_examined=2400.0)
    spans = clip_spans(result, None, stretches)
    assert 100 < sum(stop - start for start, stop in spans) <= footage.CLIP_SECONDS + 1e-6
    far = 80 if len(stretches) < 2 else 130
    assert all(min(max(start - t, t - stop, 0) for start, stop in spans) < far for t in np.arange(0, 2400, 7.0))
    for start, stop in stretches[:1]:  # the middle of what is suspicious is there
        assert any(a <= (start + stop) / 2 <= b for a, b in spans)


def test_fast_videos_are_thinned_out(tmp_path: Path) -> None:
    result = a_video_result(tmp_path, times=np.arange(120) / 60)
    taken = take(result, result.faces)
    assert taken.clip is not None
    (tmp_path / "clip.mp4").write_bytes(taken.clip.mp4)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        assert sum(1 for _ in reader) == 60


def test_without_landmarks_there_is_no_clip(tmp_path: Path) -> None:
    result = replace(a_video_result(tmp_path), sequences=())
    taken = take(result, result.faces)
    assert taken.clip is None
    assert len(taken.pictures) == 2


def test_a_video_that_is_gone_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    result = replace(a_video_result(tmp_path), path=str(tmp_path / "gone.mp4"))
    with pytest.raises(VideoError):
        take(result, result.faces)


@pytest.mark.parametrize(
    ("size", "expected"), [((1920, 1080), (640, 360)), ((1080, 1920), (360, 640)), ((321, 201), (320, 200))]
)
def test_size_of_the_clip(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert drawn_size(*size, footage.LONGEST_SIDE) == expected


def test_a_clip_has_the_sound_of_its_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tones = write_with_tones(tmp_path / "tones.mp4", 3)
    result = replace(a_video_result(tmp_path), path=str(tones))
    clip = take(result, result.faces).clip
    assert clip is not None
    assert clip.sound
    (tmp_path / "clip.mp4").write_bytes(clip.mp4)
    sound = sound_of(tmp_path / "clip.mp4", Access(), [(0.0, 0.0, 2.9)])
    assert sound is not None
    assert [pitch(sound, s + 0.1, s + 0.8) for s in range(3)] == pytest.approx([300, 400, 500], abs=5)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(footage, "add_sound", fail)
    clip = take(result, result.faces).clip
    assert clip is not None
    assert not clip.sound
    (tmp_path / "silent.mp4").write_bytes(clip.mp4)
    with VideoReader(tmp_path / "silent.mp4") as reader:
        assert sum(1 for _ in reader) == 75
