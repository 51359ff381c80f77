"""The hash is that of the bytes that were examined."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

import lrnet
from lrnet.detector import Progress
from lrnet.errors import VideoError
from lrnet.video.custody import custody


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_is_exchanged_meanwhile_is_not_certified(tmp_path: Path, short: dict[str, Path]) -> None:
    """The path is given another video while the first one is examined: the hash stays that of the first."""
    video, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    shutil.copy(short["real"], video)
    shutil.copy(short["fake"], other)

    def exchange(_: Progress) -> None:
        if other.exists():
            other.replace(video)

    result = lrnet.Detector().detect(video, progress=exchange)
    assert digest(video) == digest(short["fake"])
    assert result.sha256 == digest(short["real"])


def test_a_file_that_is_written_to_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"first")
    with custody(file) as held:
        assert held.sha256() == hashlib.sha256(b"first").hexdigest()
        with file.open("ab") as more:
            more.write(b"second")
        with pytest.raises(VideoError, match="written to while it was examined"):
            held.sha256()


def test_a_file_that_is_replaced_as_it_is_opened_is_refused(tmp_path: Path) -> None:
    file, other = tmp_path / "a.mp4", tmp_path / "b.mp4"
    file.write_bytes(b"first")
    other.write_bytes(b"second")
    with custody(file) as held:
        held.require_opened()
        other.replace(file)
        with pytest.raises(VideoError, match="replaced while it was opened"):
            held.require_opened()


def test_a_file_that_is_removed_as_it_is_opened_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"first")
    with custody(file) as held:
        file.unlink()
        with pytest.raises(VideoError, match="removed while it was opened"):
            held.require_opened()


def test_an_address_has_no_hash(tmp_path: Path) -> None:
    with custody("https://example.org/a.mp4") as held:
        held.require_opened()
        assert held.sha256() is None
