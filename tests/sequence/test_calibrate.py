"""`lrnet.calibrate`: identity, translation, missing points, gaps, shot cuts, wrong uses; and the released example."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import av.error
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.media import write_video

import lrnet
from lrnet.errors import LrnetError, NotAVideoError, SequenceError, VideoError
from lrnet.faces.landmark_files import LandmarkTable, read_landmarks, write_landmarks
from lrnet.sequence import CalibrationSpec, SequenceSpec
from lrnet.sequence.alignment import Align
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.calibrate import CalibratedLandmarks
from lrnet.sequence.jitter import jitter
from lrnet.sequence.landmark_sequence import finite_frames
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader

pytestmark = pytest.mark.usefixtures("one_mesh")
RNG = np.random.default_rng(0)
WIDTH, HEIGHT = 320, 240
TEXTURE = cv2.GaussianBlur(RNG.integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8), (0, 0), 2.0)
TEXTURE = cv2.normalize(TEXTURE, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
FACE = (RNG.uniform(-50, 50, (68, 2)) + np.array([160, 120])).astype(np.float32)

Array = NDArray[np.float32]


def shifted(by: NDArray[np.float64]) -> NDArray[np.uint8]:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float64)
    moved = cv2.warpAffine(TEXTURE, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return moved.astype(np.uint8)


def still(n: int) -> Iterator[NDArray[np.uint8]]:
    return (TEXTURE for _ in range(n))


def constant(n: int) -> Array:
    return np.repeat(FACE[None], n, axis=0)


def noisy(n: int, size: float = 0.4) -> Array:
    return (constant(n) + np.random.default_rng(5).normal(0, size, (n, 68, 2))).astype(np.float32)


def table(points: Array, times: NDArray[np.float64] | None, numbers: NDArray[np.int64] | None = None) -> LandmarkTable:
    n = len(points)
    numbers = np.arange(n) if numbers is None else numbers
    return LandmarkTable(points, numbers, times, np.zeros(n, np.int64), np.ones(n, np.float32))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames of a face that moves, 25 a second."""
    frames = [np.dstack([shifted(np.array([i, 0.5 * i]))] * 3) for i in range(10)]
    return write_video(tmp_path_factory.mktemp("video") / "face.mp4", frames)


def followed(n: int = 10) -> Array:
    """Where the face of `video` is."""
    return (FACE + np.array([[[i, 0.5 * i]] for i in range(n)])).astype(np.float32)


# What comes out


def test_constant_landmarks_on_a_still_video_stay_as_they_are() -> None:
    result = lrnet.calibrate(still(8), constant(8))
    np.testing.assert_allclose(result.points, constant(8), atol=1e-3)
    assert result.valid.all()
    assert np.nanmax(result.forward_backward_error) < 1e-3
    assert np.nanmax(np.abs(result.innovation)) < 1e-3
    assert result.tracked_share == 1.0
    assert result.jitter() == pytest.approx((0, 0), abs=1e-2)


@pytest.mark.parametrize("flow", ["opencv", "algorithm1"])
@pytest.mark.parametrize("colour", [False, True])
def test_a_translation_is_followed(flow: str, colour: bool) -> None:
    shifts = np.stack([np.linspace(0, 18, 12), np.linspace(0, -9, 12)], axis=1)
    frames = [np.dstack([shifted(by)] * 3) if colour else shifted(by) for by in shifts]
    truth = (FACE + shifts[:, None, :]).astype(np.float32)
    chosen = SequenceSpec(calibration=CalibrationSpec.model_validate({"flow": flow}))
    result = lrnet.calibrate(frames, truth, settings=chosen)
    assert np.abs(result.points - truth).max() < 0.25
    assert result.tracked_share > 0.95


def test_noise_comes_off() -> None:
    result = lrnet.calibrate(still(30), noisy(30))
    before, after = result.jitter()
    assert after < 0.5 * before
    np.testing.assert_allclose(result.detected, noisy(30), atol=1e-3)
    # 0.6745 sigma is the median of |N(0, sigma)|: the detections' own noise, and a little of the points before.
    assert 0.9 * 0.6745 * 0.4 < np.nanmedian(np.abs(result.innovation)) < 1.5 * 0.6745 * 0.4


