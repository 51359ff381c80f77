"""How much do landmarks shake on a face whose motion is known?

    python -m lrnet.experiments.known_motion PICTURE_OR_VIDEO... [--landmarkers mesh,face-api,dlib] [--frames 60]
                                             [--conditions]

Takes one picture (of a video its first frame with a face), halves it, and moves it along a path that is known to a
fraction of a pixel, with fresh sensor noise in each frame: not at all ("still"), to and fro ("shifted"), and with
changes of size and roll ("turned"). With --conditions it goes to and fro under four harder ones instead: a third as
large, tilted by 30 degrees, in a fifth of the light (the noise stays), and coded as a JPEG of quality 15.

Landmarks that are taken back along the path would all lie on one another; how far they do not is the landmarker's own
error:

- *shake*: root mean square distance of a landmark from its own mean place;
- *jitter*: median length of its second difference, as `lrnet benchmark calibration` has it, without any real motion.

Both are in % of the inter-ocular distance. A landmarker that errs only by rounding to whole pixels has a shake of
sqrt(1/6) = 0.41 pixels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.evaluation.report import table
from lrnet.experiments import environment
from lrnet.faces import Landmarker, landmarker
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.sequence.jitter import Points, inter_ocular_distance, jitter, mean_of_known, median_of_known
from lrnet.sequence.kalman import lengths
from lrnet.training.appearance.blend import jpeg
from lrnet.video.frame import Frame
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader

Picture = NDArray[np.uint8]

SHRUNK: Final = 0.5
"""Scale of the frames: the picture is finer than they are, so that interpolation adds nothing to the error."""

BLUR: Final = 1.0  # picture pixels, sigma of the blur that keeps shrinking from aliasing
NOISE: Final = 2.0  # grey levels, sigma of the sensor noise
RATE: Final = 25.0
WARM_UP: Final = 2  # frames in which landmarks settle; not measured
LOOKED_AT: Final = 100  # frames of a video in which a face is looked for


@dataclass(frozen=True, slots=True)
class Motion:
    """Amplitudes of shift (frame pixels), size (share) and roll (radians), each a sine with its own period; and how the
    face is shown: scale, tilt (radians), light as a share, and quality of a JPEG (100: not coded)."""

    shift: float
    size: float
    roll: float
    scale: float = 1.0
    tilt: float = 0.0
    light: float = 1.0
    quality: int = 100

    def matrix(self, i: int, width: int, height: int) -> NDArray[np.float64]:
        """(2, 3) from the picture's pixels to those of frame `i`; `width`, `height` are the frame's."""
        angle = self.tilt + self.roll * math.sin(i / 11)
        zoom = SHRUNK * self.scale * (1 + self.size * math.sin(i / 17))
        linear = zoom * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        middle = np.array([width - 1, height - 1]) / 2
        moved = middle + self.shift * np.array([math.sin(i / 7), math.sin(i / 9)])
        return np.column_stack([linear, moved - linear @ (middle / SHRUNK)])


PATHS: Final = {"still": Motion(0, 0, 0), "shifted": Motion(3.3, 0, 0), "turned": Motion(3.3, 0.04, 0.08)}
CONDITIONS: Final = {
    "small": Motion(1.1, 0, 0, scale=1 / 3),
    "tilted": Motion(3.3, 0, 0, tilt=math.pi / 6),
    "dark": Motion(3.3, 0, 0, light=0.2),
    "coarse": Motion(3.3, 0, 0, quality=15),
}


@dataclass(frozen=True, slots=True)
class Shake:
    """Figures of a landmarker on one path, % of the inter-ocular distance; `milliseconds` of CPU time a frame, median;
    `found` is the share of the frames in which it has the face."""

    shake: float
    jitter: float
    found: float
    milliseconds: float


def moving_frames(
    picture: Picture, path: Motion, count: int, noise: float = NOISE, seed: int = 0
) -> list[tuple[Frame, NDArray[np.float64]]]:
    """Frames of a picture (H, W, 3) RGB that moves along a path, each with its matrix from picture to frame."""
    height, width = (int(side * SHRUNK) // 2 * 2 for side in picture.shape[:2])
    smooth = cv2.GaussianBlur(picture, (0, 0), BLUR)
    draw = np.random.default_rng(seed)
    frames = []
    for i in range(count):
        matrix = path.matrix(i, width, height)
        moved = cv2.warpAffine(
            smooth.astype(np.float32), matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        lit = path.light * np.asarray(moved)
        noisy = lit + draw.normal(0, noise, (height, width, 1)) if noise else lit
        rgb = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        if path.quality < 100:
            rgb = jpeg(rgb, path.quality)
        frames.append((Frame(av.VideoFrame.from_ndarray(rgb, format="rgb24"), i, i / RATE), matrix))
    return frames


def shake_of(frames: Sequence[tuple[Frame, NDArray[np.float64]]], finder: Landmarker) -> Shake:
    """Follow the largest face through frames whose motion is known.

    Raises:
        SequenceError: the landmarker does not find the face in three frames.
    """
    tracker = FaceTracker(finder, TrackSettings(max_faces=1))
    points, spent = [], []
    for frame, matrix in frames:
        began = time.thread_time()
        seen = tracker.update(frame).seen
        spent.append(1000 * (time.thread_time() - began))
        face = next(iter(seen.values()), None)
        places = np.full((68, 2), np.nan) if face is None else face.landmarks.astype(np.float64)
        # Back to where they would lie in a frame that is not moved at all.
        points.append(SHRUNK * (places - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T)
    settled: Points = np.array(points[WARM_UP:])
    known = np.isfinite(settled[:, 0, 0])
    if known.sum() < 3:
        raise SequenceError(f"{finder.name} does not find the face.", hint="Give a picture of a larger face.")
    unit = inter_ocular_distance(settled) / 100
    away = lengths(settled[known] - settled[known].mean(axis=0))
    return Shake(
        float(np.sqrt((away**2).mean())) / unit,
        jitter(settled) / unit,
        float(known.mean()),
        median_of_known(np.array(spent[WARM_UP:])),
    )


def picture_of(path: Path, finder: Landmarker) -> Picture:
    """A picture as (H, W, 3) RGB, or the first frame of a video in which a face is found.

    Raises:
        VideoError: it cannot be read.
        SequenceError: no face is found in it.
    """
    with VideoReader(path, WHOLE, threads=1) as reader:
        for frame in islice(reader, LOOKED_AT):
            if finder.search(frame):
                return frame.rgb()
    raise SequenceError(f"No face is found in {path}.", hint="Give a picture or a video that shows one.")


def measure(
    pictures: Sequence[Picture], finders: Sequence[Landmarker], count: int, paths: Mapping[str, Motion] = PATHS
) -> dict[tuple[str, str], Shake]:
    """The mean figures over pictures, by landmarker and path. All see the same frames."""
    found: dict[tuple[str, str], list[Shake]] = {}
    for picture in pictures:
        for name, path in paths.items():
            frames = moving_frames(picture, path, count)
            for finder in finders:
                found.setdefault((finder.name, name), []).append(shake_of(frames, finder))
    fields = Shake.__slots__
    return {
        key: Shake(*(mean_of_known(np.array([getattr(shake, field) for shake in some])) for field in fields))
        for key, some in found.items()
    }


def main() -> None:
    parser = environment.parser(__doc__)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--landmarkers", default="mesh,face-api")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--conditions", action="store_true", help="small, tilted, dark, coarse")
    options = parser.parse_args()
    finders = [landmarker(name) for name in options.landmarkers.split(",")]
    paths = CONDITIONS if options.conditions else PATHS
    pictures = [picture_of(source, finders[0]) for source in options.sources]
    rows = [
        [name, path, f"{s.shake:.2f}", f"{s.jitter:.2f}", f"{100 * s.found:.0f} %", f"{s.milliseconds:.1f}"]
        for (name, path), s in measure(pictures, finders, options.frames, paths).items()
    ]
    print(table(("landmarker", "path", "shake", "jitter", "found", "ms / frame"), rows))


if __name__ == "__main__":
    environment.run(main)
