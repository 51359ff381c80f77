"""Edit and encode videos: shots, cuts, one fake shot, two faces, cross-fades, repeated frames, cut-off files; or encode
them only, to tell what the edits do from what the encoder does.

The same sources and seed give the same videos. `lrnet.experiments.edited` is the command.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from lrnet.data import Label, VideoRecord
from lrnet.data.engines import Engine
from lrnet.data.records import people_of
from lrnet.errors import DatasetError, OutputError
from lrnet.files import make_folder, write_text, written_beside
from lrnet.training.edits import CUT_OUT, FAKE_SHOT, MOST_PEOPLE, SHOT
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader
from lrnet.video.writer import VideoWriter

WIDTH, HEIGHT, RATE, CRF = 640, 360, 25, 23
SHOTS: Final = (6, 14)  # shots of an edited video
FADED: Final = (4, 8)  # shots of a video with cross-fades
FADE: Final = 25  # frames of a cross-fade: one second
BESIDE: Final = 10.0  # seconds of two faces side by side
LONGEST: Final = 20.0  # seconds of one source, where it is used whole
REPEATED: Final = (30, 60)  # frames a second that frames are repeated to
KEPT: Final = 0.3  # share of the bytes of a cut-off file
MANIFEST: Final = "manifest.json"

Image = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A video that shots are taken from, and its length by its header, seconds."""

    record: VideoRecord
    seconds: float

    @property
    def people(self) -> tuple[str, ...]:
        """The people in it, by name where the dataset names them; of a fake, both."""
        return self.record.identities or (self.record.group,)


@dataclass(frozen=True, slots=True)
class Shot:
    """A part of a source, seconds of the source."""

    source: Source
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Edit:
    """A video to make.

    Attributes:
        number: of the video, among those of its kind and label.
        shots: one after the other; of `side-by-side`, the left and the right one.
        rate: frames a second that are written; beyond `RATE`, frames are repeated.
    """

    kind: str
    label: Label
    number: int
    shots: tuple[Shot, ...]
    rate: int = RATE

    @property
    def file(self) -> str:
        return f"{self.kind}-{self.label}-{self.number:03d}.mp4"


@dataclass(frozen=True, slots=True)
class Made:
    """An edited video in the manifest.

    Attributes:
        file: name in the folder of the manifest.
        people: everybody in it.
        sources: `key`, `path`, `label` and `people` of each video that it was made from.
        shots: `start`, `stop` (seconds of this video), `source` (a key) and `fake` of each.
        fake: seconds (start, stop) of the fake shot of `one-fake-shot`; None otherwise.
    """

    file: str
    kind: str
    label: Label
    people: tuple[str, ...]
    sources: tuple[dict[str, Any], ...]
    shots: tuple[dict[str, Any], ...]
    fake: tuple[float, float] | None = None


class Manifest(BaseModel):
    """The edited videos of a folder, and a mark of the seed and the sources that they were made of."""

    mark: str
    videos: tuple[Made, ...] = ()


