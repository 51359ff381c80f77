"""A `VideoResult` as a JSON document (see `schema`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from lrnet.detector import VideoResult
from lrnet.errors import LrnetError, ModelError
from lrnet.files import write_text
from lrnet.network.bundle import ModelBundle
from lrnet.report.examination import Examination
from lrnet.report.explain import FaceExplanation
from lrnet.report.schema import (
    REPORT_SCHEMA_VERSION,
    BatchDocument,
    ClipPart,
    CoveragePart,
    DifferencePart,
    ErrorRatesPart,
    ExaminationPart,
    ExplanationPart,
    FacePart,
    FailurePart,
    ModelPart,
    QualityPart,
    ReasonPart,
    ReportDocument,
    ThresholdsPart,
    VerdictPart,
    VideoPart,
    WitnessesPart,
)
from lrnet.report.wording import refuse_source, utf8_name, words_for
from lrnet.verdict import REASON_TEXT, ClipScore, Coverage, FaceVerdict, Reason


def to_document(
    result: VideoResult,
    bundle: ModelBundle,
    explanations: Sequence[FaceExplanation] = (),
    examination: Examination | None = None,
) -> ReportDocument:
    """The document of one result.

    Args:
        result: what the detector returned.
        bundle: the model it was made with; thresholds and declared error rates are read from it.
        explanations: of `lrnet.report.explain.Explainer`, if they were made.
        examination: when, where and by whom, if that was recorded.

    Raises:
        ModelError: `bundle` is not the model that `result` was made with.
    """
    verdict = result.verdict
    explained = {e.face: e for e in explanations}
    return ReportDocument(
        schema_version=REPORT_SCHEMA_VERSION,
        lrnet_version=result.lrnet_version,
        examination=None if examination is None else _examination(examination),
        video=_video(result),
        model=_model(result, bundle),
        verdict=VerdictPart(
            state=verdict.state,
            probability=verdict.probability,
            score=verdict.score,
            reasons=_reasons(verdict.reasons),
            face=verdict.face,
            moment=verdict.moment,
            coverage=_coverage(verdict.coverage),
        ),
        faces=tuple(_face(face, explained.get(face.face)) for face in result.faces),
        meaning=words_for(verdict.state, result.frames_read).meaning,
        elapsed_seconds=None if examination is not None and examination.time_given else result.elapsed,
    )


def to_failure(path: str | os.PathLike[str], error: Exception) -> FailurePart:
    """The entry of a video that could not be examined."""
    message, hint = str(error) or type(error).__name__, "This is a fault of lrnet; please report it."
    if isinstance(error, LrnetError):
        message, hint = error.what, error.hint
    return FailurePart(
        path=utf8_name(os.fspath(path)),
        error=type(error).__name__,
        message=utf8_name(message),
        hint=utf8_name(hint),
    )


def to_batch(results: Iterable[ReportDocument], failures: Iterable[FailurePart] = ()) -> BatchDocument:
    """One document for several videos, in the order given."""
    return BatchDocument(schema_version=REPORT_SCHEMA_VERSION, results=tuple(results), failures=tuple(failures))


def write_json(path: str | os.PathLike[str], document: ReportDocument | BatchDocument) -> None:
    """Write a document as UTF-8 JSON, whole or not at all.

    Raises:
        OutputError: it cannot be written there, or `path` is an examined video.
    """
    results = document.results if isinstance(document, BatchDocument) else (document,)
    for result in results:
        refuse_source(path, result.video.path)
    write_text(path, to_json(document) + "\n")


def to_json(document: ReportDocument | BatchDocument) -> str:
    """A document as text, indented by two."""
    return document.model_dump_json(indent=2)


def _video(result: VideoResult) -> VideoPart:
    info, path = result.info, utf8_name(result.path)
    return VideoPart(
        path=path,
        name=Path(path).name,
        sha256=result.sha256,
        container=info.container,
        codec=info.codec,
        width=info.width,
        height=info.height,
        frame_rate=info.frame_rate,
        duration=info.duration,
        rotation=info.rotation,
        size_bytes=info.size_bytes,
        frames_read=result.frames_read,
        frames_examined=result.frames_examined,
        seconds_examined=result.seconds_examined,
        damaged_packets=result.damaged_packets,
        notes=info.notes,
    )


def _model(result: VideoResult, bundle: ModelBundle) -> ModelPart:
    if bundle.content_hash != result.model_hash:
        raise ModelError(
            f"The result was made with model {result.model} ({result.model_hash[:12]}), the one given is "
            f"{bundle.spec.name} ({bundle.content_hash[:12]}).",
            hint="Give the model that the result was made with.",
        )
    thresholds, rates = None, None
    if (limits := bundle.spec.limits) is not None:
        thresholds = ThresholdsPart(likely_fake=limits.likely_fake, no_evidence=limits.no_evidence)
        rates = ErrorRatesPart(
            false_positive_rate=limits.false_positive_rate,
            miss_rate=limits.miss_rate,
            measured_on=limits.measured_on,
            unseen_miss_rate=limits.unseen_miss_rate,
        )
    return ModelPart(
        name=result.model,
        version=result.model_version,
        hash=result.model_hash,
        appearance=bundle.spec.appearance is not None,
        thresholds=thresholds,
        declared_error_rates=rates,
    )


def _coverage(found: Coverage | None) -> CoveragePart | None:
    if found is None:
        return None
    return CoveragePart(seconds=found.seconds, duration=found.duration, reasons=_reasons(found.reasons))


def _face(face: FaceVerdict, explanation: FaceExplanation | None) -> FacePart:
    return FacePart(
        face=face.face,
        start=face.start,
        stop=face.stop,
        state=face.state,
        probability=face.probability,
        score=face.score,
        reasons=_reasons(face.reasons),
        witnesses=_witnesses(face),
        quality=QualityPart(**asdict(face.quality)),
        clips=tuple(_clip(clip) for clip in face.clips),
        explanation=None if explanation is None else _explanation(explanation),
    )


def _witnesses(face: FaceVerdict) -> WitnessesPart:
    logits = [crop.logit for crop in face.crops]
    return WitnessesPart(
        motion=face.motion_ratio,
        appearance=face.appearance_ratio,
        crops=len(logits),
        logit=fmean(logits) if logits else None,
    )


def _explanation(found: FaceExplanation) -> ExplanationPart:
    return ExplanationPart(
        telling=found.telling,
        suspicious=found.suspicious,
        compared_with=found.compared_with,
        differences=tuple(DifferencePart(**asdict(d)) for d in found.differences),
    )


def _examination(found: Examination) -> ExaminationPart:
    return ExaminationPart(
        utc=found.utc,
        local=found.local,
        machine=found.machine,
        case=found.case,
        examiner=found.examiner,
        notes=found.notes,
    )


def _clip(clip: ClipScore) -> ClipPart:
    streams: dict[str, float | None] = {name: clip.streams[name] for name in sorted(clip.streams)}
    return ClipPart(start=clip.start, stop=clip.stop, frames=clip.frames, score=clip.score, streams=streams)


def _reasons(reasons: Sequence[Reason]) -> tuple[ReasonPart, ...]:
    return tuple(ReasonPart(code=reason, text=REASON_TEXT[reason]) for reason in dict.fromkeys(reasons))
