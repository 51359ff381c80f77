"""Encoding anew keeps what it should and takes what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from tests.media import moving, turn_in_header, write_video

from lrnet.errors import NotAVideoError, TreatmentError, VideoError
from lrnet.video.limits import WHOLE
from lrnet.video.perturbations import perturb
from lrnet.video.reader import VideoReader, probe
from lrnet.video.reencode import REENCODINGS, reencode, reencode_as

EXAMPLE = Path(__file__).parents[2] / "examples" / "real.mp4"
FRAMES = 12


def luma(path: Path) -> list[tuple[float, np.ndarray]]:
    with VideoReader(path) as reader:
        return [(frame.time, frame.luma.astype(np.float64)) for frame, _ in zip(reader, range(FRAMES), strict=False)]


def psnr(one: list[tuple[float, np.ndarray]], other: list[tuple[float, np.ndarray]]) -> float:
    error = np.mean([np.square(a - b).mean() for (_, a), (_, b) in zip(one, other, strict=True)])
    return float(10 * np.log10(255**2 / error))


def test_frames_keep_their_times_and_sizes(tmp_path: Path) -> None:
    assert reencode(EXAMPLE, tmp_path / "a.mp4", crf=23, most_frames=FRAMES) == FRAMES
    before, after = luma(EXAMPLE), luma(tmp_path / "a.mp4")
    assert len(after) == FRAMES
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=1e-3)
    assert after[0][1].shape == before[0][1].shape


def test_a_higher_factor_costs_quality_and_saves_bytes(tmp_path: Path) -> None:
    quality, size = [], []
    for crf in (18, 28, 40):
        target = tmp_path / f"{crf}.mp4"
        reencode(EXAMPLE, target, crf=crf, most_frames=FRAMES)
        quality.append(psnr(luma(EXAMPLE), luma(target)))
        size.append(target.stat().st_size)
    assert quality == sorted(quality, reverse=True)
    assert quality[0] > 38  # dB: hard to see
    assert size == sorted(size, reverse=True)


def test_a_scaled_picture_is_even_and_shows_the_same(tmp_path: Path) -> None:
    reencode(EXAMPLE, tmp_path / "half.mp4", crf=18, scale=0.5, most_frames=FRAMES)
    (_, whole), (_, half) = luma(EXAMPLE)[0], luma(tmp_path / "half.mp4")[0]
    assert half.shape == (whole.shape[0] // 2, whole.shape[1] // 2)
    averaged = whole.reshape(half.shape[0], 2, half.shape[1], 2).mean(axis=(1, 3))
    assert psnr([(0.0, averaged)], [(0.0, half)]) > 35


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "bad.mp4"
    source.write_bytes(content)
    with pytest.raises(NotAVideoError, match=r"bad\.mp4"):
        reencode(source, tmp_path / "out.mp4", crf=23)
    assert [p.name for p in tmp_path.iterdir()] == ["bad.mp4"]


@pytest.mark.parametrize("name", REENCODINGS)
def test_every_re_encoding_keeps_times_and_gives_what_its_name_says(name: str, tmp_path: Path) -> None:
    target = tmp_path / "o.mp4"
    reencode_as(name, EXAMPLE, target, FRAMES)
    before, after = luma(EXAMPLE), luma(target)
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=1e-3)
    info = probe(target)
    assert info.codec == ("hevc" if name == "hevc" else "h264")
    assert info.pixel_format == "yuv420p"
    assert after[0][1].shape == before[0][1].shape  # 360 rows: fewer than any of them makes of a video
    assert 25 < psnr(before, after) < 50
    assert [p.name for p in tmp_path.iterdir()] == ["o.mp4"]


def test_hevc_is_tagged_for_every_player(tmp_path: Path) -> None:
    reencode_as("hevc", EXAMPLE, tmp_path / "o.mp4", 3)
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_c40_is_coarser_than_c23_and_social_than_c23(tmp_path: Path) -> None:
    quality = {}
    for name in ("c23", "c40", "social"):
        reencode_as(name, EXAMPLE, tmp_path / "o.mp4", FRAMES)
        quality[name] = psnr(luma(EXAMPLE), luma(tmp_path / "o.mp4"))
    assert quality["c23"] > quality["social"] > quality["c40"]


def test_social_makes_large_videos_smaller_and_keeps_their_shape(tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mp4", moving(3, 720, 1280))
    reencode_as("social", source, tmp_path / "o.mp4")
    info = probe(tmp_path / "o.mp4")
    assert (info.width, info.height) == (480, 854)


def test_a_turned_video_is_written_upright(tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mp4", moving(3))
    turn_in_header(source, 1)
    reencode(source, tmp_path / "o.mp4", crf=12)
    before, after = luma(source), luma(tmp_path / "o.mp4")
    assert after[0][1].shape == (160, 96)
    assert psnr(before, after) > 38


@pytest.mark.parametrize("write", [lambda s, t: reencode(s, t, crf=30), lambda s, t: perturb(s, t, "contrast", 1)])
@pytest.mark.parametrize(
    "times", [[400.0 * i for i in range(40)], [i / 1000 for i in range(10)]], ids=["hours", "1000 fps"]
)
def test_no_limit_of_detection_cuts_a_video_that_is_written(
    tmp_path: Path, write: Callable[[Path, Path], object], times: list[float]
) -> None:
    source = write_video(tmp_path / "s.mkv", moving(len(times)), times=times)
    write(source, tmp_path / "o.mp4")
    with VideoReader(tmp_path / "o.mp4", WHOLE) as reader:
        assert [frame.time for frame in reader] == pytest.approx(times, abs=1e-3)


@pytest.mark.parametrize("name", REENCODINGS)
@pytest.mark.parametrize("kind", ["one pixel", "no size in the header"])
def test_pictures_without_a_size_are_told(name: str, kind: str, tmp_path: Path) -> None:
    source = write_video(tmp_path / "s.mov", moving(2, 1, 1), codec="png", pixel_format="rgb24")
    if kind != "one pixel":
        source = tmp_path / "s.gif"
        source.write_bytes(
            b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;"
        )
    with pytest.raises(VideoError):
        reencode_as(name, source, tmp_path / "o.mp4")
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith("s.")] == []


def test_an_unknown_re_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(TreatmentError, match=r"no re-encoding 'c41'.*c23, c40, hevc, social"):
        reencode_as("c41", EXAMPLE, tmp_path / "o.mp4")
    assert list(tmp_path.iterdir()) == []
