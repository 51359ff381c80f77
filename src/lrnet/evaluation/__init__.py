"""How good a model is, with intervals."""

from lrnet.evaluation.metrics import Estimate, Scores, clustered_interval, summarise

__all__ = ["Estimate", "Scores", "clustered_interval", "summarise"]
