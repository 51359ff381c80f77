"""What is explained: only what accuses; the seconds that carry a score; the motion beside genuine faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lrnet.errors import ModelError
from lrnet.report.explain import Explainer, accused, most_unusual
from lrnet.report.figures import suspicious, telling
from lrnet.report.motion import face_statistics, motion_reference
from lrnet.sequence.settings import ClipSpec
from lrnet.verdict import ClipScore, Reason, State
from tests.report.samples import RESULTS, a_bundle, a_face, a_result
from tests.report.test_motion import random_face

SPEC = a_bundle().spec  # probability is the score, likely fake from 0.9


def clips(*scores: float, length: float = 1.0) -> tuple[ClipScore, ...]:
    return tuple(ClipScore(i * length, (i + 1) * length, 25, s, {}) for i, s in enumerate(scores))


def test_only_an_accused_face_is_explained() -> None:
    for state, reason, probability, expected in [
        (State.LIKELY_FAKE, Reason.ABOVE_THRESHOLD, 0.95, True),
        (State.INCONCLUSIVE, Reason.BETWEEN_THRESHOLDS, 0.5, True),
        (State.INCONCLUSIVE, Reason.WHOLE_VIDEO, 0.95, True),  # one fake among several people
        (State.INCONCLUSIVE, Reason.WHOLE_VIDEO, 0.1, False),  # one clean person where the rest cannot be judged
        (State.INCONCLUSIVE, Reason.SMALL_FACE, 0.99, False),  # held back
        (State.INCONCLUSIVE, Reason.UNCALIBRATED, None, False),
        (State.NO_EVIDENCE, Reason.BELOW_THRESHOLD, 0.1, False),
        (State.UNABLE, Reason.TOO_SHORT, None, False),
    ]:
        assert accused(a_face(1, state, probability, [0.5], [reason]), SPEC.limits) is expected
    told = {name: [e.face for e in Explainer(a_bundle()).explain(result)] for name, result in RESULTS.items()}
    assert told["no evidence"] == told["held back"] == []
    assert len(told["likely fake"]) == 1


def test_stretches_are_suspicious_where_the_score_reaches_the_threshold() -> None:
    face = a_face(1, State.LIKELY_FAKE, 0.95, [0.5], [Reason.ABOVE_THRESHOLD])
    face = replace(face, clips=clips(0.2, 0.95, 0.97, 0.89, 0.91, 0.1))
    assert suspicious(face, SPEC) == [(1.0, 3.0), (4.0, 5.0)]
    assert suspicious(replace(face, state=State.INCONCLUSIVE), SPEC) == []
    assert suspicious(replace(face, state=State.NO_EVIDENCE), SPEC) == []


def test_the_telling_seconds_have_the_highest_mean() -> None:
    assert telling(()) is None
    assert telling(clips(0.1, 0.9, 0.8, 0.2)) == (1.0, 3.0)
    assert telling(clips(0.7)) == (0.0, 1.0)
    generator = np.random.default_rng(0)
    for _ in range(20):
        some = clips(*generator.random(12), length=0.7)
        start, stop = telling(some) or (0.0, 0.0)
        assert stop - start == pytest.approx(2.0)

        def mean(begin: float, some: tuple[ClipScore, ...] = some) -> float:
            inside = [max(0.0, min(c.stop, begin + 2) - max(c.start, begin)) * c.score for c in some]
            return sum(inside) / 2

        assert mean(start) >= max(mean(b) for b in np.arange(0, 12 * 0.7 - 2, 0.01)) - 1e-6


def test_statistics_stand_beside_those_of_genuine_faces() -> None:
    faces = [[random_face(i, scale=0.001 * (i + 1))] for i in range(20)]
    settings = ClipSpec(length=40, stride=40, min_length=20)
    reference = motion_reference(faces, settings, description="made-up faces")
    result = replace(
        RESULTS["likely fake"], sequences=(replace(faces[14][0], face=RESULTS["likely fake"].faces[0].face),)
    )
    (found,) = Explainer(replace(a_bundle(), reference=reference)).explain(result)
    assert found.compared_with == "20 genuine videos: made-up faces"
    jitter = {d.group: d for d in found.differences if d.statistic == "jitter"}
    assert jitter["mouth"].value == pytest.approx(face_statistics(faces[14])["jitter", "mouth"])
    assert jitter["mouth"].percentile == pytest.approx(14 / 19, abs=0.1)
    unusual = most_unusual(found, "jitter")
    assert unusual is not None
    assert abs(unusual.percentile - 0.5) == max(abs(d.percentile - 0.5) for g, d in jitter.items() if g != "face")
    (bare,) = Explainer(a_bundle()).explain(result)
    assert (bare.differences, bare.compared_with) == ((), None)
    assert bare.telling == found.telling


def test_a_result_of_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="was made with model"):
        Explainer(replace(a_bundle(), content_hash="00" * 32)).explain(a_result([]))
