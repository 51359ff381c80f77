"""A card says what its model looks at, and the shipped one is what the generator gives."""

from __future__ import annotations

import pytest

from lrnet.evaluation.card import card
from lrnet.network.registry import load_model


@pytest.mark.parametrize("name", ["lrnet-2", "lrnet-2-fast", "lrnet-mesh-v2"])
def test_a_shipped_card_is_the_generator_s_and_has_no_interval_without_width(name: str) -> None:
    bundle = load_model(name)
    assert bundle.card == card(bundle.spec)
    assert all(r.low is None or r.low < r.high for r in bundle.spec.results if r.high is not None)


def test_a_card_names_pixels_where_the_model_looks_at_them() -> None:
    bundle = load_model("lrnet-2")
    both, motion = card(bundle.spec), card(bundle.motion_alone().spec)
    assert "by the motion of its landmarks and by its pixels" in both
    assert "knows nothing of pixels" not in both
    assert "of this model by motion alone" in both
    assert "by the motion of its landmarks and by its pixels" not in motion
    assert "knows nothing of pixels" in motion
    assert "of this model by motion alone" not in motion
