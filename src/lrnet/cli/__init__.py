"""The command line: a thin skin over the functions that a library user calls."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

READER_GONE: Final = 141  # exit code of SIGPIPE in a shell: the reader of the output went away, as `head` does


def main() -> None:
    """Run the command that was typed and end with its exit code.

    An `LrnetError` is printed in one line; only a fault of lrnet's own, outside of a batch, shows a stack trace.
    """
    try:
        _run()
    except KeyboardInterrupt:  # the imports take a second in which it may come too
        sys.exit(130)


def _run() -> None:
    from rich.console import Console

    from lrnet.cli.app import app
    from lrnet.cli.console import console_error
    from lrnet.errors import LrnetError, MissingDependencyError
    from lrnet.extras import install_command

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may hold characters that cannot be encoded
            stream.reconfigure(errors="backslashreplace")
    Console.on_broken_pipe = _reader_gone  # type: ignore[assignment, method-assign]
    stdout = sys.stdout
    try:
        app()
    except SystemExit:
        if sys.stdout is not stdout:  # typer replaces it when its reader went away, and exits with 1
            sys.exit(READER_GONE)
        raise
    except LrnetError as error:
        console_error(error)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        missing = MissingDependencyError(
            f"This command needs the package {error.name}, which is not installed.",
            hint=f"Install it: {install_command(*_extra_of(error.name))}",
        )
        console_error(missing)
        sys.exit(missing.exit_code)


def _reader_gone(console: Console) -> None:
    # As rich does, to avoid a message at exit; but rich exits with 1, the code of an internal fault.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(READER_GONE)


def _extra_of(module: str | None) -> tuple[str, ...]:
    """The extra that contains a module; () for the package's own dependencies."""
    from lrnet.extras import MODULES

    extra = MODULES.get((module or "").partition(".")[0])
    return () if extra is None else (extra,)
