"""What becomes of a video when things go wrong, with a process that says what the test wants it to say."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError

from lrnet.errors import ServiceError
from lrnet.service import schema, supervisor
from lrnet.service.database import Store
from lrnet.service.folder import ORPHAN_SECONDS, Folder
from lrnet.service.rows import JobState, VideoRow
from lrnet.service.settings import Settings
from lrnet.service.work import Job
from lrnet.service.worker import Keeper, Overseer, remove

SUMMARY = {"reasons": [], "seconds_examined": 9.6, "duration": 10.0, "damaged_packets": 0, "model_hash": "ab"}
DOCUMENT = {"video": {"sha256": hashlib.sha256(b"a video").hexdigest()}}
FINDING = {
    "kind": "finding", "verdict": "inconclusive", "probability": 0.5, "held_back": False, "score": 0.5, "faces": 1,
    "model": "m 1", "summary": SUMMARY, "document": json.dumps(DOCUMENT), "extras_failed": {},
}  # fmt: skip
EXTRAS = {"kind": "extras", "document": json.dumps({**DOCUMENT, "with": "explanations"}), "extras_failed": {}}


@dataclass
class Scripted:
    """Stands in for `JobProcess`; an exception in the script is raised, a function is called."""

    script: list[Any]
    given: list[Job] = field(default_factory=list)
    kills: int = 0

    def give(self, job: Job) -> None:
        Path(job.folder).mkdir(parents=True)
        self.given.append(job)

    def hear(self, seconds: float) -> dict[str, Any] | None:
        step = self.script.pop(0) if self.script else None
        if isinstance(step, type) and issubclass(step, Exception):
            raise step
        if callable(step):
            step()
            return None
        if step is None:
            time.sleep(0.02)
        return dict(step) if step else None

    def kill(self) -> int | None:
        self.kills += 1
        return -9


@dataclass
class Room:
    """A worker's surroundings."""

    settings: Settings
    store: Store
    folder: Folder
    stop: threading.Event

    def add(self) -> VideoRow:
        incoming = self.folder.receive()
        incoming.write(b"a video")
        incoming.close()
        self.folder.place(incoming)
        return self.store.add("clip.mp4", incoming.sha256, incoming.size)

    def judge(self, video: str, *script: Any) -> Scripted:
        overseer = Overseer(self.settings, self.store, self.folder, self.stop)
        overseer.process = process = Scripted(list(script))  # type: ignore[assignment]
        assert overseer.judge_next() == bool(process.given)
        assert all(video in Path(job.folder).parts for job in process.given)
        return process

    def now(self, video: str) -> VideoRow:
        row = self.store.get(video)
        assert row is not None
        return row

    def keeper(self) -> Keeper:
        return Keeper(self.settings, self.store, self.folder)

    def results(self, video: str) -> list[str]:
        folder = self.folder.results / video
        return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    settings = Settings(tmp_path, lease_seconds=1.0, max_attempts=2)
    room = Room(settings, Store(settings.database_url), Folder(tmp_path), threading.Event())
    yield room
    room.store.close()


def test_a_process_that_says_nothing_for_long_keeps_its_video(room: Room) -> None:
    room.settings = replace(room.settings, lease_seconds=0.5)
    video = room.add()

    def silence() -> None:
        time.sleep(0.15)
        room.keeper().recover()

    room.judge(video.id, *[silence] * 6, FINDING, EXTRAS)
    row = room.now(video.id)
    assert (row.state, row.attempts) == (JobState.DONE, 1)


def test_a_finding_is_stored_and_earlier_leftovers_go(room: Room) -> None:
    video = room.add()
    (room.folder.results / video.id / "left-by-a-dead-worker").mkdir(parents=True)
    process = room.judge(video.id, {"kind": "progress", "stage": "examining", "frames": 5}, FINDING, EXTRAS)
    row = room.now(video.id)
    assert (row.state, row.verdict, row.attempts) == (JobState.DONE, "inconclusive", 1)
    assert room.results(video.id) == [row.attempt]
    assert Path(process.given[0].video).read_bytes() == b"a video"


