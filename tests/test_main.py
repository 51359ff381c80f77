"""`python -m lrnet`."""

import subprocess
import sys

import lrnet


def test_the_package_runs_as_a_module():
    ran = subprocess.run([sys.executable, "-m", "lrnet", "--version"], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, f"lrnet {lrnet.__version__}", "")
