"""A page about one result: one file that needs nothing else and asks for nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
import numpy as np

from lrnet.detector import VideoResult
from lrnet.errors import VideoError
from lrnet.files import require_writable, write_text
from lrnet.network.bundle import ModelBundle
from lrnet.network.spec import BundleSpec
from lrnet.report import wording
from lrnet.report.evidence import TRUST, EvidenceView, evidence
from lrnet.report.explain import Explainer, FaceExplanation
from lrnet.report.figures import LINES, Step, by_weight, lanes, score_steps, unscored
from lrnet.report.footage import Footage, Taken, take
from lrnet.report.json_report import to_document, to_json
from lrnet.report.keyframes import KeyFrame
from lrnet.report.schema import ReportDocument
from lrnet.report.wording import WORDING, clock, readable, refuse_source, two_decimals
from lrnet.verdict import (
    INFLATING,
    REASON_TEXT,
    ClipScore,
    FaceVerdict,
    InputQuality,
    Reason,
    is_held_back,
)
from lrnet.verdict.quality import (
    DEFORMATION_LAG,
    MAX_INNOVATION,
    MAX_QUANTISER,
    MIN_DEFORMATION,
    MIN_FACE_SIZE,
    MIN_FRAME_RATE,
    MIN_MOTION,
    MIN_PRESENT,
    MIN_TRACKED,
)
from lrnet.video.limits import Access
from lrnet.video.quantiser import COARSEST

TEMPLATES: Final = Path(__file__).parent / "templates"
FACES_IN_DETAIL: Final = 12  # further faces stand in a table
MARKS: Final = 120  # bars in a timeline; more clips than that share bars
ROWS: Final = 250  # rows in a table of clips
FACES_LISTED: Final = 300  # rows in the table of further faces
FACES_EXPLAINED: Final = 6  # further faces' explanations stand in the JSON document
LARGEST_TWIN: Final = 500_000  # bytes of the JSON document that a page carries
CARD_LENGTH: Final = 20_000  # characters of a model card that are shown


def write_html(
    result: VideoResult,
    bundle: ModelBundle,
    path: str | os.PathLike[str],
    *,
    access: Access | None = None,
    explanations: Sequence[FaceExplanation] | None = None,
) -> None:
    """Write a result as one HTML file of less than 3 MB and the video clips in it (8 MB at most).

    The video is read once more for pictures and clips. If landmarks were kept (`keep_sequences=True`), pictures show
    the face with them, an annotated clip is embedded, and the score is explained; else pictures are of the whole frame.
    If the video cannot be read any more, the page says so.

    Args:
        result: what the detector returned.
        bundle: the model it was made with.
        path: of the page.
        access: how the source of the pictures may be opened.
        explanations: of `lrnet.report.explain.Explainer`; made here if they are not given.

    Raises:
        ModelError: `bundle` is not the model that `result` was made with.
        OutputError: the page cannot be written there, or `path` is the video itself.
    """
    refuse_source(path, result.path)
    require_writable(path)
    if explanations is None:
        explanations = Explainer(bundle).explain(result) if result.sequences and bundle.network else ()
    taken = Taken([], None, {})
    missing = ""
    try:
        taken = take(result, by_weight(result)[:FACES_IN_DETAIL], explanations, access=access)
    except VideoError as error:
        missing = readable(error.what)
    write_text(path, render(result, bundle, taken, missing, explanations))


def policy() -> str:
    """The content-security policy that a page sets itself, for a server to send as a header too.

    Style and script are let in by their hashes, pictures and clips from the page itself; nothing else is.
    """
    own = {kind: _hash(_asset(f"report.{kind}")) for kind in ("css", "js")}
    return (
        f"default-src 'none'; img-src data:; media-src data: blob:; style-src '{own['css']}'; "
        f"script-src '{own['js']}'; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def render(
    result: VideoResult,
    bundle: ModelBundle,
    taken: Taken | None = None,
    pictures_missing: str = "",
    explanations: Sequence[FaceExplanation] = (),
) -> str:
    """The page as text.

    Args:
        result: what the detector returned.
        bundle: the model it was made with.
        taken: pictures and clips of the video.
        pictures_missing: why there are none, a sentence.
        explanations: of faces.

    Raises:
        ModelError: `bundle` is not the model that `result` was made with.
    """
    document = to_document(result, bundle, explanations)
    taken = taken or Taken([], None, {})
    faces = by_weight(result)
    axis = Axis.of(result)
    explained = {e.face: e for e in explanations}
    views = []
    for number, face in enumerate(faces[:FACES_IN_DETAIL]):
        own = [s for s in result.sequences if s.face == face.face]
        found = explained.get(face.face)
        why = (
            evidence(found, own, axis.end, bundle.spec.preprocessing.crop_scale)
            if found and own and number < FACES_EXPLAINED
            else None
        )
        views.append(_face_view(face, result, axis, taken, why))
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            doc=document,
            info=result.info,
            spec=bundle.spec,
            spec_reference=bundle.reference,
            card=bundle.card[:CARD_LENGTH],
            card_cut=len(bundle.card) > CARD_LENGTH,
            words=WORDING[result.verdict.state],
            wording=wording,
            trust=TRUST,
            labels={state: words.label for state, words in WORDING.items()},
            name=readable(Path(result.path).name) or readable(result.path),
            path=readable(result.path),
            scale=Scale.of(result, bundle.spec),
            axis=axis,
            faces=views,
            further=faces[FACES_IN_DETAIL : FACES_IN_DETAIL + FACES_LISTED],
            unlisted=max(0, len(faces) - FACES_IN_DETAIL - FACES_LISTED),
            pictures_missing=pictures_missing,
            clip=_clip_view(taken.clip),
            command=_command(result),
            json=_twin(document),
            json_name=_json_name(result),
            style=_asset("report.css"),
            script=_asset("report.js"),
            policy=policy(),
        )
    )


def _twin(document: ReportDocument) -> str:
    """The JSON document as an address; empty if it would make the page too large."""
    # A clip takes 100 bytes at least: a document that cannot fit is not written out to find that out.
    if 100 * sum(len(face.clips) for face in document.faces) > LARGEST_TWIN:
        return ""
    content = to_json(document).encode()
    return _data("application/json", content) if len(content) <= LARGEST_TWIN else ""


def _json_name(result: VideoResult) -> str:
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in Path(result.path).stem)
    return f"{stem[:60] or 'video'}.json"


@dataclass(frozen=True, slots=True)
class ClipView:
    """A clip as the page embeds it."""

    source: str
    poster: str
    start: float
    stop: float
    width: int
    height: int


def _clip_view(footage: Footage | None) -> ClipView | None:
    if footage is None:
        return None
    return ClipView(
        source=_data("video/mp4", footage.mp4),
        poster=_data("image/jpeg", footage.poster),
        start=round(footage.start, 3),
        stop=round(footage.stop, 3),
        width=footage.width,
        height=footage.height,
    )


def shell_word(text: str) -> str:
    """One word of a Bourne shell's command line; what cannot be shown safely is escaped the way bash reads it."""
    if readable(text) == text:
        return shlex.quote(text)
    pieces = (
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in "'\\" else f"\\x{byte:02x}" for byte in os.fsencode(text)
    )
    return f"$'{''.join(pieces)}'"


