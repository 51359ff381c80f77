"""Output that all commands share."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lrnet.errors import LrnetError


def console_error(error: LrnetError) -> None:
    """Print an error in one line, with the next step."""
    from lrnet.report.wording import readable

    line = readable(" ".join(str(error).split()))  # it may quote a stranger's file name
    Console(stderr=True, soft_wrap=True).print(Text.assemble(("lrnet: ", "bold red"), line))
