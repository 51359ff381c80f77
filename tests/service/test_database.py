"""Who may write to a video's row, and what a search finds; on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import DDL, create_engine

from lrnet.errors import ServiceError
from lrnet.service.database import Store, opened
from lrnet.service.rows import Finding, Given, JobState, Search, VideoRow
from lrnet.service.settings import Settings
from lrnet.service.tables import BUSY_SECONDS
from lrnet.verdict import Reason
from tests.service.kit import postgres

SUMMARY = {"reasons": [], "seconds_examined": 9.6, "duration": 10.0, "damaged_packets": 0, "model_hash": "ab"}


def found(verdict: str = "likely_fake", probability: float = 0.97, document: str = '{"all": "of it"}') -> Finding:
    return Finding(verdict, probability, False, 0.9, 1, "model 1", SUMMARY, document, {})


FOUND = found()


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
    row = store.claim(lease_seconds)
    assert row is not None
    assert row.id == video
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
    assert row.summary == SUMMARY
    assert (row.state, row.verdict, row.probability, row.attempt) == (JobState.DONE, "likely_fake", 0.97, lease)
    assert store.document(video) == '{"all": "of it"}'


def test_each_video_goes_to_one_of_many_workers(store: Store) -> None:
    videos = [add(store) for _ in range(6)]
    got = []
    start = threading.Barrier(8)

    def try_it() -> None:
        start.wait()
        got.append(store.claim(60))

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.id for row in got if row is not None) == sorted(videos)
    assert store.claim(60) is None


def test_videos_come_in_order_and_one_that_was_put_back_comes_first(store: Store) -> None:
    first, second, third = (add(store) for _ in range(3))
    store.release(first, claim(store, first), counted=True)
    claim(store, first)
    claim(store, second)
    claim(store, third)


def test_a_worker_that_lost_its_lease_changes_nothing(store: Store) -> None:
    video = add(store)
    counted = store.counters().get("verdict_likely_fake", 0.0)
    slow = claim(store, video, lease_seconds=-1)
    assert [row.id for row in store.expired()] == [video]
    assert store.release(video, slow, counted=True)
    fast = claim(store, video)
    other = found("inconclusive", 0.5)
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
    page = store.page(Search(text))
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


def test_more_videos_than_are_watched_are_not_taken_for_deleted(store: Store) -> None:
    known: dict[str, int] = {}
    for _ in range(5):
        add(store)
        rows, gone = store.changed(known, 2, after=len(known))
        assert gone == []
        known |= {row.id: row.revision for row in rows}
    claim(store, min(known, key=lambda video: row_of(store, video).number))
    rows, gone = store.changed(known, 2)
    assert ([row.state for row in rows], gone) == ([JobState.RUNNING], [])


def row_of(store: Store, video: str) -> VideoRow:
    row = store.get(video)
    assert row is not None
    return row


def test_a_cancelled_video_is_kept_and_its_worker_finds_out(store: Store) -> None:
    video = add(store)
    lease = claim(store, video)
    assert store.cancel(video)
    assert not store.renew(video, lease, 60, None)
    assert not store.finish(video, lease, FOUND)
    assert state(store, video) == JobState.CANCELLED
    assert not store.cancel(video)
    assert store.claim(60) is None


def test_a_key_makes_one_video(store: Store) -> None:
    got: list[str] = []
    start = threading.Barrier(4)

    def add_it() -> None:
        start.wait()
        got.append(store.add("a", "ab" * 32, 7, key="me:1").id)

    threads = [threading.Thread(target=add_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    assert len(set(got)) == 1
    assert store.add("a", "ab" * 32, 7, key="you:1").id not in got


def test_labels_and_the_clients_own_identifier_find_a_video(store: Store) -> None:
    one = store.add("a", "ab" * 32, 7, Given(external_id="case 7/1", labels=("urgent", "50%"))).id
    store.add("b", "ab" * 32, 7, Given(external_id="case 7/10", labels=("urgently", "Urgent", "URGENT")))
    store.add("no label", "ab" * 32, 7)
    for search in (Search(external_id="case 7/1"), Search(label="urgent"), Search(label="50%")):
        assert [row.id for row in store.page(search).items] == [one]
    assert store.page().items[2].labels == ("urgent", "50%")


def test_a_list_is_sorted(store: Store) -> None:
    for name, probability in (("b", 0.2), ("a", 0.9), ("C", 0.5)):
        video = add(store, name)
        store.finish(video, claim(store, video), found(probability=probability))
    video = add(store, "d")
    store.finish(video, claim(store, video), replace(found(probability=0.99), held_back=True))
    orders = {"newest": "dCab", "oldest": "baCd", "name": "abCd", "probability": "aCbd"}
    for sort, names in orders.items():
        first = store.page(Search(sort=sort), limit=3)
        rest = store.page(Search(sort=sort), limit=3, before=first.before)
        assert "".join(row.name for row in (*first.items, *rest.items)) == names
        assert rest.before is None


def test_clocks_of_workers_do_not_matter(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper whose clock is far ahead takes no living worker's video: the database's clock counts."""
    video = add(store)
    claim(store, video, 30)
    for ahead in (3600, -3600):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: 1_800_000_000.0 + ahead)
        assert store.expired() == []
        store.beat("w", "here", 1, 2)
        assert store.slots(30) == 2
        store.leave("w")


