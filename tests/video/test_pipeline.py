"""Stages side by side: order, errors, stopping, no thread left."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from lrnet.video.pipeline import Pipeline


def lrnet_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lrnet-")]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_order_is_kept_through_stages(threads: int) -> None:
    with Pipeline(threads) as pipeline:
        squares = pipeline.stage("squares", (n * n for n in range(500)), ahead=3)
        assert list(pipeline.stage("more", (n + 1 for n in squares), ahead=2)) == [n * n + 1 for n in range(500)]
        assert [stage.name for stage in pipeline.times()] == ["squares", "more"]
    assert lrnet_threads() == []


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_out_after_what_came_before_it(threads: int) -> None:
    def broken() -> Iterator[int]:
        yield from range(3)
        raise ValueError("broken")

    got = []

    def read_all() -> None:
        with Pipeline(threads) as pipeline:
            for n in pipeline.stage("last", map(int, pipeline.stage("first", broken()))):
                got.append(n)

    with pytest.raises(ValueError, match="broken"):
        read_all()
    assert got == [0, 1, 2]
    assert lrnet_threads() == []


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no such policies")
def test_a_patient_stage_and_its_threads_do_not_push_others_aside() -> None:
    def policies() -> Iterator[int]:
        found: list[int] = []
        helper = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
        helper.start()
        helper.join()
        yield from (os.sched_getscheduler(0), *found)

    with Pipeline(2) as pipeline:
        assert list(pipeline.stage("patient", policies(), patient=True)) == [os.SCHED_BATCH] * 2
        assert list(pipeline.stage("other", policies())) == [os.SCHED_OTHER] * 2
    with Pipeline(1) as pipeline:  # on the caller's thread, which is left as it is
        assert list(pipeline.stage("patient", policies(), patient=True)) == [os.SCHED_OTHER] * 2


def test_only_a_bounded_number_waits() -> None:
    made = []

    def numbers() -> Iterator[int]:
        for n in range(100):
            made.append(n)
            yield n

    with Pipeline(2) as pipeline:
        items = pipeline.stage("numbers", numbers(), ahead=5)
        assert next(items) == 0
        time.sleep(0.2)
        assert len(made) <= 1 + 5 + 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("read", [0, 1, 50])
def test_leaving_early_ends_every_thread_whatever_it_waits_for(read: int) -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            n = 0
            while True:
                yield n
                n += 1
        finally:
            closed.append(True)

    def interrupted() -> None:
        with Pipeline(3) as pipeline:
            stage: Iterator[int] = pipeline.stage("a", endless())
            for name in ("b", "c"):
                stage = pipeline.stage(name, map(int, stage))
            for _ in range(read):
                next(stage)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert lrnet_threads() == []
    assert closed == [True]


@pytest.mark.timeout(20)
def test_what_holds_a_stage_is_cut_off() -> None:
    cut = threading.Event()

    def held() -> Iterator[int]:
        yield 0
        cut.wait()

    with Pipeline(2) as pipeline:
        assert next(pipeline.stage("held", held(), abort=cut.set)) == 0
    assert cut.is_set()
    assert lrnet_threads() == []


@pytest.mark.timeout(20)
def test_a_stage_that_ends_by_itself_is_not_cut_off() -> None:
    cut = threading.Event()
    with Pipeline(2) as pipeline:
        assert next(pipeline.stage("endless", iter(lambda: 0, 1), abort=cut.set)) == 0
    assert not cut.is_set()


@pytest.mark.timeout(20)
def test_who_waits_long_is_told_so_on_its_own_thread() -> None:
    told: list[int] = []
    go_on = threading.Event()

    def slow() -> Iterator[int]:
        go_on.wait()
        yield 7

    def waiting() -> None:
        told.append(threading.get_ident())
        if len(told) == 2:
            go_on.set()

    with Pipeline(2, waiting) as pipeline:
        assert list(pipeline.stage("second", map(int, pipeline.stage("first", slow())))) == [7]
    assert told == [threading.get_ident()] * 2


def test_work_that_falls_apart_comes_back_in_order() -> None:
    with Pipeline(4) as pipeline:
        assert pipeline.each(lambda n: (time.sleep(0.01 * (5 - n)), n)[1], list(range(5))) == list(range(5))
        with pytest.raises(ZeroDivisionError):
            pipeline.each(lambda n: 1 // n, [1, 0, 2])
    assert lrnet_threads() == []
