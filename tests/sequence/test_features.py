"""Crop, sequence, embeddings, clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrnet.errors import DatasetError, SequenceError
from lrnet.network.clips import Clip, cut_clips
from lrnet.network.streams import STREAMS, embed_clips, noise_level
from lrnet.sequence.crop import StabilisedCrop
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from lrnet.sequence.settings import ClipSpec


def face(size: float = 100.0, centre: tuple[float, float] = (200.0, 150.0), seed: int = 0) -> NDArray[np.float32]:
    points = np.random.default_rng(seed).uniform(-0.4, 0.4, (68, 2))
    points[0], points[1] = (-0.5, -0.5), (0.5, 0.5)
    return (points * size + np.array(centre)).astype(np.float32)


def sequence(valid: list[bool], rate: float = 25.0) -> LandmarkSequence:
    values = np.random.default_rng(1).normal(0, 0.3, (len(valid), 68, 2)).astype(np.float32)
    values[~np.array(valid, bool)] = np.nan
    return LandmarkSequence.from_values(values, rate=rate)


@pytest.mark.parametrize("size", [30.0, 100.0, 333.0, 900.0, 1500.0])
def test_a_pixel_lies_in_the_crop_where_the_map_says(size: float) -> None:
    """A bright blob in the frame is found again at `to_crop` of its place: no half-pixel drift at any zoom."""
    image = np.zeros((1200, 1600), np.float32)
    at = np.array([810.0, 605.0]) + size * np.array([0.13, -0.21])
    y, x = np.mgrid[:1200, :1600]
    image = 250 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (size / 40 + 1) ** 2))
    crop = StabilisedCrop(face(size, (810.0, 605.0)))
    cut = crop.cut(image.astype(np.uint8)).astype(np.float64)
    y, x = np.mgrid[:400, :400]
    found = np.array([(x * cut).sum(), (y * cut).sum()]) / cut.sum()
    np.testing.assert_allclose(found, crop.to_crop(at[None])[0], atol=0.15)


def test_crop_and_frame_coordinates_are_inverse() -> None:
    crop = StabilisedCrop(face())
    np.testing.assert_allclose(crop.to_frame(crop.to_crop(face(seed=3))), face(seed=3), atol=1e-3)


def test_the_crop_s_centre_is_held_against_jitter_and_follows_motion() -> None:
    crop = StabilisedCrop(face())
    crop.follow(face() + 0.4)
    np.testing.assert_allclose(crop.centre, (200, 150), atol=1e-3)
    crop.follow(face() + 3.0)
    np.testing.assert_allclose(crop.centre, (203, 153), atol=1e-3)
    assert crop.side == pytest.approx(120, rel=1e-5)
    assert not crop.follow(face(106))
    assert crop.follow(face(200))
    assert crop.side == pytest.approx(240, rel=1e-5)


def test_embeddings_against_their_definition() -> None:
    s = sequence([True] * 8)
    a = s.values.reshape(8, 136)
    np.testing.assert_array_equal(STREAMS["positions"].embed(s), a)
    np.testing.assert_allclose(STREAMS["differences"].embed(s)[1:], a[1:] - a[:-1], atol=1e-6)
    rows = STREAMS["acceleration"].embed(s)
    second = s.values[2:] - 2 * s.values[1:-1] + s.values[:-2]
    second = second - second.mean(axis=1, keepdims=True)
    size = np.sqrt((second**2).sum(axis=2))
    np.testing.assert_allclose(rows[2:, :136], (second / np.median(size)).reshape(6, 136), rtol=1e-4, atol=1e-5)
    jaw = np.log(np.median(size[:, FACIAL_GROUPS["jaw"]]) / 0.003)
    np.testing.assert_allclose(rows[2:, 136], jaw, rtol=1e-5)


def test_acceleration_does_not_see_the_head_move_or_the_unit_change() -> None:
    s = sequence([True] * 20)
    path = np.cumsum(np.random.default_rng(2).normal(size=(20, 1, 2)), axis=0).astype(np.float32)
    moved = LandmarkSequence.from_values(s.values + path)
    scaled = LandmarkSequence.from_values(s.values * 2)
    rows = STREAMS["acceleration"].embed(s)[2:]
    np.testing.assert_allclose(STREAMS["acceleration"].embed(moved)[2:], rows, atol=1e-3)
    np.testing.assert_allclose(STREAMS["acceleration"].embed(scaled)[2:, :136], rows[:, :136], atol=1e-4)


@pytest.mark.parametrize("name", list(STREAMS))
def test_a_gap_touches_only_the_rows_that_look_at_it(name: str) -> None:
    valid = [True] * 20
    valid[9] = False
    s = sequence(valid)
    stream = STREAMS[name]
    rows = stream.embed(s)
    assert rows.shape == (20, stream.width)
    if "innovation" in name or "forward_backward" in name:
        return  # `from_values` knows no tracker
    spoilt = ~np.isfinite(rows).all(axis=1)
    expected = {*range(stream.lag), *range(9, 9 + stream.lag + 1)}
    assert set(np.flatnonzero(spoilt)) == expected


@pytest.mark.parametrize("name", list(STREAMS))
@pytest.mark.parametrize("frames", [0, 1, 2, 3])
def test_the_shortest_sequences_have_embeddings_too(name: str, frames: int) -> None:
    s = sequence([True] * frames)
    rows = STREAMS[name].embed(s)
    assert rows.shape == (frames, STREAMS[name].width)
    assert np.isnan(rows[: STREAMS[name].lag]).all()
    assert embed_clips(s, [], (name,)) == []


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (29, []),
        (30, [(0, 30)]),
        (45, [(0, 45)]),
        (60, [(0, 60)]),
        (61, [(0, 60), (1, 61)]),
        (120, [(0, 60), (60, 120)]),
        (150, [(0, 60), (60, 120), (90, 150)]),
    ],
)
def test_clips_cover_the_tail(frames: int, expected: list[tuple[int, int]]) -> None:
    clips = cut_clips(sequence([True] * frames), ClipSpec(length=60, stride=60, min_length=30))
    assert [(c.start, c.stop) for c in clips] == expected


@given(
    valid=st.lists(st.booleans(), max_size=120),
    length=st.integers(2, 30),
    stride=st.integers(1, 30),
    minimum=st.integers(2, 30),
)
def test_every_long_enough_run_is_covered_and_no_gap_is_inside(
    valid: list[bool], length: int, stride: int, minimum: int
) -> None:
    settings = ClipSpec(length=length, stride=min(stride, length), min_length=min(minimum, length))
    clips = cut_clips(sequence(valid), settings)
    covered = np.zeros(len(valid), bool)
    for clip in clips:
        assert all(valid[clip.start : clip.stop])
        assert settings.min_length <= len(clip) <= length
        covered[clip.start : clip.stop] = True
    run = 0
    for i, v in enumerate([*valid, False]):
        if v:
            run += 1
            continue
        assert covered[i - run : i].all() == (run >= settings.min_length or run == 0)
        run = 0


def test_a_pause_in_time_parts_clips() -> None:
    s = sequence([True] * 40)
    s.times[20:] += 5.0
    assert cut_clips(s, ClipSpec(length=30, stride=30, min_length=10)) == [Clip(0, 20), Clip(20, 40)]


def test_batches_hold_the_rows_of_their_clips() -> None:
    s = sequence([True] * 100)
    clips = [Clip(0, 40), Clip(50, 90), Clip(90, 100)]
    batches = embed_clips(s, clips, ("positions", "differences", "acceleration"))
    assert [b.clips for b in batches] == [(Clip(0, 40), Clip(50, 90)), (Clip(90, 100),)]
    assert {n: v.shape for n, v in batches[0].streams.items()} == {
        "positions": (2, 40, 136),
        "differences": (2, 39, 136),
        "acceleration": (2, 38, 143),
    }
    np.testing.assert_array_equal(batches[0].streams["differences"][1, 0], (s.values[51] - s.values[50]).ravel())
    assert all(np.isfinite(v).all() for b in batches for v in b.streams.values())
    with pytest.raises(SequenceError, match="no stream 'smell'"):
        embed_clips(s, clips, ("smell",))


@pytest.mark.parametrize("shape", [(10, 67, 2), (10, 135), (10,), (2, 3, 68, 2), (10, 2, 68), (10, 136, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SequenceError):
        LandmarkSequence.from_values(np.zeros(shape, np.float32))


def test_what_the_tracker_measured_is_taken_relative_to_the_noise_of_the_track() -> None:
    """Twice the noise everywhere changes nothing; against a closed form for one value."""
    generator = np.random.default_rng(0)
    s = replace(
        sequence([True] * 30),
        innovation=generator.normal(0, 0.003, (29, 68, 2)).astype(np.float32),
        forward_backward_error=generator.uniform(0.001, 0.01, (29, 68)).astype(np.float32),
    )
    second = np.diff(s.values.astype(np.float64), n=2, axis=0)
    level = np.median(np.linalg.norm(second - second.mean(axis=1, keepdims=True), axis=2))
    assert noise_level(s) == pytest.approx(level, rel=1e-4)
    innovation = STREAMS["relative_innovation"].embed(s)
    assert innovation[4, 7] == pytest.approx(np.clip(s.innovation[3, 3, 1] / level, -10, 10), rel=1e-4)
    error = STREAMS["relative_forward_backward"].embed(s)
    assert error[4, 7] == pytest.approx(np.log(s.forward_backward_error[3, 7] / level), rel=1e-3)
    doubled = replace(
        s, values=2 * s.values, innovation=2 * s.innovation, forward_backward_error=2 * s.forward_backward_error
    )
    np.testing.assert_allclose(STREAMS["relative_innovation"].embed(doubled)[1:], innovation[1:], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(STREAMS["relative_forward_backward"].embed(doubled)[1:], error[1:], atol=1e-3)


def test_the_face_is_measured_against_what_surrounds_it() -> None:
    """Any unit gives the same; what could not be followed says nothing; what was not measured is asked for."""
    generator = np.random.default_rng(0)
    s = sequence([True] * 12 + [False] + [True] * 12)
    known = s.valid[1:] & s.valid[:-1]
    error = np.where(known[:, None], generator.uniform(0.001, 0.01, (24, 68)), np.nan).astype(np.float32)
    around = np.where(known[:, None], generator.uniform(0.001, 0.01, (24, 42)), np.nan).astype(np.float32)
    around[:, 7] = np.nan
    s = replace(s, forward_backward_error=error, surround_error=around)
    embed = STREAMS["forward_backward_around"].embed
    rows = embed(s)
    assert rows.shape == (25, 110)
    assert set(np.flatnonzero(np.isnan(rows).any(axis=1))) == {0, 12, 13}
    usual = rows[5, np.r_[:75, 76:110]]
    assert rows[5, 75] == pytest.approx(np.median(usual), abs=1e-5)
    assert np.median(rows[np.isfinite(rows)]) == pytest.approx(0, abs=1e-5)
    assert rows[5, 3] - rows[5, 70] == pytest.approx(np.log(error[4, 3] / around[4, 2]), abs=1e-4)
    doubled = replace(s, forward_backward_error=2 * error, surround_error=2 * around)
    np.testing.assert_allclose(embed(doubled)[1:12], rows[1:12], atol=1e-4)
    assert embed_clips(s, [Clip(0, 12)], ("forward_backward_around",))[0].streams["forward_backward_around"].shape == (
        1,
        11,
        110,
    )
    with pytest.raises(DatasetError, match="without what surrounds the face"):
        embed_clips(replace(s, surround_error=None), [Clip(0, 12)], ("forward_backward_around",))


def test_deformation_sees_through_camera_motion() -> None:
    rng = np.random.default_rng(0)
    shape = rng.uniform(-0.5, 0.5, (68, 2))
    frames = []
    for t in range(40):
        turn, size = 0.02 * t, 1 + 0.01 * t
        camera = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        bent = shape + 0.02 * t / 40 * shape[:, :1] * shape[:, 1:]
        frames.append(bent @ camera + 0.003 * t)
    rigid = LandmarkSequence.from_values(np.array(frames, np.float32))
    assert rigid.deformation(10) < 1e-4

    way = np.where(np.arange(68) % 2, 1, -1)[:, None] * np.array([0.0, 0.01])
    moving = LandmarkSequence.from_values(
        (np.array(frames) + np.arange(40)[:, None, None] % 4 * way).astype(np.float32)
    )
    # Alternate points go 0.01 up and down a frame: the fit takes up a little of that, as 12 of 136 numbers can.
    assert moving.deformation(1) == pytest.approx(0.01, rel=0.15)
    assert moving.deformation(2) == pytest.approx(0.02, rel=0.15)
    assert moving.deformation(4) < 1e-3


def test_deformation_leaves_gaps_out() -> None:
    values = np.random.default_rng(0).normal(0, 0.3, (6, 68, 2)).astype(np.float32)
    values[1:3] = np.nan
    sequence = LandmarkSequence.from_values(values)
    assert np.isfinite(sequence.deformation(1))
    assert np.isnan(sequence.deformation(6))
    assert np.isnan(LandmarkSequence.from_values(values[:0]).deformation(1))
    line = np.repeat(np.linspace(-1, 1, 68)[None, :, None], 2, axis=2)
    assert LandmarkSequence.from_values(np.repeat(line, 5, axis=0)).deformation(2) < 1e-5
