"""From landmark stores to a finished model: train, decide on held-out scores, measure, write the card, save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lrnet.data.store import StoredVideo
from lrnet.errors import UsageError
from lrnet.evaluation.card import card
from lrnet.evaluation.protocol import evaluate
from lrnet.evaluation.results import finished_results
from lrnet.files import require_writable
from lrnet.network.bundle import ModelBundle, refuse_to_overwrite, require_name
from lrnet.network.spec import MeasuredResult
from lrnet.training.config import TrainingConfig
from lrnet.training.crossval import CrossValidation, Listener, cross_validate_all
from lrnet.training.data import require_no_leak, selected, split_of
from lrnet.training.finish import against, decide_on, finished, on_unseen
from lrnet.training.train import bundle_spec, genuine_motion, in_memory, train


@dataclass(frozen=True, slots=True)
class About:
    """A bundle's own statements.

    Attributes:
        name: of the model; the folder's name by default.
        licence: of the weights.
        command: that trains the model again.
    """

    name: str = ""
    version: str = "1.0.0"
    licence: str = "unspecified"
    command: str = ""


def make_model(
    videos: Sequence[StoredVideo],
    config: TrainingConfig,
    out: Path,
    *,
    about: About | None = None,
    crossval: CrossValidation | None = None,
    compare: Sequence[ModelBundle] = (),
    test_split: str = "",
    run: Path | None = None,
    resume: bool = False,
    replace: bool = False,
    listener: Listener | None = None,
) -> ModelBundle:
    """Train a network on stored videos and save it as a bundle with everything that was measured of it.

    Args:
        videos: of one or several stores (`lrnet.training.data.read_stores`); the configuration selects among them.
        out: folder of the bundle.
        crossval: gives the scores that calibration, thresholds, results and card come from. Without it the model has
            scores, but no calibrated probability and no verdict.
        compare: other models to measure on the held-out videos.
        test_split: measure the finished model on the videos of this split too.
        run: folder for checkpoints and logs; beside `out` by default.
        resume: continue the run in that folder.
        replace: whether a bundle in `out` is replaced.

    Raises:
        UsageError: the test split is trained on, or training stops by it.
        OutputError, ModelError: see `check_place`.
        TrainingError, DatasetError: see `train`, `cross_validate` and `split_of`.
    """
    about, listener = about or About(), listener or Listener()
    check_place(out, about.name, replace=replace)
    if test_split and test_split in config.data.splits:
        raise UsageError(f"The split {test_split!r} is trained on.", hint="Name another --test-split.")
    if test_split and test_split == config.validation.split:
        raise UsageError(f"Training stops by the split {test_split!r}.", hint="Name another --test-split.")
    tested = split_of(videos, test_split) if test_split else []
    require_no_leak(selected(videos, config.data), tested, "what is trained on", f"the split {test_split}")
    scores = None if crossval is None else cross_validate_all(videos, config, crossval, listener)
    model = train(videos, config, folder=run or out.with_name(f"{out.name}.run"), resume=resume, tell=listener.epoch)
    spec = bundle_spec(
        model,
        config,
        name=about.name or out.name,
        version=about.version,
        licence=about.licence,
        command=about.command,
    )
    if scores is not None:
        decided = decide_on(scores.held, config)
        others = on_unseen(scores.unseen, decided, config)
        others += [r for other in compare for r in against(other, scores.held, videos)]
        spec = finished(spec, decided, others)
    ready = in_memory(spec, model.fitted)
    results = (*spec.results, *_measured(ready, config, tested, videos))
    spec = spec.model_copy(update={"results": results})
    text = "" if spec.thresholds is None else card(spec)
    return ModelBundle.save(spec, ready.network, text, out, replace=replace, reference=genuine_motion(model, config))


def check_place(out: Path, name: str = "", *, replace: bool = False) -> None:
    """Check before the work that a bundle can be written after it.

    Raises:
        ModelError: the name cannot be a model's.
        OutputError: something is in the way, or the folder cannot be written.
    """
    require_name(name or out.name)
    refuse_to_overwrite(out, replace=replace)
    require_writable(out / "bundle.json" if out.is_dir() else out)


def _measured(
    bundle: ModelBundle,
    config: TrainingConfig,
    tested: Sequence[StoredVideo],
    videos: Sequence[StoredVideo],
) -> list[MeasuredResult]:
    """Results of the finished network on the test split and on the manipulations that it was not trained on."""
    copies = config.data.train_only
    sets: dict[str, list[StoredVideo]] = {}
    for v in tested:
        copy = f", {v.record.compression}" if v.record.compression in copies else ""
        sets.setdefault(f"split {v.record.split}, {v.record.source}{copy}", []).append(v)
    for v in videos:
        if v.record.method in config.data.exclude_methods and v.record.compression not in copies:
            sets.setdefault(f"{v.record.method}, not trained on", []).append(v)
    return [r for name, some in sets.items() for r in finished_results(name, evaluate(bundle, some))]
