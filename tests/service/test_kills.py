"""Two workers, of which one is killed again and again: every video is judged once, nothing is lost, order is kept."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrnet.service.database import opened
from lrnet.service.folder import Folder
from lrnet.service.rows import JobState
from lrnet.service.settings import Settings
from lrnet.service.worker import Keeper
from tests.service.killable import work
from tests.service.kit import postgres

KILLS = 20
VIDEOS = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
    else:
        with postgres() as url:
            yield url


def test_twenty_kills_lose_nothing_and_judge_nothing_twice(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path, database=database, lease_seconds=1.0, max_attempts=1000)
    claims = tmp_path / "claims"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.service.killable"])

    def start() -> Any:
        process = context.Process(target=work, args=(settings, str(claims)))
        process.start()
        return process

    folder = Folder(tmp_path)
    with opened(settings.database_url) as store:
        numbers = [store.add(f"{i}", "ab" * 32, 7).number for i in range(VIDEOS)]
        workers = [start(), start()]
        try:
            for _ in range(KILLS):
                time.sleep(random.uniform(0.1, 0.7))
                unlucky = random.randrange(2)
                workers[unlucky].kill()
                workers[unlucky].join()
                workers[unlucky] = start()
            ends = time.monotonic() + 100
            while store.states().get(JobState.DONE, 0) < VIDEOS and time.monotonic() < ends:
                time.sleep(0.1)
        finally:
            for process in workers:
                process.kill()
                process.join()
        assert store.states() == {JobState.DONE: VIDEOS}
        assert store.counters()["verdict_inconclusive"] == VIDEOS  # each was counted once
        # On a busy machine a worker may have lost its lease to the other, and have been killed before it noticed.
        monkeypatch.setattr("lrnet.service.folder.ORPHAN_SECONDS", -1)
        Keeper(settings, store, folder).clean()
        for row in store.page(limit=200).items:
            (results,) = (folder.results / row.id).iterdir()
            assert results.name == row.attempt
    taken = sorted(tuple(float(part) for part in line.split()) for line in claims.read_text().splitlines())
    assert len(taken) > VIDEOS  # some were lost on the way
    assert {number for _, number, _ in taken} == set(numbers)
    first = [number for _, number, attempt in taken if attempt == 1]  # but those killed before they wrote the line
    assert first == sorted(first)
