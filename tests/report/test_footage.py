"""The clip in the page: the right seconds, small, and playable by another reader."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrnet.errors import VideoError
from lrnet.report import footage
from lrnet.report.footage import clip_spans, small_size, take
from lrnet.video.reader import VideoReader
from tests.report.samples import a_video_result
from tests.report.test_views import FOUND


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


def test_clip_of_a_long_video_lies_around_the_telling_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "CLIP_SECONDS", 1.0)
    result = a_video_result(tmp_path)
    taken = take(result, result.faces, [replace(FOUND, face=result.verdict.face or 0, telling=(1.4, 2.0))])
    assert taken.clip is not None
    assert (taken.clip.start, taken.clip.stop) == (pytest.approx(1.2), pytest.approx(2.2))
    close = taken.close[result.verdict.face or 0]
    assert (close.start, close.stop) == (pytest.approx(1.4), pytest.approx(2.0))
    assert (close.width, close.height) == (360, 360)


def test_clip_of_a_long_video_joins_its_suspicious_stretches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "CLIP_SECONDS", 1.0)
    monkeypatch.setattr(footage, "MARGIN", 0.1)
    result = a_video_result(tmp_path)
    clip = take(result, result.faces, stretches=[(0.5, 0.7), (2.0, 2.2)]).clip
    assert clip is not None
    assert [(start, stop) for _, start, stop in clip.pieces] == [
        (pytest.approx(0.4), pytest.approx(0.8)),
        (pytest.approx(1.92), pytest.approx(2.28)),
    ]
    assert [at for at, _, _ in clip.pieces] == [0.0, pytest.approx(0.44)]
    (tmp_path / "clip.mp4").write_bytes(clip.mp4)
    with VideoReader(tmp_path / "clip.mp4") as reader:
        np.testing.assert_allclose(np.diff([frame.time for frame in reader]), 1 / 25, atol=1e-3)


def test_pieces_are_bounded_in_number_and_length(tmp_path: Path) -> None:
    result = replace(a_video_result(tmp_path), seconds_examined=3600.0)
    spans = clip_spans(result, None, [(float(t), t + 30.0) for t in range(0, 3600, 60)])
    assert len(spans) == footage.PIECES
    assert sum(stop - start for start, stop in spans) <= footage.CLIP_SECONDS + 1e-6
    assert all(b[0] > a[1] for a, b in itertools.pairwise(spans))


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
    assert small_size(*size) == expected
