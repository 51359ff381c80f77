"""Are verdicts on edited videos as reliable as those on whole ones?

    python -m lrnet.experiments.edited make DATA MORE OUT [--count N] [--seed S] [--split val|any] [--folds]
                                                [--kinds KIND...]
    python -m lrnet.experiments.edited judge OUT [--model M] [--whole]

`make` edits and encodes real and fake videos: those of FaceForensics++ in DATA/ffpp, and those of MORE that
DATA/more/manifest.csv names. It writes N videos of each kind and label (`EDITS`), 640 x 360 pixels, H.264 at CRF 23,
and OUT/manifest.json with the people, the sources and the shots of each. The same arguments give the same videos. A run
that was stopped goes on where it stopped. With `--folds` a video shows people of one fold of a cross-validation only:
the fold of `lrnet train --crossval` over the same videos with the same seed. Of the kind `encoded` are the sources
themselves, one after the other, encoded likewise and not edited.

`judge` runs detection on the videos and prints the share of each verdict by kind and label. Videos of people whom the
model was trained on are left out. `--whole` judges the source videos as they are, too.

Edits of landmarks, without encoding, are made by `lrnet.training.edits`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from lrnet.data import Label, read_collected, read_faceforensics
from lrnet.data.engines import Engine, LocalEngine
from lrnet.errors import LrnetError
from lrnet.evaluation.protocol import known_people
from lrnet.evaluation.report import table
from lrnet.experiments import environment
from lrnet.experiments.editing import BOTH, EDITS, ENCODED, Source, make, read_manifest
from lrnet.network.registry import DEFAULT_MODEL, load_model
from lrnet.training.crossval import plan_folds
from lrnet.verdict import State
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader

FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on a video.

    Attributes:
        kind: of the edit; "whole" for a source.
        state: None if the video could not be read.
        moment: seconds (start, stop) of the most suspicious stretch.
        fake: those of the fake shot.
    """

    kind: str
    label: Label
    people: tuple[str, ...]
    state: State | None
    moment: tuple[float, float] | None = None
    fake: tuple[float, float] | None = None

    @property
    def moment_is_in_fake_shot(self) -> bool:
        if self.moment is None or self.fake is None:
            return False
        return self.moment[0] < self.fake[1] and self.fake[0] < self.moment[1]


def judged_by(model: str, path: Path) -> tuple[State, tuple[float, float] | None]:
    """The state and the moment of the verdict on a file."""
    verdict = environment.detector(model).detect(path).verdict
    return verdict.state, verdict.moment


def judge(folder: Path, model: str, whole: bool, engine: Engine, tell: Callable[[str], None] = print) -> list[Judged]:
    """Judge the edited videos of a folder, and their sources; without those of people whom the model was trained on."""
    known = known_people(load_model(model).spec)
    made = read_manifest(folder).videos
    videos = [(folder / m.file, m.kind, m.label, m.people, m.fake) for m in made]
    if whole:
        sources = {s["path"]: s for m in made for s in m.sources}
        videos += [(Path(p), "whole", Label(s["label"]), tuple(s["people"]), None) for p, s in sorted(sources.items())]
    strangers = [video for video in videos if not known & frozenset(video[3])]
    known_ones = len(videos) - len(strangers)
    tell(f"{len(videos)} videos, {known_ones} of them left out: the model was trained on their people")
    found: dict[int, Judged] = {}
    for outcome in engine.run(partial(judged_by, model), [video[0] for video in strangers]):
        _, kind, label, people, fake = strangers[outcome.index]
        state, moment = outcome.result or (None, None)
        if outcome.error is not None:
            tell(f"  {outcome.item.name}: {outcome.error}")
        found[outcome.index] = Judged(kind, label, people, state, moment, fake)
    return [found[i] for i in sorted(found)]


