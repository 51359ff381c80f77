"""When, where and by whom a video was examined: what a printed report needs besides its results."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lrnet.errors import UsageError
from lrnet.report.wording import readable

LONGEST_FIELD: Final = 200  # characters of the case number and of the examiner's name
LONGEST_NOTES: Final = 4000


@dataclass(frozen=True, slots=True)
class Examination:
    """The circumstances of an examination.

    Attributes:
        time: when the examination began; with a time zone.
        machine: host name, operating system and processor architecture.
        case, examiner, notes: as they were given; empty if they were not.
        time_given: whether the time was given by the caller. Then equal input gives an equal report: how long the
            examination took is left out.
    """

    time: datetime
    machine: str
    case: str = ""
    examiner: str = ""
    notes: str = ""
    time_given: bool = False

    @classmethod
    def of(cls, *, time: str = "", case: str = "", examiner: str = "", notes: str = "") -> Examination:
        """An examination on this machine, now or at a given time.

        Args:
            time: ISO 8601 with a time zone, such as 2026-11-27T14:30:00+01:00; empty for now.

        Raises:
            UsageError: the time cannot be read or has no time zone, or a text is too long.
        """
        for name, text, longest in (
            ("case", case, LONGEST_FIELD),
            ("examiner", examiner, LONGEST_FIELD),
            ("notes", notes, LONGEST_NOTES),
        ):
            if len(text) > longest:
                raise UsageError(
                    f"The field {name} holds {len(text)} characters; {longest} are allowed.", hint="Shorten it."
                )
        machine = ", ".join(filter(None, (platform.node(), platform.system(), platform.machine())))
        when = _parsed(time) if time else datetime.now().astimezone().replace(microsecond=0)
        lines = "\n".join(readable(line) for line in notes.splitlines())
        return cls(when, readable(machine), readable(case), readable(examiner), lines, bool(time))

    @property
    def utc(self) -> str:
        """The time in UTC, ISO 8601 to the second."""
        return self.time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    @property
    def local(self) -> str:
        """The local time with its distance from UTC, ISO 8601 to the second."""
        return self.time.isoformat(timespec="seconds")


def _parsed(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None and 1980 <= time.astimezone(UTC).year <= 2107:  # the years that zip files know
            return time
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"{text!r} is not a time with a time zone, from 1980 to 2107.", hint="Write it as 2026-11-27T14:30:00+01:00."
    )