def test_a_video_by_its_path_a_reader_and_a_file(video: Path, tmp_path: Path) -> None:
    write_landmarks(tmp_path / "a.csv", table(followed(), np.arange(10) / 25))
    by_path = lrnet.calibrate(video, followed())
    by_file = lrnet.calibrate(str(video), tmp_path / "a.csv")
    with VideoReader(video) as reader:
        by_frames = lrnet.calibrate(reader, followed())
    np.testing.assert_array_equal(by_path.points, by_frames.points)
    np.testing.assert_allclose(by_path.points, by_file.points, atol=1e-3)
    np.testing.assert_allclose(by_path.times, np.arange(10) / 25)
    assert np.abs(by_path.points - followed()).max() < 0.5
    assert by_path.sequence.times is by_path.times


@pytest.mark.parametrize("damaged", [{0, 1}, {4}, {3, 4, 9}, {8, 9}])
def test_damaged_frames_are_gaps_and_count(video: Path, monkeypatch: pytest.MonkeyPatch, damaged: set[int]) -> None:
    """Other programs count frames that the decoder patched, and give landmarks of them."""

    def damaging(source: VideoFrame, index: int, *settings: Any) -> Frame:
        if index in damaged:
            raise av.error.ArgumentError(22, "damage")
        return Frame(source, index, *settings)

    monkeypatch.setattr("lrnet.video.reader.Frame", damaging)
    result = lrnet.calibrate(video, followed(), check_faces=False)
    assert set(np.flatnonzero(~result.valid).tolist()) == damaged
    np.testing.assert_allclose(result.times, np.arange(10) / 25)
    np.testing.assert_allclose(result.detected[result.valid], followed()[result.valid], atol=1e-3)
    assert any(f"damaged ({len(damaged)} frames" in note for note in result.notes)


def test_the_sequence_is_what_the_detector_s_builder_makes(video: Path) -> None:
    builder = SequenceBuilder()
    with VideoReader(video) as reader:
        for frame, points in zip(reader, followed(), strict=True):
            builder.add(frame.luma, points, 1.0, frame.index, frame.time)
    expected = builder.finish()
    found = lrnet.calibrate(video, followed()).sequence
    assert found.half_side == pytest.approx(expected.half_side)
    for name in ("values", "detected", "innovation", "forward_backward_error", "centres", "times"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5)
    assert np.array_equal(found.tracked, expected.tracked)


def test_its_table_can_be_written_in_both_units(tmp_path: Path) -> None:
    result = lrnet.calibrate(still(4), constant(4))
    for normalised in (False, True):
        write_landmarks(tmp_path / "a.npz", result.table(normalised=normalised))
        back = read_landmarks(tmp_path / "a.npz")
        expected = result.sequence.values if normalised else result.points
        np.testing.assert_array_equal(back.points, expected)
        assert back.units == ("normalised" if normalised else "frame pixels")
    np.testing.assert_allclose(result.sequence.frame_landmarks(), result.points, atol=1e-3)


# Gaps, missing points, cuts


@settings(max_examples=20, deadline=None)
@given(gaps=st.frozensets(st.integers(0, 9)))
def test_any_order_of_gaps_keeps_length_and_times(gaps: frozenset[int]) -> None:
    landmarks = constant(10)
    landmarks[list(gaps)] = np.nan
    result = lrnet.calibrate(still(10), landmarks, frame_rate=50)
    present = [i not in gaps for i in range(10)]
    assert result.valid.tolist() == present
    np.testing.assert_allclose(result.times, np.arange(10) / 50)
    assert finite_frames(result.points).tolist() == present
    np.testing.assert_allclose(result.points[present], constant(10)[present], atol=1e-3)
    pairs = result.valid[1:] & result.valid[:-1]
    assert np.isfinite(result.innovation[pairs]).all()
    assert np.isnan(result.innovation[~pairs]).all()
    assert len(result.sequence) == 10
    assert result.sequence.valid.tolist() == present
    assert result.frames_with_face == sum(present)


@settings(max_examples=20, deadline=None)
@given(missing=st.sets(st.tuples(st.integers(0, 7), st.integers(0, 67)), max_size=25))
def test_missing_points_never_spread(missing: set[tuple[int, int]]) -> None:
    landmarks = constant(8)
    for frame, point in missing:
        landmarks[frame, point] = np.nan
    result = lrnet.calibrate(still(8), landmarks)
    known = np.isfinite(landmarks)
    assert np.array_equal(np.isfinite(result.points), known)
    np.testing.assert_allclose(result.points[known], constant(8)[known], atol=2e-2)
    both = known[1:, :, 0] & known[:-1, :, 0]
    assert np.array_equal(np.isfinite(result.forward_backward_error), both)
    assert not result.tracked[~both].any()
    assert np.array_equal(result.sequence.valid, known.all(axis=(1, 2)))
    assert np.isnan(result.sequence.values[~result.sequence.valid]).all()


