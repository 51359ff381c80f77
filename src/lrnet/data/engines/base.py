"""What every engine does: a job for each item, an outcome for each job."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from lrnet.errors import EngineError, InternalError, LrnetError

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES: Final = ("local", "ray")
ATTEMPTS: Final = 3
"""How often an item is tried whose worker process is lost. An item that raises an error is tried once."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """What became of one item: a result, or the error that says why there is none.

    Attributes:
        index: the item's place among the items, from 0.
        item: as it was given.
        result, error: one of them is None.
    """

    index: int
    item: Item
    result: Result | None
    error: LrnetError | None


class Engine(Protocol):
    """Where jobs run. Outcomes come as they are ready, in any order; `Outcome.index` tells the place."""

    @property
    def workers(self) -> int:
        """How many items are worked on at a time."""
        ...

    def run(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Do `job` for each item.

        An error that the job raises is an outcome, not an end, and so is an item whose worker is lost `ATTEMPTS`
        times. Closing the iterator ends the workers.

        Args:
            job: picklable: a function of a module, or a dataclass with `__call__`. Each worker process gets it once, so
                that what it loads on its first call (a model) stays loaded.
            items: picklable. They are taken as workers become free, no more than twice as many as there are workers.
        """
        ...


class SerialEngine:
    """One item after the other in this process: for scripts, notebooks and debuggers."""

    workers = 1

    def run(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        for index, item in enumerate(items):
            result, error = attempt(job, item)
            yield Outcome(index, item, result, error)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attempt(job: Callable[[Item], Result], item: Item) -> tuple[Result | None, LrnetError | None]:
    """Do a job; what it raises comes back as a value, so that every engine carries it alike."""
    try:
        return job(item), None
    except LrnetError as error:
        return None, error
    except Exception as error:  # one item must not stop the others, whatever is wrong with it or with us
        return None, InternalError.of(error, str(item))


def lost(attempts: int, why: str) -> EngineError:
    """The error of an item whose worker died every time."""
    return EngineError(
        f"The worker process was lost {attempts} times ({why}).",
        hint="It may have run out of memory: use fewer workers. Or the video brings the decoder down: leave it out.",
    )
