"""What a page says of an explanation: signs, places and words follow the numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from lrnet.report.evidence import evidence, mean_shape, rank_words, upright
from lrnet.report.explain import ClipExplanation, Difference, Effect, FaceExplanation, Stretch
from lrnet.report.html import render
from lrnet.report.json_report import to_document, to_json
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from tests.report.samples import RESULTS, a_bundle, a_sequence, face_shape
from tests.report.test_html import read, words
from tests.report.test_json import SCHEMA_FILE

EFFECTS = {
    "jaw": Effect(0.05, -0.2, 0.3),
    "right brow": Effect(-3.0, -3.5, -2.5),
    "left brow": Effect(-0.5, -1.5, 0.5),
    "nose": Effect(0.4, 0.1, 0.9),
    "right eye": Effect(0.0, 0.0, 0.0),
    "left eye": Effect(1.0, 0.5, 1.5),
    "mouth": Effect(4.0, 3.0, 5.0),
}
FOUND = FaceExplanation(
    face=0,
    score=0.9,
    clips=(ClipExplanation(0.0, 2.36, 0.9, EFFECTS, (Stretch(0.0, 2.36, 4.0),)),),
    clips_left_out=3,
    groups=EFFECTS,
    score_without={g: round(float(1 / (1 + np.exp(e.value - np.log(9)))), 3) for g, e in EFFECTS.items()},
    leading="mouth",
    agreement=1.0,
    stretches=(Stretch(0.0, 1.2, 4.0), Stretch(1.2, 2.4, -1.0), Stretch(2.4, 3.6, 0.0)),
    telling=(0.0, 2.0),
    differences=(
        Difference("jitter", "face", 0.004, 0.003, 0.7),
        Difference("jitter", "mouth", 0.009, 0.003, 0.99),
        Difference("jitter", "nose", 0.003, 0.003, 0.5),
        Difference("smoothness", "face", 0.1, 0.4, 0.01),
    ),
    compared_with="241 genuine videos: made up",
)


def a_moving_face() -> list[LandmarkSequence]:
    frames = np.arange(75)
    centres = np.stack([100 + frames, np.full(75, 80.0)], axis=1)
    return [a_sequence(0, frames, frames / 25, centres, 50.0)]


def test_groups_stand_in_order_with_their_signs() -> None:
    view = evidence(FOUND, a_moving_face(), 12.0, 1.2)
    assert [g.name for g in view.groups][:2] == ["mouth", "left eye"]
    assert [g.name for g in view.groups][-1] == "right brow"
    levels = {g.name: g.level for g in view.groups}
    assert levels["mouth"] == "up-4"
    assert levels["left eye"] == "up-1"
    assert levels["right brow"] == "down-3"
    assert levels["right eye"] == levels["jaw"] == "level-0"
    bars = {g.name: g.bar for g in view.groups}
    assert bars["mouth"][0] == 50  # zero stands in the middle, what raises goes to the right
    assert bars["right brow"][0] + bars["right brow"][1] == pytest.approx(50)
    assert {s.level for s in view.strokes} == set(levels.values())
    assert [s.level for s in view.stretches] == ["up-4", "down-1", "level-0"]
    assert view.stretches[1].x == pytest.approx(10)


def test_the_finding_in_words() -> None:
    view = evidence(FOUND, a_moving_face(), 12.0, 1.2)
    assert "The mouth carries this score most" in view.summary
    assert "falls from 0.90 to 0.14" in view.summary
    assert "The right brow speaks against manipulation: without it the score would be 0.99" in view.summary
    unsure = evidence(replace(FOUND, leading=None, agreement=0.5), a_moving_face(), 12.0, 1.2)
    assert "No single part clearly carries this score" in unsure.summary
    low = {g: Effect(-1.0, -2.0, 1.0) for g in FACIAL_GROUPS}
    assert evidence(replace(FOUND, groups=low, leading=None), a_moving_face(), 12.0, 1.2).summary == (
        "No part of the face raises this score."
    )


def test_each_measure_tells_the_whole_face_and_the_most_unusual_part() -> None:
    view = evidence(FOUND, a_moving_face(), 12.0, 1.2)
    told = [(d.name, d.group, d.value, d.unusual) for d in view.differences]
    assert told == [
        ("Smoothness", "whole face", "0.10", True),
        ("Trembling", "whole face", "0.400 %", False),
        ("Trembling", "mouth", "0.900 %", True),
    ]
    assert len(view.all_differences) == 4


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


def test_the_drawn_face_is_upright() -> None:
    shape = face_shape().astype(np.float64)
    for degrees in (0, 30, -75):
        angle = np.radians(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        np.testing.assert_allclose(upright(shape @ turn), shape, atol=1e-6)
    np.testing.assert_allclose(mean_shape(a_moving_face()), shape, atol=1e-6)


def test_page_and_document_tell_the_explanation() -> None:
    result = replace(RESULTS["likely fake"], sequences=tuple(a_moving_face()))
    page = read(render(result, a_bundle(), explanations=(FOUND,)))
    text = words(page)
    assert "The mouth carries this score most" in text
    assert "does not tell what was changed in the video, nor prove that anything was" in text
    assert "it is no sign of manipulation in itself" not in text
    assert "1 of 4 clips were explained" in text
    assert len(page.all("svg", "drawn")) == 1
    clean = replace(RESULTS["no evidence"], sequences=(replace(a_moving_face()[0], face=1),))
    told = words(read(render(clean, a_bundle(), explanations=(replace(FOUND, face=1),))))
    assert "it is no sign of manipulation in itself" in told
    document = to_document(result, a_bundle(), (FOUND,))
    jsonschema.validate(json.loads(to_json(document)), json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    part = document.faces[0].explanation
    assert part is not None
    assert part.leading == "mouth"
    assert [g.group for g in part.groups] == list(FACIAL_GROUPS)
    assert part.groups[-1].effect == 4.0
    assert part.telling == (0.0, 2.0)
    assert part.clips_left_out == 3
    assert to_document(result, a_bundle()).faces[0].explanation is None
