"""Limits: held against the header, held while decoding, told or refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import av.error
import pytest
from tests.media import moving, write_video

from lrnet.errors import LimitError, UsageError
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access, Excess, Limits

EITHER = pytest.mark.parametrize("isolate", [False, True], ids=["in-process", "isolated"])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames, 25 a second, 160 x 96."""
    return write_video(tmp_path_factory.mktemp("limits") / "a.mp4", moving(20))


@EITHER
@pytest.mark.parametrize(
    ("limits", "excess", "decoded", "given"),
    [
        (Limits(frames=5), Excess.FRAMES, 5, 5),
        (Limits(duration=0.21), Excess.DURATION, 6, 6),
        (Limits(frame_rate=10), Excess.FRAME_RATE, 20, 10),
        (Limits(), None, 20, 20),
    ],
)
def test_what_lies_within_is_read_and_the_rest_is_told(
    video: Path, isolate: bool, limits: Limits, excess: Excess | None, decoded: int, given: int
) -> None:
    with open_video(video, Access(isolate=isolate, limits=limits), threads=1) as reader:
        frames = list(reader)
    assert reader.guard.passed == ([excess] if excess else [])
    assert (reader.frames, len(frames)) == (decoded, given)


@EITHER
def test_a_share_is_examined_in_stretches_at_even_distances(tmp_path: Path, isolate: bool) -> None:
    path = write_video(tmp_path / "a.mp4", moving(40), times=[0.5 * i for i in range(40)])
    limits = Limits(share=0.5, refuse=True)  # a choice: nothing is refused for it
    with open_video(path, Access(isolate=isolate, limits=limits), threads=1) as reader:
        frames = list(reader)
    assert reader.guard.passed == [Excess.SHARE]
    assert reader.frames == 40
    assert [(frame.time, frame.stretch) for frame in frames] == [
        (start + 0.5 * i, number) for number, start in enumerate((0.0, 8.0, 16.0)) for i in range(8)
    ]


@EITHER
def test_a_video_no_longer_than_a_stretch_is_examined_whole(video: Path, isolate: bool) -> None:
    with open_video(video, Access(isolate=isolate, limits=Limits(share=0.1))) as reader:
        assert len(list(reader)) == 20
    assert reader.guard.passed == []


@EITHER
def test_without_time_to_decode_there_is_no_verdict(video: Path, isolate: bool) -> None:
    access = Access(isolate=isolate, limits=Limits(decode_seconds=1e-9))
    with pytest.raises(LimitError, match="takes longer to decode"), open_video(video, access) as reader:
        list(reader)


def test_what_was_decoded_within_the_time_counts(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    monkeypatch.setattr("lrnet.video.reader.perf_counter", lambda: float(next(ticks)))  # each packet takes a second
    with open_video(video, Access(limits=Limits(decode_seconds=12)), threads=1) as reader:
        assert 0 < len(list(reader)) < 20
    assert reader.guard.passed == [Excess.DECODE_SECONDS]


@EITHER
@pytest.mark.parametrize(
    "limits",
    [
        Limits(frames=5),
        Limits(duration=0.21),
        Limits(frame_rate=10),
        Limits(megapixels=0.01),
        Limits(file_megabytes=1e-4),
    ],
)
def test_a_header_that_says_too_much_is_refused(video: Path, isolate: bool, limits: Limits) -> None:
    with pytest.raises(LimitError, match="--limit") as caught:
        open_video(video, Access(isolate=isolate, limits=replace(limits, refuse=True)))
    assert caught.value.exit_code == 11


@EITHER
def test_a_header_that_lies_is_found_out_while_decoding(tmp_path: Path, isolate: bool) -> None:
    """A Matroska file that claims to last no time at all."""
    path = write_video(tmp_path / "a.mkv", moving(20), times=[0.5 * i for i in range(20)])
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # Matroska's Duration, in milliseconds
    data = data[:at] + bytes(8) + data[at + 8 :]
    path.write_bytes(data.replace(b"DURATION", b"A REMARK"))  # the tag that says it of the stream
    with open_video(path, Access(isolate=isolate, limits=Limits(duration=2.1, refuse=True))) as reader:
        assert not reader.info.duration
        with pytest.raises(LimitError, match=r"longer than 2\.1 seconds"):
            list(reader)


def test_a_frame_that_grows_past_the_limit_is_not_given_out(tmp_path: Path) -> None:
    small = write_video(tmp_path / "small.ts", moving(20)).read_bytes()
    large = write_video(tmp_path / "large.ts", moving(20, 640, 384)).read_bytes()
    (tmp_path / "both.ts").write_bytes(small + large)
    with open_video(tmp_path / "both.ts", Access(limits=Limits(megapixels=0.1))) as reader:
        frames = list(reader)
    assert {frame.luma.shape for frame in frames} == {(96, 160)}
    assert reader.damaged or reader.guard.passed


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("lenght=5", "There is no limit 'lenght'"),
        ("duration", "is no number"),
        ("duration=long", "is no number"),
        ("duration=0", "above 0"),
        ("frames=nan", "above 0"),
        ("frames=inf", "above 0"),
        ("share=0", "above 0"),
        ("share=1.5", "1 for the whole video"),
    ],
)
def test_settings_that_are_none_are_told(setting: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Limits().changed([setting])


def test_settings_change_what_they_name_and_nothing_else() -> None:
    found = Limits().changed(["decode-seconds=5", "frames=1e3"], refuse=True)
    assert found == replace(Limits(), decode_seconds=5.0, frames=1000, refuse=True)


@pytest.mark.parametrize("name", ["reader.Frame", "interlaced._graph"])
@pytest.mark.parametrize("error", [MemoryError(), av.error.MemoryError(12, "Cannot allocate memory")])
def test_lack_of_memory_while_a_frame_is_made_is_a_limit(
    video: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: MemoryError
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"lrnet.video.{name}", fail)
    with open_video(video) as reader, pytest.raises(LimitError, match="memory"):
        list(reader.decode())
