"""Videos that gave no landmarks, and why: one small JSON file each, beside the store's other files.

A file of its own for each, written beside and renamed, needs no lock and survives being killed anywhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Final

from lrnet import errors
from lrnet.data.records import VideoRecord
from lrnet.data.store.files import store_name
from lrnet.errors import DatasetError, LrnetError
from lrnet.files import read_json, write_text

FOLDER: Final = "failures"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is nothing of a video.

    Attributes:
        key, path: of the video; the path may be an address.
        error: name of the error class.
        exit_code: of that class.
        what, hint: what happened, and the next step.
        size: of the file then, bytes; -1 if there was none.
    """

    key: str
    path: str
    error: str
    exit_code: int
    what: str
    hint: str
    size: int

    @property
    def permanent(self) -> bool:
        """Whether another try would fail too (`LrnetError.permanent`); ledgers of older versions hold other errors."""
        return bool(getattr(getattr(errors, self.error, None), "permanent", False))

    def __str__(self) -> str:
        return f"{self.key}: {self.what} {self.hint}"


_TYPICAL: Final = ("", "", "", 0, "", "", 0)


def record_failure(store: Path, record: VideoRecord, error: LrnetError) -> None:
    """Note a failure; a later one of the same video takes its place.

    Raises:
        OutputError: the store cannot be written.
    """
    place = _place(store, record)
    place.parent.mkdir(parents=True, exist_ok=True)
    failure = Failure(
        key=record.key,
        path=record.url or str(record.path),
        error=type(error).__name__,
        exit_code=error.exit_code,
        what=error.what,
        hint=error.hint,
        size=size_of(record),
    )
    write_text(place, json.dumps(asdict(failure), indent=1, ensure_ascii=False) + "\n")


def forget_failure(store: Path, record: VideoRecord) -> None:
    """The video succeeded after all."""
    _place(store, record).unlink(missing_ok=True)


def failure_of(store: Path, record: VideoRecord) -> Failure | None:
    """What is noted of a video."""
    place = _place(store, record)
    return _load(place) if place.is_file() else None


def failures(store: Path) -> list[Failure]:
    """Everything that is noted, by file name. What a run that was killed left half-written is nothing.

    Raises:
        DatasetError: a file of the ledger is damaged.
    """
    return [_load(path) for path in sorted((store / FOLDER).glob("*.json")) if not path.name.startswith(".")]


def size_of(record: VideoRecord) -> int:
    """Bytes of the record's file; -1 if it is not there or only has an address."""
    try:
        return -1 if record.url else record.path.stat().st_size
    except OSError:
        return -1


def _place(store: Path, record: VideoRecord) -> Path:
    return store / FOLDER / f"{store_name(record.key)}.json"


def _load(path: Path) -> Failure:
    try:
        failure = Failure(**read_json(path))
        if not all(isinstance(value, type(known)) for value, known in zip(astuple(failure), _TYPICAL, strict=True)):
            raise TypeError("a part is of another type")
        return failure
    except (ValueError, TypeError, OSError) as error:
        raise DatasetError(f"{path} is damaged ({error}).", hint="Delete it and run `lrnet extract` again.") from error
