"""Which seconds carry a score, and how a face's motion compares with that of genuine faces.

It does not say which part of the face carries the score. Replacing one part's motion by that of genuine faces and
looking at what the score loses was measured (`python -m lrnet.experiments.explanation`) and found to say more about the
replacement than about the video: see decision 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrnet.appearance.network import AppearanceNetwork
from lrnet.detector import VideoResult
from lrnet.errors import ModelError
from lrnet.network.bundle import ModelBundle
from lrnet.network.spec import Thresholds
from lrnet.report.figures import suspicious, telling
from lrnet.report.motion import WHOLE, face_statistics, percentile
from lrnet.report.witnesses import PixelMap, pixel_map
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import FaceVerdict, is_held_back
from lrnet.verdict.evidence import TELLS


@dataclass(frozen=True, slots=True)
class Difference:
    """One statistic of a face beside genuine faces.

    Attributes:
        statistic, group: which (`lrnet.report.motion.STATISTICS`; a facial group, or "face").
        value: lengths are shares of the face's size.
        typical: median of the genuine faces.
        percentile: share of genuine faces with a lower value, 0 to 1.
    """

    statistic: str
    group: str
    value: float
    typical: float
    percentile: float


@dataclass(frozen=True, slots=True)
class FaceExplanation:
    """Which seconds carry the score of an accused face, and how its motion compares with that of genuine faces.

    Attributes:
        face: its number.
        telling: start and stop, in seconds, of the two seconds with the highest mean score.
        suspicious: stretches in which the face scores as a likely fake does (`lrnet.report.figures.suspicious`).
        differences: from genuine faces; empty if the bundle has no reference, or landmarks were not kept.
        compared_with: the reference, in words; None if the bundle has none.
        pixels: where the face's pixels look manipulated; None unless they speak for a fake and crops were kept.
    """

    face: int
    telling: tuple[float, float] | None
    suspicious: tuple[tuple[float, float], ...]
    differences: tuple[Difference, ...]
    compared_with: str | None
    pixels: PixelMap | None = None


def accused(face: FaceVerdict, limits: Thresholds | None) -> bool:
    """Whether a face scores above the no-evidence threshold, on material that allows a verdict."""
    if limits is None or face.probability is None or is_held_back(face.state, face.reasons):
        return False
    return face.probability > limits.no_evidence


class Explainer:
    """Explains what one model says.

    Args:
        bundle: the model.

    Example:
        ```python
        detector = Detector()
        result = detector.detect("clip.mp4", keep_sequences=True)
        for face in Explainer(detector.bundle).explain(result):
            print(face.face, face.telling)
        ```
    """

    def __init__(self, bundle: ModelBundle) -> None:
        self._spec = bundle.spec
        self._hash = bundle.content_hash
        self._reference = bundle.reference
        self._network = AppearanceNetwork.of(bundle)

    def explain(self, result: VideoResult) -> tuple[FaceExplanation, ...]:
        """Every accused face, by number.

        Raises:
            ModelError: the result was made with another model.
        """
        if result.model_hash != self._hash:
            raise ModelError(
                f"The result was made with model {result.model} ({result.model_hash[:12]}), not with {self._spec.name} "
                f"({self._hash[:12]}).",
                hint="Explain it with the model that it was made with.",
            )
        reference = self._reference
        words = None if reference is None else f"{reference.videos} genuine videos: {reference.description}"
        return tuple(
            FaceExplanation(
                face=face.face,
                telling=telling(face.clips),
                suspicious=tuple(suspicious(face, self._spec)),
                differences=self._differences([s for s in result.sequences if s.face == face.face]),
                compared_with=words,
                pixels=self._pixels(face, [s for s in result.sequences if s.face == face.face]),
            )
            for face in result.faces
            if accused(face, self._spec.limits)
        )

    def _pixels(self, face: FaceVerdict, sequences: Sequence[LandmarkSequence]) -> PixelMap | None:
        if self._network is None or face.appearance_ratio is None or face.appearance_ratio < TELLS:
            return None
        return pixel_map(self._network, sequences)

    def _differences(self, sequences: Sequence[LandmarkSequence]) -> tuple[Difference, ...]:
        reference = self._reference
        if reference is None or not sequences:
            return ()
        medians = {
            (q.statistic, q.group): float(np.interp(0.5, reference.levels, q.values)) for q in reference.quantiles
        }
        values = face_statistics(sequences, self._spec.preprocessing.crop_scale)
        shares = {key: percentile(reference, *key, value) for key, value in values.items()}
        return tuple(
            Difference(*key, values[key], medians[key], share) for key, share in shares.items() if share is not None
        )


def most_unusual(face: FaceExplanation, statistic: str) -> Difference | None:
    """The facial group in which a statistic is furthest from the middle of genuine faces; None if not measured."""
    own = [d for d in face.differences if d.statistic == statistic and d.group != WHOLE]
    return max(own, key=lambda d: abs(d.percentile - 0.5), default=None)
