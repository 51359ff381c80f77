"""Time of a clip in a model's network, and the difference of ONNX Runtime and PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.streams import STREAMS

CLIPS = 200
WARM_UP = 20


@dataclass(frozen=True, slots=True)
class NetworkBenchmark:
    """Measured on one thread.

    Attributes:
        clip_ms: median wall time of one clip, milliseconds.
        difference: largest difference between the probabilities of ONNX Runtime and of PyTorch; None without PyTorch.
        parameters: of the network.
    """

    clip_ms: float
    difference: float | None
    parameters: int


def benchmark_network(bundle: ModelBundle, *, clips: int = CLIPS) -> NetworkBenchmark:
    """Time and compare a model's network on clips of random inputs of the size that it was trained on."""
    runtime = NetworkRuntime(bundle)
    streams = random_clips(bundle, clips)
    for _ in range(WARM_UP):
        runtime.score(_clip(streams, 0))
    times = []
    for i in range(clips):
        clip = _clip(streams, i)
        began = perf_counter()
        runtime.score(clip)
        times.append(perf_counter() - began)
    ours = runtime.score(streams).probability
    return NetworkBenchmark(1e3 * float(np.median(times)), _difference(bundle, streams, ours), runtime.spec.parameters)


def random_clips(bundle: ModelBundle, clips: int) -> dict[str, NDArray[np.float32]]:
    """Normal inputs with the scale that each stream divides by."""
    random = np.random.default_rng(0)
    frames = bundle.spec.preprocessing.clip_length
    return {
        s.name: (random.normal(size=(clips, frames - STREAMS[s.name].lag, s.width)) * np.array(s.scale)).astype(
            np.float32
        )
        for s in bundle.spec.network.streams
    }


def _clip(streams: dict[str, NDArray[np.float32]], i: int) -> dict[str, NDArray[np.float32]]:
    return {name: values[i : i + 1] for name, values in streams.items()}


def _difference(
    bundle: ModelBundle, streams: dict[str, NDArray[np.float32]], ours: NDArray[np.float32]
) -> float | None:
    try:
        import torch
    except ImportError:
        return None
    from lrnet.network.architecture import LandmarkNetwork

    network = LandmarkNetwork.from_weights(bundle.spec.network, bundle.weights).eval()
    with torch.inference_mode():
        theirs = network({name: torch.from_numpy(values) for name, values in streams.items()}).probability.numpy()
    return float(np.abs(theirs - ours).max())