class Planner:
    """Chooses sources and shots.

    Args:
        sources: people who may stand in one video.
        draw: where chance comes from.
        number: of the video, among those of its kind and label.
    """

    def __init__(self, sources: Sequence[Source], draw: np.random.Generator, number: int) -> None:
        usable = sorted((s for s in sources if s.seconds >= SHOT[0]), key=lambda s: s.record.key)
        self._of = {label: [s for s in usable if s.record.label is label] for label in Label}
        self._draw, self._number = draw, number

    def source(self, label: Label) -> Source:
        return self._one(self._of[label], f"There is no {label} video of {SHOT[0]:g} s.")

    def whole(self, label: Label) -> list[Shot]:
        return _all_of(self.source(label))

    def in_turn(self, label: Label) -> list[Shot]:
        """As `whole`, one source after the other."""
        some = self._of[label]
        return _all_of(some[self._number % len(some)] if some else self.source(label))

    def shots(self, label: Label) -> list[Shot]:
        """Shots of some people, of whom each may come again; for a fake, one of its shots is fake."""
        fake = self.source(label) if label is Label.FAKE else None
        without = people_of(fake.record) if fake else frozenset()
        people = self._people(without)[: int(self._draw.integers(1, MOST_PEOPLE + 1))]
        number = int(self._draw.integers(SHOTS[0], SHOTS[1] + 1))
        found = [self._shot(self._one(people[int(self._draw.integers(len(people)))])) for _ in range(number)]
        if fake is not None:
            found[int(self._draw.integers(number))] = self._shot(fake, FAKE_SHOT)
        return found

    def cuts(self, label: Label) -> list[Shot]:
        """One video with parts cut out."""
        least = SHOT[1] + CUT_OUT[1] + SHOT[0]  # two shots at least
        long = [s for s in self._of[label] if s.seconds >= least]
        source = self._one(long, f"There is no {label} video of {least:g} s.")
        found, at, end = [], 0.0, min(source.seconds, LONGEST)
        while end - at >= SHOT[0]:
            stop = min(at + self._draw.uniform(*SHOT), end)
            found.append(Shot(source, at, stop))
            at = stop + self._draw.uniform(*CUT_OUT)
        return found

    def fades(self, label: Label) -> list[Shot]:
        """Shots to fade between: no two neighbours show the same person."""
        people = self._people()
        if len(people) < 2:
            raise DatasetError("There are no real videos of two people.", hint="Give more videos.")
        found: list[Shot] = []
        last = -1
        for _ in range(int(self._draw.integers(FADED[0], FADED[1] + 1))):
            last = int(self._draw.choice([i for i in range(len(people)) if i != last]))
            found.append(self._shot(self._one(people[last]), SHOT[1]))
        return found

    def side_by_side(self, label: Label) -> list[Shot]:
        """Two people at the same time, one of them fake if the video is to be."""
        one = self.source(label)
        other = self._one(self._people(people_of(one.record))[0])
        seconds = min(one.seconds, other.seconds, BESIDE)
        pair = [self._shot(one, seconds), self._shot(other, seconds)]
        return pair if self._draw.random() < 0.5 else pair[::-1]

    def _people(self, without: frozenset[str] = frozenset()) -> list[list[Source]]:
        """The real videos of each person, in random order, without some people."""
        people: dict[tuple[str, ...], list[Source]] = {}
        for source in self._of[Label.REAL]:
            if not people_of(source.record) & without:
                people.setdefault(source.people, []).append(source)
        found = list(people.values())
        if not found:
            raise DatasetError("There is no real video of another person.", hint="Give more videos.")
        return [found[i] for i in self._draw.permutation(len(found))]

    def _shot(self, source: Source, seconds: float | None = None) -> Shot:
        seconds = self._draw.uniform(*SHOT) if seconds is None else seconds
        start = float(self._draw.uniform(0, max(source.seconds - seconds, 0)))
        return Shot(source, start, min(start + seconds, source.seconds))

    def _one(self, some: Sequence[T], otherwise: str = "") -> T:
        if not some:
            raise DatasetError(otherwise, hint="Give more videos.")
        return some[int(self._draw.integers(len(some)))]


def _all_of(source: Source) -> list[Shot]:
    return [Shot(source, 0.0, min(source.seconds, LONGEST))]


BOTH: Final = (Label.REAL, Label.FAKE)
ENCODED: Final = "encoded"
EDITS: Final[dict[str, tuple[tuple[Label, ...], Callable[[Planner, Label], list[Shot]]]]] = {
    "shots": ((Label.REAL,), Planner.shots),
    "cuts": (BOTH, Planner.cuts),
    "one-fake-shot": ((Label.FAKE,), Planner.shots),
    "side-by-side": (BOTH, Planner.side_by_side),
    "fades": ((Label.REAL,), Planner.fades),
    "repeats": (BOTH, Planner.whole),
    "cut-off": (BOTH, Planner.whole),
    ENCODED: (BOTH, Planner.in_turn),
}
"""Kinds of edited videos: 6 to 14 shots of 1 to 12 people; one video with parts cut out; five seconds of a fake among
real shots; two faces in one frame; cross-fades between people; frames repeated to 30 and 60 a second; the first 30 % of
a file; and no edit at all. Labels that each is made of, and the choice of its shots."""


