"""A training run from stored videos to a bundle."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

from lrnet.data.records import Label
from lrnet.data.store import StoredVideo
from lrnet.errors import DatasetError, TrainingError
from lrnet.files import make_folder, read_json, write_text
from lrnet.network.bundle import ModelBundle
from lrnet.network.reference import MotionReference
from lrnet.network.spec import AggregationSpec, BundleSpec, TrainingRecord
from lrnet.network.weights import to_onnx
from lrnet.report.motion import motion_reference
from lrnet.sequence.settings import Preprocessing
from lrnet.training.clips import FaceOfVideo, clip_table, main_faces, training_clips
from lrnet.training.config import TrainingConfig
from lrnet.training.data import everybody, fingerprint, preprocessing_of, selected, set_aside
from lrnet.training.fit import Fitted, Progress, fit
from lrnet.version import library_versions

RUN_FILE: Final = "run.json"
PACKAGES: Final = ("torch", "lightning", "numpy", "opencv-python-headless")


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained network and its material.

    Attributes:
        trained_on, aside: the training and the validation videos.
        faces: longest-seen faces of the training videos.
        seconds: of wall time.
    """

    fitted: Fitted
    trained_on: tuple[StoredVideo, ...]
    faces: tuple[FaceOfVideo, ...]
    preprocessing: Preprocessing
    seconds: float
    aside: tuple[StoredVideo, ...] = ()


def train(
    videos: Sequence[StoredVideo],
    config: TrainingConfig,
    *,
    folder: Path | None = None,
    resume: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> TrainedModel:
    """Train the network of a configuration on stored videos.

    Args:
        videos: of one or several stores (`lrnet.training.data.read_stores`); the configuration selects among them.
        folder: of the run, for checkpoints and TensorBoard's logs; None for neither.
        resume: continue the run in `folder`.

    Raises:
        TrainingError: the folder holds another run or, without `resume`, any; there are no training videos; people are
            in training and validation.
        DatasetError, ModelError: see `read_stores` and `fit`.
    """
    chosen = selected(videos, config.data)
    kept, aside = set_aside(chosen, config.validation, config.data, videos, config.seed)
    if folder is not None:
        _open_run(folder, fingerprint([*kept, *aside], config), config, resume=resume)
    began = monotonic()
    faces = main_faces(kept)
    model = train_on(faces, config, main_faces(aside), folder, resume, tell)
    preprocessing = bundle_preprocessing(preprocessing_of(kept), config)
    return TrainedModel(model, tuple(kept), tuple(faces), preprocessing, monotonic() - began, tuple(aside))


def train_on(
    faces: Sequence[FaceOfVideo],
    config: TrainingConfig,
    aside: Sequence[FaceOfVideo] = (),
    folder: Path | None = None,
    resume: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> Fitted:
    """Train on faces that are in memory; see `train`."""
    validation = clip_table(aside, config.stream_names, config.clips) if aside else None
    return fit(training_clips(faces, config), config, validation=validation, folder=folder, resume=resume, tell=tell)


def bundle_preprocessing(stored: Preprocessing, config: TrainingConfig) -> Preprocessing:
    """The preprocessing of detection for a network that was trained so."""
    clips = config.clips
    cutting = {"clip_length": clips.length, "clip_stride": clips.stride, "min_clip_length": clips.min_length}
    return stored.model_copy(update=cutting)


def bundle_spec(
    model: TrainedModel, config: TrainingConfig, *, name: str, version: str, licence: str, command: str
) -> BundleSpec:
    """The description of a trained network; it has no score calibration, thresholds or results yet."""
    return BundleSpec(
        name=name,
        version=version,
        description=config.description,
        licence=licence,
        created=datetime.now(UTC).date(),
        network=model.fitted.spec,
        preprocessing=model.preprocessing,
        aggregation=AggregationSpec(method=config.aggregation),
        training=TrainingRecord(
            data=_in_words(model.trained_on),
            groups=tuple(sorted({v.record.group for v in model.trained_on})),
            people=tuple(sorted({*_identities(model.trained_on), *everybody(model.aside)})),
            seed=config.seed,
            epochs=max(model.fitted.epochs.values()),
            seconds=round(model.seconds, 1),
            command=command,
            versions=library_versions(PACKAGES),
            configuration=config.model_dump(mode="json"),
        ),
    )


def bare_bundle(
    fitted: Fitted,
    videos: Sequence[StoredVideo],
    config: TrainingConfig,
    seconds: float = 0.0,
    *,
    aside: Sequence[StoredVideo] = (),
    name: str = "network",
    description: str = "",
    command: str = "",
) -> ModelBundle:
    """A network that was trained on these videos, to score with: without score calibration, thresholds and results.

    Args:
        aside: the validation videos.
    """
    preprocessing = bundle_preprocessing(preprocessing_of(videos), config)
    model = TrainedModel(fitted, tuple(videos), (), preprocessing, seconds, tuple(aside))
    spec = bundle_spec(model, config, name=name, version="0", licence="unspecified", command=command)
    if description:
        spec = spec.model_copy(update={"description": description})
    return in_memory(spec, fitted)


def genuine_motion(model: TrainedModel, config: TrainingConfig) -> MotionReference | None:
    """Motion of the real faces that were trained on, for explanations; None if they are too few."""
    real = [
        face.sequences
        for face in model.faces
        if face.record.label is Label.REAL and face.record.compression not in config.data.train_only
    ]
    sources = sorted({face.record.source for face in model.faces if face.record.label is Label.REAL})
    try:
        return motion_reference(
            real,
            config.clips,
            description=f"real videos that the model was trained on ({', '.join(sources)})",
            crop_scale=model.preprocessing.crop_scale,
        )
    except DatasetError:
        return None


def in_memory(spec: BundleSpec, fitted: Fitted) -> ModelBundle:
    """A bundle in memory only, to score with."""
    return ModelBundle(spec, Path(spec.name), to_onnx(fitted.spec, fitted.weights), fitted.weights, "", "")


def _identities(videos: Sequence[StoredVideo]) -> set[str]:
    return {who for video in videos for who in video.record.identities}


def _in_words(videos: Sequence[StoredVideo]) -> str:
    counts = Counter((video.record.source, video.record.label.value) for video in videos)
    return "; ".join(f"{source}: {n} {label}" for (source, label), n in sorted(counts.items()))


def _open_run(folder: Path, mark: str, config: TrainingConfig, *, resume: bool) -> None:
    """Make the run's folder, or check that it holds this very run."""
    about = folder / RUN_FILE
    if not resume:
        if about.is_file():
            raise TrainingError(
                f"{folder} holds a run already.", hint="Go on with it with --resume, or name another folder with --run."
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise TrainingError(f"{folder} is not empty and holds no run.", hint="Name another folder with --run.")
        make_folder(folder)
        write_text(about, json.dumps({"run": mark, "configuration": config.model_dump(mode="json")}, indent=2) + "\n")
        return
    try:
        found = read_json(about)["run"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"There is no run to go on with in {folder}.", hint="Start it without --resume.") from error
    if found != mark:
        raise TrainingError(
            f"The run in {folder} was started with another configuration or other videos.",
            hint="Go on with what it was started with, or start a new one in another folder.",
        )
