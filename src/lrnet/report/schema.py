"""The JSON document of a result: field by field, with units.

A reader may rely on every field of a version being there. Times are seconds from the video's first frame, numbers are
rounded to 6 decimals, and a number that is not known is null.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from lrnet.report.wording import finite
from lrnet.verdict import Reason, State

REPORT_SCHEMA_VERSION: Final = "2.2"

Number = Annotated[float | None, BeforeValidator(finite)]
Seconds = Annotated[float, AfterValidator(lambda t: round(t, 6) + 0.0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class VideoPart(_Part):
    """The examined file. What stands in its header is repeated as it stands there and was not relied on."""

    path: str = Field(description="Path as it was given; a byte NN that is not UTF-8 is written \\udcNN.")
    name: str = Field(description="Last part of the path.")
    sha256: str | None = Field(description="SHA-256 of the file, hexadecimal; null for a network source.")
    container: str = Field(description="Container format, by FFmpeg's name.")
    codec: str = Field(description="Video codec, by FFmpeg's name.")
    width: int = Field(description="Width of the upright frame, pixels.")
    height: int = Field(description="Height of the upright frame, pixels.")
    frame_rate: Number = Field(description="Average frame rate of the header, frames a second; null if not given.")
    duration: Number = Field(description="Duration of the header, seconds; null if not given.")
    rotation: int = Field(description="Degrees counter-clockwise by which stored frames are turned to be upright.")
    size_bytes: int = Field(description="Size of the file, bytes.")
    frames_read: int = Field(description="Frames that were decoded.")
    frames_examined: int = Field(description="Frames in which faces were looked for, at the model's frame rate.")
    seconds_examined: Seconds = Field(description="Presentation time of the last frame read, seconds.")
    damaged_packets: int = Field(
        description="Packets that could not be decoded, and frames that the decoder had to patch: left out."
    )
    notes: tuple[str, ...] = Field(
        description="What to know of how the file was read: further video tracks, wrong time stamps, interlacing.",
    )


class ThresholdsPart(_Part):
    """Where a calibrated probability becomes a verdict."""

    likely_fake: Number = Field(description="At or above this probability a face is called likely_fake.")
    no_evidence: Number = Field(description="At or below this probability it is called no_evidence_of_manipulation.")


class ErrorRatesPart(_Part):
    """The error rates that the model declares for its thresholds."""

    false_positive_rate: Number = Field(description="Share of real videos that are called likely_fake, 0 to 1.")
    miss_rate: Number = Field(description="Share of fake videos called no_evidence_of_manipulation, 0 to 1.")
    measured_on: str = Field(description="The videos that both rates were measured on.")
    unseen_miss_rate: Number | None = Field(
        description="Share of fakes of a manipulation that the model was not trained on that are called "
        "no_evidence_of_manipulation, 0 to 1; null if that was not measured.",
    )
    edited_false_positive_rate: Number | None = Field(
        description="Share of edited real videos, of several shots and people, that are called likely_fake, 0 to 1; "
        "null if that was not measured.",
    )
    edited_on: str = Field(description="The edited videos that it was measured on.")


class ModelPart(_Part):
    """Which model judged, and by what numbers."""

    name: str = Field(description="Name of the model.")
    version: str = Field(description="Version of the model.")
    hash: str = Field(description="SHA-256 of the model's description, which holds the hashes of all its files.")
    appearance: bool = Field(description="Whether what the face's pixels show took part, beside motion.")
    thresholds: ThresholdsPart | None = Field(description="Decision thresholds; null if the model has none.")
    declared_error_rates: ErrorRatesPart | None = Field(description="Measured error rates; null if none are declared.")


class ReasonPart(_Part):
    """Why a verdict is what it is."""

    code: Reason = Field(description="Stable code, for programs.")
    text: str = Field(description="The same for people.")


class CoveragePart(_Part):
    """How much of the video the verdict rests on."""

    seconds: Seconds = Field(
        description="Seconds of the video that were examined; what was lost to damage or left out does not count."
    )
    duration: Number = Field(description="Seconds that the file has by its header; null if it does not say.")
    reasons: tuple[ReasonPart, ...] = Field(description="What kept the rest from being examined.")


class VerdictPart(_Part):
    """The verdict on the video: on everybody in it together."""

    state: State = Field(description="The verdict. no_evidence_of_manipulation does not mean that the video is real.")
    probability: Number = Field(
        description="Calibrated probability of fake, 0 to 1; null if nothing was scored or the model is not calibrated."
    )
    score: Number = Field(description="Aggregated raw score, 0 to 1, no probability; null if nothing was scored.")
    reasons: tuple[ReasonPart, ...] = Field(description="Why, the most important first.")
    face: int | None = Field(description="Number of the face that decides; null if there is no face.")
    moment: tuple[Seconds, Seconds] | None = Field(
        description="Seconds (start, stop) of that face's most suspicious stretch or part of one; null without a score."
    )
    coverage: CoveragePart | None = Field(description="How much of the video was examined; null if that is not known.")


class ClipPart(_Part):
    """One clip and its score."""

    start: Seconds = Field(description="Time of the clip's first frame, seconds.")
    stop: Seconds = Field(description="Time of the clip's last frame, seconds.")
    frames: int = Field(description="Frames in the clip.")
    score: Number = Field(description="Raw output of the network, 0 to 1, higher is more like a fake; no probability.")
    streams: dict[str, Number] = Field(description="The raw output of each stream of the network alone, by its name.")


class WitnessesPart(_Part):
    """What motion and appearance say of a face, each alone; the face's own ratio says that one or both are right."""

    motion: Number = Field(
        description="Log ratio of the motion: natural log of how much likelier it is for a fake than for a genuine "
        "face; null if nothing was scored."
    )
    appearance: Number = Field(description="The same of the crops; null if appearance took no part.")
    crops: int = Field(description="Crops of the face that were looked at.")
    logit: Number = Field(description="Mean raw output of the appearance network; null without crops.")


