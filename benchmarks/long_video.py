"""Whether memory grows with the length of a video: `python benchmarks/long_video.py VIDEO [--minutes 5 60]`.

The video is repeated, its packets copied and not encoded again, until it has each of the lengths; each is judged by
`lrnet detect` in a process of its own. Prints its peak memory, and the last as a multiple of the first. An hour at
1080p takes two cores some quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

MIB = 2**20


def repeat(source: Path, target: Path, seconds: float) -> None:
    """Write the video's packets over and over, until they last so long."""
    with av.open(str(target), "w") as written:
        out, offset, step = None, 0, 0
        while out is None or float(offset * step) < seconds:
            with av.open(str(source)) as read:
                stream = read.streams.video[0]
                assert stream.time_base is not None
                if out is None:
                    out, step = written.add_stream_from_template(stream), stream.time_base
                end = offset
                for packet in read.demux(stream):
                    if packet.dts is None or packet.pts is None:
                        continue  # the empty packet at the end
                    packet.stream = out
                    end = max(end, offset + packet.pts + (packet.duration or 0))
                    packet.pts += offset
                    packet.dts += offset
                    written.mux(packet)
                offset = end


def peak_memory(video: Path) -> tuple[int, float]:
    """Peak resident bytes of `lrnet detect`, and the seconds it took."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "lrnet", "detect", str(video)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"lrnet detect ended with {process.returncode}")
    return used.ru_maxrss * 1024, time.perf_counter() - began  # Linux counts in KiB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[5, 60])
    args = parser.parse_args()
    peaks = []
    for minutes in args.minutes:
        with tempfile.TemporaryDirectory() as folder:
            long = Path(folder) / f"{minutes:g}-minutes{args.video.suffix}"
            repeat(args.video, long, 60 * minutes)
            peak, seconds = peak_memory(long)
        peaks.append(peak)
        print(f"{minutes:g} minutes: {peak / MIB:.0f} MiB at most, judged in {seconds / 60:.1f} minutes", flush=True)
    print(f"the last takes {peaks[-1] / peaks[0]:.3f} times the memory of the first")


if __name__ == "__main__":
    main()
