"""Integrated gradients (Sundararajan, Taly and Yan, ICML 2017): an independent look at what occlusion says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from lrnet.network.architecture import LandmarkNetwork
from lrnet.report.explain import group_columns
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS

Array = NDArray[np.float32]

STEPS: Final = 256  # of the path: attributions then add up to the difference of log odds within 0.01; with 64, 0.3


def integrated_gradients(
    network: LandmarkNetwork, rows: Mapping[str, Array], baseline: Mapping[str, Array], steps: int = STEPS
) -> dict[str, NDArray[np.float64]]:
    """What each input of one clip adds to the log odds of fake, on the straight path from a baseline to the clip.

    Args:
        network: in evaluation mode.
        rows: for each stream (T, width).
        baseline: the same; the attributions of all streams add up to log odds at `rows` less those at `baseline`.
        steps: of the path (midpoint rule).

    Returns:
        for each stream (T, width).
    """
    share = ((torch.arange(steps) + 0.5) / steps)[:, None, None]
    near = {name: torch.from_numpy(values)[None] for name, values in baseline.items()}
    far = {name: torch.from_numpy(values)[None] for name, values in rows.items()}
    path = {name: (near[name] + share * (far[name] - near[name])).requires_grad_() for name in rows}
    probability = network(path).probability.double().clamp(1e-12, 1 - 1e-12)
    gradients = torch.autograd.grad(torch.logit(probability).sum(), list(path.values()))
    return {
        name: ((far[name] - near[name])[0].double() * gradient.double().mean(dim=0)).numpy()
        for name, gradient in zip(path, gradients, strict=True)
    }


def by_group(attributions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """(7,): attributions of all streams added up for each facial group."""
    return np.array(
        [sum(a[:, group_columns(name, g)].sum() for name, a in attributions.items()) for g in FACIAL_GROUPS]
    )


def mean_over_baselines(
    network: LandmarkNetwork, rows: Mapping[str, Array], baselines: Sequence[Mapping[str, Array]]
) -> NDArray[np.float64]:
    """(7,): the same, averaged over several baselines (expected gradients)."""
    return np.asarray(np.mean([by_group(integrated_gradients(network, rows, other)) for other in baselines], axis=0))
