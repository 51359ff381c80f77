"""Compare the frames and times that lrnet reads with those that ffprobe lists."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lrnet.errors import LrnetError
from lrnet.video.reader import VideoReader

CLOSE: Final = 2e-3  # seconds
COMMAND: Final = ["ffprobe", "-v", "error", "-of", "json", "-select_streams", "v:0"]
SHOWN: Final = ["-show_entries", "frame=best_effort_timestamp_time"]


def listed(path: Path) -> list[float | None]:
    """The times of the frames that ffprobe lists, seconds; None where it knows none. Empty if it cannot read them."""
    try:
        done = subprocess.run([*COMMAND, *SHOWN, f"file:{path}"], capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return []
    frames = json.loads(done.stdout or "{}").get("frames", [])
    times = [frame.get("best_effort_timestamp_time") for frame in frames]
    return [None if time is None else float(time) for time in times]


def compare(paths: Iterable[Path]) -> list[str]:
    """A line of Markdown for each file that ffprobe can read and that differs, and one for all."""
    lines, read = ["| file | frames: ffprobe, lrnet (damaged) | last time: ffprobe, lrnet |", "|---|---|---|"], 0
    for path in paths:
        if not path.is_file() or path.stat().st_size > 1e9 or not (theirs := listed(path)):
            continue
        read += 1
        count = damaged = 0
        last, error = None, ""
        try:
            with VideoReader(path) as reader:
                for frame in reader.decode():
                    last = frame.time
                count, damaged = reader.frames, reader.damaged
        except LrnetError as raised:
            error = type(raised).__name__
        same = last is not None and theirs[-1] is not None and abs(last - theirs[-1]) < CLOSE
        if error or count != len(theirs) or not same:
            ours = error or f"{count} ({damaged})"
            name = f"{path.parent.name}/{path.name}"
            time = None if last is None else round(last, 3)
            lines.append(f"| `{name}` | {len(theirs)}, {ours} | {theirs[-1]}, {time} |")
    return [*lines, "", f"{read} files that ffprobe can read, {len(lines) - 2} differ."]
