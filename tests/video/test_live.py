"""Sources without an end: nothing is queued without bound, nothing is lost in silence."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from tests.media import moving, write_video
from tests.video import streaming_servers

from lrnet.errors import NetworkSourceError, NotAVideoError, VideoError, VideoNotFoundError
from lrnet.video import live
from lrnet.video.limits import Access
from lrnet.video.live import LiveReader, Recent
from lrnet.video.reader import VideoReader
from lrnet.video.spacing import spaced

RATE = 25


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of noise, 64 x 48 pixels, a key frame every second, MPEG-TS."""
    path = tmp_path_factory.mktemp("live") / "stream.ts"
    draw = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        track = out.add_stream("libx264", rate=RATE, options={"g": str(RATE), "preset": "ultrafast", "bf": "0"})
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for n in range(10 * RATE):
            frame = VideoFrame.from_ndarray(draw.integers(0, 255, (48, 64, 3), dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, RATE)
            out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return path


def piped(monkeypatch: pytest.MonkeyPatch, stream: Path, rate: float) -> None:
    """Standard input gets the stream, `rate` times as fast as it plays."""
    read, write = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(read, "rb", buffering=0))
    content = stream.read_bytes()

    def feed() -> None:
        began = monotonic()
        with os.fdopen(write, "wb", buffering=0) as pipe:
            for sent in range(0, len(content), 1880):
                sleep(max(0.0, began + sent / len(content) * 10 / rate - monotonic()))
                try:
                    pipe.write(content[sent : sent + 1880])
                except BrokenPipeError:
                    return

    threading.Thread(target=feed, daemon=True).start()


