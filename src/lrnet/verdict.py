"""From clip scores to what may be said of a face and of a video."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.network.spec import BundleSpec, Quantity, Thresholds, TrainingDomain
from lrnet.sequence.landmark_sequence import LandmarkSequence


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
    NOISE_UNLIKE_TRAINING = "landmark_noise_outside_training_range"
    TRACKING_UNLIKE_TRAINING = "tracking_error_outside_training_range"
    SIZE_UNLIKE_TRAINING = "face_size_outside_training_range"
    RATE_UNLIKE_TRAINING = "frame_rate_outside_training_range"
    MOTION_UNLIKE_TRAINING = "motion_outside_training_range"
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


REASON_TEXT: Final[dict[Reason, str]] = {
    Reason.ABOVE_THRESHOLD: "the score lies above the threshold for a likely fake",
    Reason.BELOW_THRESHOLD: "the score lies below the threshold for evidence",
    Reason.BETWEEN_THRESHOLDS: "the score lies where real and fake videos overlap",
    Reason.NO_FACE: "no face was found",
    Reason.TOO_SHORT: "no face stays in view long enough for one clip",
    Reason.SHORT: "the face is in view for less than one full clip",
    Reason.SMALL_FACE: "the face is small, and landmarks on it are imprecise",
    Reason.LOW_FRAME_RATE: "the frame rate is too low to judge motion between frames",
    Reason.MANY_GAPS: "the face is missing in many frames",
    Reason.POOR_TRACKING: "optical flow does not confirm where landmarks move",
    Reason.NO_MOTION: "the face does not move, as in a still picture",
    Reason.RIGID: "the face moves as a whole only, as a picture that is held or a statue does",
    Reason.DISAGREEMENT: "landmarks are found elsewhere than optical flow says, more than a manipulation explains",
    Reason.COARSE: "the video is compressed so strongly that real faces come to look manipulated",
    Reason.NOISE_UNLIKE_TRAINING: "landmarks tremble more or less than in the videos that the model was trained on",
    Reason.TRACKING_UNLIKE_TRAINING: "optical flow follows the face better or worse than in the videos trained on",
    Reason.SIZE_UNLIKE_TRAINING: "the face is larger or smaller than in the videos that the model was trained on",
    Reason.RATE_UNLIKE_TRAINING: "the frame rate is unlike that of the videos that the model was trained on",
    Reason.MOTION_UNLIKE_TRAINING: "the face moves more or less than in the videos that the model was trained on",
    Reason.DAMAGED: "part of the video could not be decoded",
    Reason.PARTLY_EXAMINED: "only part of the video was examined",
    Reason.RATE_LIMIT: "frames that come faster than the limit on the frame rate were left out",
    Reason.DURATION_LIMIT: "what comes after the limit on the duration was not examined",
    Reason.FRAME_LIMIT: "frames over the limit on their number were not examined",
    Reason.FACE_LIMIT: "faces over the limit on their number were not followed",
    Reason.RESOLUTION_LIMIT: "what comes from the first frame on that is over the limit on the size was not examined",
    Reason.TIME_LIMIT: "what could not be decoded within the limit on the time was not examined",
    Reason.SHARE_LIMIT: "what lies between the stretches that were examined was left out, as asked",
    Reason.UNCALIBRATED: "this model gives a score, but no calibrated probability",
}

# Below these the error rates of a bundle do not hold, and the verdict is held back.
MIN_FACE_SIZE: Final = 48.0  # pixels, longer side of the landmarks' box
MIN_FRAME_RATE: Final = 14.0  # Hz
MIN_PRESENT: Final = 0.5  # share of the track's frames in which the face is found
MIN_TRACKED: Final = 0.5  # share of landmarks whose prediction passes the forward-backward check
MIN_MOTION: Final = 1.8e-4  # normalised crop units a frame; a cartoon in the background had 1.1e-4, still heads 2.1e-4

# A face that only trembles. `-m lrnet.experiments.doubt` measures what these catch and what they cost (decision 20).
DEFORMATION_LAG: Final = 10  # frames, 0.4 s at 25 Hz
MIN_DEFORMATION: Final = 0.0075  # normalised crop units over the lag; pictures 0.003 to 0.0075, ordinary faces 0.01
WELL_TRACKED: Final = 0.96  # share of landmarks: pictures and statues mostly have it, fakes of faces hardly ever
NOISY_FACE_SIZE: Final = 56.0  # pixels; smaller than any trained on (58): noise alone passes for deformation
RIGID_RATIO: Final = 2.6  # deformation over the lag by that from frame to frame; pictures 1.3 to 2, faces 3 to 4
TREMOR_RATIO: Final = 1.7  # below this there is nothing but noise, however much of it

MAX_INNOVATION: Final = 0.0125  # normalised crop units; the genuine fakes at hand have at most 0.011
MAX_QUANTISER: Final = 40.0  # of H.264; real faces come to look manipulated above it (decision 22)

_UNLIKE: Final[dict[Quantity, Reason]] = {
    "noise": Reason.NOISE_UNLIKE_TRAINING,
    "forward_backward_error": Reason.TRACKING_UNLIKE_TRAINING,
    "innovation": Reason.TRACKING_UNLIKE_TRAINING,
    "face_size": Reason.SIZE_UNLIKE_TRAINING,
    "frame_rate": Reason.RATE_UNLIKE_TRAINING,
    "motion": Reason.MOTION_UNLIKE_TRAINING,
}

UNLIKE_TRAINING: Final = frozenset(_UNLIKE.values())
"""Reasons that only a model with a `TrainingDomain` gives."""

HOLD_BACK: Final = frozenset(
    {
        *(Reason.SHORT, Reason.SMALL_FACE, Reason.LOW_FRAME_RATE, Reason.MANY_GAPS, Reason.POOR_TRACKING),
        *(Reason.NO_MOTION, Reason.RIGID, *_UNLIKE.values()),
    }
)
"""Reasons for which no verdict is given but `inconclusive`."""

CLEAR: Final = frozenset({Reason.DISAGREEMENT, Reason.COARSE})
"""Reasons for which nothing is called `likely_fake`: they raise scores, whatever the video is."""


@dataclass(frozen=True, slots=True)
class ClipScore:
    """The network's word on one clip.

    Attributes:
        start, stop: seconds of the first and of the last frame.
        frames: how many frames.
        score: fused output of the network, in [0, 1]; higher means more like the fakes in training. Not a probability.
        streams: the same of each stream alone.
    """

    start: float
    stop: float
    frames: int
    score: float
    streams: dict[str, float]


@dataclass(frozen=True, slots=True)
class InputQuality:
    """How good the material was.

    Attributes:
        seconds: from the first to the last frame with the face.
        frames: frames with the face.
        face_size: mean, frame pixels.
        frame_rate: median, Hz, of the frames examined.
        present: share of the track's frames in which the face was found.
        tracked: share of landmarks whose prediction passed the forward-backward check.
        confidence: mean of the landmarker's.
        motion: how far landmarks move against each other in a frame by optical flow: median, normalised crop units.
        noise: median length of the calibrated landmarks' second difference in time, less the mean over the 68;
            normalised crop units.
        forward_backward_error: median, normalised crop units.
        innovation: median length, normalised crop units.
        deformation: change of the face's shape in `DEFORMATION_LAG` frames (`LandmarkSequence.deformation`).
        tremor: the same from one frame to the next.
        quantiser: of the whole video (`lrnet.video.reader.Reader`), 0 (fine) to 51 (coarse); NaN if unknown.
    """

    seconds: float
    frames: int
    face_size: float
    frame_rate: float
    present: float
    tracked: float
    confidence: float
    motion: float
    noise: float = math.nan
    forward_backward_error: float = math.nan
    innovation: float = math.nan
    deformation: float = math.nan
    tremor: float = math.nan
    quantiser: float = math.nan

    def unlike(self, domain: TrainingDomain) -> list[Reason]:
        """Which quantities lie outside of what the training videos had; one that was not measured does not."""
        found = [_UNLIKE[r.quantity] for r in domain.ranges if not _within(getattr(self, r.quantity), r.low, r.high)]
        return list(dict.fromkeys(found))

    def reasons(self) -> list[Reason]:
        """What of it keeps the model's error rates from holding."""
        found = {
            Reason.SMALL_FACE: self.face_size < MIN_FACE_SIZE,
            Reason.LOW_FRAME_RATE: self.frame_rate < MIN_FRAME_RATE,
            Reason.MANY_GAPS: self.present < MIN_PRESENT,
            Reason.POOR_TRACKING: self.tracked < MIN_TRACKED,
            Reason.NO_MOTION: self.motion < MIN_MOTION,
            Reason.RIGID: self.motion >= MIN_MOTION and self.rigid,
            Reason.DISAGREEMENT: self.innovation > MAX_INNOVATION,
            Reason.COARSE: self.quantiser > MAX_QUANTISER,
        }
        return [reason for reason, holds in found.items() if holds]

    @property
    def rigid(self) -> bool:
        """Whether the face, however it moves, keeps its shape but for the landmarks' noise; False if not measured."""
        hardly = self.deformation < MIN_DEFORMATION or self.tracked > WELL_TRACKED or self.face_size < NOISY_FACE_SIZE
        return self.deformation < (RIGID_RATIO if hardly else TREMOR_RATIO) * self.tremor


