"""When, where and by whom."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lrnet.errors import UsageError
from lrnet.report.examination import Examination


def test_a_given_time_is_told_in_utc_and_as_it_was_given() -> None:
    found = Examination.of(time="2026-11-27T14:30:00+01:00")
    assert (found.utc, found.local, found.time_given) == ("2026-11-27T13:30:00Z", "2026-11-27T14:30:00+01:00", True)


def test_the_time_is_now_if_none_is_given() -> None:
    found = Examination.of()
    assert abs((datetime.now(UTC) - found.time).total_seconds()) < 60
    assert not found.time_given
    assert found.machine


@pytest.mark.parametrize(
    "time", ["yesterday", "2026-11-27", "2026-11-27T14:30:00", "1970-01-01T00:00:00Z", "2108-01-01T00:00:00Z", "9" * 50]
)
def test_a_time_that_cannot_be_read_is_refused(time: str) -> None:
    with pytest.raises(UsageError, match="not a time with a time zone"):
        Examination.of(time=time)


def test_texts_are_bounded_and_hold_no_control_characters() -> None:
    with pytest.raises(UsageError, match="200 are allowed"):
        Examination.of(case="x" * 201)
    found = Examination.of(case="1\x1b[31m", notes="one\ntwo\x07")
    assert (found.case, found.notes) == ("1\\x1b[31m", "one\ntwo\\x07")
