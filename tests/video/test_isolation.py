"""Decoding apart: the same frames, and what becomes of a decoder that dies, hangs or wants too much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.media import moving, turn_in_header, write_video

from lrnet.errors import (
    DamagedVideoError,
    DecoderDiedError,
    InternalError,
    LimitError,
    NotAVideoError,
    VideoError,
    VideoNotFoundError,
)
from lrnet.video import isolation
from lrnet.video.isolation import DecoderProcess, IsolatedReader, open_video
from lrnet.video.limits import Access, Excess, Limits

APART = Access(isolate=True)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("isolation") / "a.mp4", moving(60))


@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format", "turns", "width"),
    [
        (".mp4", "libx264", "yuv420p", 0, 160),
        (".mp4", "libx264", "yuv420p", 1, 160),
        (".mkv", "libx264", "yuv420p10le", 0, 160),
        (".mp4", "libx264", "yuv444p", 0, 160),
        (".avi", "mjpeg", "yuvj420p", 0, 160),
        (".mov", "png", "rgb24", 0, 161),
    ],
)
def test_frames_are_those_of_a_decoder_in_this_process(
    tmp_path: Path, suffix: str, codec: str, pixel_format: str, turns: int, width: int
) -> None:
    pictures = moving(12, width, 97 if width % 2 else 96)
    path = write_video(tmp_path / f"a{suffix}", pictures, codec=codec, pixel_format=pixel_format)
    if turns:
        turn_in_header(path, turns)
    with open_video(path) as here, open_video(path, APART) as apart:
        for one, other in zip(here.decode(), apart.decode(), strict=True):
            assert (one.index, one.time) == (other.index, other.time)
            np.testing.assert_array_equal(one.luma, other.luma)
            np.testing.assert_array_equal(one.rgb_resized(64, 48), other.rgb_resized(64, 48))
            if pixel_format in ("yuv420p", "yuvj420p"):
                np.testing.assert_array_equal(one.rgb(), other.rgb())
            else:  # pictures for people are made of the planes that came over
                assert np.abs(one.rgb().astype(int) - other.rgb()).mean() < 4
        assert here.info == apart.info
        assert (here.frames, here.damaged) == (apart.frames, apart.damaged)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_decoder_that_dies_is_an_error_and_not_our_end(video: Path, number: signal.Signals) -> None:
    with open_video(video, APART) as reader:
        frames = reader.decode()
        next(frames)
        os.kill(_pid(reader), number)
        with pytest.raises(DecoderDiedError, match=number.name) as caught:
            list(frames)
    assert caught.value.exit_code == 12
    with open_video(video, APART) as again:
        assert len(list(again)) == 60


def test_a_decoder_that_hangs_is_ended_and_what_came_before_counts(video: Path) -> None:
    with open_video(video, Access(isolate=True, limits=Limits(stall_seconds=1))) as reader:
        frames = reader.decode()
        next(frames)
        pid = _pid(reader)
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        assert len(list(frames)) < 59
        assert time.monotonic() - began < 10
        assert reader.guard.passed == [Excess.DECODE_SECONDS]
    assert not _alive(pid)


def test_a_decoder_that_hangs_is_an_error_where_limits_refuse(video: Path) -> None:
    limits = Limits(stall_seconds=1, refuse=True)
    with open_video(video, Access(isolate=True, limits=limits)) as reader:
        frames = reader.decode()
        next(frames)
        os.kill(_pid(reader), signal.SIGSTOP)
        with pytest.raises(LimitError, match="longer to decode"):
            list(frames)


@pytest.mark.parametrize("megabytes", [5, 12])
def test_memory_is_bounded(tmp_path: Path, video: Path, megabytes: int) -> None:
    """What a decoder makes of it is its own: it says so, calls it damage or no video, or crashes. None is our end, nor
    the next video's, which the same process may decode."""
    path = write_video(tmp_path / "large.mp4", moving(3, 3840, 2160), options={"preset": "ultrafast"})
    _end_idle_processes()  # one that has read before holds memory already
    little = Access(isolate=True, limits=Limits(memory_megabytes=megabytes))
    with pytest.raises(VideoError) as caught, open_video(path, little, threads=1) as reader:
        list(reader)
    assert type(caught.value) in (LimitError, NotAVideoError, DamagedVideoError, DecoderDiedError)
    with open_video(video, APART, threads=1) as reader:  # more frames than are sent without an answer
        assert len(list(reader)) == 60
        assert not reader.guard.passed
    with open_video(path, APART, threads=1) as reader:
        assert len(list(reader)) == 3


