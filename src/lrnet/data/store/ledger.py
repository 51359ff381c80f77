"""Videos that gave no landmarks, and why: one JSON file each, which needs no lock and survives a kill."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from lrnet import errors
from lrnet.data.records import VideoRecord
from lrnet.data.store.files import store_name
from lrnet.errors import DatasetError, LrnetError
from lrnet.files import read_json, write_text

FOLDER: Final = "failures"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a video is not in a store.

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


def record_failure(store: Path, record: VideoRecord, error: LrnetError) -> None:
    """Record a failure in place of an earlier one of the video. Raises OutputError."""
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
    """Delete the record of a video that has succeeded."""
    _place(store, record).unlink(missing_ok=True)


def failure_of(store: Path, record: VideoRecord) -> Failure | None:
    """The recorded failure of a video."""
    place = _place(store, record)
    return _load(place) if place.is_file() else None


def failures(store: Path) -> list[Failure]:
    """All recorded failures, by file name. Raises DatasetError if a file is damaged."""
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
        return _FAILURE.validate_json(json.dumps(read_json(path)), strict=True)
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} is damaged ({error}).", hint="Delete it and run `lrnet extract` again.") from error


_FAILURE: Final = TypeAdapter(Failure)
