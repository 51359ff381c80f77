"""Start a stream from another model's: the released weights, or one's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import TrainingError
from lrnet.network.graph import Weights
from lrnet.network.spec import StreamSpec


def adopted(
    target: StreamSpec, source: StreamSpec, weights: Weights, *, called: str
) -> Mapping[str, NDArray[np.float32]]:
    """The source's weights as the target's: the same function of the same raw inputs.

    The two may scale their inputs differently. W (x - b) / a = W' (x - b') / a' + W (b' - b) / a with W' = W a' / a: a
    difference goes into the GRU's input weights and biases.

    Args:
        target, source: streams of the same name and shape.
        weights: of the source's whole network.
        called: name of the source in messages.

    Raises:
        TrainingError: the shapes differ; the first difference is named.
    """
    ours, theirs = target.weight_shapes(), source.weight_shapes()
    if ours != theirs:
        name = next(iter(sorted(ours.items() ^ theirs.items())))[0]
        raise TrainingError(
            f"Stream {target.name} cannot start from {called}: {name} is {theirs.get(name, 'absent')} there and "
            f"{ours.get(name, 'absent')} here.",
            hint="Give the stream the other one's units, head, head_hidden and learned_initial_state, or no init_from.",
        )
    found = {name: np.array(weights[name], np.float32) for name in ours}
    scale_s, scale_t = (np.broadcast_to(np.asarray(s.scale, np.float64), s.width) for s in (source, target))
    shift_s, shift_t = (np.broadcast_to(np.asarray(s.shift or 0.0, np.float64), s.width) for s in (source, target))
    for direction in ("", "_reverse"):
        name = f"streams.{target.name}.gru.weight_ih_l0{direction}"
        bias = f"streams.{target.name}.gru.bias_ih_l0{direction}"
        before = found[name].astype(np.float64)
        found[name] = (before * (scale_t / scale_s)).astype(np.float32)
        found[bias] = (found[bias] + before @ ((shift_t - shift_s) / scale_s)).astype(np.float32)
    return found


def stream_of(specs: tuple[StreamSpec, ...], name: str, called: str) -> StreamSpec:
    """The stream of this name. Raises TrainingError if there is none."""
    for spec in specs:
        if spec.name == name:
            return spec
    raise TrainingError(
        f"{called} has no stream {name}.", hint=f"It has {', '.join(s.name for s in specs)}: take another model."
    )
