"""Where the service keeps files: videos under their SHA-256, results under the video's identifier.

No path here is made from a name that a client chose.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from lrnet.errors import ServiceError
from lrnet.files import lock_file

REPORT: Final = "report.html"
OVERLAY: Final = "overlay.mp4"
BUNDLE: Final = "evidence.zip"
ORPHAN_SECONDS: Final = 3600.0  # a file that no row names is left alone for so long
PARTIAL_SECONDS: Final = 86_400.0  # an upload in parts is kept so long after its last part

_references: Final = threading.Lock()  # besides the file's lock, which Windows does not have


class Folder:
    """The data folder.

    Raises:
        ServiceError: it cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.incoming, self.partial = root / "incoming", root / "partial"
        self.videos, self.results = root / "videos", root / "results"
        try:
            # Videos of people and what is said of them: nobody else on this machine reads them.
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.incoming, self.partial, self.videos, self.results):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ServiceError(
                f"The data folder {root} cannot be used ({error.strerror or error}).",
                hint="Name another with --data.",
            ) from error
        if not os.access(root, os.W_OK):
            raise ServiceError(f"No permission to write the data folder {root}.", hint="Name another with --data.")

    def video(self, sha256: str) -> Path:
        """Where the video of a hash lies."""
        return self.videos / sha256[:2] / sha256

    def result(self, video: str, attempt: str) -> Path:
        """The folder of what one attempt at a video wrote."""
        return self.results / video / attempt

    def receive(self) -> Incoming:
        """A file for an upload that has begun."""
        return Incoming(self.incoming / secrets.token_hex(16))

    @contextmanager
    def references(self) -> Iterator[None]:
        """Held while a video's file and the rows that name it change together.

        Two entries may share one file: without this, one could be deleted while the other is being made.
        """
        with _references, (self.root / ".references").open("w") as lock:
            lock_file(lock)
            yield

    def place(self, incoming: Incoming) -> None:
        """Move a received file to its place, unless it was moved before; call it inside `references`."""
        target = self.video(incoming.sha256)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        if incoming.path.exists() or not target.exists():
            incoming.path.replace(target)

    def remove_results(self, video: str, keep: str | None = None) -> None:
        """Delete what attempts at a video wrote, but for the attempt `keep`."""
        folder = self.results / video
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
            return
        for attempt in _entries(folder):
            if attempt.name != keep:
                shutil.rmtree(attempt, ignore_errors=True)

    def old_uploads(self, seconds: float) -> list[Path]:
        """Uploads that were broken off: nothing came for `seconds`, or for a day if they come in parts."""
        now = self._now()
        waited = ((self.incoming, seconds), (self.partial, PARTIAL_SECONDS))
        return [path for folder, longest in waited for path in _entries(folder) if _written(path) < now - longest]

    def old_videos(self) -> list[Path]:
        """Video files old enough to be deleted if no row names them."""
        before = self._now() - ORPHAN_SECONDS
        return [path for shelf in _entries(self.videos) for path in _entries(shelf) if _written(path) < before]

    def old_results(self) -> list[Path]:
        """Result folders old enough to be deleted if no row names them."""
        before = self._now() - ORPHAN_SECONDS
        return [path for path in _entries(self.results) if _written(path) < before]

    def _now(self) -> float:
        """The file system's clock: the one that gives files their times, whichever machine asks."""
        mark = self.root / ".references"
        mark.touch()
        return mark.stat().st_mtime

    def free(self) -> int:
        """Bytes left on the disk."""
        return shutil.disk_usage(self.root).free


class Incoming:
    """An upload on its way to the disk: hashed as it is written, removed unless it is placed.

    Args:
        resumed: go on with a file that is there; it is hashed when it is whole.
    """

    def __init__(self, path: Path, *, resumed: bool = False) -> None:
        self.path = path
        self._hash = None if resumed else hashlib.sha256()
        self._file: BinaryIO = path.open("ab" if resumed else "xb")
        self.size = self._file.tell()

    @property
    def sha256(self) -> str:
        """Of what was written, hexadecimal."""
        if self._hash is None:
            with self.path.open("rb") as file:
                self._hash = hashlib.file_digest(file, hashlib.sha256)
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        if self._hash is not None:
            self._hash.update(data)
        self.size += len(data)

    def close(self) -> None:
        if self._file.closed:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        """Remove what is not placed; does nothing after `Folder.place`."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except FileNotFoundError:
        return []


def _written(path: Path) -> float:
    """When a file was last written; never, if it has just gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf
