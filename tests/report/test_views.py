"""What the page shows: places and words follow the numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from lrnet.report.explain import Difference, FaceExplanation
from lrnet.report.footage import Taken
from lrnet.report.html import render
from lrnet.report.json_report import to_document, to_json
from lrnet.report.views import Axis, PersonView, bars, measures, person_view, rank_words
from lrnet.report.wording import base_rate, moments
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import ClipScore, Reason, State, aggregate
from tests.report.samples import GOOD, RESULTS, a_bundle, a_face, a_result, a_sequence
from tests.report.test_html import read, words
from tests.report.test_json import SCHEMA_FILE

FOUND = FaceExplanation(
    face=RESULTS["likely fake"].faces[0].face,
    telling=(0.0, 2.0),
    suspicious=((0.0, 2.36),),
    differences=(
        Difference("jitter", "face", 0.004, 0.003, 0.7),
        Difference("jitter", "mouth", 0.009, 0.003, 0.99),
        Difference("jitter", "nose", 0.003, 0.003, 0.5),
        Difference("smoothness", "face", 0.1, 0.4, 0.01),
    ),
    compared_with="241 genuine videos: made up",
)


def a_moving_face(number: int = FOUND.face) -> LandmarkSequence:
    frames = np.arange(75)
    centres = np.stack([100 + frames, np.full(75, 80.0)], axis=1)
    return a_sequence(number, frames, frames / 25, centres, 50.0)


def view_of(found: FaceExplanation) -> PersonView:
    result = replace(RESULTS["likely fake"], sequences=(a_moving_face(),))
    return person_view(result.faces[0], result, a_bundle().spec, Axis.of(result), Taken([], None, {}), found)


def test_each_measure_shows_the_whole_face_and_the_most_unusual_part() -> None:
    view = view_of(FOUND)
    told = [(d.name, d.group, d.value, d.unusual) for d in view.differences]
    assert told == [
        ("Smoothness", "whole face", "0.10", True),
        ("Jitter", "whole face", "0.400 %", False),
        ("Jitter", "mouth", "0.900 %", True),
    ]
    assert len(view.all_differences) == 4
    assert view.traces[0].name == "mouth"  # trembles most unlike genuine faces


@pytest.mark.parametrize(
    ("percentile", "said"),
    [
        (1.0, "higher than in any of them"),
        (0.0, "lower than in any of them"),
        (0.999, "higher than in 99 of 100"),
        (0.77, "higher than in 77 of 100"),
        (0.23, "lower than in 77 of 100"),
        (0.5, "higher than in 50 of 100"),
    ],
)
def test_percentiles_in_words(percentile: float, said: str) -> None:
    assert rank_words(percentile) == said


def test_a_bar_of_a_long_video_shows_the_mean_and_the_range() -> None:
    generator = np.random.default_rng(0)
    scores = np.where(generator.random(2400) < 0.1, 0.8, 0.2)  # one clip in ten is high, the verdict is not
    some = [ClipScore(float(i), i + 1.0, 25, float(s), {}) for i, s in enumerate(scores)]
    axis = Axis(2400.0, ())
    found = bars(some, "mean_logit", axis)
    assert len(found) == 120
    for number, bar in enumerate(found):
        part = scores[number * 20 : number * 20 + 20].tolist()
        assert bar.height == pytest.approx(100 * aggregate(part, [1.0] * 20, "mean_logit"), abs=0.01)
        assert (bar.low, bar.high) == pytest.approx((100 * min(part), 100 * max(part)))
    assert np.mean([bar.height for bar in found]) < 30 < np.mean([bar.high for bar in found])


def test_the_change_of_shape_that_is_needed_is_the_one_by_which_faces_are_rigid() -> None:
    """2.6 times the tremor where pixels confirm all motion; else 0.75 % suffices, if it is 1.7 times the tremor."""
    for tracked, tremor, needed in [(0.97, 0.005, "1.30 %"), (0.5, 0.004, "0.75 %"), (0.5, 0.005, "0.85 %")]:
        quality = replace(GOOD, tracked=tracked, tremor=tremor, deformation=0.012)
        (row,) = (row for row in measures(quality) if row.name == "Change of shape in 0.4 seconds, of half the crop")
        assert (row.value, row.needed) == ("1.20 %", needed)
        assert row.held is (needed == "1.30 %")


def test_only_the_longest_suspicious_stretches_are_marked() -> None:
    scores = [0.95, 0.1] * 500
    face = a_face(1, State.LIKELY_FAKE, 0.95, scores, [Reason.ABOVE_THRESHOLD])
    long = replace(face.clips[900], stop=face.clips[900].stop + 1.0)
    face = replace(face, clips=(*face.clips[:900], long, *face.clips[902:]))
    result = a_result([face], seconds=2400.0)
    view = person_view(face, result, a_bundle().spec, Axis.of(result), Taken([], None, {}), None)
    assert (len(view.suspicious), view.suspicious_left_out) == (120, 380)
    assert round(long.start, 3) in [time for _, _, time, _ in view.suspicious]
    assert "and 495 more" in words(read(render(result, a_bundle())))


def test_the_number_is_said_with_its_base_rate() -> None:
    assert "it means 0.01." in base_rate(0.5)
    assert "assumes that one video in two is fake. Where one in 100 is, it means 0.50" in base_rate(0.99)


def test_moments_in_a_sentence() -> None:
    assert moments([(90.0, 105.0)]) == "1:30.0 to 1:45.0"
    assert moments([(float(i), i + 0.5) for i in range(5)]).endswith("0:02.0 to 0:02.5 and 2 more")


def test_page_and_document_tell_the_explanation() -> None:
    result = replace(RESULTS["likely fake"], sequences=(a_moving_face(),))
    text = words(read(render(result, a_bundle(), explanations=(FOUND,))))
    assert "The two seconds with the highest score: 0:00.0 to 0:02.0" in text
    assert "Compared with 241 genuine videos: made up" in text
    for gone in ("speaks against", "speaks for manipulation", "log odds", "carries this score most"):
        assert gone not in text
    document = to_document(result, a_bundle(), (FOUND,))
    jsonschema.validate(json.loads(to_json(document)), json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    part = document.faces[0].explanation
    assert part is not None
    assert part.telling == (0.0, 2.0)
    assert part.suspicious == ((0.0, 2.36),)
    assert to_document(result, a_bundle()).faces[0].explanation is None
