"""Judge videos in a separate process, and the worker's end of the pipe to that process.

A worker keeps one such process for each video that it judges at a time. A video that kills the process, or never ends,
harms nothing else. Messages are JSON: a process that has read a hostile file is trusted no more than that file.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lrnet.errors import InternalError, LrnetError, OutputError
from lrnet.service.folder import BUNDLE, OVERLAY, REPORT
from lrnet.service.tables import summary_of
from lrnet.video.limits import Access

if TYPE_CHECKING:
    from lrnet.detector import Detector, Progress, VideoResult
    from lrnet.network.bundle import ModelBundle
    from lrnet.report.examination import Examination
    from lrnet.report.explain import FaceExplanation

NICENESS: Final = 5  # so that the page stays quick
MAX_MESSAGE: Final = 64 * 1024 * 1024  # bytes; a document of some hours with a dozen faces has 5 MB
CLIPS_SHOWN: Final = 400  # the latest scored clips; they are stored with every message


@dataclass(frozen=True, slots=True)
class Job:
    """One video to judge.

    Attributes:
        video: absolute path of the file.
        name: the file's name as the client gave it.
        folder: for the results; created if it does not exist.
        overlay: whether the annotated video is made.
        pdf: whether the evidence bundle holds a PDF too.
        case, examiner, notes: for the report.
        lease: of the attempt; every message about it repeats the word.
    """

    video: str
    name: str
    folder: str
    overlay: bool
    pdf: bool = False
    case: str = ""
    examiner: str = ""
    notes: str = ""
    lease: str = ""


class JobProcess:
    """The process that judges; started when it is needed, also after it was killed or died.

    Args:
        model: name or path of the model.
        access: how videos are opened.
    """

    def __init__(self, model: str, access: Access | None = None) -> None:
        self._model, self._access = model, access or Access(isolate=True)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._lease = ""

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def give(self, job: Job) -> None:
        """Begin a job. Raises BrokenPipeError if the process has died meanwhile."""
        if self._process is None or self._pipe is None or not self._process.is_alive():
            self.kill()
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(
                target=_work, args=(theirs, self._model, self._access), daemon=True, name="lrnet-judge"
            )
            self._process.start()
            theirs.close()
        self._lease = job.lease
        self._pipe.send_bytes(json.dumps(asdict(job)).encode())

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """The next message about the job, None if none comes in time or one is about an earlier job.

        Raises:
            EOFError: the process has died.
        """
        if self._pipe is None:
            raise EOFError
        try:
            if not self._pipe.poll(seconds):
                return None
            message = json.loads(self._pipe.recv_bytes(MAX_MESSAGE))
        except (OSError, ValueError) as error:  # too long, or not JSON: something else has taken over the process
            raise EOFError from error
        return message if isinstance(message, dict) and message.pop("lease", None) == self._lease else None

    def kill(self) -> int | None:
        """End the process at once. Returns its exit status if it was already dead; a signal's number is negative."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return None
        process.join(0.2)
        status = process.exitcode
        process.kill()
        process.join(5)
        return status