def test_the_system_bounds_what_the_decoder_may_do(video: Path) -> None:
    with open_video(video, APART) as reader:
        frames = reader.decode()
        next(frames)
        lines = Path(f"/proc/{_pid(reader)}/limits").read_text().splitlines()
        soft = {line[:26].strip(): line[26:47].strip() for line in lines}
        assert soft["Max core file size"] == soft["Max file size"] == "0"
        assert 2e9 < int(soft["Max data size"]) < 4e9
        assert int(soft["Max cpu time"]) >= 3600
        opened = [int(p.name) for p in Path(f"/proc/{_pid(reader)}/fd").iterdir()]
        assert int(soft["Max open files"]) <= max(opened) + 2
        list(frames)


def test_a_bounded_decoder_opens_neither_files_nor_sockets() -> None:
    script = """
import os, socket
import numpy as np
from lrnet.video.decoder_process import Decoder
from lrnet.video.limits import Access
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
Decoder(theirs, np.zeros((4, 10), np.uint8))._bound(Access(), 1)
allowed = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
for attempt in (lambda: os.open("/etc/passwd", os.O_RDONLY), lambda: os.open("/dev/shm/x", os.O_WRONLY | os.O_CREAT),
                lambda: socket.socket()):
    try:
        attempt()
    except OSError as error:
        print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=_environment()
    )
    assert done.stdout.splitlines() == ["Too many open files"] * 3, done.stderr


def test_the_process_is_used_again_also_after_a_video_that_was_left(video: Path) -> None:
    with open_video(video, APART) as reader:
        first = _pid(reader)
        list(reader)
    with open_video(video, APART) as reader:
        assert _pid(reader) == first
        next(iter(reader))
    with pytest.raises(NotAVideoError):
        open_video(__file__, APART)
    with open_video(video, APART) as reader:
        assert _pid(reader) == first


FAULTY = """
import gc, weakref
from lrnet.video.decoder_process import Decoder
gc.disable()
class Memory:
    pass
def decode(self, asked):
    held = Memory()
    if not hasattr(self, "first"):
        self.first = weakref.ref(held)
        raise RuntimeError
    return {"error": "VideoError", "what": str(self.first() is None)}