class QualityPart(_Part):
    """How good the material was. Values below the method's limits hold a verdict back, see the reasons."""

    seconds: Number = Field(description="From the first to the last frame with the face, seconds.")
    frames: int = Field(description="Frames with the face.")
    face_size: Number = Field(description="Mean longer side of the landmarks' bounding box, pixels of the frame.")
    frame_rate: Number = Field(description="Median rate of the examined frames, frames a second.")
    present: Number = Field(description="Share of the track's frames in which the face was found, 0 to 1.")
    tracked: Number = Field(description="Share of landmarks whose motion optical flow confirmed, 0 to 1.")
    confidence: Number = Field(description="Mean confidence of the landmarker, 0 to 1.")
    motion: Number = Field(
        description="Median distance that a landmark moves in a frame; the unit is half the side of the face crop."
    )
    noise: Number = Field(
        description="Median length of the landmarks' second difference in time, without the head's; same unit."
    )
    forward_backward_error: Number = Field(description="Median forward-backward error of optical flow; same unit.")
    innovation: Number = Field(description="Median distance from predicted to detected landmarks; same unit.")
    deformation: Number = Field(description="How much the face changes its shape in 0.4 seconds, median; same unit.")
    tremor: Number = Field(description="The same from one frame to the next: mostly noise of the landmarks.")
    quantiser: Number = Field(
        description="How coarsely the whole video is encoded: quantisation parameter of H.264, 0 (fine) to 51; null for"
        " other codecs."
    )


class DifferencePart(_Part):
    """One statistic of the face's motion beside genuine faces."""

    statistic: str = Field(description="smoothness (no unit, -1 to 1), jitter, tracking_error or surprise.")
    group: str = Field(description="Facial group, or face for all landmarks.")
    value: Number = Field(description="Of this face; lengths are shares of the face's size.")
    typical: Number = Field(description="Median of the genuine faces.")
    percentile: Number = Field(description="Share of genuine faces with a lower value, 0 to 1.")


