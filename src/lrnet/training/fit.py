"""Fit a network to clips, with Lightning: epochs, checkpoints, early stopping, logs."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from lrnet.errors import TrainingError
from lrnet.network.architecture import LandmarkNetwork
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.network.spec import NetworkSpec, StreamSpec
from lrnet.network.streams import STREAMS
from lrnet.training.clips import ClipTable, balanced_weights
from lrnet.training.config import PARAMETER_BUDGET, TrainingConfig
from lrnet.training.initialise import adopted, stream_of

CHECKPOINT: Final = "last.ckpt"
WARM_UP: Final = 0.1  # share of the run in which a "cosine" learning rate rises
COORDINATES: Final = 136  # columns of a stream that are landmarks' coordinates; further ones describe the track
_ODD: Final = frozenset({"differences"})  # change their sign when time does

Batch = tuple[dict[str, Tensor], Tensor, Tensor]
"""Streams (B, T, width), labels (B,), weights (B,)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """State of a fit after an epoch.

    Attributes:
        stream: name, if streams are trained alone; "" for all together.
        epoch, epochs: number of epochs done and to do.
        loss: mean training loss of the epoch.
        validation: mean loss on the validation clips; None without any.
        seconds_left: estimate from the epochs done.
    """

    stream: str
    epoch: int
    epochs: int
    loss: float
    validation: float | None
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A trained network, and the number of epochs that the weights of each stream have seen."""

    spec: NetworkSpec
    weights: dict[str, NDArray[np.float32]]
    epochs: dict[str, int]


def input_scale(rows: NDArray[np.float32], name: str) -> float | tuple[float, ...]:
    """The divisor of a stream: the root mean square of its coordinates over the training set.

    Columns that describe the track (acceleration's seven levels) are logarithms and near 1 already.
    """
    coordinates = rows[..., :COORDINATES]
    scale = float(np.sqrt(np.mean(np.square(coordinates, dtype=np.float64))))
    if not scale > 0:
        raise TrainingError(
            f"The stream {name} is zero in every video.", hint="The stores lack what it reads: leave it out."
        )
    extra = STREAMS[name].width - coordinates.shape[-1]
    return (scale,) * coordinates.shape[-1] + (1.0,) * extra if extra else scale


def network_spec(table: ClipTable, config: TrainingConfig) -> NetworkSpec:
    """The network of a configuration, inputs scaled by their values in the table."""
    votes = tuple(stream.vote for stream in config.streams)
    return NetworkSpec.of(
        *(
            StreamSpec(
                name=stream.name,
                width=STREAMS[stream.name].width,
                units=stream.units,
                learned_initial_state=stream.learned_initial_state,
                head=stream.head,
                head_hidden=stream.head_hidden,
                scale=stream.scale or input_scale(table.streams[stream.name], stream.name),
            )
            for stream in config.streams
        ),
        fusion=config.fusion,
        fusion_weights=votes if len(set(votes)) > 1 else None,
    )


def over_budget(spec: NetworkSpec) -> str | None:
    """A warning if the network is larger than the paper's."""
    if spec.parameters <= PARAMETER_BUDGET:
        return None
    return f"The network has {spec.parameters:,} parameters, more than the paper's {PARAMETER_BUDGET:,}."


def initial_weights(spec: NetworkSpec, config: TrainingConfig) -> dict[str, NDArray[np.float32]]:
    """Weights drawn from the seed; those of streams with `init_from` from that model.

    Raises:
        ModelError: there is no such model.
        TrainingError: its stream has another shape.
    """
    weights = LandmarkNetwork(spec, seed=config.seed).weights()
    for stream, target in zip(config.streams, spec.streams, strict=True):
        if stream.init_from is None:
            continue
        bundle: ModelBundle = load_model(stream.init_from)
        source = stream_of(bundle.spec.network.streams, stream.name, stream.init_from)
        weights.update(adopted(target, source, bundle.weights, called=stream.init_from))
    return weights


def fit(
    clips: ClipTable,
    config: TrainingConfig,
    *,
    validation: ClipTable | None = None,
    folder: Path | None = None,
    resume: bool = False,
    tell: Callable[[Progress], None] | None = None,
) -> Fitted:
    """Train a network.

    The same clips, configuration and version of PyTorch give the same weights, also in a run that was stopped and
    resumed.

    Args:
        validation: clips for early stopping; the weights are then those of the epoch with the lowest loss on them.
        folder: for checkpoints (one an epoch) and TensorBoard's logs; None keeps neither.
        resume: continue from the checkpoints in `folder`.
        tell: called after each epoch.

    Raises:
        TrainingError: one class is missing, a stream is empty, or the loss is no longer finite.
        ModelError: a model to start from is missing.
    """
    if config.fit.together:
        return _fit(clips, config, validation, folder, resume, tell, "")
    parts = []
    for stream in config.streams:
        inside = folder / stream.name if folder is not None else None
        parts.append(_fit(clips, config.alone(stream), validation, inside, resume, tell, stream.name))
    return Fitted(
        network_spec(clips, config),
        {name: values for part in parts for name, values in part.weights.items()},
        {name: epochs for part in parts for name, epochs in part.epochs.items()},
    )


def _fit(
    clips: ClipTable,
    config: TrainingConfig,
    validation: ClipTable | None,
    folder: Path | None,
    resume: bool,
    tell: Callable[[Progress], None] | None,
    stream: str,
) -> Fitted:
    _require_both_classes(clips, "training")
    if validation is not None:
        _require_both_classes(validation, "validation")
    spec = network_spec(clips, config)
    network = LandmarkNetwork.from_weights(
        spec,
        initial_weights(spec, config),
        dropout=config.fit.dropout,
        landmark_dropout=config.augmentation.landmark_dropout,
        seed=config.seed,
    )
    keeper = _Keeper(folder, config, stream, tell)
    checkpoint = folder / CHECKPOINT if folder is not None else None
    with _quietly(config.fit.threads):
        trainer = pl.Trainer(
            accelerator="cpu",
            devices=1,
            max_epochs=config.fit.epochs,
            logger=False if folder is None else TensorBoardLogger(folder.parent, name=folder.name, version=""),
            callbacks=[keeper],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            gradient_clip_val=config.fit.gradient_clip or None,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            log_every_n_steps=1_000_000,  # an epoch's figures are logged by the module itself
            inference_mode=True,
        )
        found = checkpoint if resume and checkpoint is not None and checkpoint.is_file() else None
        trainer.fit(_Module(network, config, clips, validation), ckpt_path=found, weights_only=True)
    weights, epochs = keeper.outcome(network)
    return Fitted(spec, weights, dict.fromkeys(spec.stream_names, epochs))


def _require_both_classes(table: ClipTable, what: str) -> None:
    fakes = int(table.label.sum())
    if not 0 < fakes < len(table):
        raise TrainingError(
            f"The {what} videos give {len(table) - fakes} real and {fakes} fake clips.",
            hint="Both are needed: add videos, or check splits, excluded manipulations and the length of clips.",
        )


@contextmanager
def _quietly(threads: int) -> Iterator[None]:
    """Silence Lightning's advice and fix PyTorch's number of threads."""
    before = torch.get_num_threads()
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    levels = [logger.level for logger in loggers]
    torch.set_num_threads(threads)
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", module="torch.utils")
            yield
    finally:
        torch.set_num_threads(before)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Batches(IterableDataset[Batch]):
    """The clips of a table in batches, in random order if a seed is given."""

    def __init__(self, table: ClipTable, config: TrainingConfig, seed: int | None) -> None:
        self._streams = {name: torch.from_numpy(table.streams[name]) for name in config.stream_names}
        self._label = torch.from_numpy(table.label).long()
        how = config.balance
        copies = dict.fromkeys(config.data.train_only, how.copies)
        weight = balanced_weights(table, how.paired_share, by_source=how.sources == "root", copies=copies)
        self._weight = torch.from_numpy(weight)
        self._size = config.fit.batch
        self._seed = seed

    def __len__(self) -> int:
        return math.ceil(len(self._label) / self._size)

    def __iter__(self) -> Iterator[Batch]:
        order = torch.arange(len(self._label))
        if self._seed is not None:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self._seed))
        for rows in torch.split(order, self._size):
            yield {name: values[rows] for name, values in self._streams.items()}, self._label[rows], self._weight[rows]


