"""Match the rows of a landmark table to the frames of a video, and complete missing points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.faces.landmark_table import LandmarkTable
from lrnet.faces.landmarker import NUM_LANDMARKS

Array = NDArray[np.float32]
Align = Literal["index", "time"]

LEAST_POINTS: Final = NUM_LANDMARKS // 2  # of a frame; with fewer it is a gap: too few to locate the face
SAME_TIME: Final = 0.25  # of the step between time stamps: a frame this near to a stamp is the frame it was made of
SAME_RATE: Final = 0.02  # relative difference of frame rates up to which they are the same


def row_finder(rows: LandmarkTable, align: Align) -> Callable[[int, float], int | None]:
    """A function that maps a frame's number and time to its row in the table of one face, None if it has none.

    It must be called for the frames in order.

    Raises:
        SequenceError: `align` is unknown, or asks for time stamps that are missing or do not rise.
    """
    if align == "index":
        of_frame = {int(number): row for row, number in enumerate(rows.frame_numbers)}
        return lambda index, time: of_frame.get(index)
    if align != "time":
        raise SequenceError(f"Landmarks cannot be aligned by {align!r}.", hint="Align by index or by time.")
    stamps = rows.timestamps
    if stamps is None or (len(stamps) > 1 and not (np.diff(stamps) > 0).all()):
        what = "no time stamps" if stamps is None else "time stamps that do not rise from frame to frame"
        raise SequenceError(f"{rows.source}: {what}, so landmarks cannot be aligned by time.", hint="Align by index.")
    reach = SAME_TIME * (float(np.median(np.diff(stamps))) if len(stamps) > 1 else 1 / 25)

    before = -float("inf")
    late: float | None = None

    def nearest(index: int, time: float) -> int | None:
        nonlocal before, late
        if late is None:
            late = _late(stamps, time, reach)
        time -= late
        after = int(np.searchsorted(stamps, time))
        row = min((r for r in (after - 1, after) if 0 <= r < len(stamps)), key=lambda r: abs(stamps[r] - time))
        apart, half = time - stamps[row], (time - before) / 2
        before = time
        # Where many frames are near to a row, the nearest one takes it.
        return row if abs(apart) <= reach and -half <= apart < half else None

    return nearest


def require_fit(
    table: LandmarkTable, video: str, align: Align, times: NDArray[np.float64], numbers: NDArray[np.int64]
) -> list[str]:
    """Check that a table's rows belong to a video's frames. Frame numbers that the table states decide.

    Args:
        times: (N,) of the video's frames, seconds.
        numbers: (N,) frame number of the row that each frame was given, -1 where it was given none.

    Returns:
        Notes for the user.

    Raises:
        SequenceError: they do not belong together, or time stamps contradict frame numbers.
    """
    frames, given = len(times), np.flatnonzero(numbers >= 0)
    if frames and table.timestamps is not None:
        times = times - _late(table.timestamps, float(times[0]), SAME_TIME * (_step(table) or 1 / 25))
    if align == "time":
        if not len(given):
            raise SequenceError(
                f"Not one of the {frames} frames of {video} has a time stamp of {table.source}.",
                hint="Check that video and landmarks belong together, and that time stamps are seconds from the start.",
            )
        wrong = given[numbers[given] != given]
        if table.numbered and len(wrong) and not _of_another_copy(table, times):
            raise SequenceError(
                f"{table.source}: by time stamp, frame {wrong[0]} (from 0) of {video} would be given the landmarks of "
                f"frame {numbers[wrong[0]]}; {len(wrong)} of {len(given)} frames are contradicted so.",
                hint="Frame numbers are the ones to trust: align by index (leave out --align time).",
            )
        return []
    missing = frames - table.frame_count
    if missing > 0 and table.numbered and not _of_another_copy(table, times):
        return [f"{table.source} has no rows for the last {missing} of {frames} frames: they are gaps."]
    if missing:
        by_time = "Align them by time stamp (--align time)" if _time_would_fit(table, times) else "Make them again"
        raise SequenceError(
            f"{table.source} holds landmarks of {table.frame_count} frames, and {video} has {frames}.",
            hint=f"{by_time}, or check that they belong together.",
        )
    return []


def _late(stamps: NDArray[np.float64], first: float, reach: float) -> float:
    """Seconds by which the stamps of frames are earlier than a player's: most programs count from the first frame."""
    return first if stamps.min() < first - reach else 0.0


