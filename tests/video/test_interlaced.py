"""Interlaced video: two moments in the rows of each frame."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import moving, write_video

from lrnet.video import interlaced
from lrnet.video.interlaced import Combs, Deinterlacer
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access
from lrnet.video.reader import VideoReader

COUNT = 12


def bars(shift: int) -> NDArray[np.uint8]:
    """Vertical bars that have moved by some pixels."""
    x = (np.arange(160) + shift) // 16 % 2 * 180 + 40
    return np.repeat(np.repeat(x[None, :, None], 96, axis=0), 3, axis=2).astype(np.uint8)


def write_interlaced(
    path: Path, codec: str, *, top_first: bool = True, flagged: bool = True, count: int = COUNT
) -> Path:
    """Each frame shows two moments, a fiftieth of a second apart, in which bars move by three pixels."""
    woven = []
    for i in range(count):
        first, second = bars(6 * i), bars(6 * i + 3)
        frame = (first if top_first else second).copy()
        frame[1::2] = (second if top_first else first)[1::2]
        woven.append(frame)
    options = {"crf": "12", "qscale": "2"}
    if flagged:
        options |= {"flags": "+ildct+ilme+qscale", "x264-params": "tff=1" if top_first else "bff=1"}
    return write_video(path, woven, codec=codec, options=options)


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    ("suffix", "codec", "top_first"),
    [("mp4", "libx264", True), ("mkv", "libx264", False), ("avi", "mpeg4", True), ("mov", "libx264", True)],
)
def test_interlaced_frames_show_one_moment_and_keep_their_times(
    tmp_path: Path, suffix: str, codec: str, top_first: bool, isolate: bool
) -> None:
    path = write_interlaced(tmp_path / f"a.{suffix}", codec, top_first=top_first)
    with open_video(path, Access(isolate=isolate)) as reader:
        frames = [(frame.index, frame.time, frame.luma.astype(int)) for frame in reader.decode()]
        assert any("interlaced" in note for note in reader.info.notes)
    assert [index for index, *_ in frames] == list(range(COUNT))
    np.testing.assert_allclose([time for _, time, _ in frames], np.arange(COUNT) / 25, atol=2e-3)
    assert max(combs(luma) for _, _, luma in frames[1:-1]) < 2  # before, 33


def combs(luma: NDArray[np.int_]) -> float:
    """Rows against the rows beside them: grey levels. Three of sixteen columns differ by 155."""
    return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    ("suffix", "codec", "top_first"), [("mp4", "libx264", True), ("mkv", "libx264", False), ("ts", "libx264", True)]
)
def test_combed_frames_without_a_flag_are_recognised(
    tmp_path: Path, suffix: str, codec: str, top_first: bool, isolate: bool
) -> None:
    path = write_interlaced(tmp_path / f"a.{suffix}", codec, top_first=top_first, flagged=False, count=50)
    with open_video(path, Access(isolate=isolate)) as reader:
        frames = [(frame.time, frame.luma.astype(int)) for frame in reader.decode()]
        assert any("interlaced, which the file does not say" in note for note in reader.info.notes)
    np.testing.assert_allclose([time for time, _ in frames], np.arange(50) / 25, atol=2e-3)
    assert max(combs(luma) for _, luma in frames[1:-1]) < 2


def fields(path: Path, count: int) -> Path:
    """Interlaced without a flag: each frame shows two of a progressive video's."""
    with VideoReader(path) as reader:
        frames = [frame.rgb().copy() for frame in islice(reader.decode(), 2 * count)]
    for one, other in zip(frames[::2], frames[1::2], strict=True):
        one[1::2] = other[1::2]
    return write_video(path.parent / "woven.mp4", frames[::2], options={"crf": "23"})


@pytest.mark.parametrize("name", ["real.mp4", "fake.mp4"])
def test_faces_of_two_moments_a_frame_are_recognised_and_others_are_not(
    examples: Path, tmp_path: Path, name: str
) -> None:
    shutil.copy(examples / name, tmp_path)
    for path, combed in ((tmp_path / name, False), (fields(tmp_path / name, 30), True)):
        with VideoReader(path) as reader:
            count = sum(1 for _ in reader.decode())
            assert count == reader.frames
            assert any("interlaced" in note for note in reader.info.notes) == combed