class _Module(pl.LightningModule):
    """The network with its batches, loss, optimiser and augmentation; randomness depends on seed and epoch alone."""

    def __init__(
        self, network: LandmarkNetwork, config: TrainingConfig, clips: ClipTable, validation: ClipTable | None
    ) -> None:
        super().__init__()
        self.network = network
        self._config, self._clips, self._validation = config, clips, validation
        self._generator = torch.Generator()
        self._totals: dict[str, float] = {}

    def train_dataloader(self) -> DataLoader[Batch]:
        # Not `current_epoch`, which lags by one in a resumed run: checkpoints are written before it is counted up.
        epoch = int(getattr(self.trainer.fit_loop.epoch_progress.current, "processed", 0))
        batches = _Batches(self._clips, self._config, _seed(self._config.seed, epoch, 0))
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> list[DataLoader[Batch]]:
        if self._validation is None:
            return []
        return [DataLoader(_Batches(self._validation, self._config, None), batch_size=None)]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        how = self._config.fit
        kind = torch.optim.AdamW if how.optimiser == "adamw" else torch.optim.Adam
        groups = [
            {"params": list(self.network.stream(s.name).parameters()), "lr": rate}
            for s, rate in zip(self._config.streams, self._rates(1.0), strict=True)
        ]
        return kind(groups, how.learning_rate, weight_decay=how.weight_decay)

    def _rates(self, share: float) -> list[float]:
        """The learning rate of each stream at a share of its maximum."""
        return [share * (s.learning_rate or self._config.fit.learning_rate) for s in self._config.streams]

    def _begin_epoch(self) -> None:
        """Not the hook `on_train_epoch_start`, which a resumed run does not call in its first epoch."""
        self._totals = {}
        epoch = self.current_epoch
        torch.manual_seed(_seed(self._config.seed, epoch, 1))
        self._generator.manual_seed(_seed(self._config.seed, epoch, 2))
        self.network.landmark_dropout.generator.manual_seed(_seed(self._config.seed, epoch, 3))

    def training_step(self, batch: Batch, index: int) -> Tensor:
        if index == 0:
            self._begin_epoch()
        self._set_rate(index)
        inputs, label, weight = batch
        if self._config.augmentation.reverse:
            back = torch.rand(len(label), generator=self._generator) < self._config.augmentation.reverse
            inputs = {name: _reversed(name, values, back) for name, values in inputs.items()}
        loss = self._loss(inputs, label, weight)
        self._add("training", loss, len(label))
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        inputs, label, weight = batch
        self._add("validation", self._loss(inputs, label, weight), len(label))

    def mean_loss(self, kind: str) -> float | None:
        """Mean loss of the epoch so far, "training" or "validation"."""
        count = self._totals.get(f"{kind} count", 0.0)
        return self._totals[kind] / count if count else None

    def rate_share(self, done: float) -> float:
        """The share of the maximum learning rate at a share of the run."""
        if self._config.fit.schedule == "constant":
            return 1.0
        if done < WARM_UP:
            return 0.04 + 0.96 * done / WARM_UP
        return 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))

    def _set_rate(self, index: int) -> None:
        batches = self.trainer.num_training_batches
        done = (self.current_epoch + index / batches) / self._config.fit.epochs
        rates = self._rates(self.rate_share(done))
        for group, rate in zip(self.trainer.optimizers[0].param_groups, rates, strict=True):
            group["lr"] = rate

    def _add(self, kind: str, loss: Tensor, count: int) -> None:
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(
                f"The {kind} loss is {value} in epoch {self.current_epoch + 1}.", hint="Lower the learning rate."
            )
        self._totals[kind] = self._totals.get(kind, 0.0) + value * count
        self._totals[f"{kind} count"] = self._totals.get(f"{kind} count", 0.0) + count

    def _loss(self, inputs: dict[str, Tensor], label: Tensor, weight: Tensor) -> Tensor:
        logits = self.network(inputs).logits.values()
        losses = [nn.functional.cross_entropy(each, label, reduction="none") for each in logits]
        return (torch.stack(losses).mean(dim=0) * weight).mean()


