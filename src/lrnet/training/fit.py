"""Fit a network to a table of clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lrnet.features import STREAMS
from lrnet.network.architecture import LandmarkNetwork
from lrnet.network.spec import NetworkSpec, StreamSpec
from lrnet.training.clips import ClipTable, balanced_weights


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How a network is fitted.

    Attributes:
        streams: embeddings to read, by name (`lrnet.features.STREAMS`).
        units: of each stream's GRU, in each direction.
        epochs, batch, learning_rate, weight_decay: of AdamW, with a cosine to zero.
        dropout: share of the heads' units left out.
        landmark_dropout: share of landmarks left out of a whole clip.
        reverse: share of clips shown backwards.
        input_noise: standard deviation of noise on scaled inputs.
        smoothing: of labels; 0.05 trains towards 0.025 and 0.975.
        seed: of weights, order and augmentation.
    """

    streams: tuple[str, ...] = ("differences", "acceleration")
    units: int = 32
    epochs: int = 25
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    dropout: float = 0.3
    landmark_dropout: float = 0.1
    reverse: float = 0.5
    input_noise: float = 0.0
    smoothing: float = 0.0
    seed: int = 0


def input_scale(rows: NDArray[np.float32], name: str) -> float | tuple[float, ...]:
    """What a stream is divided by: the root mean square of its coordinates, taken on the training set.

    The columns that describe the track (acceleration's seven levels) are logarithms and near 1 already.
    """
    coordinates = rows[..., :136]
    scale = float(np.sqrt(np.mean(np.square(coordinates, dtype=np.float64))))
    extra = STREAMS[name].width - coordinates.shape[-1]
    return (scale,) * coordinates.shape[-1] + (1.0,) * extra if extra else scale


def network_spec(table: ClipTable, settings: TrainingSettings) -> NetworkSpec:
    """The network for these streams, inputs scaled by what the table holds."""
    return NetworkSpec.of(
        *(
            StreamSpec(
                name=name,
                width=STREAMS[name].width,
                units=settings.units,
                scale=input_scale(table.streams[name], name),
            )
            for name in settings.streams
        ),
        fusion="mean_logit",
    )


def fit(
    table: ClipTable, settings: TrainingSettings, tell: Callable[[int, float], None] | None = None
) -> tuple[NetworkSpec, dict[str, NDArray[np.float32]]]:
    """Train a network on every clip of the table; each stream has a loss of its own.

    The same table, settings and number of threads give the same weights.

    Args:
        tell: called after each epoch with its number and mean loss.

    Returns:
        what the network is, and its weights by name.
    """
    torch.manual_seed(settings.seed)
    spec = network_spec(table, settings)
    network = LandmarkNetwork(
        spec, dropout=settings.dropout, landmark_dropout=settings.landmark_dropout, seed=settings.seed
    )
    optimiser = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    batches = -(-len(table) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=settings.epochs * batches, pct_start=0.1
    )
    criterion = nn.CrossEntropyLoss(reduction="none", label_smoothing=settings.smoothing)
    streams = {name: torch.from_numpy(values) for name, values in table.streams.items()}
    label = torch.from_numpy(table.label).long()
    weight = torch.from_numpy(balanced_weights(table))
    generator = torch.Generator().manual_seed(settings.seed)
    noise = {s.name: settings.input_noise * torch.tensor(s.scale) for s in spec.streams}
    network.train()
    for epoch in range(settings.epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(table), generator=generator), settings.batch):
            inputs = {name: values[rows] for name, values in streams.items()}
            if settings.reverse:
                back = torch.rand(len(rows), generator=generator) < settings.reverse
                inputs = {name: _reversed(name, values, back) for name, values in inputs.items()}
            if settings.input_noise:
                inputs = {n: v + noise[n] * torch.randn(v.shape, generator=generator) for n, v in inputs.items()}
            logits = network(inputs).logits
            losses = torch.stack([criterion(values, label[rows]) for values in logits.values()])
            loss = (losses.mean(dim=0) * weight[rows]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        if tell is not None:
            tell(epoch + 1, total / len(table))
    return spec, network.eval().weights()


def _reversed(name: str, values: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
    """Some clips of a batch as if time ran backwards: differences change their sign, the others do not."""
    if name in ("innovation", "forward_backward"):
        return values  # the tracker did run forwards
    turned = values.flip(1)
    if name == "differences":
        turned = -turned
    return torch.where(back[:, None, None], turned, values)


def predict(spec: NetworkSpec, weights: dict[str, NDArray[np.float32]], table: ClipTable) -> NDArray[np.float64]:
    """(C,) fused fake probability of each clip."""
    network = LandmarkNetwork.from_weights(spec, weights).eval()
    scores = []
    with torch.inference_mode():
        for start in range(0, len(table), 512):
            part = {n: torch.from_numpy(v[start : start + 512]) for n, v in table.streams.items()}
            scores.append(network(part).probability.numpy())
    return np.concatenate(scores).astype(np.float64) if scores else np.zeros(0)
