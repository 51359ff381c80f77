"""What can be said of a person or of a video, and why."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from lrnet.network.spec import Thresholds


class State(StrEnum):
    """What can be said. Absence of evidence is never called "real"."""

    LIKELY_FAKE = "likely_fake"
    INCONCLUSIVE = "inconclusive"
    NO_EVIDENCE = "no_evidence_of_manipulation"
    NOT_APPLICABLE = "not_applicable"
    UNABLE = "unable_to_evaluate"


class Reason(StrEnum):
    """Why a verdict is what it is; a verdict can have several."""

    ABOVE_THRESHOLD = "score_above_fake_threshold"
    BELOW_THRESHOLD = "score_below_evidence_threshold"
    BETWEEN_THRESHOLDS = "score_between_thresholds"
    NO_FACE = "no_face_found"
    TOO_SHORT = "face_too_short_for_a_clip"
    SHORT = "less_than_one_full_clip"
    SMALL_FACE = "face_smaller_than_examined_in_training"
    LOW_FRAME_RATE = "frame_rate_below_training"
    MANY_GAPS = "face_missing_in_many_frames"
    POOR_TRACKING = "landmarks_not_followed_by_optical_flow"
    NO_MOTION = "face_does_not_move"
    RIGID = "face_moves_as_a_rigid_thing"
    DISAGREEMENT = "detector_flow_disagreement"
    COARSE = "coarsely_encoded"
    UNJUDGED_STRETCHES = "part_of_the_faces_could_not_be_judged"
    MINOR_PART = "less_than_half_of_the_video_examined"
    WHOLE_VIDEO = "undecided_by_the_video_as_a_whole"
    DAMAGED = "part_of_the_video_could_not_be_decoded"
    PARTLY_EXAMINED = "video_examined_in_part"
    RATE_LIMIT = "frame_rate_limit_passed"
    DURATION_LIMIT = "duration_limit_passed"
    FRAME_LIMIT = "frame_limit_passed"
    FACE_LIMIT = "face_limit_passed"
    RESOLUTION_LIMIT = "resolution_limit_passed"
    TIME_LIMIT = "decoding_time_limit_passed"
    SHARE_LIMIT = "examined_in_stretches"
    UNCALIBRATED = "model_has_no_calibrated_probability"
    WITNESSES_DISAGREE = "motion_and_appearance_disagree"


REASON_TEXT: Final[dict[Reason, str]] = {
    Reason.ABOVE_THRESHOLD: "the score lies above the threshold for a likely fake",
    Reason.BELOW_THRESHOLD: "the score lies below the threshold for evidence",
    Reason.BETWEEN_THRESHOLDS: "the score lies where real and fake videos overlap",
    Reason.NO_FACE: "no face was found",
    Reason.TOO_SHORT: "no face stays in view long enough for one clip",
    Reason.SHORT: "the face is never in view for one full clip without a break",
    Reason.SMALL_FACE: "the face is small, and landmarks on it are imprecise",
    Reason.LOW_FRAME_RATE: "the frame rate is too low to judge motion between frames",
    Reason.MANY_GAPS: "the face is missing in many frames",
    Reason.POOR_TRACKING: "optical flow does not confirm where landmarks move",
    Reason.NO_MOTION: "the face does not move, as in a still picture",
    Reason.RIGID: "the face moves as a whole only, as a picture that is held or a statue does",
    Reason.DISAGREEMENT: "landmarks are found elsewhere than optical flow says, more than a manipulation explains",
    Reason.COARSE: "the video is compressed so strongly that real faces come to look manipulated",
    Reason.UNJUDGED_STRETCHES: "for part of the time the faces in view are too short or too poor to be judged",
    Reason.MINOR_PART: "less than half of the video was examined",
    Reason.WHOLE_VIDEO: "the verdict on the video as a whole accuses or clears nobody alone",
    Reason.DAMAGED: "part of the video could not be decoded",
    Reason.PARTLY_EXAMINED: "only part of the video was examined",
    Reason.RATE_LIMIT: "frames that come faster than the limit on the frame rate were left out",
    Reason.DURATION_LIMIT: "frames after the limit on the duration were not examined",
    Reason.FRAME_LIMIT: "frames over the limit on their number were not examined",
    Reason.FACE_LIMIT: "faces over the limit on their number were not followed",
    Reason.RESOLUTION_LIMIT: "frames from the first one over the limit on the size were not examined",
    Reason.TIME_LIMIT: "frames that could not be decoded within the limit on the time were not examined",
    Reason.SHARE_LIMIT: "the video was examined in stretches, as asked; the time between them was left out",
    Reason.UNCALIBRATED: "this model gives a score, but no calibrated probability",
    Reason.WITNESSES_DISAGREE: "motion and appearance of the face disagree",
}

HOLD_BACK: Final = frozenset(
    {
        *(Reason.SHORT, Reason.SMALL_FACE, Reason.LOW_FRAME_RATE, Reason.MANY_GAPS, Reason.POOR_TRACKING),
        *(Reason.NO_MOTION, Reason.RIGID),
    }
)
"""Reasons that rule out every verdict but `inconclusive`."""

INFLATING: Final = frozenset({Reason.DISAGREEMENT, Reason.COARSE})
"""Conditions that raise the scores of real and fake videos alike; they rule out `likely_fake`."""

INCOMPLETE: Final = frozenset({Reason.UNJUDGED_STRETCHES, Reason.MINOR_PART})
"""Reasons that rule out `no_evidence_of_manipulation`: most of what the video shows was not judged."""


def band(probability: float | None, limits: Thresholds | None) -> tuple[State, list[Reason]]:
    """The state that a calibrated probability alone gives, and the reason."""
    if probability is None or limits is None:
        return State.INCONCLUSIVE, [Reason.UNCALIBRATED]
    if probability >= limits.likely_fake:
        return State.LIKELY_FAKE, [Reason.ABOVE_THRESHOLD]
    if probability <= limits.no_evidence:
        return State.NO_EVIDENCE, [Reason.BELOW_THRESHOLD]
    return State.INCONCLUSIVE, [Reason.BETWEEN_THRESHOLDS]


def held_back(state: State, why: list[Reason], doubts: Iterable[Reason]) -> tuple[State, list[Reason]]:
    """The state and its reason in view of doubts; `inconclusive`, without a reason of its own, if one rules it out."""
    ruling = {State.LIKELY_FAKE: HOLD_BACK | INFLATING, State.NO_EVIDENCE: HOLD_BACK | INCOMPLETE}.get(
        state, frozenset()
    )
    return (State.INCONCLUSIVE, []) if not ruling.isdisjoint(doubts) else (state, why)


def is_held_back(state: State, reasons: Iterable[Reason]) -> bool:
    """Whether a verdict is `inconclusive` because of the material: its probability would hold for better material."""
    others = {Reason.BETWEEN_THRESHOLDS, Reason.UNCALIBRATED, Reason.WHOLE_VIDEO}
    return state is State.INCONCLUSIVE and others.isdisjoint(reasons)
