"""The claims on the network that ships: parity, cost, size."""

from __future__ import annotations

import pytest

from lrnet.experiments.network import benchmark_network
from lrnet.network.registry import load_model

pytest.importorskip("torch")


def test_the_default_model_keeps_its_promises() -> None:
    bundle = load_model()
    milliseconds, difference = benchmark_network(bundle, clips=60)
    assert difference is not None
    assert difference < 1e-5
    assert bundle.spec.network.parameters <= 180_292
    assert 0 < milliseconds < 20  # "below 1 ms" is the command's to show, on a quiet machine
