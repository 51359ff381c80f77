"""Networks of a division and their scores, each made once and kept.

A network reads one stream. Several streams are trained alone and joined by their scores, as in the paper and as
`fit.together = false` does: a stream that several rows need is trained once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Final

from lrnet.data.records import VideoRecord
from lrnet.errors import TrainingError
from lrnet.evaluation.decide import HeldOut
from lrnet.evaluation.protocol import ScoredVideo, score_sequences, unjudged
from lrnet.experiments.paper.videos import VideoSet
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.training.config import StreamConfig, TrainingConfig
from lrnet.training.crossval import plan_folds, read_scores, write_scores
from lrnet.training.train import bare_bundle, train_on
from lrnet.verdict import ClipScore, Rules, aggregate
from lrnet.version import __version__

Tell = Callable[[str], None]

FORMAT: Final = 1  # of kept files; those of another format are made again


@dataclass(frozen=True, slots=True)
class Division:
    """The identity groups whose videos are trained on and tested."""

    train: frozenset[str]
    test: frozenset[str]

    def __post_init__(self) -> None:
        both = self.train & self.test
        if both:
            raise TrainingError(
                f"{len(both)} identity groups are both in training and in test, {min(both)} among them.",
                hint="Correct the splits: one person must not be in both.",
            )


Plan = tuple[Division, ...]
"""The divisions of one seed; every group is tested at most once."""


def folds_of(records: Sequence[VideoRecord], folds: int, seed: int) -> Plan:
    """Cross-validation over identity groups (see `lrnet.training.crossval.plan_folds`).

    Raises:
        TrainingError: there are too few groups for the folds.
    """
    dealt: list[set[str]] = [set() for _ in range(folds)]
    for record, fold in zip(records, plan_folds(records, folds, seed), strict=True):
        dealt[fold.number].add(record.group)
    everybody = frozenset().union(*dealt)
    return tuple(Division(everybody - out, frozenset(out)) for out in map(frozenset, dealt))


def split_of(records: Sequence[VideoRecord], train: str, test: str) -> Plan:
    """The dataset's own splits. Raises TrainingError if a split is missing, or one person is in both."""
    sides = [frozenset(r.group for r in records if r.split == name) for name in (train, test)]
    if not all(sides):
        there = sorted({r.split or "(none)" for r in records})
        raise TrainingError(
            f"There are no videos in the split {train if not sides[0] else test!r}; there is {', '.join(there)}.",
            hint="Use data that has the official splits.",
        )
    return (Division(*sides),)


def with_strangers(plan: Plan, groups: Iterable[str]) -> Plan:
    """The plan with further groups to test, dealt to its divisions in turn; known groups keep their division."""
    known = frozenset().union(*(d.train | d.test for d in plan))
    strangers = sorted(set(groups) - known)
    return tuple(
        replace(division, test=division.test | frozenset(strangers[i :: len(plan)])) for i, division in enumerate(plan)
    )


def everybody(plan: Plan) -> frozenset[str]:
    """The groups that are tested in any division."""
    return frozenset().union(*(d.test for d in plan))


def seeded(config: TrainingConfig, seed: int) -> TrainingConfig:
    """The configuration with another seed and for any split, as plans decide on videos."""
    return config.model_copy(
        update={
            "seed": seed,
            "data": config.data.model_copy(update={"splits": ()}),
        }
    )