Decoder._decode = decode
"""


def test_a_fault_leaves_nothing_of_its_video_in_the_process(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = isolation._boot
    _end_idle_processes()

    def faulty(pipe: int, memory: int, size: int) -> str:
        path, main = boot(pipe, memory, size).split("from ", 1)
        return f"{path}\n{FAULTY}\nfrom {main}"

    monkeypatch.setattr(isolation, "_boot", faulty)
    with pytest.raises(InternalError):
        open_video(video, APART)
    with pytest.raises(VideoError, match="True"):
        open_video(video, APART)
    _end_idle_processes()


def test_a_process_reads_so_many_videos_and_no_more(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "VIDEOS_EACH", 2)
    _end_idle_processes()
    pids = []
    for _ in range(3):
        with open_video(video, APART) as reader:
            pids.append(_pid(reader))
            list(reader)
    assert pids[0] == pids[1] != pids[2]
    assert not _alive(pids[0])


def test_two_videos_at_a_time_have_two_processes(video: Path) -> None:
    with open_video(video, APART) as one, open_video(video, APART) as other:
        assert _pid(one) != _pid(other)
        assert len(list(one)) == len(list(other)) == 60


def test_the_decoder_ends_with_the_process_that_started_it(video: Path) -> None:
    script = (
        "import sys; from lrnet.video.isolation import open_video; from lrnet.video.limits import Access\n"
        "reader = open_video(sys.argv[1], Access(isolate=True)); frames = reader.decode(); next(frames)\n"
        "print(reader._process.pid, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(video)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    assert _alive(pid)
    process.kill()
    process.communicate()
    ends = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not _alive(pid)


def test_paths_are_those_of_the_asking_process(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = os.fsdecode(b"-\xff\n.mp4")
    (tmp_path / name).write_bytes(video.read_bytes())
    monkeypatch.chdir(tmp_path)
    with open_video(name, APART) as reader:
        assert reader.info.path == name
        assert len(list(reader)) == 60
    with pytest.raises(VideoNotFoundError, match="absent"):
        open_video("absent.mp4", APART)


def _frame(**changes: Any) -> dict[str, Any]:
    sent = {
        "slot": 0,
        "index": 0,
        "time": 0.0,
        "shot": 0,
        "width": 16,
        "height": 16,
        "turns": 0,
        "colorspace": 0,
        "color_range": 0,
    }
    return {"frame": {**sent, **changes}}


INFO = {
    "path": "/etc/passwd",
    "container": "mov",
    "codec": "h264",
    "pixel_format": "yuv420p",
    "width": 160,
    "height": 96,
    "frame_rate": 25.0,
    "duration": 2.4,
    "frame_count": 60,
    "rotation": 0,
    "size_bytes": 1000,
}


@pytest.mark.parametrize(
    "word",
    [
        {},
        {"frame": 5},
        {"passed": ["no such limit"]},
        {"info": {"path": "x"}},
        _frame(slot=4),
        _frame(slot=-1),
        _frame(slot="0"),
        _frame(width=0),
        _frame(width=5999, height=6001, time="now"),
        _frame(time=float("nan")),
        _frame(index=-1),
        _frame(turns=2**40),
        _frame(shot=-1),
        _frame(time=10**400),
        _frame(colorspace=256),
        _frame(color_range=2**20),
    ],
    ids=str,
)
def test_a_decoder_that_was_taken_over_is_not_believed(
    video: Path, word: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_video(video, APART) as reader:
        assert isinstance(reader, IsolatedReader)
        monkeypatch.setattr(reader._process, "hear", lambda seconds: word)
        with pytest.raises(DecoderDiedError, match="an invalid message"):
            list(reader.decode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration": "long"},
        {"duration": float("nan")},
        {"frame_rate": 10**400},
        {"width": 2.5},
        {"codec": "h264" * 1000},
        {"container": 5},
        {"size_bytes": -1},
        {"frame_count": "many"},
        {"notes": 5},
        {"notes": ["the decoder says " * 100]},
    ],
    ids=str,
)
def test_a_header_that_is_none_is_not_believed(
    video: Path, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_video(video, APART) as reader:
        assert isinstance(reader, IsolatedReader)
        monkeypatch.setattr(reader._process, "hear", lambda seconds: {**_frame(), "info": {**INFO, **wrong}})
        with pytest.raises(DecoderDiedError, match="an invalid message"):
            next(reader.decode())


# What a decoder that was taken over could do with its end of the connection.
PRELUDE = """
import json, os, socket, time
connection = socket.socket(fileno={pipe})
def tell(word): connection.send(json.dumps(word).encode())
tell({{"started": True}})
tell({{"info": {info}}})
frame = {frame}
"""
TAKEN_OVER = {
    "says half a word and falls silent": "os.write({pipe}, b'\\x00\\x00\\x10\\x00half'); time.sleep(60)",
    "nests": "connection.send(b'[' * 100_000); time.sleep(60)",
    "never listens": "\nwhile True: tell(frame)",
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("script", TAKEN_OVER.values(), ids=TAKEN_OVER)
def test_a_decoder_that_was_taken_over_cannot_hold_us(
    video: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(pipe: int, memory: int, size: int) -> str:
        return (PRELUDE + script).format(pipe=pipe, info=INFO, frame=_frame())

    _end_idle_processes()
    monkeypatch.setattr(isolation, "_boot", boot)
    with open_video(video, Access(isolate=True, limits=Limits(stall_seconds=5))) as reader:
        assert reader.info.path == str(video)
        with pytest.raises(DecoderDiedError):
            deque(reader.decode(), maxlen=0)


@pytest.mark.timeout(30)
def test_reading_ends_at_once_though_the_decoder_hangs(video: Path) -> None:
    """With a stall limit of a minute: whoever closes does not wait for it."""
    with open_video(video, APART) as reader:
        frames = iter(reader)
        next(frames)
        pid = _pid(reader)
        os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert not _alive(pid)


def _end_idle_processes() -> None:
    while DecoderProcess._idle:
        DecoderProcess._idle.pop().kill()


def _pid(reader: Any) -> int:
    return int(reader._process.pid)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
