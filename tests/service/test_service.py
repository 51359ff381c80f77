"""The whole service as a user runs it: killed, loaded, fuzzed, spread over processes."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.service.kit import (
    LRNET,
    TOKEN,
    Running,
    alive,
    children,
    command_line,
    descendants,
    postgres,
    running,
    short_clip,
    wait_for,
)


@pytest.fixture(scope="module")
def clip(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_clip(examples / "real.mp4", tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all tests that leave it running, or start it again: to start one takes seconds."""
    data = tmp_path_factory.mktemp("service") / "data"
    with running(data, "--workers", "1", "--lease-seconds", "2", "--no-overlay") as service:
        yield service
        assert "Traceback" not in service.log


def test_ten_uploads_at_once_are_all_judged_and_the_page_stays_quick(
    service: Running, examples: Path, tmp_path: Path
) -> None:
    clip = short_clip(examples / "real.mp4", tmp_path, 10)
    before = service.metric("lrnet_judged_total")
    videos: list[str] = []
    uploads = [threading.Thread(target=lambda i=i: videos.append(service.hand_in(clip, f"{i}.mp4"))) for i in range(10)]
    times: list[float] = []
    for upload in uploads:
        upload.start()
    with httpx.Client(base_url=service.url) as visitor:
        ends = time.monotonic() + 240
        while len(videos) < 10 or service.metric("lrnet_judged_total") < before + 10:
            for path in ("/", "/v1/videos", "/v1/about"):
                began = time.perf_counter()
                assert visitor.get(path).status_code == 200
                times.append(time.perf_counter() - began)
            assert time.monotonic() < ends
            time.sleep(0.3)  # a visitor, not a load
    assert len(set(videos)) == 10
    assert {service.video(video)["state"] for video in videos} == {"done"}
    # The median: the machine may be busy with other things. benchmarks/service_load.py prints the rest.
    assert statistics.median(times) < 0.2


def test_a_video_whose_worker_is_killed_is_judged_once(service: Running, examples: Path, tmp_path: Path) -> None:
    clip = short_clip(examples / "fake.mp4", tmp_path, 75)
    before = service.metric("lrnet_judged_total")
    video = service.hand_in(clip)
    wait_for(lambda: service.video(video)["progress"] is not None, 60)  # in the middle of its work
    worker = service.worker()
    judging = descendants(worker)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in judging), 10)  # nothing goes on for nobody
    done = service.finished(video)
    assert (done["state"], done["attempts"]) == ("done", 2), done
    assert done["verdict"]["state"] != "not_applicable"
    assert service.metric("lrnet_judged_total") == before + 1
    assert len(list((service.data / "results" / video).iterdir())) == 1
    assert service.client.get(done["links"]["report"]).status_code == 200


def test_deleting_a_video_that_is_judged_ends_its_process(service: Running, examples: Path) -> None:
    before = service.metric("lrnet_judged_total")
    video = service.hand_in(examples / "real.mp4")
    wait_for(lambda: (service.video(video)["progress"] or {}).get("frames", 0) > 0, 60)
    worker = service.worker()
    judging = [pid for pid in children(worker) if "spawn_main" in command_line(pid)]
    assert service.client.delete(f"/v1/videos/{video}").status_code == 204
    wait_for(lambda: not any(alive(pid) for pid in judging), 10)
    wait_for(lambda: not (service.data / "results" / video).exists(), 5)
    assert service.metric("lrnet_judged_total") == before


def test_a_service_that_is_told_to_end_puts_its_video_back(service: Running, clip: Path) -> None:
    video = service.hand_in(clip)
    wait_for(lambda: service.video(video)["state"] == "running", 30)
    pids = service.processes()
    assert service.stop() == 0
    wait_for(lambda: not any(alive(pid) for pid in pids), 5)  # decoders end when they find nobody asking
    assert "Traceback" not in service.log
    service.start(0)
    done = service.finished(video)
    assert (done["state"], done["attempts"]) == ("done", 1)  # a lease that ran out would have counted


def test_a_worker_alone_works_for_a_service_over_postgresql(clip: Path, tmp_path: Path) -> None:
    with postgres() as database:
        places = {"LRNET_DATABASE": database}
        with running(tmp_path / "data", "--workers", "0", **places) as service:
            video = service.hand_in(clip)
            assert service.client.get("/health/ready").status_code == 503  # nobody is there to work
            command = [LRNET, "worker", "--workers", "1", "--data", str(service.data), "--no-overlay"]
            worker = subprocess.Popen(command, env={**os.environ, **places}, stderr=subprocess.PIPE, text=True)
            try:
                done = service.finished(video)
                assert done["state"] == "done", done
                assert service.client.get("/health/ready").status_code == 200
                assert service.client.get(done["links"]["overlay"]).json()["error"] == "not_made"
            finally:
                worker.terminate()
                assert worker.wait(20) == 0, worker.communicate()[1]
            assert list(service.data.glob("*.sqlite3")) == []


def test_no_request_brings_out_a_server_error_or_an_undescribed_answer(service: Running, tmp_path: Path) -> None:
    wait_for(lambda: service.client.get("/health/ready").status_code == 200, 20)
    command = [Path(sys.executable).parent / "schemathesis", "run", f"{service.url}/openapi.json", "--no-color"]
    command += ["--checks", "all", "--max-examples", "5", "--workers", "2", "--request-timeout", "10", "--seed", "1"]
    command += ["--phases", "coverage,fuzzing", "--suppress-health-check", "all"]
    command += ["--exclude-path", "/v1/events"]  # it does not end
    run = subprocess.run(command, capture_output=True, text=True, timeout=250, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stdout[-4000:]
    assert "Traceback" not in service.log


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--host", "0.0.0.0"], 10, "no token"),
        (["--host", "::"], 10, "no token"),
        (["--host", "192.0.2.1", "--token-file", "TOKEN"], 10, "Cannot listen"),
        (["--host", "0.0.0.0", "--token-file", "TOKEN"], 10, "--allow-host"),
        (["--token-file", "EMPTY"], 10, "is empty"),
        (["--token-file", "SHORT"], 10, "fewer than 16"),
        (["--token-file", "/no/such/file"], 10, "cannot be read"),
        (["--data", "TOKEN"], 10, "cannot be used"),
        (["--database", "mysql"], 10, "database address"),
        (["--database", "postgresql://127.0.0.1:1/x"], 10, "cannot be used"),
        (["--model", "nonesuch"], 6, "lrnet-mesh-v2"),
        (["--port", "70000"], 2, "65535"),
    ],
)
def test_wrong_uses_end_with_a_line_and_a_code(tmp_path: Path, options: list[str], code: int, says: str) -> None:
    from typer.testing import CliRunner

    from lrnet.cli.app import app
    from lrnet.errors import LrnetError

    for name, text in (("TOKEN", TOKEN), ("EMPTY", "\n"), ("SHORT", "abc")):
        (tmp_path / name).write_text(text)
    given = [str(tmp_path / option) if option.isupper() else option for option in options]
    run = CliRunner().invoke(app, ["serve", "--port", "0", "--data", str(tmp_path / "data"), *given])
    if code == 2:
        assert run.exit_code == 2
        assert says in run.output
    else:
        assert isinstance(run.exception, LrnetError), run.output
        assert run.exception.exit_code == code
        assert says in str(run.exception)


def test_an_address_that_is_taken_is_told(service: Running, tmp_path: Path) -> None:
    command = [LRNET, "serve", "--data", str(tmp_path / "other"), "--port", str(service.port)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 10
    assert run.stderr.count("\n") == 1
    assert "Address already in use" in run.stderr
