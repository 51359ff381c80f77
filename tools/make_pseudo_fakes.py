"""Fakes of further people: faces swapped frame by frame between videos of one source.

usage: make_pseudo_fakes.py DATA MORE OUT [--most 36]

DATA holds `more/manifest.csv`, MORE the videos that it names. Writes OUT/*.mp4 and OUT/manifest.csv, which
`lrnet extract` reads. Where all fakes of a training set come from one dataset, a network learns to tell the dataset;
these give every other source fakes of its own. The donor of a face is somebody of the same source, so that leaving a
source out leaves both out. Stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import cycle
from pathlib import Path

from lrnet.data import Label, VideoRecord, read_collected
from lrnet.errors import LrnetError
from lrnet.experiments.swap import faces_of, swap_faces
from lrnet.faces.mesh import MeshLandmarker
from lrnet.files import written_beside
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader
from lrnet.video.writer import VideoWriter

CRF = 23  # of H.264: the quality of FaceForensics++ c23


def pairs(records: list[VideoRecord], most: int) -> list[tuple[VideoRecord, VideoRecord]]:
    """Target and donor: another person of the same source if there is one, at most `most` targets a source."""
    by_source: dict[str, list[VideoRecord]] = defaultdict(list)
    for record in records:
        by_source[record.source].append(record)
    chosen = []
    generator = random.Random(0)
    for source in sorted(by_source):
        candidates = sorted(by_source[source], key=lambda r: r.key)
        generator.shuffle(candidates)
        for target in candidates[:most]:
            others = [r for r in candidates if r.group != target.group] or [r for r in candidates if r != target]
            if others:
                chosen.append((target, generator.choice(others)))
    return chosen


def swap(target: VideoRecord, donor: VideoRecord, path: Path) -> None:
    """Write the target with the donor's face, played there and back. Raises LrnetError if one of them shows none."""
    finder = MeshLandmarker()
    with VideoReader(donor.path) as reader:
        faces = list(faces_of(reader, finder))
    times: list[float] = []

    def timed(frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            times.append(frame.time)
            yield frame

    with VideoReader(target.path) as reader:
        info = reader.info
        with VideoWriter(path, info.width, info.height, info.frame_rate or 25.0, crf=CRF) as writer:
            for rgb in swap_faces(timed(reader), cycle([*faces, *faces[-2:0:-1]]), finder):
                writer.write(rgb, times.pop(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("more", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=36, help="targets a source")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    real = [r for r in read_collected(args.data / "more" / "manifest.csv", args.more) if r.label is Label.REAL]
    done = []
    for target, donor in pairs(real, args.most):
        path = args.out / f"swap_{target.path.stem}.mp4"
        try:
            if not path.exists():
                swap(target, donor, path)
        except LrnetError as error:
            print(f"  {target.path.name} with {donor.path.name}: {error}", flush=True)
            continue
        people = f"{target.group};{donor.group}"  # both are seen: whoever is left out, both are
        done.append((path.name, "fake", "lrnet swap", target.source, "train", target.group, people))
        print(f"  {len(done)} {path.name}", flush=True)
    with written_beside(args.out / "manifest.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "method", "source", "split", "group", "identities"))
        writer.writerows(done)


if __name__ == "__main__":
    main()