def test_a_missing_point_of_a_moving_face_is_taken_up_again() -> None:
    shifts = np.stack([np.linspace(0, 30, 16), np.zeros(16)], axis=1)
    truth = (FACE + shifts[:, None, :]).astype(np.float32)
    landmarks = truth.copy()
    landmarks[4:9, 30] = np.nan
    landmarks[:3, 31] = np.nan
    result = lrnet.calibrate([shifted(by) for by in shifts], landmarks)
    known = np.isfinite(landmarks)
    assert np.array_equal(np.isfinite(result.points), known)
    assert np.abs(result.points - truth)[known].max() < 0.5


def test_a_landmark_that_is_never_there_stays_missing_alone() -> None:
    landmarks = noisy(6)
    landmarks[:, 5] = np.nan
    result = lrnet.calibrate(still(6), landmarks)
    assert np.isnan(result.points[:, 5]).all()
    assert np.isfinite(np.delete(result.points, 5, axis=1)).all()
    assert not result.valid.any()
    assert result.frames_with_face == 6


def test_a_frame_with_too_few_points_is_a_gap() -> None:
    landmarks = constant(5)
    landmarks[2, 10:] = np.nan
    result = lrnet.calibrate(still(5), landmarks)
    assert np.isnan(result.points[2]).all()
    assert result.frames_with_face == 4


