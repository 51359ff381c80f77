"""Every engine does the same: outcomes of all items, errors as values, lost workers tried again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrnet.data.engines import Engine, LocalEngine, SerialEngine, engine_by_name
from lrnet.data.engines.base import ATTEMPTS
from lrnet.errors import EngineError, InternalError, UsageError, VideoError
from tests.data.engines import jobs

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def ray_engine() -> Iterator[Engine]:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    from lrnet.data.engines.ray import RayEngine

    engine = RayEngine(workers=2)
    yield engine
    engine.close()


@pytest.fixture(params=["serial", "local", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "ray":
        found: Engine = request.getfixturevalue("ray_engine")
        return found
    return SerialEngine() if request.param == "serial" else LocalEngine(2)


def test_every_item_has_one_outcome_and_errors_are_values(engine: Engine) -> None:
    items = [3, -1, 13, *range(4, 12)]
    outcomes = sorted(engine.run(jobs.square, iter(items)), key=lambda o: o.index)
    assert [o.item for o in outcomes] == items
    assert [o.result for o in outcomes] == [9, None, None, *(n * n for n in range(4, 12))]
    assert isinstance(outcomes[1].error, VideoError)
    assert str(outcomes[1].error) == "-1 is negative. Give a number from 0."
    assert isinstance(outcomes[2].error, InternalError)
    assert "ZeroDivisionError: thirteen" in str(outcomes[2].error)


def test_a_worker_forgets_the_error_of_an_item() -> None:
    outcomes = list(LocalEngine(1).run(jobs.fail_once, [0, 1]))
    assert isinstance(outcomes[0].error, VideoError)
    assert outcomes[1].result is False


def test_nothing_to_do_is_done_at_once(engine: Engine) -> None:
    assert list(engine.run(jobs.square, [])) == []


@pytest.mark.parametrize("name", ["local", "ray"])
def test_a_lost_worker_is_replaced_and_its_item_tried_again(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    engine = request.getfixturevalue("ray_engine") if name == "ray" else LocalEngine(2)
    outcomes = list(engine.run(jobs.DieOn(tmp_path, item=2), range(6)))
    assert sorted(o.result for o in outcomes) == list(range(6))
    assert (tmp_path / "tried-2").stat().st_size == 2
    assert all((tmp_path / f"tried-{n}").stat().st_size == 1 for n in (0, 5))


@pytest.mark.parametrize("name", ["local", "ray"])
def test_an_item_that_always_kills_its_worker_is_given_up(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    engine = request.getfixturevalue("ray_engine") if name == "ray" else LocalEngine(2)
    outcomes = {o.item: o for o in engine.run(jobs.DieOn(tmp_path, item=1, always=True), range(4))}
    assert (tmp_path / "tried-1").stat().st_size == ATTEMPTS
    assert isinstance(outcomes[1].error, EngineError)
    assert sorted(o.result for o in outcomes.values() if o.error is None) == [0, 2, 3]


def test_a_worker_keeps_what_it_loaded() -> None:
    results = [o.result for o in LocalEngine(2).run(jobs.process_and_call, range(12))]
    calls = Counter(pid for pid, _ in filter(None, results))
    assert len(calls) == 2
    assert os.getpid() not in calls
    assert all(max(n for p, n in filter(None, results) if p == pid) == count for pid, count in calls.items())


def test_a_result_that_cannot_travel_is_an_error() -> None:
    (outcome,) = LocalEngine(1).run(jobs.unpicklable, [1])
    assert isinstance(outcome.error, InternalError)


def test_items_are_taken_as_workers_become_free() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(100):
            taken.append(n)
            yield n

    running = LocalEngine(2).run(jobs.square, items())
    next(running)
    assert len(taken) <= 4
    running.close()  # type: ignore[attr-defined]


def started(folder: Path, count: int) -> list[int]:
    """Process ids of the jobs that have begun."""
    for _ in range(1200):
        found = [int(p.name.rpartition("-")[2]) for p in folder.iterdir()]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError("the jobs did not start")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from lrnet.data.engines import LocalEngine\n"
        "from tests.data.engines.jobs import SleepAndSay\n"
        f"if __name__ == '__main__': list(LocalEngine(2).run(SleepAndSay(Path({str(tmp_path)!r})), range(2)))"
    )
    path = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}) as process:
        pids = started(tmp_path, 2)
        process.send_signal(signal.SIGKILL)
    for _ in range(200):
        if all(map(gone, pids)):
            return
        time.sleep(0.05)
    raise AssertionError("workers outlive the process that asked for their work")


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from lrnet.data.engines import LocalEngine\nfrom lrnet.errors import EngineError\n"
        "from tests.data.engines.jobs import square\n"
        "try:\n    print([o.result for o in LocalEngine(1).run(square, [2])])\n"
        "except EngineError as error:\n    print(error)\n    raise SystemExit(9)\n"
    )
    path = os.pathsep.join(filter(None, (str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
    run = subprocess.run(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert run.returncode == 9, run.stderr
    assert "__main__" in run.stdout


@pytest.mark.parametrize(
    ("name", "address", "message"),
    [("spark", "", "no engine 'spark'"), ("local", "head:6379", "has no address")],
)
def test_engines_that_are_not_there(name: str, address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        engine_by_name(name, address=address)


def test_a_cluster_that_is_not_there() -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")
    with pytest.raises(EngineError, match="No Ray cluster at"):
        engine_by_name("ray", address="not-an-address")
