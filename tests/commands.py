"""`lrnet` in this process: starting Python and importing PyTorch for every command takes minutes."""

from __future__ import annotations

import io
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess
from unittest.mock import patch

from lrnet.cli import main


def lrnet(*arguments: object, cwd: Path | None = None, columns: int = 80) -> CompletedProcess[str]:
    """Run a command as a user types it; exit code, standard output and standard error."""
    command = ["lrnet", *map(str, arguments)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    environment = patch.dict(os.environ, {"NO_COLOR": "1", "COLUMNS": str(columns)})
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd or "."), environment, patch.object(sys, "argv", command):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return CompletedProcess(command, code, *texts)
