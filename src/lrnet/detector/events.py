"""What the detector says of a video: events while it is read, the result at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import ClipScore, FaceVerdict, Reason, VideoVerdict
from lrnet.verdict.running import RunningVerdict
from lrnet.video.frame import VideoInfo
from lrnet.video.limits import Limits
from lrnet.video.pipeline import StageTime


@dataclass(frozen=True, slots=True)
class ClipOfTrack:
    """A clip's score and the number of the track that it is of. Which tracks are one person is known at the end."""

    face: int
    clip: ClipScore


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a video is.

    Attributes:
        frames: frames gone through so far.
        time: presentation time of the last one, seconds.
        duration: of the whole video as its header says, seconds; None if it does not.
        clips: clips scored so far.
        faces: tracks seen so far; those too short for a sequence do not come in the result.
        scored: clips scored since the last word. Scores of a face come when its sequence ends: when it leaves, at a
            shot cut, after `max_sequence_seconds` at the latest.
        stage: what is being done: "examining" frames, all of them "examined", "drawing" the overlay.
    """

    frames: int
    time: float
    duration: float | None
    clips: int
    faces: int = 0
    scored: tuple[ClipOfTrack, ...] = ()
    stage: Literal["examining", "examined", "drawing"] = "examining"


@dataclass(frozen=True, slots=True)
class VideoResult:
    """Everything that is said of one video.

    Attributes:
        path: as it was given.
        sha256: of the bytes that were examined (`lrnet.video.custody`); None for a network source.
        info: what the header says, rotation applied.
        frames_read: frames decoded.
        frames_examined: those left by the model's frame rate.
        frames_repeated: frames left out because they repeat the one before.
        seconds_examined: presentation time of the last frame.
        damaged_packets: packets that could not be decoded, and frames that the decoder had to patch; left out.
        verdict: of the video.
        faces: of each face, by number.
        model, model_version, model_hash: of the bundle; the hash covers its description and its files.
        lrnet_version: of this package.
        elapsed: wall-clock seconds.
        stages: what decoding, landmarks, calibration and network took; FFmpeg's own threads are not in them.
        limits: that it was examined within.
        sequences: landmark sequences of every person, by number, if they were asked to be kept.
    """

    path: str
    sha256: str | None
    info: VideoInfo
    frames_read: int
    frames_examined: int
    seconds_examined: float
    damaged_packets: int
    verdict: VideoVerdict
    faces: tuple[FaceVerdict, ...]
    model: str
    model_version: str
    model_hash: str
    lrnet_version: str
    elapsed: float
    frames_repeated: int = 0
    stages: tuple[StageTime, ...] = field(default=(), repr=False)
    limits: Limits = field(default_factory=Limits)
    sequences: tuple[LandmarkSequence, ...] = field(default=(), repr=False)

    @property
    def appearance(self) -> bool:
        """Whether pixels of a face took part in the verdict, beside motion."""
        return any(face.appearance_ratio is not None for face in self.faces)


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """Somebody came into view for long enough to be distinguished from others: `face` is their number, from 1."""

    face: int
    time: float


@dataclass(frozen=True, slots=True)
class ClipScored:
    """A clip of a person is complete."""

    face: int
    clip: ClipScore


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """What speaks against judging a person has changed.

    Attributes:
        reasons: that hold a verdict back or inflate scores; () when all is well again.
    """

    face: int
    time: float
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The video is over; the result is that of `Detector.detect`."""

    result: VideoResult


Event = PersonSeen | ClipScored | QualityWarning | RunningVerdict | Finished
