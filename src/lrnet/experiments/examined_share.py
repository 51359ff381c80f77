"""Figures of detection that examines only stretches of a video, beside those of whole videos.

    python -m lrnet.experiments.examined_share DATASET [--share 0.5 0.33 0.25] [--workers 2]

Judges every video whole and with each share (`Limits.share`), and prints differences of scores, changed verdicts, the
AUC of videos, and the time relative to whole videos. The AUC is valid only in rows of the split "val", which exclude
videos that the model was trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrnet.data import open_dataset
from lrnet.data.records import VideoRecord
from lrnet.evaluation.metrics import auc
from lrnet.evaluation.protocol import record_scores
from lrnet.evaluation.report import table as markdown_table
from lrnet.experiments import environment
from lrnet.verdict import State
from lrnet.video.limits import Access, Limits


@dataclass(frozen=True)
class Said:
    """The verdict on a share of a video; `score` is None without a clip."""

    record: VideoRecord
    share: float
    score: float | None
    state: State
    read: int
    examined: int
    seconds: float


def judged(job: tuple[VideoRecord, float]) -> Said:
    record, share = job
    result = environment.detector().detect(record.path, access=Access(limits=Limits(share=share)))
    verdict = result.verdict
    frames = result.frames_read, result.frames_examined
    return Said(record, share, verdict.score, verdict.state, *frames, result.elapsed)


def row(name: str, some: Sequence[Said], whole: dict[str, Said]) -> list[str]:
    """The videos of `some` beside the same ones examined whole."""
    pairs = [(s, whole[s.record.key]) for s in some]
    apart = np.abs([s.score - w.score for s, w in pairs if s.score is not None and w.score is not None])
    changed = Counter((w.state.value, s.state.value) for s, w in pairs if s.state is not w.state)
    return [
        name,
        f"{sum(s.examined for s in some) / sum(s.read for s in some):.0%}",
        f"{sum(w.seconds for _, w in pairs) / sum(s.seconds for s in some):.2f}",
        f"{auc(record_scores([(s.record, s.score) for s in some])):.3f}",
        f"{apart.mean():.3f}, {np.percentile(apart, 95):.3f}, {apart.max():.3f}",
        f"{sum(changed.values())} of {len(some)}",
        ", ".join(f"{a} -> {b}: {n}" for (a, b), n in sorted(changed.items())),
    ]


def table(said: Sequence[Said]) -> str:
    """A Markdown table with a row for each share."""
    whole = {s.record.key: s for s in said if s.share == 1}
    rows = []
    for share in sorted({s.share for s in said}, reverse=True):
        some = [s for s in said if s.share == share]
        rows.append(row(f"{share:g}", some, whole))
        held = [s for s in some if s.record.split == "val"]
        if len({s.record.label for s in held}) == 2:
            rows.append(row(f"{share:g}, val", held, whole))
    apart = "scores apart: mean, 95 %, most"
    return markdown_table(("share", "frames examined", "times as fast", "AUC", apart, "verdicts changed", ""), rows)


def main() -> None:
    parser = environment.parser(__doc__, "workers")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--share", type=float, nargs="+", default=[0.5, 0.33, 0.25])
    options = parser.parse_args()
    records = open_dataset(options.dataset).records
    jobs = [(record, share) for record in records for share in (1.0, *options.share)]
    print(table(list(environment.each(judged, jobs, options.workers))))


if __name__ == "__main__":
    environment.run(main)