def report(judged: Sequence[Judged]) -> str:
    """Shares of verdicts by kind and label as a Markdown table, and how often the fake shot is named."""
    rows = []
    parts = {kind: [j for j in judged if j.kind == kind] for kind in (*EDITS, "whole")}
    parts["all edited"] = [j for j in judged if j.kind not in ("whole", ENCODED)]
    for kind, both in parts.items():
        for label in BOTH:
            some = [j for j in both if j.label is label]
            if some:
                rows.append(_row(kind, label, some))
    names = ("kind", "label", "videos", "people", "likely_fake", "inconclusive", "no evidence", "not judged")
    lines = table(names, rows)
    shots = [j for j in judged if j.kind == "one-fake-shot"]
    if shots:
        found = [j for j in shots if j.state is State.LIKELY_FAKE]
        hits, of_found = (sum(j.moment_is_in_fake_shot for j in some) for some in (shots, found))
        lines += (
            f"\none-fake-shot: the moment of the verdict overlaps the fake shot in {hits} of {len(shots)} videos, in "
            f"{of_found} of the {len(found)} that are likely_fake\n"
        )
    return lines


def _row(kind: str, label: Label, some: Sequence[Judged]) -> list[str]:
    named = (State.LIKELY_FAKE, State.INCONCLUSIVE, State.NO_EVIDENCE)
    counts = [sum(j.state is state for j in some) for state in named]
    cells = [f"{n / len(some):.1%} ({n})" for n in (*counts, len(some) - sum(counts))]
    people = len({who for j in some for who in j.people})
    return [kind, label.value, str(len(some)), str(people), *cells]


def read_sources(data: Path, more: Path, split: str, tell: Callable[[str], None] = print) -> list[Source]:
    """The videos to edit; one that cannot be opened is left out, with a message.

    Args:
        split: "val" for the videos of this split only, which are of FaceForensics++; "any" for all.
    """
    records = read_faceforensics(data / "ffpp")
    if split == "any":
        records += read_collected(data / "more" / "manifest.csv", more)
    found = []
    for record in records:
        if split not in ("any", record.split):
            continue
        try:
            with VideoReader(record.path, WHOLE, threads=1) as reader:
                found.append(Source(record, reader.info.duration or 0.0))
        except LrnetError as error:
            tell(f"  {record.key}: {error}")
    return found


def by_fold(sources: Sequence[Source], seed: int) -> list[list[Source]]:
    """The sources of each fold of a cross-validation: nobody is in two folds."""
    plan = plan_folds([s.record for s in sources], FOLDS, seed)
    return [[s for s, fold in zip(sources, plan, strict=True) if fold.number == n] for n in range(FOLDS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="edit and encode videos")
    making.add_argument("data", type=Path, help="holds ffpp/ and more/manifest.csv")
    making.add_argument("more", type=Path, help="holds the videos that more/manifest.csv names")
    making.add_argument("--count", type=int, default=20, metavar="N", help="videos of each kind and label")
    making.add_argument("--seed", type=int, default=0)
    making.add_argument("--split", choices=("val", "any"), default="val", help="of the source videos")
    making.add_argument("--kinds", nargs="+", choices=list(EDITS), default=list(EDITS), metavar="KIND")
    making.add_argument("--folds", action="store_true", help="people of one fold in each video")
    judging = commands.add_parser("judge", help="judge the edited videos")
    judging.add_argument("--model", default=DEFAULT_MODEL)
    judging.add_argument("--whole", action="store_true", help="judge the source videos, too")
    for command in (making, judging):
        command.add_argument("out", type=Path, help="folder of the edited videos")
        command.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    if options.command == "make":
        sources = read_sources(options.data, options.more, options.split)
        parts = by_fold(sources, options.seed) if options.folds else [sources]
        made = make(parts, options.out, options.count, options.seed, LocalEngine(options.workers), options.kinds)
        print(f"{len(made)} videos in {options.out}")
    else:
        print(report(judge(options.out, options.model, options.whole, LocalEngine(options.workers))), end="")


if __name__ == "__main__":
    environment.run(main)
