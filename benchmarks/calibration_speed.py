"""Calibrated frames a second, beside the call pattern of the reference implementation.

    python benchmarks/calibration_speed.py VIDEO [--landmarks CSV] [--frames 150] [--rounds 5] [--window 16 | --stores]

Both get the same decoded frames and the same landmarks, held in memory, and one thread:

* `lrnet`: crop cut by affine warp from the brightness plane, Lucas-Kanade forward and backward on it, Kalman filter on
  arrays: `SequenceBuilder.add`, what detection does for each frame;
* `reference`: as the reference calibrator goes about it, written plainly: crop by whole pixels from the colour frame,
  `cv2.resize` to 400 x 400 colour (cubic when enlarging, area when shrinking), two `cv2.calcOpticalFlowPyrLK` on the
  colour crops, whole pixels, a merge of point by point in a Python loop.

The two take turns (A B A B) so that a busy machine slows both alike: read the ratio. Time is CPU time of this thread.
A third run, not timed, says what grey costs: the same calibration on colour frames, sub-pixel; the distance is in
pixels of the 400-pixel crop. Without --landmarks the built-in mesh places them.

OpenCV works through eight pixels of a patch's row at once and through what is left over one by one: the default window
of 16 takes a third less time than the reference's 15.

With --stores calibration is that of the landmark stores of `mesh68` (and so of the models made from them), but for the
surroundings: a crop of 256 pixels, and all lengths smaller with it.

OpenCV's functions for Python take images, not pyramids (`calcOpticalFlowPyrLK` refuses a list of levels), so each of
the two calls builds both pyramids itself, in either structure.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.data.extraction import store_preprocessing
from lrnet.faces import landmarker
from lrnet.faces.landmark_files import read_landmarks
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.sequence import CalibrationSpec, SequenceSpec
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.calibrate import calibrate
from lrnet.video.reader import VideoReader

CROP = 400
WINDOW = 15  # of the reference implementation
Image = NDArray[np.uint8]
Points = NDArray[np.float32]


def load(video: Path, landmarks: Path | None, frames: int) -> tuple[list[Image], list[Image], Points]:
    """Brightness planes, colour frames and landmarks (N, 68, 2) of the longest start of the video that has all."""
    given = None if landmarks is None else read_landmarks(landmarks).of_face().points
    tracker = FaceTracker(landmarker("mesh"), TrackSettings(max_faces=1)) if given is None else None
    grey, colour, points = [], [], []
    with VideoReader(video, threads=1) as reader:
        for frame in islice(reader, frames):
            if tracker is not None:
                seen = list(tracker.update(frame).seen.values())
                found = seen[0].landmarks if seen else None
            else:
                found = given[frame.index] if given is not None and frame.index < len(given) else None
            if found is None or not np.isfinite(found).all():
                break
            grey.append(frame.luma.copy())
            colour.append(np.ascontiguousarray(frame.rgb()[:, :, ::-1]))
            points.append(found)
    return grey, colour, np.array(points, np.float32)


def ours(frames: Sequence[Image], points: Points, settings: SequenceSpec) -> None:
    builder = SequenceBuilder(settings=settings)
    for index, (frame, shape) in enumerate(zip(frames, points, strict=True)):
        builder.add(frame, shape, 1.0, index, index / 25)


def reference(frames: Sequence[Image], points: Points) -> None:
    """One frame after the other, without the whole video's crops in memory; the arithmetic of each is the same."""
    face = calibrated = detected = None
    variance = np.zeros(68)
    for frame, shape in zip(frames, points, strict=True):
        new_face, new_detected = whole_pixel_crop(frame, shape)
        if face is None or calibrated is None or detected is None:
            calibrated = new_detected
        else:
            calibrated = track_and_merge(face, new_face, calibrated, detected, new_detected, variance)
        face, detected = new_face, new_detected


def whole_pixel_crop(frame: Image, shape: Points) -> tuple[Image, NDArray[np.int64]]:
    low, high = shape.min(axis=0), shape.max(axis=0)
    side = int(max(high - low) * 1.2) // 2 * 2
    left, top = (int(max(c - side // 2, 0)) for c in (low + high) // 2)
    side = min(side, frame.shape[1] - left, frame.shape[0] - top)
    how = cv2.INTER_CUBIC if side < CROP else cv2.INTER_AREA
    face = cv2.resize(frame[top : top + side, left : left + side], (CROP, CROP), interpolation=how)
    return face, np.rint((shape - np.array([left, top])) * (CROP / side)).astype(int)


def track_and_merge(
    face: Image,
    new_face: Image,
    calibrated: NDArray[np.int64],
    detected: NDArray[np.int64],
    new_detected: NDArray[np.int64],
    variance: NDArray[np.float64],
) -> NDArray[np.int64]:
    how = {
        "winSize": (WINDOW, WINDOW),
        "maxLevel": 3,
        "criteria": (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03),
        "flags": cv2.OPTFLOW_USE_INITIAL_FLOW,
    }
    start, target = calibrated.astype(np.float32), new_detected.astype(np.float32)
    forward, on, _ = cv2.calcOpticalFlowPyrLK(face, new_face, start, target, **how)
    backward, back, _ = cv2.calcOpticalFlowPyrLK(new_face, face, forward, start.copy(), **how)
    predicted, returned = np.rint(forward).astype(int), np.rint(backward).astype(int)
    error = np.linalg.norm(returned - calibrated, axis=1, keepdims=True)
    moved = np.linalg.norm(predicted - calibrated, axis=1, keepdims=True)
    moved[moved == 0] = 1
    ratio = (np.linalg.norm(new_detected - detected, axis=1, keepdims=True) / moved).reshape(68)
    good = [True] * 68
    for i in range(68):
        if error[i] > 2:
            good[i] = False
    if np.sum(on) != 68 or np.sum(back) != 68:
        for i in range(68):
            if on[i][0] == 0 or back[i][0] == 0:
                good[i] = False
    merged = new_detected.copy()
    for i in range(68):
        if good[i]:
            variance[i] += 0.3
            gain = variance[i] / (variance[i] + ratio[i])
            merged[i] = predicted[i] + gain * (new_detected[i] - predicted[i])
            variance[i] = (1 - gain) * variance[i]
    return merged


def milliseconds(run: Callable[[Sequence[Image], Points], None], frames: Sequence[Image], points: Points) -> float:
    began = time.thread_time()
    run(frames, points)
    return 1000 * (time.thread_time() - began) / len(points)


def distance(
    grey: Sequence[Image], colour: Sequence[Image], points: Points, settings: SequenceSpec, other: int
) -> tuple[float, float]:
    """Median and 95th percentile distance to the calibration on colour with a window of `other`; crop pixels."""
    a = calibrate(grey, points, settings=settings)
    b = calibrate(colour, points, settings=SequenceSpec(calibration=CalibrationSpec(window=other)))
    apart = np.linalg.norm(a.points - b.points, axis=2) * (CROP / (2 * a.sequence.half_side))
    return float(np.nanmedian(apart)), float(np.nanpercentile(apart, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--landmarks", type=Path, help="in frame pixels; of any form that `lrnet calibrate` reads")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=int, default=CalibrationSpec().window, help="of lrnet's optical flow")
    parser.add_argument("--stores", action="store_true", help="calibrate as for a store of mesh68")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    grey, colour, points = load(options.video, options.landmarks, options.frames)
    if len(points) < 2:
        raise SystemExit(f"{options.video}: no face in the first two frames.")
    settings = SequenceSpec(calibration=CalibrationSpec(window=options.window))
    if options.stores:
        stores = store_preprocessing("mesh68")
        calibration = stores.calibration.model_copy(update={"surroundings": False})
        settings = SequenceSpec(crop_size=stores.crop_size, calibration=calibration)
    mine_run = partial(ours, settings=settings)
    mine_run(grey[:5], points[:5])
    reference(colour[:5], points[:5])
    pairs = [
        (milliseconds(mine_run, grey, points), milliseconds(reference, colour, points)) for _ in range(options.rounds)
    ]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(b / a for a, b in pairs)
    side = 1.2 * float(np.mean((points.max(axis=1) - points.min(axis=1)).max(axis=1)))
    print(f"{len(points)} frames of {grey[0].shape[1]} x {grey[0].shape[0]}, crop of {side:.0f} frame pixels")
    print(f"lrnet      {mine:6.2f} ms a frame   {1000 / mine:6.0f} frames a second")
    print(f"reference  {theirs:6.2f} ms a frame   {1000 / theirs:6.0f} frames a second")
    print(f"ratio      {statistics.median(ratios):6.2f}   ({ratios[0]:.2f} to {ratios[-1]:.2f}, {len(ratios)} rounds)")
    before, after = calibrate(grey, points, settings=settings).jitter()
    print(f"jitter     {before:.3f} before, {after:.3f} after, % of the inter-ocular distance")
    for other in dict.fromkeys((options.window, WINDOW)):
        middle, high = distance(grey, colour, points, settings, other)
        print(f"from colour, window {other}: median {middle:.3f}, 95 % within {high:.3f} crop pixels")


if __name__ == "__main__":
    main()
