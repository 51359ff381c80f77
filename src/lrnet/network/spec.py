"""The schema of `bundle.json`: network, preprocessing, score calibration, thresholds and measured results.

Detection takes all its settings from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue, model_validator

from lrnet.faces.landmarker import NUM_LANDMARKS
from lrnet.schema import Count, PlainName, Positive, Schema, Sha256, Share, StreamName
from lrnet.sequence.settings import Preprocessing

SCHEMA_VERSION = 1

POINT_INPUTS = 2 * NUM_LANDMARKS  # x and y in turn
CLASSES = 2  # class 0 is real, class 1 is fake
FAKE = 1


class StreamSpec(Schema):
    """One stream: a bidirectional GRU over one embedding of the landmarks, and its head.

    The network reads `(input - shift) / scale`: differences between frames are of the order of 0.005, too small for a
    GRU.

    Attributes:
        name: the embedding, as `lrnet.network.streams` calls it: "positions" (the paper's A), "differences" (B), ...
        width: inputs a frame.
        units: hidden units in each direction.
        learned_initial_state: whether the GRU starts from learned states; otherwise from zeros.
        head: what turns the 2 x units outputs h into two logits. "linear": one layer. "mlp": linear, ReLU,
            linear. "residual": one linear layer on h + linear(ReLU(linear(h))).
        head_hidden: units in the hidden layer of an "mlp" or "residual" head; unused by "linear".
        scale: what the input is divided by: one number, or one for each of the `width` inputs.
        shift: what is subtracted before, in the same form; None for nothing.
    """

    name: StreamName
    width: int = Field(ge=1, le=4096)
    units: int = Field(ge=1, le=1024)
    learned_initial_state: bool = False
    head: Literal["linear", "mlp", "residual"] = "linear"
    head_hidden: int = Field(default=64, ge=1, le=4096)
    scale: Positive | tuple[Positive, ...] = 1.0
    shift: float | tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_number_an_input(self) -> Self:
        for label, value in (("scale", self.scale), ("shift", self.shift)):
            if isinstance(value, tuple) and len(value) != self.width:
                raise ValueError(f"{label} has {len(value)} numbers for {self.width} inputs")
        return self

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight; the gates of the GRU stand in PyTorch's order r, z, n."""
        outputs, gates = 2 * self.units, 3 * self.units
        shapes: dict[str, tuple[int, ...]] = {}
        if self.learned_initial_state:
            shapes["initial_state"] = (2, self.units)
        for direction in ("", "_reverse"):
            shapes[f"gru.weight_ih_l0{direction}"] = (gates, self.width)
            shapes[f"gru.weight_hh_l0{direction}"] = (gates, self.units)
            shapes[f"gru.bias_ih_l0{direction}"] = (gates,)
            shapes[f"gru.bias_hh_l0{direction}"] = (gates,)
        last = outputs
        if self.head != "linear":
            shapes["head.hidden.weight"] = (self.head_hidden, outputs)
            shapes["head.hidden.bias"] = (self.head_hidden,)
        if self.head == "residual":
            shapes["head.back.weight"] = (outputs, self.head_hidden)
            shapes["head.back.bias"] = (outputs,)
        if self.head == "mlp":
            last = self.head_hidden
        shapes["head.output.weight"] = (CLASSES, last)
        shapes["head.output.bias"] = (CLASSES,)
        return {f"streams.{self.name}.{key}": shape for key, shape in shapes.items()}


class NetworkSpec(Schema):
    """The whole network: its streams and how their votes are joined.

    Attributes:
        streams: one or more streams with different names.
        fusion: "mean_probability" averages the streams' fake probabilities (the paper's way); "mean_logit"
            averages the differences between the fake and the real logit and takes the sigmoid.
        fusion_weights: one weight a stream, of any sum; None for equal ones.
        parameters: the number of learned numbers. `NetworkSpec.of` counts them.
    """

    streams: tuple[StreamSpec, ...] = Field(min_length=1, max_length=16)
    fusion: Literal["mean_probability", "mean_logit"] = "mean_probability"
    fusion_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    parameters: Count

    @classmethod
    def of(
        cls,
        *streams: StreamSpec,
        fusion: Literal["mean_probability", "mean_logit"] = "mean_probability",
        fusion_weights: tuple[float, ...] | None = None,
    ) -> Self:
        """The network with these streams, its parameters counted."""
        return cls(
            streams=streams,
            fusion=fusion,
            fusion_weights=fusion_weights,
            parameters=_count(streams),
        )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        names = self.stream_names
        if len(set(names)) != len(names):
            raise ValueError(f"two streams have the same name: {', '.join(names)}")
        if self.fusion_weights is not None:
            if len(self.fusion_weights) != len(names):
                raise ValueError(f"{len(self.fusion_weights)} fusion weights for {len(names)} streams")
            if not sum(self.fusion_weights) > 0:
                raise ValueError("the fusion weights are all zero")
        if self.parameters != _count(self.streams):
            raise ValueError(f"parameters is {self.parameters}, the streams have {_count(self.streams)}")
        return self

    @property
    def stream_names(self) -> tuple[str, ...]:
        """The streams' names, in order."""
        return tuple(stream.name for stream in self.streams)

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight."""
        return {name: shape for stream in self.streams for name, shape in stream.weight_shapes().items()}

    def votes(self) -> tuple[float, ...]:
        """The weight of each stream's vote; the sum is 1."""
        weights = self.fusion_weights or (1.0,) * len(self.streams)
        return tuple(weight / sum(weights) for weight in weights)


def _count(streams: tuple[StreamSpec, ...]) -> int:
    return sum(math.prod(shape) for stream in streams for shape in stream.weight_shapes().values())


class AggregationSpec(Schema):
    """How the scores of clips are joined."""

    method: Literal["mean_probability", "mean_logit"] = "mean_logit"


Material = Literal["face_size", "noise", "quantiser"]
"""Measured quantities (`lrnet.verdict.InputQuality`) that move a score calibration."""


class MaterialTerm(Schema):
    """The effect of the material on a log ratio: `slope` for each unit of `scale` above `typical`.

    Attributes:
        typical: value of the quantity without an effect.
        scale: "log": units are natural logarithms; "linear": units are those of the quantity.
    """

    quantity: Material
    slope: float
    typical: float
    scale: Literal["log", "linear"] = "log"

    def shift(self, value: float) -> float:
        """The number to add to the log ratio; 0 if the quantity was not measured."""
        if not math.isfinite(value) or (self.scale == "log" and value <= 0):
            return 0.0
        return self.slope * (math.log(value / self.typical) if self.scale == "log" else value - self.typical)


class ScoreCalibration(Schema):
    """From a raw score to a calibrated probability of fake.

    Attributes:
        method: "platt": log ratio = a x logit(raw) + b, with a > 0. "isotonic": straight lines between the
            knots (x, y).
        a, b: of "platt".
        x, y: the knots of "isotonic", at least two: raw scores, rising, and probabilities, never falling.
        settle: seconds of evidence at which a log ratio has half of its final weight; 0 for no effect of the length.
        material: terms by which the material moves a log ratio.
        video_slope, video_offset: a video's log odds = slope x its joint log ratio + offset.
        fitted_on: which videos it was fitted on.
        n: how many.
        brier: mean squared error of the probabilities of each method that was tried, cross-validated over people.
    """

    method: Literal["platt", "isotonic"]
    a: Positive | None = None
    b: float | None = None
    x: tuple[Share, ...] | None = None
    y: tuple[Share, ...] | None = None
    settle: Annotated[float, Field(ge=0)] = 0.0
    material: tuple[MaterialTerm, ...] = ()
    video_slope: Positive = 1.0
    video_offset: float = 0.0
    fitted_on: str
    n: Count
    brier: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default={})

    @model_validator(mode="after")
    def _has_its_method_s_numbers(self) -> Self:
        if self.method == "platt":
            if self.a is None or self.b is None or self.x is not None or self.y is not None:
                raise ValueError("platt takes a and b, and no knots")
            return self
        if self.x is None or self.y is None or self.a is not None or self.b is not None:
            raise ValueError("isotonic takes the knots x and y, and neither a nor b")
        if len(self.x) != len(self.y) or len(self.x) < 2:
            raise ValueError(f"isotonic needs as many x as y, at least two; got {len(self.x)} and {len(self.y)}")
        if (np.diff(self.x) <= 0).any() or (np.diff(self.y) < 0).any():
            raise ValueError("isotonic knots must rise in x and not fall in y")
        return self

    def log_ratio(self, raw: float, seconds: float, material: Mapping[Material, float] = MappingProxyType({})) -> float:
        """How much likelier a raw score is for a fake than for a genuine face: the natural log of the ratio.

        Args:
            seconds: how long the face was judged.
            material: measured quantities; a term whose quantity is missing adds nothing.
        """
        found = float(self.log_odds(np.array(raw)))
        found += sum(term.shift(material.get(term.quantity, math.nan)) for term in self.material)
        return found * seconds / (seconds + self.settle) if self.settle else found

    def apply(self, raw: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities of fake for raw scores in [0, 1], of any shape; NaN stays NaN.

        Raw scores are clipped to [1e-6, 1 - 1e-6]: float32 resolves little more near 1.
        """
        if self.x is not None and self.y is not None:
            return np.interp(np.asarray(raw, dtype=np.float64), self.x, self.y)
        return np.asarray(0.5 * (1 + np.tanh(0.5 * self.log_odds(raw))), dtype=np.float64)

    def log_odds(self, raw: NDArray[np.floating]) -> NDArray[np.float64]:
        """Natural log odds of fake for raw scores, as `apply`."""
        scores = np.asarray(raw, dtype=np.float64)
        if self.x is not None and self.y is not None:
            return _log_odds(np.interp(scores, self.x, self.y))
        assert self.a is not None  # the validator saw to it
        assert self.b is not None
        return self.a * _log_odds(scores) + self.b


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)


class Thresholds(Schema):
    """Thresholds of calibrated probabilities for verdicts, and their measured error rates.

    Attributes:
        likely_fake: at or above, the verdict is "likely_fake".
        no_evidence: at or below, it is "no_evidence_of_manipulation"; between the two, "inconclusive".
        false_positive_rate: share of all real videos, those that could not be judged included, with the verdict
            "likely_fake".
        miss_rate: share of all fake videos with the verdict "no_evidence_of_manipulation".
        measured_on: which videos the two rates were measured on.
        unseen_miss_rate: the same for fakes of manipulations that the network was not trained on; None if not measured.
        edited_false_positive_rate: share of edited real videos with the verdict "likely_fake"; None if not measured.
        edited_on: which edits that was measured on.
    """

    likely_fake: Share
    no_evidence: Share
    false_positive_rate: Share
    miss_rate: Share
    measured_on: str
    unseen_miss_rate: Share | None = None
    edited_false_positive_rate: Share | None = None
    edited_on: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.no_evidence > self.likely_fake:
            raise ValueError(f"no_evidence {self.no_evidence} exceeds likely_fake {self.likely_fake}")
        return self


class AppearanceSpec(Schema):
    """The second witness: the network in `appearance.onnx`, and how its logits and the motion make one verdict.

    A stretch's log ratio by appearance is (`slope` x the mean logit of its crops + `offset`) x K / (K + `settle`), K
    the number of crops. `lrnet.verdict.evidence.joint_ratio` joins it with that of the motion.

    Attributes:
        version: of the network.
        settle: crops at which appearance counts half of what it counts in the end.
        largest: log ratio of both witnesses that so few genuine people can show at most; None for no bound.
        thresholds: of the probability that both witnesses give together.
        fitted_on: on which videos the three numbers were fitted.
        n: how many.
        training: how the network was trained, in words.
        people: whom it was trained on, by their groups and the names that datasets give them.
        steps, seed: of its training.
    """

    version: str
    slope: Positive
    offset: float
    settle: Annotated[float, Field(ge=0)] = 0.0
    largest: Positive | None = None
    thresholds: Thresholds | None = None
    fitted_on: str
    n: Count
    training: str
    people: tuple[str, ...] = ()
    steps: Count
    seed: int

    def log_ratio(self, logits: Sequence[float]) -> float:
        """How much a stretch's crops speak for a fake: the natural log of the ratio; 0 without crops."""
        if not logits:
            return 0.0
        k = len(logits)
        return (self.slope * math.fsum(logits) / k + self.offset) * k / (k + self.settle)


LeftOut = Literal["", "people", "source", "people or source", "people and manipulation"]
"""Left out when the networks that scored held-out videos were trained; "" for the finished model."""

ALL_MANIPULATIONS = "all of these"


class MeasuredResult(Schema):
    """One measured number with its 95 % interval.

    Older bundles lack the fields from `left_out` on.

    Attributes:
        dataset: the videos, in words.
        low, high: of the interval, `low` <= `value` <= `high`; None if there are too few people for one.
        n: number of clips or videos.
        people: number of identity groups; None in older bundles.
        model: "" for this model; otherwise the name of another one that was measured on the same videos.
        left_out: see `LeftOut`.
        label: of the videos; "" for real and fake ones.
        source, manipulation, edit: the only one among the videos, "" for any; `ALL_MANIPULATIONS` for all that were
            left out in turn.
        stream: the only one whose scores count; "" for all streams.
    """

    dataset: str
    unit: Literal["clip", "video"]
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: Count
    people: Count | None = None
    note: str = ""
    model: str = ""
    left_out: LeftOut = ""
    label: Literal["", "real", "fake"] = ""
    source: str = ""
    manipulation: str = ""
    edit: str = ""
    stream: str = ""

    @model_validator(mode="after")
    def _inside_its_interval(self) -> Self:
        if self.low is None or self.high is None:
            if self.low is not self.high:
                raise ValueError("an interval needs both low and high")
        elif not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} is outside its interval [{self.low}, {self.high}]")
        return self

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval; None if there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class TrainingRecord(Schema):
    """How the weights were trained.

    Attributes:
        data: the training data in words.
        groups: the identity groups that were trained on.
        people: the people in them whom datasets name (other datasets may group them otherwise), and the people in the
            validation videos.
        seed, epochs: of the run.
        seconds: wall time.
        command: trains it again.
        versions: the versions of the packages that matter.
        configuration: all settings of the run, as `lrnet.training.config.TrainingConfig` writes them.
    """

    data: str
    groups: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    seed: int
    epochs: Count
    seconds: Annotated[float, Field(ge=0)]
    command: str
    versions: dict[str, str] = Field(default={})
    configuration: dict[str, JsonValue] = Field(default={})


