"""Put one person's face on another's, frame by frame: example fakes, and pseudo-fakes to train with.

The classical way, as in Kowalski's FaceSwap (one of the methods of FaceForensics++, Rössler et al., ICCV 2019): warp
the source face onto the target's landmarks triangle by triangle, match its colours, blend its edge. Every frame is
made from that frame alone. Nothing is smoothed over time, so that the landmarks' errors stay in the result as they do
in such fakes.

Coordinates are pixels, `x` right, `y` down, the centre of the first pixel at (0, 0).

Example:
    ```python
    from itertools import repeat

    from lrnet.experiments.swap import faces_of, swap_faces
    from lrnet.faces.mesh import MeshLandmarker
    from lrnet.video.reader import VideoReader

    landmarker = MeshLandmarker()
    with VideoReader("portrait.png") as portrait:
        source = next(faces_of(portrait, landmarker))
    with VideoReader("target.mp4") as target:
        for frame in swap_faces(target, repeat(source), landmarker):
            ...  # (H, W, 3) RGB
    ```
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.errors import SequenceError
from lrnet.faces.face_mesh import MESH_POINTS, MESH_TO_68
from lrnet.faces.mesh import MeshLandmarker
from lrnet.faces.tracker import FaceTracker, TrackSettings
from lrnet.video.frame import Frame

SKIN_POINTS: Final = 468  # of the mesh; the others are irises, which leave the eye when it closes
FOREHEAD: Final = (71, 68, 104, 69, 108, 151, 337, 299, 333, 298, 301)  # mesh points of the row above the brows
OUTLINE: Final = (*(points[0] for points in MESH_TO_68[:17]), *FOREHEAD)  # what the swapped region reaches to
FEATHER: Final = 0.12  # width of the blended rim over the square root of the region's area
SHRINK_FROM: Final = 1.5  # times as large as the target, and a source is scaled down first: the warp would skip pixels
CONTRAST: Final = (0.5, 2.0)  # least and greatest change of a colour channel's spread
SQUEEZED: Final = 0.25  # of the area that a triangle of its size mostly has: one that is closed, like an eyelid's slit
REACH: Final = 0.5  # of its own height, so far beyond its rim a triangle may be continued
SUBPIXEL_BITS: Final = 4  # of the triangles' corners as they are painted

Image = NDArray[np.uint8]
Points = NDArray[np.float32]
Areas = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Face:
    """A face in its picture.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        points: (478, 2) float32 points of the mesh in pixels of `image`.

    Raises:
        SequenceError: the arrays are of other shapes, or a point is not finite.
    """

    image: Image
    points: Points

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.points.shape != (MESH_POINTS, 2):
            raise SequenceError(
                f"A face needs an (H, W, 3) image and ({MESH_POINTS}, 2) points, "
                f"got {self.image.shape} and {self.points.shape}.",
                hint="Take the points from FaceObservation.state of the mesh landmarker.",
            )
        if not np.isfinite(self.points).all():
            raise SequenceError("A face has points that are not finite.", hint="Leave such frames out.")


def faces_of(frames: Iterable[Frame], landmarker: MeshLandmarker) -> Iterator[Face]:
    """The largest face of each frame that has one: of a video, or of a still image read as a video of one frame.

    Raises:
        SequenceError: at the end, if not one frame had a face.
    """
    found = False
    for frame, points in _followed(frames, landmarker):
        if points is not None:
            found = True
            yield Face(frame.rgb(), points)
    if not found:
        raise SequenceError("There is no face in the source.", hint="Give a picture that shows a face from the front.")


def swap_faces(frames: Iterable[Frame], sources: Iterable[Face], landmarker: MeshLandmarker) -> Iterator[Image]:
    """Put the source's face on the largest face of each frame.

    Args:
        frames: of the target, in order.
        sources: a face for each frame; `itertools.repeat(face)` for a still one. They are of one person: the
            triangles are laid over the first one and kept.

    Yields:
        As many images as there are frames, (H, W, 3) RGB; a frame without a face comes back as it is.

    Raises:
        SequenceError: there are fewer sources than frames; or, at the end, not one frame had a face.
    """
    faces = iter(sources)
    triangles: NDArray[np.int64] | None = None
    found = False
    for frame, points in _followed(frames, landmarker):
        source = next(faces, None)
        if source is None:
            raise SequenceError(
                f"The source ends before the target: it has {frame.index} faces.",
                hint="Repeat it, or cut the target to its length.",
            )
        if points is None:
            yield frame.rgb()
            continue
        found = True
        if triangles is None:
            triangles = triangulate(source.points)
        yield swap_face(source, Face(frame.rgb(), points), triangles)
    if not found:
        raise SequenceError("There is no face in the target.", hint="Give a video that shows a face.")


def triangulate(points: Points) -> NDArray[np.int64]:
    """Delaunay triangles over a face seen from the front.

    Args:
        points: (478, 2) points of the mesh, any unit.

    Returns:
        (T, 3) indices of mesh points.
    """
    skin = points[:SKIN_POINTS]
    low, high = skin.min(axis=0), skin.max(axis=0)
    # Spread out, because OpenCV takes points for the same that are as close as closed lips in a small picture.
    spread = 1 + (skin - low) * np.float32(1000 / max(float((high - low).max()), 1e-6))
    plane = cv2.Subdiv2D((0, 0, 1003, 1003))
    plane.insert([(float(x), float(y)) for x, y in spread])
    index = {(x, y): i for i, (x, y) in enumerate(spread.tolist())}
    corners = np.asarray(plane.getTriangleList()).reshape(-1, 3, 2).tolist()
    return np.array([[index[x, y] for x, y in triangle] for triangle in corners])


def swap_face(source: Face, target: Face, triangles: NDArray[np.int64]) -> Image:
    """Put one face on another in one picture.

    Args:
        source: whose face it is.
        target: where it goes.
        triangles: (T, 3) indices of mesh points, from `triangulate`.

    Returns:
        (H, W, 3) RGB, the target's image. It differs from it only inside the outline of the face.
    """
    height, width = target.image.shape[:2]
    outline = target.points[list(OUTLINE)]
    left, top = np.clip(np.floor(outline.min(axis=0)).astype(int) - 1, 0, (width, height))
    right, bottom = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 2, 0, (width, height))
    result = target.image.copy()
    if right <= left or bottom <= top:
        return result
    crop = result[top:bottom, left:right]
    points = target.points - np.array([left, top], np.float32)
    warped, covered = _warp(_shrunk(source, points), points, crop.shape[:2], triangles)
    weight = _feathered(points[list(OUTLINE)], covered)
    if not weight.any():
        return result
    coloured = _recoloured(warped, crop, weight)
    mixed = crop + weight[..., None] * (coloured - crop)
    crop[:] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return result


def _followed(frames: Iterable[Frame], landmarker: MeshLandmarker) -> Iterator[tuple[Frame, Points | None]]:
    for seen in FaceTracker(landmarker, TrackSettings(max_faces=1)).run(frames):
        observation = next(iter(seen.seen.values()), None)
        yield seen.frame, None if observation is None else np.asarray(observation.state, np.float32)


def _shrunk(source: Face, target_points: Points) -> Face:
    """The source scaled down if its face is much larger than the target's."""
    ratio = float(np.sqrt(_hull_area(source.points) / max(_hull_area(target_points), 1.0)))
    if ratio < SHRINK_FROM:
        return source
    height, width = source.image.shape[:2]
    size = max(1, round(width / ratio)), max(1, round(height / ratio))
    scale = np.array([size[0] / width, size[1] / height])
    image = cv2.resize(source.image, size, interpolation=cv2.INTER_AREA)
    # Scaling holds for coordinates counted from the corner of the first pixel, half a pixel before its centre.
    return Face(image.astype(np.uint8, copy=False), ((source.points + 0.5) * scale - 0.5).astype(np.float32))