def test_progress_reaches_the_row_while_it_runs(room: Room) -> None:
    video = room.add()
    seen: list[Any] = []

    def look() -> None:
        seen.append(room.now(video.id).progress)

    told = {"kind": "progress", "stage": "examining", "frames": 5}
    room.judge(video.id, told, {**told, "frames": 9}, lambda: time.sleep(0.6), look, FINDING, EXTRAS)
    assert seen[0]["frames"] == 9


def test_a_video_that_is_not_queued_is_left_alone(room: Room) -> None:
    video = room.add()
    room.judge(video.id, FINDING, EXTRAS)
    assert room.judge(video.id, FINDING, EXTRAS).given == []


def test_a_dead_process_is_tried_again_and_then_given_up(room: Room) -> None:
    video = room.add()
    room.judge(video.id, EOFError)
    assert room.now(video.id).state == JobState.QUEUED
    room.judge(video.id, EOFError)
    row = room.now(video.id)
    assert row.state == JobState.FAILED
    assert row.failure is not None
    assert "SIGKILL" in row.failure["message"]
    assert room.results(video.id) == []


def test_a_last_word_that_makes_no_sense_is_not_believed(room: Room) -> None:
    """It comes from a process that has read a hostile file: it must not break the list of all videos."""
    another = json.dumps({"video": {"sha256": "ab" * 32}})
    for nonsense in (
        *({"verdict": "hacked"}, {"probability": "high"}, {"summary": {"reasons": 1}}),
        *({"document": document} for document in (None, "{}", "[]", "no JSON", another)),
    ):
        video = room.add().id
        for _ in range(room.settings.max_attempts):
            room.judge(video, {**FINDING, **nonsense}, {**EXTRAS, **nonsense})
        row = room.now(video)
        assert row.state == JobState.FAILED
        assert row.failure is not None
        assert row.failure["error"] == "WorkerDiedError"


def test_a_word_of_progress_that_makes_no_sense_is_not_told(room: Room) -> None:
    video = room.add().id
    row = room.store.claim(60)
    assert row is not None
    assert row.lease is not None
    assert room.store.renew(video, row.lease, 60, {"stage": "hacked", "frames": "many"})
    assert schema.video(room.now(video)).progress is None


@pytest.mark.parametrize("ending", ["failure", "death", "silence"])
def test_a_video_that_fails_leaves_nothing_of_earlier_attempts(room: Room, ending: str) -> None:
    """A worker that was killed outright leaves what it wrote; the attempts after it have other folders."""
    video = room.add().id
    room.folder.result(video, "of a worker that was killed").mkdir(parents=True)
    if ending == "failure":
        room.judge(video, {"kind": "failure", "error": "VideoError", "message": "No video.", "hint": "Send one."})
    for _ in range(room.settings.max_attempts):
        if ending == "death":
            room.judge(video, EOFError)
        elif ending == "silence":
            assert room.store.claim(-1) is not None
            room.keeper().recover()
    assert room.now(video).state == JobState.FAILED
    assert room.results(video) == []


def test_a_video_that_takes_too_long_fails_at_once(room: Room) -> None:
    room.settings = replace(room.settings, time_limit=0.1)
    video = room.add()
    process = room.judge(video.id)
    row = room.now(video.id)
    assert row.failure is not None
    assert (row.state, row.failure["error"], process.kills) == (JobState.FAILED, "TimeLimitError", 1)


def test_a_worker_that_ends_puts_its_video_back_unharmed(room: Room) -> None:
    video = room.add()
    process = room.judge(video.id, room.stop.set)
    row = room.now(video.id)
    assert (row.state, row.attempts, process.kills) == (JobState.QUEUED, 0, 1)


def test_deleting_a_running_video_ends_the_work_and_leaves_nothing(room: Room) -> None:
    video = room.add()
    process = room.judge(video.id, lambda: remove(room.store, room.folder, video.id))
    assert process.kills == 1
    assert room.store.get(video.id) is None
    assert room.results(video.id) == []
    assert not room.folder.video(video.sha256).exists()


def test_a_suspended_worker_finds_its_video_gone_to_another(room: Room) -> None:
    video = room.add()

    def meanwhile() -> None:
        time.sleep(1.2)  # longer than the lease
        room.keeper().recover()
        room.judge(video.id, {**FINDING, "verdict": "likely_fake"}, EXTRAS)

    room.judge(video.id, meanwhile, FINDING, EXTRAS)
    row = room.now(video.id)
    assert (row.verdict, row.attempts) == ("likely_fake", 2)
    assert room.results(video.id) == [row.attempt]
    counted = room.store.counters()
    assert counted["verdict_likely_fake"] == 1
    assert counted["verdict_inconclusive"] == 0