class BundleSpec(Schema):
    """The content of `bundle.json`.

    Attributes:
        name: letters, digits, ".", "_" and "-", 64 at most.
        version: of the model.
        licence: of the weights.
        created: the day the bundle was made, ISO 8601.
        appearance: the second witness; None for a model that looks at motion alone. `score_calibration` and
            `thresholds` are of motion alone.
        domain: ranges of the training videos in bundles of earlier versions; not used.
        results: what the model was measured to do.
        files: sha256 of every file beside `bundle.json` by its name. `ModelBundle.save` fills it in.
    """

    schema_version: Literal[1] = 1
    name: PlainName
    version: str
    description: str
    licence: str
    created: date
    network: NetworkSpec
    preprocessing: Preprocessing
    aggregation: AggregationSpec = AggregationSpec()
    score_calibration: ScoreCalibration | None = None
    thresholds: Thresholds | None = None
    appearance: AppearanceSpec | None = None
    domain: JsonValue = None
    results: tuple[MeasuredResult, ...] = ()
    training: TrainingRecord | None = None
    files: dict[PlainName, Sha256] = Field(default={}, max_length=16)

    @property
    def limits(self) -> Thresholds | None:
        """The thresholds that verdicts are given by: of both witnesses, where there are two."""
        return self.thresholds if self.appearance is None else self.appearance.thresholds


