"""The whole chain: a video file in, typed verdicts out, streaming."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final, Literal

from lrnet.appearance.crops import CROP_EVERY, crop_face
from lrnet.appearance.network import AppearanceNetwork
from lrnet.errors import ModelError
from lrnet.faces import Landmarker, landmarker
from lrnet.faces.look import LOOK_EVERY, look_at
from lrnet.faces.tracker import FaceTracker, FrameFaces, TrackSettings
from lrnet.machine import cores
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import DEFAULT_MODEL, load_model
from lrnet.network.runtime import NetworkRuntime
from lrnet.sequence.builder import SequenceBuilder
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.sequence.settings import Preprocessing
from lrnet.verdict import (
    HOLD_BACK,
    INFLATING,
    ClipScore,
    Coverage,
    FaceVerdict,
    Judge,
    Reason,
    VideoVerdict,
    score_clips,
)
from lrnet.verdict.running import WINDOW, RunningJudge, RunningVerdict
from lrnet.version import __version__
from lrnet.video.custody import custody
from lrnet.video.frame import Frame, VideoInfo
from lrnet.video.isolation import open_video
from lrnet.video.limits import Access, Excess
from lrnet.video.pipeline import Pipeline, StageTime, Stopwatch
from lrnet.video.reader import DECODE_AHEAD, Reader
from lrnet.video.spacing import spaced


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
        frames_read: frames decoded. `frames_examined`: those left by the model's frame rate.
        frames_repeated: frames left out because they repeat the one before.
        seconds_examined: presentation time of the last frame.
        damaged_packets: packets that could not be decoded, and frames that the decoder had to patch; left out.
        verdict: of the video.
        faces: of each face, by number.
        model, model_version, model_hash: of the bundle; the hash covers its description and its files.
        lrnet_version: of this package.
        elapsed: wall-clock seconds.
        stages: what decoding, landmarks, calibration and network took; FFmpeg's own threads are not in them.
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
    sequences: tuple[LandmarkSequence, ...] = field(default=(), repr=False)

    @property
    def appearance(self) -> bool:
        """Whether pixels of a face took part in the verdict, beside motion."""
        return any(face.appearance_ratio is not None for face in self.faces)


@dataclass(frozen=True, slots=True)
class PersonSeen:
    """Somebody came into view for long enough to be told from others: `face` is their number, from 1."""

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


@dataclass(frozen=True, slots=True)
class Examined:
    """A frame that has gone through landmarks and calibration.

    Attributes:
        index, time: the frame's.
        faces: numbers of the faces seen in it.
        ended: sequences that ended before this frame.
        crowded: there were more faces than are followed.
        going_on: the sequences so far, where it is time for a look at them; None between looks.
    """

    index: int
    time: float
    faces: tuple[int, ...]
    ended: tuple[LandmarkSequence, ...]
    crowded: bool = False
    going_on: tuple[LandmarkSequence, ...] | None = None


def landmark_sequences(
    frames: Iterable[Frame],
    finder: Landmarker,
    preprocessing: Preprocessing,
    tracks: TrackSettings | None = None,
) -> Iterator[LandmarkSequence]:
    """Every face's calibrated sequences, each as soon as it ends.

    A face that stays longer than `preprocessing.max_sequence_seconds` gives several sequences, so that memory does not
    grow with the video.

    Args:
        frames: in order; thin them out with `lrnet.video.spacing.spaced` first.
    """
    for step in examine(frames, finder, preprocessing, tracks):
        yield from step.ended


def examine(
    frames: Iterable[Frame],
    finder: Landmarker,
    preprocessing: Preprocessing,
    tracks: TrackSettings | None = None,
    pipeline: Pipeline | None = None,
    *,
    crops: bool = False,
    every: float | None = None,
) -> Iterator[Examined]:
    """`landmark_sequences`, with a word on each frame; sequences that last to the end come after the last frame.

    Args:
        frames: in order; thin them out with `lrnet.video.spacing.spaced` first.
        pipeline: where landmarks and calibration run as stages of their own; on the caller's thread if not given.
        crops: whether crops of the faces are taken.
        every: seconds between looks at the sequences so far (`Examined.going_on`); None for no looks.
    """
    pipeline = pipeline or Pipeline(threads=1)
    faces = pipeline.stage("landmarks", FaceTracker(finder, tracks, pipeline).run(frames))
    return pipeline.stage("calibration", Sequencer(preprocessing, pipeline, crops=crops, every=every).run(faces))


class Sequencer:
    """What the tracker saw in, calibrated sequences out: one `SequenceBuilder` for each face that is being followed.

    Args:
        pipeline: on whose threads several faces of a frame are calibrated side by side.
        sides: side of the crop of each face by number, frame pixels, where it is known beforehand.
        crops: whether crops of the faces are taken, for appearance.
        every: as in `examine`.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        pipeline: Pipeline,
        sides: Mapping[int, float] | None = None,
        *,
        crops: bool = False,
        every: float | None = None,
    ) -> None:
        self._preprocessing = preprocessing
        self._longest = preprocessing.max_sequence_seconds
        self._crops = crops
        self._sides = sides or {}
        self._pipeline = pipeline
        self._builders: dict[int, SequenceBuilder] = {}
        self._started: dict[int, float] = {}
        self._looked: dict[int, float] = {}
        self._cropped: dict[int, float] = {}
        self._stretch = 0
        self._every = every
        self._looked_at: float | None = None

    def run(self, frames: Iterable[FrameFaces]) -> Iterator[Examined]:
        """`add` for each of `frames`, then `finish` as one more."""
        last = Examined(-1, 0.0, (), ())
        for faces in frames:
            last = self.add(faces)
            yield last
        yield Examined(last.index, last.time, (), self.finish())

    def add(self, faces: FrameFaces) -> Examined:
        """Take the next frame."""
        frame = faces.frame
        over = faces.ended
        if frame.stretch != self._stretch:  # frames were left out: nothing follows on what came before
            self._stretch, over = frame.stretch, tuple(self._builders)
        ended = [self._end(number) for number in over if number in self._builders]
        for number in faces.seen:
            if number in self._builders and frame.time - self._started[number] >= self._longest:
                ended.append(self._end(number))
            if number not in self._builders:
                side = self._sides.get(number)
                self._builders[number] = SequenceBuilder(number, self._preprocessing, side=side)
                self._started[number] = frame.time
                self._looked[number] = self._cropped[number] = -math.inf

        def add(number: int) -> None:
            seen = faces.seen[number]
            self._builders[number].add(frame.luma, seen.landmarks, seen.confidence, frame.index, frame.time)
            if frame.time - self._looked[number] >= LOOK_EVERY:
                self._looked[number] = frame.time
                self._builders[number].add_look(look_at(frame, seen.landmarks), frame.time)
            if self._crops and frame.time - self._cropped[number] >= CROP_EVERY:
                self._cropped[number] = frame.time
                crop = crop_face(frame, seen.landmarks)
                if crop is not None:
                    self._builders[number].add_crop(crop, frame.time)

        self._pipeline.each(add, list(faces.seen))
        for number in faces.missing:
            if number in self._builders:
                self._builders[number].add_gap(frame.index, frame.time)
        going_on = self._so_far() if self._is_time(frame.time) else None
        return Examined(frame.index, frame.time, tuple(faces.seen), tuple(ended), faces.crowded, going_on)

    def _end(self, number: int) -> LandmarkSequence:
        for known in (self._started, self._looked, self._cropped):  # memory must not grow with the number of tracks
            del known[number]
        return self._builders.pop(number).finish()

    def _is_time(self, time: float) -> bool:
        if self._every is None:
            return False
        if self._looked_at is None:
            self._looked_at = time
        due = time - self._looked_at >= self._every - 1e-6
        self._looked_at = time if due else self._looked_at
        return due

    def _so_far(self) -> tuple[LandmarkSequence, ...]:
        return tuple(builder.finish() for builder in self._builders.values())

    def finish(self) -> tuple[LandmarkSequence, ...]:
        """The sequences of all faces that are still being followed."""
        return self._so_far()


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
        self._finder = landmarker(spec.preprocessing.landmarker)
        if spec.preprocessing.landmarker_version not in ("any", self._finder.version):
            raise ModelError(
                f"Model {spec.name} was made for landmarks of {self._finder.name} version "
                f"{spec.preprocessing.landmarker_version}, and this is version {self._finder.version}.",
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
        return self._events(source, access or Access(), every=every, window=window)

    def _events(
        self,
        source: str | os.PathLike[str] | Reader,
        access: Access,
        *,
        progress: Callable[[Progress], None] | None = None,
        keep_sequences: bool = False,
        every: float | None = None,
        window: float = WINDOW,
    ) -> Iterator[Event]:
        tracks = self._tracks or TrackSettings(max_faces=access.limits.faces)
        live = RunningJudge(self.bundle, self._network, self._appearance, window=window) if every is not None else None
        teller = _Teller()
        if isinstance(source, Reader):
            count = _Counter(source, None)
            with source, Pipeline(self._threads, source.waiting) as pipeline:
                decoded = pipeline.stage("waiting", iter(source))
                for step in self._steps(decoded, tracks, pipeline, every):
                    assert live is not None
                    live.add(step.ended)
                    if step.going_on is not None:
                        yield from teller.events(live.look(step.time, step.going_on, source.quantiser))
                    count.step(step)
            return
        began = perf_counter()
        judge = Judge(self.bundle, self._network, self._appearance)
        kept: list[LandmarkSequence] = []
        network = Stopwatch("network")
        with custody(source) as held:
            reading = open_video(source, access, threads=self._threads)
            count = _Counter(reading, progress)
            with reading as reader, Pipeline(self._threads, count.waiting) as pipeline:
                held.require_opened()
                if self._threads == 1:  # then it is this thread that decodes
                    reader.waiting = count.waiting
                decoded = pipeline.stage("decoding", reader.decode(), DECODE_AHEAD, reader.abort, patient=True)
                frames = spaced(decoded, self.bundle.spec.preprocessing.frame_rate)
                for step in self._steps(frames, tracks, pipeline, every):
                    if step.crowded:
                        reader.guard.note(Excess.FACES)
                    for sequence in step.ended:
                        if not sequence.valid.any():
                            continue
                        count.scored(sequence.face, network.time(judge.add, sequence))
                        if keep_sequences:
                            kept.append(sequence)
                    if live is not None:
                        live.add(step.ended)
                        if step.going_on is not None:
                            yield from teller.events(live.look(step.time, step.going_on, reader.quantiser))
                    count.step(step)
                count.finish()
                info, damaged, passed = reader.info, reader.damaged, tuple(reader.guard.passed)
                quantiser = reader.quantiser
            # A picture that is held to the end has been examined, though its repeats are no observations.
            shortfalls = tuple(_shortfalls(damaged, frames.time, info.duration, passed))
            if frames.repeated > STILL * count.frames_read:
                shortfalls = (Reason.NO_MOTION, *shortfalls)
            coverage = Coverage(frames.time, info.duration, shortfalls)
            faces, verdict = judge.verdict(quantiser, coverage)
            spec = self.bundle.spec
            result = VideoResult(
                path=os.fspath(source),
                sha256=held.sha256(),
                info=info,
                frames_read=count.frames_read,
                frames_examined=count.frames_examined,
                seconds_examined=count.time,
                damaged_packets=damaged,
                verdict=verdict,
                faces=faces,
                model=spec.name,
                model_version=spec.version,
                model_hash=self.bundle.content_hash,
                lrnet_version=__version__,
                elapsed=perf_counter() - began,
                frames_repeated=frames.repeated,
                stages=(*pipeline.times(), network.total),
                sequences=tuple(judge.numbered(kept)),
            )
        yield Finished(result)

    def _steps(
        self, frames: Iterable[Frame], tracks: TrackSettings, pipeline: Pipeline, every: float | None
    ) -> Iterator[Examined]:
        crops = self._appearance is not None
        preprocessing = self.bundle.spec.preprocessing
        return examine(frames, self._finder, preprocessing, tracks, pipeline, crops=crops, every=every)

    def score(self, sequence: LandmarkSequence) -> list[ClipScore]:
        """The score of each clip of a sequence, in order of time; none if no run of frames is long enough."""
        return score_clips(self._network, sequence, self.bundle.spec.preprocessing.clips)


class _Teller:
    """Events of one look after the other; knows only the people of the last look."""

    def __init__(self) -> None:
        self._told: dict[int, float] = {}
        self._doubts: dict[int, tuple[Reason, ...]] = {}

    def events(self, running: RunningVerdict) -> Iterator[Event]:
        told, doubts = self._told, self._doubts
        self._told, self._doubts = {}, {}
        for person in running.faces:
            number, verdict = person.face, person.verdict
            if number not in told:
                yield PersonSeen(number, verdict.start)
            until = told.get(number, -math.inf)
            # The last clip of a track that goes on ends with its last frame, wherever the next one will.
            whole = [clip for clip in verdict.clips if clip.stop > until]
            if whole and whole[-1].stop >= running.time - 1e-6:
                del whole[-1]
            for clip in whole:
                yield ClipScored(number, clip)
            self._told[number] = max((clip.stop for clip in whole), default=until)
            found = tuple(r for r in verdict.reasons if r in (HOLD_BACK | INFLATING) - {Reason.SHORT})
            if found != doubts.get(number, ()):
                yield QualityWarning(number, running.time, found)
            self._doubts[number] = found
        yield running


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


TELL_EVERY: Final = 1.0  # seconds of video, or of waiting, whichever is over first


class _Counter:
    """Counts frames on their way through and tells of progress."""

    def __init__(self, reader: Reader, tell: Callable[[Progress], None] | None) -> None:
        self._reader = reader
        self._tell = tell
        self._told = (-float("inf"), 0.0)
        self._faces = 0
        self._scored: list[ClipOfTrack] = []
        self._clips = 0
        self._index = -1
        self.frames_examined = 0
        self.time = 0.0

    @property
    def frames_read(self) -> int:
        return self._reader.frames

    def scored(self, face: int, clips: list[ClipScore]) -> None:
        self._clips += len(clips)
        if self._tell is not None:
            self._scored += [ClipOfTrack(face, clip) for clip in clips]

    def step(self, step: Examined) -> None:
        if step.index > self._index:  # what comes after the last frame is no frame
            self.frames_examined += 1
        self._index, self.time = step.index, step.time
        self._faces = max(self._faces, *(number + 1 for number in step.faces), 0)
        now = perf_counter()
        if self._scored or step.time - self._told[0] >= TELL_EVERY or now - self._told[1] >= TELL_EVERY:
            self._told = (step.time, now)
            self._say("examining")

    def waiting(self) -> None:
        """Nothing new for a second."""
        self._told = (self.time, perf_counter())
        self._say("examining")

    def finish(self) -> None:
        self._say("examined")

    def _say(self, stage: Literal["examining", "examined"]) -> None:
        if self._tell is None:
            return
        new, self._scored = tuple(self._scored), []
        frames = self.frames_read if stage == "examined" else self._index + 1
        self._tell(Progress(frames, self.time, self._reader.info.duration, self._clips, self._faces, new, stage))
