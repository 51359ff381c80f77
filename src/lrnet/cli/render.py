"""A result on the command line: compact, at 80 columns, with or without colour, to a screen or a pipe.

Everything goes out as `Text`, never as markup: names of files and models come from strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lrnet.report.figures import by_weight, pointed_at, suspicious
from lrnet.report.wording import (
    HELD_BACK,
    WORDING,
    base_rate,
    clock,
    moments,
    part_examined,
    person,
    readable,
    two_decimals,
    when_and_who,
    words_for,
)
from lrnet.verdict import REASON_TEXT, ClipScore, State, is_held_back, with_prior

if TYPE_CHECKING:
    from lrnet.detector import VideoResult
    from lrnet.network.bundle import ModelBundle
    from lrnet.report.schema import FailurePart, ReportDocument

STYLES: Final[dict[State, str]] = {
    State.LIKELY_FAKE: "bold red",
    State.INCONCLUSIVE: "bold yellow",
    State.NO_EVIDENCE: "bold cyan",
    State.NOT_APPLICABLE: "bold",
    State.UNABLE: "bold",
}
BLOCKS: Final = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS: Final = "_.-:=+*#"
FACES_SHOWN: Final = 12  # the heaviest ones; the JSON has them all


def print_result(console: Console, result: VideoResult, bundle: ModelBundle, prior: float | None = None) -> None:
    """Print the verdict on one video with its grounds.

    Args:
        console: where to; its width, colours and encoding are kept to.
        result: what the detector returned.
        bundle: the model it was made with.
        prior: share of videos that are fake where it comes from; the probability is also given for that.
    """
    verdict, plain = result.verdict, console.options.ascii_only
    words = words_for(verdict.state, result.frames_read, result.appearance, verdict.reasons)
    when = when_and_who(verdict.state, pointed_at(result, bundle.spec), verdict.face, len(result.faces))
    part = part_examined(verdict.coverage)
    headline = Text.assemble(
        (f"{_symbol(verdict.state, plain)} {words.headline}", STYLES[verdict.state]),
        ("  ", ""),
        _name(result.path),
        (f"  {when}" if when else "", STYLES[verdict.state]),
        f"  from {part}" if part else "",
    )
    console.print(headline, highlight=False)
    _print_indented(console, Text(words.meaning))
    if verdict.state in (State.LIKELY_FAKE, State.NO_EVIDENCE) and verdict.probability is not None:
        value = f"Probability of manipulation {two_decimals(verdict.probability)}."
        _print_indented(console, Text(f"{value} {base_rate(verdict.probability)}"))
        if prior is not None:
            changed = two_decimals(with_prior(verdict.probability, prior))
            _print_indented(console, Text(f"Where {prior:.3g} of the videos are fake: probability {changed}."))
    if verdict.reasons:
        limits = _thresholds(bundle) if verdict.probability is not None else ""
        reasons = "; ".join(REASON_TEXT[reason] for reason in dict.fromkeys(verdict.reasons))
        _print_indented(console, Text.assemble(("Why: ", "bold"), f"{reasons}{limits}."))
    if is_held_back(verdict.state, verdict.reasons):
        _print_indented(console, Text(HELD_BACK))
    for face in result.faces:
        if spans := suspicious(face, bundle.spec):
            _print_indented(console, Text(f"{person(face.face)}: suspicious from {moments(spans)}.", "bold"))
    for note in result.info.notes:
        _print_indented(console, Text.assemble(("Note: ", "bold"), readable(note)))
    _print_indented(console, Text(words.consequence))
    if result.faces:
        console.print(Padding(_face_table(result, plain, console.width), (1, 0, 1, 2)), highlight=False)
        for remark in _remarks(result):
            _print_indented(console, Text(remark))
    _print_indented(console, Text(_footer(result), style="dim"))


def batch_table(console: Console, documents: Sequence[ReportDocument]) -> None:
    """Print one line for each video of a batch: verdict, probability, faces, name."""
    plain = console.options.ascii_only
    table = _table()
    table.add_column("verdict", no_wrap=True)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("faces", justify="right", no_wrap=True)
    table.add_column("video", overflow="fold")
    for document in documents:
        verdict = document.verdict
        state = f"{_symbol(verdict.state, plain)} {WORDING[verdict.state].label}"
        table.add_row(
            Text(state, STYLES[verdict.state]),
            Text(_short(verdict.probability, verdict.state)),
            Text(str(len(document.faces))),
            _name(document.video.path),
        )
    if documents:
        console.print(table, highlight=False)


def print_failures(console: Console, failures: Sequence[FailurePart]) -> None:
    """Print which videos could not be examined, why, and what to do."""
    if not failures:
        return
    many = "1 video was" if len(failures) == 1 else f"{len(failures)} videos were"
    console.print(Text(f"{many} not examined:", "bold"), highlight=False)
    for failure in failures:
        # The message names the file as a rule; the path stands before it only where it does not.
        message = _one_line(f"{failure.message.rstrip('.')}. {failure.hint}")
        if readable(failure.path) not in message and failure.path not in failure.message:
            message = f"{readable(failure.path)}: {message}"
        _print_indented(console, Text(message))


def sparkline(clips: Sequence[ClipScore], start: float, stop: float, width: int, *, plain: bool = False) -> str:
    """Clip scores over time in `width` characters: a column shows the highest score of its time, a blank none.

    Args:
        start, stop: seconds that the first column begins and the last one ends with.
        plain: use ASCII only.
    """
    blocks = ASCII_BLOCKS if plain else BLOCKS
    highest = np.full(width, -np.inf)
    scale = width / max(stop - start, 1e-6)
    for clip in clips:
        if not np.isfinite(clip.score):
            continue
        first = int(np.clip((clip.start - start) * scale, 0, width - 1))
        last = int(np.clip(np.ceil((clip.stop - start) * scale), first + 1, width))
        highest[first:last] = np.maximum(highest[first:last], clip.score)
    levels = np.clip((highest * len(blocks)), 0, len(blocks) - 1)
    return "".join(blocks[int(v)] if np.isfinite(h) else " " for v, h in zip(levels, highest, strict=True))


def _face_table(result: VideoResult, plain: bool, width: int) -> Table:
    faces = by_weight(result)[:FACES_SHOWN]
    end = max([result.seconds_examined, *(face.stop for face in result.faces)])
    views = [f"{clock(face.start)}-{clock(face.stop)}" for face in faces]
    states = [f"{_symbol(face.state, plain)} {WORDING[face.state].label}" for face in faces]
    taken = 2 + len("face  (0.00)  clips  ") + max(map(len, views)) + 2 + max(map(len, states)) + 2
    columns = min(max(width - taken, 8), 40)
    table = _table()
    for header, right in (("face", True), ("in view", False), ("verdict", False), ("prob.", True), ("clips", True)):
        table.add_column(header, justify="right" if right else "left", no_wrap=True)
    table.add_column(f"scores to {clock(end)}" if columns >= 20 else "scores", no_wrap=True)
    for face, view, state in zip(faces, views, states, strict=True):
        table.add_row(
            Text(str(face.face)),
            Text(view),
            Text(state, STYLES[face.state]),
            Text(_short(face.probability, face.state)),
            Text(str(len(face.clips))),
            Text(sparkline(face.clips, 0.0, end, columns, plain=plain)),
        )
    return table


def _remarks(result: VideoResult) -> list[str]:
    """Why the verdicts on faces that do not decide are held back or weak, and how many faces are not shown."""
    lines = []
    for face in by_weight(result)[:FACES_SHOWN]:
        held = is_held_back(face.state, face.reasons)
        poor = [REASON_TEXT[reason] for reason in (face.reasons if held else face.quality.reasons())]
        if poor and face.face != result.verdict.face:
            lines.append(f"{person(face.face)}: {'; '.join(poor)}.")
    if len(result.faces) > FACES_SHOWN:
        lines.append(f"{len(result.faces) - FACES_SHOWN} more people, see the JSON document.")
    return lines


def _table() -> Table:
    # No box: what is piped to a file or read aloud should be words.
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def _print_indented(console: Console, text: Text) -> None:
    for line in text.wrap(console, max(20, console.width - 2)):
        line.rstrip()
        console.print(Text.assemble("  ", line), highlight=False, soft_wrap=True)


def _symbol(state: State, plain: bool) -> str:
    return WORDING[state].ascii_symbol if plain else WORDING[state].symbol


def _name(path: str) -> Text:
    return Text(readable(path), overflow="fold")


def _one_line(text: str) -> str:
    return readable(" ".join(text.split()))


def _short(probability: float | None, state: State) -> str:
    """A probability for a table; a dash where the verdict does not rest on one."""
    if probability is None or not np.isfinite(probability) or state not in (State.LIKELY_FAKE, State.NO_EVIDENCE):
        return "-"
    return two_decimals(probability)


def _thresholds(bundle: ModelBundle) -> str:
    limits = bundle.spec.limits
    if limits is None:
        return ""
    return (
        f" (likely fake from {two_decimals(limits.likely_fake)}, no evidence up to {two_decimals(limits.no_evidence)})"
    )


def _footer(result: VideoResult) -> str:
    model = f"{result.model} {result.model_version} ({result.model_hash[:12]})"
    repeated = f" ({result.frames_repeated} repeat the one before)" if result.frames_repeated else ""
    return (
        f"Examined {result.frames_examined} of {result.frames_read} frames{repeated} "
        f"to {clock(result.seconds_examined)} with {readable(model)} in {result.elapsed:.1f} s."
    )
