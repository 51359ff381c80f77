"""Metrics of models, with intervals."""

from lrnet.evaluation.evaluation import Evaluation, Part, figures_of, measure
from lrnet.evaluation.metrics import Estimate, Scores, clustered_interval, summarise
from lrnet.evaluation.protocol import ScoredVideo, evaluate

__all__ = [
    "Estimate",
    "Evaluation",
    "Part",
    "ScoredVideo",
    "Scores",
    "clustered_interval",
    "evaluate",
    "figures_of",
    "measure",
    "summarise",
]
