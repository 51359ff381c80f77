"""Frames that repeat the one before are no observations; genuine frames stay."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.media import moving, write_video

from lrnet.video.reader import VideoReader
from lrnet.video.spacing import spaced

PATTERNS: dict[str, tuple[int, Callable[[int], int]]] = {
    "24 as 30": (30, lambda i: i * 4 // 5),
    "24 as 60": (60, lambda i: i * 2 // 5),
    "30 as 60": (60, lambda i: i // 2),
    "held": (30, lambda i: i // 15 * 10 + min(i % 15, 9)),
}


@lru_cache(maxsize=1)
def face(examples: Path) -> list[NDArray[np.uint8]]:
    """60 frames of a face, half the size."""
    with VideoReader(examples / "real.mp4", threads=1) as reader:
        return [f.rgb_resized(320, 180) for f in islice(reader.decode(), 60)]


def left_out(path: Path, rate: float = 1000) -> tuple[int, list[int]]:
    with VideoReader(path, threads=1) as reader:
        frames = spaced(reader.decode(), rate)
        kept = [frame.index for frame in frames]
    return frames.repeated, kept


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("crf", "most"), [(18, 0.07), (28, 0.25)])
def test_repeats_are_left_out_after_encoding_too(
    tmp_path: Path, examples: Path, pattern: str, crf: int, most: float
) -> None:
    rate, shown = PATTERNS[pattern]
    frames = face(examples)
    order = [shown(i) for i in range(150) if shown(i) < 60]
    path = write_video(tmp_path / "a.mkv", (frames[n] for n in order), rate=rate, options={"crf": str(crf)})
    _, kept = left_out(path, rate=25)
    same = sum(order[one] == order[next_one] for one, next_one in pairwise(kept))
    assert same <= most * len(kept)
    assert len({order[i] for i in kept}) >= 0.85 * 60


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_exact_repeats_are_all_left_out(tmp_path: Path, codec: str) -> None:
    frames = moving(20)
    shown = (frames[i // 3] for i in range(60))
    path = write_video(tmp_path / "a.mkv", shown, codec=codec, options={"qp": "0"} if codec == "libx264" else {})
    assert left_out(path) == (40, list(range(0, 60, 3)))


@pytest.mark.parametrize(("crf", "most"), [(18, 0), (23, 0), (40, 2)])
def test_a_living_face_before_a_still_camera_keeps_its_frames(
    tmp_path: Path, examples: Path, crf: int, most: int
) -> None:
    path = write_video(tmp_path / "a.mkv", face(examples), rate=24, options={"crf": str(crf)})
    count, kept = left_out(path)
    assert count <= most
    assert count + len(kept) == 60


def test_the_example_videos_lose_no_frame(examples: Path) -> None:
    """So what is said of them does not change."""
    for name in ("real.mp4", "fake.mp4"):
        assert left_out(examples / name)[0] == 0


def test_the_fake_that_was_hidden_by_repeats(shared: Path) -> None:
    count, kept = left_out(shared / "cases" / "fake-24-as-30fps-repeats.mp4")
    assert (count, len(kept)) == (60, 238)


def test_a_held_picture_at_the_end_counts_as_looked_at(tmp_path: Path) -> None:
    frames = moving(10)
    path = write_video(tmp_path / "a.mkv", frames + [frames[-1]] * 90, codec="ffv1")
    with VideoReader(path) as reader:
        found = spaced(reader.decode(), 25)
        assert sum(1 for _ in found) == 10
    assert found.time == pytest.approx(3.96, abs=0.01)