def test_a_shot_cut_starts_the_filter_again() -> None:
    other = cv2.flip(255 - TEXTURE // 3, -1)
    landmarks = noisy(12)
    result = lrnet.calibrate([*still(6), *[other] * 6], landmarks)
    assert result.shot_starts == (0, 6)
    np.testing.assert_allclose(result.points[6], landmarks[6], atol=1e-3)
    assert np.isnan(result.innovation[5]).all()
    assert not result.tracked[5].any()
    assert result.valid.all()
    first, second = result.shots
    assert (len(first), len(second)) == (6, 6)
    assert second.frame_indices[0] == 6
    np.testing.assert_array_equal(second.innovation, result.sequence.innovation[6:])
    alone = lrnet.calibrate([other] * 6, landmarks[6:])
    np.testing.assert_allclose(result.points[6:], alone.points, atol=1e-3)


@pytest.mark.parametrize("way", [(45.0, 0.0), (0.0, -60.0), (200.0, 100.0)])
@pytest.mark.parametrize("gap", [0, 1, 4])
def test_a_face_that_jumps_is_another_one(way: tuple[float, float], gap: int) -> None:
    """The face is 100 pixels large; a jump of half that starts a shot, with or without a gap before."""
    landmarks = constant(12) - np.float32([60, 40])
    landmarks[6:] += np.float32(way)
    landmarks[6 - gap : 6] = np.nan
    result = lrnet.calibrate(still(12), landmarks)
    jumps = np.hypot(*way) > 50
    assert result.shot_starts == ((0, 6) if jumps else (0,))
    assert any("jumps by more than half its size at frame 6" in note for note in result.notes) == jumps
    if jumps:
        assert np.isnan(result.innovation[5]).all()
        assert [len(shot) for shot in result.shots] == [6, 6]


@pytest.mark.parametrize(("scale", "another"), [(0.75, False), (1.35, False), (0.65, True), (1.45, True)])
def test_a_face_of_another_size_is_another_one_as_in_detection(scale: float, another: bool) -> None:
    landmarks = constant(12)
    landmarks[6:] = (landmarks[6:] - 150) * np.float32(scale) + 150
    result = lrnet.calibrate(still(12), landmarks)
    assert result.shot_starts == ((0, 6) if another else (0,))
    assert any("suddenly larger or smaller" in note for note in result.notes) == another


def test_jitter_that_rises_is_said_in_words() -> None:
    """Landmarks that stand still on a picture that shakes: calibration gives them the picture's motion."""
    shakes = np.random.default_rng(3).normal(0, 1.5, (20, 2))
    slow = (constant(20) + np.linspace(0, 3, 20)[:, None, None]).astype(np.float32)
    result = lrnet.calibrate([shifted(by) for by in shakes], slow)
    before, after = result.jitter()
    assert after > before
    assert result.notes == (result.notes[0],)
    assert f"raised the jitter from {before:.2f} to {after:.2f} %" in result.notes[0]
    assert lrnet.calibrate(still(30), noisy(30)).notes == ()


def test_jitter_is_that_of_the_benchmark_in_shares_of_the_face() -> None:
    """The median, as `lrnet benchmark calibration` prints it: one landmark that leaps does not count."""
    result = lrnet.calibrate(still(30), noisy(30))
    points = result.points.copy()
    points[::3, 8] += 50
    unit = np.linalg.norm(result.detected[:, 45] - result.detected[:, 36], axis=1).mean() / 100
    before, after = replace(result, points=points).jitter()
    assert (before, after) == pytest.approx((jitter(result.detected) / unit, jitter(points) / unit), rel=1e-4)
    assert after == pytest.approx(result.jitter()[1], rel=0.05)
    empty = np.full_like(points, np.nan)
    assert np.isnan(replace(result, points=empty, detected=empty).jitter()).all()


def test_no_limit_of_detection_cuts_a_video_that_is_calibrated(tmp_path: Path) -> None:
    times = [0.0, 8_000.0, 16_000.0]
    path = write_video(tmp_path / "long.mkv", [np.dstack([TEXTURE] * 3)] * 3, times=times)
    np.testing.assert_allclose(lrnet.calibrate(path, constant(3)).times, times, atol=1e-3)


def test_recordings_that_were_joined_are_two_shots(tmp_path: Path) -> None:
    times = [i / 25 + 3600 * (i >= 10) for i in range(20)]
    path = write_video(tmp_path / "joined.mkv", [np.dstack([TEXTURE] * 3)] * 20, times=times)
    result = lrnet.calibrate(path, constant(20), check_faces=False)
    assert result.shot_starts == (0, 10)
    np.testing.assert_allclose(result.times, np.arange(20) / 25, atol=2e-3)


@pytest.mark.parametrize("from_first_frame", [True, False])
def test_landmarks_of_a_video_that_starts_late_are_aligned_by_time(tmp_path: Path, from_first_frame: bool) -> None:
    """Most programs count time from the first frame, some as a player does."""
    shown = np.arange(10) / 25 + 3.0
    path = write_video(tmp_path / "late.mkv", [np.dstack([TEXTURE] * 3)] * 10, times=shown.tolist())
    stamps = shown - 3.0 if from_first_frame else shown
    result = lrnet.calibrate(path, table(constant(10), stamps), align="time", check_faces=False)
    np.testing.assert_allclose(result.times, shown, atol=2e-3)
    assert result.valid.all()


# Wrong uses


def test_another_number_of_frames_names_both(video: Path, tmp_path: Path) -> None:
    """Where rows were counted, and no frame number is stated."""
    np.savez(tmp_path / "short.npz", landmarks=followed(7), timestamp=np.arange(7) / 25)
    with pytest.raises(SequenceError, match=r"short.npz holds landmarks of 7 frames, and .*mp4 has 10.*--align time"):
        lrnet.calibrate(video, tmp_path / "short.npz")
    with pytest.raises(SequenceError, match=r"of 13 frames, and .*mp4 has 10\. Make them again"):
        lrnet.calibrate(video, constant(13))
    result = lrnet.calibrate(video, tmp_path / "short.npz", align="time")
    assert result.valid.tolist() == [True] * 7 + [False] * 3
    assert np.abs(result.points[:7] - followed(7)).max() < 0.5


@pytest.mark.parametrize("missing", [[7, 8, 9], [0, 1], [4], [0, 3, 9]])
@pytest.mark.parametrize("align", ["index", "time"])
def test_rows_that_are_missing_by_their_frame_numbers_are_gaps(
    video: Path, tmp_path: Path, missing: list[int], align: Align
) -> None:
    kept = np.array([i for i in range(10) if i not in missing])
    write_landmarks(tmp_path / "a.csv", table(followed()[kept], kept / 25, kept))
    result = lrnet.calibrate(video, tmp_path / "a.csv", align=align)
    assert np.flatnonzero(~result.valid).tolist() == missing
    assert np.abs(result.points[kept] - followed()[kept]).max() < 0.5
    told = any("has no rows for the last" in note for note in result.notes)
    assert told == (align == "index" and 9 in missing)


def uneven(tmp_path: Path) -> Path:
    """A video of variable rate: ten frames of `followed`, 1 / 25 s apart but for two pauses."""
    times = [0.0, 0.04, 0.08, 0.24, 0.28, 0.32, 0.36, 0.6, 0.64, 0.68]
    frames = [np.dstack([shifted(np.array([i, 0.5 * i]))] * 3) for i in range(10)]
    return write_video(tmp_path / "uneven.mkv", frames, times=times)


@pytest.mark.parametrize("rate", [25.0, 10 / 0.68, 1000.0, 7.0])
@pytest.mark.parametrize("last", [10, 8])
def test_frame_numbers_are_trusted_where_stamps_contradict_them(tmp_path: Path, rate: float, last: int) -> None:
    """OpenFace makes its stamps of frame number and the header's rate: the real one, the mean one, or nonsense."""
    path, numbers = uneven(tmp_path), np.arange(last)
    given = table(followed()[:last], numbers / rate, numbers)
    result = lrnet.calibrate(path, given)
    assert result.valid.sum() == last
    np.testing.assert_allclose(result.detected[:last], followed()[:last], atol=1e-3)
    with pytest.raises(SequenceError, match=r"by time stamp, frame \d+ .*leave out --align time|Not one of"):
        lrnet.calibrate(path, table(followed()[:last], numbers / rate + 1e-3, numbers), align="time")


def test_alignment_by_time_is_not_proposed_against_frame_numbers(tmp_path: Path) -> None:
    longer = table(constant(13), np.arange(13) / 25, np.arange(13))
    with pytest.raises(SequenceError, match=r"of 13 frames, and .*has 10") as error:
        lrnet.calibrate(uneven(tmp_path), longer)
    assert "--align time" not in error.value.hint


def test_numbers_of_a_copy_at_another_rate_are_refused(video: Path) -> None:
    half = table(followed()[::2], np.arange(5) / 12.5)
    with pytest.raises(SequenceError, match=r"of 5 frames, and .*mp4 has 10.*--align time"):
        lrnet.calibrate(video, half)


def test_alignment_by_time_takes_the_frame_s_own_landmarks(video: Path) -> None:
    """Landmarks of twice the frames, from a face that is elsewhere in the odd ones."""
    both = np.repeat(followed(), 2, axis=0)
    both[1::2] += 20
    result = lrnet.calibrate(video, table(both, np.arange(20) / 50), align="time")
    assert np.abs(result.points - followed()).max() < 0.5
    sparse = lrnet.calibrate(video, table(followed()[::2], np.arange(5) / 12.5), align="time")
    assert sparse.valid.tolist() == [True, False] * 5


def test_a_row_is_of_one_frame_only_where_there_are_many_more_frames() -> None:
    """120 frames a second, landmarks of 25 (120 / 25 is no whole number): each row goes to the frame nearest to it."""
    stamps = np.arange(6) / 25
    result = lrnet.calibrate(still(25), table(constant(6), stamps), align="time", frame_rate=120)
    assert np.flatnonzero(result.valid).tolist() == [0, 5, 10, 14, 19, 24]


@pytest.mark.parametrize(
    ("landmarks", "options", "what"),
    [
        (followed(), {"align": "time"}, "no time stamps"),
        (table(followed(), np.zeros(10)), {"align": "time"}, "do not rise"),
        (table(followed(), np.arange(10) + 60.0), {"align": "time"}, "Not one of the 10 frames"),
        (followed(), {"align": "guess"}, "cannot be aligned by 'guess'"),
        (followed() / 500, {}, "normalised landmarks"),
        (followed() + 5000, {}, r"frame 0, x 51.. to 52.. and .*not in the frame of 320 x 240"),
        (followed() * 40 - 5000, {}, "not in the frame"),
        (followed(), {"face": 2}, "holds no face 2"),
        (np.zeros((10, 5, 2)), {}, r"shape \(10, 5, 2\)"),
        (np.full((10, 68, 2), np.inf), {}, "lies beyond"),
        ("nothing.csv", {}, "There is no file nothing.csv"),
    ],
)
def test_landmarks_that_do_not_fit(video: Path, landmarks: Array, options: dict[str, str], what: str) -> None:
    with pytest.raises(SequenceError, match=what):
        lrnet.calibrate(video, landmarks, **options)  # type: ignore[arg-type]


def test_frames_that_are_none() -> None:
    for frame in (np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros(5, np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(VideoError, match="Frame 0 is an array"):
            lrnet.calibrate([frame], constant(1))
    with pytest.raises(NotAVideoError):
        lrnet.calibrate(__file__, constant(1))
    with pytest.raises(SequenceError, match="of 1 frames, and the video has 0"):
        lrnet.calibrate([], constant(1))


def test_grey_and_colour_frames_do_not_mix() -> None:
    with pytest.raises(VideoError, match="Frame 1 is an array of 3 dimensions, and those before it of 2"):
        lrnet.calibrate([TEXTURE, np.dstack([TEXTURE] * 3)], constant(2))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_frame_rate_is_above_nought(rate: float) -> None:
    with pytest.raises(SequenceError, match="The frame rate is"):
        lrnet.calibrate(still(2), constant(2), frame_rate=rate)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0, 1e5), x=st.floats(-1e6, 1e6), y=st.floats(-1e6, 1e6), side=st.integers(1, 60))
def test_landmarks_anywhere_of_any_size_end_in_a_result_or_a_typed_error(
    scale: float, x: float, y: float, side: int
) -> None:
    landmarks = np.clip((constant(3) - 160) * scale / 50 + [x, y], -1e6, 1e6)
    try:
        result = lrnet.calibrate([TEXTURE[:side, :side]] * 3, landmarks)
    except LrnetError:
        return
    assert result.points.shape == (3, 68, 2)


def test_the_function_stays_callable_beside_its_module() -> None:
    assert callable(lrnet.calibrate)
    importlib.import_module("lrnet.sequence.calibrate")
    importlib.import_module("lrnet.sequence")
    assert callable(lrnet.calibrate)
    assert lrnet.CalibratedLandmarks is CalibratedLandmarks


# The released example


@pytest.mark.parametrize(("flow", "frames"), [("opencv", 396), ("algorithm1", 120)])
def test_the_released_example(shared: Path, flow: str, frames: int) -> None:
    """Against the released calibrator's output, which is rounded to whole pixels of its crop three times a frame."""
    golden = shared / "reference" / "upstream" / "calibration"
    chosen = SequenceSpec(calibration=CalibrationSpec.model_validate({"flow": flow}))
    if frames == 396:
        result = lrnet.calibrate(golden / "000_003.mp4", golden / "000_003.csv", settings=chosen)
    else:
        given = read_landmarks(golden / "000_003.csv").points[:frames]
        with VideoReader(golden / "000_003.mp4") as reader:
            result = lrnet.calibrate(islice(reader, frames), given, settings=chosen)
    assert len(result) == frames
    assert result.valid.all()
    assert result.shot_starts == (0,)
    assert result.tracked_share > 0.85
    assert any("raised the jitter" in note for note in result.notes)  # OpenFace's landmarks are smooth already
    moved = np.linalg.norm(result.points - result.detected, axis=2)
    assert np.median(moved) < 1.5  # frame pixels: denoised, not displaced
    released = read_landmarks(golden / "000_003.calibrated.txt").points[:frames]
    # Its crop lies elsewhere by up to some pixels, held on whole ones: compare the shape of the face, not its place.
    shape = [p - p.mean(axis=1, keepdims=True) for p in (result.sequence.values, released)]
    assert np.median(np.abs(shape[0] - shape[1])) * 200 < 1.5


# Other people's landmarks: the cases


def test_rows_of_the_frame_column_that_are_missing_in_a_video_of_variable_rate(shared: Path) -> None:
    cases = shared / "cases"
    result = lrnet.calibrate(cases / "vfr.mp4", cases / "vfr-openface-last-3-rows-missing.csv")
    right = np.load(cases / "vfr-right-landmarks.npy")
    assert np.flatnonzero(~result.valid).tolist() == [206, 207, 208]
    assert np.abs(result.detected[:206] - right[:206]).max() < 0.1
    assert "has no rows for the last 3 of 209 frames" in result.notes[0]


def test_two_faces_under_one_number(shared: Path, examples: Path) -> None:
    result = lrnet.calibrate(examples / "real.mp4", shared / "cases" / "two-faces-ids-change.csv", face=0)
    assert result.shot_starts == (0, 120)
    assert "at frame 120" in result.notes[0]


@pytest.mark.parametrize("name", ["zero-rows/zeros.txt", "zero-rows/zeros_nosuccess.csv", "nan-ind-success-1.csv"])
def test_frames_without_landmarks_are_gaps(shared: Path, examples: Path, name: str) -> None:
    result = lrnet.calibrate(examples / "real.mp4", shared / "cases" / name)
    assert len(result) - result.frames_with_face == 5
    assert result.jitter()[0] == pytest.approx(0.56, abs=0.02)  # the mesh's, docs/landmarkers.md
    assert result.notes == ()
