"""Run `lrnet detect` on the corpus of bad inputs and count the outcomes of each kind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from tests.bad_inputs.make import make

LIMITS: Final = ("--limit", "decode-seconds=20", "--limit", "stall-seconds=10")
LONGEST: Final = 20.0 + 10.0  # seconds that one input may take
FAULTS: Final = frozenset({"InternalError", "EngineError", "DecoderDiedError", "no answer"})
"""Outcomes that no input may have."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input.

    Attributes:
        verdict: its state, if there is one. error: the class of the error otherwise.
        message: of the error. seconds: that judging took; 0 for an error.
    """

    kind: str
    name: str
    verdict: str = ""
    error: str = ""
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of the corpus.

    Attributes:
        outcomes: of each input. connections: to the address that inputs name.
        left: files that were not there before, other than the result. seconds: of `lrnet detect` in all.
    """

    outcomes: tuple[Outcome, ...]
    connections: int
    left: tuple[str, ...]
    seconds: float

    def faults(self) -> list[str]:
        """What must not be, in words."""
        found = [f"{o.kind}/{o.name!r}: {o.error} {o.message}" for o in self.outcomes if o.error in FAULTS]
        found += [f"{o.kind}/{o.name!r} took {o.seconds:.0f} s" for o in self.outcomes if o.seconds > LONGEST]
        found += [f"left behind: {path}" for path in self.left]
        return found + ([f"{self.connections} connections"] if self.connections else [])


def judge(
    work: Path, arguments: Sequence[str] = (), which: Callable[[Sequence[Path]], Sequence[Path]] = list
) -> Judged:
    """Make the corpus below `work`, an empty folder, and judge it in one batch, as a user would.

    Args:
        arguments: further ones of `lrnet detect`.
        which: chooses among the inputs.
    """
    corpus, temporary, home, result = work / "corpus", work / "tmp", work / "home", work / "results.json"
    for folder in (corpus, temporary, home):
        folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        inputs = which(make(corpus, f"127.0.0.1:{listening.getsockname()[1]}"))
        before = {path for path in work.rglob("*")}
        began = perf_counter()
        command = "from lrnet.cli import main; main()"
        path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
        done = subprocess.run(
            [sys.executable, "-c", command, "detect", "-q", "--json", str(result), *LIMITS, *arguments, "--"]
            + [os.fspath(path) for path in inputs],
            cwd=work,
            env={**os.environ, "TMPDIR": str(temporary), "HOME": str(home), "PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=900,
        )
        seconds = perf_counter() - began
        if not result.exists():
            raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
        left = sorted(str(path.relative_to(work)) for path in set(work.rglob("*")) - before - {result})
        connections = _connections(listening)
    return Judged(tuple(_outcomes(inputs, result)), connections, tuple(left), seconds)


def _connections(listening: socket.socket) -> int:
    listening.setblocking(False)
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def _outcomes(inputs: Sequence[Path], result: Path) -> list[Outcome]:
    told = json.loads(result.read_text(encoding="utf-8"))
    verdicts = {part["video"]["path"]: part for part in told["results"]}
    failures = {part["path"]: part for part in told["failures"]}
    found: list[Outcome] = []
    for path in inputs:
        kind, name = path.parent.name, path.name
        written = os.fspath(path).encode("utf-8", "backslashreplace").decode()  # as the JSON has it
        if (part := verdicts.get(written)) is not None:
            found.append(Outcome(kind, name, part["verdict"]["state"], seconds=part["elapsed_seconds"]))
        elif (part := failures.get(written)) is not None:
            found.append(Outcome(kind, name, error=part["error"], message=part["message"]))
        else:
            found.append(Outcome(kind, name, error="no answer"))
    return found


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line of Markdown for each kind, and one for all."""
    lines = ["| kind | inputs | verdicts | typed errors |", "|---|---|---|---|"]
    for kind in dict.fromkeys(o.kind for o in outcomes):
        lines.append(_row(kind, [o for o in outcomes if o.kind == kind]))
    return [*lines, _row("all", outcomes)]


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    verdicts = Counter(o.verdict for o in outcomes if o.verdict)
    errors = Counter(o.error for o in outcomes if o.error)
    return f"| {name} | {len(outcomes)} | {_counted(verdicts)} | {_counted(errors)} |"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
