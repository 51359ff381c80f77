"""Output that all commands share."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.text import Text

from lrnet.errors import LrnetError

OUT: Final = Console(soft_wrap=True, highlight=False)
ERR: Final = Console(stderr=True, soft_wrap=True, highlight=False)


def console_error(error: LrnetError) -> None:
    """Print an error in one line, with the next step."""
    from lrnet.report.wording import readable

    line = readable(" ".join(str(error).split()))  # it may quote a stranger's file name
    ERR.print(Text.assemble(("lrnet: ", "bold red"), line))