def planned(
    sources: Sequence[Sequence[Source]],
    number: int,
    seed: int,
    kinds: Collection[str] = EDITS.keys(),
    tell: Callable[[str], None] = print,
) -> list[Edit]:
    """The videos to make. One that cannot be made of the sources is left out, with a message.

    Args:
        sources: sets of people who may stand in one video; videos take turns.
        number: of videos of each kind and label.
    """
    found = []
    for place, (kind, (labels, choose)) in enumerate(EDITS.items()):
        for label in labels if kind in kinds else ():
            for i in range(number):
                # Each video has its own random numbers: it stays the same when `number` grows.
                draw = np.random.default_rng((0xED17, seed, place, label is Label.FAKE, i))
                rate = REPEATED[i % len(REPEATED)] if kind == "repeats" else RATE
                try:
                    shots = choose(Planner(sources[i % len(sources)], draw, i), label)
                except DatasetError as error:
                    tell(f"  {kind} {label} {i}: {error}")
                    continue
                found.append(Edit(kind, label, i, tuple(shots), rate))
    return found


def pictures(shot: Shot, width: int = WIDTH) -> Iterator[Image]:
    """The shot's pictures, `RATE` a second, (HEIGHT, width, 3) RGB: at each time the newest of the source.

    So a source of 30 frames a second loses some, and of a slower one some come twice, as in video editors.
    """
    due, last = 0, None
    shown: Image | None = None  # `last`, fitted
    with VideoReader(shot.source.record.path, WHOLE, threads=1) as reader:
        for frame in reader.decode():
            while last is not None and shot.start + due / RATE < frame.time - 1e-6:
                if due >= round((shot.stop - shot.start) * RATE):
                    return
                shown = _fitted(last.rgb(), width) if shown is None else shown
                yield shown
                due += 1
            last, shown = frame, None
    if last is not None and due < round((shot.stop - shot.start) * RATE):
        yield _fitted(last.rgb(), width)


def _fitted(rgb: Image, width: int) -> Image:
    """Scaled to fit, with black bars."""
    scale = min(width / rgb.shape[1], HEIGHT / rgb.shape[0])
    w, h = max(round(rgb.shape[1] * scale), 2), max(round(rgb.shape[0] * scale), 2)
    inner = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    whole = np.zeros((HEIGHT, width, 3), np.uint8)
    top, left = (HEIGHT - h) // 2, (width - w) // 2
    whole[top : top + h, left : left + w] = inner
    return whole


def joined(shots: Iterable[Iterable[Image]], fade: int = 0) -> Iterator[tuple[Image, int]]:
    """The pictures of shots one after the other, each with the number of its shot.

    Args:
        fade: pictures over which a shot passes into the next; they count as the next one's.
    """
    held: deque[Image] = deque()  # the end of the shot before
    number = 0
    for number, shot in enumerate(shots):
        ahead: deque[Image] = deque()
        mixed = len(held)
        for i, picture in enumerate(shot):
            if held:
                weight = (i + 1) / (mixed + 1)
                picture = np.asarray(cv2.addWeighted(held.popleft(), 1 - weight, picture, weight, 0), np.uint8)
            ahead.append(picture)
            if len(ahead) > fade:
                yield ahead.popleft(), number
        held = ahead
    yield from ((picture, number) for picture in held)


def write(edit: Edit, path: Path) -> Made:
    """Make a video.

    Raises:
        VideoError: a source cannot be read.
        DatasetError: a source is shorter than its header says.
        OutputError: the video cannot be written.
    """
    frames: Iterator[tuple[Image, int]]
    if edit.kind == "side-by-side":
        halves = (pictures(shot, WIDTH // 2) for shot in edit.shots)
        frames = ((np.hstack(pair), 0) for pair in zip(*halves, strict=False))
    else:
        frames = joined((pictures(shot) for shot in edit.shots), FADE if edit.kind == "fades" else 0)
    with TemporaryDirectory(prefix="lrnet-edited-") as folder:
        target = Path(folder) / "whole.mp4" if edit.kind == "cut-off" else path
        numbers = _encode(frames, edit.rate, target)
        if edit.kind == "cut-off":
            with written_beside(path) as partial:
                data = target.read_bytes()
                partial.write_bytes(data[: int(len(data) * KEPT)])
    if edit.kind == "side-by-side":
        spans = [(0.0, len(numbers) / RATE)] * 2
    else:
        edges = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(numbers)) if a != b), len(numbers)]
        spans = [(a / RATE, b / RATE) for a, b in pairwise(edges)]
    if len(spans) != len(edit.shots):
        path.unlink()
        raise DatasetError("A source is shorter than its header says.", hint="Leave it out.")
    return _made(edit, spans)