def test_a_verdict_is_delivered_although_report_and_overlay_fail(room: Room) -> None:
    """Whether their process says so, fails, dies, falls silent after a word of nonsense, or has no time left."""
    said = {**EXTRAS, "extras_failed": {"overlay.mp4": "No room."}}
    failure = {"kind": "failure", "error": "InternalError", "message": "A fault.", "hint": "Report it."}
    for script in ([said], [failure], [EOFError], [{"kind": "what?"}, EOFError]):
        video = room.add().id
        room.judge(video, FINDING, *script)
        row = room.now(video)
        assert (row.state, row.attempts) == (JobState.DONE, 1)
        assert row.extras_failed is not None
        assert set(row.extras_failed) == {"report.html", "evidence.zip", "overlay.mp4"}
        told = schema.video(row).verdict
        assert told is not None
        assert told.extras_failed == row.extras_failed
    assert room.store.document(video) == FINDING["document"]
    room.settings = replace(room.settings, time_limit=0.3)
    video = room.add().id
    room.judge(video, FINDING)
    assert room.now(video).state == JobState.DONE


def test_extras_that_were_made_are_not_called_missing(room: Room) -> None:
    video = room.add().id

    def draw() -> None:
        (attempt,) = (room.folder.results / video).iterdir()
        for name in ("report.html", "evidence.zip", "overlay.mp4"):
            (attempt / name).write_text("x")

    room.judge(video, FINDING, draw, EXTRAS)
    assert room.now(video).extras_failed is None
    assert room.store.document(video) == EXTRAS["document"]


