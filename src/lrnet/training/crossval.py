"""Cross-validation over people and sources: every video is scored by a network that was trained on neither."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lrnet.data.records import Label, VideoRecord, identity_groups, joined_groups, people_of
from lrnet.data.store import StoredVideo
from lrnet.errors import TrainingError
from lrnet.evaluation.decide import HeldOut, LeftOut
from lrnet.evaluation.protocol import score_sequences, score_video, unjudged
from lrnet.files import make_folder, parse_json, written_beside
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.training.clips import main_faces
from lrnet.training.config import Decision, TrainingConfig
from lrnet.training.data import everybody, fingerprint, selected, set_aside
from lrnet.training.edits import edited_videos
from lrnet.training.fit import Progress
from lrnet.training.train import bare_bundle, train_on
from lrnet.verdict import ClipScore, InputQuality, Rules, Stretch

Tell = Callable[[int, int, Progress | None], None]
"""Called with the fold (from 1), the number of folds, and the progress in it; None when the fold is done."""

_SEED_OF_FOLDS: Final = 0xF01D


class Listener:
    """Receives the progress of a long run; this base class ignores it."""

    def config(self, name: str) -> None:
        """Another cross-validation begins."""

    def fold(self, number: int, folds: int, progress: Progress | None) -> None:
        """See `Tell`."""

    def epoch(self, progress: Progress) -> None:
        """An epoch of the final network is done."""


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """How to cross-validate; see `cross_validate` for the fields of the same name.

    Attributes:
        unseen: number of cross-validations without each manipulation in turn, whose scores lie in subfolders.
    """

    folder: Path | None = None
    folds: int = 5
    repeats: int = 1
    unseen: int = 0
    workers: int = 1
    keep_networks: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """Out-of-fold scores: of networks trained on everything, and of those without a manipulation, by its name."""

    held: list[HeldOut]
    unseen: dict[str, list[HeldOut]]


def cross_validate_all(
    videos: Sequence[StoredVideo], config: TrainingConfig, how: CrossValidation, listener: Listener
) -> Scores:
    """Cross-validate, also without each manipulation in turn if `how` says so. Raises as `cross_validate` does."""
    methods = manipulations(videos, config) if how.unseen else []
    run = partial(cross_validate, videos, config, folds=how.folds, workers=how.workers, tell=listener.fold)
    held = run(repeats=how.repeats, folder=how.folder, keep_networks=how.keep_networks)
    unseen = {}
    for method in methods:
        listener.config(f"{config.name} without {method}")
        folder = None if how.folder is None else unseen_folder(how.folder, method)
        unseen[method] = run(repeats=how.unseen, unseen=method, folder=folder, keep_networks=how.keep_networks)
    return Scores(held, unseen)


def unseen_folder(folder: Path, method: str) -> Path:
    """Where a cross-validation in `folder` keeps the one without a manipulation."""
    return folder / f"unseen-{quote(method, safe='')}"


@dataclass(frozen=True, slots=True)
class Fold:
    """The fold of a video (from 0), and whether its people or its whole source are left out there."""

    number: int
    left_out: LeftOut


def plan_folds(records: Sequence[VideoRecord], folds: int, seed: int) -> list[Fold]:
    """Assign every video to the fold that leaves it out.

    Nobody is in two folds: *units*, sets of videos that share no person, are dealt to the folds. A source with real
    videos and fakes is divided by people; left out as a whole, it would leave no fakes to train on. Any other source is
    one unit. Units that share a person become one. Units of people are dealt in random order, those with fakes first; a
    unit with a whole source goes to the fold with the fewest such videos.

    Raises:
        TrainingError: fewer units have fakes than there are folds.
    """
    classes: dict[str, set[Label]] = {}
    for record in records:
        classes.setdefault(record.source, set()).add(record.label)
    paired = {source for source, labels in classes.items() if len(labels) == 2}
    groups = [r.group for r in joined_groups(records)]
    links = [
        (f"p{g}",) if r.source in paired else (f"p{g}", f"s{r.source}") for r, g in zip(records, groups, strict=True)
    ]
    units = identity_groups(links)
    with_fakes = {u for u, r in zip(units, records, strict=True) if r.label is Label.FAKE and r.source in paired}
    if len(with_fakes) < folds:
        raise TrainingError(
            f"{len(with_fakes)} groups of people have fakes and real videos of one source: too few for {folds} folds.",
            hint="Use fewer folds, or add videos.",
        )
    alone = Counter(u for u, r in zip(units, records, strict=True) if r.source not in paired)
    generator = np.random.default_rng((seed, _SEED_OF_FOLDS))
    others = set(units) - with_fakes - set(alone)
    dealt = [str(u) for part in (with_fakes, others) for u in generator.permutation(sorted(part))]
    fold_of = {unit: i % folds for i, unit in enumerate(dealt)}
    load = [0] * folds
    for unit, count in sorted(alone.items(), key=lambda item: (item[0] not in fold_of, -item[1], item[0])):
        load[fold_of.setdefault(unit, int(np.argmin(load)))] += count
    return [
        Fold(fold_of[unit], "people" if r.source in paired else "source")
        for unit, r in zip(units, records, strict=True)
    ]


def cross_validate(
    videos: Sequence[StoredVideo],
    config: TrainingConfig,
    *,
    folds: int = 5,
    repeats: int = 1,
    unseen: str = "",
    folder: Path | None = None,
    keep_networks: bool = False,
    workers: int = 1,
    tell: Tell | None = None,
) -> list[HeldOut]:
    """Train a network for each fold and score the videos that it leaves out, as detection does.

    `folder` holds `fold-N.parquet`, the scores of each fold (from 1), and with `keep_networks` the bundle `fold-N/` of
    its network, for `fold_network`; names of further repeats begin with `repeat-R-` (from 2). Folds whose files are
    present are not trained again.

    Args:
        videos: of one or several stores; the configuration selects among them. No network is stopped by people whom it
            is to score.
        repeats: cross-validations with different folds and first weights, of the configuration's seed and the following
            ones. The choice of folds changes figures as much as many settings do.
        unseen: a manipulation that no fold trains on; of the fakes, only its own are scored. Folds stay the same.
        folder: for scores and networks; None for neither.
        keep_networks: keep each fold's network, a bundle without score calibration and thresholds.
        workers: folds trained at a time, each in a process.

    Raises:
        ModelError: a network in the folder is damaged.
        TrainingError: the folder holds another cross-validation, there are too few groups for the folds, no fake that
            is trained on has the manipulation `unseen`, or another one; or see `set_aside`.
        OutputError: the folder cannot be made or written.
    """
    chosen = selected(videos, config.data)
    kept, aside = set_aside(chosen, config.validation, config.data, videos, config.seed)
    used = (*kept, *aside)  # also a split that training stops by and that is not among the chosen ones
    if unseen and unseen not in (known := manipulations(videos, config)):
        raise TrainingError(
            f"No fake that is trained on is of {unseen}.", hint=f"Name one of these: {', '.join(known)}."
        )
    jobs = []
    for repeat in range(repeats):
        # Scores do not depend on `decision`.
        own = config.model_copy(update={"decision": Decision(), "seed": config.seed + repeat})
        plan = tuple(plan_folds([v.record for v in chosen], folds, own.seed))
        mark = fingerprint(used, own) + f"-{folds}" + (f"-without {unseen}" if unseen else "")
        jobs += [
            _Job(tuple(chosen), used, plan, number, repeat, own, unseen, folder, keep_networks, mark)
            for number in range(folds)
        ]
    if folder is not None:
        make_folder(folder)
    if workers <= 1:
        return [
            held
            for done, job in enumerate(jobs)
            for held in _run_fold(job, partial(tell, done + 1, len(jobs)) if tell else None)
        ]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        results = []
        for done, found in enumerate(pool.map(_run_fold, jobs)):
            results += found
            if tell is not None:
                tell(done + 1, len(jobs), None)
        return results


def manipulations(videos: Sequence[StoredVideo], config: TrainingConfig) -> list[str]:
    """The manipulations that a configuration trains on. Raises TrainingError if there are fewer than two named ones."""
    found = sorted({v.record.method for v in selected(videos, config.data) if v.record.label is Label.FAKE} - {""})
    if len(found) < 2:
        raise TrainingError(
            "No manipulation can be left out: fakes that are trained on are all of one kind.",
            hint="Add fakes of another `method`, or leave --unseen out.",
        )
    return found


@dataclass(frozen=True, slots=True)
class _Job:
    videos: tuple[StoredVideo, ...]
    used: tuple[StoredVideo, ...]
    plan: tuple[Fold, ...]
    number: int
    repeat: int
    config: TrainingConfig
    unseen: str
    folder: Path | None
    keep_network: bool
    mark: str

    @property
    def name(self) -> str:
        return _name_of(self.number, self.repeat)

    @property
    def file(self) -> Path | None:
        return None if self.folder is None else self.folder / f"{self.name}.parquet"

    @property
    def description(self) -> str:
        return f"Network of a fold; its cross-validation is {self.mark}."

    def has_network(self) -> bool:
        """Whether the folder has the bundle of this very fold."""
        if self.folder is None or not (self.folder / self.name).is_dir():
            return False
        return ModelBundle.load(self.folder / self.name).spec.description == self.description


def _name_of(fold: int, repeat: int) -> str:
    return (f"repeat-{repeat + 1}-" if repeat else "") + f"fold-{fold + 1}"


def fold_network(folder: Path, held: HeldOut) -> ModelBundle:
    """Load the network that scored a held-out video.

    Args:
        folder: of `cross_validate` with `keep_networks`.

    Raises:
        ModelError: the network is missing or damaged.
    """
    return ModelBundle.load(folder / _name_of(held.fold, held.repeat))


def left_out_networks(folder: Path) -> dict[str, ModelBundle]:
    """Identity group -> the network of the first cross-validation that knew neither it nor its source.

    Args:
        folder: of `cross_validate` with `keep_networks`.

    Raises:
        ModelError: a network is missing or damaged.
    """
    held = [h for h in kept_scores(folder) if h.repeat == 0]
    first = {h.fold: h for h in held}
    networks = {fold: fold_network(folder, one) for fold, one in first.items()}
    return {h.video.record.group: networks[h.fold] for h in held}


def _run_fold(job: _Job, tell: Callable[[Progress | None], None] | None = None) -> list[HeldOut]:
    found = read_scores(job.file, job.mark) if job.file is not None and job.file.is_file() else None
    if found is None or (job.keep_network and not job.has_network()):
        found = _train_fold(job, tell)
        if job.file is not None:
            write_scores(job.file, found, job.mark)
    if tell is not None:
        tell(None)
    rules = Rules(job.config.aggregation, job.config.clips.length)
    return [replace(held, repeat=job.repeat, video=held.video.judged_by(rules)) for held in found]


def _train_fold(job: _Job, tell: Callable[[Progress], None] | None) -> list[HeldOut]:
    config = job.config
    out = [v for v, fold in zip(job.videos, job.plan, strict=True) if fold.number == job.number]
    people = everybody(out)

    def known(videos: Sequence[StoredVideo]) -> list[StoredVideo]:
        return [v for v in videos if people.isdisjoint(people_of(v.record)) and not _is_of(v, job.unseen)]

    kept, aside = set_aside(known(job.videos), config.validation, config.data, known(job.used), config.seed)
    faces = main_faces(kept)
    fitted = train_on(faces, config, main_faces(aside), tell=tell)
    bundle = bare_bundle(fitted, kept, config, aside=aside, name=job.name, description=job.description)
    if job.folder is not None and job.keep_network:
        ModelBundle.save(bundle.spec, bundle.network, "", job.folder / job.name, replace=True)
    runtime = NetworkRuntime(bundle)
    scored = [v for v in out if v.record.compression not in config.data.train_only]
    if job.unseen:
        scored = [v for v in scored if v.record.label is Label.REAL or _is_of(v, job.unseen)]
    left_out = {v.record.key: fold.left_out for v, fold in zip(job.videos, job.plan, strict=True)}
    found = [HeldOut(score_video(bundle, runtime, v), job.number, left_out[v.record.key]) for v in scored]
    for edited in edited_videos(scored, config.seed):
        judged = score_sequences(bundle, runtime, edited.record, edited.sequences, edited.quantiser)
        how = left_out[edited.record.key.rpartition("#")[0]]
        found.append(HeldOut(judged, job.number, how, edit=edited.edit, fake_shot=edited.fake_shot))
    return found


def _is_of(video: StoredVideo, method: str) -> bool:
    return bool(method) and video.record.method == method


def write_scores(file: Path, held: Sequence[HeldOut], mark: str) -> None:
    """Write scores as Parquet, with a mark of their cross-validation. Raises OutputError."""
    table = pa.Table.from_pylist([_row(h) for h in held])
    table = table.replace_schema_metadata({"lrnet": json.dumps({"cross-validation": mark})})
    with written_beside(file) as partial:
        pq.write_table(table, partial, compression="zstd")


def kept_scores(folder: Path) -> list[HeldOut]:
    """The scores of every fold of the first cross-validation in `folder`, of whatever configuration.

    Raises:
        TrainingError: there are none, folds are missing or of several cross-validations, or a file is damaged.
    """
    files = sorted(folder.glob("fold-*.parquet"))
    if not files:
        raise TrainingError(f"There are no scores in {folder}.", hint="Make them with `lrnet crossval --out`.")
    mark, _ = _open_scores(files[0])
    held = [held for file in files for held in read_scores(file, mark)]
    folds = int(mark.split("-")[1])
    if len(files) < folds:
        raise TrainingError(
            f"{folder} has the scores of {len(files)} of {folds} folds: the cross-validation was stopped.",
            hint="Give the command that made them again (`lrnet crossval --out`): it goes on where it stopped.",
        )
    return held


def read_scores(file: Path, mark: str) -> list[HeldOut]:
    """Read the file of `write_scores`. Raises TrainingError if it is damaged or has another mark."""
    found, table = _open_scores(file)
    if found != mark:
        raise TrainingError(
            f"{file} is of another configuration, other videos or another number of folds.",
            hint="Name another folder with --out.",
        )
    try:
        return [_held_out(row) for row in table.to_pylist()]
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{file} is damaged ({error}).", hint="Remove it and run again.") from error


def _open_scores(file: Path) -> tuple[str, pa.Table]:
    """The mark and the rows of a file of `write_scores`. Raises TrainingError if it is none."""
    try:
        table = pq.read_table(file)
        return parse_json((table.schema.metadata or {})[b"lrnet"])["cross-validation"], table
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"{file} holds no scores of a fold.", hint="Remove it and run again.") from error


def _row(held: HeldOut) -> dict[str, Any]:
    record = asdict(held.video.record) | {"path": str(held.video.record.path), "label": held.video.record.label.value}
    people = [[_stretch_row(stretch) for stretch in person.stretches] for person in held.video.people]
    return {
        "record": record,
        "fold": held.fold,
        "left_out": held.left_out,
        "edit": held.edit,
        "fake_shot": held.fake_shot,
        "people": json.dumps(people),  # nested lists that may be empty, for which Parquet has no type
    }


def _stretch_row(stretch: Stretch) -> dict[str, Any]:
    return {
        "start": stretch.start,
        "stop": stretch.stop,
        "clips": [asdict(clip) for clip in stretch.clips],
        "quality": asdict(stretch.quality),
    }


def _held_out(row: dict[str, Any]) -> HeldOut:
    fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in row["record"].items()}
    record = VideoRecord(**fields | {"path": Path(fields["path"]), "label": Label(fields["label"])})
    people = [[_stretch_of(stretch) for stretch in person] for person in parse_json(row["people"])]
    shot = None if row["fake_shot"] is None else tuple(row["fake_shot"])
    return HeldOut(unjudged(record, people), row["fold"], row["left_out"], edit=row["edit"], fake_shot=shot)


def _stretch_of(row: dict[str, Any]) -> Stretch:
    clips = tuple(ClipScore(**clip) for clip in row["clips"])
    return Stretch(row["start"], row["stop"], clips, InputQuality(**row["quality"]))