def _command(result: VideoResult) -> str:
    path = f"./{result.path}" if result.path.startswith("-") else result.path
    return f"lrnet detect {shell_word(path)} --model {shell_word(result.model)}"


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the scale; `start` and `stop` in percent."""

    kind: str
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The line from 0 to 1 with the bands of the verdict and the value on it.

    Attributes:
        bands: none if the model has no thresholds.
        value: what is marked: the probability, else the score; None for neither.
        calibrated: whether the value is a probability.
        held_back: name of the band that the value lies in if the verdict is another, else empty.
    """

    bands: tuple[Band, ...]
    value: float | None
    calibrated: bool
    held_back: str

    @classmethod
    def of(cls, result: VideoResult, spec: BundleSpec) -> Scale:
        verdict, limits = result.verdict, spec.thresholds
        value = wording.finite(verdict.probability)
        calibrated = value is not None
        if value is None:
            value = wording.finite(verdict.score)
        if limits is None or not calibrated:
            return cls((), value, calibrated, "")
        low, high = 100 * limits.no_evidence, 100 * limits.likely_fake
        edges = (
            ("no_evidence_of_manipulation", 0.0, low),
            ("inconclusive", low, high),
            ("likely_fake", high, 100.0),
        )
        bands = tuple(Band(kind, start, stop) for kind, start, stop in edges if stop > start)
        assert value is not None  # it is calibrated
        inside = "likely_fake" if value >= limits.likely_fake else "inconclusive"
        if value <= limits.no_evidence and inside != "likely_fake":
            inside = "no_evidence_of_manipulation"
        return cls(bands, value, calibrated, "" if inside == verdict.state else inside)


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from 0 to `end` seconds over the width of a figure; positions are percent."""

    end: float
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def of(cls, result: VideoResult) -> Axis:
        end = max([result.seconds_examined, 0.04, *(face.stop for face in result.faces)])
        steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
        step = next((s for s in steps if end / s <= 5), end / 5)
        times = [i * step for i in range(int(end / step + 1e-9) + 1)]
        return cls(end, tuple((100 * t / end, _tick(t, step)) for t in times))

    def percent(self, time: float) -> float:
        return round(100 * min(max(time / self.end, 0.0), 1.0), 3)


def _tick(time: float, step: float) -> str:
    text = clock(time)
    return text if step < 1 else text.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of the timeline: where (percent), how high (percent), what it says when pointed at."""

    x: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class ClipBar:
    """A clip under the timeline, or several: where (percent), in which row, seconds it begins, what it says."""

    x: float
    width: float
    lane: int
    time: float
    title: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A row of the table of input quality."""

    name: str
    value: str
    needed: str
    effect: str
    held: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A key frame as the page shows it."""

    source: str
    width: int
    height: int
    lines: tuple[str, ...]
    caption: str
    alternative: str


