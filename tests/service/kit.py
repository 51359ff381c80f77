"""A service as a user runs it, and servers to try it against."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.media import write_video

LRNET = Path(sys.executable).parent / "lrnet"
TOKEN = "a-token-of-some-length"


class Running:
    """`lrnet serve` in a process of its own."""

    def __init__(self, data: Path, *options: str, port: int = 0, **environment: str) -> None:
        self.data = data
        self._log = data.parent / f"{data.name}.log"
        self._command = [LRNET, "serve", "--data", str(data), *options]
        self._environment = {**os.environ, "NO_COLOR": "1", **environment}
        self.start(port)

    def start(self, port: int) -> None:
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*self._command, "--port", str(port)], stderr=log, env=self._environment, start_new_session=True
            )
        try:
            wait_for(lambda: "serves at" in self.log or self.process.poll() is not None, 120)
            found = re.search(r"serves at (http://\S+:(\d+))/", self.log)
            assert found, self.log
            self.url, self.port = found[1], int(found[2])
            self.client = httpx.Client(base_url=self.url, timeout=60)
            wait_for(lambda: self.client.get("/health/live").status_code == 204, 120)
        except BaseException:
            self.kill_everything()
            raise

    @property
    def log(self) -> str:
        return self._log.read_text()

    def hand_in(self, video: Path, name: str = "") -> str:
        answer = self.client.post("/v1/videos", params={"name": name or video.name}, content=video.read_bytes())
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def video(self, video: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/videos/{video}").json()
        return found

    def finished(self, video: str, seconds: float = 200) -> dict[str, Any]:
        wait_for(lambda: self.video(video)["state"] in ("done", "failed"), seconds)
        return self.video(video)

    def metric(self, name: str) -> float:
        text = self.client.get("/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}(\{{|\s)", line))

    def processes(self) -> list[int]:
        """Of the whole service but its first one: children and theirs."""
        return [pid for pid in descendants(self.process.pid)]

    def worker(self) -> int:
        """The worker process: the one that has a judging process below it."""
        for pid in children(self.process.pid):
            if any("spawn_main" in command_line(child) for child in children(pid)):
                return pid
        raise AssertionError("no worker is judging")

    def kill_everything(self) -> None:
        for pid in [self.process.pid, *self.processes()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            self.kill_everything()


@contextmanager
def running(data: Path, *options: str, **environment: str) -> Iterator[Running]:
    service = Running(data, *options, **environment)
    try:
        yield service
    finally:
        service.stop()


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def descendants(pid: int) -> list[int]:
    return [p for child in children(pid) for p in (child, *descendants(child))]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_for(ready: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so; an AssertionError if it does not come."""
    ends = time.monotonic() + seconds
    while True:
        with suppress(httpx.TransportError):
            if ready():
                return
        assert time.monotonic() < ends, f"not within {seconds} s"
        time.sleep(0.1)  # each look costs the service a request


def short_clip(source: Path, folder: Path, frames: int = 40) -> Path:
    """The first frames of a video; with 30 or more there is a clip to score."""
    from lrnet.video.reader import VideoReader

    with VideoReader(source) as reader:
        pictures = [frame.rgb() for frame, _ in zip(reader, range(frames), strict=False)]
    return write_video(folder / f"short-{source.name}", pictures)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own on a socket; its address."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    # The server refuses to run as root, and another user cannot get into pytest's folders.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="lrnet-pg-", ignore_cleanup_errors=True) as folder:
        if as_user:
            shutil.chown(folder, "postgres")

        def call(program: str, *options: str) -> None:
            command = [*as_user, str(found[-1].parent / program), "-D", f"{folder}/data", *options]
            subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL, cwd=folder)

        call("initdb", "-U", "lrnet", "--auth=trust", "--no-sync", "-E", "UTF8")
        settings = f"-c listen_addresses='' -c fsync=off -k {folder}"
        call("pg_ctl", "-w", "-o", settings, "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql://lrnet@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
