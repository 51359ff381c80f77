"""Which columns belong to a group, and when a group is named."""

from __future__ import annotations

import numpy as np
import pytest
from tests.report.test_motion import random_face

from lrnet.data import Label
from lrnet.experiments.explanation import NAMES, Case, group_columns, named, replace_group
from lrnet.network.streams import STREAMS
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from lrnet.sequence.surroundings import NUM_SURROUNDINGS


@pytest.mark.parametrize("stream", STREAMS)
def test_every_column_of_a_landmark_belongs_to_one_group(stream: str) -> None:
    columns = np.concatenate([group_columns(stream, group) for group in FACIAL_GROUPS])
    around = NUM_SURROUNDINGS if STREAMS[stream].around else 0  # what surrounds the face is part of no group
    assert sorted(columns) == list(range(STREAMS[stream].width - around))


def test_level_of_acceleration_goes_with_its_group() -> None:
    """The group's own column changes when its landmarks tremble more, and no other one's does."""
    values = random_face(0).values.copy()
    shaken = values.copy()
    shaken[::2, FACIAL_GROUPS["mouth"]] += 0.05
    rows = [STREAMS["acceleration"].embed(LandmarkSequence.from_values(v))[5, 136:] for v in (values, shaken)]
    changed = 136 + np.flatnonzero(np.abs(rows[0] - rows[1]) > 0.1)
    assert 136 + NAMES.index("mouth") in changed
    assert 136 + NAMES.index("mouth") in group_columns("acceleration", "mouth")


def test_what_is_replaced_is_replaced_and_nothing_else() -> None:
    own, other = ({"differences": np.full((5, 136), v, np.float32)} for v in (0.0, 1.0))
    mixed = replace_group(own, "nose", other)["differences"]
    assert (mixed[:, group_columns("differences", "nose")] == 1).all()
    assert mixed.sum() == 5 * 2 * 9
    assert (own["differences"] == 0).all()


def test_a_group_is_named_only_beyond_the_genuine_range() -> None:
    generator = np.random.default_rng(0)

    def case(values: np.ndarray, group: str = "x") -> Case:
        return Case("as it is", Label.REAL, group, None, True, {"without": values})

    # Taking the nose away costs every genuine face a lot: that is the method's bias, and names nothing.
    bias = np.where(np.array(NAMES) == "nose", 5.0, 1.0)
    genuine = [case(bias + generator.normal(0, 0.5, 7), f"{i}") for i in range(200)]
    assert named(case(bias), "without", genuine, 0.95) is None
    assert named(case(bias + 3.0 * (np.array(NAMES) == "mouth")), "without", genuine, 0.95) == "mouth"
    assert named(case(-bias + 0.9 * (np.array(NAMES) == "jaw")), "without", genuine, 0.0) is None  # it lowers the score
