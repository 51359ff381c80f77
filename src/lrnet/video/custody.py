"""The hash of the bytes that were examined, whatever happens to the path meanwhile."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import FileIO
from pathlib import Path

from lrnet.errors import VideoError
from lrnet.files import is_file


class Custody:
    """A file that is held open while it is examined.

    The descriptor is that of the file which lay at the path: one that is put there later has no part in the hash.
    """

    def __init__(self, path: str, file: FileIO | None) -> None:
        self._path = path
        self._file = file
        self._before = None if file is None else os.fstat(file.fileno())

    def require_opened(self) -> None:
        """Check, once a reader has opened the path, that it opened this file.

        Raises:
            VideoError: another file lies at the path, or none.
        """
        if self._before is not None:
            try:
                now = Path(self._path).stat()
            except OSError as error:
                raise self._changed("removed while it was opened") from error
            if (now.st_dev, now.st_ino) != (self._before.st_dev, self._before.st_ino):
                raise self._changed("replaced while it was opened")

    def sha256(self) -> str | None:
        """Hexadecimal SHA-256 of the bytes that were examined; None for an address or a pipe.

        Raises:
            VideoError: the file was written to meanwhile.
        """
        if self._file is None or self._before is None:
            return None
        self._file.seek(0)
        digest = hashlib.file_digest(self._file, "sha256").hexdigest()
        after = os.fstat(self._file.fileno())
        if (after.st_size, after.st_mtime_ns) != (self._before.st_size, self._before.st_mtime_ns):
            raise self._changed("written to while it was examined")
        return digest

    def _changed(self, what: str) -> VideoError:
        return VideoError(
            f"{self._path} was {what}.", hint="Copy it to a place where nothing writes, and examine that."
        )


@contextmanager
def custody(path: str | os.PathLike[str]) -> Iterator[Custody]:
    """Hold a file open for as long as the block lasts; an address and a file that cannot be opened are passed over."""
    name = os.fspath(path)
    with ExitStack() as stack:
        file = None
        if is_file(name):
            with suppress(OSError):  # the reader says why it cannot be opened
                file = stack.enter_context(FileIO(name))
        yield Custody(name, file)