def _within(value: float, low: float, high: float) -> bool:
    return math.isnan(value) or low <= value <= high


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """What may be said of one face's track.

    Attributes:
        face: number of the track, from 0.
        start, stop: seconds of its first and last frame.
        state: the verdict.
        probability: calibrated probability of fake; None if nothing was scored or the model is not calibrated.
        score: the clips' scores, aggregated as the model says; None if nothing was scored.
        clips: each clip's score, in order of time.
        reasons: why.
        quality: of the material.
    """

    face: int
    start: float
    stop: float
    state: State
    probability: float | None
    score: float | None
    clips: tuple[ClipScore, ...]
    reasons: tuple[Reason, ...]
    quality: InputQuality


@dataclass(frozen=True, slots=True)
class VideoVerdict:
    """What may be said of the video: what its most suspicious face says.

    Attributes:
        face: number of the face that decides; None if there is none.
    """

    state: State
    probability: float | None
    score: float | None
    reasons: tuple[Reason, ...]
    face: int | None


class QualityMeter:
    """Adds up the quality of a face over the stretches of its track."""

    def __init__(self) -> None:
        self._frames = 0
        self._present = 0
        self._pairs = 0
        self._sums = {"size": 0.0, "confidence": 0.0, "tracked": 0.0}
        self._intervals: list[float] = []
        self._medians: dict[str, list[float]] = {"motion": [], "noise": [], "forward_backward": [], "innovation": []}
        self._medians |= {"deformation": [], "tremor": []}
        self.start = math.inf
        self.stop = -math.inf

    def add(self, sequence: LandmarkSequence) -> None:
        """Take one stretch, with its gaps."""
        found = int(sequence.valid.sum())
        if not found:
            return
        self._frames += len(sequence)
        self._present += found
        self._sums["size"] += sequence.face_size * found
        self._sums["confidence"] += float(sequence.confidence[sequence.valid].sum())
        pairs = sequence.valid[1:] & sequence.valid[:-1]
        self._pairs += int(pairs.sum())
        self._sums["tracked"] += float(sequence.tracked[pairs].mean(axis=1).sum())
        if len(sequence) > 1:
            self._intervals.append(float(np.median(np.diff(sequence.times))))
        if pairs.any():
            self._take("motion", sequence.image_motion())
            self._take("noise", landmark_noise(sequence))
            self._take("forward_backward", _median(sequence.forward_backward_error))
            self._take("innovation", _median(np.linalg.norm(sequence.innovation, axis=2)))
            self._take("deformation", sequence.deformation(DEFORMATION_LAG))
            self._take("tremor", sequence.deformation(1))
        self.start = min(self.start, float(sequence.times[0]))
        self.stop = max(self.stop, float(sequence.times[-1]))

    def quality(self, quantiser: float | None = None) -> InputQuality:
        """What has been added up, and the quantiser of the video that it comes from."""
        present = max(self._present, 1)
        interval = float(np.median(self._intervals)) if self._intervals else 0.0
        return InputQuality(
            seconds=max(0.0, self.stop - self.start),
            frames=self._present,
            face_size=self._sums["size"] / present,
            frame_rate=1 / interval if interval > 0 else 0.0,
            present=self._present / max(self._frames, 1),
            tracked=self._sums["tracked"] / max(self._pairs, 1),
            confidence=self._sums["confidence"] / present,
            motion=self._middle("motion", 0.0),
            noise=self._middle("noise"),
            forward_backward_error=self._middle("forward_backward"),
            innovation=self._middle("innovation"),
            deformation=self._middle("deformation"),
            tremor=self._middle("tremor"),
            quantiser=math.nan if quantiser is None else quantiser,
        )

    def _take(self, name: str, value: float) -> None:
        if math.isfinite(value):
            self._medians[name].append(value)

    def _middle(self, name: str, otherwise: float = math.nan) -> float:
        return float(np.median(self._medians[name])) if self._medians[name] else otherwise


