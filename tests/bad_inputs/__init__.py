"""A corpus of files that are broken, unusual or hostile, and what `lrnet detect` makes of them."""
