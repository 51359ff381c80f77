"""A bundle's network under ONNX Runtime: raw streams in, fake probabilities out. No PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import ModelError, SequenceError
from lrnet.network.bundle import ModelBundle
from lrnet.network.graph import FUSED_OUTPUT, stream_output
from lrnet.network.spec import StreamSpec
from lrnet.network.weights import GET_IT_AGAIN, read_weights

if TYPE_CHECKING:
    import onnxruntime

_ROUNDING = 1e-5  # a float32 sum of votes can pass 1 by as little


@dataclass(frozen=True, eq=False)
class ClipScores:
    """The network's scores of B clips.

    Attributes:
        probability: (B,) float32 in [0, 1], fake, all streams joined.
        per_stream: the same for each stream alone.
    """

    probability: NDArray[np.float32]
    per_stream: dict[str, NDArray[np.float32]]


class NetworkRuntime:
    """Scores clips with a bundle's network, on one thread.

    Example:
        scores = NetworkRuntime(load_model("lrnet-mesh-v2")).score({"differences": clips})

    Raises:
        ModelError: ONNX Runtime cannot read the network, or it is not the one that the bundle describes.
    """

    def __init__(self, bundle: ModelBundle) -> None:
        self.spec = bundle.spec.network
        self._source = str(bundle.path)
        read_weights(bundle.network, self.spec, self._source)  # refuses any other graph, inputs and outputs
        self._session = open_session(bundle.network, self._source)
        self._outputs = [FUSED_OUTPUT, *(stream_output(name) for name in self.spec.stream_names)]

    def score(self, streams: Mapping[str, NDArray[np.float32]]) -> ClipScores:
        """Fake probabilities of a batch of clips.

        Args:
            streams: for each stream of the network (B, T, D) float32, as `lrnet.network.streams` makes it, not
                scaled: the network scales. B is the same for all; T may differ between streams (T frames give
                T - 1 differences).

        Raises:
            SequenceError: a stream is missing, unknown, of another shape or type, or not finite.
            ModelError: the network fails, or gives something that is no probability.
        """
        clips = self._check_streams(streams)
        scores = np.empty((len(self._outputs), clips), np.float32)
        for clip in range(clips):
            # One at a time: rounding may depend on the number of rows, and a clip's score must not depend on others.
            scores[:, clip] = self._score_clip({name: array[clip, None] for name, array in streams.items()})
        return ClipScores(scores[0], dict(zip(self.spec.stream_names, scores[1:], strict=True)))

    def _score_clip(self, streams: dict[str, NDArray[np.float32]]) -> list[float]:
        try:
            outputs = self._session.run(self._outputs, streams)
        except Exception as error:  # there is no common base class below it
            raise ModelError(
                f"The network in {self._source} failed: {str(error).splitlines()[0]}", hint=GET_IT_AGAIN
            ) from error
        if not all(output.shape == (1,) and -_ROUNDING <= output[0] <= 1 + _ROUNDING for output in outputs):
            raise ModelError(
                f"The network in {self._source} gave no probability.",
                hint="Get the model again; if it is whole, the landmarks are out of bounds.",
            )
        return [min(max(float(output[0]), 0.0), 1.0) for output in outputs]

    def _check_streams(self, streams: Mapping[str, NDArray[np.float32]]) -> int:
        if set(streams) != set(self.spec.stream_names):
            raise SequenceError(
                f"The network reads the streams {', '.join(self.spec.stream_names)}; "
                f"got {', '.join(streams) or 'none'}.",
                hint="Make the clips with the model's own preprocessing.",
            )
        for stream in self.spec.streams:
            _check_stream(stream, streams[stream.name])
        counts = {name: len(array) for name, array in streams.items()}
        if len(set(counts.values())) != 1:
            raise SequenceError(
                f"The streams differ in their number of clips: {counts}.",
                hint="Pass the same clips in each stream.",
            )
        return next(iter(counts.values()))


def open_session(network: bytes, source: str) -> onnxruntime.InferenceSession:
    import onnxruntime  # 0.1 s that listing models does not need

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    try:
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # there is no common base class below it
        raise ModelError(
            f"ONNX Runtime cannot read the network in {source}: {str(error).splitlines()[0]}",
            hint=GET_IT_AGAIN,
        ) from error


def _check_stream(stream: StreamSpec, array: NDArray[np.float32]) -> None:
    fault = None
    if array.dtype != np.float32:
        fault = f"is {array.dtype}, expected float32"
    elif array.ndim != 3 or array.shape[1] < 1 or array.shape[2] != stream.width:
        fault = f"has shape {array.shape}, expected (clips, frames, {stream.width})"
    elif not np.isfinite(array).all():
        clips = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2)))
        fault = f"holds numbers that are not finite in clips {clips[:5].tolist()}"
    if fault:
        raise SequenceError(
            f"The stream {stream.name} {fault}.", hint="Make the clips with the model's own preprocessing."
        )
