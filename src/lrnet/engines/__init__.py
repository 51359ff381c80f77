"""Run a job over many items; nothing here knows what the job is."""

from lrnet.engines.local import Outcome, run_local

__all__ = ["Outcome", "run_local"]
