"""What do motion and appearance find, alone and together? `python -m lrnet.experiments.witnesses MODEL STORE`.

Judges the videos of a landmark store with crops as detection does, and prints for the fakes of each source the AUC
against all real videos of the store, how many are found at 5 % false alarms, and how many are called what; by motion,
by appearance and by both, with 95 % intervals over people; of a model that looks at motion alone, by motion. Only
people that the model was not trained on say something about others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lrnet.evaluation.metrics import Estimate, auc, clustered_interval, interval_text, recall_at
from lrnet.evaluation.protocol import ScoredVideo, evaluate, scores_of
from lrnet.experiments import environment
from lrnet.network.registry import load_model
from lrnet.verdict import State

EVERYTHING = "all fakes"


def main() -> None:
    parser = environment.parser(__doc__, "split")
    parser.add_argument("model", help="a model with both witnesses, or with motion alone")
    parser.add_argument("store", type=Path)
    parser.add_argument("--swaps", nargs="*", default=[], metavar="SOURCE", help="sources to sum up in a row")
    args = parser.parse_args()
    videos = environment.stored(args.store, args.split)
    bundle = load_model(args.model)
    both = evaluate(bundle, videos) if bundle.appearance is not None else ()
    motion = evaluate(bundle.motion_alone(), videos)
    Console(width=180).print(table(motion, both, args.swaps))


def appearance_of(video: ScoredVideo) -> float | None:
    """How much the crops of the deciding person speak for a fake."""
    return None if video.deciding is None else video.deciding.appearance_ratio


def table(motion: Sequence[ScoredVideo], both: Sequence[ScoredVideo], swaps: Sequence[str] = ()) -> Table:
    """Three rows for each source of fakes, and three for all of them; two for the real videos.

    Without `both` only those of motion.
    """
    found = Table(box=None)
    headers = ("fakes", "n", "people", "by", "AUC", "found at 5 %", "likely_fake", "no evidence")
    for header in headers:
        found.add_column(header, justify="left" if header in ("fakes", "by") else "right")
    witnesses: tuple[tuple[str, Sequence[ScoredVideo], Callable[[ScoredVideo], float | None]], ...] = (
        ("motion", motion, lambda v: v.probability),
        ("appearance", both, appearance_of),
        ("both", both, lambda v: v.probability),
    )
    witnesses = witnesses if both else witnesses[:1]
    for name, sources in _kinds(motion, swaps).items():
        for by, videos, number in witnesses:
            fakes = [v for v in videos if v.is_fake and v.record.source in sources]
            rows = scores_of([(v, number(v)) for v in videos if not v.is_fake or v.record.source in sources])
            people = len({v.record.group for v in fakes})
            cells = [_cell(clustered_interval(auc, rows)), _cell(clustered_interval(recall_at(0.05), rows))]
            found.add_row(name, str(len(fakes)), str(people), by, *cells, *_states(fakes, by))
    for by, videos in (("motion", motion), ("both", both))[: 2 if both else 1]:
        real = [v for v in videos if not v.is_fake]
        people = len({v.record.group for v in real})
        found.add_row("real videos", str(len(real)), str(people), by, "", "", *_states(real, by))
    return found


def _kinds(videos: Sequence[ScoredVideo], swaps: Sequence[str]) -> dict[str, Sequence[str]]:
    """Sources of the fakes that a row is about, by what it is called."""
    sources = sorted({v.record.source for v in videos if v.is_fake})
    return {**{s: [s] for s in sources}, **({", ".join(swaps): swaps} if swaps else {}), EVERYTHING: sources}


def _states(videos: Sequence[ScoredVideo], by: str) -> tuple[str, str]:
    if by == "appearance" or not videos:
        return "", ""
    shares = [sum(v.state is s for v in videos) / len(videos) for s in (State.LIKELY_FAKE, State.NO_EVIDENCE)]
    return f"{100 * shares[0]:.1f} %", f"{100 * shares[1]:.1f} %"


def _cell(e: Estimate) -> str:
    return f"{e.value:.2f} {interval_text(e.interval, 2)}".strip()


if __name__ == "__main__":
    environment.run(main)
