"""From landmark stores and a model of motion to a model with both witnesses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

from lrnet.appearance.graph import to_onnx
from lrnet.appearance.network import AppearanceNetwork
from lrnet.data.records import VideoRecord, people_of
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import CropsOfVideo, read_crops, read_folder, require_crops
from lrnet.data.store.files import store_files
from lrnet.errors import TrainingError
from lrnet.evaluation.decide import HeldOut
from lrnet.evaluation.protocol import ScoredVideo, evaluate
from lrnet.evaluation.results import edit_results, finished_results
from lrnet.files import make_folder
from lrnet.network.bundle import ModelBundle
from lrnet.network.spec import AppearanceSpec, BundleSpec, MeasuredResult, Thresholds
from lrnet.training.appearance.fit import AppearanceSettings, fit
from lrnet.training.appearance.fuse import fuse, with_logits
from lrnet.training.appearance.start import imagenet_weights
from lrnet.training.crossval import plan_folds
from lrnet.training.data import everybody, require_no_leak
from lrnet.training.edits import judged_edits
from lrnet.verdict import Rules, State

VALIDATION: Final = "val"
FOLDS: Final = 5
EDITS: Final = 2  # edits of each kind for each video that the finished model is measured on


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Whom the appearance network is not trained on.

    Attributes:
        fold: one of `FOLDS`, from 1 (`lrnet.training.crossval.plan_folds`, seed 0).
        records: of the videos of that fold, and of the validation split.
        motion: the fold's whole videos, their clips scored by networks of motion that did not see their people.
    """

    fold: int
    records: tuple[VideoRecord, ...]
    motion: tuple[ScoredVideo, ...]

    @classmethod
    def of(cls, videos: Sequence[StoredVideo], held: Sequence[HeldOut], fold: int) -> LeftOut:
        """The people of a fold.

        Args:
            held: out-of-fold scores of motion, of whatever folds (`lrnet.training.crossval.kept_scores`).

        Raises:
            TrainingError: there is no such fold.
        """
        if not 1 <= fold <= FOLDS:
            raise TrainingError(f"There is no fold {fold}.", hint=f"Name one from 1 to {FOLDS}.")
        rest = [v.record for v in videos if v.record.split != VALIDATION]
        plan = plan_folds(rest, FOLDS, 0)
        chosen = [record for record, where in zip(rest, plan, strict=True) if where.number == fold - 1]
        keys = {record.key for record in chosen}
        motion = {h.video.record.key: h.video for h in held if h.repeat == 0 and not h.edit}
        validation = [v.record for v in videos if v.record.split == VALIDATION]
        return cls(fold, (*chosen, *validation), tuple(motion[key] for key in sorted(keys & motion.keys())))

    def scored(self, motion: ModelBundle, videos: Sequence[StoredVideo]) -> list[ScoredVideo]:
        """The videos of everybody left out, their clips scored by motion: the validation split by the model given."""
        return [*self.motion, *evaluate(motion, [v for v in videos if v.record.split == VALIDATION])]


@dataclass(frozen=True, slots=True)
class Finished:
    """A model with both witnesses: its description, and the network of appearance."""

    spec: BundleSpec
    network: bytes


def trained_on(
    videos: Sequence[StoredVideo],
    left_out: LeftOut,
    stills: Path | None = None,
    *,
    fakes: bool = True,
    unseen: str = "",
) -> list[CropsOfVideo]:
    """The crops to train on: of everybody who is not left out.

    Args:
        stills: folder with crop files of photographs, if any.
        fakes: whether the fakes of the stores are among them.
        unseen: a manipulation whose fakes are left out; "" for none.
    """
    people = {name for record in left_out.records for name in people_of(record)}
    known = [v for v in videos if not unseen or v.record.method != unseen]
    crops = list(read_folder([v for v in known if people.isdisjoint(people_of(v.record))]))
    if stills is not None:
        crops += [read_crops(file) for file in store_files(stills)]
    if not fakes:
        crops = [c for c in crops if not c.fake]
    if all(c.fake for c in crops) or (fakes and not any(c.fake for c in crops)):
        raise TrainingError(
            "Appearance is trained on crops of real and fake faces; a class is missing.",
            hint="Cut the stores' crops with `lrnet store crops` first.",
        )
    return crops


@dataclass(frozen=True, slots=True)
class Trained:
    """A network of appearance, and what a bundle says of its training (`lrnet.network.spec.AppearanceSpec`)."""

    network: bytes
    training: str
    people: tuple[str, ...]
    steps: int
    seed: int

    @classmethod
    def of(cls, bundle: ModelBundle, left_out: LeftOut) -> Self:
        """The network of a finished model.

        Raises:
            TrainingError: the model has none, or was trained on people who are left out.
        """
        about = bundle.spec.appearance
        if about is None or bundle.appearance is None:
            raise TrainingError(f"{bundle.spec.name} looks at motion alone.", hint="Name a model with both witnesses.")
        both = {name for record in left_out.records for name in people_of(record)} & set(about.people)
        if both or not about.people:
            who = f"knows {min(both)}" if both else "does not list its people"
            raise TrainingError(
                f"The network of appearance of {bundle.spec.name} {who}: nobody whom it knows may be left out.",
                hint="Leave out the same fold of the same videos as for that model, or train a network.",
            )
        return cls(bundle.appearance, about.training, about.people, about.steps, about.seed)


