"""The whole chain: a video file in, typed verdicts out, streaming."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Final

from lrnet.appearance.network import AppearanceNetwork
from lrnet.detector.events import Event, Finished, Progress, VideoResult
from lrnet.detector.examine import Examined, examine
from lrnet.detector.telling import Counter, Teller
from lrnet.errors import ModelError
from lrnet.faces import landmarker
from lrnet.faces.tracker import TrackSettings
from lrnet.machine import cores
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import DEFAULT_MODEL, load_model
from lrnet.network.runtime import NetworkRuntime
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict import ClipScore, Coverage, Judge, Reason, score_clips
from lrnet.verdict.running import WINDOW, RunningJudge
from lrnet.version import __version__
from lrnet.video.custody import custody
from lrnet.video.frame import Frame
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access, Excess
from lrnet.video.pipeline import Pipeline, Stopwatch
from lrnet.video.reader import DECODE_AHEAD, Reader
from lrnet.video.spacing import spaced


class Detector:
    """Judges videos with one model. Not safe to share between threads; make one for each.

    Args:
        model: name of a model (`lrnet models list`), path of a bundle, or a loaded bundle.
        tracks: how faces are looked for.
        threads: how many threads may work on a video side by side; as many as there are cores if not given. With 1
            everything runs on the caller's thread: less work in all, for where there are as many videos as cores.

    Raises:
        ModelError: the model is unknown, damaged, or made for landmarks that this version does not produce.

    Example:
        ```python
        result = Detector().detect("clip.mp4")
        for face in result.faces:
            print(face.face, face.state, face.probability)
        ```
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | ModelBundle = DEFAULT_MODEL,
        *,
        tracks: TrackSettings | None = None,
        threads: int | None = None,
    ) -> None:
        self.bundle = (
            model
            if isinstance(model, ModelBundle)
            else load_model(Path(model) if isinstance(model, os.PathLike) else model)
        )
        self._network = NetworkRuntime(self.bundle)
        self._appearance = AppearanceNetwork.of(self.bundle)
        self._tracks = tracks
        self._threads = cores() if threads is None else threads
        spec = self.bundle.spec
        self._landmarker = landmarker(spec.preprocessing.landmarker)
        if spec.preprocessing.landmarker_version not in ("any", self._landmarker.version):
            raise ModelError(
                f"Model {spec.name} was made for landmarks of {self._landmarker.name} version "
                f"{spec.preprocessing.landmarker_version}, and this is version {self._landmarker.version}.",
                hint="Use the model that came with this version of lrnet, or train it again.",
            )

    def detect(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Callable[[Progress], None] | None = None,
        keep_sequences: bool = False,
        access: Access | None = None,
    ) -> VideoResult:
        """Judge one video.

        Args:
            path: of the file.
            progress: called on this thread about once a second of video, and of waiting for another thread or process
                (once the video is open), when clips have been scored, and once when all frames have been examined. What
                it raises ends the work and comes out of here, when nothing of this video is running any more: the way
                to cancel.
            keep_sequences: keep the landmarks of all faces in the result (about 2 kB a frame and face).
            access: how it may be opened and what it may ask for; the default limits, in this process, if not given.

        Raises:
            VideoError: it cannot be read (see `lrnet.video.isolation.open_video`), or was changed meanwhile.
        """
        events = self._events(path, access or Access(), progress=progress, keep_sequences=keep_sequences)
        return next(event.result for event in events if isinstance(event, Finished))

    def stream(
        self,
        source: str | os.PathLike[str] | Reader,
        *,
        every: float = 1.0,
        window: float = WINDOW,
        access: Access | None = None,
    ) -> Iterator[Event]:
        """Judge a video while it is read: people, clips and running verdicts as they come, `Finished` at the end.

        Running verdicts are on the last `window` seconds, and are `likely_fake` only by the sequential rule (see
        `lrnet.verdict.running`). A clip's score may still change a little while its track goes on, since landmarks are
        scaled by the whole track; the result at the end is that of `detect`, to the bit. Closing the iterator ends the
        work.

        Args:
            source: path or address; or a reader of an endless source (`lrnet.video.live`), of which nothing is kept
                beyond the window and no `Finished` comes.
            every: seconds of video between two looks.
            window: seconds that a running verdict looks back.
            access: as in `detect`.

        Raises:
            VideoError: as `detect`.

        Example:
            ```python
            for event in Detector().stream("clip.mp4"):
                if isinstance(event, RunningVerdict):
                    print(event.time, [(face.face, face.probability) for face in event.faces])
            ```
        """
        access = access or Access()
        if isinstance(source, Reader):
            return self._endless(source, access, every, window)
        return self._events(source, access, live=self._running(window), every=every)

    def _endless(self, source: Reader, access: Access, every: float, window: float) -> Iterator[Event]:
        """The events of a source that has no end."""
        live, teller, count = self._running(window), Teller(), Counter(source, None)
        with source, Pipeline(self._threads, source.waiting) as pipeline:
            frames = pipeline.stage("waiting", iter(source), abort=source.abort)
            for step in self._steps(frames, access, pipeline, every):
                yield from _looks(live, teller, step, source)
                count.step(step)

    def _events(
        self,
        source: str | os.PathLike[str],
        access: Access,
        *,
        progress: Callable[[Progress], None] | None = None,
        keep_sequences: bool = False,
        live: RunningJudge | None = None,
        every: float | None = None,
    ) -> Iterator[Event]:
        """The events of a file: those of `live` at each look if there is one, and the result."""
        teller = Teller()
        began = perf_counter()
        judge = Judge(self.bundle, self._network, self._appearance)
        kept: list[LandmarkSequence] = []
        network = Stopwatch("network")
        with custody(source) as held:
            reading = open_video(source, access, threads=self._threads)
            count = Counter(reading, progress)
            with reading as reader, Pipeline(self._threads, count.waiting) as pipeline:
                held.require_opened()
                if self._threads == 1:  # then it is this thread that decodes
                    reader.waiting = count.waiting
                decoded = pipeline.stage("decoding", reader.decode(), DECODE_AHEAD, reader.abort, patient=True)
                frames = spaced(decoded, self.bundle.spec.preprocessing.frame_rate)
                for step in self._steps(frames, access, pipeline, every):
                    if step.crowded:
                        reader.guard.note(Excess.FACES)
                    for sequence in step.ended:
                        if not sequence.valid.any():
                            continue
                        count.scored(sequence.face, network.time(judge.add, sequence))
                        if keep_sequences:
                            kept.append(sequence)
                    if live is not None:
                        yield from _looks(live, teller, step, reader)
                    count.step(step)
                count.finish()
                info, damaged, passed = reader.info, reader.damaged, tuple(reader.guard.passed)
                quantiser = reader.quantiser
            # A picture that is held to the end has been examined, though its repeats are no observations.
            still = frames.repeated > STILL * count.frames_read
            holes = damaged or Excess.SHARE in passed
            seconds = min(frames.seconds, info.duration or frames.seconds) if holes else frames.time
            shortfalls = tuple(_shortfalls(damaged, seconds, info.duration, passed))
            coverage = Coverage(seconds, info.duration, shortfalls)
            faces, verdict = judge.verdict(quantiser, coverage)
            if still and not any(face.seconds_judged for face in faces):
                verdict = replace(verdict, reasons=(*verdict.reasons, Reason.NO_MOTION))
            spec = self.bundle.spec
            result = VideoResult(
                path=os.fspath(source),
                sha256=held.sha256(),
                info=info,
                frames_read=count.frames_read,
                frames_examined=count.frames_examined,
                seconds_examined=frames.time,
                damaged_packets=damaged,
                verdict=verdict,
                faces=faces,
                model=spec.name,
                model_version=spec.version,
                model_hash=self.bundle.content_hash,
                lrnet_version=__version__,
                elapsed=perf_counter() - began,
                frames_repeated=frames.repeated,
                limits=access.limits,
                stages=(*pipeline.times(), network.total),
                sequences=tuple(judge.numbered(kept)),
            )
        yield Finished(result)

    def _running(self, window: float) -> RunningJudge:
        return RunningJudge(self.bundle, self._network, self._appearance, window=window)

    def _steps(
        self, frames: Iterable[Frame], access: Access, pipeline: Pipeline, every: float | None
    ) -> Iterator[Examined]:
        tracks = self._tracks or TrackSettings(max_faces=access.limits.faces)
        crops = self._appearance is not None
        preprocessing = self.bundle.spec.preprocessing
        return examine(frames, self._landmarker, preprocessing, tracks, pipeline, crops=crops, every=every)

    def score(self, sequence: LandmarkSequence) -> list[ClipScore]:
        """The score of each clip of a sequence, in order of time; none if no run of frames is long enough."""
        return score_clips(self._network, sequence, self.bundle.spec.preprocessing.clips)