def _reversed(name: str, values: Tensor, back: Tensor) -> Tensor:
    """Some clips of a batch backwards in time; for the tracker's measurements this is an approximation."""
    turned = -values.flip(1) if name in _ODD else values.flip(1)
    return torch.where(back[:, None, None], turned, values)


def _seed(seed: int, epoch: int, purpose: int) -> int:
    """A different seed for each purpose and epoch."""
    return int(np.random.SeedSequence((seed, epoch, purpose)).generate_state(1)[0])


class _Keeper(pl.Callback):
    """After each epoch: log, report, write a checkpoint, keep the best weights, and stop early."""

    def __init__(
        self, folder: Path | None, config: TrainingConfig, stream: str, tell: Callable[[Progress], None] | None
    ) -> None:
        self._folder, self._config, self._stream, self._tell = folder, config, stream, tell
        self._best = math.inf
        self._best_epoch = 0
        self._best_weights: dict[str, Tensor] = {}
        self._began = monotonic()
        self._from = 0

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "epoch": self._best_epoch, "weights": self._best_weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best, self._best_epoch = state_dict["best"], state_dict["epoch"]
        self._best_weights = state_dict["weights"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = monotonic()
        self._from = trainer.current_epoch
        if self._best_weights and self._out_of_patience(trainer.current_epoch):
            trainer.should_stop = True  # this stream had stopped early, which a checkpoint does not record

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, _Module)
        done = trainer.current_epoch + 1
        loss, validation = pl_module.mean_loss("training"), pl_module.mean_loss("validation")
        assert loss is not None
        if validation is not None:
            self._judge(trainer, pl_module, validation, done)
        self._log(trainer, loss, validation)
        self._save(trainer)
        if self._tell is not None:
            pace = (monotonic() - self._began) / (done - self._from)
            left = 0.0 if trainer.should_stop else pace * (self._config.fit.epochs - done)
            self._tell(Progress(self._stream, done, self._config.fit.epochs, loss, validation, left))

    def outcome(self, network: LandmarkNetwork) -> tuple[dict[str, NDArray[np.float32]], int]:
        """The weights to keep, and how many epochs they have seen."""
        if not self._best_weights:
            return network.weights(), self._config.fit.epochs
        return {name: values.numpy().copy() for name, values in self._best_weights.items()}, self._best_epoch

    def _judge(self, trainer: pl.Trainer, module: _Module, loss: float, epoch: int) -> None:
        if loss < self._best:
            self._best, self._best_epoch = loss, epoch
            self._best_weights = {n: v.detach().clone() for n, v in module.network.state_dict().items()}
        elif self._out_of_patience(epoch):
            trainer.should_stop = True

    def _out_of_patience(self, epoch: int) -> bool:
        return epoch - self._best_epoch >= self._config.validation.patience

    def _log(self, trainer: pl.Trainer, loss: float, validation: float | None) -> None:
        if trainer.logger is None:
            return
        figures = {"loss/training": loss, "learning rate": trainer.optimizers[0].param_groups[0]["lr"]}
        if validation is not None:
            figures["loss/validation"] = validation
        trainer.logger.log_metrics(figures, step=trainer.current_epoch + 1)
        trainer.logger.save()

    def _save(self, trainer: pl.Trainer) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".{CHECKPOINT}.part"
        trainer.save_checkpoint(partial)
        partial.replace(self._folder / CHECKPOINT)