def test_a_notice_is_taken_once_and_again_after_a_failure(store: Store) -> None:
    video = store.add("a", "ab" * 32, 7, notify=True).id
    add(store)
    assert store.take_notice(60) is None
    store.finish(video, claim(store, video), FOUND)
    taken = store.take_notice(60)
    assert taken is not None
    assert (taken[0].id, taken[1]) == (video, 0)
    assert store.take_notice(60) is None
    store.noticed(video, -1)
    again = store.take_notice(60)
    assert again is not None
    assert again[1] == 1
    store.noticed(video, None)
    assert store.take_notice(60) is None
    failed, cancelled = (store.add("a", "ab" * 32, 7, notify=True).id for _ in range(2))
    store.delete(store.page(Search(state=JobState.QUEUED, sort="oldest")).items[0].id)  # the one without
    store.fail(failed, claim(store, failed), {"error": "x"})
    store.cancel(cancelled)
    assert {found[0].id for _ in range(2) if (found := store.take_notice(60))} == {failed, cancelled}


def test_several_processes_start_at_once_on_an_empty_database(tmp_path: Path, address: str) -> None:
    if "sqlite" in address:
        address = Settings(tmp_path).database_url
    else:
        engine = create_engine(address)
        with engine.begin() as connection:
            for table in ("videos", "workers", "counters", "audit", "about"):
                connection.execute(DDL(f"DROP TABLE IF EXISTS {table}"))
        engine.dispose()
    program = (
        "import sys; from lrnet.service.database import Store; print('ready', flush=True); sys.stdin.read(1);"
        "Store(sys.argv[1])"
    )
    command, pipe = [sys.executable, "-c", program, address], subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(4)]
    for process in started:  # all of them have imported what they need
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", process.communicate()[1]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"x")
        process.stdin.flush()
    for process in started:
        assert process.communicate()[1] == b""
        assert process.returncode == 0


def test_a_new_file_waits_for_another_process_that_is_making_the_tables(tmp_path: Path) -> None:
    """SQLite gives up at once there, however long its timeout is."""
    file = tmp_path / "results.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"), closing(sqlite3.connect(file)) as bare:
            bare.execute("PRAGMA journal_mode=WAL")
        release = threading.Timer(0.3, other.execute, ["COMMIT"])
        release.start()
        with opened(Settings(tmp_path).database_url) as store:
            release.join()
            add(store)


def test_looking_for_work_keeps_no_writer_waiting(tmp_path: Path) -> None:
    url = Settings(tmp_path).database_url
    with opened(url) as store, closing(sqlite3.connect(tmp_path / "results.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = time.monotonic()
        assert store.claim(60) is None
        assert store.take_notice(60) is None
        assert time.monotonic() - before < BUSY_SECONDS / 2


@pytest.mark.parametrize("layout", ["1", "2", "3"])
def test_an_older_database_is_brought_up_to_date(tmp_path: Path, layout: str) -> None:
    """Layout 1 did not say which verdicts were held back, layout 2 had no summaries; the documents have both."""
    url = Settings(tmp_path).database_url
    with opened(url) as store:
        kinds = {
            "held back": ("inconclusive", Reason.SMALL_FACE),
            "between": ("inconclusive", Reason.BETWEEN_THRESHOLDS),
            "clear": ("likely_fake", Reason.ABOVE_THRESHOLD),
        }
        judged: dict[str, str] = {}
        for name, (verdict, reason) in kinds.items():
            document = {
                "verdict": {"state": verdict, "reasons": [{"code": reason, "text": "…"}]},
                "video": {"seconds_examined": 2.9, "duration": 10.0, "damaged_packets": 3},
                "model": {"hash": "cd"},
            }
            judged[name] = add(store, name)
            assert store.finish(judged[name], claim(store, judged[name]), found(verdict, document=json.dumps(document)))
        waiting = add(store, "waiting")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(DDL("DROP INDEX videos_by_key"))
        gone = ["case", "examiner", "notes"]
        if layout != "3":
            gone += ["owner", "external_id", "labels", "idempotency_key", "summary", "extras_failed", "notice_due"]
            gone += ["notice_tries", *(["held_back"] if layout == "1" else [])]
            connection.execute(DDL("ALTER TABLE videos ADD COLUMN enqueued FLOAT NOT NULL DEFAULT 0"))
        for column in gone:
            connection.execute(DDL(f'ALTER TABLE videos DROP COLUMN "{column}"'))
        connection.execute(DDL(f"UPDATE about SET value = '{layout}' WHERE name = 'schema'"))
    engine.dispose()
    for _ in range(2):  # the second time there is nothing to do
        with opened(url) as new:
            rows = {name: row_of(new, video) for name, video in judged.items()}
            assert {name: bool(row.held_back) for name, row in rows.items()} == {
                "held back": True, "between": False, "clear": False,
            }  # fmt: skip
            summary = rows["clear"].summary
            assert summary is not None
            assert (summary["seconds_examined"], summary["model_hash"]) == (2.9, "cd")
            assert state(new, waiting) == JobState.QUEUED
            new.add("more", "ab" * 32, 7, Given(case="7"), key="k")


def test_a_database_of_another_layout_is_refused(tmp_path: Path) -> None:
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
