"""The training videos again as they look after sharing: with small faces, or coarsely encoded.

usage: make_degraded.py STORES OUT [--coarse]

STORES holds the landmark stores `ffpp` and `more` that `make_stores.py` wrote: they say where the videos are and how
large their faces. Writes OUT/small, or OUT/coarse (at most 260 frames of each video), and OUT/manifest.csv, which
`lrnet extract` reads. Real and fake videos are treated alike, so that size or coding does not give a fake away. Of a
person's real videos from one source only one is encoded coarsely.
Stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lrnet.data import store
from lrnet.data.engines import LocalEngine
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store import StoredVideo
from lrnet.files import written_beside
from lrnet.sequence.landmark_sequence import main_face
from lrnet.video.reencode import reencode

MOST_FRAMES = 260
FACE_SIZES = (58.0, 115.0)  # pixels, longer side of the landmarks' box: of the sources with the smallest faces at hand
CRFS = (20, 23, 26, 30)
COARSE_CRFS = (38, 40, 42, 44, 46)
WORTH_SHRINKING = 1.2  # a face must be this much larger than what it is to become


@dataclass(frozen=True, slots=True)
class Degraded:
    """One video to write."""

    record: VideoRecord
    target: Path
    scale: float
    crf: int


def planned(videos: list[StoredVideo], out: Path) -> Iterator[Degraded]:
    """What becomes of each video; drawn from its name, so that it is the same every time."""
    for video in videos:
        record = video.record
        faces = main_face(video.sequences())
        if not faces or record.method == "Wav2Lip-GAN":
            continue
        name = record.key.replace("/", "__")
        draw = random.Random(record.key)
        size = float(np.mean([face.face_size for face in faces]))
        wanted, crf = draw.uniform(*FACE_SIZES), draw.choice(CRFS)
        if size > WORTH_SHRINKING * wanted:
            yield Degraded(record, (out / "small" / name).with_suffix(".mp4"), wanted / size, crf)


def planned_coarse(videos: list[StoredVideo], out: Path) -> Iterator[Degraded]:
    """All fakes, and one real video of each person and source, with the size that they have."""
    people: set[tuple[str, str]] = set()
    for record in (video.record for video in videos):
        if record.label is Label.REAL:
            if (record.source, record.group) in people:
                continue
            people.add((record.source, record.group))
        name = record.key.replace("/", "__")
        crf = random.Random(record.key).choice(COARSE_CRFS)
        yield Degraded(record, (out / "coarse" / name).with_suffix(".mp4"), 1.0, crf)


def write(task: Degraded) -> Degraded:
    """Write the video, if it is not there."""
    if not task.target.is_file():
        task.target.parent.mkdir(parents=True, exist_ok=True)
        reencode(task.record.path, task.target, crf=task.crf, scale=task.scale, most_frames=MOST_FRAMES)
    return task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--coarse", action="store_true", help="encode coarsely instead of shrinking")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    videos = [v for name in ("ffpp", "more") for v in store.open(args.stores / name)]
    done: list[Degraded] = []
    kind, plan = ("coarse", planned_coarse) if args.coarse else ("small", planned)
    for outcome in LocalEngine(args.workers).run(write, plan(videos, args.out)):
        if outcome.result is None:
            print(f"  {outcome.item.record.key}: {outcome.error}", flush=True)
            continue
        done.append(outcome.result)
        if len(done) % 40 == 0:
            print(f"  {len(done)} videos", flush=True)
    columns = ("path", "label", "method", "source", "split", "group", "compression")
    with written_beside(args.out / "manifest.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(columns)
        for task in sorted(done, key=lambda t: str(t.target)):
            r = task.record
            path = task.target.relative_to(args.out)
            table.writerow((path, Label(r.label).value, r.method, r.source, r.split, r.group, kind))
    print(f"{len(done)} videos, {args.out / 'manifest.csv'}")


if __name__ == "__main__":
    main()