def _work(pipe: Connection, model: str, access: Access) -> None:
    """Take jobs and send messages until the pipe is closed."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the worker answers a Ctrl-C in the terminal
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(NICENESS)
    judge = Judge(model, access)
    while True:
        try:
            job = Job(**json.loads(pipe.recv_bytes()))
            send = partial(_send, pipe, job.lease)
            send(judge(job, send))
        except (EOFError, OSError):  # the worker has closed the pipe
            return


def _send(pipe: Connection, lease: str, message: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps({**message, "lease": lease}).encode())


def _end_with_parent() -> None:
    # A worker that is killed outright cannot end its processes.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


class Judge:
    """Runs the detector on one video after another and writes the results.

    Args:
        model: name or path of the model; loaded with the first video.
        access: how videos are opened.
    """

    def __init__(self, model: str, access: Access | None = None) -> None:
        self._model, self._access = model, access or Access(isolate=True)
        self._detector: Detector | None = None

    def __call__(self, job: Job, send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Judge one video. Returns the last message, whose `kind` is "extras" or "failure".

        Args:
            send: gets "progress" messages, and the "finding" as soon as there is a verdict: report and annotated video
                come after it, and what goes wrong with them cannot take it back.
        """
        try:
            return self._judge(job, send)
        except LrnetError as error:
            return {"kind": "failure", **_failure(job, error)}
        except ConnectionError:  # the worker has closed the pipe
            raise
        except Exception as error:
            return {"kind": "failure", **_failure(job, InternalError.of(error, display_name(job.name)))}

    def _judge(self, job: Job, send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        from lrnet.detector import Detector
        from lrnet.report.evidence_bundle import write_bundle
        from lrnet.report.examination import Examination
        from lrnet.report.explain import Explainer
        from lrnet.report.html import pictures_and_clips, write_html
        from lrnet.report.json_report import to_document
        from lrnet.report.overlay import write_overlay

        if self._detector is None:
            send({"kind": "progress", "stage": "loading"})
            self._detector = Detector(self._model)
        bundle = self._detector.bundle
        messages, access = ProgressMessages(send), self._access
        about = Examination.of(case=job.case, examiner=job.examiner, notes=job.notes)
        failed: dict[str, str] = {}
        with _called(job) as name:
            result = self._detector.detect(name, progress=messages, keep_sequences=True, access=access)
            send({"kind": "finding", **_finding(result, bundle, about)})
            messages.stage("report")
            explanations: tuple[FaceExplanation, ...] = ()
            with _forgiven(failed, "explanation"):
                explanations = Explainer(bundle).explain(result)
            shown = None
            with _forgiven(failed, REPORT):
                shown = pictures_and_clips(result, bundle, explanations, access=access)
                write_html(result, bundle, REPORT, explanations=explanations, examination=about, shown=shown)
            with _forgiven(failed, BUNDLE):
                write_bundle(
                    result,
                    bundle,
                    BUNDLE,
                    about,
                    access=access,
                    explanations=explanations,
                    with_pdf=job.pdf,
                    shown=shown,
                )
            if job.overlay:
                messages.stage("drawing")
                with _forgiven(failed, OVERLAY):
                    write_overlay(result, OVERLAY, progress=messages, access=access)
        document = to_document(result, bundle, explanations, about).model_dump_json()
        return {"kind": "extras", "document": document, "extras_failed": failed}


@contextmanager
def _called(job: Job) -> Iterator[str]:
    """Work in the folder of the results, where the video has the name that the client gave it.

    Then neither the report nor an error message holds a path of this machine.
    """
    link = Path(file_name(job.name))
    try:
        Path(job.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chdir(job.folder)
        link.symlink_to(job.video)
    except OSError as error:
        raise OutputError(
            f"The results cannot be written ({error.strerror}).", hint="Ask the operator to make room, and try again."
        ) from error
    try:
        yield link.name
    finally:
        link.unlink(missing_ok=True)


@contextmanager
def _forgiven(failed: dict[str, str], name: str) -> Iterator[None]:
    """Note an error of the block in `failed` and go on."""
    try:
        yield
    except ConnectionError:
        raise
    except Exception as error:
        failed[name] = error.what if isinstance(error, LrnetError) else f"{type(error).__name__}: {error}"


def _finding(result: VideoResult, bundle: ModelBundle, about: Examination) -> dict[str, Any]:
    from lrnet.report.json_report import to_document
    from lrnet.verdict import is_held_back

    document = to_document(result, bundle, (), about)
    return {
        "verdict": str(document.verdict.state),
        "probability": document.verdict.probability,
        "held_back": is_held_back(result.verdict.state, result.verdict.reasons),
        "score": document.verdict.score,
        "faces": len(document.faces),
        "model": f"{document.model.name} {document.model.version}",
        "summary": summary_of(document.model_dump(mode="json")),
        "document": document.model_dump_json(),
        "extras_failed": {},
    }


class ProgressMessages:
    """Turns the detector's progress into messages; each message repeats the latest clips."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send_message = send
        self._now: dict[str, Any] = {}
        self._clips: list[dict[str, Any]] = []

    def __call__(self, step: Progress) -> None:
        self._clips += [
            {
                "face": s.face,
                "start": round(s.clip.start, 3),
                "stop": round(s.clip.stop, 3),
                "score": _score(s.clip.score),
            }
            for s in step.scored
        ]
        self._clips = self._clips[-CLIPS_SHOWN:]
        self._now.update(
            stage=step.stage, frames=step.frames, time=round(step.time, 3), duration=step.duration, clips=step.clips
        )
        if step.stage != "drawing":  # drawing looks for no faces
            self._now["faces"] = step.faces
        self._send()

    def stage(self, stage: str) -> None:
        """A stage begins."""
        self._now.update(stage=stage, frames=0, time=0.0)
        self._send()

    def _send(self) -> None:
        self._send_message({"kind": "progress", **self._now, "scored": self._clips})


def _score(value: float) -> float | None:
    return round(value, 4) if value == value else None  # JSON has no NaN


def _failure(job: Job, error: LrnetError) -> dict[str, Any]:
    from lrnet.report.json_report import to_failure

    part = to_failure(display_name(job.name), error)
    return {"error": part.error, "message": part.message, "hint": part.hint}


def display_name(name: str) -> str:
    """A client's file name as it may be shown: without folders and control characters, at most 200 characters."""
    last = re.split(r"[/\\]", name)[-1]
    shown = "".join(c for c in last if unicodedata.category(c)[0] not in "CZ" or c == " ").strip()
    return _shortened(shown, 200, len) or "video"


def file_name(name: str) -> str:
    """A name for a link to a video, as much like `display_name` as is safe.

    It begins with neither a dot nor a hyphen, has no character that FFmpeg gives a meaning, and is never a result's.
    """
    plain = re.sub(r"[:%*?|]", "_", display_name(name)).lstrip(". -") or "video"
    plain = _shortened(plain, 200, lambda text: len(text.encode()))
    return f"video {plain}" if plain in (REPORT, OVERLAY, BUNDLE) else plain


def _shortened(name: str, size: int, length: Callable[[str], int]) -> str:
    """Cut a name to a length, before its extension."""
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10 or not extension.isalnum():
        stem, dot, extension = name, "", ""
    while length(stem + dot + extension) > size:
        stem = stem[:-1]
    return stem + dot + extension