def train_network(
    videos: Sequence[StoredVideo],
    left_out: LeftOut,
    settings: AppearanceSettings,
    run: Path,
    *,
    stills: Path | None = None,
    unseen: str = "",
    start: Path | None = None,
    tell: Callable[[int, float, float], None] | None = None,
    loaders: int = 1,
) -> Trained:
    """Train a network of appearance on everybody who is not left out.

    Args:
        run: folder for checkpoints. Started again, training goes on.
        stills, unseen: see `trained_on`.
        start: file in which ImageNet's weights are kept, one in `run` by default.
        tell, loaders: see `fit`.
    """
    crops = trained_on(videos, left_out, stills, fakes=settings.at_hand > 0, unseen=unseen)
    make_folder(run)
    weights = imagenet_weights(start or run / "imagenet.pth")
    model = fit(crops, settings, run / "checkpoint.pt", weights, tell, loaders)
    shown = {c.key for c in crops}
    people = everybody(v for v in videos if v.record.key in shown) | {c.group for c in crops}
    return Trained(to_onnx(model.weights()), _in_words(crops), tuple(sorted(people)), settings.steps, settings.seed)


def add_appearance(
    bundle: ModelBundle,
    videos: Sequence[StoredVideo],
    left_out: LeftOut,
    trained: Trained,
    *,
    name: str,
    version: str,
    tested: Mapping[str, Sequence[StoredVideo]] = MappingProxyType({}),
    false_alarms: float = 0.02,
    misses: float = 0.05,
) -> Finished:
    """Weigh both witnesses on the people left out, and measure.

    Args:
        bundle: the model of motion.
        videos: of the stores; crops must have been cut.
        trained: the network of appearance.
        name, version: of the new model.
        tested: further videos by name, which nothing is trained or set on, to measure on.
        false_alarms, misses: at most these shares of real and of fake videos beyond the thresholds.

    Raises:
        TrainingError, DatasetError: see `require_strangers`.
    """
    require_strangers(videos, tested)
    bundle = bundle.motion_alone()
    witness = AppearanceNetwork(trained.network, "the network that was trained")
    weighed = with_witness(left_out.scored(bundle, videos), videos, witness)
    people = len({v.record.group for v in weighed})
    about = AppearanceSpec(
        version=version,
        slope=1.0,
        offset=0.0,
        fitted_on=f"{len(weighed)} whole videos, of one person at a time, of {people} groups of people whom neither "
        f"network was trained on: fold {left_out.fold} of {FOLDS}, and the validation split; one error more is counted "
        "than was seen",
        n=len(weighed),
        training=trained.training,
        people=trained.people,
        steps=trained.steps,
        seed=trained.seed,
    )
    fused = fuse(weighed, Rules.of(bundle.spec), about, false_alarms=false_alarms, misses=misses)
    motion_alone = [v.judged_by(Rules.of(bundle.spec)) for v in weighed]
    results = [*bundle.spec.results, *measured("people left out", fused.videos, motion_alone)]
    both_spec = bundle.spec.model_copy(update={"appearance": fused.spec})
    both_model = replace(bundle, spec=both_spec, appearance=trained.network)
    edits: list[ScoredVideo] = []
    for where, some in tested.items():
        results += measured(where, evaluate(both_model, some), evaluate(bundle, some))
        edited = [(edit.edit, video) for edit, video in judged_edits(both_model, some, EDITS)]
        results += edit_results({"dataset": f"{where}, motion and appearance"}, edited)
        edits += [video for _, video in edited]
    update: dict[str, Any] = {"name": name, "version": version, "results": tuple(results)}
    update["appearance"] = fused.spec.model_copy(update={"thresholds": _with_edits(fused.spec.thresholds, edits)})
    return Finished(bundle.spec.model_copy(update=update), trained.network)


def require_strangers(videos: Sequence[StoredVideo], tested: Mapping[str, Sequence[StoredVideo]]) -> None:
    """Check, best before hours of training, that videos can be measured on.

    Raises:
        TrainingError: they show people of the stores.
        DatasetError: they have no crops.
    """
    for where, some in tested.items():
        require_no_leak(videos, some, "the stores", where)
        require_crops(some)


def with_witness(
    motion: Sequence[ScoredVideo], videos: Sequence[StoredVideo], network: AppearanceNetwork
) -> list[ScoredVideo]:
    """The videos scored by motion that have crops and show one person at a time, with the logits of their crops."""
    stored = {v.record.key: v for v in videos}
    both = [with_logits(v, stored[v.record.key], network) for v in motion if v.record.key in stored]
    return [v for v in both if v is not None]


def _with_edits(limits: Thresholds | None, edits: Sequence[ScoredVideo]) -> Thresholds | None:
    """Thresholds that say how often edits of real videos are accused."""
    real = [v for v in edits if not v.is_fake]
    if limits is None or not real:
        return limits
    sources, people = {v.record.path for v in real}, {v.record.group for v in real}
    words = (
        f"shots of several people one after the other, and parts cut out: {len(real)} edits of {len(sources)} videos "
        f"of {len(people)} groups of people whom neither network was trained on"
    )
    share = sum(v.state is State.LIKELY_FAKE for v in real) / len(real)
    return limits.model_copy(update={"edited_false_positive_rate": share, "edited_on": words})


def measured(where: str, both: Sequence[ScoredVideo], motion: Sequence[ScoredVideo]) -> list[MeasuredResult]:
    """What both witnesses do on some videos, and motion alone on the same."""
    found = finished_results(f"{where}, motion and appearance", both)
    return [*found, *finished_results(f"{where}, motion alone", motion)]


def _in_words(crops: Sequence[CropsOfVideo]) -> str:
    real = [c for c in crops if not c.fake]
    fake = [c for c in crops if c.fake]
    people = len({(c.source, c.group) for c in real})
    at_hand = f"{sum(len(c.times) for c in fake)} crops of {len(fake)} fakes" if fake else "no other fake"
    return (
        f"{sum(len(c.times) for c in real)} crops of {len(real)} real videos and stills of {people} people, blended "
        f"with themselves, and {at_hand}"
    )
