"""The network in PyTorch, for training: a bidirectional GRU and two logits a stream, their votes joined.

Sun et al. have two streams, positions A and differences B; here any set of streams is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import MissingDependencyError
from lrnet.extras import install_command
from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.network.graph import Weights
from lrnet.network.spec import CLASSES, FAKE, POINT_INPUTS, NetworkSpec, StreamSpec
from lrnet.network.weights import check_weights
from lrnet.sequence.surroundings import NUM_SURROUNDINGS

try:
    import torch
    from torch import Tensor, nn
except ImportError as error:
    raise MissingDependencyError(
        "Training a network needs PyTorch.", hint=f"Install it: {install_command('train')}"
    ) from error


class NetworkOutput(NamedTuple):
    """The output for B clips.

    Attributes:
        probability: (B,) fake, all streams joined.
        logits: for each stream (B, 2); class 1 is fake.
        per_stream: for each stream (B,), its fake probability.
    """

    probability: Tensor
    logits: dict[str, Tensor]
    per_stream: dict[str, Tensor]


class Head(nn.Module):
    """From the GRU's (B, 2 x units) outputs to (B, 2) logits; see `StreamSpec.head` for the three kinds."""

    def __init__(self, spec: StreamSpec, dropout: float) -> None:
        super().__init__()
        outputs = 2 * spec.units
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(outputs, spec.head_hidden) if spec.head != "linear" else None
        self.back = nn.Linear(spec.head_hidden, outputs) if spec.head == "residual" else None
        self.output = nn.Linear(spec.head_hidden if spec.head == "mlp" else outputs, CLASSES)

    def forward(self, state: Tensor) -> Tensor:
        state = self.dropout(state)
        if self.hidden is not None:
            inner = self.dropout(torch.relu(self.hidden(state)))
            state = inner if self.back is None else self.dropout(state + self.back(inner))
        logits: Tensor = self.output(state)
        return logits


class StreamNetwork(nn.Module):
    """One stream: shift and scale, bidirectional GRU, head.

    Args:
        spec: its shape.
        dropout: share of the head's units left out in training.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, spec: StreamSpec, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(spec.scale, dtype=torch.float32), persistent=False)
        self.register_buffer("shift", torch.tensor(spec.shift or 0.0, dtype=torch.float32), persistent=False)
        self.initial_state = nn.Parameter(torch.zeros(2, spec.units)) if spec.learned_initial_state else None
        self.gru = nn.GRU(spec.width, spec.units, batch_first=True, bidirectional=True)
        self.head = Head(spec, dropout)

    def normalised(self, inputs: Tensor) -> Tensor:
        """Raw inputs (B, T, width) as the GRU reads them."""
        return (inputs - self.shift) / self.scale

    def forward(self, normalised: Tensor) -> Tensor:
        """(B, 2) logits of normalised inputs (B, T, width)."""
        initial = None
        if self.initial_state is not None:
            initial = self.initial_state[:, None, :].expand(-1, len(normalised), -1).contiguous()
        _, last = self.gru(normalised, initial)
        logits: Tensor = self.head(torch.cat([last[0], last[1]], dim=1))
        return logits


class LandmarkDropout(nn.Module):
    """In training, leaves out whole landmarks (x and y) of a clip with a probability, and scales the rest up.

    The module has its own generator.
    """

    def __init__(self, probability: float, seed: int) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"landmark dropout must be in [0, 1), not {probability}")
        self.probability = probability
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, streams: dict[str, Tensor]) -> dict[str, Tensor]:
        """The streams (B, T, D) with the same landmarks left out of each.

        A landmark has two of the first 136 columns of a stream at least that wide (further columns describe the track
        and stay), and one column of a stream 68 wide. Of a stream 110 wide, points of the surroundings are left out
        too.
        """
        if not self.training or self.probability == 0:
            return streams
        clips = len(next(iter(streams.values())))
        kept = torch.rand(clips, NUM_LANDMARKS, generator=self.generator) >= self.probability
        gain = kept / (1 - self.probability)
        if any(values.shape[-1] == NUM_LANDMARKS + NUM_SURROUNDINGS for values in streams.values()):
            around = torch.rand(clips, NUM_SURROUNDINGS, generator=self.generator) >= self.probability
            gain = torch.cat([gain, around / (1 - self.probability)], dim=1)
        return {name: values * _gain_by_column(gain, values) for name, values in streams.items()}


def _gain_by_column(gain: Tensor, values: Tensor) -> Tensor:
    """(B, 1, D) factors for values (B, T, D) from the landmarks' (B, 68) or all points' (B, 110)."""
    width = values.shape[-1]
    columns = torch.ones(len(gain), width)
    if width >= POINT_INPUTS:
        columns[:, :POINT_INPUTS] = gain[:, :NUM_LANDMARKS].repeat_interleave(2, dim=1)
    elif width in (NUM_LANDMARKS, NUM_LANDMARKS + NUM_SURROUNDINGS):
        columns = gain[:, :width]
    return columns[:, None, :].to(values)


class LandmarkNetwork(nn.Module):
    """All streams and their fusion.

    Its weights depend on `seed` alone and leave PyTorch's global generator as it was.

    Args:
        spec: the network.
        dropout: share of the heads' units left out in training (drawn from PyTorch's global generator).
        landmark_dropout: share of landmarks left out in training (drawn from the network's own generator).
        seed: of the weights and of the landmark dropout.
    """

    votes: Tensor

    def __init__(
        self, spec: NetworkSpec, *, dropout: float = 0.0, landmark_dropout: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__()
        self.spec = spec
        self.landmark_dropout = LandmarkDropout(landmark_dropout, seed)
        self.register_buffer("votes", torch.tensor(spec.votes(), dtype=torch.float32), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.streams = nn.ModuleDict(
                {stream.name: StreamNetwork(stream, dropout=dropout) for stream in spec.streams}
            )

    @classmethod
    def from_weights(
        cls,
        spec: NetworkSpec,
        weights: Weights,
        *,
        dropout: float = 0.0,
        landmark_dropout: float = 0.0,
        seed: int = 0,
    ) -> LandmarkNetwork:
        """The network with given weights, to run or to train on.

        Raises:
            ModelError: the weights are not the network's.
        """
        check_weights(weights, spec, "The given weights")
        network = cls(spec, dropout=dropout, landmark_dropout=landmark_dropout, seed=seed)
        network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
        return network

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """A copy of all weights by name, as `NetworkSpec.weight_shapes` lists them."""
        return {name: values.detach().cpu().numpy().copy() for name, values in self.state_dict().items()}

    def forward(self, streams: Mapping[str, Tensor]) -> NetworkOutput:
        """Raw streams (B, T, D), not scaled, to probabilities; T may differ between streams."""
        networks = {name: self.stream(name) for name in self.spec.stream_names}
        normalised = {name: network.normalised(streams[name]) for name, network in networks.items()}
        normalised = self.landmark_dropout(normalised)
        logits = {name: network(normalised[name]) for name, network in networks.items()}
        per_stream = {name: torch.softmax(values, dim=1)[:, FAKE] for name, values in logits.items()}
        if self.spec.fusion == "mean_probability":
            probability = torch.stack(list(per_stream.values()), dim=1) @ self.votes
        else:
            margins = [values[:, FAKE] - values[:, 1 - FAKE] for values in logits.values()]
            probability = torch.sigmoid(torch.stack(margins, dim=1) @ self.votes)
        return NetworkOutput(probability, logits, per_stream)

    def stream(self, name: str) -> StreamNetwork:
        stream = self.streams[name]
        assert isinstance(stream, StreamNetwork)
        return stream
