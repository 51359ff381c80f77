"""Results are written beside their place and renamed: a reader never sees half a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lrnet.errors import OutputError


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder; rename it to `path` if the block ends well, else remove it.

    Raises:
        OutputError: the folder does not exist or cannot be written, or `path` is a folder.
    """
    target = Path(path)
    require_writable(target)
    # The extension stays last: container formats are chosen by it.
    partial = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield partial
        partial.replace(target)
    except OSError as error:
        raise OutputError(
            f"Cannot write {target}: {error.strerror or error}.",
            hint="Choose a folder that exists and that you may write to.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check before the work that a file can be written at `path` after it.

    Raises:
        OutputError: it cannot.
    """
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"{target} is a folder.", hint="Give the name of a file to write.")
    if not target.parent.is_dir():
        raise OutputError(f"There is no folder {target.parent}.", hint="Create it, or choose another place.")
    if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
        raise OutputError(f"No permission to write {target}.", hint="Choose a folder that you may write to.")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8 at `path`, whole or not at all. Raises OutputError."""
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")
