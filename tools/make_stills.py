"""Crops of photographs, for `lrnet train-appearance --stills`: further real faces to blend.

usage: make_stills.py FOLDER OUT [--source NAME]

FOLDER holds pictures with one face each (JPEG, PNG), in subfolders if need be; a picture's person is its file name up
to the first "_". Writes OUT/*.parquet. Pictures in which not exactly one face of 100 pixels or more is found are left
out. Stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import av
import cv2
import numpy as np

from lrnet.appearance.crops import to_crop, wide_crop
from lrnet.data.store.crops import CropsOfVideo, write_crops
from lrnet.faces import Landmarker, landmarker
from lrnet.faces.squares import face_box
from lrnet.faces.tracker import FaceTracker
from lrnet.video.frame import Frame

LEAST = 100.0
LARGEST = 1400  # pixels, side of a picture; larger ones are halved


def crop_of(path: Path, finder: Landmarker, source: str, key: str) -> CropsOfVideo | None:
    """The picture's one face; None if it does not show exactly one that is large enough."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        return None
    while max(picture.shape[:2]) > LARGEST:
        picture = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    rgb = np.asarray(cv2.cvtColor(picture[:height, :width], cv2.COLOR_BGR2RGB), np.uint8)
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    frames = [Frame(frame, i, i / 25) for i in range(3)]  # landmarks settle in the second look
    *_, last = FaceTracker(finder).run(frames)
    if len(last.seen) != 1:
        return None
    landmarks = next(iter(last.seen.values())).landmarks
    wide = wide_crop(frames[-1], landmarks)
    if wide is None or face_box(landmarks)[1] < LEAST:
        return None
    zero = np.zeros(1)
    return CropsOfVideo(
        key,
        False,
        source,
        f"{source}-{path.stem.partition('_')[0]}",
        "",
        "train",
        zero.astype(np.int32),
        zero.astype(np.int64),
        zero,
        to_crop(landmarks, wide.shape[0])[None],
        wide[None],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--source", default="stills")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    finder = landmarker("mesh")
    written = left_out = 0
    pictures = [p for p in sorted(args.folder.rglob("*")) if p.suffix.lower() in (".jpg", ".jpeg", ".png")]
    for path in pictures:
        key = str(path.relative_to(args.folder))
        target = args.out / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
        if path.name.startswith(".") or target.exists():
            continue
        found = crop_of(path, finder, args.source, key)
        if found is None:
            left_out += 1
            continue
        write_crops(found, target)
        written += 1
    print(f"{written} crops written, {left_out} pictures without exactly one large face left out")


if __name__ == "__main__":
    main()
