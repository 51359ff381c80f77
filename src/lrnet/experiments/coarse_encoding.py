"""How does strong compression change verdicts, by how coarse it is?

    python -m lrnet.experiments.coarse_encoding DATASET [--crf 23 33 36 40] [--frames 200] [--workers 2]

Re-encodes the start of every video as H.264 at each constant rate factor, judges it with the default model, and prints
how many real and fake videos are called `likely_fake` by quantisation parameter (`Reader.quantiser`), without and with
the rule for coarse encodings. Rows of the split "val" exclude videos that the model was trained on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from lrnet.data import open_dataset
from lrnet.data.records import Label, VideoRecord
from lrnet.evaluation.report import table as markdown_table
from lrnet.experiments import environment
from lrnet.verdict import Reason, State, band, held_back
from lrnet.verdict.quality import MAX_QUANTISER
from lrnet.video.reencode import reencode

EDGES: Final = (0.0, 30.0, 33.0, 36.0, 38.0, 39.0, 40.0, 41.0, 42.0, 43.0, 45.0, 51.0)  # of the ranges in the table


@dataclass(frozen=True)
class Said:
    """A verdict on one copy of a video.

    Attributes:
        quantiser: as the decoder gives it; 0 if unknown.
        without: the verdict without the rule for coarse encodings.
    """

    record: VideoRecord
    crf: int
    quantiser: float
    state: State
    without: State


def judged(job: tuple[VideoRecord, int], frames: int) -> Said | None:
    """The verdict on a copy; None if no face stays in it for a clip."""
    record, crf = job
    detector = environment.detector()
    with tempfile.TemporaryDirectory(prefix="lrnet-coarse-") as folder:
        copy = Path(folder) / "copy.mp4"
        reencode(record.path, copy, crf=crf, preset="medium", most_frames=frames)
        result = detector.detect(copy)
    face = next((f for f in result.faces if f.face == result.verdict.face), None)
    if face is None or face.probability is None:
        return None
    doubts = [r for r in face.quality.reasons() if r is not Reason.COARSE]
    without, _ = held_back(*band(face.probability, detector.bundle.spec.limits), doubts)
    quantiser = face.quality.quantiser
    return Said(record, crf, quantiser if quantiser == quantiser else 0.0, result.verdict.state, without)


def row(name: str, some: Sequence[Said]) -> list[str]:
    """Of real and of fake videos, how many are called `likely_fake` without the rule and with it."""
    cells = [name]
    for label in (Label.REAL, Label.FAKE):
        of_label = [s for s in some if s.record.label is label]
        for state in ("without", "state"):
            cells.append(f"{sum(getattr(s, state) is State.LIKELY_FAKE for s in of_label)} of {len(of_label)}")
    return cells


def table(said: Sequence[Said]) -> str:
    """A Markdown table by constant rate factor and by quantisation parameter."""
    rows = []
    for crf in sorted({s.crf for s in said}):
        rows.append(row(f"crf {crf}", [s for s in said if s.crf == crf]))
        rows.append(row(f"crf {crf}, val", [s for s in said if s.crf == crf and s.record.split == "val"]))
    for low, high in pairwise(EDGES):
        rows.append(row(f"quantiser over {low:.0f}, up to {high:.0f}", [s for s in said if low < s.quantiser <= high]))
    held_back = f"above {MAX_QUANTISER:.0f} held back"
    return markdown_table(("", "real: likely_fake", held_back, "fake: likely_fake", held_back), rows)


def main() -> None:
    parser = environment.parser(__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--crf", type=int, nargs="+", default=[23, 33, 36, 40])
    parser.add_argument("--frames", type=int, default=200, help="of each video, from its start")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    jobs = [(record, crf) for crf in options.crf for record in open_dataset(options.dataset).records]
    found = environment.each(partial(judged, frames=options.frames), jobs, options.workers)
    print(table([said for said in found if said is not None]))


if __name__ == "__main__":
    main()