def landmark_noise(sequence: LandmarkSequence) -> float:
    """Median length of the landmarks' second difference, less its mean over the face; normalised, NaN if unknown.

    The quantity by which the stream "acceleration" divides.
    """
    second = np.diff(sequence.values, n=2, axis=0)
    return _median(np.linalg.norm(second - second.mean(axis=1, keepdims=True), axis=2))


def _median(rows: NDArray[np.floating]) -> float:
    known = rows[np.isfinite(rows)]
    return float(np.median(known)) if known.size else math.nan


def aggregate(scores: Sequence[float], weights: Sequence[float], method: str) -> float:
    """One score in [0, 1] from the clips' scores, weighted by their frames.

    `method` is the bundle's: "mean_probability", "mean_logit" or "median_logit".
    """
    values = np.asarray(scores, np.float64)
    weight = np.asarray(weights, np.float64)
    if method == "mean_probability":
        return float(np.average(values, weights=weight))
    logits = logit(values)
    middle = np.median(logits) if method == "median_logit" else np.average(logits, weights=weight)
    return float(1 / (1 + np.exp(-middle)))


def logit(p: np.ndarray | float) -> np.ndarray:
    """Natural log odds; probabilities are held within 1e-6 of 0 and 1."""
    clipped = np.clip(np.asarray(p, np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))


