"""Many videos at a time for `lrnet detect`: what a worker does with one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lrnet.errors import InternalError, LrnetError
from lrnet.video.limits import Access

if TYPE_CHECKING:
    from lrnet.detector import Detector, Progress, VideoResult
    from lrnet.network.bundle import ModelBundle
    from lrnet.report.examination import Examination
    from lrnet.report.explain import FaceExplanation
    from lrnet.report.schema import ReportDocument


@dataclass(frozen=True, slots=True)
class VideoTask:
    """One video, and where its report, its overlay and its evidence bundle go.

    Attributes:
        examination: when, where and by whom.
        with_video: whether the bundle holds the video too.
    """

    video: str
    report: Path | None
    overlay: Path | None
    bundle: Path | None
    examination: Examination
    with_video: bool = False

    @property
    def explained(self) -> bool:
        """Whether scores are explained."""
        return self.report is not None or self.bundle is not None

    @property
    def landmarks(self) -> bool:
        """Whether landmarks are needed after the verdict."""
        return self.explained or self.overlay is not None

    def __str__(self) -> str:
        return self.video


@dataclass(frozen=True, slots=True)
class Judged:
    """A video that was judged.

    Attributes:
        document: the video's part of the JSON.
        written: report, overlay and bundle, as far as they were written.
        error: why one of them was not.
    """

    result: VideoResult
    document: ReportDocument
    written: tuple[Path, ...]
    error: LrnetError | None


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """Judge one video on one core and write what is its own; the result comes back without its sequences.

    Raises:
        LrnetError: the model cannot be loaded, or the video cannot be read.
    """

    model: str
    access: Access
    appearance: bool = True

    def __call__(self, task: VideoTask) -> Judged:
        judged = judge(_detector(self.model, self.appearance), task, self.access)
        return replace(judged, result=replace(judged.result, sequences=()))


@lru_cache(maxsize=1)
def _detector(model: str, appearance: bool) -> Detector:
    """Loaded once in a process; one thread, for there are as many videos at work as cores."""
    from lrnet.detector import Detector
    from lrnet.network.registry import load_model

    return Detector(load_model(model, appearance=appearance), threads=1)


def judge(
    detector: Detector,
    task: VideoTask,
    access: Access,
    *,
    progress: Callable[[Progress], None] | None = None,
    found: Callable[[VideoResult, ReportDocument], object] = lambda result, document: None,
    doing: Callable[[str], object] = lambda what: None,
) -> Judged:
    """Judge one video and write what is its own.

    Args:
        found: called with the verdict, before anything is written.
        doing: called with what comes next.

    Raises:
        LrnetError: the video cannot be read.
    """
    from lrnet.report.explain import Explainer
    from lrnet.report.json_report import to_document

    result = detector.detect(task.video, progress=progress, keep_sequences=task.landmarks, access=access)
    explanations = Explainer(detector.bundle).explain(result) if task.explained else ()
    document = to_document(result, detector.bundle, explanations, task.examination)
    found(result, document)
    written: list[Path] = []
    error: LrnetError | None = None
    try:
        for path in _own_files(result, explanations, detector.bundle, task, access, doing):
            written.append(path)
    except LrnetError as fault:
        error = fault
    except Exception as fault:  # the verdict stands, whatever is wrong with its report
        error = InternalError.of(fault, task.video)
    return Judged(result, document, tuple(written), error)


def _own_files(
    result: VideoResult,
    explanations: tuple[FaceExplanation, ...],
    bundle: ModelBundle,
    task: VideoTask,
    access: Access,
    doing: Callable[[str], object],
) -> Iterator[Path]:
    """A video's report, overlay and evidence bundle, each once it is written."""
    from lrnet.report.html import pictures_and_clips, write_html

    about = task.examination
    if task.explained:
        doing("report")
        shown = pictures_and_clips(result, bundle, explanations, access=access)
    if task.report is not None:
        write_html(result, bundle, task.report, explanations=explanations, examination=about, shown=shown)
        yield task.report
    if task.overlay is not None:
        from lrnet.report.overlay import write_overlay

        doing("overlay")
        write_overlay(result, task.overlay, access=access)
        yield task.overlay
    if task.bundle is not None:
        from lrnet.report.evidence_bundle import write_bundle

        doing("bundle")
        write_bundle(
            result,
            bundle,
            task.bundle,
            about,
            access=access,
            explanations=explanations,
            with_video=task.with_video,
            shown=shown,
        )
        yield task.bundle
