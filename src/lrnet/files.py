"""Results are written beside their place and renamed: a reader never sees half a file. And reading with bounds."""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from lrnet.errors import OutputError

LARGEST_JSON: Final = 256 * 2**20  # bytes; half a million videos in a manifest
STEM: Final = 50  # letters of a name that stay in that of its temporary file: 255 bytes are what systems allow


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` if the block ends well, else remove it.

    Raises:
        OutputError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    target = Path(path)
    require_writable(target)
    # The extension stays last: container formats are chosen by it.
    known = f"{zlib.crc32(os.fsencode(target.name)):08x}.{os.getpid()}"
    partial = target.with_name(f".{target.stem[:STEM]}.{known}.part{target.suffix}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise _cannot_write(target, error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check before the work that a file can be written at `path` after it.

    Raises:
        OutputError: it cannot.
    """
    target = Path(path)
    if is_folder(target):
        raise OutputError(f"{target} is a folder.", hint="Give the name of a file to write.")
    if not is_folder(target.parent):
        raise OutputError(f"There is no folder {target.parent}.", hint="Create it, or choose another place.")
    if not os.access(target.parent, os.W_OK) or (is_there(target) and not os.access(target, os.W_OK)):
        raise OutputError(f"No permission to write {target}.", hint="Choose a folder that you may write to.")
    try:
        target.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # a name that is too long, a zero byte
        raise _cannot_write(target, error) from error


def _cannot_write(target: Path, error: OSError | ValueError) -> OutputError:
    return OutputError(
        f"Cannot write {target}: {getattr(error, 'strerror', None) or error}.",
        hint="Choose a folder that exists and that you may write to, and a name that your system allows.",
    )


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
    """What a JSON file holds.

    Raises:
        ValueError: it is no JSON in UTF-8, nests too deep, or is larger than `LARGEST_JSON`.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON // 2**20} MiB")
    return parse_json(content.decode("utf-8-sig"))


# Of a path that somebody wrote down. Unlike Path's own methods these are False for what can be no path: a name of a
# thousand letters, a zero byte.


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
