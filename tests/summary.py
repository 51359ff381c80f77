"""What tests want printed at the end of a run."""

from typing import Final

SUMMARY: Final = "what became of bad inputs"
"""Name of the property of a test's report that holds the lines, and their heading."""
