"""Write results beside their place and rename them, so that no reader sees half a file; read with bounds."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, Final

from lrnet.errors import OutputError

LARGEST_JSON: Final = 256 * 2**20  # bytes; half a million videos in a manifest
STEM: Final = 40  # letters of a name that its temporary file keeps, and
SUFFIX: Final = 15  # of its extension; systems allow 255 bytes, four of which a letter may take
STDOUT: Final = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")  # as a result path


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path; move what the block wrote there to `path` if the block ends well, else remove it.

    A regular file is replaced by a rename in its own folder. A symbolic link stays, and the file that it points to is
    replaced. What is no regular file (a pipe, a device, `/dev/stdout`, "-" for standard output) is opened and written
    to, because a rename would destroy it.

    Raises:
        OutputError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    target = Path(path)
    require_writable(target)
    through = _is_stream(target)
    place = Path(os.path.realpath(target))
    # The extension stays last: container formats are chosen by it.
    known = f"{zlib.crc32(os.fsencode(place.name)):08x}.{os.getpid()}.{token_hex(4)}"
    try:
        with TemporaryDirectory(prefix="lrnet-") if through else nullcontext(place.parent) as folder:
            partial = Path(folder, f".{place.stem[:STEM]}.{known}.part{place.suffix[:SUFFIX]}")
            try:
                yield partial
                if through:
                    _copy_into(target, partial)
                else:
                    partial.replace(place)
            finally:
                with suppress(OSError):
                    partial.unlink()
    except OSError as error:
        if isinstance(error, BrokenPipeError) and is_stdout(target):  # its reader went away: the command line's case
            raise
        raise _cannot_write(target, error) from error


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check before the work that a file can be written at `path` after it. Raises OutputError if it cannot."""
    target = Path(path)
    if is_stdout(target):
        return
    if is_folder(target):
        raise OutputError(f"{target} is a folder.", hint="Give the name of a file to write.")
    folder = Path(os.path.realpath(target)).parent
    if not _is_stream(target):
        if not is_folder(folder):
            raise OutputError(f"There is no folder {folder}.", hint="Create it, or choose another place.")
        if not os.access(folder, os.W_OK):
            raise _no_permission(target)
        try:  # a file without a name, which nobody sees: root has every permission, and /proc takes no file
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise _cannot_write(target, error) from error
    elif not is_there(target):
        raise OutputError(f"There is nothing at {target} to write to.", hint="Choose another place.")
    if is_there(target) and not os.access(target, os.W_OK):
        raise _no_permission(target)
    try:
        target.stat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that is too long, a zero byte, links in a circle
        raise _cannot_write(target, error) from error


def is_stdout(path: str | os.PathLike[str]) -> bool:
    """Whether a result path means standard output."""
    return os.fspath(path) in STDOUT


def _is_stream(target: Path) -> bool:
    """Whether a target is written to and never replaced: no regular file, or another name of an open one."""
    if is_stdout(target):
        return True
    if os.path.realpath(target.parent).startswith(("/dev/fd", "/proc/")) or str(target) == "/dev/stderr":
        return True
    return is_there(target) and not is_file(target)


def _copy_into(target: Path, partial: Path) -> None:
    with partial.open("rb") as source:
        if is_stdout(target):
            sys.stdout.flush()
            shutil.copyfileobj(source, sys.stdout.buffer)
            sys.stdout.flush()
            return
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_APPEND), "wb") as stream:
            shutil.copyfileobj(source, stream)


def _no_permission(target: Path) -> OutputError:
    return OutputError(f"No permission to write {target}.", hint="Choose a folder that you may write to.")


def _cannot_write(target: Path, error: OSError | ValueError) -> OutputError:
    return OutputError(
        f"Cannot write {target}: {getattr(error, 'strerror', None) or error}.",
        hint="Choose a folder that exists and that you may write to, and a name that your system allows.",
    )


def lock_file(file: IO[Any], *, wait: bool = True) -> None:
    """Lock an open file until it is closed; does nothing on systems without such locks (Windows).

    Raises:
        BlockingIOError: another holds the lock, and `wait` is false.
    """
    with suppress(ImportError):
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there; OutputError if that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be made: {error.strerror}.", hint="Choose another place."
        ) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 at `path`, whole or not at all. Raises OutputError."""
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")


def parse_json(text: str | bytes) -> Any:
    """`json.loads`, with ValueError for nesting that is too deep as for every other fault."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: it is no JSON in UTF-8, nests too deep, or is larger than `LARGEST_JSON`.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON // 2**20} MiB")
    return parse_json(content.decode("utf-8-sig"))


# Unlike the methods of Path, these return False for strings that cannot be a path (too long, or with a zero byte).


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file at a path."""
    return _kind(path, stat.S_ISREG)


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder at a path."""
    return _kind(path, stat.S_ISDIR)


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is anything at a path."""
    return _kind(path, lambda mode: True)


def _kind(path: str | os.PathLike[str], holds: Callable[[int], bool]) -> bool:
    try:
        return holds(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False
