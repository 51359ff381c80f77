"""The network: description and weights on disk, the runtime that scores clips, models by name.

Only `lrnet.network.architecture`, for training, imports PyTorch.
"""

from lrnet.network.bundle import ModelBundle
from lrnet.network.graph import Weights
from lrnet.network.registry import DEFAULT_MODEL, ModelEntry, list_models, load_model
from lrnet.network.runtime import ClipScores, NetworkRuntime
from lrnet.network.spec import (
    PAPER_NETWORK,
    RELEASED_NETWORK,
    AggregationSpec,
    BundleSpec,
    MeasuredResult,
    NetworkSpec,
    ScoreCalibration,
    StreamSpec,
    Thresholds,
    TrainingRecord,
)

__all__ = [
    "DEFAULT_MODEL",
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
    "ScoreCalibration",
    "StreamSpec",
    "Thresholds",
    "TrainingRecord",
    "Weights",
    "list_models",
    "load_model",
]
