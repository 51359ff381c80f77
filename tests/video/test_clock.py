"""Time stamps that are wrong, and the times that come of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lrnet.video.clock import AHEAD, HEADER_SLACK, Clock

STEP = 0.04  # seconds from frame to frame
HOUR = 3600.0


def regular(count: int, start: float = 0.0) -> list[float]:
    return [start + i * STEP for i in range(count)]


def told(stamps: Sequence[float | None], clock: Clock[int] | None = None) -> tuple[list[float], list[int]]:
    """Times and shots; each item comes once, in order, and none waits longer than it may."""
    clock = clock or Clock(STEP)
    timed = []
    for i, stamp in enumerate(stamps):
        timed += clock.add(i, stamp)
        assert i - len(timed) < AHEAD + 1
    timed += clock.finish()
    assert [t.item for t in timed] == list(range(len(stamps)))
    return [t.time for t in timed], [t.shot for t in timed]


def test_no_more_is_waited_for_than_there_is_room_for() -> None:
    """Each stamp contradicts the one before: all would wait for others."""
    sizes = [1] * 10 + [50] * 10 + [1] * 10
    clock = Clock[int](STEP, full=lambda items: sum(items) > 100)
    waiting, most = 0, 0
    times: list[float] = []
    for i, size in enumerate(sizes):
        settled = clock.add(size, 1000.0 * (i % 2) + i)
        waiting += size - sum(timed.item for timed in settled)
        most = max(most, waiting)
        times += [timed.time for timed in settled]
    times += [timed.time for timed in clock.finish()]
    assert 50 <= most <= 100
    assert len(times) == len(sizes)
    assert times == sorted(set(times))


def assert_regular(times: Sequence[float], start: float = 0.0) -> None:
    assert times == pytest.approx(regular(len(times), start), abs=1e-6)


@pytest.mark.parametrize("stamps", [[1.44, -0.72, None, -0.72], [0.0, 1e-9, 2e-9, 0.04], [0.0, None, None, 1e-9]])
def test_stamps_that_differ_by_rounding_are_one(stamps: list[float | None]) -> None:
    times, _ = told(stamps)
    assert all(other - one > 1e-3 for one, other in itertools.pairwise(times))


stamps = st.one_of(st.none(), st.floats(-1e5, 1e5), st.integers(-50, 200).map(lambda i: i * STEP))


@settings(deadline=None)
@given(st.lists(stamps, max_size=120), st.booleans(), st.floats(1e-4, 10), st.one_of(st.none(), st.floats(0, 1e5)))
def test_times_rise_from_zero_or_later_whatever_the_stamps_are(
    given_stamps: list[float | None], resets: bool, interval: float, end: float | None
) -> None:
    times, shots = told(given_stamps, Clock(interval, 0.0, end, resets))
    assert all(time >= 0 for time in times)
    assert all(one < other for one, other in itertools.pairwise(times))
    assert shots == sorted(shots)


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 4.9), max_size=120), st.booleans())
def test_stamps_that_rise_are_the_times_to_the_bit(steps: list[float], resets: bool) -> None:
    rising = [0.0, *itertools.accumulate(steps)]
    assert told(rising, Clock(STEP, resets=resets)) == (rising, [0] * len(rising))


@settings(deadline=None)
@given(st.integers(0, 99), st.one_of(st.floats(-1e5, 1e5), st.floats(-5, 9)), st.booleans())
@example(1, 1e-7, True)  # twice the same stamp, but for rounding
def test_one_outlier_shifts_no_other_frame(at: int, wrong: float, resets: bool) -> None:
    right = regular(100)
    times, _ = told([*right[:at], wrong, *right[at + 1 :]], Clock(STEP, end=4.0, resets=resets))
    assert times[:at] == right[:at]
    # A first frame that is off by less than a frame cannot be told from one that starts there.
    assert times[at + 1 :] == pytest.approx(right[at + 1 :], abs=1e-9 if at else STEP)
    if at < 99:  # the last frame may come after a pause, as far as the header's rounding allows
        assert times[at] == pytest.approx(right[at], abs=1.5 * STEP)
    assert times[-1] <= 4.0 + HEADER_SLACK


@settings(deadline=None)
@given(st.integers(1, 80), st.integers(1, 10), st.floats(1.0, 1e5), st.booleans(), st.booleans())
def test_a_step_that_later_frames_take_back_is_no_step(
    at: int, count: int, step: float, forward: bool, resets: bool
) -> None:
    right = regular(120)
    off = step if forward else -step
    times, shots = told(
        [t + off if at <= i < at + count else t for i, t in enumerate(right)], Clock(STEP, resets=resets)
    )
    assert times == pytest.approx(right, abs=1e-6)
    assert set(shots) == {0}


@settings(deadline=None)
@given(st.integers(30, 90), st.one_of(st.floats(61, 1e6), st.floats(-1e6, -2.0)), st.booleans())
def test_a_jump_far_longer_than_a_frame_starts_a_shot_and_time_goes_on(at: int, jump: float, resets: bool) -> None:
    right = regular(130)
    times, shots = told([t if i < at else t + jump for i, t in enumerate(right)], Clock(STEP, resets=resets))
    assert_regular(times)
    assert shots == [0] * at + [1] * (130 - at)


@pytest.mark.parametrize(("resets", "shots"), [(False, [0, 0]), (True, [0, 1])])
def test_a_pause_of_seconds_is_one_unless_the_format_may_start_again(resets: bool, shots: list[int]) -> None:
    times, found = told([*regular(40), *regular(40, 21.0)], Clock(STEP, resets=resets))
    assert [found[0], found[-1]] == shots
    assert times[40] == pytest.approx(1.6 if resets else 21.0)


def test_a_pause_past_the_end_that_the_header_gives_is_none() -> None:
    assert told([*regular(40), *regular(3, 21.0)], Clock(STEP, end=22.0))[0][40] == 21.0
    assert_regular(told([*regular(40), *regular(3, 21.0)], Clock(STEP, end=1.7))[0])


def test_frames_a_minute_apart_are_no_discontinuities() -> None:
    hours = [i * 300.0 for i in range(60)]
    for by_header in (300.0, STEP):
        assert told(hours, Clock(by_header)) == (hours, [0] * 60)


@pytest.mark.parametrize(
    ("missing", "count"), [({0}, 50), ({0, 1, 2}, 50), ({7}, 50), ({7, 8, 9, 20}, 50), ({49}, 50), (set(range(9)), 9)]
)
def test_missing_stamps_are_filled(missing: set[int], count: int) -> None:
    given_stamps = [None if i in missing else t for i, t in enumerate(regular(count))]
    assert_regular(told(given_stamps)[0])


def test_frames_without_stamps_before_time_zero_push_the_others_back() -> None:
    assert_regular(told([None, None, *regular(20)])[0])


def test_a_stream_without_stamps_keeps_the_rate_of_the_header() -> None:
    assert_regular(told([None] * 100)[0])


@pytest.mark.parametrize("at", [0, 1, 30])
@pytest.mark.parametrize("start", [0.0, 3.0])
def test_the_first_stamp_is_the_place_in_a_player(start: float, at: int) -> None:
    stamps: list[float | None] = list(regular(60, 100 + start))
    stamps[at] = None if at == 1 else 9 * HOUR
    times, _ = told(stamps, Clock(STEP, origin=100.0, end=200.0))
    assert times[1:] == pytest.approx(regular(59, start + STEP), abs=1e-6)
    assert times[0] == pytest.approx(start, abs=1.5 * STEP)


@pytest.mark.parametrize(("start", "end"), [(-0.08, 10.0), (5 * HOUR, 10.0), (5 * HOUR, None)])
def test_a_start_that_the_header_contradicts_is_not_believed(start: float, end: float | None) -> None:
    assert_regular(told(regular(50, start), Clock(STEP, end=end))[0])


def test_stamps_that_stand_still_or_come_twice() -> None:
    assert_regular(told([0.0] * 60)[0])
    assert_regular(told([2 * STEP * (i // 2) for i in range(60)])[0])
    times, shots = told([i * 2 * STEP for i in range(30) for _ in (0, 1)])
    assert_regular(times)
    assert set(shots) == {0}


def test_a_header_with_a_wrong_rate_does_not_matter() -> None:
    for interval in (1e-5, 0.001, 1.0, 100.0):
        right = regular(100)
        times, shots = told([*right[:50], HOUR, *right[51:]], Clock(interval))
        assert (times, set(shots)) == (pytest.approx(right, abs=1e-6), {0})


def test_what_was_mended_is_said() -> None:
    clean, mended = Clock[int](STEP), Clock[int](STEP)
    told(regular(50), clean)
    told([*regular(20), HOUR, *regular(29, 21 * STEP)], mended)
    assert (clean.mended, mended.mended) == (False, True)
    assert (clean.furthest, mended.furthest) == (pytest.approx(49 * STEP), HOUR)
