"""Video in and out."""

from __future__ import annotations

import gc
import os
import resource
import struct
import subprocess
import sys
import threading
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
import pytest
from tests.media import gradient, moving, turn_in_header, write_audio, write_matrix, write_video

from lrnet.errors import (
    DamagedVideoError,
    LimitError,
    LrnetError,
    NetworkSourceError,
    NotAVideoError,
    OutputError,
    VideoNotFoundError,
)
from lrnet.video.folder import find_videos
from lrnet.video.frame import Frame, planes_of
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access, Limits
from lrnet.video.reader import VideoReader, probe
from lrnet.video.spacing import spaced
from lrnet.video.writer import VideoWriter


def read(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    frames = read(write_video(tmp_path / "a.mp4", moving(10)))
    assert [f.index for f in frames] == list(range(10))
    np.testing.assert_allclose([f.time for f in frames], np.arange(10) / 25, atol=1e-3)
    assert (frames[0].width, frames[0].height) == (160, 96)


def test_times_of_a_variable_frame_rate_are_kept(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.12, 0.16, 0.4, 1.0]
    frames = read(write_video(tmp_path / "a.mp4", moving(6), times=times))
    np.testing.assert_allclose([f.time for f in frames], times, atol=2e-3)


@pytest.mark.parametrize("isolate", [False, True])
def test_frames_that_were_read_are_freed(tmp_path: Path, isolate: bool) -> None:
    """At once, and not when the collector of circles comes by: a frame has megabytes."""
    path = write_video(tmp_path / "a.mp4", moving(40))
    turn_in_header(path, 1)
    gc.collect()
    gc.disable()
    try:
        with open_video(path, Access(isolate=isolate)) as reader:
            assert sum(1 for _ in reader.decode()) == 40
        frames = [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame) and thing.width == 160]
        assert len(frames) <= 4  # thumbnails are not counted
    finally:
        gc.enable()


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("quantiser", [18, 33, 47])
def test_the_quantiser_is_the_encoder_s(tmp_path: Path, quantiser: int, isolate: bool) -> None:
    """Of the same parameter in every frame and macroblock, which the encoder is made to use."""
    constant = f"qp={quantiser}:ipratio=1:pbratio=1:aq-mode=0"
    path = write_video(tmp_path / "a.mp4", moving(40), options={"x264-params": constant})
    with open_video(path, Access(isolate=isolate)) as reader:
        assert sum(1 for _ in reader.decode()) == 40
        assert reader.quantiser == quantiser


