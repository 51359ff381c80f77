"""The detector: a video file in, typed verdicts out.

`examine` turns frames into each face's sequences, `detect` judges them, `events` is what comes out of it.
"""

from lrnet.detector.detect import Detector, file_sha256
from lrnet.detector.events import (
    ClipOfTrack,
    ClipScored,
    Event,
    Finished,
    PersonSeen,
    Progress,
    QualityWarning,
    VideoResult,
)
from lrnet.detector.examine import Examined, Sequencer, examine, landmark_sequences

__all__ = [
    "ClipOfTrack",
    "ClipScored",
    "Detector",
    "Event",
    "Examined",
    "Finished",
    "PersonSeen",
    "Progress",
    "QualityWarning",
    "Sequencer",
    "VideoResult",
    "examine",
    "file_sha256",
    "landmark_sequences",
]
