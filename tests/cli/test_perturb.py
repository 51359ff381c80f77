"""`lrnet perturb` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.commands import lrnet
from tests.media import moving, write_video

from lrnet.video.reader import probe


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "v.mp4", moving(4, 160, 96))


@pytest.mark.parametrize(
    ("options", "told", "codec"),
    [
        (("--kind", "blur", "--level", "3"), "out.mp4: blur at level 3", "h264"),
        (("--kind", "mixed", "--seed", "4"), ", then ", "h264"),
        (("--kind", "hevc"), "out.mp4: hevc", "hevc"),
    ],
)
def test_it_writes_a_video_and_tells_what_was_done(
    video: Path, tmp_path: Path, options: tuple[str, ...], told: str, codec: str
) -> None:
    done = lrnet("perturb", video, *options, "--out", "out.mp4", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert told in done.stdout
    info = probe(tmp_path / "out.mp4")
    assert (info.codec, info.width, info.height, info.frame_count) == (codec, 160, 96, 4)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("--kind", "fog", "--out", "out.mp4"), 2, "no kind 'fog'. Known are saturation"),
        (("--kind", "blur", "--level", "9", "--out", "out.mp4"), 2, "no level 9 of blur. Levels are 1 to 5"),
        (("--kind", "c40", "--level", "1", "--out", "out.mp4"), 2, "c40 has no levels"),
        (("--kind", "blur", "--out", "out.avi"), 2, "does not end in .mp4"),
        (("--kind", "blur", "--out", "v.mp4"), 2, "v.mp4 is the video itself"),
        (("--kind", "c40", "--out", "v.mp4"), 2, "v.mp4 is the video itself"),
        (("--kind", "blur", "--out", "gone/out.mp4"), 5, "There is no folder"),
    ],
)
def test_wrong_uses_are_told_and_leave_nothing(
    video: Path, tmp_path: Path, options: tuple[str, ...], code: int, told: str
) -> None:
    before = video.read_bytes()
    done = lrnet("perturb", "v.mp4", *options, cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]
    assert video.read_bytes() == before


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    for kind in ("blur", "c23"):
        done = lrnet("perturb", "bad.mp4", "--kind", kind, "--out", "out.mp4", cwd=tmp_path)
        assert done.returncode == 3
        assert "bad.mp4" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.mp4"]
