"""Kill an extraction again and again, let it go on, and compare the store with one that was never disturbed.

usage: kill_and_resume.py SOURCE WORK [--kills 3] [--workers N] [--seed 0]

SOURCE is any dataset that `lrnet extract` reads, WORK a folder for the stores. Three runs:

1. undisturbed, on worker processes: WORK/undisturbed (taken as it is if it is there already);
2. the same, but the extracting process is killed with SIGKILL at `--kills` random moments and started again:
   WORK/killed. Its workers are not killed: they have to end by themselves;
3. the same on a local Ray cluster, of which a worker process is killed with SIGKILL in the middle: WORK/ray.

Fails unless the stores are equal byte for byte, and no file that was there at a kill was written again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def command(source: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "lrnet", "extract", str(source), "--out", str(out), *options]


def files_of(store: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of writing of every file of a store."""
    found = {}
    for path in store.glob("*.parquet"):
        if not path.name.startswith("."):
            about = path.stat()
            found[path.name] = (about.st_ino, about.st_mtime_ns)
    return found


def differences(a: Path, b: Path) -> list[str]:
    """Names of files that two stores do not have alike, ledger included."""
    names = {p.relative_to(s) for s in (a, b) for p in s.rglob("*") if p.is_file() and p.name != ".lock"}
    return sorted(
        str(n)
        for n in names
        if not ((a / n).is_file() and (b / n).is_file()) or (a / n).read_bytes() != (b / n).read_bytes()
    )


def descendants(pid: int) -> list[tuple[int, str]]:
    """Process ids and command lines of a process's children, their children, and so on (Linux)."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            break
        found |= more
    lines = []
    for child in found - {pid}:
        try:
            lines.append((child, Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()))
        except OSError:
            continue
    return lines


def wait_for(store: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and len(files_of(store)) < count:
        time.sleep(0.05)


def alive(pids: list[int]) -> list[int]:
    living = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            living.append(pid)
    return living


def kill_extraction(
    source: Path, out: Path, workers: str, after: int, chance: random.Random
) -> dict[str, tuple[int, int]]:
    """Start, kill once some more videos are there and at a random moment after; the files that were there then."""
    before = len(files_of(out))
    with subprocess.Popen(command(source, out, "--workers", workers, "--quiet"), stdout=subprocess.DEVNULL) as process:
        wait_for(out, before + after, process)
        time.sleep(chance.uniform(0, 2))
        children = [pid for pid, _ in descendants(process.pid)]
        process.send_signal(signal.SIGKILL)
        process.wait()
    there = files_of(out)
    time.sleep(2)
    left = alive(children)
    print(f"killed with {len(there)} videos stored; processes left of it after two seconds: {len(left)}", flush=True)
    if left:
        raise SystemExit(f"workers outlive the extraction: {left}")
    return there


def disturbed(source: Path, out: Path, args: argparse.Namespace, total: int) -> list[str]:
    chance = random.Random(args.seed)
    share = max(1, total // (args.kills + 1))
    snapshots = [
        kill_extraction(source, out, str(args.workers), chance.randint(1, share), chance) for _ in range(args.kills)
    ]
    subprocess.run(command(source, out, "--workers", str(args.workers), "--quiet"), check=True)
    end = files_of(out)
    return sorted({name for shot in snapshots for name, about in shot.items() if end.get(name) != about})


def with_a_ray_worker_killed(source: Path, out: Path, args: argparse.Namespace, total: int) -> None:
    options = ("--engine", "ray", "--workers", str(args.workers), "--quiet")
    with subprocess.Popen(command(source, out, *options)) as process:
        wait_for(out, total // 2, process)
        at_work = [pid for pid, line in descendants(process.pid) if line.startswith("ray::attempt")]
        if not at_work:
            raise SystemExit("no Ray worker was found at work")
        os.kill(at_work[0], signal.SIGKILL)
        print(f"killed one of {len(at_work)} Ray workers with {len(files_of(out))} videos stored", flush=True)
        if process.wait():
            raise SystemExit(f"the run on Ray ended with {process.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    whole = args.work / "undisturbed"
    subprocess.run(command(args.source, whole, "--workers", str(args.workers), "--quiet"), check=True)
    total = len(files_of(whole))
    again = disturbed(args.source, args.work / "killed", args, total)
    different = differences(whole, args.work / "killed")
    print(
        f"after {args.kills} kills: {len(different)} of {total} files differ, {len(again)} were written twice",
        flush=True,
    )
    with_a_ray_worker_killed(args.source, args.work / "ray", args, total)
    different_on_ray = differences(whole, args.work / "ray")
    print(f"on Ray, a worker killed: {len(different_on_ray)} of {total} files differ", flush=True)
    if again or different or different_on_ray:
        raise SystemExit(f"not equal: {again + different + different_on_ray}")


if __name__ == "__main__":
    main()
