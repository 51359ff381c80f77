"""How quick the page stays under load: `python benchmarks/service_load.py [VIDEO] [--videos N] [--workers N]`.

Starts a service, hands N copies of a video in at once, and asks for the page, the history and what the service is, over
and over, until all are judged. Prints the median, the 95th percentile and the longest time of an answer, for an idle
service and for the busy one, and how long the videos took.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
ASKED = ("/", "/v1/videos", "/v1/about")


def ask(client: httpx.Client) -> list[float]:
    """Seconds that each of the answers took."""
    times = []
    for path in ASKED:
        began = time.perf_counter()
        client.get(path).raise_for_status()
        times.append(time.perf_counter() - began)
    return times


def told(name: str, times: list[float]) -> str:
    ordered = sorted(times)
    middle, most, last = (1e3 * t for t in (ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))], ordered[-1]))
    return f"{name}: median {middle:.0f} ms, 95 % {most:.0f} ms, longest {last:.0f} ms ({len(times)} requests)"


def judged(client: httpx.Client) -> int:
    return int(client.get("/v1/videos", params={"state": "done", "limit": 1}).json()["total"])


def measure(address: str, video: Path, count: int) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        while client.get("/health/ready").status_code != 200:
            time.sleep(0.1)
        print(told("idle", [t for _ in range(50) for t in ask(client)]))
        data = video.read_bytes()

        def hand_in(name: str) -> None:
            httpx.post(f"{address}/v1/videos", params={"name": name}, content=data, timeout=600).raise_for_status()

        uploads = [threading.Thread(target=hand_in, args=(f"{i}.mp4",)) for i in range(count)]
        began = time.perf_counter()
        for upload in uploads:
            upload.start()
        times: list[float] = []
        while judged(client) < count:
            times += ask(client)
            time.sleep(0.05)
        print(told("busy", times))
        print(f"{count} videos judged in {time.perf_counter() - began:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path, default=ROOT / "examples" / "real.mp4")
    parser.add_argument("--videos", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from lrnet.cli import main; main()", "serve", "--port", "0", "--data", folder]
        service = subprocess.Popen([*command, "--workers", str(wanted.workers)], stderr=subprocess.PIPE, text=True)
        try:
            assert service.stderr is not None
            address = re.search(r"(http://\S+)/", service.stderr.readline())
            if address is None:
                sys.exit("the service did not start")
            threading.Thread(target=service.stderr.read, daemon=True).start()
            measure(address[1], wanted.video, wanted.videos)
        finally:
            service.terminate()
            service.wait(30)


if __name__ == "__main__":
    main()
