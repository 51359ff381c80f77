"""Landmark stores for the default model: the FaceForensics++ clips, and videos of further people and sources.

usage: make_stores.py DATA MORE OUT [--degraded FOLDER] [--strangers FOLDER] [--landmarker NAME] [--workers N]

DATA holds the research data (`ffpp/` in the official layout, `more/manifest.csv`), MORE the videos that the latter
names, collected. Writes the stores OUT/ffpp and OUT/more, and with what `make_degraded.py` made of them in FOLDER
OUT/degraded. `--strangers` names a folder with the collected videos of `strangers/manifest.csv`, which nothing is
trained on: their store is OUT/strangers. Stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import monotonic

from lrnet.data import VideoRecord, read_collected, read_faceforensics, read_manifest
from lrnet.data.engines import Outcome
from lrnet.data.extraction import LANDMARKER, Extracted, extract, store_preprocessing


class Teller:
    """Prints failures as they come, and every twentieth video how fast it goes."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._videos = self._frames = 0

    def __call__(self, outcome: Outcome[VideoRecord, Extracted]) -> None:
        self._videos += 1
        if outcome.result is None:
            print(f"  {outcome.item.key}: {outcome.error}", flush=True)
            return
        self._frames += outcome.result.frames
        if self._videos % 20 == 0:
            rate = self._frames / (monotonic() - self._began)
            print(f"  {self._videos} videos, {self._frames} frames, {rate:.0f} frames/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("more", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--degraded", type=Path, metavar="FOLDER")
    parser.add_argument("--strangers", type=Path, metavar="FOLDER")
    parser.add_argument("--landmarker", default=LANDMARKER)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    sets = {
        "ffpp": read_faceforensics(args.data / "ffpp"),
        "more": read_collected(args.data / "more" / "manifest.csv", args.more),
    }
    if args.degraded is not None:
        sets["degraded"] = read_manifest(args.degraded / "manifest.csv")
    if args.strangers is not None:
        sets["strangers"] = read_collected(args.data / "strangers" / "manifest.csv", args.strangers)
    for name, records in sets.items():
        print(f"{name}: {len(records)} videos", flush=True)
        extract(records, args.out / name, store_preprocessing(args.landmarker), workers=args.workers, tell=Teller())


if __name__ == "__main__":
    main()
