"""`lrnet` in this process: starting Python and importing PyTorch for every command takes minutes."""

from __future__ import annotations

import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from lrnet.cli import main


def lrnet(*arguments: object, cwd: Path | None = None, columns: int = 80) -> CompletedProcess[str]:
    """Run a command as a user types it; exit code, standard output and standard error."""
    command = ["lrnet", *map(str, arguments)]
    out, err = StringIO(), StringIO()
    environment = patch.dict(os.environ, {"NO_COLOR": "1", "COLUMNS": str(columns)})
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd or "."), environment, patch.object(sys, "argv", command):
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code
    return CompletedProcess(
        command, code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue()
    )
