"""What the terminal shows, at 80 columns, with colour and without, in UTF-8 and in ASCII."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from lrnet.cli.render import batch_table, print_failures, print_result, sparkline
from lrnet.detector import VideoResult
from lrnet.errors import NotAVideoError
from lrnet.report.html import render
from lrnet.report.json_report import to_document, to_failure
from lrnet.report.wording import WORDING
from lrnet.verdict import ClipScore, Coverage, Reason
from tests.report.samples import RESULTS, UNCALIBRATED, a_bundle


class Ascii(io.StringIO):
    encoding = "ascii"


def shown(result: VideoResult, *, calibrated: bool = True, width: int = 80, file: io.StringIO | None = None) -> str:
    console = Console(file=file or io.StringIO(), width=width)
    print_result(console, result, a_bundle(calibrated=calibrated))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_prior_changes_the_probability_by_bayes_rule() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_result(console, RESULTS["likely fake"], a_bundle(), prior=0.01)
    odds = 0.97 / 0.03 / 99
    assert f"Where 0.01 of the videos are fake: probability {odds / (1 + odds):.2f}." in flat(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_first_line_says_that_only_a_part_was_examined() -> None:
    whole = RESULTS["likely fake"]
    coverage = Coverage(2.9, 10.0, (Reason.PARTLY_EXAMINED,))
    part = replace(whole, verdict=replace(whole.verdict, coverage=coverage))
    assert shown(part).splitlines()[0].endswith("from the first 2.9 of 10.0 s")
    assert "from the first" not in shown(whole)


def test_what_is_to_be_known_of_the_file_is_said() -> None:
    result = RESULTS["likely fake"]
    noted = replace(result, info=replace(result.info, notes=("The video is interlaced.", "Second \x1b[31mnote.")))
    assert "Note: The video is interlaced." in shown(noted)
    assert "\x1b" not in shown(noted)
    assert to_document(noted, a_bundle()).video.notes == noted.info.notes
    assert '<p class="notice">The video is interlaced.</p>' in render(noted, a_bundle())
    assert "Note:" not in shown(result)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", RESULTS)
def test_summary_fits_80_columns_and_says_the_verdict(name: str) -> None:
    result = RESULTS[name]
    text = shown(result)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    words = WORDING[result.verdict.state]
    assert text.startswith(f"{words.symbol} {words.headline}")
    assert words.meaning in flat(text)
    assert not re.search("[\x1b\u2500-\u257f\u202e]", text)  # no escape sequences, no box lines


@pytest.mark.parametrize("name", RESULTS)
def test_ascii_terminals_get_ascii(name: str) -> None:
    if name != "hostile name":
        assert shown(RESULTS[name], file=Ascii()).isascii()


def test_faces_stand_in_a_table() -> None:
    lines = shown(RESULTS["several faces"]).splitlines()
    row = next(line for line in lines if line.split()[:1] == ["1"])
    assert re.match(r" +1  0:01\.0-0:10\.2  ○ no evidence of manipulation +0\.04 +3  +▁+", row)


@pytest.mark.parametrize("name", ["held back", "half a file", "inconclusive"])
def test_no_number_stands_beside_a_verdict_that_does_not_decide(name: str) -> None:
    result = RESULTS[name]
    text = flat(shown(result))
    assert f"{result.verdict.probability:.2f}" not in text
    assert ("The verdict is held back" in text) == (name != "inconclusive")
    assert re.search(r"inconclusive +- ", text)
    assert "no evidence of manipulation" not in text


def test_a_probability_is_told_with_its_base_rate_and_what_to_do() -> None:
    text = flat(shown(RESULTS["likely fake"]))
    assert "Probability of manipulation 0.97. This number assumes that one video in two is fake." in text
    assert WORDING[RESULTS["likely fake"].verdict.state].consequence in text
    assert re.search(r"Person \d: suspicious from 0:0", text)


def test_uncalibrated_score_is_not_called_a_probability() -> None:
    text = flat(shown(UNCALIBRATED, calibrated=False))
    assert "Probability of" not in text


def test_hostile_names_are_neither_markup_nor_commands() -> None:
    text = shown(RESULTS["hostile name"])
    assert '/tmp/<script>alert("1")</script>\\n\\x1b[31m\\u202eünï&[red]🙂\\udcff.mp4' in text


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def styled() -> str:
        file = io.StringIO()
        print_result(Console(file=file, width=80, force_terminal=True), RESULTS["likely fake"], a_bundle())
        return file.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert re.search("\x1b\\[[0-9;]*31m", styled())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search("\x1b\\[[0-9;]*3[0-7]m", styled())


@pytest.mark.parametrize(
    ("plain", "expected"),
    [(False, "▁▁  ███▄▄▄"), (True, "__  ###:::")],
)
def test_sparkline(plain: bool, expected: str) -> None:
    clips = [ClipScore(a, b, 60, score, {}) for a, b, score in ((0, 2, 0.05), (4, 7, 0.99), (7, 10, 0.4))]
    assert sparkline(clips, 0, 10, 10, plain=plain) == expected


def test_sparkline_of_nothing_is_blank() -> None:
    assert sparkline([], 0, 0, 5) == " " * 5
    assert sparkline([ClipScore(0, 1, 2, float("nan"), {})], 0, 1, 3) == "   "


def test_batch_has_a_line_a_video_and_its_failures() -> None:
    console = Console(file=io.StringIO(), width=80)
    batch_table(console, [to_document(result, a_bundle()) for result in RESULTS.values()])
    failures = [
        to_failure("empty.mp4", NotAVideoError("empty.mp4 is empty (0 bytes).", hint="Obtain it again.")),
        to_failure("dir/[bold]odd.mp4", ValueError("two\nlines")),
    ]
    print_failures(console, failures)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("clip.mp4") == len(RESULTS) - 1
    assert "2 videos were not examined:" in text
    assert "  empty.mp4 is empty (0 bytes). Obtain it again." in text
    assert "  dir/[bold]odd.mp4: two lines. This is a fault of lrnet" in text


def test_no_failures_no_words() -> None:
    console = Console(file=io.StringIO(), width=80)
    print_failures(console, [])
    batch_table(console, [])
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