def calibrated(score: float, spec: BundleSpec) -> float | None:
    """The probability of fake for an aggregated score; None if the bundle has no score calibration."""
    if spec.score_calibration is None:
        return None
    return float(spec.score_calibration.apply(np.array(score)))


def judge_face(
    face: int, clips: Sequence[ClipScore], meter: QualityMeter, spec: BundleSpec, quantiser: float | None = None
) -> FaceVerdict:
    """The verdict on one face from its clips and the quality of the material.

    Args:
        quantiser: of the video (`lrnet.video.reader.Reader`); None if unknown.
    """
    quality = meter.quality(quantiser)
    ordered = tuple(sorted(clips, key=lambda c: c.start))
    start, stop = (meter.start, meter.stop) if quality.frames else (0.0, 0.0)
    if not ordered:
        reasons = (Reason.TOO_SHORT, *quality.reasons())
        return FaceVerdict(face, start, stop, State.UNABLE, None, None, (), reasons, quality)
    score = aggregate([c.score for c in ordered], [c.frames for c in ordered], spec.aggregation.method)
    probability = calibrated(score, spec)
    doubts = quality.reasons()
    if max(c.frames for c in ordered) < spec.preprocessing.clip_length:
        doubts.append(Reason.SHORT)
    if spec.domain is not None:
        doubts += quality.unlike(spec.domain)
    state, why = band(probability, spec.thresholds)
    state, why = held_back(state, why, doubts)
    return FaceVerdict(face, start, stop, state, probability, score, ordered, (*why, *doubts), quality)


def band(probability: float | None, limits: Thresholds | None) -> tuple[State, list[Reason]]:
    """What a calibrated probability alone says."""
    if probability is None or limits is None:
        return State.INCONCLUSIVE, [Reason.UNCALIBRATED]
    if probability >= limits.likely_fake:
        return State.LIKELY_FAKE, [Reason.ABOVE_THRESHOLD]
    if probability <= limits.no_evidence:
        return State.NO_EVIDENCE, [Reason.BELOW_THRESHOLD]
    return State.INCONCLUSIVE, [Reason.BETWEEN_THRESHOLDS]


def held_back(state: State, why: list[Reason], doubts: Iterable[Reason]) -> tuple[State, list[Reason]]:
    """What is left of a state and its reason in the face of doubts: `inconclusive`, if one of them weighs."""
    weighty = HOLD_BACK | CLEAR if state is State.LIKELY_FAKE else HOLD_BACK
    if state is not State.INCONCLUSIVE and not weighty.isdisjoint(doubts):
        return State.INCONCLUSIVE, []
    return state, why


def is_held_back(state: State, reasons: Iterable[Reason]) -> bool:
    """Whether a verdict is `inconclusive` for the material's sake: its probability would hold for better material."""
    return state is State.INCONCLUSIVE and {Reason.BETWEEN_THRESHOLDS, Reason.UNCALIBRATED}.isdisjoint(reasons)


_GRAVITY: Final = {State.LIKELY_FAKE: 3, State.INCONCLUSIVE: 2, State.NO_EVIDENCE: 1, State.UNABLE: 0}


def judge_video(faces: Sequence[FaceVerdict], extra: Sequence[Reason] = ()) -> VideoVerdict:
    """The verdict on the video: that of the face with the gravest state, then the highest score.

    Args:
        extra: reasons that concern the whole video (damage, limits).
    """
    if not faces:
        return VideoVerdict(State.NOT_APPLICABLE, None, None, (Reason.NO_FACE, *extra), None)
    worst = max(faces, key=lambda f: (_GRAVITY[f.state], f.score if f.score is not None else -1.0))
    return VideoVerdict(worst.state, worst.probability, worst.score, (*worst.reasons, *extra), worst.face)
