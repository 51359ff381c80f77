"""How does coding change scores and verdicts?

    python -m lrnet.experiments.coarse_encoding DATASET [--crf 23 33 36 40] [--coded-only] [--split val]
                                                [--frames 200] [--model M] [--workers 2]

Judges the start of every video: as it is, as H.264 at each constant rate factor, at half its size, and encoded twice.
Prints the AUC of each copy by motion, by appearance and by both, with 95 % intervals over people; and how many real and
fake videos are called `likely_fake` by quantisation parameter (`Reader.quantiser`), without and with the rule for
coarse encodings, which a model that is calibrated for them has no need of. Only people that the model was not trained
on say something about others: of FaceForensics++ those of the split "val".
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
from lrnet.evaluation.metrics import auc, clustered_interval
from lrnet.evaluation.protocol import record_scores
from lrnet.evaluation.report import table as markdown_table
from lrnet.experiments import environment
from lrnet.network.registry import DEFAULT_MODEL
from lrnet.verdict import Reason, State, band, held_back
from lrnet.verdict.quality import MAX_QUANTISER
from lrnet.video.limits import Access, Limits
from lrnet.video.reencode import reencode

EDGES: Final = (0.0, 30.0, 33.0, 36.0, 38.0, 39.0, 40.0, 41.0, 42.0, 43.0, 45.0, 51.0)  # of the ranges in the table
AS_IT_IS: Final = "as it is"
Passes = tuple[tuple[int, float], ...]
"""The constant rate factor of each encoding, and the scale of width and height."""


@dataclass(frozen=True)
class Said:
    """The verdict on one copy of a video.

    Attributes:
        copy: name of the copy.
        quantiser: as the decoder gives it; 0 if unknown.
        without: the verdict without the rule for coarse encodings.
        ratios: log ratio by "motion", by "both", and by "appearance" if the model looks at it.
    """

    record: VideoRecord
    copy: str
    quantiser: float
    state: State
    without: State
    ratios: dict[str, float]


def coded(factors: Sequence[int]) -> dict[str, Passes]:
    """Copies at constant rate factors, by name."""
    return {f"crf {crf}": ((crf, 1.0),) for crf in factors}


def copies(factors: Sequence[int]) -> dict[str, Passes]:
    """Copies by name."""
    twice: Passes = ((28, 1.0), (28, 1.0))
    return {AS_IT_IS: (), **coded(factors), "half size, crf 23": ((23, 0.5),), "crf 28, then crf 28": twice}


def judged(job: tuple[VideoRecord, str, Passes], frames: int, model: str = DEFAULT_MODEL) -> Said | None:
    """The verdict on a copy; None if no face stays in it for a clip."""
    record, name, passes = job
    detector = environment.detector(model)
    with tempfile.TemporaryDirectory(prefix="lrnet-coarse-") as folder:
        file = record.path
        for number, (crf, scale) in enumerate(passes):
            copy = Path(folder, f"{number}.mp4")
            reencode(file, copy, crf=crf, scale=scale, preset="medium", most_frames=frames)
            file = copy
        result = detector.detect(file, access=Access(limits=Limits(frames=frames)))
    face = next((f for f in result.faces if f.face == result.verdict.face), None)
    if face is None or face.probability is None:
        return None
    doubts = [r for r in face.quality.reasons() if r is not Reason.COARSE]
    without, _ = held_back(*band(face.probability, detector.bundle.spec.limits), doubts)
    quantiser = face.quality.quantiser
    parts = {"motion": face.motion_ratio, "appearance": face.appearance_ratio, "both": result.verdict.log_ratio}
    ratios = {by: ratio for by, ratio in parts.items() if ratio is not None}
    return Said(record, name, quantiser if quantiser == quantiser else 0.0, result.verdict.state, without, ratios)


def ranked(said: Sequence[Said]) -> str:
    """A Markdown table with the AUC of each copy by each witness."""
    kinds = [by for by in ("motion", "appearance", "both") if any(by in s.ratios for s in said)]
    rows = []
    for name in dict.fromkeys(s.copy for s in said):
        some = [s for s in said if s.copy == name]
        people = len({s.record.group for s in some})
        cells = [name, str(len(some)), str(people)]
        for by in kinds:
            scores = record_scores((s.record, s.ratios.get(by)) for s in some)
            cells.append(str(clustered_interval(auc, scores)) if scores.both_classes else "")
        rows.append(cells)
    return markdown_table(("copy", "videos", "people", *(f"AUC, {by}" for by in kinds)), rows)


def row(name: str, some: Sequence[Said]) -> list[str]:
    """Of real and of fake videos, how many are called `likely_fake` without the rule and with it."""
    cells = [name]
    for label in (Label.REAL, Label.FAKE):
        of_label = [s for s in some if s.record.label is label]
        for state in ("without", "state"):
            cells.append(f"{sum(getattr(s, state) is State.LIKELY_FAKE for s in of_label)} of {len(of_label)}")
    return cells


def table(said: Sequence[Said]) -> str:
    """A Markdown table of verdicts by copy and by quantisation parameter."""
    rows = [row(name, [s for s in said if s.copy == name]) for name in dict.fromkeys(s.copy for s in said)]
    for low, high in pairwise(EDGES):
        rows.append(row(f"quantiser over {low:.0f}, up to {high:.0f}", [s for s in said if low < s.quantiser <= high]))
    rule = f"above {MAX_QUANTISER:.0f} held back"
    return markdown_table(("", "real: likely_fake", rule, "fake: likely_fake", rule), rows)


def main() -> None:
    parser = environment.parser(__doc__, "model", "split", "workers")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--crf", type=int, nargs="*", default=[23, 33, 36, 40])
    parser.add_argument("--coded-only", action="store_true", help="no other copy than those at the rate factors")
    parser.add_argument("--frames", type=int, default=200, help="of each video, from its start")
    options = parser.parse_args()
    records = [r for r in open_dataset(options.dataset).records if options.split in ("", r.split)]
    made = coded(options.crf) if options.coded_only else copies(options.crf)
    jobs = [(record, name, passes) for name, passes in made.items() for record in records]
    found = environment.each(partial(judged, frames=options.frames, model=options.model), jobs, options.workers)
    said = [s for s in found if s is not None]
    print(f"{ranked(said)}\n\n{table(said)}")


if __name__ == "__main__":
    environment.run(main)
