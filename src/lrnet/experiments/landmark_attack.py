"""Verdicts when the landmarks are attacked: noise that misleads the landmarker parts it from optical flow.

    python -m lrnet.experiments.landmark_attack [--store STORE ...] [--each 6] [--seconds 5] [--figure disagreement.png]

Landmark Breaker (Sun et al., WIFS 2020) adds invisible noise to pictures that misleads landmarkers, by their gradients.
Here its effect is added to the landmarks before calibration, in two ways, each at several strengths (standard
deviation, % of the face's size):

* each frame: independent errors of every landmark in every frame;
* lasting: landmarks of a facial group err together, and the error drifts over about a second.

And uniform noise is added to the picture, the same or another in every frame, up to so many grey levels. It is not
optimised against the landmarker: a lower bound of what an attacker can do.

For each attack it prints medians over videos of innovation and forward-backward error (% of half the crop), the share
of landmarks that flow confirms, the mean change of the score in log odds, and the verdicts on real and on fake videos.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.data.records import Label
from lrnet.detector import Detector, Sequencer
from lrnet.evaluation.report import table as markdown_table
from lrnet.experiments import environment
from lrnet.faces import landmarker
from lrnet.faces.landmarker import FaceObservation
from lrnet.faces.squares import face_box
from lrnet.faces.tracker import FaceTracker, FrameFaces, TrackSettings
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.verdict import FaceVerdict, Judge, Reason, State, logit
from lrnet.verdict.quality import MAX_INNOVATION
from lrnet.video.pipeline import Pipeline
from lrnet.video.reader import VideoReader
from lrnet.video.spacing import spaced
from lrnet.video.writer import VideoWriter

EXAMPLES: Final = Path(__file__).resolve().parents[3] / "examples"
STRENGTHS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)  # % of the face's size
LEVELS: Final = (2, 4, 8, 16)  # grey levels
LASTS: Final = 0.96  # correlation of the lasting error from frame to frame: about a second at 25 Hz

Noise = Callable[[int, np.random.Generator], NDArray[np.float64]]
"""From a number of frames to (frames, 68, 2) of variance 1."""


def each_frame(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(0, 1, (frames, 68, 2))


def lasting(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    error = np.empty((frames, 68, 2))
    for group in FACIAL_GROUPS.values():
        drift = rng.normal(0, 1, (frames, 1, 2))
        for t in range(1, frames):
            drift[t] = LASTS * drift[t - 1] + np.sqrt(1 - LASTS**2) * drift[t]
        error[:, group] = drift
    return error


@dataclass(frozen=True)
class Seen:
    """A video and what the tracker saw in it: its frames with one face each."""

    name: str
    fake: bool
    path: Path
    frames: list[FrameFaces]


def seen(path: Path, name: str, fake: bool, rate: float, count: int) -> Seen | None:
    """The first frames of a video and the face that is followed in them; None if it is not there all the time."""
    tracker = FaceTracker(landmarker("mesh"), TrackSettings(max_faces=1))
    with VideoReader(path, threads=1) as reader:
        frames = [tracker.update(frame) for frame in islice(spaced(reader, rate), count)]
    whole = len(frames) == count and all(list(f.seen) == [0] for f in frames)
    return Seen(name, fake, path, frames) if whole else None


def attacked(video: Seen, noise: Noise, strength: float, seed: int) -> Iterator[FrameFaces]:
    """The same frames with other landmarks."""
    errors = noise(len(video.frames), np.random.default_rng(seed))
    for frame, error in zip(video.frames, errors, strict=True):
        face: FaceObservation = frame.seen[0]
        size = face_box(face.landmarks)[1]
        moved = (face.landmarks + strength / 100 * size * error).astype(np.float32)
        yield replace(frame, seen={0: replace(face, landmarks=moved)})


def judged(detector: Detector, frames: Iterable[FrameFaces]) -> FaceVerdict:
    """The verdict on the only face of these frames."""
    judge = Judge(detector.bundle)
    for step in Sequencer(detector.bundle.spec.preprocessing, Pipeline(threads=1)).run(frames):
        for sequence in step.ended:
            judge.add(sequence)
    return judge.verdict()[0][0]


def noisy_picture(video: Seen, level: int, still: bool, folder: Path, seed: int) -> Path:
    """The video with noise in every frame, almost without loss."""
    rng = np.random.default_rng(seed)
    path = folder / "noisy.mp4"
    first = video.frames[0].frame
    pattern = rng.integers(-level, level + 1, first.rgb().shape)
    with VideoWriter(path, first.width, first.height, 25, crf=4, options={"threads": "1"}) as out:
        for frame in video.frames:
            if not still:
                pattern = rng.integers(-level, level + 1, pattern.shape)
            out.write(np.clip(frame.frame.rgb() + pattern, 0, 255).astype(np.uint8), frame.frame.time)
    return path


@dataclass(frozen=True)
class Row:
    """Verdicts on the faces of real and of fake videos, before and under an attack of one strength."""

    attack: str
    strength: float
    real: list[tuple[FaceVerdict, FaceVerdict]]
    fake: list[tuple[FaceVerdict, FaceVerdict]]

    @property
    def both(self) -> tuple[list[tuple[FaceVerdict, FaceVerdict]], list[tuple[FaceVerdict, FaceVerdict]]]:
        return self.real, self.fake


def median(pairs: Sequence[tuple[FaceVerdict, FaceVerdict]], quantity: str) -> float:
    """Of a quantity of the material under attack."""
    return float(np.median([getattr(after.quality, quantity) for _, after in pairs]))


def change(pairs: Sequence[tuple[FaceVerdict, FaceVerdict]]) -> float:
    """Mean change of the score, log odds."""
    scores = [(a.score, b.score) for a, b in pairs if a.score is not None and b.score is not None]
    return float(np.mean([logit(b) - logit(a) for a, b in scores]))


ATTACKS: Final = (
    ("none", 0.0),
    *((name, strength) for name in ("each frame", "lasting") for strength in STRENGTHS),
    *((name, float(level)) for name in ("picture, still noise", "picture, new noise") for level in LEVELS),
)


def under_attack(detector: Detector, video: Seen, folder: Path, seed: int) -> Iterator[FaceVerdict | None]:
    """The verdict on a video under each of `ATTACKS`; None if no face is found."""
    for name, strength in ATTACKS:
        if name.startswith("picture"):
            path = noisy_picture(video, int(strength), "still" in name, folder, seed)
            yield max(detector.detect(path).faces, key=lambda face: face.quality.frames, default=None)
        else:
            noise = lasting if name == "lasting" else each_frame
            yield judged(detector, attacked(video, noise, strength, seed))


def rows(detector: Detector, videos: Iterable[Seen], folder: Path) -> list[Row]:
    """Every attack on every video, one video at a time."""
    found = [Row(name, strength, [], []) for name, strength in ATTACKS]
    for seed, video in enumerate(videos):
        before, *_ = said = list(under_attack(detector, video, folder, seed))
        for row, after in zip(found, said, strict=True):
            if after is not None and before is not None:
                row.both[video.fake].append((before, after))
    return found


def table(found: Sequence[Row]) -> str:
    """A Markdown table with a row for each attack."""
    quantities = ("innovation", "forward-backward error", "confirmed", "score")
    header = ["attack", "strength", *(head for name in quantities for head in (f"{name}, real", "fake"))]
    header += ["real: fake / none / inconclusive", "fake: fake / none / inconclusive", "noticed"]
    rows = []
    for row in found:
        cells = [row.attack, f"{row.strength:g}"]
        for quantity in ("innovation", "forward_backward_error"):
            cells += [f"{100 * median(pairs, quantity):.2f} %" for pairs in row.both]
        cells += [f"{median(pairs, 'tracked'):.0%}" for pairs in row.both]
        cells += [f"{change(pairs):+.1f}" for pairs in row.both]
        for pairs in row.both:
            states = Counter(after.state for _, after in pairs)
            cells.append(" / ".join(str(states[s]) for s in (State.LIKELY_FAKE, State.NO_EVIDENCE, State.INCONCLUSIVE)))
        all_pairs = row.real + row.fake
        cells.append(f"{sum(Reason.DISAGREEMENT in after.reasons for _, after in all_pairs)} of {len(all_pairs)}")
        rows.append(cells)
    return markdown_table(header, rows)


def draw(found: Sequence[Row], path: Path) -> None:
    """Disagreement over strength."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    none = found[0]
    for axis, names, unit in (
        (axes[0], ("each frame", "lasting"), "error of landmarks, % of the face's size"),
        (axes[1], ("picture, still noise", "picture, new noise"), "noise in the picture, grey levels"),
    ):
        for name in names:
            own = [row for row in found if row.attack == name]
            for i, (label, style) in enumerate((("real", "-"), ("fake", "--"))):
                values = [100 * median(row.both[i], "innovation") for row in own]
                axis.plot([r.strength for r in own], values, style, marker="o", label=f"{name}, {label}")
        for pairs, style in zip(none.both, ("-", "--"), strict=True):
            axis.axhline(100 * median(pairs, "innovation"), color="grey", linestyle=style, linewidth=0.8)
        axis.axhline(100 * MAX_INNOVATION, color="crimson", linewidth=0.8)
        axis.set_xlabel(unit)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.legend(fontsize=7)
    axes[0].set_ylabel("landmarker against flow, % of half the crop")
    figure.suptitle("Innovation under attack; grey: without, red: nobody is accused above", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def chosen(stores: Sequence[Path], each: int, rate: float, count: int) -> Iterator[Seen]:
    """The examples, and of each store so many real and so many fake videos in which one face stays in view."""
    for fake in (False, True):
        found = seen(EXAMPLES / f"{'fake' if fake else 'real'}.mp4", "example", fake, rate, count)
        if found is not None:
            yield found
    for store, label in product(stores, Label):
        taken: set[str] = set()
        for video in environment.stored(store):
            record = video.record
            if len(taken) == each or record.label is not label or record.group in taken:
                continue
            if video.sequence_count != 1 or not record.path.is_file() or record.method == "Wav2Lip-GAN":
                continue
            found = seen(record.path, record.key, label is Label.FAKE, rate, count)
            if found is not None:
                taken.add(record.group)
                yield found


def main() -> None:
    parser = environment.parser(__doc__)
    parser.add_argument("--store", action="append", default=[], type=Path)
    parser.add_argument("--each", type=int, default=6, help="real videos and fakes of each store")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    detector = Detector(threads=1)
    rate = detector.bundle.spec.preprocessing.frame_rate
    count = round(options.seconds * rate)
    with tempfile.TemporaryDirectory(prefix="lrnet-attack-") as scratch:
        found = rows(detector, chosen(options.store, options.each, rate, count), Path(scratch))
    print(f"{len(found[0].real)} real and {len(found[0].fake)} fake videos, {count} frames each\n\n{table(found)}")
    if options.figure is not None:
        draw(found, options.figure)


if __name__ == "__main__":
    environment.run(main)
