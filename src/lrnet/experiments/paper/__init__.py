"""The experiments of Sun et al. (CVPR 2021) on anybody's copy of the data. Needs the extra `train`."""

from __future__ import annotations

from typing import Final

TITLES: Final[dict[str, str]] = {
    "streams": "Each stream alone and together (Table 6).",
    "clip-length": "Clips of 15 to 120 frames, clean and compressed (Figure 7).",
    "calibration": "With and without calibration and its Kalman filter (Table 5, Figure 6).",
    "general": "Trained on one dataset, tested on it and on others (Table 1).",
    "compression": "Trained on one quality, tested on others (Table 2).",
    "noise": "Seven perturbations at five levels, mixed and random (Table 3).",
    "detectors": "Trained on one landmarker, tested on another (Figure 5).",
    "cost": "Time, memory, parameters and disk (Table 4).",
}
"""Every experiment with what it shows, in the order in which `all` runs them: what shares networks lies together."""
