"""Output that all commands share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from lrnet.errors import LrnetError
from lrnet.report.wording import readable


class Terminal(Console):
    """A console that escapes what would move a terminal's cursor: strangers choose the names of files and methods."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment("\n".join(map(readable, text.split("\n"))), style)


OUT: Final = Terminal(soft_wrap=True, highlight=False)
ERR: Final = Terminal(stderr=True, soft_wrap=True, highlight=False)


def console_error(error: LrnetError) -> None:
    """Print an error in one line, with the next step."""
    ERR.print(Text.assemble(("lrnet: ", "bold red"), " ".join(str(error).split())))