@dataclass(frozen=True, slots=True)
class FaceView:
    """What the page shows of a face."""

    verdict: FaceVerdict
    decides: bool
    reasons: tuple[str, ...]
    seen: tuple[float, float]
    holes: tuple[tuple[float, float], ...]
    bars: tuple[Bar, ...]
    clips: tuple[ClipBar, ...]
    lanes: int
    clips_a_bar: int
    summary: str
    rows: tuple[ClipScore, ...]
    rows_left_out: int
    measures: tuple[Measure, ...]
    pictures: tuple[Picture, ...]
    evidence: EvidenceView | None
    close: ClipView | None


def _face_view(face: FaceVerdict, result: VideoResult, axis: Axis, taken: Taken, why: EvidenceView | None) -> FaceView:
    start, stop = axis.percent(face.start), axis.percent(face.stop)
    holes = unscored(face.start, face.stop, face.clips, shortest=max(0.15, axis.end / 400))
    share = max(1, -(-len(face.clips) // MARKS))
    steps = score_steps(face.clips)
    clips = _clip_bars([_batch(face.clips, i, share) for i in range(0, len(face.clips), share)], axis)
    return FaceView(
        verdict=face,
        decides=face.face == result.verdict.face,
        reasons=tuple(REASON_TEXT[reason] for reason in face.reasons),
        seen=(start, round(max(stop - start, 0.3), 3)),
        holes=tuple((axis.percent(a), round(axis.percent(b) - axis.percent(a), 3)) for a, b in holes[:MARKS]),
        bars=tuple(_bar(group, axis) for group in _batched(steps, max(1, -(-len(steps) // MARKS)))),
        clips=clips,
        lanes=max((bar.lane for bar in clips), default=-1) + 1,
        clips_a_bar=share,
        summary=_summary(face, len(holes)),
        rows=face.clips[:ROWS],
        rows_left_out=max(0, len(face.clips) - ROWS),
        measures=tuple(_measures(face.quality)),
        pictures=tuple(_picture(p) for p in taken.pictures if p.moment.face == face.face),
        evidence=why,
        close=_clip_view(taken.close.get(face.face)),
    )


def _batch(clips: Sequence[ClipScore], first: int, share: int) -> Sequence[ClipScore]:
    return clips[first : first + share]


def _batched(steps: Sequence[Step], share: int) -> list[Sequence[Step]]:
    return [steps[i : i + share] for i in range(0, len(steps), share)]


def _bar(group: Sequence[Step], axis: Axis) -> Bar:
    """One bar for a stretch, or for several that follow each other: it shows the highest of their scores."""
    score = max(step.score for step in group)
    start, stop = group[0].start, group[-1].stop
    x = axis.percent(start)
    title = f"{clock(start)} to {clock(stop)}: {'highest ' if len(group) > 1 else ''}score {two_decimals(score)}"
    return Bar(x, round(max(axis.percent(stop) - x, 0.2), 3), round(100 * score, 2), title)


def _clip_bars(groups: Sequence[Sequence[ClipScore]], axis: Axis) -> tuple[ClipBar, ...]:
    """Clips below each other where they overlap."""
    spans = [(group[0].start, max(clip.stop for clip in group)) for group in groups]
    single = all(len(group) == 1 for group in groups)
    rows = lanes(spans) if single else [0] * len(spans)
    bars = []
    for group, (start, stop), row in zip(groups, spans, rows, strict=True):
        score = max((clip.score for clip in group if np.isfinite(clip.score)), default=float("nan"))
        x = axis.percent(start)
        title = f"{clock(start)} to {clock(stop)}, {'score' if single else 'highest score'} {two_decimals(score)}"
        bars.append(ClipBar(x, round(max(axis.percent(stop) - x, 0.2), 3), row, round(start, 3), title))
    return tuple(bars)


def _summary(face: FaceVerdict, holes: int) -> str:
    """The figure in words, for those who do not see it."""
    scores = [clip.score for clip in face.clips if np.isfinite(clip.score)]
    span = f"Face {face.face} is in view from {clock(face.start)} to {clock(face.stop)}."
    if not scores:
        return f"{span} No clip was scored."
    many = f"{len(scores)} clips score" if len(scores) > 1 else "One clip scores"
    extent = " to ".join(dict.fromkeys((two_decimals(min(scores)), two_decimals(max(scores)))))
    return f"{span} {many} {extent}; stretches that were not scored: {holes or 'none'}."


def _measures(quality: InputQuality) -> list[Measure]:
    held = set(quality.reasons())

    def row(name: str, value: str, needed: str, reason: Reason | None, effect: str) -> Measure:
        below = reason in held
        told = effect
        if below and reason is not None:
            holds = "keeps it from being called likely fake" if reason in INFLATING else "holds the verdict back"
            told = f"{holds}: {REASON_TEXT[reason]}"
        return Measure(name, value, needed, told, below)

    fine = "sufficient"
    return [
        row("Time in view", f"{_plain(quality.seconds, 1)} s", "one clip", None, "more clips steady the score"),
        row("Frames with the face", f"{quality.frames}", "", None, "information only"),
        row("Face size", f"{_plain(quality.face_size, 0)} px", f"{MIN_FACE_SIZE:.0f} px", Reason.SMALL_FACE, fine),
        row(
            "Frame rate", f"{_plain(quality.frame_rate, 1)} Hz", f"{MIN_FRAME_RATE:.0f} Hz", Reason.LOW_FRAME_RATE, fine
        ),
        row("Face found", _share(quality.present), _share(MIN_PRESENT), Reason.MANY_GAPS, fine),
        row("Motion confirmed by flow", _share(quality.tracked), _share(MIN_TRACKED), Reason.POOR_TRACKING, fine),
        row(
            "Motion a frame, of half the crop",
            f"{_plain(quality.motion * 100, 3)} %",
            f"{MIN_MOTION * 100:.2g} %",
            Reason.NO_MOTION,
            fine,
        ),
        row(
            f"Change of shape in {DEFORMATION_LAG} frames, of half the crop",
            f"{_plain(quality.deformation * 100, 2)} %",
            f"{MIN_DEFORMATION * 100:.2g} %, or more than tremor",
            Reason.RIGID,
            fine,
        ),
        row(
            "Detected beside predicted, of half the crop",
            f"{_plain(quality.innovation * 100, 2)} %",
            f"at most {MAX_INNOVATION * 100:.3g} %",
            Reason.DISAGREEMENT,
            fine,
        ),
        row(
            f"Coarseness of the H.264 encoding, 0 to {COARSEST}",
            _plain(quality.quantiser, 0),
            f"at most {MAX_QUANTISER:.0f}",
            Reason.COARSE,
            fine,
        ),
        row("Landmarker's confidence", _plain(quality.confidence, 2), "", None, "information only"),
    ]


def _plain(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "unknown"


def _share(value: float) -> str:
    return f"{100 * value:.0f} %" if np.isfinite(value) else "unknown"


def _picture(frame: KeyFrame) -> Picture:
    moment = frame.moment
    score = f", clip score {two_decimals(moment.clip.score)}" if moment.clip is not None else ""
    caption = f"{clock(moment.time)}, {moment.role}{score}"
    what = f"Face {moment.face}" if frame.points is not None else f"The whole frame with face {moment.face}"
    return Picture(
        source=_data("image/jpeg", frame.jpeg),
        width=frame.width,
        height=frame.height,
        lines=() if frame.points is None else tuple(_polyline(frame.points[part], closed) for part, closed in LINES),
        caption=caption[0].upper() + caption[1:],
        alternative=f"{what} at {caption}",
    )


def _polyline(points: np.ndarray, closed: bool) -> str:
    rows = [*points.tolist(), *([points[0].tolist()] if closed else [])]
    return " ".join(f"{x + 0.5:.1f},{y + 0.5:.1f}" for x, y in rows)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,  # names of files and models come from strangers
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock, "number": two_decimals, "percent": _rate, "readable": readable}
    environment.filters["held_back"] = environment.tests["held_back"] = _held_back
    return environment


def _held_back(face: FaceVerdict) -> bool:
    return is_held_back(face.state, face.reasons)


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.3g} %"
