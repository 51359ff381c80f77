"""Who may write to a video's row, and what a search finds; on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import DDL, create_engine

from lrnet.errors import ServiceError
from lrnet.service.database import Finding, JobState, Store, opened
from lrnet.service.settings import Settings
from lrnet.verdict import Reason
from tests.service.kit import postgres

FOUND = Finding("likely_fake", 0.97, False, 0.9, 1, "model 1", '{"all": "of it"}')


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("db")
    if request.param == "sqlite":
        yield Settings(folder).database_url
    else:
        with postgres() as url:
            yield Settings(folder, database=url).database_url


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    store = Store(address)
    for row in store.page(limit=1000).items:
        store.delete(row.id)
    yield store
    store.close()


def add(store: Store, name: str = "clip.mp4", sha256: str = "ab" * 32) -> str:
    return store.add(name, sha256, 7).id


def claim(store: Store, video: str, lease_seconds: float = 60) -> str:
    row = store.claim(video, lease_seconds)
    assert row is not None
    assert row.lease is not None
    return row.lease


def state(store: Store, video: str) -> JobState:
    row = store.get(video)
    assert row is not None
    return row.state


def test_a_video_goes_from_the_queue_to_a_result(store: Store) -> None:
    video = add(store)
    assert state(store, video) == JobState.QUEUED
    lease = claim(store, video)
    assert state(store, video) == JobState.RUNNING
    assert store.renew(video, lease, 60, {"stage": "examining", "frames": 3})
    row = store.get(video)
    assert row is not None
    assert row.progress == {"stage": "examining", "frames": 3}
    assert store.finish(video, lease, FOUND)
    row = store.get(video)
    assert row is not None
    assert (row.state, row.verdict, row.probability, row.attempt) == (JobState.DONE, "likely_fake", 0.97, lease)
    assert store.document(video) == '{"all": "of it"}'


def test_one_of_many_workers_gets_a_video(store: Store) -> None:
    video = add(store)
    got = []
    start = threading.Barrier(8)

    def try_it() -> None:
        start.wait()
        got.append(store.claim(video, 60))

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(row is not None for row in got) == 1


def test_a_worker_that_lost_its_lease_changes_nothing(store: Store) -> None:
    video = add(store)
    counted = store.counters().get("verdict_likely_fake", 0.0)
    slow = claim(store, video, lease_seconds=-1)
    assert [row.id for row in store.expired()] == [video]
    assert store.release(video, slow, counted=True)
    fast = claim(store, video)
    other = Finding("inconclusive", 0.5, False, 0.5, 1, "model 1", "{}")
    assert not store.finish(video, slow, other)
    assert not store.fail(video, slow, {"error": "x"})
    assert not store.renew(video, slow, 60, None)
    assert not store.release(video, slow, counted=True)
    assert store.finish(video, fast, FOUND)
    assert not store.finish(video, fast, other)  # once is once
    row = store.get(video)
    assert row is not None
    assert (row.verdict, row.attempts, row.attempt) == ("likely_fake", 2, fast)
    assert store.counters()["verdict_likely_fake"] == counted + 1


def test_a_video_that_was_put_back_unharmed_has_lost_no_attempt(store: Store) -> None:
    video = add(store)
    assert store.release(video, claim(store, video), counted=False)
    row = store.get(video)
    assert row is not None
    assert (row.state, row.attempts, row.lease) == (JobState.QUEUED, 0, None)


def test_a_deleted_video_takes_its_file_along_unless_another_needs_it(store: Store) -> None:
    first, second = add(store, sha256="12" * 32), add(store, sha256="12" * 32)
    lease = claim(store, first)
    assert store.delete(first) == ""
    assert not store.renew(first, lease, 60, None)
    assert not store.finish(first, lease, FOUND)
    assert store.delete(second) == "12" * 32
    assert store.delete(second) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["Straße 100%.mp4", "b_c.mp4", "bxc.mp4", "ÜBER.mov"]),
        ("über", ["ÜBER.mov"]),
        ("STRASSE", ["Straße 100%.mp4"]),
        ("%", ["Straße 100%.mp4"]),
        ("b_c", ["b_c.mp4"]),
        ("cdcd", ["bxc.mp4"]),
        ("\\", []),
        ("' or 1=1 --", []),
    ],
)
def test_a_search_takes_every_character_for_itself(store: Store, text: str, found: list[str]) -> None:
    for name in ("ÜBER.mov", "bxc.mp4", "b_c.mp4", "Straße 100%.mp4"):
        add(store, name, "cd" * 32 if name == "bxc.mp4" else "ef" * 32)
    page = store.page(text=text)
    assert [row.name for row in page.items] == found
    assert page.total == len(found)


def test_pages_neither_repeat_nor_miss_when_videos_come_in(store: Store) -> None:
    for i in range(7):
        add(store, f"{i}")
    first = store.page(limit=3)
    add(store, "late")
    second = store.page(limit=3, before=first.before)
    third = store.page(limit=3, before=second.before)
    assert [row.name for page in (first, second, third) for row in page.items] == list("6543210")
    assert (first.total, third.total, third.before) == (7, 8, None)


def test_changes_are_told_once(store: Store) -> None:
    one, two = add(store), add(store)
    rows, gone = store.changed({}, 100)
    assert ([row.id for row in rows], gone) == ([one, two], [])
    known = {row.id: row.revision for row in rows}
    assert store.changed(known, 100) == ([], [])
    store.finish(one, claim(store, one), FOUND)
    store.delete(two)
    rows, gone = store.changed(known, 100)
    assert ([row.state for row in rows], gone) == ([JobState.DONE], [two])


def test_workers_are_counted_while_they_speak(store: Store) -> None:
    store.beat("w1", "here", 1, 2)
    store.beat("w2", "there", 1, 3)
    store.beat("w1", "here", 1, 2)
    assert store.slots(30) == 5
    store.leave("w1")
    assert store.slots(30) == 3
    time.sleep(0.05)
    assert store.slots(0.01) == 0
    store.leave("w2")


def test_a_database_of_layout_1_is_brought_up_to_date(store: Store, address: str) -> None:
    """Layout 1 did not say which verdicts were held back; the documents do."""
    kinds = {
        "held back": ("inconclusive", Reason.SMALL_FACE),
        "between": ("inconclusive", Reason.BETWEEN_THRESHOLDS),
        "clear": ("likely_fake", Reason.ABOVE_THRESHOLD),
    }
    found: dict[str, str] = {}
    for name, (verdict, reason) in kinds.items():
        document = json.dumps({"verdict": {"state": verdict, "reasons": [{"code": reason, "text": "…"}]}})
        found[name] = add(store, name)
        assert store.finish(found[name], claim(store, found[name]), Finding(verdict, 0.9, False, 0.9, 1, "m", document))
    waiting = add(store, "waiting")
    engine = create_engine(address)
    with engine.begin() as connection:
        connection.execute(DDL("ALTER TABLE videos DROP COLUMN held_back"))
        connection.execute(DDL("UPDATE about SET value = '1' WHERE name = 'schema'"))
    engine.dispose()
    for _ in range(2):  # the second time there is nothing to do
        with opened(address) as new:
            rows = {name: new.get(video) for name, video in found.items()}
            assert {name: bool(row.held_back) for name, row in rows.items() if row} == {
                "held back": True, "between": False, "clear": False,
            }  # fmt: skip
            assert state(new, waiting) == JobState.QUEUED


def test_a_database_of_another_layout_is_refused(tmp_path: Path) -> None:
    import sqlite3

    url = Settings(tmp_path).database_url
    Store(url).close()
    with sqlite3.connect(tmp_path / "results.sqlite3") as connection:
        connection.execute("UPDATE about SET value = '99'")
    connection.close()
    with pytest.raises(ServiceError, match="layout 99"):
        Store(url)


@pytest.mark.parametrize("url", ["nonsense", "nosuch://x/y", "sqlite:////no/such/folder/x.db"])
def test_a_wrong_address_is_told(url: str) -> None:
    with pytest.raises(ServiceError):
        Store(url)


def test_a_password_is_not_told() -> None:
    with pytest.raises(ServiceError) as told:
        Store("postgresql+psycopg://me:secret@127.0.0.1:1/x?connect_timeout=1")
    assert "secret" not in str(told.value)
