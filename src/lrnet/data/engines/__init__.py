"""Run a job over many items; nothing here knows what the job is."""

from lrnet.data.engines.base import ENGINES, Engine, Outcome, SerialEngine
from lrnet.data.engines.local import LocalEngine
from lrnet.errors import UsageError

__all__ = ["ENGINES", "Engine", "LocalEngine", "Outcome", "SerialEngine", "engine_by_name"]


def engine_by_name(name: str, workers: int = 0, address: str = "") -> Engine:
    """The engine that a user names.

    Args:
        name: one of `ENGINES`.
        workers: 0 for one a core (or for all of a cluster).
        address: of a running Ray cluster; "" starts one on this machine. Ray only.

    Raises:
        UsageError: there is no such engine, or it takes no address.
        EngineError: the cluster is not reached.
        MissingDependencyError: Ray is not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name!r}.", hint=f"Engines are {', '.join(ENGINES)}.")
    if name == "ray":
        from lrnet.data.engines.ray import RayEngine

        return RayEngine(address, workers)
    if address:
        raise UsageError("The local engine has no address.", hint="Use --engine ray to reach a cluster.")
    return LocalEngine(workers)
