"""The service's answers, as its OpenAPI description has them. Times are UTC, ISO 8601."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from lrnet.report.schema import Number
from lrnet.report.wording import finite, when_and_who, words_for
from lrnet.service.rows import JobState, VideoRow
from lrnet.service.rows import Page as StorePage
from lrnet.verdict import State

Identifier = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="Identifier of a video.")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Clip(_Part):
    """A scored clip."""

    face: int = Field(description="Number of the track, from 0.")
    start: float = Field(description="Seconds from the video's first frame.")
    stop: float = Field(description="Seconds from the video's first frame.")
    score: float | None = Field(description="The network's raw output, 0 to 1; no probability.")


class Progress(_Part):
    """How far a video that is being judged is."""

    stage: Literal["loading", "examining", "examined", "report", "drawing"] = Field(
        description="loading the model, examining frames, all frames examined, writing the report, drawing the overlay"
    )
    frames: int = Field(0, description="Frames gone through in this stage.")
    time: float = Field(0.0, description="Presentation time of the last one, seconds.")
    duration: float | None = Field(None, description="Of the video as its header says, seconds.")
    faces: int = Field(0, description="Faces seen so far.")
    clips: int = Field(0, description="Clips scored so far.")
    scored: tuple[Clip, ...] = Field((), description="The latest of them, at most 400.")


class Reason(_Part):
    """Why a verdict is what it is."""

    code: str = Field(description="Stable code, for programs.")  # also one that an older version stored
    text: str = Field(description="The same for people.")


class Summary(_Part):
    """The fields of a video's JSON document that lists show; see `lrnet.service.tables.summary_of`."""

    reasons: tuple[Reason, ...] = Field((), description="Why the verdict is what it is, the most important first.")
    face: int | None = Field(None, description="Number of the person who decides the verdict, from 1.")
    moment: tuple[FiniteFloat, FiniteFloat] | None = Field(
        None, description="Seconds (start, stop) of that person's most suspicious stretch."
    )
    seconds_examined: Number = Field(None, description="Seconds of the video that were examined.")
    duration: Number = Field(None, description="Of the video as its header says, seconds; null if it does not say.")
    frames: int | None = Field(None, description="Frames that were read; a picture has one.")
    damaged_packets: int = Field(0, description="Packets and frames that could not be decoded and were left out.")
    model_hash: str = Field("", description="SHA-256 of the model's description, hexadecimal.")
    appearance: bool = Field(False, description="Whether pixels of the face took part in the verdict, beside motion.")


class Verdict(Summary):
    """The verdict on the video. The whole document is at `links.result`."""

    state: State
    headline: str = Field(description="The state in a few words.")
    when: str = Field(
        description="The moment and the person in words, as in 1:30.0 to 1:45.0, person 2; empty if nobody is accused."
    )
    meaning: str = Field(description="What the state says and what it does not.")
    symbol: str = Field(description="One character that distinguishes the states without colour.")
    probability: float | None = Field(description="Calibrated probability of fake, 0 to 1; null if there is none.")
    held_back: bool = Field(
        description="Whether it is inconclusive for the material's sake: on such material the probability says nothing."
    )
    score: float | None = Field(description="Aggregated raw score, 0 to 1, no probability.")
    faces: int = Field(description="Faces that were followed.")
    model: str = Field(description="Name and version of the model that judged.")
    share_examined: float | None = Field(description="Part of the duration that was examined, 0 to 1; null if unknown.")
    extras_failed: dict[str, str] = Field(
        description="Report, evidence bundle or annotated video that could not be made, and why."
    )


class Failure(_Part):
    """Why a video could not be judged."""

    error: str = Field(description="Class of the error, for programs.")
    message: str = Field(description="What happened.")
    hint: str = Field(description="What to do next.")


class Links(_Part):
    """Where more of a video is, relative to this service."""

    self: str
    events: str
    result: str
    report: str
    overlay: str
    bundle: str
    file: str
    cancel: str
    again: str


class Video(_Part):
    """A video that was handed in."""

    id: Identifier
    number: int = Field(description="Grows from video to video: the order of the list.")
    name: str = Field(description="Its file's name as the client gave it, without folders and control characters.")
    sha256: str = Field(description="SHA-256 of the file, hexadecimal.")
    size: int = Field(description="Size of the file, bytes.")
    owner: str | None = Field(description="Name of the token that handed it in.")
    external_id: str | None = Field(description="What the client calls it.")
    labels: tuple[str, ...] = Field(description="As the client gave them.")
    case: str | None = Field(description="Case number, for the report.")
    examiner: str | None = Field(description="Name of the examiner, for the report.")
    notes: str | None = Field(description="Notes of the examiner, for the report.")
    state: JobState
    revision: int = Field(description="Grows with every change.")
    created: datetime = Field(description="When it was handed in.")
    started: datetime | None = Field(description="When the latest attempt at it began.")
    finished: datetime | None = Field(description="When it was judged, given up or cancelled.")
    attempts: int = Field(description="How often a worker took it.")
    progress: Progress | None = Field(description="While it is running.")
    verdict: Verdict | None = Field(description="Once it is done.")
    failure: Failure | None = Field(description="If it failed.")
    links: Links


