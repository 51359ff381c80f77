"""Run a job over many items; nothing here knows what the job is."""

from lrnet.engines.base import ENGINES, Engine, Outcome, SerialEngine, engine_by_name
from lrnet.engines.local import LocalEngine

__all__ = ["ENGINES", "Engine", "LocalEngine", "Outcome", "SerialEngine", "engine_by_name"]