def test_the_quantiser_is_that_of_the_whole_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One part coarse, two parts fine."""
    monkeypatch.setattr("lrnet.video.quantiser.QUANTISER_EVERY", 50)
    parts = []
    for number, quantiser in enumerate((45, 20, 20)):
        options = {"x264-params": f"qp={quantiser}:ipratio=1:pbratio=1:aq-mode=0"}
        parts.append(write_video(tmp_path / f"{number}.ts", moving(100), options=options))
    (tmp_path / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(tmp_path / "a.ts") as reader:
        assert sum(1 for _ in reader) > 290
        assert reader.quantiser == 20


@pytest.mark.parametrize("isolate", [False, True])
def test_a_reader_that_is_closed_is_freed(tmp_path: Path, isolate: bool) -> None:
    """At once: a decoder of large frames holds a hundred megabytes."""
    path = write_video(tmp_path / "a.mp4", moving(20))
    gc.collect()
    gc.disable()
    try:
        with open_video(path, Access(isolate=isolate)) as reader:
            reader.waiting = reader.abort  # leads back to it
            assert sum(1 for _ in reader) == 20
        freed = weakref.ref(reader)
        del reader
        assert freed() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("codec", ["libx265", "mpeg4"])
def test_of_other_codecs_no_quantiser_is_known(tmp_path: Path, codec: str) -> None:
    with VideoReader(write_video(tmp_path / "a.mkv", moving(10), codec=codec)) as reader:
        assert sum(1 for _ in reader) == 10
        assert reader.quantiser is None


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_video_comes_upright(tmp_path: Path, turns: int) -> None:
    stored = write_video(tmp_path / "a.mp4", [gradient()] * 3, options={"crf": "5"})
    upright = np.rot90(read(stored)[0].rgb(), -turns)
    turn_in_header(stored, turns)
    with VideoReader(stored) as reader:
        frame = next(iter(reader))
        assert (reader.info.width, reader.info.height) == (upright.shape[1], upright.shape[0])
    np.testing.assert_array_equal(frame.rgb(), upright)
    assert frame.luma.shape == upright.shape[:2]
    assert np.abs(frame.rgb_resized(frame.width, frame.height).astype(int) - upright).mean() < 3


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
@pytest.mark.parametrize("turns", [0, 1])
@pytest.mark.parametrize("stored", [(120, 96), (160, 72)])
def test_pixels_that_are_not_square_are_shown_as_a_player_shows_them(
    tmp_path: Path, stored: tuple[int, int], turns: int, pixel_format: str
) -> None:
    """4:3 stored of 16:10, say: what is round stays round, and no pixel is lost."""
    shown = gradient(160, 96)
    narrow = cv2.resize(shown, stored, interpolation=cv2.INTER_AREA).astype(np.uint8)
    path = write_video(
        tmp_path / "a.mp4",
        [narrow] * 3,
        options={"crf": "5"},
        pixel_format=pixel_format,
        aspect=Fraction(160 * stored[1], 96 * stored[0]),
    )
    if turns:
        turn_in_header(path, turns)
        shown = np.rot90(shown, -turns)
    here = read(path)
    with open_video(path, Access(isolate=True)) as reader:
        isolated = list(reader)
        assert (reader.info.width, reader.info.height) == (shown.shape[1], shown.shape[0])
    for frame in (here[0], isolated[0]):
        assert (frame.width, frame.height) == (shown.shape[1], shown.shape[0])
        assert np.abs(frame.rgb().astype(int) - shown).mean() < 3
        assert np.abs(frame.rgb_resized(frame.width, frame.height).astype(int) - shown).mean() < 3
    np.testing.assert_array_equal(here[0].luma, isolated[0].luma)


@pytest.mark.parametrize("aspect", [Fraction(1281, 1280), Fraction(1, 100), Fraction(5)])
def test_pixels_nearly_square_or_incredible_are_taken_as_they_are(tmp_path: Path, aspect: Fraction) -> None:
    path = write_video(tmp_path / "a.mp4", [gradient()], aspect=aspect)
    frame = read(path)[0]
    assert (frame.width, frame.height) == (160, 96)
    assert probe(path).width == 160


def test_a_limit_on_pixels_is_one_on_those_that_are_shown(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [gradient()], aspect=Fraction(3))
    fits = Limits(megapixels=160 * 96 * 3 / 1e6)
    with VideoReader(path, Access(limits=fits)) as reader:
        assert sum(1 for _ in reader) == 1
    with pytest.raises(LimitError):
        VideoReader(path, Access(limits=replace(fits, megapixels=160 * 96 * 2 / 1e6)))


@pytest.mark.parametrize(
    ("matrix", "turns"),
    [
        ((-1, 0, 0, 1), 0),  # left and right changed, as front cameras do
        ((1, 0, 0, -1), 2),  # top and bottom changed: that is the same and half a turn
        ((0, 1, 1, 0), 3),
        ((0, -1, -1, 0), 1),
        ((0, 0, 0, 0), 0),
        ((2, 0, 0, 0), 0),
    ],
)
def test_a_mirrored_video_comes_upright(tmp_path: Path, matrix: tuple[int, int, int, int], turns: int) -> None:
    """What a player shows, with left and right changed: never on its head."""
    path = write_video(tmp_path / "a.mp4", [gradient()] * 2)
    stored = read(path)[0].luma
    a, b, c, d = matrix
    write_matrix(path, (0x10000 * a, 0x10000 * b, 0x10000 * c, 0x10000 * d))
    frame = read(path)[0]
    np.testing.assert_array_equal(frame.luma, np.rot90(stored, turns))
    if a * d - b * c:
        y, x = np.indices(stored.shape)
        right, down = a * x + c * y, b * x + d * y
        right, down = right - right.min(), down - down.min()
        shown = np.empty((down.max() + 1, right.max() + 1), np.uint8)
        shown[down, right] = stored
        np.testing.assert_array_equal(frame.luma[:, ::-1], shown)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [
        (".mp4", "libx264", "yuv420p"),
        (".mp4", "libx264", "yuv444p"),
        (".mkv", "libx264", "yuv420p10le"),
        (".webm", "libvpx-vp9", "yuv420p"),
        (".mp4", "libx265", "yuv420p"),
        (".avi", "mpeg4", "yuv420p"),
        (".mov", "png", "rgb24"),
        (".mkv", "ffv1", "yuv422p"),
    ],
)
def test_codecs_and_pixel_formats_show_the_same_picture(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str
) -> None:
    path = write_video(tmp_path / f"a{suffix}", [gradient()] * 3, codec=codec, pixel_format=pixel_format)
    frame = read(path)[-1]
    whole = frame.rgb_warped(np.array([[1.0, 0, 0], [0, 1, 0]]), 160, 96)
    assert np.abs(whole.astype(int) - gradient()).mean() < 4


@pytest.mark.parametrize("tag", ["DURATION", "REMARK"])
def test_matroska_s_sound_may_last_longer_than_its_picture(tmp_path: Path, tag: str) -> None:
    """Each stream has its duration in a tag; where there is none, the container's is all there is."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 160, 96, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for rgb in moving(40):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(picture.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 20 * 8000), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode(None))
    path = tmp_path / "a.mkv"
    path.write_bytes(path.read_bytes().replace(b"DURATION", tag.ljust(8).encode()))
    assert probe(path).duration == pytest.approx(1.6 if tag == "DURATION" else 20, abs=0.01)


