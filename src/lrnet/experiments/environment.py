"""Shared by measurements: command line, detector, worker processes, versions and machine, checks of a folder."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, TypeVar

from lrnet.data import store
from lrnet.data.store import StoredVideo
from lrnet.detector import Detector
from lrnet.errors import LrnetError, MissingDependencyError, OutputError
from lrnet.extras import install_command
from lrnet.files import require_writable
from lrnet.network.registry import DEFAULT_MODEL
from lrnet.version import __version__, library_versions

Item = TypeVar("Item")
Found = TypeVar("Found")


def parser(module: str | None, *shared: str) -> argparse.ArgumentParser:
    """A command line whose help is a module's docstring, with some of the options that measurements share."""
    found = argparse.ArgumentParser(description=module, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in shared:
        found.add_argument(f"--{name}", **SHARED[name])
    return found


SHARED: Final[dict[str, dict[str, Any]]] = {
    "model": {"default": DEFAULT_MODEL},
    "split": {"default": "", "help": "only videos of this split"},
    "workers": {"type": int, "default": 2},
}


def stored(folder: Path, split: str = "") -> list[StoredVideo]:
    """The videos of a landmark store, or of one of its splits."""
    return [v for v in store.open(folder) if split in ("", v.record.split)]


def run(main: Callable[[], None]) -> None:
    """Run a measurement; an error of lrnet ends it with its message, its next step and its exit code."""
    try:
        main()
    except LrnetError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error


def each(job: Callable[[Item], Found], items: Sequence[Item], workers: int) -> Iterator[Found]:
    """The result of each item, in order, from worker processes. Counts on standard error."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, found in enumerate(pool.map(job, items), 1):
            print(f"{number} of {len(items)}", end="\r", file=sys.stderr, flush=True)
            yield found


def in_own_process(work: Callable[..., Found], *arguments: Any) -> Found:
    """What `work` returns, from a fresh process: the peak of memory there is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


@cache
def detector(model: str = DEFAULT_MODEL) -> Detector:
    """A detector on one thread, loaded once in a process, for workers."""
    return Detector(model, threads=1)


def software(*more: str) -> dict[str, str]:
    """Versions of lrnet, Python and the libraries that detection needs, and of `more` packages."""
    libraries = ("numpy", "opencv-python-headless", "onnxruntime", "av", *more)
    return {"lrnet": __version__, "python": platform.python_version()} | library_versions(libraries, "not installed")


def peak_memory() -> float:
    """Of this process, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def machine() -> dict[str, str | int]:
    """Name of the processor, number of cores and operating system."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {"processor": name, "cores": os.cpu_count() or 1, "system": platform.system()}


def prepare(folder: Path, names: Iterable[str]) -> None:
    """Check before the work that files and figures can be written to a folder after it; it need not exist.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: the folder or a file in it cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "The figure needs matplotlib, which is not installed.",
            hint=f"Leave --out off, and the table is printed; or install it: {install_command('benchmark')}",
        )
    if not folder.exists():
        require_writable(folder)
    elif not folder.is_dir():
        raise OutputError(f"{folder} is not a folder.", hint="Give the name of a folder.")
    else:
        for name in names:
            require_writable(folder / name)
