"""Output that all commands share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from lrnet.errors import LrnetError, OutputError
from lrnet.report.wording import readable


class Terminal(Console):
    """A console that escapes what would move a terminal's cursor: strangers choose the names of files and methods.

    Raises:
        OutputError: what it prints cannot be written.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        with written_to("to standard error" if self.stderr else "to standard output"):
            super().print(*objects, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment("\n".join(map(readable, text.split("\n"))), style)


@contextmanager
def written_to(place: str) -> Iterator[None]:
    """Turn a failure to write into OutputError; that the reader went away is the business of `main`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"Cannot write {place}: {error.strerror or error}.", hint="Make room, or choose another place."
        ) from error


OUT: Final = Terminal(soft_wrap=True, highlight=False)
ERR: Final = Terminal(stderr=True, soft_wrap=True, highlight=False)


def console_error(error: LrnetError) -> None:
    """Print an error in one line, with the next step."""
    ERR.print(Text.assemble(("lrnet: ", "bold red"), " ".join(str(error).split())))
