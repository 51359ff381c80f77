"""Fixtures of the network's tests; `network_kit` and `numpy_network` beside it are imported by name."""

import sys
from pathlib import Path

import pytest

from lrnet.network import ModelBundle

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    from network_kit import make_bundle

    return make_bundle(tmp_path / "tiny")


@pytest.fixture(scope="session")
def upstream(shared: Path) -> Path:
    """Golden data of the reference implementation."""
    return shared / "reference" / "upstream"