class Runs:
    """Trains and scores; reads what a folder has already.

    Args:
        folder: of networks and scores.
        workers: networks trained at a time, each in a process.

    Attributes:
        trained: number of networks that this object trained.
        seconds: of the training of each network that was needed, now or earlier, by its file.
    """

    def __init__(self, folder: Path, *, workers: int = 1, tell: Tell = lambda line: None) -> None:
        self.folder = folder
        self.trained = 0
        self.seconds: dict[str, float] = {}
        self._workers = workers
        self._tell = tell

    def prepare(self, train: VideoSet, config: TrainingConfig, plans: Sequence[Plan]) -> None:
        """Train every network that `scored` will need, some at a time."""
        every = (
            self._job(train, seeded(config, seed), stream, division)
            for seed, plan in enumerate(plans)
            for division in plan
            for stream in config.streams
        )
        jobs = {job.file: job for job in every if not job.file.is_dir()}
        self.trained += len(jobs)
        for done, job in enumerate(self._trained(list(jobs.values())), 1):
            self._tell(f"{train.described}: network {done} of {len(jobs)} ({job.what}) trained")

    def _trained(self, jobs: Sequence[_Job]) -> Iterator[_Job]:
        """Train some at a time; each as it is done."""
        if self._workers <= 1 or not jobs:
            for job in jobs:
                _train(job)
                yield job
            return
        with ProcessPoolExecutor(self._workers, mp_context=get_context("spawn")) as pool:
            running = {pool.submit(_train, job): job for job in jobs}
            for finished in as_completed(running):
                finished.result()
                yield running[finished]

    def _load(self, job: _Job) -> ModelBundle:
        bundle = ModelBundle.load(job.file)
        assert bundle.spec.training is not None
        self.seconds[job.file.name] = bundle.spec.training.seconds
        return bundle

    def scored(
        self, train: VideoSet, test: VideoSet, config: TrainingConfig, plans: Sequence[Plan]
    ) -> Sequence[Sequence[ScoredVideo]]:
        """Every video of `test` scored by a network that was not trained on its people, for the plan of each seed."""
        self.prepare(train, config, plans)
        found = []
        for seed, plan in enumerate(plans):
            ours = seeded(config, seed)
            videos: list[ScoredVideo] = []
            for division in plan:
                asked = test.of_groups(division.test)
                if asked.videos:
                    parts = [self._scored_by(train, asked, ours, stream, division) for stream in config.streams]
                    videos += [joined(list(same), ours) for same in zip(*parts, strict=True)]
            found.append(videos)
        return found

    def networks(self, train: VideoSet, config: TrainingConfig, division: Division, seed: int = 0) -> list[ModelBundle]:
        """The networks of each stream, trained if need be."""
        found = []
        for stream in config.streams:
            job = self._job(train, seeded(config, seed), stream, division)
            if not job.file.is_dir():
                _train(job)
                self.trained += 1
            found.append(self._load(job))
        return found

    def _job(self, train: VideoSet, config: TrainingConfig, stream: StreamConfig, division: Division) -> _Job:
        alone = config.alone(stream).model_copy(update={"name": "network", "description": ""})
        kept = train.of_groups(division.train)
        excluded = config.data.exclude_methods
        kept = replace(kept, videos=tuple(v for v in kept.videos if v.record.method not in excluded))
        key = key_of("network", kept.mark(alone), version("torch"))
        return _Job(kept, alone, self.folder / "networks" / key)

    def _scored_by(
        self, train: VideoSet, test: VideoSet, config: TrainingConfig, stream: StreamConfig, division: Division
    ) -> list[ScoredVideo]:
        job = self._job(train, config, stream, division)
        file = self.folder / "scores" / f"{key_of('scores', job.file.name, test.mark(job.config))}.parquet"
        bundle = self._load(job)
        if file.is_file():
            rules = Rules(job.config.aggregation, job.config.clips.length)
            return [h.video.judged_by(rules) for h in read_scores(file, file.stem)]
        scored = score_set(bundle, test)
        if any(v.seen_in_training for v in scored):
            raise AssertionError("a network was about to be tested on people that it was trained on")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_scores(file, [HeldOut(v, 0, "people") for v in scored], file.stem)
        return scored


def score_set(bundle: ModelBundle, videos: VideoSet) -> list[ScoredVideo]:
    """A model's scores of a set, as detection would give them."""
    runtime = NetworkRuntime(bundle)
    return [score_sequences(bundle, runtime, face.record, face.sequences) for face in videos.faces()]


def joined(parts: Sequence[ScoredVideo], config: TrainingConfig) -> ScoredVideo:
    """One video's scores by several streams as one, clip by clip."""
    if len(parts) == 1:
        return parts[0]
    votes = [stream.vote for stream in config.streams]

    def voted(same: Sequence[ClipScore]) -> ClipScore:
        streams = {name: score for clip in same for name, score in clip.streams.items()}
        score = aggregate([clip.score for clip in same], votes, config.fusion)
        return ClipScore(same[0].start, same[0].stop, same[0].frames, score, streams)

    people = []
    for same_person in zip(*([p.stretches for p in part.people] for part in parts), strict=True):
        stretches = []
        for same in zip(*same_person, strict=True):
            clips = tuple(voted(clip) for clip in zip(*(stretch.clips for stretch in same), strict=True))
            stretches.append(replace(same[0], clips=clips))
        people.append(stretches)
    whole = unjudged(parts[0].record, people)
    return replace(
        whole.judged_by(Rules(config.aggregation, config.clips.length)), seen_in_training=parts[0].seen_in_training
    )


def key_of(*parts: object) -> str:
    """A file name from everything that a result depends on, the version of lrnet included."""
    text = json.dumps([FORMAT, __version__, *map(str, parts)])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Job:
    train: VideoSet
    config: TrainingConfig
    file: Path

    @property
    def what(self) -> str:
        return f"{self.config.streams[0].name}, {self.config.clips.length} frames, seed {self.config.seed}"


def _train(job: _Job) -> None:
    """Train a network and keep it as a bundle, unless another process has done so."""
    if job.file.is_dir():
        return
    began = perf_counter()
    fitted = train_on(job.train.faces(), job.config)
    ready = bare_bundle(fitted, job.train.videos, job.config, perf_counter() - began, command="lrnet benchmark")
    ModelBundle.save(ready.spec, ready.network, "", job.file, replace=True)