def test_few_combed_frames_and_still_pictures_do_not_make_a_video_interlaced(tmp_path: Path) -> None:
    with av.open(str(write_interlaced(tmp_path / "a.mp4", "libx264", flagged=False, count=40))) as container:
        combed = list(container.decode(video=0))
    with av.open(str(write_video(tmp_path / "b.mp4", [bars(3 * i) for i in range(40)]))) as container:
        whole = list(container.decode(video=0))
    pulled = [pair[i % 5 in (2, 3)] for i, pair in enumerate(zip(whole, combed, strict=True))]  # as films on NTSC
    for frames in (pulled, [combed[0]] * 40):
        deinterlacer = Deinterlacer()
        assert all(one is other for one, other in zip(deinterlacer.run(frames), frames, strict=True))
        assert not deinterlacer.found


def test_frames_that_are_not_flagged_are_not_touched(tmp_path: Path) -> None:
    with av.open(str(write_interlaced(tmp_path / "a.mp4", "libx264", flagged=False))) as container:
        frames = list(container.decode(video=0))
    deinterlacer = Deinterlacer()
    assert all(one is other for one, other in zip(deinterlacer.run(frames), frames, strict=True))
    assert not deinterlacer.found


def test_a_size_that_changes_midway_loses_no_frame(tmp_path: Path) -> None:
    """Progressive frames after interlaced ones pass the filter unchanged."""
    with av.open(str(write_interlaced(tmp_path / "a.mp4", "libx264"))) as container:
        frames = list(container.decode(video=0))
    with av.open(str(write_video(tmp_path / "b.mp4", moving(5, 320, 192)))) as container:
        frames += list(container.decode(video=0))
    given = list(Deinterlacer().run(frames))
    assert [frame.width for frame in given] == [160] * COUNT + [320] * 5
    np.testing.assert_array_equal(given[-1].to_ndarray(), frames[-1].to_ndarray())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (2, 3), (300, 4), (16, 5), (1, 300)])
def test_frames_of_few_rows_can_be_looked_at(width: int, height: int) -> None:
    noise = np.random.default_rng(0)
    combs = Combs()
    for i in range(40):
        frame = av.VideoFrame.from_ndarray(noise.integers(0, 256, (height, width, 3), np.uint8), "rgb24")
        frame.pts, frame.time_base = i, Fraction(1, 25)
        if not combs.over:
            combs.look(frame)


@pytest.mark.parametrize("size", [(64, 2), (2, 64), (2, 2)])
def test_frames_too_small_for_the_filter_pass_as_they_are(tmp_path: Path, size: tuple[int, int]) -> None:
    """They take nothing away from the video that they are appended to."""
    with av.open(str(write_interlaced(tmp_path / "a.mp4", "libx264"))) as container:
        frames = list(container.decode(video=0))
    small = [frame.reformat(*size) for frame in frames[:4]]
    given = list(Deinterlacer().run([*frames, *small, *frames]))
    assert [frame.width for frame in given] == [160] * COUNT + [size[0]] * 4 + [160] * COUNT
    assert all(one is other for one, other in zip(given[COUNT:-COUNT], small, strict=True))


def test_large_frames_do_not_wait_for_many_others(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [av.VideoFrame(64, 64, "yuv420p") for _ in range(20)]
    for i, frame in enumerate(frames):
        frame.pts, frame.time_base = i, Fraction(1, 25)
    monkeypatch.setattr(interlaced, "HELD_BYTES", 4.5 * sum(plane.buffer_size for plane in frames[0].planes))
    taken = 0

    def counted() -> Iterator[av.VideoFrame]:
        nonlocal taken
        for frame in frames:
            taken += 1
            yield frame

    for given, _ in enumerate(Deinterlacer().run(counted())):
        assert taken - given <= 5