def test_odd_sizes_are_whole(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [gradient(161, 97)] * 2, codec="ffv1", pixel_format="yuv420p")
    frame = read(path)[0]
    assert (frame.width, frame.height) == (161, 97)
    assert np.abs(frame.rgb_resized(161, 97).astype(int) - gradient(161, 97)).mean() < 4


def test_a_warp_moves_pixels_where_its_matrix_says(tmp_path: Path) -> None:
    frame = read(write_video(tmp_path / "a.mkv", [gradient()], codec="ffv1", pixel_format="yuv444p"))[0]
    moved = frame.rgb_warped(np.array([[1.0, 0, -20], [0, 1, -10]]), 60, 40)
    assert np.abs(moved.astype(int) - gradient()[10:50, 20:80]).mean() < 3
    outside = frame.rgb_warped(np.array([[1.0, 0, 200], [0, 1, 0]]), 60, 40)
    assert outside.max() <= 1


def test_a_video_cut_off_in_the_middle_gives_what_it_has(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", moving(60), options={"g": "5"})
    data = whole.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    assert 0 < len(read(tmp_path / "cut.mkv")) < 60


@pytest.mark.parametrize("threads", [1, 4])
def test_a_fragmented_file_that_was_cut_off_is_damaged(tmp_path: Path, threads: int) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "frag_keyframe+empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for rgb in moving(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    data = (tmp_path / "a.mp4").read_bytes()
    for end, damaged in ((data.rindex(b"mdat") + 50, 1), (len(data), 0)):
        (tmp_path / "cut.mp4").write_bytes(data[:end])
        with VideoReader(tmp_path / "cut.mp4", threads=threads) as reader:
            assert len(list(reader)) >= 30
            assert reader.damaged == damaged


def test_recordings_that_were_joined_whole_are_not_damaged(tmp_path: Path) -> None:
    """The demuxer takes the last packet before the joint for cut off, because a counter starts again."""
    part = write_video(tmp_path / "a.ts", moving(20)).read_bytes()
    (tmp_path / "joined.ts").write_bytes(part + part)
    with VideoReader(tmp_path / "joined.ts", threads=4) as reader:
        assert (len(list(reader)), reader.damaged) == (40, 0)


def faulty(kind: str, folder: Path) -> str:
    path = folder / "bad.mp4"
    if kind == "text":
        path.write_text("no video at all\n" * 50)
    elif kind == "empty":
        path.touch()
    elif kind == "audio":
        write_audio(path)
    elif kind == "playlist":
        path = folder / "bad.m3u8"
        path.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n")
    elif kind == "animated WebP":
        path = write_video(folder / "bad.webp", moving(4), codec="libwebp_anim")
    elif kind == "index cut off":
        write_video(path, moving(20))
        path.write_bytes(path.read_bytes()[:2000])
    elif kind == "folder":
        path.mkdir()
    elif kind == "address":
        return "https://example.invalid/a.mp4"
    elif kind == "name too long":
        return str(folder / ("a" * 300))
    elif kind == "circle":
        path.symlink_to(path)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("missing", VideoNotFoundError),
        ("text", NotAVideoError),
        ("empty", NotAVideoError),
        ("audio", NotAVideoError),
        ("playlist", NotAVideoError),
        ("index cut off", NotAVideoError),
        ("animated WebP", NotAVideoError),
        ("folder", NotAVideoError),
        ("name too long", VideoNotFoundError),
        ("circle", VideoNotFoundError),
        ("address", NetworkSourceError),
    ],
)
def test_what_is_no_video_is_a_typed_error(tmp_path: Path, kind: str, error: type[LrnetError]) -> None:
    source = faulty(kind, tmp_path)
    with pytest.raises(error) as raised, VideoReader(source) as reader:
        list(reader)
    assert source in raised.value.what
    assert raised.value.hint.endswith(".")
    assert raised.value.exit_code == 3


