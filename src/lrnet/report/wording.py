"""The words for a verdict: its name and meaning, the same in the terminal, the page and the JSON document.

A statement says what was seen and what that does not prove. No wording calls a video real or authentic.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lrnet.errors import OutputError
from lrnet.verdict import Coverage, Reason, State, with_prior


@dataclass(frozen=True, slots=True)
class Wording:
    """The words for a state. A state has one name everywhere.

    Attributes:
        headline: the name, as it stands at the top of a report.
        consequence: what a reader should do next.
        meaning: one sentence: what the state says, and what it does not.
        symbol: one character that distinguishes the states without colour.
        ascii_symbol: the same where only ASCII can be shown.
    """

    headline: str
    consequence: str
    meaning: str
    symbol: str
    ascii_symbol: str

    @property
    def label(self) -> str:
        """The name inside a sentence or a table."""
        return self.headline[0].lower() + self.headline[1:]


_OPEN: Final = "Treat the question as open, and check the video by other means."

WORDING: Final[dict[State, Wording]] = {
    State.LIKELY_FAKE: Wording(
        "Likely fake",
        "Look for the original and ask where the video comes from. Do not publish or accuse on this result alone.",
        "The face moves more like the manipulated videos that the model learned from than like the real ones; this is "
        "a statistical indication and no proof, and it does not say what was changed, with which tool or by whom.",
        "▲",
        "!",
    ),
    State.INCONCLUSIVE: Wording(
        "Inconclusive",
        "Treat the question as open, and draw no conclusion from this result in either direction.",
        "The motion of the face decides neither way, or the material does not allow a decision; this speaks neither "
        "for the video nor against it.",
        "◆",
        "~",
    ),
    State.NO_EVIDENCE: Wording(
        "No evidence of manipulation",
        "Do not call the video genuine on this result; check its source as you would without it.",
        "The motion of the face shows none of the traces that the model looks for; this does not show that the video "
        "is genuine, because only this motion was examined and generators that animate a photo smoothly are mostly not "
        "caught.",
        "○",
        "o",
    ),
    State.NOT_APPLICABLE: Wording(
        "No face to examine",
        _OPEN,
        "No face was found, and only faces are examined; whether the video was manipulated remains open.",
        "–",
        "-",
    ),
    State.UNABLE: Wording(
        "Unable to evaluate",
        _OPEN,
        "A face was found, but not for long enough or not well enough to be examined; whether the video was "
        "manipulated remains open.",
        "?",
        "?",
    ),
}


_OF_BOTH: Final = {
    State.LIKELY_FAKE: "Motion and pixels of the face together are more like the manipulated videos that the model "
    "learned from than like the real ones; this is a statistical indication and no proof, and it does not say what was "
    "changed, with which tool or by whom.",
    State.INCONCLUSIVE: "Motion and pixels of the face together decide neither way, or the material does not allow a "
    "decision; this speaks neither for the video nor against it.",
    State.NO_EVIDENCE: "Motion and pixels of the face show none of the traces that the model looks for; this does not "
    "show that the video is genuine, because only these were examined and generators that animate a photo smoothly are "
    "mostly not caught.",
}
"""Meanings where the model looked at pixels beside motion."""


def words_for(state: State, frames: int | None, appearance: bool = False, reasons: Iterable[str] = ()) -> Wording:
    """The words for a state; a file of one frame is named as the picture that it is.

    Args:
        frames: that were read; None if that is not known.
        appearance: whether pixels took part, beside motion.
        reasons: of the verdict; one frame that is left of a damaged video, or that was asked for, is no picture.
    """
    if frames != 1 or not {Reason.DAMAGED, Reason.PARTLY_EXAMINED}.isdisjoint(reasons):
        words = WORDING[state]
        return replace(words, meaning=_OF_BOTH.get(state, words.meaning)) if appearance else words
    return replace(
        WORDING[state],
        meaning="This is a picture, not a video, and nothing in it moves; whether it was manipulated remains open.",
        consequence="Look for the video that the picture comes from, or check the picture by other means.",
    )


def caution(appearance: bool) -> str:
    """What a verdict is, in a sentence or two.

    Args:
        appearance: whether pixels took part, beside motion.
    """
    what = "motion and pixels" if appearance else "motion"
    return f"A statistical reading of {what}. It supports an examiner's judgement and does not replace it."


EXAMINED: Final = (
    "How 68 points of each face (jaw, brows, eyes, nose, mouth) move from frame to frame. Optical flow and a Kalman "
    "filter make their paths precise; a recurrent network compares them with those of real and manipulated videos."
)

PIXELS_EXAMINED: Final = (
    "What the pixels of the face show, in up to two crops a second: a second network looks for traces of a face, or a "
    "part of one, that was pasted in."
)

NOT_EXAMINED: Final[tuple[str, ...]] = (
    "The sound, the background, hands and bodies, text, light and shadow, compression traces and the file's metadata.",
    "What is said, whether it is shown in its true context, and whether scenes were cut or rearranged.",
    "Stretches in which no face is in view, or one for less than the shortest clip that the model scores.",
)

BLIND_SPOTS: Final = (
    "Generators that animate a photo smoothly and lip synchronisation such as Wav2Lip are hardly ever caught: in this "
    "project's measurements none of 12 animated heads was called fake, and one of 74 lip-synced videos. Kinds of "
    "manipulation, cameras and compression unlike those in training can shift scores either way."
)

SCORE_NOTE: Final = (
    "Scores run from 0 to 1; higher is more like the fakes that the model learned from. A score is not a probability, "
    "and no single moment is a verdict: the verdict rests on all moments of a person together."
)

HELD_BACK: Final = "The verdict is held back for these reasons: in such a case the model's number says nothing."

RARE: Final = 100  # one video in so many is fake: the example of a lower base rate


def person(number: int) -> str:
    """The name of a face."""
    return f"Person {number}"


def moments(spans: Sequence[tuple[float, float]], most: int = 3) -> str:
    """Stretches of time in a sentence: "0:30.0 to 0:45.0, 1:10.0 to 1:12.0 and 2 more"."""
    text = ", ".join(f"{clock(start)} to {clock(stop)}" for start, stop in spans[:most])
    return f"{text} and {len(spans) - most} more" if len(spans) > most else text


def when_and_who(state: State, moment: tuple[float, float] | None, face: int | None, people: int) -> str:
    """Where a verdict points, "1:30.0 to 1:45.0, person 2"; empty for one that accuses nobody."""
    if state is not State.LIKELY_FAKE or moment is None:
        return ""
    who = f", {person(face).lower()}" if people > 1 and face is not None else ""
    return f"{clock(moment[0])} to {clock(moment[1])}{who}"


def part_examined(coverage: Coverage | None) -> str:
    """How much of the video a verdict rests on, "the first 2.9 of 10.0 s"; empty if it rests on all of it.

    Of a damaged video, or of one that is examined in stretches, the seconds need not be the first.
    """
    if coverage is None or coverage.duration is None or Reason.PARTLY_EXAMINED not in coverage.reasons:
        return ""
    holes = not {Reason.SHARE_LIMIT, Reason.DAMAGED}.isdisjoint(coverage.reasons)
    return f"{'' if holes else 'the first '}{coverage.seconds:.1f} of {coverage.duration:.1f} s"


def base_rate(probability: float) -> str:
    """The share of fakes that a calibrated probability assumes, and its value where fakes are rare; two sentences."""
    return (
        "This number assumes that one video in two is fake. Where one in "
        f"{RARE} is, it means {two_decimals(with_prior(probability, 1 / RARE))}."
    )


def finite(value: float | None) -> float | None:
    """`value` rounded to 6 decimals; None for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), 6) + 0.0  # adding 0.0 turns -0.0 into 0.0


