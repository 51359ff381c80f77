"""What tests want printed at the end of a run."""

from __future__ import annotations

import pytest

SUMMARY = pytest.StashKey[list[str]]()
"""Lines; kept in the configuration's stash."""