class ExplanationPart(_Part):
    """Which seconds carry an accused face's score, and how its motion compares with that of genuine faces.

    It does not say which part of the face carries the score, nor what was done to the video.
    """

    telling: tuple[Seconds, Seconds] | None = Field(description="The two seconds with the highest mean score.")
    suspicious: tuple[tuple[Seconds, Seconds], ...] = Field(
        description="Stretches in which the score, calibrated, reaches the threshold for likely_fake; empty unless the "
        "face is called that."
    )
    compared_with: str | None = Field(description="The genuine faces; null if the model has no reference.")
    differences: tuple[DifferencePart, ...] = Field(description="The motion beside that of genuine faces.")


class ExaminationPart(_Part):
    """When, where and by whom the video was examined."""

    utc: str = Field(description="Time of the examination in UTC, ISO 8601.")
    local: str = Field(description="The same in the machine's time zone, or in the one that was given.")
    machine: str = Field(description="Host name, operating system and processor architecture.")
    case: str = Field(description="Case number as it was given; empty if it was not.")
    examiner: str = Field(description="Name of the examiner; empty if it was not given.")
    notes: str = Field(description="Notes of the examiner; empty if there are none.")


class FacePart(_Part):
    """One face, followed through the video."""

    face: int = Field(description="Number of the face.")
    start: Seconds = Field(description="Time of the first frame with the face, seconds.")
    stop: Seconds = Field(description="Time of the last frame with the face, seconds.")
    state: State = Field(description="The verdict on this face.")
    probability: Number = Field(
        description="Calibrated probability of fake, 0 to 1; null if nothing was scored or the model is not calibrated."
    )
    score: Number = Field(description="Aggregated raw score, 0 to 1, no probability; null if nothing was scored.")
    reasons: tuple[ReasonPart, ...] = Field(description="Why, the most important first.")
    witnesses: WitnessesPart = Field(description="What motion and appearance say, each alone.")
    quality: QualityPart = Field(description="How good the material was.")
    clips: tuple[ClipPart, ...] = Field(description="The scored clips in order of time; they can overlap.")
    explanation: ExplanationPart | None = Field(
        description="What carries the score; null for a face that is not accused, or if no report was asked for."
    )


class ReportDocument(_Part):
    """Everything that is said of one video.

    Equal input gives an equal document if the time of examination is given; else but for the times.
    """

    schema_version: Literal["2.2"] = Field(description="Version of this layout.")
    lrnet_version: str = Field(description="Version of the program.")
    examination: ExaminationPart | None = Field(description="When, where and by whom; null if that was not recorded.")
    video: VideoPart = Field(description="The examined file.")
    model: ModelPart = Field(description="The model that judged.")
    verdict: VerdictPart = Field(description="What may be said of the video.")
    faces: tuple[FacePart, ...] = Field(description="What may be said of each face, by number.")
    meaning: str = Field(description="What the verdict means and what it does not, one sentence.")
    elapsed_seconds: Number = Field(description="How long the examination took, seconds; null if its time was given.")


class FailurePart(_Part):
    """A video that could not be examined."""

    path: str = Field(description="Path as it was given; a byte NN that is not UTF-8 is written \\udcNN.")
    error: str = Field(description="Class of the error, for programs.")
    message: str = Field(description="What happened.")
    hint: str = Field(description="What to do next.")


class BatchDocument(_Part):
    """Several videos: the documents of those that were examined and the failures of the others."""

    schema_version: Literal["2.2"] = Field(description="Version of this layout.")
    results: tuple[ReportDocument, ...] = Field(description="One document for each video that was examined.")
    failures: tuple[FailurePart, ...] = Field(description="One entry for each video that was not.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) that every written document keeps: one video's, a batch's, or a failure's.

    A failure stands alone as a line of `lrnet detect --jsonl`.
    """
    documents = (ReportDocument, BatchDocument, FailurePart)
    _, schema = models_json_schema([(model, "serialization") for model in documents])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Documents written by lrnet, version {REPORT_SCHEMA_VERSION}",
        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in documents],
        "$defs": schema["$defs"],
    }