def two_decimals(value: float | None) -> str:
    """A probability or score as text, "0.97"; never rounded up to 1.00 or down to 0.00; "none" for None or NaN."""
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value if value in (0.0, 1.0) else min(max(value, 0.01), 0.99):.2f}"


def clock(seconds: float) -> str:
    """A time in a video, "0:07.4" or "1:02:07.4"."""
    tenths = max(0, round(seconds * 10))
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{minutes}:{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{rest / 10:04.1f}" if hours else text


def utf8_name(path: str) -> str:
    r"""A path as valid Unicode: a byte NN of the name that is not UTF-8 becomes `\udcNN`."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def readable(path: str) -> str:
    """A path as it may be shown to people.

    Characters that would move a terminal's cursor, break the line or turn the direction of the text are escaped:
    the sender of a file chooses its name.
    """
    return "".join(_escaped(c) if unicodedata.category(c) in _UNSAFE else c for c in utf8_name(path))


_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def refuse_source(target: str | os.PathLike[str], source: str) -> None:
    """Refuse to write a report over the video that it is about.

    Raises:
        OutputError: `target` is the file `source`.
    """
    try:
        same = Path(target).samefile(source)
    except OSError:  # one of them does not exist
        return
    if same:
        raise OutputError(
            f"{readable(os.fspath(target))} is the examined video itself.", hint="Choose another name for the result."
        )
