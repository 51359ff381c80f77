"""From landmark sequences to what may be said of each person and of the video."""

from lrnet.verdict.evidence import Rules, with_prior
from lrnet.verdict.judge import (
    Coverage,
    FaceVerdict,
    Judge,
    Stretch,
    VideoVerdict,
    judge_face,
    judge_people,
    judge_video,
)
from lrnet.verdict.quality import InputQuality, QualityMeter
from lrnet.verdict.reasons import (
    HOLD_BACK,
    INCOMPLETE,
    INFLATING,
    REASON_TEXT,
    Reason,
    State,
    band,
    held_back,
    is_held_back,
)
from lrnet.verdict.scores import ClipScore, CropScore, aggregate, logit, score_clips, sigmoid

__all__ = [
    "HOLD_BACK",
    "INCOMPLETE",
    "INFLATING",
    "REASON_TEXT",
    "ClipScore",
    "Coverage",
    "CropScore",
    "FaceVerdict",
    "InputQuality",
    "Judge",
    "QualityMeter",
    "Reason",
    "Rules",
    "State",
    "Stretch",
    "VideoVerdict",
    "aggregate",
    "band",
    "held_back",
    "is_held_back",
    "judge_face",
    "judge_people",
    "judge_video",
    "logit",
    "score_clips",
    "sigmoid",
    "with_prior",
]
