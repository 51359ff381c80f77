"""What does each witness give, over several seeds, and what of a manipulation that neither was trained on?

    python -m lrnet.experiments.ablation MODEL STORE... --scores SCORES --out FOLDER [--unseen] [--strangers STORE]

Trains networks of appearance as `lrnet train-appearance` does, without the people of one fold and of the validation
split: one for each seed, and with --unseen one more without each manipulation, with the first seed. Motion is MODEL's,
and the scores of `lrnet crossval --out SCORES` on the same stores (with --unseen 1 --keep-networks, if it is asked
here). Each network has a checkpoint in FOLDER, from which a run that was stopped goes on.

Prints what motion, appearance and both find of people left out, of sources left out and of strangers; then of the fakes
of each manipulation, by networks that know it and by networks that do not. Calibrations and thresholds of the first
table are set without the people of the video, or of the strangers; those of the second are MODEL's. All figures are of
whole videos, with 95 % intervals over people.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from lrnet.appearance.network import AppearanceNetwork
from lrnet.data.store import StoredVideo
from lrnet.errors import TrainingError
from lrnet.evaluation.metrics import Estimate, Scores, auc, contrast_interval, interval_text, share_interval
from lrnet.evaluation.protocol import ScoredVideo, evaluate, groups_of, scores_of
from lrnet.experiments import environment
from lrnet.experiments.witnesses import appearance_of
from lrnet.files import make_folder
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.training.appearance.finish import VALIDATION, LeftOut, train_network, with_witness
from lrnet.training.appearance.fit import AppearanceSettings
from lrnet.training.appearance.fuse import fuse
from lrnet.training.appearance.start import imagenet_weights
from lrnet.training.crossval import fold_network, kept_scores, unseen_folder
from lrnet.training.data import read_stores
from lrnet.verdict import Rules, State

COLUMNS: Final = (
    "people left out: AUC",
    "sources left out: AUC",
    "strangers, face swaps: AUC",
    "all fakes: AUC",
    "swaps likely_fake",
    "no evidence",
    "real likely_fake",
    "no evidence",
)
DECIDED: Final = (State.LIKELY_FAKE, State.NO_EVIDENCE)


@dataclass(frozen=True, slots=True)
class Job:
    """A network of appearance to train.

    Attributes:
        folder: for its checkpoint; its parent has the weights that all start from.
        unseen: the manipulation that it is not trained on; "" for none.
    """

    folder: Path
    stores: tuple[Path, ...]
    scores: Path
    fold: int
    stills: Path | None
    settings: AppearanceSettings
    unseen: str = ""


def network_of(job: Job) -> bytes:
    """The network of a job, trained on one thread as far as its checkpoint has not come.

    Raises:
        TrainingError: the checkpoint is of a run with other settings.
    """
    torch.set_num_threads(1)
    videos = read_stores(job.stores)
    left_out = LeftOut.of(videos, kept_scores(job.scores), job.fold)

    def tell(step: int, loss: float, rate: float) -> None:
        line = f"{job.folder.name}: step {step} of {job.settings.steps}, {rate:.1f} crops/s"
        print(line, file=sys.stderr, flush=True)

    return train_network(
        videos,
        left_out,
        job.settings,
        job.folder,
        stills=job.stills,
        unseen=job.unseen,
        start=job.folder.parent / "imagenet.pth",
        tell=tell,
        loaders=0,
    ).network


def main() -> None:
    parser = environment.parser(__doc__, "workers")
    parser.add_argument("model", help="a model with both witnesses")
    parser.add_argument("stores", nargs="+", type=Path, help="landmark stores with crops that it was trained on")
    parser.add_argument("--scores", type=Path, required=True, help="of lrnet crossval --out, for MODEL's motion")
    parser.add_argument("--out", type=Path, required=True, help="folder for the networks")
    parser.add_argument("--strangers", type=Path, help="a landmark store with crops that nothing was trained on")
    parser.add_argument("--swaps", nargs="*", default=[], metavar="SOURCE", help="sources of strangers' face swaps")
    parser.add_argument("--unseen", action="store_true", help="leave each manipulation out in turn, too")
    parser.add_argument("--stills", type=Path, help="folder with crops of photographs")
    parser.add_argument("--fold", type=int, default=4, help="whose people are left out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=1200, help="batches of 32 crops")
    args = parser.parse_args()
    bundle = load_model(args.model)
    if bundle.spec.appearance is None:
        parser.error(f"{args.model} looks at motion alone")
    left = LeftOutVideos.of(bundle, args.stores, args.scores, args.fold)

    def job(name: Path, seed: int, unseen: str = "") -> Job:
        settings = AppearanceSettings(steps=args.steps, seed=seed)
        return Job(name, tuple(args.stores), args.scores, args.fold, args.stills, settings, unseen)

    jobs = [job(args.out / f"seed-{seed}", seed) for seed in args.seeds]
    kinds = left.manipulations if args.unseen else []
    jobs += [job(unseen_folder(args.out, kind), args.seeds[0], kind) for kind in kinds]
    require_networks(args.scores, kinds)
    strangers = environment.stored(args.strangers) if args.strangers is not None else []
    make_folder(args.out)
    imagenet_weights(args.out / "imagenet.pth")
    networks = list(environment.each(network_of, jobs, args.workers))
    seeds, unseen = networks[: len(args.seeds)], dict(zip(kinds, networks[len(args.seeds) :], strict=True))
    console = Console(width=200)
    named = {f"seed {seed}": network for seed, network in zip(args.seeds, seeds, strict=True)}
    console.print(witness_table(bundle, left, named, strangers, args.swaps))
    if kinds:
        console.print(unseen_table(known_and_unknown(bundle, left, seeds[0], unseen, args.scores)))


@dataclass(frozen=True, slots=True)
class LeftOutVideos:
    """The people whom no network of appearance is trained on.

    Attributes:
        videos: of the stores.
        motion: theirs, their clips scored by motion that was not trained on these people.
        elsewhere: keys of the videos whose whole source was left out.
    """

    videos: tuple[StoredVideo, ...]
    motion: tuple[ScoredVideo, ...]
    elsewhere: frozenset[str]

    @classmethod
    def of(cls, bundle: ModelBundle, stores: Sequence[Path], scores: Path, fold: int) -> LeftOutVideos:
        videos, held = read_stores(stores), kept_scores(scores)
        left_out = LeftOut.of(videos, held, fold)
        motion = tuple(left_out.scored(bundle.motion_alone(), videos))
        elsewhere = frozenset(h.video.record.key for h in held if h.left_out == "source")
        return cls(tuple(videos), motion, elsewhere)

    @property
    def manipulations(self) -> list[str]:
        return sorted({v.record.method for v in self.motion if v.is_fake} - {""})


@dataclass(frozen=True, slots=True)
class Row:
    """What one witness says of some videos.

    Attributes:
        number: what it ranks a video by; None where it says nothing.
        home, strangers: as it judged them.
    """

    by: str
    network: str
    number: Callable[[ScoredVideo], float | None]
    home: tuple[ScoredVideo, ...]
    strangers: tuple[ScoredVideo, ...] = ()


def witness_table(
    bundle: ModelBundle,
    left: LeftOutVideos,
    networks: Mapping[str, bytes],
    strangers: Sequence[StoredVideo],
    swaps: Sequence[str],
) -> Table:
    """A row for motion; for appearance and for both one of each network, and of their mean."""
    alone = bundle.motion_alone()
    rules = Rules.of(alone.spec)
    motion = [v.judged_by(rules) for v in left.motion]
    rows = [[Row("motion", "", _probability, tuple(motion), tuple(evaluate(alone, strangers)))]]
    both = []
    assert bundle.spec.appearance is not None
    for name, network in networks.items():
        weighed = with_witness(left.motion, left.videos, AppearanceNetwork(network, name))
        fused = fuse(weighed, rules, bundle.spec.appearance, false_alarms=0.02, misses=0.05)
        spec = bundle.spec.model_copy(update={"appearance": fused.spec})
        abroad = evaluate(replace(bundle, spec=spec, appearance=network), strangers)
        both.append(Row("both", name, _probability, fused.videos, tuple(abroad)))
    rows += [[replace(row, by="appearance", number=appearance_of) for row in both], both]
    found = Table(box=None)
    for header in ("", "network", *COLUMNS):
        found.add_column(header, justify="left" if header in ("", "network") else "right")
    for some in rows:
        for row in some:
            found.add_row(row.by, row.network, *cells([row], left.elsewhere, swaps))
        if len(some) > 1:
            found.add_row(some[0].by, "mean", *cells(some, left.elsewhere, swaps))
    return found


def cells(rows: Sequence[Row], elsewhere: frozenset[str], swaps: Sequence[str]) -> list[str]:
    """The mean over several networks that were asked about the same videos."""
    home = [_scores(r, r.home, lambda v: v.record.key not in elsewhere) for r in rows]
    across = [_scores(r, r.home, lambda v: v.is_fake or v.record.key in elsewhere) for r in rows]
    swapped = [_scores(r, r.strangers, lambda v: not v.is_fake or v.record.source in swaps) for r in rows]
    everything = [_scores(r, r.strangers, lambda v: True) for r in rows]
    ranked = [_mean(scores) for scores in (home, across, swapped, everything)]
    fakes = [v for r in rows for v in r.strangers if v.is_fake and v.record.source in swaps]
    real = [v for r in rows for v in r.strangers if not v.is_fake]
    verdicts = rows[0].by != "appearance"
    return ranked + [_share(v, state) if verdicts else "" for v in (fakes, real) for state in DECIDED]


def _scores(row: Row, videos: Iterable[ScoredVideo], chosen: Callable[[ScoredVideo], bool]) -> Scores:
    return scores_of([(v, row.number(v)) for v in videos if chosen(v)])


def _mean(scores: Sequence[Scores]) -> str:
    if not all(s.both_classes for s in scores):
        return ""
    return _text(contrast_interval(auc, [(1 / len(scores), s) for s in scores]))


def _share(videos: Sequence[ScoredVideo], state: State) -> str:
    return _percent(share_interval(np.array([v.state is state for v in videos]), groups_of(videos))) if videos else ""


def _probability(video: ScoredVideo) -> float | None:
    return video.probability


@dataclass(frozen=True, slots=True)
class Manipulation:
    """Fakes of one manipulation and real videos, judged by networks that know it and by networks that do not."""

    name: str
    known: tuple[ScoredVideo, ...]
    unknown: tuple[ScoredVideo, ...]


def known_and_unknown(
    bundle: ModelBundle, left: LeftOutVideos, known: bytes, unseen: Mapping[str, bytes], scores: Path
) -> dict[str, list[Manipulation]]:
    """Each manipulation that was left out, judged by motion and by both.

    Motion that knows it is the finished model's on the validation split, trained on a quarter more people.

    Args:
        known: a network of appearance that was trained on all of them.
        unseen: the networks that were trained without one of them, by its name.
        scores: folder of a cross-validation with `--unseen --keep-networks`.
    """
    witness = AppearanceNetwork(known, "known")
    alone, both = Rules.of(bundle.motion_alone().spec), Rules.of(bundle.spec)
    found: dict[str, list[Manipulation]] = {"motion": [], "both": []}
    for name, network in unseen.items():
        some = [v for v in left.motion if not v.is_fake or v.record.method == name]
        without = with_witness(
            scored_without(left, some, unseen_folder(scores, name)), left.videos, AppearanceNetwork(network, name)
        )
        knowing = with_witness(some, left.videos, witness)
        for by, rules in (("motion", alone), ("both", both)):
            judged = (tuple(v.judged_by(rules) for v in videos) for videos in (knowing, without))
            found[by].append(Manipulation(name, *judged))
    return found


def require_networks(scores: Path, kinds: Sequence[str]) -> None:
    """Check before hours of training that motion was trained without each manipulation. Raises TrainingError."""
    for kind in kinds:
        folder = unseen_folder(scores, kind)
        held = kept_scores(folder) if folder.is_dir() else []
        if not held or not (folder / f"fold-{held[0].fold + 1}").is_dir():
            raise TrainingError(
                f"{scores} has no networks of motion that were trained without {kind}.",
                hint="Make them with `lrnet crossval --unseen 1 --keep-networks`.",
            )


def scored_without(left: LeftOutVideos, some: Sequence[ScoredVideo], folder: Path) -> list[ScoredVideo]:
    """The same videos, scored by motion that does not know a manipulation.

    Nobody of the validation split is in the cross-validation, so any of its networks may judge them.
    """
    held = [h for h in kept_scores(folder) if not h.edit]
    keys = {v.record.key for v in some}
    own = [h.video for h in held if h.video.record.key in keys]
    validation = [v for v in left.videos if v.record.key in keys and v.record.split == VALIDATION]
    return [*own, *evaluate(fold_network(folder, held[0]), validation)]


def unseen_table(found: Mapping[str, Sequence[Manipulation]]) -> Table:
    """A row for each manipulation and witness, and one of all manipulations."""
    table = Table(box=None)
    headers = ("manipulation", "fakes", "people", "by", "AUC, known", "unknown")
    for header in (*headers, "likely_fake, known", "unknown", "no evidence, known", "unknown"):
        table.add_column(header, justify="left" if header in ("manipulation", "by") else "right")
    numbers = {"motion": _probability, "appearance": appearance_of, "both": _probability}
    names = [m.name for m in found["both"]]
    for chosen in (*([name] for name in names), names):
        for by, number in numbers.items():
            some = [m for m in found["motion" if by == "motion" else "both"] if m.name in chosen]
            fakes = [v for m in some for v in m.known if v.is_fake]
            row = [chosen[0] if len(chosen) == 1 else "all", str(len(fakes))]
            row += [str(len({v.record.group for v in fakes})), by]
            for judged in ([m.known for m in some], [m.unknown for m in some]):
                row.append(_mean_over_fakes(judged, number))
            for state in DECIDED if by != "appearance" else ():
                for judged in ([m.known for m in some], [m.unknown for m in some]):
                    row.append(_share([v for videos in judged for v in videos if v.is_fake], state))
            table.add_row(*row)
    return table


def _mean_over_fakes(sets: Sequence[Sequence[ScoredVideo]], number: Callable[[ScoredVideo], float | None]) -> str:
    """The mean AUC, in which every fake counts alike."""
    scores = [scores_of((v, number(v)) for v in videos) for videos in sets]
    fakes = [int((s.label == 1).sum()) for s in scores]
    return _text(contrast_interval(auc, [(n / sum(fakes), s) for n, s in zip(fakes, scores, strict=True)]))


def _text(e: Estimate) -> str:
    return f"{e.value:.2f} ({interval_text(e.interval, 2)})"


def _percent(e: Estimate) -> str:
    if e.interval is None:
        return f"{100 * e.value:.0f} %"
    return f"{100 * e.value:.0f} % ({100 * e.low:.0f} to {100 * e.high:.0f})"


if __name__ == "__main__":
    environment.run(main)
