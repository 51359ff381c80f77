"""Does watching keep up, and does its memory stay? `python benchmarks/live_watch.py VIDEO [--minutes 30]`.

The video is made 1280 x 720 and played at 30 frames a second, each picture once, looped in real time by FFmpeg, and
judged by `lrnet watch -`.
Prints, for each fifth of the run, frames examined a second, lag, seconds left out, and the process's memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

MIB = 2**20
PARTS = 5


def resident(pid: int) -> float:
    """Memory of a process, MiB; NaN once it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return float("nan")
    return pages * 4096 / MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        looped = Path(folder, "720p.ts")
        how = ["-vf", "scale=1280:720,setpts=N/(30*TB)", "-r", "30", "-c:v", "libx264", "-preset", "veryfast"]
        subprocess.run(["ffmpeg", "-v", "error", "-i", args.video, *how, "-g", "60", "-an", looped], check=True)
        play = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(looped), "-c", "copy"]
        source = subprocess.Popen([*play, "-t", str(60 * args.minutes), "-f", "mpegts", "-"], stdout=subprocess.PIPE)
        watch = subprocess.Popen(
            [sys.executable, "-m", "lrnet", "watch", "-", "--json"],
            stdin=source.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert watch.stdout is not None
        rows = []
        for line in watch.stdout:
            event = json.loads(line)
            if event["event"] == "verdict":
                figures = (event["frames_per_second"], event["lag"], event["seconds_left_out"], resident(watch.pid))
                rows.append((event["time"], *figures))
        source.wait()
        print(f"exit code {watch.wait()}")
    table = np.array(rows)
    print("| minutes | frames/s, median | lag, median and largest, s | left out by then, s | memory, MiB |")
    print("|---|---|---|---|---|")
    for part in np.array_split(table, PARTS):
        time, rate, lag, left, memory = part.T
        print(
            f"| {time[-1] / 60:.1f} | {np.median(rate):.1f} | {np.median(lag):.2f}, {lag.max():.2f} | {left[-1]:.1f} "
            f"| {np.nanmax(memory):.0f} |"
        )


if __name__ == "__main__":
    main()
