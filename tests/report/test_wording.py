"""Every state and reason has words, and none of them promises too much."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lrnet.report.html import render
from lrnet.report.json_report import to_document
from lrnet.report.wording import WORDING, clock, finite, part_examined, readable, two_decimals, when_and_who, words_for
from lrnet.verdict import REASON_TEXT, Coverage, Reason, State
from tests.report.samples import a_bundle, a_result


def test_every_state_and_reason_has_words() -> None:
    assert WORDING.keys() == set(State)
    assert REASON_TEXT.keys() == set(Reason)
    for attribute in ("headline", "label", "symbol", "ascii_symbol"):
        assert len({getattr(words, attribute) for words in WORDING.values()}) == len(State)
    assert all(len(w.symbol) == 1 and w.ascii_symbol.isascii() for w in WORDING.values())


@pytest.mark.parametrize("state", State)
def test_meaning_is_one_sentence(state: State) -> None:
    assert re.fullmatch(r"[A-Z][^.]*\.", WORDING[state].meaning)


@pytest.mark.parametrize("state", [state for state in State if state is not State.LIKELY_FAKE])
def test_no_state_calls_a_video_real(state: State) -> None:
    words = WORDING[state]
    assert not re.search(r"\b(real|authentic|genuine|original)\b", words.headline + words.label)


def test_only_an_accusation_points_somewhere() -> None:
    assert when_and_who(State.LIKELY_FAKE, (90.0, 105.0), 2, 3) == "1:30.0 to 1:45.0, person 2"
    assert when_and_who(State.LIKELY_FAKE, (90.0, 105.0), 1, 1) == "1:30.0 to 1:45.0"
    assert when_and_who(State.INCONCLUSIVE, (90.0, 105.0), 1, 1) == ""
    assert when_and_who(State.LIKELY_FAKE, None, 1, 1) == ""


def test_a_picture_is_named_as_one() -> None:
    picture = a_result([], seconds=0.04)
    picture = replace(picture, frames_read=1)
    assert to_document(picture, a_bundle()).meaning.startswith("This is a picture, not a video")
    assert "This is a picture, not a video" in render(picture, a_bundle())
    assert words_for(State.UNABLE, 2) == words_for(State.UNABLE, None) == WORDING[State.UNABLE]
    for reason in (Reason.DAMAGED, Reason.PARTLY_EXAMINED):  # one frame of a video
        assert words_for(State.UNABLE, 1, reasons=[reason]) == WORDING[State.UNABLE]
    assert words_for(State.UNABLE, 1).headline == WORDING[State.UNABLE].headline


def test_what_was_examined_is_told_only_of_a_part() -> None:
    cut = (Reason.PARTLY_EXAMINED, Reason.DURATION_LIMIT)
    assert part_examined(Coverage(2.9, 10.0, cut)) == "the first 2.9 of 10.0 s"
    assert part_examined(Coverage(9.6, 10.0, (*cut, Reason.SHARE_LIMIT))) == "9.6 of 10.0 s"
    assert part_examined(Coverage(4.4, 10.0, (Reason.DAMAGED, *cut))) == "4.4 of 10.0 s"  # the hole may be anywhere
    assert part_examined(Coverage(10.0, 10.0)) == part_examined(Coverage(10.0, None, cut)) == part_examined(None) == ""


def test_no_evidence_names_what_is_not_caught() -> None:
    meaning = WORDING[State.NO_EVIDENCE].meaning
    assert "does not show that the video is genuine" in meaning
    assert "mostly not caught" in meaning


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clip.mp4", "clip.mp4"),
        ("Größe 日本.mp4", "Größe 日本.mp4"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("4pm.\u202eexe", "4pm.\\u202eexe"),
        ("\udcff", "\\udcff"),
    ],
)
def test_readable_escapes_what_moves_the_cursor_or_the_text(text: str, shown: str) -> None:
    assert readable(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00.0"), (7.44, "0:07.4"), (59.96, "1:00.0"), (3600, "1:00:00.0"), (-1, "0:00.0")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9712, "0.97"), (0.9999, "0.99"), (1.0, "1.00"), (0.0001, "0.01"), (0.0, "0.00"), (None, "none")],
)
def test_two_decimals_never_claims_certainty(value: float | None, shown: str) -> None:
    assert two_decimals(value) == shown


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), (float("nan"), None), (float("-inf"), None), (1 / 3, 0.333333), (2.0, 2.0)]
)
def test_finite(value: float | None, expected: float | None) -> None:
    assert finite(value) == expected
