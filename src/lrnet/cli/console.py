"""What every command prints alike."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lrnet.errors import LrnetError


def console_error(error: LrnetError) -> None:
    """One line: what happened and what to do."""
    from lrnet.report.wording import readable

    said = readable(" ".join(str(error).split()))  # it may quote a name that somebody else chose
    Console(stderr=True, soft_wrap=True).print(Text.assemble(("lrnet: ", "bold red"), said))
