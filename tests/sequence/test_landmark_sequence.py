"""Slicing, joining, gaps and mirroring of sequences, against the frames that they are made of."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrnet.errors import SequenceError
from lrnet.sequence.landmark_sequence import (
    COLUMNS,
    FACIAL_GROUPS,
    MIRROR,
    MIRROR_SURROUNDINGS,
    MOMENTS,
    LandmarkSequence,
)
from lrnet.sequence.surroundings import surroundings

OF_FRAMES = ("values", "detected", "times", "valid", "confidence", "frame_indices", "centres")
OF_PAIRS = ("innovation", "forward_backward_error", "tracked", "surround_error")


def drawn(
    n: int, *, seed: int = 0, start: float = 0.0, half_side: float = 100.0, looks: bool = True
) -> LandmarkSequence:
    """A sequence of which every number is drawn; frame 3 is a gap, every fourth frame has a look."""
    rng = np.random.default_rng(seed)
    pairs = max(n - 1, 0)
    valid = np.arange(n) != 3
    both = valid[1:] & valid[:-1]
    values = rng.normal(0, 0.3, (n, 68, 2)).astype(np.float32)
    detected = rng.normal(0, 0.3, (n, 68, 2)).astype(np.float32)
    values[~valid] = detected[~valid] = np.nan
    innovation = rng.normal(0, 0.01, (pairs, 68, 2)).astype(np.float32)
    error, around = (rng.uniform(0, 0.01, (pairs, p)).astype(np.float32) for p in (68, 42))
    innovation[~both] = error[~both] = around[~both] = np.nan
    rows = np.arange(0, n, 4)
    return LandmarkSequence(
        values=values,
        detected=detected,
        times=start + np.arange(n) / 25,
        valid=valid,
        confidence=np.where(valid, rng.uniform(0.5, 1, n), 0).astype(np.float32),
        forward_backward_error=error,
        innovation=innovation,
        tracked=(rng.random((pairs, 68)) < 0.9) & both[:, None],
        frame_indices=round(start * 25) + np.arange(n),
        centres=rng.normal(300, 20, (n, 2)).astype(np.float32),
        half_side=half_side,
        face=2,
        surround_error=around,
        looks=rng.normal(size=(len(rows), 5)).astype(np.float32) if looks else None,
        look_times=start + rows / 25 if looks else None,
    )


def assert_same(found: LandmarkSequence, expected: LandmarkSequence, but: tuple[str, ...] = ()) -> None:
    """Every field equal to the bit, types too."""
    for field in fields(LandmarkSequence):
        if field.name in but:
            continue
        ours, theirs = getattr(found, field.name), getattr(expected, field.name)
        np.testing.assert_array_equal(ours, theirs, field.name)
        if isinstance(theirs, np.ndarray):
            assert ours.dtype == theirs.dtype, field.name


def test_the_table_names_every_array() -> None:
    arrays = {f.name for f in fields(LandmarkSequence)} - {
        "half_side",
        "face",
        *(name for moment in MOMENTS for name in moment[:2]),
    }
    assert {c.name for c in COLUMNS} == arrays == {*OF_FRAMES, *OF_PAIRS}
    assert {c.name for c in COLUMNS if c.per == "pair"} == set(OF_PAIRS)
    for column in COLUMNS:
        assert getattr(drawn(6), column.name).dtype == column.dtype


@pytest.mark.parametrize("name", [*OF_FRAMES, *OF_PAIRS])
def test_an_array_of_another_length_is_refused(name: str) -> None:
    s = drawn(6)
    if name == "times":  # it says how many frames there are
        return
    with pytest.raises(SequenceError, match=f"needs {name} of shape"):
        replace(s, **{name: getattr(s, name)[:-1]})


@pytest.mark.parametrize(
    "change",
    [
        {"looks": None},
        {"look_times": None},
        {"look_times": np.array([0, 0.16])},
        {"looks": np.zeros(3, np.float32)},
    ],
)
def test_looks_without_their_times_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(SequenceError, match="look"):
        replace(drawn(10), **change)  # type: ignore[arg-type]


# Slices and rows


def rebuilt(s: LandmarkSequence, kept: list[int]) -> LandmarkSequence:
    """The sequence of some frames, put together from its frames one by one."""
    pairs = list(pairwise(kept))

    def of_pair(name: str) -> np.ndarray:
        array = getattr(s, name)
        empty = np.zeros_like(array[0]) if name == "tracked" else np.full_like(array[0], np.nan)
        rows = [array[a] if b == a + 1 else empty for a, b in pairs]
        return np.array(rows, array.dtype).reshape(len(pairs), *array.shape[1:])

    assert s.look_times is not None
    assert s.looks is not None
    taken = [i for i, time in enumerate(s.look_times) if time in s.times[kept]]
    return replace(
        s,
        **{name: np.array([getattr(s, name)[i] for i in kept], getattr(s, name).dtype).reshape(
            len(kept), *getattr(s, name).shape[1:]) for name in OF_FRAMES},
        **{name: of_pair(name) for name in OF_PAIRS},
        looks=s.looks[taken],
        look_times=s.look_times[taken],
    )  # fmt: skip


@given(start=st.integers(-15, 15), stop=st.integers(-15, 15), step=st.integers(1, 4))
def test_a_slice_is_what_its_frames_make(start: int, stop: int, step: int) -> None:
    s = drawn(12)
    assert_same(s[start:stop:step], rebuilt(s, list(range(12))[start:stop:step]))


@given(kept=st.sets(st.integers(0, 11)).map(sorted))
def test_rows_are_what_their_frames_make(kept: list[int]) -> None:
    s = drawn(12)
    assert_same(s[kept], rebuilt(s, kept))
    assert_same(s[np.isin(np.arange(12), kept)], s[kept])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_shortest_sequences_can_be_sliced_joined_and_mirrored(n: int) -> None:
    s = drawn(n)
    assert_same(s[:], s)
    assert_same(LandmarkSequence.join([s]), s)
    assert len(s[5:]) == 0
    assert_same(s.mirrored().mirrored(), s, but=("looks", "look_times"))


def test_rows_that_do_not_rise_are_refused() -> None:
    s = drawn(6)
    for rows in ([2, 1], [1, 1], slice(None, None, -1)):
        with pytest.raises(SequenceError, match="rising"):
            s[rows]
    with pytest.raises(IndexError):
        s[[7]]
    with pytest.raises(TypeError):
        s[2]  # type: ignore[index]


def test_between_takes_a_stretch_of_time() -> None:
    s = drawn(10, start=8.0)
    assert s.between(8.08, 8.2).frame_indices.tolist() == [202, 203, 204]
    assert len(s.between(0, 8)) == 0
    assert len(s.between(9, 8)) == 0
    assert_same(s.between(0, 100), s)


# Joins


@given(cut=st.integers(1, 11))
def test_joined_slices_are_the_whole_but_for_what_was_cut(cut: int) -> None:
    s = drawn(12)
    joined = LandmarkSequence.join([s[:cut], s[cut:]])
    assert_same(joined, s, but=OF_PAIRS)
    others = np.arange(11) != cut - 1
    for name in OF_PAIRS:
        found, expected = getattr(joined, name), getattr(s, name)
        np.testing.assert_array_equal(found[others], expected[others])
        assert found.dtype == expected.dtype
        assert not np.nan_to_num(found[cut - 1]).any()
        assert name == "tracked" or np.isnan(found[cut - 1]).all()


def test_parts_of_different_size_come_to_one_unit() -> None:
    """In frame pixels nothing changes: neither the landmarks nor the errors nor the innovation."""
    a, b = drawn(10, half_side=100.0), drawn(20, seed=1, start=5.0, half_side=130.0)
    joined = LandmarkSequence.join([a, b])
    assert joined.half_side == pytest.approx((9 * 100 + 19 * 130) / 28)  # one frame of either has no face
    for start, part in ((0, a), (10, b)):
        stop = start + len(part)
        np.testing.assert_allclose(joined.frame_landmarks()[start:stop], part.frame_landmarks(), rtol=1e-5)
        np.testing.assert_array_equal(joined.centres[start:stop], part.centres)
        for name in ("innovation", "forward_backward_error", "surround_error"):
            ours = getattr(joined, name)[start : stop - 1] * joined.half_side
            np.testing.assert_allclose(ours, getattr(part, name) * part.half_side, rtol=1e-5)
    assert joined.look_times is not None
    rows = np.array([0, 4, 8, 0, 4, 8, 12, 16])
    np.testing.assert_allclose(joined.look_times, np.repeat([0, 5], (3, 5)) + rows / 25)
    assert joined.values.dtype == np.float32
    assert joined.image_motion() > 0


def test_what_one_part_lacks() -> None:
    a, b = drawn(5), replace(drawn(5, start=1.0, looks=False), surround_error=None)
    joined = LandmarkSequence.join([a, b])
    assert joined.surround_error is None
    np.testing.assert_array_equal(joined.looks, a.looks)
    np.testing.assert_array_equal(joined.look_times, a.look_times)


def test_sequences_that_do_not_belong_together_are_not_joined() -> None:
    s = drawn(5)
    with pytest.raises(SequenceError, match="one face"):
        LandmarkSequence.join([s, replace(drawn(5, start=1.0), face=3)])
    with pytest.raises(SequenceError, match="one face"):
        LandmarkSequence.join([])
    with pytest.raises(SequenceError, match="overlap in time"):
        LandmarkSequence.join([s, s])


def test_parts_without_a_face_do_not_count_for_the_unit() -> None:
    gap = drawn(4, half_side=7.0).with_gaps(np.ones(4, bool))
    assert LandmarkSequence.join([gap, drawn(4, start=1.0)]).half_side == 100
    assert LandmarkSequence.join([gap]).half_side == 7


# Gaps


def test_a_new_gap_touches_its_frame_and_the_two_pairs_that_it_is_in() -> None:
    s = drawn(9)
    found = s.with_gaps(np.arange(9) == 6)
    assert found.valid.tolist() == [i not in (3, 6) for i in range(9)]
    assert np.isnan(found.values[6]).all()
    assert np.isnan(found.detected[6]).all()
    assert found.confidence[6] == 0
    others, pairs = np.arange(9) != 6, ~np.isin(np.arange(8), (5, 6))
    for name in OF_FRAMES:
        np.testing.assert_array_equal(getattr(found, name)[others], getattr(s, name)[others])
    for name in OF_PAIRS:
        np.testing.assert_array_equal(getattr(found, name)[pairs], getattr(s, name)[pairs])
        assert not np.nan_to_num(getattr(found, name)[~pairs]).any()
    assert found.times is s.times
    assert np.isfinite(s.values[6]).all()  # the original is as it was
    lost = s.with_gaps(np.arange(9) == 4)
    assert lost.look_times is not None
    np.testing.assert_allclose(lost.look_times, [0, 8 / 25])


# Mirror


def test_the_mirror_swaps_sides_and_is_its_own_inverse() -> None:
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))
    for right, left in (("right brow", "left brow"), ("right eye", "left eye")):
        assert set(MIRROR[FACIAL_GROUPS[right]]) == set(range(68)[FACIAL_GROUPS[left]])
    s = drawn(40)
    assert_same(s.mirrored().mirrored(), s, but=("looks", "look_times"))
    np.testing.assert_allclose(s.mirrored().values[:, 36, 0], -s.values[:, 45, 0])
    assert s.mirrored().image_motion() == pytest.approx(s.image_motion(), rel=1e-4)
    assert s.mirrored().looks is None


def test_the_mirror_shows_what_surrounds_the_mirrored_face() -> None:
    s = drawn(40)
    points = s.values[0]
    np.testing.assert_allclose(
        surroundings(points[MIRROR] * np.float32([-1, 1])),
        surroundings(points)[MIRROR_SURROUNDINGS] * np.float32([-1, 1]),
        atol=1e-5,
    )
    shown = s.mirrored().surround_error
    assert shown is not None
    assert s.surround_error is not None
    np.testing.assert_array_equal(shown, s.surround_error[:, MIRROR_SURROUNDINGS])


def test_flow_steps_lead_from_the_landmark_to_its_prediction() -> None:
    """In frame pixels: the step is the prediction (detected less innovation) less the landmark before."""
    s = drawn(12)
    landmarks, detected = s.frame_landmarks(), s.uncalibrated().frame_landmarks()
    expected = detected[1:] - s.innovation * 100 - landmarks[:-1]
    np.testing.assert_allclose(s.flow_steps() * 100, expected, atol=1e-3)
