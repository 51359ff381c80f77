"""In this process, or over worker processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

from lrnet.errors import LrnetError

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or the error that says why there is none."""

    item: Item
    result: Result | None
    error: LrnetError | None


def run_local(
    job: Callable[[Item], Result], items: Iterable[Item], workers: int = 1
) -> Iterator[Outcome[Item, Result]]:
    """Do `job` for each item; outcomes come as they are ready. An `LrnetError` is an outcome, not an end.

    Args:
        job: picklable (a function of a module) if `workers` is more than 1.
        workers: processes; 1 works in this one. No more than two items a worker are taken from `items` ahead.
    """
    if workers <= 1:
        for item in items:
            yield _outcome(item, partial(job, item))
        return
    queue = iter(items)
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running: dict[Future[Result], Item] = {}
        while True:
            for item in islice(queue, 2 * workers - len(running)):
                running[pool.submit(job, item)] = item
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield _outcome(running.pop(future), future.result)


def _outcome(item: Item, get: Callable[[], Result]) -> Outcome[Item, Result]:
    try:
        return Outcome(item, get(), None)
    except LrnetError as error:
        return Outcome(item, None, error)
