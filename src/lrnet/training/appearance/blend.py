"""Fakes made of real faces: self-blended images (Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images",
CVPR 2022), and faces of one person put on another's.

A self-blended image is a face pasted on itself through a soft mask after a small change of place, colour or sharpness.
It has what face swaps have in common (a border, two histories of the pixels), and nothing of any one generator. Beside
the paper's mask of the whole face there are masks of the parts that lip-sync and reenactment exchange.

Everything here is 8-bit RGB, (S, S, 3), with landmarks (68, 2) in crop coordinates, and draws from the generator given.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Points = NDArray[np.float32]

PARTS: Final = {"face": 0.45, "inner face": 0.15, "lower face": 0.15, "mouth": 0.17, "eyes": 0.08}
"""How often each part of the face is blended."""

HISTORIES: Final = {
    "resampled": 0.34,
    "blurred": 0.14,
    "sharpened": 0.16,
    "smoothed": 0.08,
    "coded": 0.10,
    "noisy": 0.06,
    "none": 0.12,
}
"""How often a blended face has been through each of these."""

_STRENGTHS: Final = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0)
_INTERPOLATIONS: Final = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


def self_blended(picture: Picture, landmarks: Points, draw: np.random.Generator) -> Picture:
    """A fake made of one real face."""
    mask = soft_mask(picture.shape[0], landmarks, draw)
    source, target = picture, picture
    if draw.random() < 0.5:
        source = other_history(source, draw)
    else:
        target = other_history(target, draw)
    return blended(moved(source, draw), target, mask)


def swapped(
    picture: Picture, landmarks: Points, donor: Picture, donor_landmarks: Points, draw: np.random.Generator
) -> Picture:
    """A fake made of two real faces: the donor's, laid over the other's landmarks in its colours."""
    matrix, _ = cv2.estimateAffine2D(donor_landmarks, landmarks, method=cv2.LMEDS)
    if matrix is None:
        return self_blended(picture, landmarks, draw)
    size = picture.shape[1], picture.shape[0]
    laid = cv2.warpAffine(donor, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = soft_mask(picture.shape[0], landmarks, draw)
    laid = like_colours(np.asarray(laid, np.uint8), picture, mask)
    if draw.random() < 0.7:
        laid = other_history(laid, draw)
    return blended(laid, picture, mask)


def soft_mask(size: int, landmarks: Points, draw: np.random.Generator, part: str = "") -> NDArray[np.float32]:
    """(size, size, 1) in [0, 1]: a part of the face with a border that is not quite where the landmarks are.

    Args:
        part: one of `PARTS`; drawn if it is not given.
    """
    part = part or str(draw.choice(list(PARTS), p=list(PARTS.values())))
    points = outline(part, landmarks, draw)
    extent = np.ptp(points, axis=0).max()
    points = points + draw.normal(0, 0.015 * extent, points.shape)
    hull = cv2.convexHull(points.astype(np.float32)).round().astype(np.int32)
    mask: NDArray[Any] = np.zeros((size, size), np.float32)
    cv2.fillConvexPoly(mask, hull, 1.0, lineType=cv2.LINE_AA)
    mask = elastic(mask, draw, draw.uniform(0, 0.04) * extent)
    width = draw.uniform(0.01, 0.14) * extent
    mask = cv2.GaussianBlur(mask, (0, 0), max(width, 0.6))
    if draw.random() < 0.5:  # a border that lies inside, as after erosion
        mask = np.clip((mask - 0.5) * 2, 0, 1)
        mask = cv2.GaussianBlur(mask, (0, 0), max(width / 2, 0.6))
    peak = float(mask.max())
    if peak > 0:
        mask *= draw.choice(_STRENGTHS) / peak
    return np.asarray(mask[..., None], np.float32)


def outline(part: str, landmarks: Points, draw: np.random.Generator) -> NDArray[np.float64]:
    """Points whose convex hull is a part of the face."""
    points = landmarks.astype(np.float64)
    up = points[27] - points[8]
    if part == "face":
        brows = points[17:27] + draw.uniform(0.0, 0.35) * up
        jaw = points[0:17]
        centre = points[27:36].mean(axis=0)
        return np.vstack([centre + draw.uniform(0.85, 1.03) * (jaw - centre), brows])
    if part == "inner face":
        return points[17:68]
    if part == "lower face":
        return np.vstack([points[2:15], points[31:36]])
    if part == "eyes":
        return np.vstack([points[17:27], points[36:48], points[29:30]])
    centre = points[48:68].mean(axis=0)
    return np.asarray(centre + draw.uniform(1.1, 2.0) * (points[48:60] - centre))


def other_history(picture: Picture, draw: np.random.Generator) -> Picture:
    """The picture as if it had come another way: other colours, another sharpness, other noise."""
    result: NDArray[Any] = picture
    if draw.random() < 0.75:
        result = recoloured(result, draw, 1.0)
    kind = draw.choice(list(HISTORIES), p=list(HISTORIES.values()))
    if kind == "resampled":  # generators paint faces of 64 to 256 pixels
        result = resampled(result, draw.uniform(0.35, 0.95), draw)
    elif kind == "blurred":
        result = cv2.GaussianBlur(result, (0, 0), draw.uniform(0.4, 1.6))
    elif kind == "sharpened":
        soft = cv2.GaussianBlur(result, (0, 0), draw.uniform(0.7, 2.0))
        amount = draw.uniform(0.3, 1.2)
        result = cv2.addWeighted(result, 1 + amount, soft, -amount, 0)
    elif kind == "smoothed":
        result = cv2.bilateralFilter(result, 5, draw.uniform(10, 40), 3)
    elif kind == "coded":
        result = jpeg(result, int(draw.integers(25, 85)))
    elif kind == "noisy":
        result = noisy(result, draw.uniform(2, 7), draw)
    return np.asarray(result, np.uint8)


def moved(picture: Picture, draw: np.random.Generator) -> Picture:
    """Shifted, scaled and turned by a little, and bent by less."""
    size = picture.shape[0]
    turn, zoom = draw.uniform(-2.5, 2.5), draw.uniform(0.95, 1.05)
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), turn, zoom)
    matrix[:, 2] += draw.uniform(-0.016, 0.016, 2) * size
    result = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    if draw.random() < 0.35:
        result = elastic(result, draw, draw.uniform(0.5, 2.5))
    return np.asarray(result, np.uint8)


def elastic(picture: NDArray[Any], draw: np.random.Generator, most: float) -> NDArray[Any]:
    """Bent smoothly, by `most` pixels where it is bent most."""
    if most < 0.1:
        return picture
    size = picture.shape[0]
    coarse = draw.normal(0, 1, (2, 6, 6)).astype(np.float32)
    shift = np.stack([cv2.resize(part, (size, size), interpolation=cv2.INTER_CUBIC) for part in coarse])
    shift *= most / max(float(np.abs(shift).max()), 1e-6)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    return cv2.remap(picture, x + shift[0], y + shift[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def recoloured(picture: Picture, draw: np.random.Generator, strength: float) -> Picture:
    """Other brightness, contrast, tint and saturation."""
    result = picture.astype(np.float32)
    result = (result - 128) * draw.uniform(1 - 0.12 * strength, 1 + 0.12 * strength) + 128
    result += draw.uniform(-12, 12) * strength + draw.uniform(-8, 8, 3).astype(np.float32) * strength
    grey = result.mean(axis=2, keepdims=True)
    result = grey + (result - grey) * draw.uniform(1 - 0.25 * strength, 1 + 0.25 * strength)
    return np.asarray(np.clip(result, 0, 255), np.uint8)


def resampled(picture: Picture, zoom: float, draw: np.random.Generator) -> Picture:
    """Scaled down by `zoom` and up again, each by an interpolation that is drawn."""
    size = picture.shape[0]
    small = max(8, round(size * zoom))
    down = cv2.resize(picture, (small, small), interpolation=int(draw.choice(_INTERPOLATIONS[1:])))
    up = _INTERPOLATIONS[0] if draw.random() < 0.03 else int(draw.choice(_INTERPOLATIONS[1:]))
    return np.asarray(cv2.resize(down, (size, size), interpolation=up), np.uint8)


def noisy(picture: Picture, sigma: float, draw: np.random.Generator) -> Picture:
    """With Gaussian noise of `sigma` grey levels."""
    noise = draw.standard_normal(picture.shape, np.float32) * np.float32(sigma)
    return np.asarray(np.clip(picture + noise, 0, 255), np.uint8)


def jpeg(picture: Picture, quality: int) -> Picture:
    """Coded as JPEG and decoded."""
    coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]  # OpenCV takes BGR
    return np.ascontiguousarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])


def like_colours(picture: Picture, model: Picture, mask: NDArray[np.float32]) -> Picture:
    """With the mean and spread of the model's colours under the mask, a channel of L*a*b* at a time."""
    inside = mask[..., 0] > 0.2 * max(float(mask.max()), 1e-6)
    if inside.sum() < 50:
        return picture
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    wanted = cv2.cvtColor(model, cv2.COLOR_RGB2LAB)[inside].astype(np.float32)
    own = lab[inside]
    lab = (lab - own.mean(axis=0)) * np.clip(wanted.std(axis=0) / (own.std(axis=0) + 1e-3), 0.5, 2) + wanted.mean(
        axis=0
    )
    return np.asarray(cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def blended(source: Picture, target: Picture, mask: NDArray[np.float32]) -> Picture:
    """The source where the mask is 1, the target where it is 0."""
    return np.asarray(target + mask * (source.astype(np.float32) - target) + 0.5, np.uint8)
