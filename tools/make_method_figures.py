"""The figures of docs/method.md, one for each step, from `real.mp4` and `fake.mp4`.

    python tools/make_method_figures.py [--examples DIR] [--out DIR]

Everything that they show is what detection computes on the way: the same landmarker, flow, filter, embeddings, network.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lrnet.detector import Detector, VideoResult
from lrnet.faces.blazeface import FaceDetector
from lrnet.faces.mesh import MeshLandmarker
from lrnet.network.spec import Thresholds
from lrnet.network.streams import differences, positions
from lrnet.sequence.crop import StabilisedCrop
from lrnet.sequence.kalman import lengths
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.sequence.optical_flow import optical_flow
from lrnet.sequence.settings import SequenceSpec
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader

ROOT = Path(__file__).resolve().parents[1]
REAL, FAKE = "#2a6fbb", "#c4462f"  # also told apart by their names in the figures
RAW, CALIBRATED = "#b9770e", "#1b4965"
BOX, POINT = "#f2c14e", "#7ee0ff"
FRAMES = 110  # of each video that are looked for a telling pair of frames
SECONDS = (3.0, 5.0)  # of the trace
CROP = 400  # pixels, the crop that optical flow looks at
CHIN = 8  # number of the landmark whose trace is shown
ARROWS = 6  # times their true length
WIDTH = 10  # inches, of every figure


@dataclass(frozen=True)
class Examples:
    """Both example videos, looked at once."""

    frames: list[Frame]
    landmarks: list[NDArray[np.float32]]
    real: VideoResult
    fake: VideoResult
    thresholds: Thresholds


def looked_at(folder: Path) -> Examples:
    detector = Detector()
    thresholds = detector.bundle.spec.limits
    assert thresholds is not None
    real, fake = (detector.detect(folder / f"{name}.mp4", keep_sequences=True) for name in ("real", "fake"))
    landmarker = MeshLandmarker()
    with VideoReader(folder / "real.mp4") as reader:
        frames = list(islice(reader, FRAMES))
    faces = landmarker.search(frames[0])[:1]
    for frame in frames[1:]:
        face = landmarker.follow(frame, faces[-1])
        assert face is not None
        faces.append(face)
    return Examples(frames, [f.landmarks for f in faces], real, fake, thresholds)


def _panels(rows: int, columns: int, height: float, **how: Any) -> tuple[Figure, Any]:
    return plt.subplots(rows, columns, figsize=(WIDTH, height), layout="constrained", **how)


def landmark_figure(seen: Examples) -> Figure:
    """Step 1: the detector's box and key points, and the 68 landmarks by facial group."""
    frame, landmarks = seen.frames[0], seen.landmarks[0]
    found = FaceDetector().detect_in(frame)
    left, top, right, bottom = found.boxes[0]
    figure, (whole, near) = _panels(1, 2, 4.1, width_ratios=(1.55, 1))
    for axes in (whole, near):
        axes.imshow(frame.rgb())
        axes.axis("off")
    whole.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=BOX, linewidth=2))
    whole.scatter(*found.keypoints[0].T, s=14, color=BOX, edgecolors="black", linewidths=0.5)
    whole.set_title("BlazeFace finds the face: box and six key points", fontsize=10)
    colours = plt.get_cmap("tab10")
    for number, (name, part) in enumerate(FACIAL_GROUPS.items()):
        points = landmarks[part]
        near.plot(*points.T, "-", color=colours(number), linewidth=1)
        near.scatter(*points.T, s=11, color=[colours(number)], edgecolors="white", linewidths=0.4, label=name)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    margin = 0.12 * (high - low).max()
    near.set_xlim(low[0] - margin, high[0] + margin)
    near.set_ylim(high[1] + margin, low[1] - margin)
    near.legend(fontsize=7, loc="lower right", framealpha=0.8, labelspacing=0.2)
    near.set_title("FaceMesh places 478 points, 68 are kept", fontsize=10)
    return figure


def flow_figure(seen: Examples) -> Figure:
    """Step 2: where optical flow expects each landmark, and how far off it comes back."""
    settings = SequenceSpec()
    flow = optical_flow(settings.calibration)
    crop = StabilisedCrop(seen.landmarks[0], settings)
    cuts, points = [], []
    for frame, landmarks in zip(seen.frames, seen.landmarks, strict=True):
        crop.follow(landmarks)
        cuts.append(crop.cut(frame.luma))
        points.append(crop.to_crop(landmarks).astype(np.float32))
    tracked = []
    for (source, start), (target, guess) in pairwise(zip(cuts, points, strict=True)):
        predicted, _ = flow.track(source, target, start, guess)
        returned, _ = flow.track(target, source, predicted, start)
        tracked.append((predicted, lengths(returned - start)))
    at = int(np.argmax([error.max() for _, error in tracked]))
    source, target, start, (predicted, error) = cuts[at], cuts[at + 1], points[at], tracked[at]
    passed = error <= settings.calibration.max_forward_backward_error
    figure, (forward, back) = _panels(1, 2, 5.0, sharex=True, sharey=True)
    for axes, image in ((forward, target), (back, source)):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
    forward.quiver(
        *start.T,
        *(predicted - start).T,
        angles="xy",
        scale_units="xy",
        scale=1 / ARROWS,
        color=POINT,
        width=0.004,
    )
    forward.scatter(
        *start.T,
        s=9,
        color="white",
        edgecolors="black",
        linewidths=0.4,
    )
    forward.set_title(f"Forward, frame {at} to {at + 1}: motion, drawn {ARROWS} times as long", fontsize=10)
    dots = back.scatter(*start.T, c=error, s=26, cmap="viridis_r", vmin=0, edgecolors="black", linewidths=0.4)
    back.scatter(*start[~passed].T, s=90, facecolors="none", edgecolors="red", linewidths=1.6)
    back.set_title(f"And back: {(~passed).sum()} of 68 miss their start by 2 pixels", fontsize=10)
    figure.colorbar(dots, ax=back, shrink=0.8, label="forward-backward error, pixels of the crop")
    return figure


