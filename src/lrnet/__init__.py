"""Deepfake detection in video: motion of facial landmarks (LRNet, Sun et al., CVPR 2021) and pixels of faces.

Example:
    ```python
    import lrnet

    result = lrnet.Detector().detect("clip.mp4")
    print(result.verdict.state, result.verdict.probability)
    ```
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from lrnet.version import __version__

# ONNX Runtime 1.31 for Linux numbers the device and reports on its use, unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from lrnet.detector import Detector, VideoResult
    from lrnet.network.bundle import ModelBundle
    from lrnet.sequence.calibrate import CalibratedLandmarks, calibrate
    from lrnet.sequence.landmark_sequence import LandmarkSequence

__all__ = [
    "CalibratedLandmarks",
    "Detector",
    "LandmarkSequence",
    "ModelBundle",
    "VideoResult",
    "__version__",
    "calibrate",
]

_HOMES = {
    "CalibratedLandmarks": "lrnet.sequence.calibrate",
    "Detector": "lrnet.detector",
    "VideoResult": "lrnet.detector",
    "LandmarkSequence": "lrnet.sequence.landmark_sequence",
    "ModelBundle": "lrnet.network.bundle",
    "calibrate": "lrnet.sequence.calibrate",
}


def __getattr__(name: str) -> Any:
    """Import the public names on first use: `lrnet --version` need not load a runtime (PEP 562)."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'lrnet' has no attribute {name!r}")