def _encode(frames: Iterable[tuple[Image, int]], rate: int, target: Path) -> list[int]:
    """Write frames that come at `RATE`, repeated to `rate`; the number of the shot of each frame that came."""
    numbers: list[int] = []
    written = count()
    following = next(written)
    with VideoWriter(target, WIDTH, HEIGHT, rate, crf=CRF, options={"threads": "1"}) as out:
        for picture, number in frames:
            numbers.append(number)
            while following * RATE < len(numbers) * rate:
                out.write(picture, following / rate)
                following = next(written)
    return numbers


def _made(edit: Edit, spans: Sequence[tuple[float, float]]) -> Made:
    shots = [
        {"start": start, "stop": stop, "source": s.source.record.key, "fake": s.source.record.label is Label.FAKE}
        for s, (start, stop) in zip(edit.shots, spans, strict=True)
    ]
    used = {s.source.record.key: s.source for s in edit.shots}
    sources = [
        {"key": key, "path": str(r.path.resolve()), "label": r.label.value, "people": list(s.people)}
        for key, s in sorted(used.items())
        for r in (s.record,)
    ]
    people = sorted({who for s in used.values() for who in s.people})
    fake = next((span for shot, span in zip(shots, spans, strict=True) if shot["fake"]), None)
    fake = fake if edit.kind == "one-fake-shot" else None
    return Made(edit.file, edit.kind, edit.label, tuple(people), tuple(sources), tuple(shots), fake)


def make(
    sources: Sequence[Sequence[Source]],
    out: Path,
    number: int,
    seed: int,
    engine: Engine,
    kinds: Collection[str] = EDITS.keys(),
    tell: Callable[[str], None] = print,
) -> list[Made]:
    """Make all videos that are not there yet, and the manifest. A video that cannot be made is left out.

    Args:
        sources, number, seed, kinds: as in `planned`.

    Raises:
        OutputError: `out` holds videos of other sources or of another seed, or cannot be written.
    """
    make_folder(out)
    keys = json.dumps([[s.record.key for s in part] for part in sources])
    mark = f"seed {seed}, sources {hashlib.sha256(keys.encode()).hexdigest()}"
    known = read_manifest(out) if (out / MANIFEST).is_file() else Manifest(mark=mark)
    if known.mark != mark:
        raise OutputError(f"{out} holds videos of other sources or of another seed.", hint="Choose another folder.")
    edits = planned(sources, number, seed, kinds, tell)
    made = {m.file: m for m in known.videos if (out / m.file).is_file()}

    def keep() -> None:
        some = Manifest(mark=mark, videos=tuple(sorted(made.values(), key=lambda m: m.file)))
        write_text(out / MANIFEST, some.model_dump_json(indent=1) + "\n")

    keep()
    left = [edit for edit in edits if edit.file not in made]
    tell(f"{len(edits)} videos, {len(left)} of them to be made")
    for outcome in engine.run(partial(_write_into, out), left):
        if outcome.result is None:
            tell(f"  {outcome.item.file}: {outcome.error}")
            continue
        made[outcome.result.file] = outcome.result
        keep()
    return [made[edit.file] for edit in edits if edit.file in made]


def _write_into(folder: Path, edit: Edit) -> Made:
    return write(edit, folder / edit.file)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises DatasetError if it is missing or cannot be read."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{folder / MANIFEST} cannot be read ({error}).", hint="Make it: python -m lrnet.experiments.edited make."
        ) from error
