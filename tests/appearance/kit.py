"""A model with both witnesses whose second one was never trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrnet.appearance.graph import to_onnx, weight_shapes
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.network.spec import AppearanceSpec, Thresholds


def drawn_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Weights of the appearance network, drawn so that values neither vanish nor grow."""
    draw = np.random.default_rng(seed)
    return {
        name: np.asarray(draw.normal(0, 1 / np.sqrt(max(np.prod(shape[1:]), 1)), shape), np.float32)
        for name, shape in weight_shapes().items()
    }


def second_witness(**changes: Any) -> AppearanceSpec:
    """A description of the second witness, for tests."""
    limits = Thresholds(
        likely_fake=0.9, no_evidence=0.1, false_positive_rate=0.02, miss_rate=0.1, measured_on="nothing"
    )
    plain: dict[str, Any] = {"version": "1", "slope": 1.0, "offset": 0.0, "settle": 2.0, "thresholds": limits}
    about: dict[str, Any] = {"fitted_on": "nothing", "n": 1, "training": "none", "steps": 1, "seed": 1}
    return AppearanceSpec(**{**plain, **about, **changes})


def with_second_witness(folder: Path) -> ModelBundle:
    """The shipped motion, and drawn weights for appearance."""
    motion = load_model("lrnet-mesh-v2").motion_alone()
    spec = motion.spec.model_copy(update={"name": "both", "appearance": second_witness()})
    return ModelBundle.save(
        spec, motion.network, "", folder, reference=motion.reference, appearance=to_onnx(drawn_weights())
    )
