"""Algorithm 1 of the paper as written: pyramidal Lucas-Kanade, inverse compositional, with a Gaussian-weighted patch.

All points are followed at once; arrays run over points first. Differences from `OpenCVFlow`:

- weights: a Gaussian around the patch's centre (Eq. 1); OpenCV weighs evenly;
- gradients: central differences in floating point; OpenCV interpolates Scharr derivatives in steps of 1/32 grey level;
- edges: edge pixels are repeated, and a point is lost outside the image; OpenCV mirrors, and a point is lost when its
  patch is outside;
- smooth patches: the same measure, weighted, and the mean over colour channels instead of their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PyramidalLucasKanade:
    """The paper's Algorithm 1 in NumPy; the same protocol as `OpenCVFlow`.

    On each level of the pyramid it looks for the displacement d that makes

        E(d) = sum over the patch of a(x) (target(x + d) - source(x))^2                                        (Eq. 1)

    small, where a(x) is a Gaussian around the point. Each step solves for the source's own displacement (inverse
    compositional, Baker and Matthews 2004) and takes it off d:

        delta = H^-1 sum of a(x) J(x)^T (target(x + d) - source(x)),   d <- d - delta                           (Eq. 2)
        H = sum of a(x) J(x)^T J(x),   J the gradient of the source patch                                       (Eq. 3)

    so that J and H are made once a level. In colour, sums run over the channels too.

    Attributes:
        window: side of the patch, pixels.
        levels: pyramid levels above the image itself; fewer, if the image is too small for them.
        iterations: at most so many steps a level.
        epsilon: a step shorter than this many pixels ends a level.
        min_eigenvalue: a patch is too smooth, and counts as not found, if the smaller eigenvalue
            of H, divided by the sum of a(x) and the number of channels, lies below this: squared grey levels a pixel.
            OpenCV's unit is 1024 times as large: this is `OpenCVFlow`'s 1e-6.
        sigma: standard deviation of a(x) as a share of `window`. The paper gives none; a quarter leaves the patch's
            edge a weight of 0.14.
    """

    window: int = 16
    levels: int = 3
    iterations: int = 10
    epsilon: float = 0.03
    min_eigenvalue: float = 1.024e-3
    sigma: float = 0.25

    def track(self, source: Image, target: Image, points: Array, guess: Array) -> tuple[Array, Mask]:
        """Follow points from `source` to `target`.

        Args:
            source, target: (H, W) grey or (H, W, C) uint8 images of the same shape.
            points: (P, 2) pixels of `source`. A point that is not finite, or outside the image, is not found.
            guess: (P, 2) where to start looking in `target`; the point itself where that is not finite.

        Returns:
            (P, 2) float32 positions in `target`, and (P,) whether each was found: False where the patch is too smooth
            or the point leaves the image. A point that could not be looked for comes back at its guess.
        """
        points = np.asarray(points, np.float32)
        guess = np.where(np.isfinite(guess), guess, points).astype(np.float32)
        inside = _inside(points, source.shape)
        if not inside.any():
            return guess, inside
        pyramids = [(_Level(a, self.window), _Level(b, self.window)) for a, b in self._pyramids(source, target)]
        start = points[inside]
        shift = (guess[inside] - start) / np.float32(2 ** len(pyramids))
        found = np.zeros(len(start), bool)
        for level in reversed(range(len(pyramids))):
            at = start / np.float32(2**level)
            shift, found = self._refine(*pyramids[level], at, shift * 2)
        moved = guess.copy()
        moved[inside] = start + shift
        status = inside.copy()
        status[inside] = found
        return moved, status & _inside(moved, source.shape)

    def _pyramids(self, source: Image, target: Image) -> list[tuple[Image, Image]]:
        """Both images from full size to smallest; pixel i of a level is pixel 2 i of the one before."""
        pairs = [(source, target)]
        while len(pairs) <= self.levels and min(pairs[-1][0].shape[:2]) >= 2 * self.window:
            a, b = pairs[-1]
            pairs.append((cv2.pyrDown(a).astype(np.uint8, copy=False), cv2.pyrDown(b).astype(np.uint8, copy=False)))
        return pairs

    def _refine(self, source: _Level, target: _Level, at: Array, shift: Array) -> tuple[Array, Mask]:
        """One level: (P, 2) points of `source` and displacements to begin with -> better ones, and which patches serve.

        Where a patch is too smooth on this level its displacement stays.
        """
        template, steepest = source.patches_with_gradient(at)
        weighted = steepest * self._weights()[None, :, :, None, None]
        points = len(at)
        steepest, weighted = steepest.reshape(points, -1, 2), weighted.reshape(points, -1, 2)
        hessian: Array = np.matmul(weighted.transpose(0, 2, 1), steepest, dtype=np.float32)
        channels = template.shape[-1]
        serves = _smaller_eigenvalue(hessian) >= self.min_eigenvalue * self._weights().sum() * channels
        serves &= _determinant(hessian) > 0  # where the least eigenvalue asked for is 0

        shift = shift.copy()
        active = np.flatnonzero(serves)
        solve = np.zeros((points, 2, weighted.shape[1]), np.float32)
        solve[active] = _inverse(hessian[active]) @ weighted[active].transpose(0, 2, 1)
        for _ in range(self.iterations):
            if not len(active):
                break
            difference = target.patches(at[active] + shift[active]) - template[active]
            step = (solve[active] @ difference.reshape(len(active), -1, 1))[:, :, 0]
            shift[active] -= step
            active = active[np.linalg.norm(step, axis=1) >= self.epsilon]
        return shift, serves

    def _weights(self) -> Array:
        """a(x) of Eq. 1 over the patch, (window, window)."""
        offsets = np.arange(self.window) - (self.window - 1) / 2
        line = np.exp(-0.5 * (offsets / (self.sigma * self.window)) ** 2)
        return np.outer(line, line).astype(np.float32)


class _Level:
    """One image of a pyramid, ready to give patches around many points at once."""

    def __init__(self, image: Image, window: int) -> None:
        self._window = window
        self._margin = window + 2
        self._size = image.shape[1::-1]
        margin = self._margin
        padded = cv2.copyMakeBorder(image, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        self._pixels = padded.reshape(*padded.shape[:2], -1).astype(np.float32)

    def patches(self, at: Array) -> Array:
        """(P, window, window, C) by bilinear interpolation around (P, 2) points."""
        return self._sampled(at, self._window)

    def patches_with_gradient(self, at: Array) -> tuple[Array, Array]:
        """Patches, and their gradient by central differences: (P, window, window, C, 2), x before y."""
        wide = self._sampled(at, self._window + 2)
        x = (wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / 2
        y = (wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / 2
        return wide[:, 1:-1, 1:-1], np.stack([x, y], axis=-1)

    def _sampled(self, at: Array, side: int) -> Array:
        # A point that strays outside takes the patch at the edge: it is lost anyway, and may come back on the way.
        limit = np.array(self._size, np.float32)
        corner = np.clip(at, 0, limit - 1) - np.float32((side - 1) / 2) + self._margin
        whole = np.floor(corner).astype(np.intp)
        # All pixels of a patch lie at the same fraction between the grid's: a block of side + 1 holds every neighbour.
        blocks = np.lib.stride_tricks.sliding_window_view(self._pixels, (side + 1, side + 1), axis=(0, 1))
        block = blocks[whole[:, 1], whole[:, 0]].transpose(0, 2, 3, 1)
        x, y = ((corner - whole).astype(np.float32)[:, axis, None, None, None] for axis in (0, 1))
        rows = block[:, :-1] + y * (block[:, 1:] - block[:, :-1])
        return np.asarray(rows[:, :, :-1] + x * (rows[:, :, 1:] - rows[:, :, :-1]), np.float32)


def _inside(points: Array, shape: tuple[int, ...]) -> Mask:
    """(P,) whether each point lies in an image of that shape; a point that is not finite does not."""
    high = np.array([shape[1] - 1, shape[0] - 1])
    return np.asarray(np.logical_and.reduce((points >= 0) & (points <= high), axis=1), bool)


def _smaller_eigenvalue(matrices: Array) -> Array:
    """(P,) of symmetric (P, 2, 2)."""
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    return np.asarray((a + c) / 2 - np.hypot((a - c) / 2, b), np.float32)


def _inverse(matrices: Array) -> Array:
    """Inverses of symmetric, regular (P, 2, 2)."""
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    adjugate = np.stack([np.stack([c, -b], axis=-1), np.stack([-b, a], axis=-1)], axis=-2)
    return np.asarray(adjugate / _determinant(matrices)[:, None, None], np.float32)


def _determinant(matrices: Array) -> Array:
    """(P,) of symmetric (P, 2, 2)."""
    a, b, c = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    return np.asarray(a * c - b * b, np.float32)
