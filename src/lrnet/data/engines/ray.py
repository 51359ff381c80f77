"""A Ray cluster: a running one by its address, or one started on this machine for the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from lrnet.data.engines.base import ATTEMPTS, Item, Outcome, Result, attempt, lost
from lrnet.errors import EngineError, LrnetError, MissingDependencyError
from lrnet.extras import install_command
from lrnet.machine import cores

_OBJECT_STORE: Final = 512 * 1024 * 1024  # bytes; a result is of the order of a megabyte


class RayEngine:
    """Tasks of a Ray cluster, one core each. Ray runs a task again whose worker process or node is lost.

    Machines of the cluster need this version of `lrnet` (without extras) and the same Python, and find the videos at
    the same paths. Only this process writes results.

    Args:
        address: "host:6379" of a cluster's head, "ray://host:10001" through its client server, "auto" for the cluster
            that this machine belongs to; "" starts one here, reachable from this machine only, and ends it after.
        workers: at most so many tasks at a time; 0 for every core.

    Raises:
        MissingDependencyError: Ray is not installed.
        EngineError: the cluster cannot be reached or started.
    """

    def __init__(self, address: str = "", workers: int = 0) -> None:
        self._ray = _import_ray()
        self._own = not address
        quiet = {"logging_level": "ERROR", "log_to_driver": False}
        try:
            if self._own:
                self._ray.init(
                    num_cpus=workers or cores(),
                    include_dashboard=False,
                    object_store_memory=_OBJECT_STORE,
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
            else:
                self._ray.init(address=address, **quiet)
        except Exception as error:  # Ray raises a bare Exception where a cluster does not come up in time
            where = f"at {address}" if address else "on this machine"
            raise EngineError(
                f"No Ray cluster {where} ({_first_line(error)}).",
                hint="Check the address and that `ray status` answers there; Ray and Python have to be of one version.",
            ) from error
        there = int(self._ray.cluster_resources().get("CPU", 1))
        self.workers = min(workers, there) if workers else there

    def run(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """See `Engine.run`."""
        ray = self._ray
        task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1, retry_exceptions=False)(attempt)
        shared_job = ray.put(job)
        queue = enumerate(items)
        running: dict[Any, tuple[int, Item]] = {}
        # One task waits for each that runs, so no worker waits for this process, unless workers are limited.
        ahead = self.workers if self._limited else 2 * self.workers
        try:
            while True:
                for index, item in islice(queue, ahead - len(running)):
                    running[task.remote(shared_job, item)] = (index, item)
                if not running:
                    return
                done, _ = ray.wait(list(running), num_returns=1)
                for reference in done:
                    index, item = running.pop(reference)
                    yield Outcome(index, item, *self._get(reference))
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    @property
    def _limited(self) -> bool:
        return not self._own and self.workers < int(self._ray.cluster_resources().get("CPU", 1))

    def close(self) -> None:
        """Leave the cluster; one that was started for the run ends."""
        self._ray.shutdown()

    def _get(self, reference: Any) -> tuple[Any, LrnetError | None]:
        errors = self._ray.exceptions
        try:
            result, error = self._ray.get(reference)
            return result, error
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError, errors.ObjectLostError) as e:
            return None, lost(ATTEMPTS, _first_line(e))
        except errors.RayTaskError as error:  # not an error of the job, which is a value, but of transporting it
            raise EngineError(
                f"A machine of the cluster cannot run the job ({_first_line(error.cause or error)}).",
                hint="Install this version of lrnet there (no extras needed), with the same Python.",
            ) from error
        except errors.RayError as error:
            raise EngineError(
                f"The Ray cluster broke down ({_first_line(error)}).", hint="Start it and the command again."
            ) from error


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # a busy machine takes longer than Ray's 30 s
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "The engine ray needs Ray, which is not installed.", hint=f"Install it: {install_command('cluster')}"
        ) from error
    return ray


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
