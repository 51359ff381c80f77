"""Verdicts on videos that allow no confident one.

    python -m lrnet.experiments.doubt [--model MODEL] [--store STORE ...] [--each 8] [--seconds 6]

Makes videos of eleven kinds, judges each, and prints verdicts and probabilities by kind. Every kind is made of a
genuine recording, or of nothing, so `likely_fake` is wrong for all of them. Recordings: three stretches of
examples/real.mp4, and `--each` real videos of each STORE (made by `lrnet extract`), of as many people as there are.
"extreme profile" is cut from videos of the stores in which the landmarks of nose and jaw nearly meet.

With stores, the stored landmarks of all their videos (and crops, where the model looks at them) are judged as well, to
count the ordinary videos whose verdicts are held back, where they are of the model's landmarker; the model may have
been trained on them.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.data.records import Label
from lrnet.data.store import StoredVideo
from lrnet.detector import Detector
from lrnet.evaluation.protocol import evaluate
from lrnet.evaluation.report import table as markdown_table
from lrnet.experiments import environment
from lrnet.faces import landmarker
from lrnet.faces.squares import face_box
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.network.bundle import ModelBundle
from lrnet.sequence.landmark_sequence import LandmarkSequence, main_face
from lrnet.training.data import preprocessing_of
from lrnet.verdict import HOLD_BACK, INFLATING, State, VideoVerdict
from lrnet.video.reader import VideoReader
from lrnet.video.reencode import reencode
from lrnet.video.writer import VideoWriter

EXAMPLE: Final = Path(__file__).resolve().parents[3] / "examples" / "real.mp4"
RATE: Final = 25  # Hz, of what is made; recordings are read at their own frames, and shown at this rate
LARGEST: Final = 640  # pixels, longer side of what is made
SMALL_FACE: Final = 40  # pixels
TURNED: Final = 0.6  # how far the nose is off the middle between the jaw's ends, of half their distance
MIN_TURNED: Final = 45  # frames in a row

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Recording:
    """A genuine recording to make doubtful ones of.

    Attributes:
        name: in what is printed.
        frames: (H, W, 3) RGB each.
        centre, size: of the largest face in the first frame that has one, pixels.
    """

    name: str
    frames: list[Image]
    centre: tuple[float, float]
    size: float


def recording(path: Path, name: str, start: int, count: int) -> Recording | None:
    """Frames `start` to `start + count`, made smaller if need be; None if there is no face in them."""
    frames: list[Image] = []
    found: tuple[NDArray[np.float64], float] | None = None
    tracker = FaceTracker(landmarker("mesh"), TrackSettings(max_faces=1))
    with VideoReader(path, threads=1) as reader:
        for frame in islice(reader, start, start + count):
            rgb = frame.rgb()
            scale = min(1.0, LARGEST / max(rgb.shape))
            if found is None:
                for face in tracker.update(frame).seen.values():
                    centre, size = face_box(face.landmarks)
                    found = centre * scale, size * scale
            frames.append(_resized(rgb, scale))
    if found is None or len(frames) < 2:
        return None
    return Recording(name, frames, (float(found[0][0]), float(found[0][1])), found[1])


def _resized(rgb: Image, scale: float) -> Image:
    height, width = (max(16, round(side * scale / 2) * 2) for side in rgb.shape[:2])
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def black(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    return (np.zeros_like(frame) for frame in of.frames)


def noise(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    return (rng.integers(0, 256, frame.shape, np.uint8) for frame in of.frames)


def frozen(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    return (of.frames[0] for _ in of.frames)


def cartoon(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    """Flat colours with dark outlines: each frame for itself, as filters of telephones do."""
    for frame in of.frames:
        flat = cv2.edgePreservingFilter(frame, flags=cv2.RECURS_FILTER, sigma_s=40, sigma_r=0.4)
        grey = cv2.medianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 5)
        lines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 4)
        yield np.asarray(flat // 24 * 24 + 12, np.uint8) & np.asarray(lines, np.uint8)[..., None]


def statue(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    """A grey head of stone that never moves, before a camera that goes slowly about it.

    The head is taken for an ellipsoid: what lies nearer moves further, so that its image is not merely a plane's.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(of.frames[0], cv2.COLOR_RGB2GRAY), (0, 0), 0.8)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    away = ((x - of.centre[0]) / (0.6 * of.size)) ** 2 + ((y - of.centre[1]) / (0.8 * of.size)) ** 2
    depth = 0.6 * of.size * np.sqrt(np.clip(1 - away, 0, None)).astype(np.float32)
    turns = wander(len(of.frames), 2, slowest=0.08, fastest=0.4, rng=rng) * np.radians((8, 4))
    for (yaw, pitch), matrix in zip(turns, _affine(of, rng, 0.5), strict=True):
        turned = cv2.remap(grey, x + np.float32(yaw) * depth, y + np.float32(pitch) * depth, cv2.INTER_LINEAR)
        moved = cv2.warpAffine(turned, matrix, turned.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        yield _with_grain(np.repeat(moved[..., None], 3, axis=2), rng)


def picture(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    """A print of a photograph, held in a hand."""
    photo = of.frames[0]
    height, width = photo.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    sway = wander(len(of.frames), 8, slowest=0.1, fastest=3, rng=rng).reshape(-1, 4, 2) * 0.01 * width
    for shift, matrix in zip(sway, _affine(of, rng, 1.0), strict=True):
        held = cv2.getPerspectiveTransform(corners, (corners + shift).astype(np.float32))
        whole = np.vstack([matrix, [0, 0, 1]]) @ held
        moved = cv2.warpPerspective(photo, whole, (width, height), borderValue=(120, 130, 140))
        yield _with_grain(np.asarray(moved, np.uint8), rng)


def small_face(of: Recording, rng: np.random.Generator) -> Iterator[Image]:
    """The face 40 pixels large, the picture around it as large as it was."""
    for frame in of.frames:
        little = _resized(frame, SMALL_FACE / of.size)
        height, width = (max(a, b) for a, b in zip(little.shape[:2], (180, 320), strict=True))
        around = np.full((height, width, 3), 110, np.uint8)
        around[: little.shape[0], : little.shape[1]] = little
        yield around


def _affine(of: Recording, rng: np.random.Generator, strength: float) -> Iterator[NDArray[np.float64]]:
    """Slow shifts, turns and changes of size about the face's centre, and the tremor of a hand."""
    count = len(of.frames)
    slow = wander(count, 4, slowest=0.1, fastest=0.8, rng=rng) * (0.05 * of.size, 0.05 * of.size, 2.5, 0.03)
    quick = wander(count, 4, slowest=6, fastest=11, rng=rng) * (0.004 * of.size, 0.004 * of.size, 0.1, 0.0005)
    for right, down, turn, larger in strength * (slow + quick):
        matrix = np.asarray(cv2.getRotationMatrix2D(of.centre, turn, 1 + larger), np.float64)
        matrix[:, 2] += right, down
        yield matrix


def wander(
    count: int, columns: int, *, slowest: float, fastest: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Smooth random movement, (count, columns), of variance 1: sines of eight frequencies between two, Hz."""
    time = np.arange(count)[:, None, None] / RATE
    frequency = rng.uniform(slowest, fastest, (columns, 8))
    phase = rng.uniform(0, 2 * np.pi, (columns, 8))
    return np.asarray(np.sin(2 * np.pi * frequency * time + phase).sum(axis=2) / 2)


def _with_grain(frame: Image, rng: np.random.Generator) -> Image:
    """The frame with the noise of a camera's sensor."""
    return np.asarray(np.clip(frame + rng.normal(0, 1.5, frame.shape), 0, 255), np.uint8)


@dataclass(frozen=True)
class Kind:
    """A way to make a doubtful video.

    Attributes:
        name: in what is printed.
        frames: what it makes of a recording; None leaves the frames as they are.
        rate: frames a second that are kept of `RATE`.
        crf: of each time it is encoded, one after another.
        without_face: the recording does not matter: one video says what there is to say.
    """

    name: str
    frames: Callable[[Recording, np.random.Generator], Iterator[Image]] | None = None
    rate: int = RATE
    crf: tuple[int, ...] = (23,)
    without_face: bool = False


KINDS: Final = (
    Kind("black", black, without_face=True),
    Kind("white noise", noise, without_face=True),
    Kind("frozen", frozen),
    Kind("cartoon", cartoon),
    Kind("statue", statue),
    Kind("picture of a face", picture),
    Kind("face of 40 px", small_face),
    Kind("5 frames a second", rate=5),
    Kind("encoded at crf 42", crf=(42,)),
    Kind("encoded twice, crf 40", crf=(40, 40)),
)


def make(kind: Kind, of: Recording, path: Path, seed: int) -> None:
    """Write the video of a kind; the same arguments give the same frames."""
    rng = np.random.default_rng(seed)
    frames = iter(of.frames) if kind.frames is None else kind.frames(of, rng)
    first = next(frames)
    every = RATE // kind.rate
    size = first.shape[1], first.shape[0]
    with VideoWriter(path, *size, RATE / every, crf=kind.crf[0], options={"threads": "1"}) as out:
        for index, frame in enumerate(chain([first], frames)):
            if index % every == 0:
                out.write(frame, index / RATE)
    for crf in kind.crf[1:]:
        once = path.rename(path.with_stem(f"{path.stem}-once"))
        reencode(once, path, crf=crf)
        once.unlink()


def recordings(videos: Iterable[StoredVideo], count: int) -> Iterator[Recording]:
    """Three stretches of the example video, then the beginnings of videos, one at a time."""
    found = [recording(EXAMPLE, f"example {n}", n * count, count) for n in range(3)]
    yield from (r for r in found if r is not None)
    for video in videos:
        one = recording(video.record.path, video.record.key, 0, count)
        if one is not None:
            yield one


def chosen(videos: Sequence[StoredVideo], most: int) -> list[StoredVideo]:
    """Real videos that are still at their place: one of each person, then a second one, evenly over all of them."""
    turn: Counter[str] = Counter()
    order = []
    for video in (v for v in videos if v.record.label is Label.REAL and v.record.path.is_file()):
        order.append((turn[video.record.group], video.record.key, video))
        turn[video.record.group] += 1
    first = [video for rank, _, video in order if not rank]
    if len(first) >= most:
        return [first[i] for i in np.linspace(0, len(first) - 1, most).round().astype(int)]
    return [video for _, _, video in sorted(order, key=lambda row: row[:2])[:most]]


def turned(sequence: LandmarkSequence) -> NDArray[np.float64]:
    """How far the tip of the nose is off the middle between the jaw's ends, (N,); 1 at an end, NaN at gaps."""
    points = sequence.values.astype(np.float64)
    across = points[:, 16] - points[:, 0]
    half = np.linalg.norm(across, axis=1) / 2
    off = ((points[:, 30] - (points[:, 0] + points[:, 16]) / 2) * across).sum(axis=1) / (2 * half)
    return np.asarray(np.abs(off) / np.maximum(half, 1e-6), np.float64)


def profile_stretches(videos: Sequence[StoredVideo], count: int) -> Iterator[tuple[StoredVideo, int, int]]:
    """Real videos with a face in extreme profile: the video, the first frame and how many, once a video."""
    for video in videos:
        if video.record.label is not Label.REAL or not video.record.path.is_file():
            continue
        best: tuple[int, int] | None = None
        for sequence in main_face(video.sequences(only=("values", "centres"))):
            where = np.concatenate([[False], turned(sequence) > TURNED, [False]])
            edges = np.flatnonzero(np.diff(where.astype(int)))
            for start, stop in zip(edges[::2], edges[1::2], strict=True):
                if best is None or stop - start > best[1]:
                    best = int(sequence.frame_indices[start]), int(stop - start)
        if best is not None and best[1] >= MIN_TURNED:
            yield video, best[0], min(best[1], count)


@dataclass(frozen=True)
class Said:
    """The verdict on one video."""

    kind: str
    name: str
    verdict: VideoVerdict


def doubtful(detector: Detector, found: Iterable[Recording], folder: Path) -> Iterator[Said]:
    """Make and judge every kind of every recording."""
    path = folder / "made.mp4"
    for number, of in enumerate(found):
        for kind in KINDS:
            if kind.without_face and number:
                continue
            make(kind, of, path, seed=number)
            yield Said(kind.name, of.name, detector.detect(path).verdict)


def profiles(detector: Detector, videos: Sequence[StoredVideo], folder: Path, count: int, most: int) -> Iterator[Said]:
    """Cut and judge stretches of extreme profile."""
    path = folder / "profile.mp4"
    for video, start, length in islice(profile_stretches(videos, count), most):
        with (
            VideoReader(video.record.path, threads=1) as reader,
            VideoWriter(path, reader.info.width, reader.info.height, RATE, crf=18, options={"threads": "1"}) as out,
        ):
            for index, frame in enumerate(islice(reader, start, start + length)):
                out.write(frame.rgb(), index / RATE)
        yield Said("extreme profile", video.record.key, detector.detect(path).verdict)


def ordinary(bundle: ModelBundle, videos: Sequence[StoredVideo]) -> Iterator[Said]:
    """Judge stored landmarks, and crops if the model looks at them, as they are."""
    for video in evaluate(bundle, videos):
        if video.verdict.face is not None:
            yield Said(f"ordinary, {video.record.label.value}", video.record.key, video.verdict)


def table(said: Sequence[Said]) -> str:
    """A Markdown table with a row for each kind."""
    rows = []
    for kind in dict.fromkeys(s.kind for s in said):
        some = [s.verdict for s in said if s.kind == kind]
        counts = Counter(v.state for v in some)
        known = [v.probability for v in some if v.probability is not None]
        figures = [f"{np.median(known):.2f}", f"{max(known):.2f}"] if known else ["", ""]
        why = Counter(r.value for v in some for r in v.reasons if r in HOLD_BACK | INFLATING)
        held = ", ".join(f"{name} {n}" for name, n in why.most_common())
        rows.append([kind, str(len(some)), *(str(counts[s]) for s in State), *figures, held])
    states = [s.value for s in State]
    return markdown_table(["kind", "videos", *states, "probability, median", "largest", "held back"], rows)


def main() -> None:
    parser = environment.parser(__doc__, "model")
    parser.add_argument("--store", action="append", default=[], type=Path)
    parser.add_argument("--each", type=int, default=8, help="recordings of each store")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each recording")
    options = parser.parse_args()
    count = round(options.seconds * RATE)
    detector = Detector(options.model)
    stores = [environment.stored(store) for store in options.store]
    videos = [video for store in stores for video in chosen(store, options.each)]
    own = detector.bundle.spec.preprocessing.landmarker
    # First, since a store may lack the crops: an error after the work would lose it.
    usual = [
        s for store in stores if preprocessing_of(store).landmarker == own for s in ordinary(detector.bundle, store)
    ]
    with tempfile.TemporaryDirectory(prefix="lrnet-doubt-") as scratch:
        folder = Path(scratch)
        said = list(doubtful(detector, recordings(videos, count), folder))
        for store in stores:
            said += profiles(detector, store, folder, count, options.each)
        for s in said:
            if s.verdict.state is State.LIKELY_FAKE:
                print(f"likely_fake: {s.kind}, {s.name}: {s.verdict.probability:.3f}")
    print(table([*said, *usual]))


if __name__ == "__main__":
    environment.run(main)