@pytest.mark.parametrize("step", ["renew", "finish"])
def test_a_process_whose_attempt_ends_in_an_error_is_killed(
    room: Room, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next video would get the verdict of this one, whose messages are still in the pipe."""

    def broken(*_: Any, **__: Any) -> None:
        raise ProgrammingError("…", None, Exception("there is no such table"))

    overseer = Overseer(room.settings, room.store, room.folder, room.stop)
    video = room.add().id
    overseer.process = process = Scripted([lambda: time.sleep(0.3), FINDING, EXTRAS])  # type: ignore[assignment]
    monkeypatch.setattr(Store, step, broken)
    with pytest.raises(ProgrammingError):
        overseer.judge_next()
    assert process.kills == 1
    assert room.results(video) == []


@pytest.mark.parametrize("kind", [OperationalError, InternalError])  # of a server that restarts, or may only be read
@pytest.mark.parametrize("step", ["finish", "fail", "release", "renew", "get"])
def test_a_database_that_is_away_costs_no_work(
    room: Room, step: str, kind: type[DBAPIError], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = room.add().id
    original, calls = getattr(Store, step), []

    def away_at_first(self: Store, *arguments: Any, **options: Any) -> Any:
        calls.append(step)
        if len(calls) <= 3:
            raise kind("…", None, Exception("away"))
        return original(self, *arguments, **options)

    monkeypatch.setattr("lrnet.service.worker.POLL_SECONDS", 0.01)
    monkeypatch.setattr(Store, step, away_at_first)
    failure = {"kind": "failure", "error": "VideoError", "message": "No video.", "hint": "Send one."}
    script = {"fail": [failure], "release": [EOFError]}.get(step, [lambda: time.sleep(1.2), FINDING, EXTRAS])
    room.judge(video, *script)
    monkeypatch.undo()
    row = room.now(video)
    states = {"fail": JobState.FAILED, "release": JobState.QUEUED}
    assert (row.state, row.attempts) == (states.get(step, JobState.DONE), 1)
    assert bool(room.results(video)) == (step not in states)


def test_a_lost_video_comes_before_those_that_wait(room: Room) -> None:
    first, second = room.add().id, room.add().id
    assert room.store.claim(-1) is not None
    room.keeper().recover()
    room.judge(first, FINDING, EXTRAS)
    room.judge(second, FINDING, EXTRAS)


def test_cancelling_a_running_video_ends_the_work_and_keeps_the_video(room: Room) -> None:
    video = room.add()
    process = room.judge(video.id, lambda: room.store.cancel(video.id))
    assert process.kills == 1
    assert room.now(video.id).state == JobState.CANCELLED
    assert room.results(video.id) == []
    assert room.folder.video(video.sha256).exists()


def test_a_video_that_silences_each_worker_is_given_up(room: Room) -> None:
    video = room.add()
    for _ in range(2):
        assert room.store.claim(-1) is not None
        room.keeper().recover()
    row = room.now(video.id)
    assert row.failure is not None
    assert (row.state, row.failure["error"]) == (JobState.FAILED, "WorkerDiedError")


def test_a_machine_whose_clock_is_wrong_deletes_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10 * 86_400)
    running = room.folder.receive()
    (room.folder.partial / "part").touch()
    room.keeper().clean()
    assert running.path.exists()
    assert (room.folder.partial / "part").exists()
    running.discard()


def test_what_a_killed_attempt_left_of_a_cancelled_video_is_deleted(room: Room) -> None:
    cancelled, queued = room.add().id, room.add().id
    room.store.cancel(cancelled)
    for video in (cancelled, queued):
        room.folder.result(video, "of a worker that was killed").mkdir(parents=True)
        past = time.time() - ORPHAN_SECONDS - 60
        os.utime(room.folder.results / video, (past, past))
    room.keeper().clean()
    assert room.results(cancelled) == []
    assert room.results(queued) != []  # another worker may be at it by now


def test_what_is_old_is_deleted_and_what_is_wanted_stays(room: Room) -> None:
    old, young = room.add(), room.add()
    for video in (old, young):
        room.judge(video.id, FINDING, EXTRAS)
    room.settings = replace(room.settings, keep_days=0.5)
    with room.store._engine.begin() as connection:
        from lrnet.service.tables import videos

        connection.execute(videos.update().where(videos.c.id == old.id).values(finished=time.time() - 86_400))
    past = time.time() - ORPHAN_SECONDS - 10_000
    room.folder.result(young.id, "of a worker that lost its lease and was killed").mkdir()
    os.utime(room.folder.results / young.id, (past, past))
    orphan = room.folder.video("ef" * 32)
    orphan.parent.mkdir()
    half = room.folder.incoming / "half"
    for path in (orphan, half):
        path.write_text("x")
        os.utime(path, (past, past))
    os.utime(room.folder.video(young.sha256), (past, past))
    room.keeper().clean()
    assert room.store.get(old.id) is None
    assert [(line["action"], line["video"]) for line in room.store.audit(10, None)] == [("expire", old.id)]
    assert room.results(old.id) == []
    assert room.store.get(young.id) is not None
    assert room.folder.video(young.sha256).exists()  # the same bytes, still named
    assert room.results(young.id) == [room.now(young.id).attempt]
    assert not orphan.exists()
    assert not half.exists()


def test_a_worker_that_dies_again_and_again_is_started_after_longer_and_longer_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, starts, lives = [0.0], [], [0.0]

    class Process:
        exitcode = 1

        def is_alive(self) -> bool:
            return now[0] < starts[-1] + lives[0]

    def start() -> Any:
        starts.append(now[0])
        return Process()

    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    kept = supervisor.Kept(start)
    for _ in range(1500):
        now[0] += 0.1
        kept.look()
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses[:6] == pytest.approx([0.5, 1, 2, 4, 8, 16], abs=0.35)
    assert pauses[6:] == pytest.approx([30] * len(pauses[6:]), abs=0.35)
    lives[0] = 61.0  # one that lives for a minute begins with the first pause again
    while len(starts) < len(pauses) + 4:
        now[0] += 0.1
        kept.look()
    assert starts[-1] - starts[-2] == pytest.approx(61.5, abs=0.35)


def test_a_web_process_that_dies_ends_the_service_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = SimpleNamespace(exitcode=3, is_alive=lambda: False, join=lambda seconds: None)
    monkeypatch.setattr(supervisor, "_start", lambda *_: dead)
    monkeypatch.setattr(supervisor, "signal", SimpleNamespace(SIGTERM=15, SIGINT=2, signal=lambda *_: None))
    with pytest.raises(ServiceError, match="exit status 3"):
        supervisor.serve(Settings(tmp_path), cast(Any, None), 0)