def _hull_area(points: Points) -> float:
    return cv2.contourArea(cv2.convexHull(points[list(OUTLINE)]))


def _warp(
    source: Face, points: Points, size: tuple[int, int], triangles: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Piecewise affine: (h, w, 3) RGB of the source's face at the target's `points`, and where there is any."""
    corners, origin = points[triangles], source.points[triangles]
    areas = _doubled_areas(corners)
    stretch = areas / (_doubled_areas(origin) + 1e-9)
    squeezed = stretch < SQUEEZED * np.median(stretch)
    # What the turned head hides is turned over, its area below 0, and is painted below the rest. So are triangles
    # squeezed to a line, such as the opening of a closed eye.
    owner = _painted(corners, np.lexsort((areas * np.sign(np.median(areas)), ~squeezed)), size)
    covered = owner >= 0
    mine = owner[covered]
    # (T,) pieces by component: gathering them for each pixel is what costs, and short rows are gathered slowly.
    (ax, ay), (bx, by) = ((corners[:, i] - corners[:, 0]).T for i in (1, 2))
    inverse = np.divide(1, areas, out=np.zeros_like(areas), where=np.abs(areas) > 1e-6)
    rows, columns = np.nonzero(covered)
    x, y = columns - corners[mine, 0, 0], rows - corners[mine, 0, 1]
    a = x * (by * inverse)[mine] - y * (bx * inverse)[mine]
    b = y * (ax * inverse)[mine] - x * (ay * inverse)[mine]
    # A triangle paints the pixels that its rim touches too. Thin ones would look these up far away, as specks.
    beside = np.minimum(np.minimum(a, b), 1 - a - b) < np.where(squeezed, 0, -REACH)[mine]
    a[beside], b[beside] = _nearest_inside(np.stack([columns, rows], axis=1)[beside], corners[mine[beside]])
    lookup = np.zeros((*size, 2), np.float32)
    for axis in range(2):
        start, to_a, to_b = origin[:, 0, axis], *((origin[:, i] - origin[:, 0])[:, axis] for i in (1, 2))
        lookup[covered, axis] = start[mine] + a * to_a[mine] + b * to_b[mine]
    warped = cv2.remap(source.image, lookup, np.empty(0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return warped.astype(np.float32), covered


def _nearest_inside(pixels: NDArray[np.int64], corners: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The shares of the second and third corner, (P,) each, in the point of a triangle's rim nearest to a pixel.

    Args:
        pixels: (P, 2) outside their triangles.
        corners: (P, 3, 2) of the triangles.
    """
    starts, ends = corners, np.roll(corners, -1, axis=1)
    edges, offsets = ends - starts, pixels[:, None] - starts
    along = np.clip((edges * offsets).sum(axis=2) / np.maximum((edges**2).sum(axis=2), 1e-9), 0, 1)
    nearest = np.linalg.norm(offsets - along[..., None] * edges, axis=2).argmin(axis=1)
    each = np.arange(len(pixels))
    shares = np.zeros((len(pixels), 3))
    shares[each, nearest] = 1 - along[each, nearest]
    shares[each, (nearest + 1) % 3] = along[each, nearest]
    return shares[:, 1], shares[:, 2]


def _painted(corners: Points, order: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int32]:
    """Which triangle shows at each pixel, (h, w); -1 where none does.

    Args:
        corners: (T, 3, 2) of the triangles, pixels.
        order: (T,) the undermost first.
    """
    owner = np.full(size, -1, np.int32)
    fixed = np.rint(corners * (1 << SUBPIXEL_BITS)).astype(np.int32)
    for i in order.tolist():
        cv2.fillConvexPoly(owner, fixed[i], i, shift=SUBPIXEL_BITS)
    return owner


def _doubled_areas(corners: Points) -> Areas:
    """(T,) twice the signed areas of (T, 3, 2) triangles."""
    (ax, ay), (bx, by) = ((corners[:, i] - corners[:, 0]).T for i in (1, 2))
    return np.asarray(ax * by - ay * bx, np.float32)


def _feathered(outline: Points, covered: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w) weights of the swapped face: 1 inside, falling smoothly to 0 at the rim of the hull of `outline`."""
    region = np.zeros(covered.shape, np.uint8)
    cv2.fillConvexPoly(region, np.rint(cv2.convexHull(outline)).astype(np.int32), 1)
    region[~covered] = 0
    # The picture's own edge is no rim: a face that it cuts is swapped right up to it.
    framed = cv2.copyMakeBorder(region, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    width = max(1.0, FEATHER * float(np.sqrt(region.sum())))
    depth = np.clip(cv2.distanceTransform(framed, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1] / width, 0, 1)
    return np.asarray(depth * depth * (3 - 2 * depth), np.float32)


def _recoloured(face: NDArray[np.float32], target: Image, weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The face with mean and spread of the target's colours in CIE Lab (Reinhard et al., 2001), (h, w, 3) RGB."""
    ours, theirs = (cv2.cvtColor(i / np.float32(255), cv2.COLOR_RGB2Lab) for i in (face, target.astype(np.float32)))
    inside = (weight > 0.5 * weight.max()).astype(np.uint8)
    mean, spread = (s.ravel() for s in cv2.meanStdDev(ours, mask=inside))
    wanted_mean, wanted_spread = (s.ravel() for s in cv2.meanStdDev(theirs, mask=inside))
    gain = np.clip(wanted_spread / np.maximum(spread, 1e-3), *CONTRAST)
    matched = cv2.transform(ours, np.column_stack([np.diag(gain), wanted_mean - gain * mean]))
    return cv2.cvtColor(matched, cv2.COLOR_Lab2RGB) * np.float32(255)
