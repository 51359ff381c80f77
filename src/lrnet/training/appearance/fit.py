"""Train the appearance network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler, Subset

from lrnet.data.store.crops import CropsOfVideo
from lrnet.errors import TrainingError
from lrnet.files import written_beside
from lrnet.training.appearance.architecture import AppearanceModel
from lrnet.training.appearance.samples import Batches

_AVERAGED: Final = 0.995
"""How much of the averaged weights is kept at each step."""


@dataclass(frozen=True, slots=True)
class AppearanceSettings:
    """How the appearance network is trained.

    Attributes:
        steps: batches in all. The rate falls to zero over the last 35 % of them.
        rise: batches over which the rate rises at first.
        pairs: of a fake and a real face in a batch.
        at_hand: share of the pairs whose fake is one of the videos.
        rate: highest learning rate (AdamW).
        decay: of the weights.
        seed: of everything that is drawn.
        every: steps between two checkpoints.
    """

    steps: int = 2400
    rise: int = 96
    pairs: int = 16
    at_hand: float = 0.12
    rate: float = 8e-4
    decay: float = 0.02
    seed: int = 1
    every: int = 50

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        rising = (step + 1) / self.rise
        falling = (self.steps - step) / (0.35 * self.steps)
        return self.rate * min(1.0, rising, falling)


def fit(
    videos: Sequence[CropsOfVideo],
    settings: AppearanceSettings,
    checkpoint: Path,
    start: dict[str, Tensor] | None = None,
    tell: Callable[[int, float, float], None] | None = None,
    loaders: int = 1,
) -> AppearanceModel:
    """Train on crops of `videos`. Stopped and started again, it goes on from `checkpoint`, to the same network.

    Args:
        start: weights of EfficientNet-Lite0 to start from.
        tell: called every `settings.every` steps with the step, the mean loss since the last call, and samples a
            second.
        loaders: processes that make batches; 0 makes them in this one.

    Raises:
        TrainingError: the checkpoint is of a run with other settings or on other crops.
    """
    torch.manual_seed(settings.seed)
    model = AppearanceModel()
    if start is not None:
        model.start_from(start)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster
    averaging = torch.optim.swa_utils.get_ema_multi_avg_fn(_AVERAGED)  # type: ignore[no-untyped-call]
    averaged = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=averaging, use_buffers=True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.decay)
    first = 0
    trained_on = _fingerprint(videos)
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        for what, known, ours in (  # an older version wrote none
            ("with other settings", state.get("settings"), asdict(settings)),
            ("on other crops", state.get("crops"), trained_on),
        ):
            if known != ours:
                raise TrainingError(
                    f"{checkpoint} is of a run {what}: {known}.",
                    hint="Name another folder with --run, or delete this one to start again.",
                )
        model.load_state_dict(state["model"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        first = int(state["step"])
    batches = Batches(videos, settings.steps, settings.pairs, settings.at_hand, settings.seed)
    rest = Subset(batches, range(first, settings.steps))
    loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        rest,
        batch_size=None,
        sampler=SequentialSampler(rest),
        num_workers=loaders,
        multiprocessing_context="spawn" if loaders else None,
        prefetch_factor=6 if loaders else None,
    )
    loss_of = nn.BCEWithLogitsLoss()
    losses: list[float] = []
    began = monotonic()
    model.train()
    for step, (pictures, labels) in enumerate(loader, start=first):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate_at(step)
        inputs = pictures.to(device, torch.float32, memory_format=torch.channels_last)
        loss = loss_of(model(inputs).mean((1, 2)), labels.to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        averaged.update_parameters(model)
        losses.append(loss.item())
        if (step + 1) % settings.every == 0 or step + 1 == settings.steps:
            state = {
                "settings": asdict(settings),
                "crops": trained_on,
                "step": step + 1,
                "model": model.state_dict(),
                "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(),
            }
            with written_beside(checkpoint) as beside:
                torch.save(state, beside)
            if tell is not None:
                rate = len(losses) * len(labels) / (monotonic() - began)
                tell(step + 1, float(np.mean(losses)), rate)
            losses, began = [], monotonic()
    found = averaged.module
    assert isinstance(found, AppearanceModel)
    return found.cpu().eval()


def _fingerprint(videos: Sequence[CropsOfVideo]) -> str:
    """A hash of what is trained on, in its order."""
    found = hashlib.sha256()
    for video in videos:
        found.update(repr((video.key, video.fake, video.source, video.group, video.pictures.shape)).encode())
        found.update(video.landmarks.tobytes())
        found.update(video.pictures.tobytes())
    return found.hexdigest()