def test_ffmpeg_gets_the_open_file_and_nothing_that_opens_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", moving(2))
    asked: list[tuple[str, dict[str, str]]] = []
    av_open = av.open

    def opened(name: str, **given: Any) -> Any:
        asked.append((name, dict(given["options"])))
        return av_open(name, **given)

    monkeypatch.setattr(av, "open", opened)
    with VideoReader(path) as reader:
        assert len(list(reader)) == 2
    ((name, options),) = asked
    assert (name, options["protocol_whitelist"]) == ("fd:", "fd")
    formats = set(options["format_whitelist"].split(","))
    assert {"mov", "matroska", "mpegts"} <= formats
    assert formats.isdisjoint(
        {"hls", "applehttp", "dash", "concat", "concatf", "sdp", "rtsp", "image2", "lavfi", "imf"}
    )


def test_an_animated_webp_is_named_as_what_it_is(shared: Path) -> None:
    with pytest.raises(NotAVideoError, match="animated WebP"):
        VideoReader(shared / "cases" / "animated.webp")


@pytest.mark.skipif("libsvtav1" not in av.codecs_available, reason="needs an encoder of AV1")
def test_of_an_animated_avif_the_animation_is_read_and_not_the_still(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avif", moving(4), codec="libsvtav1")
    assert len(read(path)) == 4
    assert probe(path).notes == ()


def test_frames_that_the_decoder_patched_are_counted_and_left_out(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(30), options={"g": "10"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat")
    for at in range(start + 2000, start + 2200, 3):
        data[at] ^= 0x55
    path.write_bytes(data)
    whole = patched = lost = 0
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for packet in container.demux(video=0):
            try:
                for frame in packet.decode():
                    patched, whole = patched + frame.is_corrupt, whole + (not frame.is_corrupt)
            except av.error.FFmpegError:
                lost += 1
    assert patched > 0
    assert lost > 0
    with VideoReader(path, threads=1) as reader:
        given = list(reader)
    assert (len(given), reader.damaged) == (whole, patched + lost)
    assert len({f.index for f in given}) == len(given)


def test_frames_that_cannot_be_converted_are_damaged(tmp_path: Path) -> None:
    """FFmpeg has no way from packed colours of four bits to planes, nor in some formats for a single row."""
    path = tmp_path / "a.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb4"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(64, 64, "rgb4")))
        container.mux(stream.encode(None))
    with VideoReader(path) as reader:
        with pytest.raises(DamagedVideoError):
            list(reader)
        assert reader.damaged == reader.frames == 3


def test_a_video_without_one_good_frame_is_damaged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(5))
    data = bytearray(path.read_bytes())
    pictures, index = data.index(b"mdat") + 4, data.index(b"moov") - 4
    assert pictures < index
    data[pictures:index] = b"\x55" * (index - pictures)
    path.write_bytes(data)
    with pytest.raises(DamagedVideoError), VideoReader(path) as reader:
        list(reader)