def _looks(live: RunningJudge, teller: Teller, step: Examined, reader: Reader) -> Iterator[Event]:
    live.add(step.ended)
    if step.going_on is not None:
        yield from teller.events(live.look(step.time, step.going_on, reader.quantiser))


STILL: Final = 0.9  # share of frames that repeat the one before, above which a video is a still picture

_PASSED: Final = {
    Excess.FRAME_RATE: Reason.RATE_LIMIT,
    Excess.DURATION: Reason.DURATION_LIMIT,
    Excess.FRAMES: Reason.FRAME_LIMIT,
    Excess.FACES: Reason.FACE_LIMIT,
    Excess.MEGAPIXELS: Reason.RESOLUTION_LIMIT,
    Excess.DECODE_SECONDS: Reason.TIME_LIMIT,
    Excess.SHARE: Reason.SHARE_LIMIT,
}


def _shortfalls(damaged: int, examined: float, declared: float | None, passed: Sequence[Excess] = ()) -> list[Reason]:
    """What kept the whole video from being examined; a header may round its duration up by a second."""
    reasons = [Reason.DAMAGED] if damaged else []
    if passed or (declared is not None and examined < 0.95 * declared - 1.0):
        reasons.append(Reason.PARTLY_EXAMINED)
    return reasons + [_PASSED[excess] for excess in passed]


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
