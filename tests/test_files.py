"""Writing beside and renaming, and names that no file can have."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lrnet.errors import OutputError
from lrnet.files import is_file, is_folder, is_there, require_writable, write_text, written_beside

LONGEST = 255  # bytes of a name, on every usual file system


def half_of(path: Path, error: Exception) -> None:
    with written_beside(path) as partial:
        partial.write_text("half")
        raise error


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    with pytest.raises(RuntimeError, match="in the middle"):
        half_of(tmp_path / "a.txt", RuntimeError("in the middle"))
    assert (tmp_path / "a.txt").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_the_system_refuses_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"):
        half_of(tmp_path / "a.txt", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("letter", ["a", "\N{CJK UNIFIED IDEOGRAPH-4E00}", "\N{GRINNING FACE}"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, letter: str) -> None:
    name = letter * ((LONGEST - 4) // len(letter.encode())) + ".txt"
    write_text(tmp_path / name, "here")
    assert (tmp_path / name).read_text() == "here"
    assert len(list(tmp_path.iterdir())) == 1


def test_two_files_of_long_names_can_be_written_at_a_time(tmp_path: Path) -> None:
    with written_beside(tmp_path / ("a" * 200 + "1")) as one, written_beside(tmp_path / ("a" * 200 + "2")) as other:
        assert one != other
        one.touch()
        other.touch()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", ["b" * 300, "c" * 300 + "/d.txt"])
def test_a_name_that_no_file_can_have_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        require_writable(tmp_path / name)
    with pytest.raises(OutputError):
        write_text(tmp_path / name, "")
    assert list(tmp_path.iterdir()) == []


def test_what_is_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "circle").symlink_to("circle")
    assert [(is_there(p), is_file(p), is_folder(p)) for p in (tmp_path, tmp_path / "a")] == [
        (True, False, True),
        (True, True, False),
    ]
    for name in ("b", "circle", "b" * 300, "a\0", "a/b"):
        assert not any(look(tmp_path / name) for look in (is_there, is_file, is_folder))
