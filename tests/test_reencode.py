"""Encoding anew keeps what it should and takes what it is told to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lrnet.errors import NotAVideoError
from lrnet.reencode import reencode
from lrnet.video import VideoReader

EXAMPLE = Path(__file__).parents[1] / "examples" / "real.mp4"
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
