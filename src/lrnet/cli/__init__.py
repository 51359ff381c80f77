"""The command line: a thin skin over the functions that a library user calls."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command that was typed and end with its exit code; no stack trace reaches the user."""
    from lrnet.cli.app import app, console_error
    from lrnet.errors import LrnetError, MissingDependencyError
    from lrnet.extras import install_command

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files and people may hold what no encoding can say
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
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
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away; keep the interpreter from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _extra_of(module: str | None) -> tuple[str, ...]:
    """The extra that brings a module; none for what the package itself needs."""
    from lrnet.extras import MODULES

    extra = MODULES.get((module or "").partition(".")[0])
    return () if extra is None else (extra,)