def _of_another_copy(table: LandmarkTable, times: NDArray[np.float64]) -> bool:
    """Whether the frame numbers are those of a copy at another frame rate: time stamps say so, and cover the video
    better than the numbers do. (In a video of variable rate OpenFace's stamps are wrong, and cover it worse.)"""
    step = _step(table)
    if step is None or len(times) < 2 or table.frame_count == len(times):
        return False
    steps = np.diff(times)
    if any(abs(step - s) <= SAME_RATE * s for s in (float(np.median(steps)), float(steps.mean()))):
        return False
    if table.frame_count > len(times):
        return True
    assert table.timestamps is not None
    covered = float(table.timestamps.max() - times[0]) / float(times[-1] - times[0])
    return (table.frame_count - 1) / (len(times) - 1) < covered <= 1 + 2 * step / float(times[-1] - times[0])


def _time_would_fit(table: LandmarkTable, times: NDArray[np.float64]) -> bool:
    """Whether `--align time` may be proposed: there are stamps, and stated frame numbers do not contradict them."""
    stamps = table.timestamps
    if stamps is None or not len(times):
        return False
    if not table.numbered or _of_another_copy(table, times):
        return True
    both = table.frame_numbers < len(times)
    step = _step(table) or 1 / 25
    return bool((np.abs(stamps[both] - times[table.frame_numbers[both]]) <= step / 2).all())


def _step(table: LandmarkTable) -> float | None:
    """Mean seconds from a frame number to the next by a table's time stamps; None if unknown."""
    if table.timestamps is None or np.ptp(table.frame_numbers) == 0:
        return None
    step = float(np.ptp(table.timestamps) / np.ptp(table.frame_numbers))
    return step if step > 0 else None


def completed(rows: LandmarkTable) -> tuple[Array, NDArray[np.bool_]]:
    """Completed points (M, 68, 2), and which of them were present (M, 68).

    The crop needs a whole face: missing points are interpolated from other frames. Frames with fewer than
    `LEAST_POINTS` become NaN.
    """
    points = rows.points.copy()
    present: NDArray[np.bool_] = np.isfinite(points[:, :, 0])
    usable = present.sum(axis=1) >= LEAST_POINTS
    points[~usable], present[~usable] = np.nan, False
    incomplete = usable & ~present.all(axis=1)
    if incomplete.any():
        # Each point relative to its own mean, so that it does not matter which points a frame has.
        known = points[usable] - _mean_of_known(points[usable])
        motion = np.zeros((len(points), 1, 2), np.float32)
        motion[usable] = np.nanmedian(known, axis=1, keepdims=True)
        place = points - motion
        for point in np.flatnonzero(~present[incomplete].all(axis=0)):
            there, missing = np.flatnonzero(present[:, point]), np.flatnonzero(incomplete & ~present[:, point])
            for axis in range(2):
                points[missing, point, axis] = motion[missing, 0, axis] + (
                    np.interp(rows.frame_numbers[missing], rows.frame_numbers[there], place[there, point, axis])
                    if len(there)
                    else np.nanmedian(place[missing, :, axis], axis=1)  # in no frame at all: anywhere in the face
                )
    return points, present


def _mean_of_known(points: Array) -> Array:
    """(1, 68, 2): each point's mean over the frames that have it, NaN if none has."""
    known = np.isfinite(points)
    count = known.sum(axis=0, keepdims=True)
    total = np.where(known, points, 0).sum(axis=0, keepdims=True)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
