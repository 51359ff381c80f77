"""Train a student of the face mesh: 68 points placed where the mesh places them on average.

    python tools/train_landmarker.py look DATASET... --out LOOKS       pictures and labels, a file for each video
    python tools/train_landmarker.py train LOOKS --run RUN             RUN/checkpoint.pt; goes on where it stopped;
                                                                       --start RUN begins with that run's network
    python tools/train_landmarker.py export RUN MODEL.onnx             the network for ONNX Runtime
    python tools/train_landmarker.py measure LOOKS MODEL.onnx          how far it is from the labels of people left out
    python tools/train_landmarker.py ship MODEL.onnx                   it becomes the package's landmarker `mesh68`

`look` cuts pairs of consecutive frames out of videos, a still picture counting as its own successor, and has the mesh
look at each frame several times, through crops that are shifted, scaled, turned, mirrored and noisy; the mean of what
it sees is the label. About one person in ten (by a hash of the group's name) is kept for validation. Needs the extra
`train` and `onnx`. One thread does everything.

*Cache coordinates* are pixels of a stored picture, *input coordinates* of the network's input; pixel centres lie at
whole numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from time import monotonic
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lrnet.data import open_dataset
from lrnet.data.records import VideoRecord
from lrnet.errors import LrnetError, TrainingError
from lrnet.experiments import environment
from lrnet.faces.blazeface import sigmoid
from lrnet.faces.face_mesh import CROP_SIZE as MESH_SIZE
from lrnet.faces.face_mesh import FaceMesh, RegionOfInterest, points_to_frame, roi_from_landmarks, to_68
from lrnet.faces.landmarker import OUTER_EYE_CORNERS, FaceObservation
from lrnet.faces.mesh import MIN_PRESENCE, MeshLandmarker
from lrnet.faces.mesh68 import FACE_IN_INPUT, INPUT, Matrix, Picture, cut, face_matrix
from lrnet.faces.models import FOLDER as MODELS
from lrnet.files import write_text, written_beside
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, MIRROR
from lrnet.video.frame import Frame
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader

CACHE: Final = 240  # pixels, side of a stored picture
FACE_IN_CACHE: Final = 133.0

FIRST: Final = 4  # frame of a video's first pair
APART: Final = 12  # frames between two pairs
PER_GROUP: Final = 24  # pairs of one identity group
VALIDATION: Final = 10  # one group in so many

OPENINGS: Final = {"mouth opening": (62, 66), "mouth width": (48, 54), "right eye": (37, 41), "left eye": (43, 47)}
"""Landmarks whose distance an expression changes: a student that learnt too little follows it in part."""

OPPOSITE: Final = np.array(
    ((37, 38, 43, 44, 19, 24, 61, 62, 63, 51, 48, 60), (41, 40, 47, 46, 37, 44, 67, 66, 65, 57, 54, 64))
)
"""Landmarks, and those that an expression moves away from them: lids, brows and eyes, lips, corners of the mouth."""

Points = NDArray[np.float32]


# Looks


def moved(points: NDArray[np.floating], matrix: Matrix) -> Points:
    """Points (..., 2) through a (2, 3) matrix."""
    return (points.astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


class Teacher:
    """The mesh, looking several times."""

    def __init__(self, looks: int) -> None:
        self._mesh, self._looks = FaceMesh(), looks
        self.finder = MeshLandmarker()

    def label(self, frame: Frame, face: FaceObservation, draw: np.random.Generator) -> Points | None:
        """(68, 2) frame pixels, mean over the looks; None if the mesh doubts that there is a face."""
        home = roi_from_landmarks(face.state)
        rois, mirrored, crops = [], [], []
        for i in range(self._looks):
            roi = RegionOfInterest(
                home.center_x + home.size * draw.normal(0, 0.02),
                home.center_y + home.size * draw.normal(0, 0.02),
                home.size * math.exp(draw.normal(0, 0.05)),
                home.angle + draw.normal(0, 0.07),
            )
            back = np.linalg.inv(np.vstack([roi.crop_to_frame(), [0, 0, 1]]))[:2]
            crop = frame.rgb_warped(back, MESH_SIZE, MESH_SIZE)
            noise = draw.normal(0, 2, (*crop.shape[:2], 1)) if i else 0
            crop = np.clip(np.rint(crop + noise), 0, 255).astype(np.uint8)
            mirrored.append(i % 2 == 1)
            rois.append(roi)
            crops.append(crop[:, ::-1] if i % 2 else crop)
        points, sure = self._mesh.landmarks_batch(np.ascontiguousarray(crops))
        if np.min(sure) < MIN_PRESENCE:
            return None
        seen = []
        for roi, flipped, found in zip(rois, mirrored, to_68(points), strict=True):
            if flipped:
                found = (found * (-1, 1) + (MESH_SIZE - 1, 0))[MIRROR].astype(np.float32)
            seen.append(points_to_frame(found, roi))
        return np.asarray(np.mean(seen, axis=0, dtype=np.float64), np.float32)

    def labelled(
        self, first: tuple[Frame, FaceObservation], second: tuple[Frame, FaceObservation], draw: np.random.Generator
    ) -> tuple[Picture, Points] | None:
        """Pictures (2, CACHE, CACHE) of a face in two frames, and labels (2, 68, 2) in cache coordinates.

        None if the mesh doubts that there is a face.
        """
        labels = [self.label(*which, draw) for which in (first, second)]
        if labels[0] is None or labels[1] is None:
            return None
        matrix = face_matrix(labels[0], CACHE, FACE_IN_CACHE)
        pictures = [cut(frame.luma, matrix, CACHE) for frame, _ in (first, second)]
        return np.stack(pictures), np.stack([moved(points, matrix) for points in labels if points is not None])


def pairs_of(record: VideoRecord, most: int, teacher: Teacher) -> Iterator[tuple[Picture, Points]]:
    """Pictures (2, CACHE, CACHE) and labels (2, 68, 2) in cache coordinates, of consecutive frames; of a still picture,
    itself twice."""
    draw = np.random.default_rng(zlib.crc32(record.key.encode()))
    before: tuple[Frame, FaceObservation] | None = None
    with VideoReader(record.path, WHOLE, threads=1) as reader:
        frames = list(islice(reader, 2))
        if len(frames) == 1:
            for largest in teacher.finder.search(frames[0])[:1]:
                seen = teacher.labelled((frames[0], largest), (frames[0], largest), draw)
                if seen is not None:
                    pictures, points = seen
                    yield pictures, np.repeat(points.mean(axis=0, keepdims=True), 2, axis=0)
            return
        for frame in islice(chain(frames, reader), FIRST + APART * most):
            place = (frame.index - FIRST) % APART
            if frame.index < FIRST or place > 1:
                before = None
            elif place == 0:
                found = teacher.finder.search(frame)
                before = (frame, found[0]) if found else None
            elif before is not None:
                face = teacher.finder.follow(frame, before[1])
                if face is None or face.confidence < MIN_PRESENCE:
                    continue
                seen = teacher.labelled(before, (frame, face), draw)
                if seen is not None:
                    yield seen


def look(args: argparse.Namespace) -> None:
    teacher = Teacher(args.looks)
    args.out.mkdir(parents=True, exist_ok=True)
    records = [record for dataset in args.dataset for record in open_dataset(dataset).records]
    np.random.default_rng(0).shuffle(records)
    done: Counter[str] = Counter()
    for i, record in enumerate(records):
        target = args.out / f"{hashlib.sha256(f'{record.source}/{record.key}'.encode()).hexdigest()[:16]}.npz"
        if target.exists():
            done[record.group] += len(np.load(target, allow_pickle=False)["points"])
            continue
        most = min(args.pairs, PER_GROUP - done[record.group])
        if most <= 0:
            continue
        try:
            found = list(pairs_of(record, most, teacher))
        except LrnetError as error:
            print(f"{record.key}: {error}", flush=True)
            continue
        done[record.group] += len(found)
        pictures, points = zip(*found, strict=True) if found else ((), ())
        with written_beside(target) as partial, partial.open("wb") as file:
            shapes = (-1, 2, CACHE, CACHE), (-1, 2, 68, 2)
            np.savez(
                file,
                group=record.group,
                pictures=np.array(pictures, np.uint8).reshape(shapes[0]),
                points=np.array(points, np.float32).reshape(shapes[1]),
            )
        if i % 20 == 0:
            print(f"{i + 1} of {len(records)} videos, {done.total()} pairs of {len(done)} groups", flush=True)
    print(f"{done.total()} pairs of {len(done)} groups")


# The network


def _block(i: int, o: int, kernel: int = 1, stride: int = 1, *, depthwise: bool = False, act: bool = True) -> nn.Module:
    groups = i if depthwise else 1
    parts = [nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*parts, *([nn.ReLU()] if act else []))


class _Residual(nn.Module):
    """A separable 3 x 3 convolution beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(_block(channels, channels, 3, depthwise=True), _block(channels, channels, act=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.inner(x))


def _stage(i: int, o: int, depth: int) -> nn.Sequential:
    """Half the side, then residual blocks."""
    down = [_block(i, i, 3, 2, depthwise=True, act=False), _block(i, o)]
    return nn.Sequential(*down, *(_Residual(o) for _ in range(depth)))


class Student(nn.Module):
    """(N, S, S) uint8 luma to points (N, 68, 2) in input coordinates, and the logit of a face being there, (N,).

    A heat map for each point at a quarter of the input's side; the point is the map's mean (soft-argmax), between
    cells as well as in them.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (16, 48, 64, 128)) -> None:
        super().__init__()
        stem, fine, middle, coarse = channels
        self.fine = nn.Sequential(_block(1, stem, 3, 2), _stage(stem, fine, 1))
        self.middle = _stage(fine, middle, 3)
        self.coarse = _stage(middle, coarse, 4)
        self.to_middle, self.middle_again = nn.Conv2d(coarse, middle, 1), _Residual(middle)
        self.to_fine, self.fine_again = nn.Conv2d(middle, fine, 1), _Residual(fine)
        self.maps = nn.Conv2d(fine, 68, 1)
        self.face = nn.Linear(coarse, 1)

    def logits(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        """Heat maps before softmax, (N, 68, S / 4, S / 4), and the logit of a face."""
        fine = self.fine((luma[:, None].float() - 128) / 64)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        middle = self.middle_again(torch.relu(middle + _doubled(self.to_middle(coarse))))
        fine = self.fine_again(torch.relu(fine + _doubled(self.to_fine(middle))))
        return self.maps(fine), self.face(coarse.mean((2, 3))).squeeze(1)

    def forward(self, luma: Tensor) -> tuple[Tensor, Tensor]:
        maps, face = self.logits(luma)
        return points_of(maps), face


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0)


def cells(side: int) -> Tensor:
    """Input coordinates of the cells of a heat map with `side` cells a side, which are 4 pixels wide."""
    return torch.arange(side, dtype=torch.float32) * 4 + 1.5


def points_of(maps: Tensor) -> Tensor:
    """(N, 68, 2) means of heat maps (N, 68, H, H), input coordinates."""
    side = maps.shape[-1]
    shares = torch.softmax(maps.flatten(2), -1).view_as(maps)
    at = cells(side)
    return torch.stack([shares.sum(2) @ at, shares.sum(3) @ at], -1)


# Training


@dataclass(frozen=True, slots=True)
class Looks:
    """Pairs of pictures (K, 2, CACHE, CACHE) and their labels (K, 2, 68, 2) in cache coordinates."""

    pictures: Picture
    points: Points

    @classmethod
    def read(cls, folder: Path, *, validation: bool) -> Looks:
        """Those of the people for validation, or of all others."""
        pictures, points = [], []
        for file in sorted(folder.glob("*.npz")):
            with np.load(file, allow_pickle=False) as data:
                if (zlib.crc32(str(data["group"]).encode()) % VALIDATION == 0) == validation and len(data["points"]):
                    pictures.append(data["pictures"])
                    points.append(data["points"])
        if not points:
            raise SystemExit(f"There are no such looks in {folder}.")
        return cls(np.concatenate(pictures), np.concatenate(points))


@dataclass(frozen=True, slots=True)
class Settings:
    """How the student is trained.

    Attributes:
        steps: batches in all.
        pairs: of pictures in a batch; beside them one picture without a face for every four.
        rate: highest learning rate (AdamW); it rises over 5 % of the steps and falls to zero like a cosine.
        differences: weight of the distance between the steps of a pair's points, beside that of the points.
        openings: weight of the distance between the vectors from the landmarks of `OPPOSITE` to those they open from.
        maps: weight of the cross entropy between heat maps and a normal distribution around the label.
        seed: of everything that is drawn.
    """

    steps: int = 1500
    pairs: int = 12
    rate: float = 3e-3
    differences: float = 1.0
    openings: float = 1.0
    maps: float = 0.2
    seed: int = 1

    def rate_at(self, step: int) -> float:
        rising = (step + 1) / (0.05 * self.steps)
        return self.rate * min(1.0, rising) * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def similarity(draw: np.random.Generator, shift: float, size: float, turn: float) -> Matrix:
    """A random (2, 3) similarity about the input's middle: shift in pixels, size as a share, turn in radians."""
    angle, zoom = draw.normal(0, turn), math.exp(draw.normal(0, size))
    linear = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = np.full(2, (INPUT - 1) / 2)
    return np.column_stack([linear, middle - linear @ middle + draw.normal(0, shift, 2)])


def after(second: Matrix, first: Matrix) -> Matrix:
    """The matrix of `first` and then `second`."""
    return np.asarray((np.vstack([second, [0, 0, 1]]) @ np.vstack([first, [0, 0, 1]]))[:2])


def coarsened(picture: Picture, scale: float, quality: int, noise: float, draw: np.random.Generator) -> Picture:
    """Scaled down and up again, with noise, and coded as JPEG; 1, 100 and 0 leave it as it is."""
    if scale < 1:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, picture.shape[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    if noise > 0:
        picture = np.clip(np.rint(picture + draw.normal(0, noise, picture.shape)), 0, 255).astype(np.uint8)
    if quality < 100:
        _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return picture


def drawn_pair(pictures: Picture, points: Points, draw: np.random.Generator) -> tuple[list[Picture], list[Points]]:
    """A pair as a landmarker may meet it: the same light and coding, a little apart in where it was cut out."""
    if draw.random() < 0.25:  # the same picture twice: what differs is known to be the cut alone
        pictures, points = pictures[[0, 0]], points[[0, 0]]
    home = face_matrix(points[0], INPUT, FACE_IN_INPUT)
    here = after(similarity(draw, 3.0, 0.06, 0.12), home)
    flip = np.array([[-1.0, 0, INPUT - 1], [0, 1, 0]]) if draw.random() < 0.5 else None
    gain, lift, gamma = math.exp(draw.normal(0, 0.2)), draw.normal(0, 12), math.exp(draw.normal(0, 0.2))
    light = np.clip(255 * (np.arange(256) / 255) ** gamma * gain + lift, 0, 255).astype(np.uint8)
    scale = draw.uniform(0.35, 1) if draw.random() < 0.3 else 1.0
    quality = int(draw.integers(30, 95)) if draw.random() < 0.4 else 100
    noise = draw.uniform(0, 6) if draw.random() < 0.5 else 0.0
    seen, at = [], []
    for picture, label in zip(pictures, points, strict=True):
        matrix = after(similarity(draw, 0.7, 0.004, 0.006), here)
        if flip is not None:
            matrix = after(flip, matrix)
        cropped = light[cut(picture, matrix, INPUT)]
        seen.append(coarsened(cropped, scale, quality, noise, draw))
        placed = moved(label, matrix)
        at.append(placed if flip is None else placed[MIRROR])
    return seen, at


def without_face(picture: Picture, points: Points, draw: np.random.Generator) -> Picture:
    """Something that is no face in the middle: far beside it, a small part of it, or nothing at all."""
    kind = draw.integers(4)
    if kind == 0:
        plain = draw.uniform(0, 255) + draw.uniform(-60, 60) * np.linspace(-1, 1, INPUT)
        return np.clip(plain + draw.normal(0, draw.uniform(0, 20), (INPUT, INPUT)), 0, 255).astype(np.uint8)
    if kind == 1:
        point = points[draw.integers(68)] + draw.normal(0, 5, 2)
        zoom = draw.uniform(3, 6)
        return cut(picture, np.column_stack([np.eye(2) * zoom, (INPUT - 1) / 2 - zoom * point]), INPUT)
    turn = draw.uniform(0, 2 * math.pi)
    matrix = face_matrix(points, INPUT, FACE_IN_INPUT * draw.uniform(0.8, 1.5))
    matrix[:, 2] += FACE_IN_INPUT * draw.uniform(0.9, 1.3) * np.array([math.cos(turn), math.sin(turn)])
    return cut(picture, matrix, INPUT)


def batch_of(looks: Looks, settings: Settings, step: int) -> tuple[Tensor, Tensor]:
    """Pictures and labels of a step: pairs after one another, then pictures without a face. Only the step counts."""
    draw = np.random.default_rng((settings.seed, step))
    pictures: list[Picture] = []
    labels: list[Points] = []
    for i in draw.integers(len(looks.points), size=settings.pairs):
        seen, at = drawn_pair(looks.pictures[i], looks.points[i], draw)
        pictures += seen
        labels += at
    for i in draw.integers(len(looks.points), size=max(1, settings.pairs // 4)):
        pictures.append(without_face(looks.pictures[i, 0], looks.points[i, 0], draw))
    return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(labels))


def loss_of(net: Student, pictures: Tensor, labels: Tensor, settings: Settings) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch, and its parts: pixels of the input for points and differences."""
    maps, face = net.logits(pictures)
    there = torch.zeros_like(face)
    there[: len(labels)] = 1
    maps = maps[: len(labels)]
    placed = points_of(maps)
    apart = functional.smooth_l1_loss(placed, labels, beta=0.2)  # errors of a fifth of a pixel still count whole
    ours, theirs = placed[1::2] - placed[::2], labels[1::2] - labels[::2]
    steps = (ours - theirs).abs().mean()
    one, other = OPPOSITE
    opening = (placed[:, one] - placed[:, other] - labels[:, one] + labels[:, other]).abs().mean()
    at = cells(maps.shape[-1])
    line = torch.exp(-0.5 * ((labels[..., None] - at) / 3.0) ** 2)  # (N, 68, 2, H): x, y
    wanted = line[..., 1, :, None] * line[..., 0, None, :]
    wanted = wanted / wanted.sum((2, 3), keepdim=True).clamp_min(1e-6)
    entropy = -(wanted * torch.log_softmax(maps.flatten(2), -1).view_as(maps)).sum((2, 3)).mean()
    presence = functional.binary_cross_entropy_with_logits(face, there)
    weighed = settings.differences * steps + settings.openings * opening + settings.maps * entropy
    total = apart + weighed + 0.3 * presence
    parts = {"points": apart, "steps": steps, "openings": opening, "maps": entropy, "presence": presence}
    return total, {name: part.item() for name, part in parts.items()}


def fit(
    looks: Looks,
    settings: Settings,
    checkpoint: Path,
    every: int = 50,
    until: float = math.inf,
    start: dict[str, Tensor] | None = None,
) -> Student:
    """Train; stopped and started again, it goes on from `checkpoint`, to the same network.

    Args:
        start: weights to begin with.
        until: seconds from now after which it writes a checkpoint and stops.

    Raises:
        TrainingError: the checkpoint is of a run with other settings.
    """
    torch.manual_seed(settings.seed)
    net, mean = Student(), Student()
    if start is not None:
        net.load_state_dict(start)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a quarter faster
    mean.load_state_dict(net.state_dict())
    optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=0.01)
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        if state["settings"] != asdict(settings):
            raise TrainingError(
                f"{checkpoint} is of a run with other settings: {state['settings']}.",
                hint="Name another folder with --run, or delete this one to start again.",
            )
        net.load_state_dict(state["net"])
        mean.load_state_dict(state["mean"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    began, sums = monotonic(), Counter[str]()
    over, count = False, 0
    while step < settings.steps and not over:
        for group in optimiser.param_groups:
            group["lr"] = settings.rate_at(step)
        net.train()
        loss, parts = loss_of(net, *batch_of(looks, settings, step), settings)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        step += 1
        count += 1
        kept = min(0.99, step / (step + 20))
        with torch.no_grad():
            for ours, theirs in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
                ours.copy_(kept * ours + (1 - kept) * theirs if ours.is_floating_point() else theirs)
        sums.update(parts)
        over = monotonic() - began > until
        if step % every == 0 or step == settings.steps or over:
            state = {"net": net.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict()}
            with written_beside(checkpoint) as partial:
                torch.save({**state, "step": step, "settings": asdict(settings)}, partial)
            said = ", ".join(f"{name} {value / count:.3f}" for name, value in sums.items())
            print(f"step {step}: {said}; {monotonic() - began:.0f} s", flush=True)
            sums.clear()
            count = 0
    return mean.eval()


def train(args: argparse.Namespace) -> None:
    args.run.mkdir(parents=True, exist_ok=True)
    settings = replace(Settings(), steps=args.steps, rate=args.rate, seed=args.seed)
    start = torch.load(args.start / "checkpoint.pt", weights_only=True)["mean"] if args.start else None
    looks = Looks.read(args.looks, validation=False)
    fit(looks, settings, args.run / "checkpoint.pt", until=60 * args.minutes, start=start)


def to_onnx(net: Student, path: Path) -> None:
    """`luma` (N, INPUT, INPUT) uint8 to `points` (N, 68, 2) in input coordinates and `face_logit` (N,)."""
    example = torch.zeros(1, INPUT, INPUT, dtype=torch.uint8)
    names: dict[str, Any] = {"input_names": ["luma"], "output_names": ["points", "face_logit"]}
    axes = {name: {0: "batch"} for name in ("luma", "points", "face_logit")}
    with written_beside(path) as partial:
        torch.onnx.export(
            net.eval(), (example,), str(partial), dynamo=False, opset_version=17, dynamic_axes=axes, **names
        )


def export(args: argparse.Namespace) -> None:
    net = Student()
    net.load_state_dict(torch.load(args.run / "checkpoint.pt", weights_only=True)["mean"])
    to_onnx(net, args.model)
    print(f"{args.model}: {args.model.stat().st_size} bytes, {sum(p.numel() for p in net.parameters())} parameters")


def ship(args: argparse.Namespace) -> None:
    content = args.model.read_bytes()
    with written_beside(MODELS / "mesh68.onnx") as partial:
        partial.write_bytes(content)
    index = json.loads((MODELS / "models.json").read_text())
    index["models"]["mesh68"] = {
        "title": "student of FaceMesh v2, 68 points",
        "file": "mesh68.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "source": {"tool": "tools/train_landmarker.py", "teacher": "face_mesh_v2"},
        "licence": "that of this package",
        "model_card": "docs/landmarkers.md",
        "input": {"name": "luma", "type": "uint8", "layout": "batch, height, width", "shape": ["batch", INPUT, INPUT]},
        "outputs": {"points": ["batch", 68, 2], "face_logit": ["batch"]},
    }
    write_text(MODELS / "models.json", json.dumps(index, indent=2) + "\n")
    print(f"mesh68.onnx: {len(content)} bytes, sha256 {index['models']['mesh68']['sha256']}")


def measure(args: argparse.Namespace) -> None:
    """Distances to the labels, in % of the distance between the outer corners of the eyes, and presence."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(args.model), options)
    looks = Looks.read(args.looks, validation=True)
    draw = np.random.default_rng(0)
    seen, labels, nothing = [], [], []
    for pair, points in zip(looks.pictures, looks.points, strict=True):
        matrix = after(similarity(draw, 1.0, 0.01, 0.02), face_matrix(points[0], INPUT, FACE_IN_INPUT))
        seen.append([cut(picture, matrix, INPUT) for picture in pair])
        labels.append(moved(points, matrix))
        nothing.append(without_face(pair[0], points[0], draw))
    placed, there = session.run(None, {"luma": np.concatenate(seen)})
    wanted = np.array(labels)
    placed = placed.reshape(wanted.shape)
    right, left = OUTER_EYE_CORNERS
    unit = np.linalg.norm(wanted[..., right, :] - wanted[..., left, :], axis=-1).mean()
    away = 100 * np.linalg.norm(placed - wanted, axis=-1) / unit
    bias = (placed - wanted).mean(axis=(0, 1))
    steps = 100 * np.linalg.norm(np.diff(placed - wanted, axis=1), axis=-1) / unit
    print(f"{len(wanted)} pairs: distance {away.mean():.2f} %, of steps {np.median(steps):.2f} % (median)")
    print(", ".join(f"{group} {away[..., where].mean():.2f}" for group, where in FACIAL_GROUPS.items()))
    print(f"mean offset of a point: {100 * np.linalg.norm(bias, axis=-1).mean() / unit:.2f} %")
    for name, (one, other) in OPENINGS.items():
        theirs, ours = (np.linalg.norm(p[..., one, :] - p[..., other, :], axis=-1).ravel() for p in (wanted, placed))
        slope, alike = np.polyfit(theirs, ours, 1)[0], np.corrcoef(theirs, ours)[0, 1]
        print(f"{name}: {slope:.2f} of a difference in the labels is followed (correlation {alike:.2f})")
    absent = session.run(None, {"luma": np.stack(nothing)})[1]
    print(f"a face is seen in {(sigmoid(there) >= 0.5).mean():.3f} of them and in {(absent >= 0).mean():.3f} of others")


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    looking = commands.add_parser("look")
    looking.add_argument("dataset", type=Path, nargs="+")
    looking.add_argument("--out", type=Path, required=True)
    looking.add_argument("--pairs", type=int, default=6, help="of frames, from each video")
    looking.add_argument("--looks", type=int, default=8, help="at each frame")
    looking.set_defaults(run_command=look)
    training = commands.add_parser("train")
    training.add_argument("looks", type=Path)
    training.add_argument("--run", type=Path, required=True)
    training.add_argument("--steps", type=int, default=Settings().steps)
    training.add_argument("--rate", type=float, default=Settings().rate, help="highest learning rate")
    training.add_argument("--start", type=Path, metavar="RUN", help="begin with the network of that run")
    training.add_argument("--seed", type=int, default=Settings().seed)
    training.add_argument("--minutes", type=float, default=math.inf, help="after which it stops")
    training.set_defaults(run_command=train)
    exporting = commands.add_parser("export")
    exporting.add_argument("run", type=Path)
    exporting.add_argument("model", type=Path)
    exporting.set_defaults(run_command=export)
    measuring = commands.add_parser("measure")
    measuring.add_argument("looks", type=Path)
    measuring.add_argument("model", type=Path)
    measuring.set_defaults(run_command=measure)
    shipping = commands.add_parser("ship")
    shipping.add_argument("model", type=Path)
    shipping.set_defaults(run_command=ship)
    return parser.parse_args(arguments)


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args = parsed()
    args.run_command(args)


if __name__ == "__main__":
    environment.run(main)
