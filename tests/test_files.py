"""Writing beside and renaming, and names that no file can have."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lrnet import files
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


@pytest.mark.parametrize("letter", ["b", "\N{CJK UNIFIED IDEOGRAPH-4E00}", "\N{GRINNING FACE}"])
def test_what_follows_a_dot_may_be_as_long_as_the_system_allows(tmp_path: Path, letter: str) -> None:
    stem = 45 * "\N{GRINNING FACE}"
    name = f"{stem}." + letter * ((LONGEST - len(stem.encode()) - 1) // len(letter.encode()))
    write_text(tmp_path / name, "here")
    assert [path.name for path in tmp_path.iterdir()] == [name]


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


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc takes no file, as Linux has it")
@pytest.mark.parametrize("place", ["/proc/a.html", "/proc/self/a.html", "/dev/fd/987"])
def test_a_folder_that_takes_no_file_is_told_before_the_work(place: str) -> None:
    with pytest.raises(OutputError):
        require_writable(place)


def test_looking_whether_a_file_can_be_written_leaves_none(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    require_writable(tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before


def test_what_is_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "circle").symlink_to("circle")
    assert [(is_there(p), is_file(p), is_folder(p)) for p in (tmp_path, tmp_path / "a")] == [
        (True, False, True),
        (True, True, False),
    ]
    for name in ("b", "circle", "b" * 300, "a\0", "a/b"):
        assert not any(look(tmp_path / name) for look in (is_there, is_file, is_folder))


def test_a_symbolic_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("far/real.txt")
    (tmp_path / "dangling.txt").symlink_to("far/new.txt")
    write_text(tmp_path / "link.txt", "new")
    write_text(tmp_path / "dangling.txt", "made")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "dangling.txt").is_symlink()
    assert {p.name: p.read_text() for p in (tmp_path / "far").iterdir()} == {"real.txt": "new", "new.txt": "made"}
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OutputError):
        write_text(tmp_path / "circle", "")


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        write_text(pipe, "x" * 200_000)
        assert read.result(timeout=20) == "x" * 200_000
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe.txt"]


def test_a_failing_block_sends_nothing_into_a_device(tmp_path: Path) -> None:
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        node = Path("/dev/null")
    try:
        write_text(node, "away")
    except OutputError:  # mounts without devices, as in some containers
        node = Path("/dev/null")
        write_text(node, "away")
    with pytest.raises(RuntimeError):
        half_of(node, RuntimeError())
    assert stat.S_ISCHR(node.stat().st_mode)
    with pytest.raises(OutputError, match="No space"):
        write_text("/dev/full", "x")


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
@pytest.mark.parametrize("redirected", [False, True])
def test_standard_output_is_written_through(tmp_path: Path, name: str, redirected: bool) -> None:
    code = f"from lrnet.files import write_text; print('one'); write_text({name!r}, 'two')"
    command = [sys.executable, "-u", "-c", code]
    if redirected:
        with (tmp_path / "out").open("a") as out:
            subprocess.run(command, check=True, stdout=out, timeout=60)
        assert (tmp_path / "out").read_text() == "one\ntwo"
    else:
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert ran.stdout == "one\ntwo"
        assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_share_a_partial_one(tmp_path: Path) -> None:
    with written_beside(tmp_path / "a") as one, written_beside(tmp_path / "a") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a").read_text() == "one"  # the outer block ends last
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_json_is_read_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_JSON", 2**20)
    path = tmp_path / "a.json"
    for text, why in ((" " * 2**20 + "[]", "larger than 1 MiB"), ("[" * 200_000, "nests too deep"), ("{", "Expecting")):
        path.write_text(text)
        with pytest.raises(ValueError, match=why):
            files.read_json(path)
    path.write_text('{"a": 1}', encoding="utf-8-sig")
    assert files.read_json(path) == {"a": 1}
