"""The network once more in plain NumPy and float64, straight from the equations of the GRU (Cho et al., 2014, in the
variant whose reset gate acts after the matrix product). Independent of PyTorch, ONNX and the package's own graph."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def last_state(inputs, state, weights):
    """(B, units) after the last frame of inputs (B, T, D)."""
    w, u, b, c = weights
    for frame in inputs.transpose(1, 0, 2):
        from_input, from_state = np.split(frame @ w.T + b, 3, axis=1), np.split(state @ u.T + c, 3, axis=1)
        reset = sigmoid(from_input[0] + from_state[0])
        update = sigmoid(from_input[1] + from_state[1])
        new = np.tanh(from_input[2] + reset * from_state[2])
        state = (1 - update) * new + update * state
    return state


def stream_logits(spec, weights, inputs):
    own = {
        name.removeprefix(f"streams.{spec.name}."): array.astype(np.float64)
        for name, array in weights.items()
        if name.startswith(f"streams.{spec.name}.")
    }

    def gru(direction):
        return [own[f"gru.{part}_l0{direction}"] for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def linear(layer, x):
        return x @ own[f"head.{layer}.weight"].T + own[f"head.{layer}.bias"]

    x = (inputs.astype(np.float64) - np.array(spec.shift or 0.0)) / np.array(spec.scale)
    start = own.get("initial_state", np.zeros((2, spec.units)))[:, None].repeat(len(x), axis=1)
    state = np.concatenate(
        [last_state(x, start[0], gru("")), last_state(x[:, ::-1], start[1], gru("_reverse"))], axis=1
    )
    if spec.head == "mlp":
        state = np.maximum(linear("hidden", state), 0)
    elif spec.head == "residual":
        state = state + linear("back", np.maximum(linear("hidden", state), 0))
    return linear("output", state)


def scores(network, weights, streams):
    """Fused fake probabilities (B,) and each stream's."""
    margins = {}
    for spec in network.streams:
        logits = stream_logits(spec, weights, streams[spec.name])
        margins[spec.name] = logits[:, 1] - logits[:, 0]
    per_stream = {name: sigmoid(margin) for name, margin in margins.items()}
    votes = np.array(network.fusion_weights or [1] * len(margins), dtype=np.float64)
    if network.fusion == "mean_probability":
        return np.average(list(per_stream.values()), axis=0, weights=votes), per_stream
    return sigmoid(np.average(list(margins.values()), axis=0, weights=votes)), per_stream
