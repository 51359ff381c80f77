"""What the training videos were like, so that detection can tell a video that is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lrnet.network.spec import Quantity, QuantityRange, TrainingDomain
from lrnet.training.clips import FaceOfVideo
from lrnet.verdict import InputQuality, QualityMeter

QUANTITIES: Final[tuple[Quantity, ...]] = ("noise", "forward_backward_error", "innovation", "face_size", "frame_rate")
"""What is looked at. How much a face moves is its own affair."""


def quality_of(face: FaceOfVideo) -> InputQuality:
    """The material of a video's longest-seen face."""
    meter = QualityMeter()
    for sequence in face.sequences:
        meter.add(sequence)
    return meter.quality()


def training_domain(faces: Sequence[FaceOfVideo], outside: float) -> TrainingDomain:
    """The range of each quantity over the training videos.

    Args:
        outside: share of the videos outside of each range, half of it at either end; the quantiles are the next
            values outward, so that a range never narrows for want of videos.
    """
    measured = [quality_of(face) for face in faces]
    ranges = []
    for quantity in QUANTITIES:
        values = np.array([getattr(m, quantity) for m in measured])
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        low = float(np.quantile(values, outside / 2, method="lower"))
        high = float(np.quantile(values, 1 - outside / 2, method="higher"))
        ranges.append(QuantityRange(quantity=quantity, low=low, high=high))
    return TrainingDomain(ranges=tuple(ranges), outside=outside, videos=len(faces))