def kalman_figure(seen: Examples) -> Figure:
    """Step 3: one landmark as detected and as calibrated."""
    sequence = seen.real.sequences[0]
    unit = CROP / 2
    inside = (sequence.times >= SECONDS[0]) & (sequence.times <= SECONDS[1])
    times = sequence.times[inside]
    figure, (place, step) = _panels(2, 1, 5.0, sharex=True)
    for values, colour, name in ((sequence.detected, RAW, "detected"), (sequence.values, CALIBRATED, "calibrated")):
        height = unit * values[inside, CHIN, 1]
        wide = 1.0 if colour == RAW else 1.8
        place.plot(times, height, ".-", color=colour, linewidth=wide, markersize=4, label=name)
        step.plot(times[1:], np.diff(height), ".-", color=colour, linewidth=wide, markersize=4)
    second = [np.diff(unit * v[inside][:, :, 1], 2, axis=0) for v in (sequence.detected, sequence.values)]
    jitter = [float(np.abs(s).mean()) for s in second]
    place.set_ylabel("chin, y in\npixels of the crop")
    place.legend(loc="upper left", fontsize=9)
    step.set_ylabel("change from\nframe to frame")
    step.set_xlabel("seconds")
    place.set_title(
        "The Kalman filter merges prediction and detection "
        f"(mean second difference of all landmarks here: {jitter[0]:.2f} detected, {jitter[1]:.2f} calibrated)",
        fontsize=10,
    )
    for axes in (place, step):
        axes.grid(alpha=0.25)
    return figure


def embedding_figure(seen: Examples) -> Figure:
    """Step 4: both embeddings of the paper, for the same two seconds of both videos."""
    figure, panels = _panels(2, 2, 5.6, sharex=True, sharey=True)
    ticks = [part.start + part.stop for part in FACIAL_GROUPS.values()]  # two coordinates a landmark
    for column, (name, result) in enumerate((("real.mp4", seen.real), ("fake.mp4", seen.fake))):
        sequence = result.sequences[0]
        for row, (embed, letter) in enumerate(((positions, "A: positions"), (differences, "B: differences"))):
            values = embed(sequence)[50:110].T
            limit = 1.0 if row == 0 else 0.02
            axes: Any = panels[row, column]
            image = axes.imshow(values, aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
            axes.set_title(f"{name}, embedding {letter}", fontsize=10)
            axes.set_yticks(ticks, list(FACIAL_GROUPS), fontsize=7)
            if column:
                figure.colorbar(image, ax=panels[row, :].tolist(), fraction=0.03, label="half crops")
    for axes in panels[1]:
        axes.set_xlabel("frame of the clip")
    return figure


def score_figure(seen: Examples) -> Figure:
    """Step 5: clip scores, and the verdict that they become."""
    figure, (clips, verdict) = _panels(1, 2, 3.6, width_ratios=(2, 1))
    for name, result, colour in (("real.mp4", seen.real, REAL), ("fake.mp4", seen.fake, FAKE)):
        face = result.faces[0]
        lines = [((c.start, c.score), (c.stop, c.score)) for c in face.clips]
        clips.add_collection(LineCollection(lines, colors=colour, linewidths=3, label=name))
        assert face.probability is not None
        words = result.verdict.state.value.replace("_of_", "\nof ").replace("_", " ")
        verdict.barh(f"{name}\n{words}", face.probability, color=colour, height=0.5)
    clips.set_xlim(0, max(c.stop for r in (seen.real, seen.fake) for c in r.faces[0].clips) + 0.1)
    clips.set_ylim(0, 1)
    clips.set_xlabel("seconds")
    clips.set_ylabel("score of the clip")
    clips.set_title("The network scores each clip", fontsize=10)
    clips.legend(fontsize=9)
    clips.grid(alpha=0.25)
    for value, word in ((seen.thresholds.no_evidence, "no evidence"), (seen.thresholds.likely_fake, "likely fake")):
        verdict.axvline(value, color="black", linestyle="--", linewidth=1)
        verdict.text(value, 1.02, word, fontsize=8, ha="center", transform=verdict.get_xaxis_transform())
    verdict.set_xlim(0, 1)
    verdict.set_ylim(1.5, -0.5)
    verdict.set_xlabel("calibrated probability")
    return figure


FIGURES = {
    "1-landmarks.jpg": landmark_figure,
    "2-flow.jpg": flow_figure,
    "3-kalman.png": kalman_figure,
    "4-embeddings.png": embedding_figure,
    "5-scores.png": score_figure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=Path, default=ROOT / "examples")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "method")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    seen = looked_at(args.examples)
    for name, draw in FIGURES.items():
        figure = draw(seen)
        figure.savefig(args.out / name, dpi=110)
        plt.close(figure)
        print(args.out / name)


if __name__ == "__main__":
    main()
