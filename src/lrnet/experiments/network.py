"""How fast is a model's network, and do ONNX Runtime and PyTorch agree? `lrnet benchmark network`."""

from __future__ import annotations

from importlib.util import find_spec
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.streams import STREAMS

WARM_UP = 20


def benchmark_network(bundle: ModelBundle, *, clips: int = 200) -> tuple[float, float | None]:
    """Score clips of normal noise, of the size and scale that the network was trained on, on one thread.

    Returns:
        The median wall time of a clip in milliseconds, and the largest difference between the probabilities of ONNX
        Runtime and of PyTorch; None without PyTorch.
    """
    runtime, draw = NetworkRuntime(bundle), np.random.default_rng(0)
    streams: dict[str, NDArray[np.float32]] = {}
    for s in bundle.spec.network.streams:
        shape = (clips, bundle.spec.preprocessing.clip_length - STREAMS[s.name].lag, s.width)
        streams[s.name] = (draw.normal(size=shape) * np.array(s.scale)).astype(np.float32)
    times = []
    for i in [0] * WARM_UP + list(range(clips)):
        began = perf_counter()
        runtime.score({name: values[i : i + 1] for name, values in streams.items()})
        times.append(perf_counter() - began)
    milliseconds = 1e3 * float(np.median(times[WARM_UP:]))
    if find_spec("torch") is None:
        return milliseconds, None

    import torch

    from lrnet.network.architecture import LandmarkNetwork

    network = LandmarkNetwork.from_weights(bundle.spec.network, bundle.weights).eval()
    with torch.inference_mode():
        theirs = network({name: torch.from_numpy(values) for name, values in streams.items()}).probability.numpy()
    return milliseconds, float(np.abs(theirs - runtime.score(streams).probability).max())