def test_a_source_faster_than_real_time_is_read_whole(monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    piped(monkeypatch, stream, 50)
    with LiveReader("-", Access(), RATE) as reader:
        found = [(f.index, f.time, f.stretch) for f in reader]
    with VideoReader(stream) as file:
        assert [(index, time) for index, time, _ in found] == [(f.index, pytest.approx(f.time)) for f in file]
    assert {stretch for *_, stretch in found} == {0}
    assert (reader.left_out, reader.examined) == (0.0, 10 * RATE)


def test_a_slow_reader_gets_whole_stretches(monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    """At 2.5 times real time the reader takes 25 frames a second of 62: what it gets is never old."""
    monkeypatch.setattr(live, "AHEAD", 1e9)  # the source cannot wait, as a camera cannot
    monkeypatch.setattr(live, "MOST_LAG", 0.5)
    piped(monkeypatch, stream, 2.5)
    times, lags = {}, []
    with LiveReader("-", Access(), RATE) as reader:
        for frame in reader:
            times.setdefault(frame.stretch, []).append(frame.time)
            lags.append(reader.lag(frame.time))
            sleep(0.04)
    assert len(times) >= 2
    for inside in times.values():
        assert np.diff(inside).max(initial=0) < 1.5 / RATE
    assert reader.left_out > 2
    total = reader.examined / RATE + reader.left_out
    assert total == pytest.approx(max(times[max(times)]), abs=1.0)  # what is left out last has no end
    assert total > 4
    assert max(lags) < 5


def test_a_source_waits_only_while_it_is_ahead_of_real_time(monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    monkeypatch.setattr(live, "MOST_BYTES", 1.5 * 64 * 48 * RATE)  # a second of it
    piped(monkeypatch, stream, 50)
    with LiveReader("-", Access(), RATE) as reader:
        frames = iter(reader)
        next(frames)
        sleep(4)
        rest = [frame.time for frame in frames]
    assert 1 < reader.left_out < 6  # what was to be seen in those 4 s, less what waited
    assert rest[-1] == pytest.approx(10, abs=0.1)
    assert reader.examined / RATE + reader.left_out == pytest.approx(10, abs=0.2)


def test_a_growing_file_ends_when_it_grows_no_more(
    monkeypatch: pytest.MonkeyPatch, stream: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 1.0)
    path, content = tmp_path / "growing.ts", stream.read_bytes()
    path.write_bytes(content[: len(content) // 2])

    def grow() -> None:
        sleep(0.5)
        with path.open("ab") as file:
            file.write(content[len(content) // 2 :])

    threading.Thread(target=grow, daemon=True).start()
    with LiveReader(str(path), Access(), RATE) as reader:
        assert sum(1 for _ in reader) == 10 * RATE


def test_a_file_that_is_over_is_not_waited_for_again(tmp_path: Path) -> None:
    """FFmpeg asks several times at the end of what is no video: each question would cost `PATIENCE`."""
    (tmp_path / "a.ts").write_bytes(b"x")
    file = os.open(tmp_path / "a.ts", os.O_RDONLY)
    source = live._Bytes(file, threading.Event(), patience=0.2)
    assert [source.read(10), source.read(10)] == [b"x", b""]
    (tmp_path / "a.ts").write_bytes(b"xyz")
    assert source.read(10) == b""


def test_what_was_received_is_recorded_as_it_was(monkeypatch: pytest.MonkeyPatch, stream: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    kept = Recent(600.0)
    with LiveReader(str(stream), Access(), RATE, kept=kept) as reader:
        pictures = [frame.luma.copy() for frame in reader]
    assert kept.write(tmp_path / "recording.mkv")
    with VideoReader(tmp_path / "recording.mkv") as recording:
        again = [frame.luma for frame in recording]
    assert len(again) == len(pictures)
    assert all(np.array_equal(a, b) for a, b in zip(again, pictures, strict=True))
    assert not kept.write(tmp_path / "empty.mkv")
    assert not (tmp_path / "empty.mkv").exists()


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch, stream: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    kept = Recent(600.0, most_bytes=stream.stat().st_size / 4)
    with LiveReader(str(stream), Access(), RATE, kept=kept) as reader:
        for _ in reader:
            with kept._lock:  # packets are added on another thread
                assert kept._bytes <= stream.stat().st_size / 4
    assert kept.write(tmp_path / "end.mkv")
    with VideoReader(tmp_path / "end.mkv") as recording:
        assert RATE <= sum(1 for _ in recording) <= 3 * RATE  # from a key frame on


def test_a_lost_connection_is_made_again(monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    monkeypatch.setattr(live, "PAUSES", (0.05, 0.05))
    opened: list[str] = []

    def open_live(name: str, access: Access, closed: threading.Event) -> av.container.InputContainer:
        opened.append(name)
        if len(opened) > 2:
            raise NotAVideoError("gone", hint="")
        return av.open(str(stream))

    monkeypatch.setattr(live, "open_live", open_live)
    said: list[str] = []
    frames = []
    with (
        LiveReader("rtsp://camera/1", Access(True), RATE, tell=said.append) as reader,
        pytest.raises(VideoError, match="gone"),
    ):
        frames += ((f.time, f.shot) for f in reader)
    assert len(opened) == 4
    assert len(said) == 3
    assert [shot for _, shot in frames] == [0] * 250 + [1] * 250
    assert (np.diff([time for time, _ in frames]) > 0).all()


@pytest.mark.parametrize("server", [streaming_servers.rtsp, streaming_servers.http])
def test_a_server_is_watched_and_connected_to_again(
    server: Callable[[Path, int], AbstractContextManager[str]], monkeypatch: pytest.MonkeyPatch, stream: Path
) -> None:
    monkeypatch.setattr(live, "PAUSES", (0.05, 0.05))
    monkeypatch.setattr(live, "AHEAD", 1e9)  # the servers send as fast as they can
    monkeypatch.setattr(live, "MOST_LAG", 1e9)
    monkeypatch.setattr(live, "MOST_BYTES", 1e12)
    said: list[str] = []
    seen: list[tuple[int, float, int]] = []
    with server(stream, 2) as address:
        with pytest.raises(NetworkSourceError):
            LiveReader(address, Access(), RATE)
        with LiveReader(address, Access(True), RATE, tell=said.append) as reader, pytest.raises(NotAVideoError) as gone:
            seen += ((f.shot, f.time, int(f.luma.astype(np.int64).sum())) for f in reader)
    with VideoReader(stream) as file:
        sent = [int(f.luma.astype(np.int64).sum()) for f in file]
    for shot in (0, 1):
        came = [light for s, _, light in seen if s == shot]
        assert len(came) >= len(sent) - 2  # FFmpeg loses what it holds when the connection breaks
        assert came == sent[: len(came)]
    assert (np.diff([time for _, time, _ in seen]) > 0).all()
    assert "connecting again" in said[0]
    assert "Check the address" in gone.value.hint


def test_what_waits_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    monkeypatch.setattr(live, "MOST_BYTES", 12 * 1.5 * 64 * 48)
    monkeypatch.setattr(live, "MOST_LAG", 1e9)
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    with LiveReader(str(stream), Access(), RATE) as reader:
        frames = iter(reader)
        for _ in range(3):
            next(frames)
            sleep(0.1)
            assert len(reader._queue) <= 12
        frames.close()  # type: ignore[attr-defined]


def test_formats_that_are_read_from_the_start_can_be_watched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    pictures = moving(12)
    fragmented = {"movflags": "frag_keyframe+empty_moov"}
    for name, codec, options in (
        ("a.mkv", "libx264", {}), ("a.webm", "libvpx", {}), ("a.mp4", "libx264", fragmented)
    ):  # fmt: skip
        with av.open(str(tmp_path / name), "w", options=options) as out:
            track = out.add_stream(codec, rate=RATE)
            track.width, track.height, track.pix_fmt = 160, 96, "yuv420p"
            for picture in (*pictures, None):
                frame = None if picture is None else VideoFrame.from_ndarray(picture, format="rgb24")
                out.mux(track.encode(frame))
        with LiveReader(str(tmp_path / name), Access(), RATE) as reader, VideoReader(tmp_path / name) as file:
            assert [f.time for f in reader] == [f.time for f in spaced(file, RATE)] != [], name
    noise = np.random.default_rng(0).integers(0, 255, (12, 96, 160, 3), dtype=np.uint8)
    plain = write_video(tmp_path / "plain.mp4", list(noise))
    for size in (plain.stat().st_size, plain.stat().st_size // 2):  # the second is still being written
        (tmp_path / "ordinary.mp4").write_bytes(plain.read_bytes()[:size])
        with pytest.raises(NotAVideoError, match="cannot be watched") as caught:
            list(LiveReader(str(tmp_path / "ordinary.mp4"), Access(), RATE))
        assert "fragmented MP4" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("rtsp://camera/1", NetworkSourceError),
        ("http://camera/1", NetworkSourceError),
        ("nothing.ts", VideoNotFoundError),
        ("text.ts", NotAVideoError),
    ],
)
def test_what_cannot_be_watched(
    source: str, error: type[VideoError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    (tmp_path / "text.ts").write_text("#EXTM3U\nfile:///etc/passwd\n" * 100)
    name = source if "://" in source else str(tmp_path / source)
    with pytest.raises(error):
        LiveReader(name, Access(), RATE)


def test_a_new_connection_is_a_new_shot_also_after_stamps_that_began_again(
    monkeypatch: pytest.MonkeyPatch, stream: Path, tmp_path: Path
) -> None:
    """Two transport streams one after the other: the second's stamps begin again, which is a shot of its own."""
    monkeypatch.setattr(live, "PAUSES", (0.05,))
    twice = tmp_path / "twice.ts"
    twice.write_bytes(2 * stream.read_bytes())
    sources = [twice, stream]

    def open_live(name: str, access: Access, closed: threading.Event) -> av.container.InputContainer:
        if not sources:
            raise NotAVideoError("gone", hint="")
        return av.open(str(sources.pop(0)))

    monkeypatch.setattr(live, "open_live", open_live)
    shots: list[int] = []
    with LiveReader("rtsp://camera/1", Access(True), RATE) as reader, pytest.raises(VideoError, match="gone"):
        shots += (frame.shot for frame in reader)
    assert sorted(set(shots)) == [0, 1, 2]
    assert shots == sorted(shots)


def test_the_lag_is_read_while_frames_are_taken(monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with LiveReader(str(stream), Access(), RATE) as reader:
            reader._queue.extend([(next(reader.decode()), monotonic())] * 20_000)

            def take() -> None:
                while reader._queue:
                    reader._next()

            thread = threading.Thread(target=take)
            thread.start()
            while thread.is_alive():
                assert reader.lag(-1.0) == 0.0  # a frame that never arrived: all are looked at
    finally:
        sys.setswitchinterval(before)


def test_a_decoder_gets_packets_before_a_recording_may_change_them(
    monkeypatch: pytest.MonkeyPatch, stream: Path
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)

    class Changing(Recent):
        def add(self, packet: Any) -> None:
            packet.pts = packet.dts = 2 * packet.pts

    with LiveReader(str(stream), Access(), RATE, kept=Changing(60.0)) as reader, VideoReader(stream) as file:
        assert [f.time for f in reader] == pytest.approx([f.time for f in file])


def test_a_recording_is_of_one_connection(monkeypatch: pytest.MonkeyPatch, stream: Path, tmp_path: Path) -> None:
    """The connection may be lost, and made again, while what came of it is written."""
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    with av.open(str(tmp_path / "other.webm"), "w") as out:
        track = out.add_stream("libvpx", rate=RATE)
        track.width, track.height, track.pix_fmt = 160, 96, "yuv420p"
        for picture in (*moving(5), None):
            out.mux(track.encode(None if picture is None else VideoFrame.from_ndarray(picture, format="rgb24")))
    kept = Recent(600.0)
    with LiveReader(str(stream), Access(), RATE, kept=kept) as reader:
        for _ in reader:
            pass

    @contextmanager
    def meanwhile(path: Path) -> Iterator[Path]:
        LiveReader(str(tmp_path / "other.webm"), Access(), RATE, kept=kept).close()
        yield path

    monkeypatch.setattr(live, "written_beside", meanwhile)
    assert kept.write(tmp_path / "recording.mkv")
    with VideoReader(tmp_path / "recording.mkv") as recording:
        assert recording.info.codec == "h264"
        assert sum(1 for _ in recording) == 10 * RATE


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at open files as Linux shows them")
@pytest.mark.parametrize("read", [True, False])
def test_a_source_is_closed_with_its_reader(read: bool, monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.2)
    gc.collect()
    before = open_files()
    reader = LiveReader(str(stream), Access(), RATE)
    assert open_files() > before
    with reader:
        for _ in reader if read else ():
            pass
    del reader
    assert open_files() == before
