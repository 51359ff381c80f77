"""The network: its description and weights on disk, the runtime that scores clips, the models by name.

Nothing here imports PyTorch. Training does, through `lrnet.network.architecture`.
"""

from lrnet.network.bundle import ModelBundle
from lrnet.network.graph import Weights
from lrnet.network.registry import DEFAULT_MODEL, ModelEntry, list_models, load_model
from lrnet.network.runtime import ClipScores, NetworkRuntime
from lrnet.network.spec import (
    NETWORKS,
    PAPER_NETWORK,
    RELEASED_NETWORK,
    AggregationSpec,
    BundleSpec,
    MeasuredResult,
    NetworkSpec,
    QuantityRange,
    ScoreCalibration,
    StreamSpec,
    Thresholds,
    TrainingDomain,
    TrainingRecord,
)

__all__ = [
    "DEFAULT_MODEL",
    "NETWORKS",
    "PAPER_NETWORK",
    "RELEASED_NETWORK",
    "AggregationSpec",
    "BundleSpec",
    "ClipScores",
    "MeasuredResult",
    "ModelBundle",
    "ModelEntry",
    "NetworkRuntime",
    "NetworkSpec",
    "QuantityRange",
    "ScoreCalibration",
    "StreamSpec",
    "Thresholds",
    "TrainingDomain",
    "TrainingRecord",
    "Weights",
    "list_models",
    "load_model",
]
