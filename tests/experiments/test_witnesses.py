"""The table of what each witness finds."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from lrnet.data.records import Label, VideoRecord
from lrnet.evaluation.protocol import ScoredVideo
from lrnet.experiments.witnesses import table
from lrnet.verdict import FaceVerdict, InputQuality, State, VideoVerdict

QUALITY = InputQuality(10.0, 250, 150.0, 25.0, 1.0, 0.9, 0.9, 0.01)


def video(i: int, fake: bool, probability: float, appearance: float, state: State) -> ScoredVideo:
    label = Label.FAKE if fake else Label.REAL
    record = VideoRecord(Path(f"{i}.mp4"), f"{i}.mp4", label, "", "swaps" if fake else "web", "", f"p{i}")
    face = FaceVerdict(1, 0, 1, state, probability, 0.5, (), (), QUALITY, appearance_ratio=appearance)
    return ScoredVideo(record, VideoVerdict(state, probability, 0.5, (), 1), (face,))


def test_each_witness_has_its_own_figures() -> None:
    """Motion ranks half of the pairs rightly, appearance all of them."""
    motion = [video(i, i < 6, 0.9 if i % 2 else 0.1, 0.0, State.LIKELY_FAKE) for i in range(12)]
    both = [video(i, i < 6, 0.9 if i < 6 else 0.1, 1.0 if i < 6 else -1.0, State.NO_EVIDENCE) for i in range(12)]
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(motion, both, ["swaps"]))
    lines = [line.split() for line in console.export_text().splitlines()]
    by = {(line[0], line[3]): line for line in lines if len(line) > 4 and line[0] == "swaps"}
    assert by["swaps", "motion"][4] == "0.50"
    assert by["swaps", "appearance"][4] == "1.00"
    assert by["swaps", "both"][4] == "1.00"
    real = [line for line in lines if line[:2] == ["real", "videos"]]
    assert [line[4] for line in real] == ["motion", "both"]
    assert real[0][-4:] == ["100.0", "%", "0.0", "%"]
    assert real[1][-4:] == ["0.0", "%", "100.0", "%"]


def test_a_model_of_motion_alone_has_the_rows_of_motion() -> None:
    motion = [video(i, i < 6, 0.9 if i < 6 else 0.1, 0.0, State.LIKELY_FAKE) for i in range(12)]
    console = Console(width=200, record=True, file=StringIO())
    console.print(table(motion, (), ["swaps"]))
    lines = [line.split() for line in console.export_text().splitlines()[1:] if line.strip()]
    assert [line[3] for line in lines if line[0] == "swaps"] == ["motion"]
    assert next(line for line in lines if line[0] == "swaps")[4] == "1.00"
    assert [line[4] for line in lines if line[:2] == ["real", "videos"]] == ["motion"]
