"""The corpus of bad inputs.

    python -m tests.bad_inputs make FOLDER           make the corpus
    python -m tests.bad_inputs judge                 make it in a temporary folder, judge it, print the table
    python -m tests.bad_inputs judge --no-isolate    the same with the decoder in the judging processes
    python -m tests.bad_inputs compare               count its frames and read its last times as ffprobe does

Run it in the root of the repository. Further options of `judge` go to `lrnet detect`. It ends with code 1 if an input
brought lrnet or its decoder down, was not answered, took too long, opened a connection, or left a file behind.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bad_inputs.compare import compare
from tests.bad_inputs.judge import judge, table
from tests.bad_inputs.make import KINDS, LISTENER, make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="make the corpus")
    making.add_argument("folder", type=Path)
    making.add_argument("--address", default=LISTENER, help="host:port that playlists name")
    commands.add_parser("judge", help="make, judge and count it")
    commands.add_parser("compare", help="compare frames and times with those of ffprobe")
    given, further = parser.parse_known_args()
    if given.command == "judge":
        sys.exit(_judge(further))
    if further:
        parser.error(f"unknown options: {' '.join(further)}")
    if given.command == "compare":
        with tempfile.TemporaryDirectory(prefix="lrnet-bad-") as folder:
            print("\n".join(compare(make(Path(folder)))))
        return
    print(f"{len(make(given.folder, given.address))} inputs of {len(KINDS) + 1} kinds in {given.folder}")


def _judge(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="lrnet-bad-") as folder:
        judged = judge(Path(folder), arguments)
    print("\n".join(table(judged.outcomes)))
    slowest = max(judged.outcomes, key=lambda o: o.seconds)
    print(f"\n{len(judged.outcomes)} inputs in {judged.seconds:.0f} s, the slowest in {slowest.seconds:.1f} s", end="")
    print(f" ({slowest.kind}/{slowest.name!r}); {judged.connections} connections, {len(judged.left)} files left behind")
    faults = judged.faults()
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    main()
