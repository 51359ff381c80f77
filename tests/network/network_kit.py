"""Networks with random weights, and bundles of them."""

from datetime import date
from pathlib import Path

import numpy as np

from lrnet.network import BundleSpec, ModelBundle, NetworkSpec, StreamSpec
from lrnet.sequence.settings import Preprocessing

TWO_STREAMS = NetworkSpec.of(
    StreamSpec(name="positions", width=6, units=3),
    StreamSpec(
        name="differences",
        width=4,
        units=5,
        learned_initial_state=True,
        head="residual",
        head_hidden=7,
        scale=0.005,
    ),
)


def random_weights(network: NetworkSpec, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in network.weight_shapes().items()}


def random_streams(network: NetworkSpec, clips: int, frames: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Raw inputs of each stream's own size; every stream is one frame shorter than the one before."""
    random = np.random.default_rng(seed)
    return {
        stream.name: (random.normal(0, 1, (clips, max(frames - lag, 1), stream.width)) * np.array(stream.scale)).astype(
            np.float32
        )
        for lag, stream in enumerate(network.streams)
    }


def bundle_spec(network: NetworkSpec = TWO_STREAMS, **changes: object) -> BundleSpec:
    fields = {
        "name": "tiny",
        "version": "1.0.0",
        "description": "A network with random weights.",
        "licence": "Apache-2.0",
        "created": date(2026, 1, 2),
        "network": network,
        "preprocessing": Preprocessing(landmarker_version="1", clip_length=60, clip_stride=30, min_clip_length=30),
        **changes,
    }
    return BundleSpec.model_validate(fields)


def make_bundle(
    folder: Path, network: NetworkSpec = TWO_STREAMS, weights: dict[str, np.ndarray] | None = None
) -> ModelBundle:
    from lrnet.network.weights import to_onnx

    weights = weights or random_weights(network)
    return ModelBundle.save(bundle_spec(network), to_onnx(network, weights), "# Card\n", folder)