def test_an_error_survives_a_process_boundary() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(VideoNotFoundError("There is none.", hint="Look again.")))
    assert type(error) is VideoNotFoundError
    assert (error.what, error.hint) == ("There is none.", "Look again.")


def test_a_reader_left_early_ends_its_thread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(200))
    with VideoReader(path) as reader:
        next(iter(reader))
        assert "lrnet-decode" in [thread.name for thread in threading.enumerate()]
    assert "lrnet-decode" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize(
    ("rate", "kept"), [(24, 1), (25, 1), (30, 1), (29.97, 1), (50, 2), (59.94, 2), (60, 2), (120, 4), (15, 1)]
)
def test_fast_sources_lose_frames_evenly(rate: float, kept: int) -> None:
    frames = [Frame.__new__(Frame) for _ in range(120)]
    for i, frame in enumerate(frames):
        frame.index, frame.time, frame.luma = i, i / rate, np.full((8, 8), 2 * i, np.uint8)
    assert [f.index for f in spaced(frames, 25.0)] == list(range(0, 120, kept))


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    for sub in ("sub", ".hidden"):
        (tmp_path / sub).mkdir()
    for name in ("b.MP4", "sub/a.mkv", "notes.txt", "._b.MP4", "sub/.a.mkv", ".hidden/c.mp4"):
        (tmp_path / name).touch()
    inside = [str(tmp_path / "b.MP4"), str(tmp_path / "sub/a.mkv")]
    assert find_videos([tmp_path]) == inside
    assert find_videos([tmp_path / "notes.txt", tmp_path]) == [str(tmp_path / "notes.txt"), *inside]
    assert find_videos(["a" * 300, tmp_path]) == ["a" * 300, *inside]
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoNotFoundError):
        find_videos([tmp_path / "empty"])


def test_what_macos_leaves_beside_a_video_is_passed_over(shared: Path, tmp_path: Path) -> None:
    hidden = shared / "cases" / "apple-double" / "._clip.mp4"
    (tmp_path / hidden.name).write_bytes(hidden.read_bytes())
    clip = write_video(tmp_path / "clip.mp4", moving(2))
    assert find_videos([tmp_path]) == [str(clip)]
    with pytest.raises(VideoNotFoundError):
        find_videos([hidden.parent])


