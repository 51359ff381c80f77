"""What the tests of training share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True, scope="module")
def _few_resamples(few_resamples: None) -> None:
    """Intervals are tested in `tests/evaluation`."""
