"""Files whose time stamps are wrong, start late or jump, in several containers; which of several tracks is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from tests.bad_inputs.compare import listed
from tests.media import moving, write_stamped

from lrnet.video.frame import Frame, VideoInfo
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access, Limits
from lrnet.video.reader import VideoReader, probe

STEP = 0.04
HOUR = 3600.0


def regular(count: int, start: float = 0.0) -> list[float]:
    return [start + i * STEP for i in range(count)]


def read(path: Path, access: Access | None = None) -> tuple[list[Frame], VideoInfo]:
    with open_video(path, access) as reader:
        return list(reader.decode()), reader.info


def assert_regular(frames: list[Frame], count: int, start: float = 0.0) -> None:
    assert [frame.index for frame in frames] == list(range(count))
    np.testing.assert_allclose([frame.time for frame in frames], regular(count, start), atol=0.012)


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    ("suffix", "off", "at"),
    [
        ("mp4", HOUR, [30]),
        ("mov", 5 * HOUR, [10]),
        ("mp4", 2.0, [20, 21, 22, 23, 24]),
        ("mkv", HOUR, [30]),
        ("mkv", 30.0, [12, 40]),
        ("ts", HOUR, [30]),
        ("ts", 7.0, [30, 31, 32]),
        ("mp4", HOUR, [59]),
    ],
)
def test_frames_with_a_stamp_that_is_off_are_placed_between_their_neighbours(
    tmp_path: Path, suffix: str, off: float, at: list[int], isolate: bool
) -> None:
    stamps = [t + off * (i in at) for i, t in enumerate(regular(60))]
    path = write_stamped(tmp_path / f"a.{suffix}", stamps, decoding=regular(60))
    frames, info = read(path, Access(isolate=isolate, limits=Limits(duration=HOUR / 2, refuse=True)))
    assert_regular(frames, 60)
    assert {frame.shot for frame in frames[:-1]} == {0}
    assert info.duration == pytest.approx(2.4, abs=0.1)
    assert "time stamps" in info.notes[0]


@pytest.mark.parametrize(
    ("suffix", "off", "wrong"),
    [("mkv", -8.0, 5), ("flv", -5.0, 12), ("mkv", 50.0, 10), ("mp4", 20.0, 2), ("ts", -7.0, 3)],
)
def test_of_two_clocks_behind_the_first_frame_that_of_most_frames_is_right(
    tmp_path: Path, suffix: str, off: float, wrong: int
) -> None:
    stamps = [t + off * (1 <= i <= wrong) for i, t in enumerate(regular(60, 10.0))]
    frames, info = read(write_stamped(tmp_path / f"a.{suffix}", stamps, decoding=regular(60)))
    assert_regular(frames, 60, 0.0 if suffix == "ts" else 10.0)
    assert {frame.shot for frame in frames} == {0}
    assert "time stamps" in info.notes[0]


@pytest.mark.parametrize(
    ("suffix", "jump"), [("ts", HOUR), ("ts", 20.0), ("mkv", HOUR), ("flv", 2 * HOUR), ("mp4", HOUR)]
)
def test_after_a_jump_time_goes_on_and_a_new_shot_starts(tmp_path: Path, suffix: str, jump: float) -> None:
    frames, info = read(write_stamped(tmp_path / f"a.{suffix}", [*regular(50), *regular(50, jump)]))
    assert_regular(frames, 100)
    assert [frame.shot for frame in frames] == [0] * 50 + [1] * 50
    assert info.duration == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("starts", [(0.0, 0.0), (100.0, 10.0), (2**33 / 90000 - 2.0, 50.0), (0.0, 30000.0)])
def test_transport_streams_that_were_joined(tmp_path: Path, starts: tuple[float, float]) -> None:
    parts = [write_stamped(tmp_path / f"{i}.ts", regular(50, start)) for i, start in enumerate(starts)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, info = read(path)
    assert_regular(frames, 100)
    assert [frame.shot for frame in frames] == [0] * 50 + [1] * 50
    assert info.duration == pytest.approx(4.0, abs=0.1)


def test_a_transport_stream_whose_counter_wraps_goes_on(tmp_path: Path) -> None:
    frames, info = read(write_stamped(tmp_path / "a.ts", regular(100, 2**33 / 90000 - 2.0)))
    assert_regular(frames, 100)
    assert {frame.shot for frame in frames} == {0}
    assert info.notes == ()


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    ("suffix", "start", "sound"),
    [
        ("mkv", 3.0, True),
        ("mkv", 1.0, False),
        ("mp4", 0.5, True),
        ("mp4", 3.0, False),
        ("flv", 1.5, True),
        ("ts", 3.0, True),
    ],
)
def test_a_picture_that_starts_late_is_where_a_player_shows_it(
    tmp_path: Path, suffix: str, start: float, sound: bool, isolate: bool
) -> None:
    path = write_stamped(tmp_path / f"a.{suffix}", regular(50, start), sound=sound)
    frames, info = read(path, Access(isolate=isolate))
    assert frames[0].time == pytest.approx(start, abs=0.025)  # AAC's priming moves all of FLV and MPEG-TS a little
    assert_regular(frames, 50, frames[0].time)
    assert info.duration == pytest.approx(start + 2, abs=0.1)
    assert probe(path).duration == pytest.approx(start + 2, abs=0.1)
    assert info.notes == ()


@pytest.mark.parametrize(("suffix", "start"), [("mkv", 2 * HOUR), ("flv", HOUR), ("ts", 5 * HOUR)])
def test_a_piece_of_a_live_recording_starts_at_zero(tmp_path: Path, suffix: str, start: float) -> None:
    frames, info = read(write_stamped(tmp_path / f"a.{suffix}", regular(50, start)))
    assert_regular(frames, 50)
    assert info.duration == pytest.approx(2.0, abs=0.1)


def test_a_pause_that_the_header_covers_is_kept(tmp_path: Path) -> None:
    frames, info = read(write_stamped(tmp_path / "a.mp4", [*regular(25), *regular(25, 20.0)]))
    assert [frames[24].time, frames[25].time] == pytest.approx([0.96, 20.0])
    assert {frame.shot for frame in frames} == {0}
    assert info.notes == ()


@pytest.mark.parametrize(("suffix", "hidden"), [("mkv", 0), ("mp4", 10), ("mov", 10)])
def test_frames_before_time_zero(tmp_path: Path, suffix: str, hidden: int) -> None:
    """An edit list cuts them off; elsewhere the video starts with them."""
    frames, info = read(write_stamped(tmp_path / f"a.{suffix}", regular(50, -0.4)))
    assert_regular(frames, 50 - hidden)
    assert info.notes == ()


@pytest.mark.parametrize(
    ("suffix", "codec"), [("h264", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"), ("mpg", "mpeg1video")]
)
def test_formats_with_few_stamps_or_none(tmp_path: Path, suffix: str, codec: str) -> None:
    with av.open(str(tmp_path / f"a.{suffix}"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for rgb in moving(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    frames, info = read(tmp_path / f"a.{suffix}")
    assert len(frames) == 40
    np.testing.assert_allclose([frame.time for frame in frames], regular(40), atol=2 * STEP)
    assert info.notes == ()


def write_tracks(path: Path, tracks: list[tuple[int, int, bool]]) -> Path:
    """Tracks of width, height, and whether they are marked as the default."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height, default in tracks:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = av.stream.Disposition.default if default else av.stream.Disposition(0)
            streams.append(stream)
        for stream in streams:
            for rgb in moving(10, stream.width, stream.height):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(
    ("suffix", "tracks", "plays"),
    [
        ("mkv", [(160, 96, True), (320, 192, False)], 0),
        ("mkv", [(320, 192, False), (160, 96, True)], 1),
        ("mkv", [(160, 96, False), (320, 192, False)], 0),
        ("mp4", [(160, 96, True), (320, 192, False)], 0),
        ("ts", [(160, 96, False), (320, 192, False)], 0),
    ],
)
def test_the_track_that_plays_is_read_and_the_others_are_named(
    tmp_path: Path, suffix: str, tracks: list[tuple[int, int, bool]], plays: int, isolate: bool
) -> None:
    frames, info = read(write_tracks(tmp_path / f"a.{suffix}", tracks), Access(isolate=isolate))
    assert len(frames) == 10
    assert (info.width, info.height) == tracks[plays][:2]
    (note,) = info.notes
    width, height, _ = tracks[1 - plays]
    assert f"track {1 - plays} (h264, {width} x {height})" in note


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe")
@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("one-time-stamp-1h-off.mp4", 144, None),
        ("real-then-fake-behind-one-bad-time-stamp.mp4", 270, None),
        ("ts-time-jump-1h.ts", 220, 9.134),  # ffprobe believes the jump, and counts from the stream's clock
        ("vfr.mp4", 209, None),
        ("fake-24-as-30fps-repeats.mp4", 298, None),
        ("fake-same-frames-left-out.mp4", 199, None),
        ("anamorphic-480x360-sar4-3.mp4", 239, None),
        ("video-starts-3s-late.mkv", 239, None),
        ("two-video-tracks-default-is-smaller.mkv", 74, None),
    ],
)
def test_cases_have_the_frames_and_times_that_ffprobe_lists(
    shared: Path, name: str, count: int, last: float | None
) -> None:
    path = shared / "cases" / name
    with VideoReader(path) as reader:
        for frame in reader.decode():
            time = frame.time
        info = reader.info
    theirs = listed(path)
    assert reader.frames == count == len(theirs)
    assert time == pytest.approx(theirs[-1] if last is None else last, abs=1e-3)
    assert info.duration == pytest.approx(time, abs=0.06)