def test_the_writer_keeps_times_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    times = [0.0, 0.05, 0.2]
    with VideoWriter(tmp_path / "o.mp4", 161, 97, rate=25) as writer:
        for time in times:
            writer.write(gradient(161, 97), time)
    np.testing.assert_allclose([f.time for f in read(tmp_path / "o.mp4")], times, atol=1e-3)
    assert (probe(tmp_path / "o.mp4").width, probe(tmp_path / "o.mp4").height) == (160, 96)
    broken = VideoWriter(tmp_path / "broken.mp4", 160, 96, rate=25)
    broken.write(gradient(), 0.0)
    broken.__exit__(RuntimeError, RuntimeError(), None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.mp4"]


@contextmanager
def little_room(bytes_each: int) -> Iterator[None]:
    """Files cannot grow past a size, as on a full disk: the system says "File too large" instead of ending us."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_each, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("count", [3, 200])  # fails in the last flush; fails in the middle
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (384, 640, 3)).astype(np.uint8) for _ in range(3)]
    (tmp_path / "o.mp4").write_bytes(b"what was there before")

    def write() -> None:
        with VideoWriter(tmp_path / "o.mp4", 640, 384, 25, crf=10) as writer:
            for i in range(count):
                writer.write(noise[i % 3], i / 25)

    with little_room(300_000), pytest.raises(OutputError, match=r"o\.mp4 cannot be written"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]
    assert (tmp_path / "o.mp4").read_bytes() == b"what was there before"


@pytest.mark.parametrize(("width", "height", "codec"), [(1, 96, "libx264"), (160, 0, "libx264"), (4, 4, "libx265")])
def test_a_picture_that_is_too_small_to_encode_is_told(
    tmp_path: Path, width: int, height: int, codec: Literal["libx264", "libx265"]
) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "o.mp4", width, height, 25, codec=codec) as writer:
            writer.write(np.zeros((height, width, 3), np.uint8), 0.0)

    with pytest.raises(OutputError, match="too small"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("height", "colorspace"), [(96, 6), (720, 1)])
def test_written_rgb_says_how_its_colours_are_to_be_understood(tmp_path: Path, height: int, colorspace: int) -> None:
    """Against the matrices of ITU-R BT.601 and BT.709 worked out here, in the planes that are in the file."""
    colours = np.array([[200, 40, 90], [30, 180, 60], [20, 60, 220], [128, 128, 128]])
    rgb = np.repeat(colours, 40, axis=0)[None].repeat(height, 0).astype(np.uint8)
    with VideoWriter(tmp_path / "o.mp4", 160, height, 25, crf=1) as writer:
        for i in range(3):
            writer.write(rgb, i / 25)
    with av.open(str(tmp_path / "o.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_range) == (colorspace, 1)
    frame = read(tmp_path / "o.mp4")[0]
    red, blue = {6: (0.299, 0.114), 1: (0.2126, 0.0722)}[colorspace]
    luma = colours @ [red, 1 - red - blue, blue]
    expected = 16 + 219 / 255 * luma, 128 + 112 / 255 * (colours[:, 2] - luma) / (1 - blue)
    np.testing.assert_allclose(frame.stored.planes[0][height // 2, 20::40], expected[0], atol=1.5)
    np.testing.assert_allclose(frame.stored.planes[1][height // 4, 10::20], expected[1], atol=1.5)
    for shown in (frame.rgb(), frame.rgb_resized(160, height)):
        assert np.abs(shown[height // 2, 20::40].astype(int) - colours).max() <= 4


@pytest.mark.parametrize("height", [96, 720])
def test_both_ways_to_rgb_agree_where_a_file_names_no_colours(tmp_path: Path, height: int) -> None:
    frame = read(write_video(tmp_path / "a.mp4", [gradient(160, height)] * 2, options={"crf": "5"}))[0]
    assert frame.stored.colorspace == 2
    difference = np.abs(frame.rgb().astype(int) - frame.rgb_resized(160, height))
    assert np.quantile(difference, 0.99) <= 3


COLOURS = np.array([[200, 120, 90], [30, 160, 60], [40, 50, 200], [220, 30, 30], [128, 128, 128]])


@pytest.mark.parametrize(
    ("colorspace", "red", "blue"),
    [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (7, 0.212, 0.087), (9, 0.2627, 0.0593)],
)
def test_colours_are_read_by_the_matrix_that_the_file_names(colorspace: int, red: float, blue: float) -> None:
    """Against the weights of ITU-T H.273, worked out here."""
    luma = COLOURS @ [red, 1 - red - blue, blue]
    planes = (
        16 + 219 / 255 * luma,
        128 + 112 / 255 * (COLOURS[:, 2] - luma) / (1 - blue),
        128 + 112 / 255 * (COLOURS[:, 0] - luma) / (1 - red),
    )
    source = av.VideoFrame(160, 96, "yuv420p")
    source.colorspace, source.color_range = colorspace, 1
    for plane, values in zip(planes_of(source), planes, strict=True):
        plane[:] = np.repeat(np.round(values), plane.shape[1] // 5).astype(np.uint8)
    frame = Frame(source, 0, 0.0)
    for shown in (frame.rgb(), frame.rgb_resized(160, 96)):
        assert np.abs(shown[48, 16::32].astype(int) - COLOURS).max() <= 4  # another matrix would be 15 off


@pytest.mark.parametrize("height", [96, 720])
@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr0", "gbrp", "pal8"])
def test_colours_of_rgb_stay_in_frames_of_any_size(tmp_path: Path, pixel_format: str, height: int) -> None:
    """They become planes by BT.601, whatever players take for high-definition planes."""
    rgb = np.repeat(COLOURS, 32, axis=0)[None].repeat(height, 0).astype(np.uint8)
    if pixel_format == "pal8":
        palette = np.full((256, 4), 255, np.uint8)
        palette[:5, 1:] = COLOURS
        indices = np.repeat(np.arange(5, dtype=np.uint8), 32)[None].repeat(height, 0)
        source = av.VideoFrame.from_ndarray((indices, palette), format="pal8")
    else:
        source = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
    frame = Frame(source, 0, 0.0)
    with VideoWriter(tmp_path / "o.mp4", 160, height, 25, crf=1) as writer:
        writer.write_picture(frame.picture(), 0.0)
    for shown in (frame, *read(tmp_path / "o.mp4")):
        for way in (shown.rgb(), shown.rgb_resized(160, height)):
            assert np.abs(way[height // 2, 16::32].astype(int) - COLOURS).max() <= 4


def tagged(path: Path, colorspace: int, color_range: int, height: int = 96) -> Path:
    """A video that says how its colours are to be understood (numbers of ITU-T H.273; range 1 limited, 2 full)."""
    with VideoWriter(path, 160, height, 25, crf=1) as writer:
        for i, rgb in enumerate(moving(3, 160, height)):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            picture.colorspace, picture.color_range = colorspace, color_range
            writer.write_picture(picture, i / 25)
    return path


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize(("colorspace", "taken"), [(9, 9), (10, 9), (8, 5), (14, 5)])
def test_a_file_may_name_a_colour_space_that_ffmpeg_does_not_convert(
    tmp_path: Path, colorspace: int, taken: int, isolate: bool
) -> None:
    path = tagged(tmp_path / "a.mp4", colorspace, 1)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).colorspace == colorspace
    with open_video(path, Access(isolate=isolate)) as reader:
        for frame in reader:
            assert frame.stored.colorspace == taken
            assert np.abs(frame.rgb().astype(int) - frame.rgb_resized(160, 96)).mean() < 2
        assert (reader.frames, reader.damaged) == (3, 0)


@pytest.mark.parametrize(("colorspace", "color_range", "height"), [(1, 1, 96), (6, 1, 96), (6, 2, 96), (2, 0, 720)])
def test_a_picture_keeps_its_colours_on_the_way_through_an_encoder(
    tmp_path: Path, colorspace: int, color_range: int, height: int
) -> None:
    source = tagged(tmp_path / "s.mp4", colorspace, color_range, height)
    for from_rgb in (False, True):
        with VideoReader(source) as reader, VideoWriter(tmp_path / "o.mp4", 160, height, 25, crf=1) as writer:
            before = []
            for frame in reader:
                rgb = frame.rgb_resized(frame.width, frame.height)
                before.append(rgb.astype(int))
                writer.write_picture(frame.picture(rgb if from_rgb else None), frame.time)
        with VideoReader(tmp_path / "o.mp4") as reader:
            after = [frame.rgb_resized(frame.width, frame.height).astype(int) for frame in reader]
        assert len(after) == 3
        for one, other in zip(before, after, strict=True):
            assert np.abs(one - other).mean() < 1
            assert np.quantile(np.abs(one - other), 0.99) <= 3  # another matrix would be 10 off and more


def test_a_picture_of_an_odd_size_loses_its_last_row_and_column() -> None:
    planes = av.VideoFrame.from_ndarray(gradient(161, 97), format="rgb24").reformat(format="yuv420p")
    frame = Frame(planes, 0, 0.0)
    for picture in (frame.picture(), frame.picture(np.zeros((97, 161, 3), np.uint8))):
        assert (picture.width, picture.height, picture.format.name) == (160, 96, "yuv420p")


def test_a_replaced_picture_shows_what_it_was_given() -> None:
    frame = Frame(av.VideoFrame.from_ndarray(gradient(), format="rgb24").reformat(format="yuv420p"), 0, 0.0)
    colour = np.full((96, 160, 3), (200, 40, 90), np.uint8)
    shown = Frame(frame.picture(colour), 0, 0.0).rgb_resized(160, 96)
    assert np.abs(shown.astype(int) - colour).max() <= 3


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "LA"])
def test_a_picture_with_a_named_colour_profile_does_not_crash_the_process(mode: str, tmp_path: Path) -> None:
    """PyAV 18.1 frees the profile's name twice if side data are looked at; the process died when it ended."""
    picture = tmp_path / "profile.png"
    channels = {"RGB": 2, "L": 0, "P": 3, "1": 0, "RGBA": 6, "LA": 4}[mode]
    depth = 1 if mode == "1" else 8
    line = bytes(64 * {2: 3, 0: 1, 3: 1, 6: 4, 4: 2}[channels]) if depth == 8 else bytes(8)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 64, 64, depth, channels, 0, 0, 0)),
        (b"iCCP", b"a name\0\0" + zlib.compress(bytes(200))),
        *([(b"PLTE", bytes(768))] if mode == "P" else []),
        (b"IDAT", zlib.compress((b"\0" + line) * 64)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    read = (
        "import gc, sys; from lrnet.video.reader import VideoReader\n"
        "with VideoReader(sys.argv[1]) as r: print(len(list(r)))\n"
        "gc.collect()"
    )
    done = subprocess.run([sys.executable, "-c", read, picture], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


@pytest.mark.parametrize(("orientation", "shape"), [(1, (64, 96)), (6, (96, 64)), (3, (64, 96))])
def test_a_picture_with_exif_is_read_upright(orientation: int, shape: tuple[int, int], tmp_path: Path) -> None:
    """PyAV 18.1 knows no such side data, and fails when it is asked for any."""
    scene = np.full((64, 96, 3), 60, np.uint8)
    scene[:20, :20] = 230  # bright top left, as the file stores it
    jpeg = cv2.imencode(".jpg", scene)[1].tobytes()
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    picture = tmp_path / "exif.jpg"
    picture.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    with VideoReader(picture) as reader:
        (frame,) = reader
    assert frame.luma.shape == shape
    corners = [frame.luma[:10, :10], frame.luma[:10, -10:], frame.luma[-10:, -10:], frame.luma[-10:, :10]]
    assert int(np.argmax([c.mean() for c in corners])) == {1: 0, 6: 1, 3: 2}[orientation]


def test_equal_pictures_give_equal_bytes_whatever_lies_in_memory(tmp_path: Path) -> None:
    """The C library fills fresh memory with a pattern. Without `REPEATABLE` the bytes differ: x264 reads what it did
    not write, and reports of one video differed on a busy machine, one in ten."""
    write = (
        "import sys, numpy as np, cv2; from lrnet.video.writer import REPEATABLE, VideoWriter\n"
        "blocks = np.random.default_rng(0).integers(0, 255, (32, 42, 3), dtype=np.uint8)\n"
        "options = {'maxrate': '700k', 'bufsize': '1400k', 'g': '25', **REPEATABLE}\n"
        "with VideoWriter(sys.argv[1], 320, 240, 25.0, 30, options) as out:\n"
        "    for k in range(75): out.write(np.roll(cv2.resize(blocks, (320, 240)), 3 * k, 1), k / 25)\n"
    )
    found = set()
    for pattern in ("0", "1", "3"):
        path = tmp_path / f"{pattern}.mp4"
        subprocess.run([sys.executable, "-c", write, path], check=True, env={**os.environ, "MALLOC_PERTURB_": pattern})
        found.add(path.read_bytes())
    assert len(found) == 1