_PAPER_STREAMS = ("positions", "differences")

PAPER_NETWORK = NetworkSpec.of(
    *(StreamSpec(name=n, width=POINT_INPUTS, units=64, head="mlp", head_hidden=96) for n in _PAPER_STREAMS)
)
"""The paper's network: two bidirectional GRUs of 64 units and a two-layer head each, 180,292 parameters.

Sun et al. report 0.18 M. A GRU has 2 x (3 x 64 x (136 + 64) + 2 x 3 x 64) = 77,568; a head with w hidden
units has 131 w + 2. The width of its hidden layer is unknown: 96 gives the
reported total; 64 would give 171,908 and 128 would give 188,676. Inputs are not scaled.
"""

RELEASED_NETWORK = NetworkSpec.of(
    *(
        StreamSpec(name=n, width=POINT_INPUTS, units=32, learned_initial_state=True, head="residual", head_hidden=64)
        for n in _PAPER_STREAMS
    )
)
"""The network of the released weights: 32 units, learned initial states, residual heads.

2 x 41,154 = 82,308 parameters: a stream has a GRU of 2 x (3 x 32 x (136 + 32) + 2 x 3 x 32) = 32,640, initial
states of 64, a residual block of 2 x (64 x 64 + 64) = 8,320 and an output layer of 130.
"""
