"""Find faces with MediaPipe's BlazeFace, full-range model.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs" (2019,
arXiv:1907.05047) for anchors and the blending of overlapping detections; MediaPipe's
`face_detection_full_range.pbtxt` for the numbers.

Coordinates are pixels of the frame, `x` right, `y` down, a pixel's centre at whole numbers (as in OpenCV).
Inside the letterbox the network counts from the corner of the first pixel instead; the half pixel is taken
off on the way out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lrnet.faces.models import open_session
from lrnet.video.frame import Frame

INPUT_SIZE = 192  # pixels, both sides of the network's input
ANCHOR_STRIDE = 4  # input pixels between anchors: one anchor in the middle of each of the 48 x 48 cells
# Right is the subject's own right.
KEYPOINTS = ("right_eye", "left_eye", "nose_tip", "mouth", "right_ear", "left_ear")
SCORE_THRESHOLD = 0.5  # probability of a face; MediaPipe's graph uses 0.6, its API 0.5
OVERLAP_THRESHOLD = 0.3  # intersection over union above which detections are one face
LOGIT_LIMIT = 80.0  # float32 exp() stays finite

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceDetections:
    """The F faces of one frame, best first.

    Attributes:
        boxes: (F, 4) left, top, right, bottom in pixels of the frame; may reach beyond its edges.
        keypoints: (F, 6, 2) pixels of the frame, in the order of `KEYPOINTS`.
        scores: (F,) probability of a face, 0..1.
    """

    boxes: FloatArray
    keypoints: FloatArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.scores)

    def largest_first(self) -> list[int]:
        """Indices of the faces, by the longer side of their boxes."""
        sizes = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1, initial=0.0)
        return [int(i) for i in np.argsort(-sizes)]


@dataclass(frozen=True)
class Letterbox:
    """How a frame lies in the square that the network sees, its shape kept and the rest black.

    Attributes:
        width, height: size of the shrunk frame in whole pixels of the square.
        scale_xy: pixels of the square per pixel of the frame, along x and y (equal but for whole sizes).
        offset_xy: left and top margin, whole pixels of the square.
    """

    width: int
    height: int
    scale_xy: tuple[float, float]
    offset_xy: tuple[int, int]

    @classmethod
    def of_frame(cls, width: int, height: int) -> Letterbox:
        """The letterbox of a frame of `width` x `height` pixels, centred."""
        scale = INPUT_SIZE / max(width, height)
        inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
        margin = ((INPUT_SIZE - inner_width) // 2, (INPUT_SIZE - inner_height) // 2)
        return cls(inner_width, inner_height, (inner_width / width, inner_height / height), margin)

    def apply(self, image_rgb: ByteArray) -> ByteArray:
        """Shrink an (H, W, 3) frame into the (192, 192, 3) square."""
        square = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
        x, y = self.offset_xy
        shrunk = cv2.resize(image_rgb, (self.width, self.height), interpolation=cv2.INTER_AREA)
        square[y : y + self.height, x : x + self.width] = shrunk
        return square


class FaceDetector:
    """BlazeFace full range on one CPU thread.

    Args:
        score_threshold: least probability of a face, 0..1.
        overlap_threshold: intersection over union above which two detections are blended into one.

    Raises:
        ModelError: the vendored model is missing or damaged.

    A detector may be shared by threads: a call keeps no state.
    """

    def __init__(self, score_threshold: float = SCORE_THRESHOLD, overlap_threshold: float = OVERLAP_THRESHOLD) -> None:
        self.score_threshold = score_threshold
        self.overlap_threshold = overlap_threshold
        self._session = open_session("blazeface_full_range")

    def detect(self, image_rgb: ByteArray) -> FaceDetections:
        """Find the faces of a frame, an (H, W, 3) uint8 RGB image of any size."""
        height, width = image_rgb.shape[:2]
        box = Letterbox.of_frame(width, height)
        return self.detect_letterboxed(box.apply(image_rgb), box.scale_xy, box.offset_xy)

    def detect_in(self, frame: Frame) -> FaceDetections:
        """Find the faces of a decoded frame, shrunk straight from its planes."""
        box = Letterbox.of_frame(frame.width, frame.height)
        square = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
        x, y = box.offset_xy
        square[y : y + box.height, x : x + box.width] = frame.rgb_resized(box.width, box.height)
        return self.detect_letterboxed(square, box.scale_xy, box.offset_xy)

    def detect_letterboxed(
        self, square_rgb: ByteArray, scale_xy: tuple[float, float], offset_xy: tuple[float, float]
    ) -> FaceDetections:
        """Find the faces of a frame that was shrunk already, by a decoder for instance.

        Args:
            square_rgb: (192, 192, 3) uint8 RGB, the margins black.
            scale_xy: pixels of the square per pixel of the frame, along x and y.
            offset_xy: left and top margin in pixels of the square. `Letterbox.of_frame` gives both.

        Returns:
            the faces in pixels of the frame.
        """
        raw_boxes, logits = self._session.run(["boxes", "score_logits"], {"image": square_rgb[None]})
        boxes, keypoints, scores = decode(raw_boxes[0], logits[0], self.score_threshold)
        boxes, keypoints, scores = blend_overlapping(boxes, keypoints, scores, self.overlap_threshold)
        scale, offset = np.asarray(scale_xy, np.float32), np.asarray(offset_xy, np.float32)
        return FaceDetections(
            boxes=((boxes.reshape(-1, 2, 2) - offset) / scale - np.float32(0.5)).reshape(-1, 4),
            keypoints=(keypoints - offset) / scale - np.float32(0.5),
            scores=scores,
        )


def sigmoid(logits: FloatArray) -> FloatArray:
    """Log-odds to probability, float32, for any finite input."""
    return np.float32(1) / (np.float32(1) + np.exp(-np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)))


def anchor_centres() -> FloatArray:
    """(2304, 2) x, y of the anchors in input pixels, row by row, as the network's outputs are ordered."""
    middle = (np.arange(INPUT_SIZE // ANCHOR_STRIDE, dtype=np.float32) + 0.5) * ANCHOR_STRIDE
    x, y = np.meshgrid(middle, middle)
    return np.stack([x.ravel(), y.ravel()], axis=-1)


ANCHOR_CENTRES = anchor_centres()


def decode(
    raw_boxes: FloatArray, logits: FloatArray, score_threshold: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Turn the network's outputs into candidate faces.

    Args:
        raw_boxes: (2304, 16) per anchor: centre x, y (from the anchor), width, height, then six keypoints x,
            y (from the anchor), in input pixels.
        logits: (2304,) log-odds of a face.
        score_threshold: least probability kept.

    Returns:
        boxes (K, 4) left, top, right, bottom; keypoints (K, 6, 2); scores (K,), all in input pixels counted
        from the corner of the first pixel, in the order of the anchors.
    """
    scores = sigmoid(logits)
    kept = np.flatnonzero(scores >= score_threshold)
    raw, anchors = raw_boxes[kept], ANCHOR_CENTRES[kept]
    centres, half_sizes = raw[:, :2] + anchors, raw[:, 2:4] / np.float32(2)
    boxes: FloatArray = np.concatenate([centres - half_sizes, centres + half_sizes], axis=1)
    keypoints: FloatArray = raw[:, 4:].reshape(-1, len(KEYPOINTS), 2) + anchors[:, None]
    return boxes, keypoints, scores[kept]


def blend_overlapping(
    boxes: FloatArray, keypoints: FloatArray, scores: FloatArray, overlap_threshold: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Merge the detections of one face into their mean, weighted by score (the paper's "Post-processing").

    Blending instead of dropping the weaker ones makes boxes steadier from frame to frame. A face's score is
    that of its best detection.

    Args:
        boxes: (K, 4); keypoints: (K, 6, 2); scores: (K,).
        overlap_threshold: intersection over union with the best detection above which another is the same
            face.

    Returns:
        the same three arrays for the F <= K faces, best first.
    """
    overlaps = intersection_over_union(boxes)
    values = np.concatenate([boxes, keypoints.reshape(-1, 2 * len(KEYPOINTS))], axis=1)
    remaining = np.argsort(-scores, kind="stable")
    blended, best_scores = [], []
    while remaining.size:
        best = remaining[0]
        same = overlaps[best, remaining] > overlap_threshold
        same[0] = True  # a degenerate box overlaps not even itself
        members = remaining[same]
        blended.append(np.average(values[members], axis=0, weights=scores[members]))
        best_scores.append(scores[best])
        remaining = remaining[~same]
    faces = np.asarray(blended, np.float32).reshape(-1, values.shape[1])
    return faces[:, :4], faces[:, 4:].reshape(-1, len(KEYPOINTS), 2), np.asarray(best_scores, np.float32)


def intersection_over_union(boxes: FloatArray) -> FloatArray:
    """(K, K) overlap of every pair of (K, 4) boxes: left, top, right, bottom; 0 where both are empty."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=-1)
    union = areas[:, None] + areas[None, :] - shared
    overlap: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap
