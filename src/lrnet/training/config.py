"""The configuration of a training run, read from TOML: streams, clips, augmentation, fitting, validation videos."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from lrnet.errors import TrainingError
from lrnet.network.streams import STREAMS
from lrnet.schema import Count, PlainName, Positive, Schema, Share, StreamName, first_fault
from lrnet.sequence.settings import ClipSpec

PARAMETER_BUDGET: Final = 180_292  # the paper's network, "0.18 M"


class StreamConfig(Schema):
    """One stream (see `lrnet.network.spec.StreamSpec`).

    Attributes:
        name: of the embedding, see `lrnet.network.streams.STREAMS`.
        scale: divisor of the inputs; by default their root mean square over the training set.
        vote: weight when the streams are joined.
        init_from: a model whose stream of this name gives the first weights.
        epochs: if streams are trained alone; otherwise `fit.epochs` holds for all.
        learning_rate: of this stream's weights; by default `fit.learning_rate`.
    """

    name: StreamName
    units: int = Field(default=32, ge=1, le=1024)
    learned_initial_state: bool = False
    head: Literal["linear", "mlp", "residual"] = "linear"
    head_hidden: int = Field(default=64, ge=1, le=4096)
    scale: Positive | None = None
    vote: Positive = 1.0
    init_from: str | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    learning_rate: Positive | None = None

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.name not in STREAMS:
            raise ValueError(f"there is no stream {self.name!r}; known are {', '.join(STREAMS)}")
        return self


class ClipConfig(ClipSpec):
    """How sequences are cut, in training and in detection; frames."""

    length: int = Field(default=60, ge=8, le=10_000)
    min_length: int = Field(default=30, ge=8)


class Augmentation(Schema):
    """How training clips are varied; 0 turns a kind off.

    Attributes:
        mirror: add the mirror image of every video.
        reverse: share of clips that run backwards.
        landmark_dropout: share of landmarks that are left out of a whole clip.
    """

    mirror: bool = True
    reverse: Share = 0.5
    landmark_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1


class FitConfig(Schema):
    """The optimisation. The loss is the mean of the streams' own cross-entropies.

    Attributes:
        together: one network and one optimiser for all streams; otherwise each is trained alone and then joined.
        schedule: of the learning rate: "cosine" rises for a tenth of the run and falls to zero; "constant".
        dropout: share of the heads' units left out.
        gradient_clip: largest norm of a gradient; 0 for any.
        threads: of PyTorch. More may round differently: the same bundle needs the same number.
    """

    together: bool = True
    epochs: int = Field(default=25, ge=1, le=100_000)
    batch: int = Field(default=128, ge=1)
    optimiser: Literal["adamw", "adam"] = "adamw"
    learning_rate: Positive = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    schedule: Literal["cosine", "constant"] = "cosine"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    gradient_clip: Annotated[float, Field(ge=0)] = 1.0
    threads: int = Field(default=1, ge=1, le=256)


class Balance(Schema):
    """Weights of clips (see `lrnet.training.clips.balanced_weights`).

    Attributes:
        sources: "root": a source weighs by the root of its number of videos; "none": every clip of a class the same.
        paired_share: share of sources with fakes in the weight of real videos.
        copies: weight of a video of `data.train_only` relative to others of its source.
    """

    sources: Literal["root", "none"] = "root"
    paired_share: Share = 0.6
    copies: Positive = 1.0


class Validation(Schema):
    """Validation videos for early stopping. They share no identity group with the training videos.

    Attributes:
        split: the videos of this split; "" for a share of the training groups.
        share: of the identity groups; 0 for none.
        patience: epochs without a better loss after which training stops; the best epoch's weights are kept.
    """

    split: str = ""
    share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    patience: int = Field(default=10, ge=1)

    @property
    def wanted(self) -> bool:
        return bool(self.split) or self.share > 0


class DataConfig(Schema):
    """Which videos of the stores are trained on.

    Attributes:
        splits: of videos; empty for any.
        exclude_methods: manipulations that are left out.
        train_only: compressions (`VideoRecord.compression`) that are trained on but not scored: copies for training do
            not count as further videos.
    """

    splits: tuple[str, ...] = ("train",)
    exclude_methods: tuple[str, ...] = ()
    train_only: tuple[str, ...] = ()


class Decision(Schema):
    """Error rates that the thresholds are set for, on out-of-fold scores.

    Attributes:
        false_alarms: share of real videos called likely_fake.
        misses: share of fakes called no_evidence_of_manipulation.
    """

    false_alarms: Annotated[float, Field(gt=0, lt=0.5)] = 0.02
    misses: Annotated[float, Field(gt=0, lt=0.5)] = 0.05


class TrainingConfig(Schema):
    """A whole training run; the same videos, configuration and seed give the same weights.

    Attributes:
        fusion, aggregation: how streams and clips are joined (see `lrnet.network.spec`).
    """

    name: PlainName
    description: str
    streams: tuple[StreamConfig, ...] = Field(min_length=1, max_length=16)
    fusion: Literal["mean_probability", "mean_logit"] = "mean_logit"
    aggregation: Literal["mean_probability", "mean_logit"] = "mean_logit"
    clips: ClipConfig = ClipConfig()
    augmentation: Augmentation = Augmentation()
    fit: FitConfig = FitConfig()
    balance: Balance = Balance()
    validation: Validation = Validation()
    data: DataConfig = DataConfig()
    decision: Decision = Decision()
    seed: Count = 0

    @model_validator(mode="after")
    def _streams_differ(self) -> Self:
        names = [stream.name for stream in self.streams]
        if len(set(names)) != len(names):
            raise ValueError("two streams have the same name")
        if self.fit.together and any(stream.epochs is not None for stream in self.streams):
            raise ValueError("epochs of a stream need fit.together = false")
        return self

    @property
    def stream_names(self) -> tuple[str, ...]:
        return tuple(stream.name for stream in self.streams)

    def alone(self, stream: StreamConfig) -> TrainingConfig:
        """The same run with one stream."""
        epochs = stream.epochs or self.fit.epochs
        return self.model_copy(
            update={
                "streams": (stream.model_copy(update={"epochs": None}),),
                "fit": self.fit.model_copy(update={"epochs": epochs, "together": True}),
            }
        )


def _folder() -> Path:
    return Path(str(resources.files("lrnet.training"))) / "configs"


def config_names() -> tuple[str, ...]:
    """The configurations that ship with the package."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def config_text(name_or_path: str | Path) -> str:
    """The TOML of a named configuration or a file. Raises TrainingError if there is neither."""
    if str(name_or_path) in config_names():
        return (_folder() / f"{name_or_path}.toml").read_text(encoding="utf-8")
    path = Path(name_or_path)
    if path.suffix != ".toml" or not path.is_file():
        raise TrainingError(
            f"There is no configuration {str(name_or_path)!r}.",
            hint=f"Named ones are {', '.join(config_names())}; or give a .toml file (`lrnet train --show default`).",
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read: {error}.", hint="Give a UTF-8 text file.") from error


def load_config(name_or_path: str | Path, *, seed: int | None = None) -> TrainingConfig:
    """A named configuration (see `config_names`) or a .toml file; `seed` replaces its seed.

    Raises:
        TrainingError: there is no such configuration, or it has an invalid setting; the first fault is named.
    """
    try:
        values = tomllib.loads(config_text(name_or_path))
        config = TrainingConfig.model_validate(values)
    except ValidationError as error:
        hint = "See docs/training.md for the settings of a configuration."
        raise TrainingError(f"{name_or_path}: {first_fault(error)}.", hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{name_or_path} is no TOML: {error}.", hint="Correct that line.") from error
    return config if seed is None else config.model_copy(update={"seed": seed})
