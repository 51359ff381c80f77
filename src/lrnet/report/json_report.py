"""A `VideoResult` as a JSON document (see `schema`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from pydantic import BaseModel

from lrnet.detector import VideoResult
from lrnet.errors import LrnetError, ModelError
from lrnet.files import write_text
from lrnet.network.bundle import ModelBundle
from lrnet.report.examination import Examination
from lrnet.report.explain import FaceExplanation
from lrnet.report.figures import pointed_at
from lrnet.report.schema import (
    REPORT_SCHEMA_VERSION,
    BatchDocument,
    ClipPart,
    CoveragePart,
    ErrorRatesPart,
    ExaminationPart,
    FacePart,
    FailurePart,
    ModelPart,
    ReasonPart,
    ReportDocument,
    ThresholdsPart,
    VerdictPart,
    VideoPart,
    WitnessesPart,
)
from lrnet.report.wording import refuse_source, utf8_name, words_for
from lrnet.verdict import REASON_TEXT, FaceVerdict, Reason, VideoVerdict


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
        examination=None if examination is None else _part(ExaminationPart, examination),
        video=_video(result),
        model=_model(result, bundle),
        verdict=_verdict(verdict, pointed_at(result, bundle.spec)),
        faces=tuple(_face(face, explained.get(face.face)) for face in result.faces),
        meaning=words_for(verdict.state, result.frames_read, result.appearance, verdict.reasons).meaning,
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


P = TypeVar("P", bound=BaseModel)


def _part(kind: type[P], value: object, **others: Any) -> P:
    """A part of the document: fields of the same names as those of `value`, and others."""
    same = {name: getattr(value, name) for name in kind.model_fields if name not in others}
    return kind.model_validate({**same, **others}, from_attributes=True)


def _video(result: VideoResult) -> VideoPart:
    path = utf8_name(result.path)
    counted = ("sha256", "frames_read", "frames_examined", "seconds_examined", "damaged_packets")
    others = {name: getattr(result, name) for name in counted}
    return _part(VideoPart, result.info, path=path, name=Path(path).name, **others)


def _model(result: VideoResult, bundle: ModelBundle) -> ModelPart:
    if bundle.content_hash != result.model_hash:
        raise ModelError(
            f"The result was made with model {result.model} ({result.model_hash[:12]}), the one given is "
            f"{bundle.spec.name} ({bundle.content_hash[:12]}).",
            hint="Give the model that the result was made with.",
        )
    limits = bundle.spec.limits
    return ModelPart(
        name=result.model,
        version=result.model_version,
        hash=result.model_hash,
        appearance=result.appearance,
        thresholds=None if limits is None else _part(ThresholdsPart, limits),
        declared_error_rates=None if limits is None else _part(ErrorRatesPart, limits),
    )


def _verdict(verdict: VideoVerdict, moment: tuple[float, float] | None) -> VerdictPart:
    found = verdict.coverage
    coverage = None if found is None else _part(CoveragePart, found, reasons=_reasons(found.reasons))
    return _part(VerdictPart, verdict, reasons=_reasons(verdict.reasons), coverage=coverage, moment=moment)


def _face(face: FaceVerdict, explanation: FaceExplanation | None) -> FacePart:
    logits = [crop.logit for crop in face.crops]
    witnesses = WitnessesPart(
        motion=face.motion_ratio,
        appearance=face.appearance_ratio,
        crops=len(logits),
        logit=fmean(logits) if logits else None,
    )
    clips = tuple(_part(ClipPart, clip, streams=dict(sorted(clip.streams.items()))) for clip in face.clips)
    reasons = _reasons(face.reasons)
    return _part(FacePart, face, reasons=reasons, witnesses=witnesses, clips=clips, explanation=explanation)


def _reasons(reasons: Sequence[Reason]) -> tuple[ReasonPart, ...]:
    return tuple(ReasonPart(code=reason, text=REASON_TEXT[reason]) for reason in dict.fromkeys(reasons))
