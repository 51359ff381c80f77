"""The protocol of engines: a job for each item, an outcome for each job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from lrnet.errors import EngineError, InternalError, LrnetError

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES: Final = ("local", "ray")
ATTEMPTS: Final = 3
"""Number of tries of an item whose worker process is lost. An item that raises an error is tried once."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """The result or the error of one item; the other is None. `index` is the item's position, from 0."""

    index: int
    item: Item
    result: Result | None
    error: LrnetError | None


class Engine(Protocol):
    """Runs jobs. Outcomes come as they are ready, in any order."""

    @property
    def workers(self) -> int:
        """Number of items in work at a time."""
        ...

    def run(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        """Do `job` for each item.

        An error that the job raises becomes an outcome, and so does the loss of a worker `ATTEMPTS` times. Closing the
        iterator ends the workers.

        Args:
            job: picklable. Each worker process receives it once, so a model that it loads stays loaded.
            items: picklable; at most twice as many as workers are taken ahead.
        """
        ...


class SerialEngine:
    """One item after the other in this process: for scripts, notebooks and debuggers."""

    workers = 1

    def run(self, job: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Outcome[Item, Result]]:
        for index, item in enumerate(items):
            result, error = attempt(job, item)
            yield Outcome(index, item, result, error)


def attempt(job: Callable[[Item], Result], item: Item) -> tuple[Result | None, LrnetError | None]:
    """Do a job and return its error as a value."""
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