class Upload(_Part):
    """An upload in parts."""

    id: Identifier
    size: int = Field(description="Size of the whole file, bytes.")
    offset: int = Field(description="How many bytes have arrived: where the next part begins.")
    video: Video | None = Field(description="The video, when all of it has arrived.")


class VideoPage(_Part):
    """Some videos; `progress` is without the scores of clips."""

    items: tuple[Video, ...]
    total: int = Field(description="How many videos the search finds in all.")
    before: int | None = Field(description="Ask for the next page with this; null if there is none.")


class Problem(_Part):
    """Why a request was refused."""

    error: str = Field(description="A word for programs.")
    message: str = Field(description="What happened.")
    hint: str = Field(description="What to do next.")


class About(_Part):
    """Version, limits and words of the service."""

    lrnet_version: str
    model: str = Field(description="Name of the model that judges.")
    max_upload: int = Field(description="Largest video, bytes.")
    keep_days: float = Field(description="Days after which a judged video is deleted; 0 if it is kept.")
    slots: int = Field(description="How many videos the living workers judge at a time.")
    waiting: int = Field(description="How many videos are queued.")
    token: bool = Field(description="Whether the service asks for a token.")
    role: str = Field(description="What this client may do: read, submit or admin.")
    states: dict[str, str] = Field(description="What each verdict is called.")
    caution: str = Field(description="What the method cannot see.")


class AuditLine(_Part):
    """One action of a client, or `expire`: a video that was kept long enough and was deleted."""

    number: int
    time: datetime
    who: str = Field(description="Name of the client's token; empty if the service asks for none.")
    action: str
    video: str | None
    request: str = Field(description="Identifier of the request, as in the log and in X-Request-ID.")


class AuditPage(_Part):
    """Lines of the audit log, newest first."""

    items: tuple[AuditLine, ...]


class Health(_Part):
    """Whether the service can do its work."""

    ready: bool
    database: bool = Field(description="Whether the database answers.")
    workers: bool = Field(description="Whether a worker was heard of lately.")


def video(row: VideoRow, *, clips: bool = True) -> Video:
    """The answer for a row.

    Args:
        clips: include the scores of the latest clips of a running video.
    """
    at, now = f"/v1/videos/{row.id}", progress(row)
    made: dict[str, Any] = {
        "progress": now if clips or now is None else now.model_copy(update={"scored": ()}),
        "verdict": _verdict(row),
        "links": Links(self=at, **{name: f"{at}/{name}" for name in Links.model_fields if name != "self"}),
    }
    return Video(**made, **{name: getattr(row, name) for name in Video.model_fields if name not in made})


def progress(row: VideoRow) -> Progress | None:
    """How far a running video is; None if it is not running, or its worker sent something invalid."""
    if row.state != JobState.RUNNING or row.progress is None:
        return None
    try:
        known = {key: value for key, value in row.progress.items() if key in Progress.model_fields}
        return Progress.model_validate(known)
    except ValidationError:  # it comes from a process that reads strangers' files
        return None


def page(found: StorePage) -> VideoPage:
    """The answer for a page of rows."""
    items = tuple(video(row, clips=False) for row in found.items)
    return VideoPage(items=items, total=found.total, before=found.before)


def _verdict(row: VideoRow) -> Verdict | None:
    if row.verdict is None:
        return None
    state = State(row.verdict)
    summary = Summary.model_validate(row.summary or {})
    words = words_for(state, summary.frames, summary.appearance, [reason.code for reason in summary.reasons])
    share = summary.seconds_examined / summary.duration if summary.seconds_examined and summary.duration else None
    return Verdict(
        **dict(summary),
        state=state,
        headline=words.headline,
        when=when_and_who(state, summary.moment, summary.face, row.faces or 0),
        meaning=words.meaning,
        symbol=words.symbol,
        probability=finite(row.probability),
        held_back=bool(row.held_back),
        score=finite(row.score),
        faces=row.faces or 0,
        model=row.model or "",
        share_examined=None if share is None else min(1.0, finite(share) or 0.0),
        extras_failed=row.extras_failed or {},
    )
