"""From a video's landmark sequences to what may be said of each person and of the video."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lrnet.appearance.network import AppearanceNetwork
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.verdict.evidence import TELLS, Rules, appearance_ratio, joint_ratio, log_ratio, pooled_ratio, probability_of
from lrnet.verdict.people import LooksOfStretch, parts_of, people_of_stretches
from lrnet.verdict.quality import InputQuality, QualityMeter
from lrnet.verdict.reasons import HOLD_BACK, INCOMPLETE, Reason, State, band, held_back, is_held_back
from lrnet.verdict.scores import ClipScore, CropScore, aggregate, score_clips

LEAST_JUDGED: Final = 0.5
"""Share of the time with a face in view, and of the video's duration, that `no_evidence_of_manipulation` rests on."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One person followed without a break: a track, or the part of one that shows the same person throughout.

    Attributes:
        start, stop: seconds of its first and last frame.
        clips: each clip's score, in order of time.
        quality: of the material.
        score: the clips' scores, aggregated; None without a clip.
        log_ratio: how much both witnesses speak for a fake (`lrnet.verdict.evidence`); None if the stretch was not
            judged.
        doubts: why it was not judged, or what weakens its score.
        crops: each crop's logit, in order of time; () where appearance takes no part.
        motion_ratio, appearance_ratio: how much each witness alone speaks for a fake; None if it was not asked.
    """

    start: float
    stop: float
    clips: tuple[ClipScore, ...]
    quality: InputQuality
    score: float | None = None
    log_ratio: float | None = None
    doubts: tuple[Reason, ...] = ()
    crops: tuple[CropScore, ...] = ()
    motion_ratio: float | None = None
    appearance_ratio: float | None = None

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.stop - self.start

    @property
    def judged(self) -> bool:
        """Whether it takes part in the person's verdict."""
        return self.log_ratio is not None


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """What may be said of one person.

    Attributes:
        face: number of the person, from 1, in the order in which they come into view.
        start, stop: seconds of the person's first and last frame.
        state: the verdict.
        probability: calibrated probability of fake; None if nothing was scored or the model is not calibrated.
        score: the clips' scores, aggregated as the model says; None if nothing was scored.
        clips: each clip's score, in order of time.
        reasons: why.
        quality: of the material that was judged.
        stretches: when the person is in view, in order of time.
        log_ratio: how much both witnesses speak for a fake; None if nothing was scored.
        motion_ratio, appearance_ratio: how much each witness alone speaks for a fake; None if it was not asked.
    """

    face: int
    start: float
    stop: float
    state: State
    probability: float | None
    score: float | None
    clips: tuple[ClipScore, ...]
    reasons: tuple[Reason, ...]
    quality: InputQuality
    stretches: tuple[Stretch, ...] = ()
    log_ratio: float | None = None
    motion_ratio: float | None = None
    appearance_ratio: float | None = None

    @property
    def crops(self) -> tuple[CropScore, ...]:
        """Each crop's logit, in order of time; () where appearance takes no part."""
        return tuple(crop for s in self.stretches for crop in s.crops)

    @property
    def seconds(self) -> float:
        """Seconds in view."""
        return sum(s.seconds for s in self.stretches)

    @property
    def seconds_judged(self) -> float:
        """Seconds that the verdict rests on."""
        return sum(s.seconds for s in self.stretches if s.judged)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a video was examined.

    Attributes:
        seconds: of the video that were examined, without what was lost to damage or lies between stretches.
        duration: seconds that the file has by its header; None if unknown.
        reasons: what kept the rest from being examined (damage, limits).
    """

    seconds: float
    duration: float | None = None
    reasons: tuple[Reason, ...] = ()

    @property
    def minor(self) -> bool:
        """Whether less than half was examined."""
        return self.duration is not None and self.seconds < LEAST_JUDGED * self.duration


@dataclass(frozen=True, slots=True)
class VideoVerdict:
    """What may be said of a video: of everybody in it together.

    Attributes:
        probability: calibrated probability that anybody in it is fake, supposing as many fake videos as real ones.
        score: of the person that decides.
        face: number of the person that decides; None if there is none.
        moment: seconds (start, stop) of that person's most suspicious stretch; None without a score.
        coverage: how much of the video was examined; None if that is not known.
        log_ratio: how much the scores of all people together speak for a fake; None if nothing was scored.
    """

    state: State
    probability: float | None
    score: float | None
    reasons: tuple[Reason, ...]
    face: int | None
    moment: tuple[float, float] | None = None
    coverage: Coverage | None = None
    log_ratio: float | None = None


@dataclass(slots=True)
class _Open:
    """What is known so far of one stretch."""

    track: int
    meter: QualityMeter = field(default_factory=QualityMeter)
    clips: list[ClipScore] = field(default_factory=list)
    looks: LooksOfStretch = field(default_factory=LooksOfStretch)
    crops: list[CropScore] = field(default_factory=list)


class Judge:
    """Scores a video's sequences as they end, and says at the end what may be said of its people and of the video.

    Args:
        bundle: the model.
        runtime: its network, where it is loaded already.
        appearance: its appearance network, where it is loaded already.

    Example:
        ```python
        judge = Judge(bundle)
        for sequence in sequences:
            clips = judge.add(sequence)
        people, video = judge.verdict(quantiser=reader.quantiser)
        ```
    """

    def __init__(
        self,
        bundle: ModelBundle,
        runtime: NetworkRuntime | None = None,
        appearance: AppearanceNetwork | None = None,
    ) -> None:
        self._rules = Rules.of(bundle.spec)
        self._appearance = appearance or AppearanceNetwork.of(bundle)
        self._runtime = runtime or NetworkRuntime(bundle)
        self._cutting = bundle.spec.preprocessing.clips
        self._stretches: list[_Open] = []
        self._numbers: dict[int, int] = {}
        self._tracks: list[frozenset[int]] = []

    def add(self, sequence: LandmarkSequence) -> list[ClipScore]:
        """Take one track's next sequence; its clips' scores, in order of time."""
        new: list[ClipScore] = []
        for part in parts_of(sequence):
            if not part.valid.any():
                continue
            stretch = self._stretch_of(part)
            clips = score_clips(self._runtime, part, self._cutting)
            stretch.meter.add(part)
            stretch.clips += clips
            stretch.looks.add(part)
            if self._appearance is not None and part.crops is not None and part.crop_times is not None:
                logits = self._appearance.logits(part.crops)
                stretch.crops += map(CropScore, part.crop_times.tolist(), logits.tolist())
            new += clips
        return new

    def verdict(
        self, quantiser: float | None = None, coverage: Coverage | None = None
    ) -> tuple[tuple[FaceVerdict, ...], VideoVerdict]:
        """The verdict on each person, by number, and on the video.

        Args:
            quantiser: of the video (`lrnet.video.reader.Reader`); None if unknown.
            coverage: how much of it was examined.
        """
        return judge_people(self.people(quantiser), self._rules, coverage)

    def people(self, quantiser: float | None = None) -> list[list[Stretch]]:
        """The stretches of each person, scored and not yet judged, in order of first sight."""
        stretches = [
            Stretch(
                s.meter.start,
                s.meter.stop,
                tuple(sorted(s.clips, key=lambda clip: clip.start)),
                s.meter.quality(quantiser),
                crops=tuple(s.crops),
            )
            for s in self._stretches
        ]
        looks = [(s.meter.start, s.meter.stop, s.looks) for s in self._stretches]
        people = people_of_stretches(looks)
        self._numbers = {i: number for number, person in enumerate(people, start=1) for i in person}
        self._tracks = [frozenset(self._stretches[i].track for i in person) for person in people]
        return [[stretches[i] for i in person] for person in people]

    def tracks(self) -> list[frozenset[int]]:
        """The numbers of each person's tracks; call it after `verdict`."""
        return self._tracks

    def numbered(self, sequences: Iterable[LandmarkSequence]) -> list[LandmarkSequence]:
        """Sequences that were added, with the person's number in place of the track's; call it after `verdict`.

        One that passes from one person to another is cut there.
        """
        found = []
        for part in (part for sequence in sequences for part in parts_of(sequence)):
            start = float(part.times[0])
            for i, stretch in enumerate(self._stretches):
                if stretch.track == part.face and stretch.meter.start <= start <= stretch.meter.stop:
                    found.append(replace(part, face=self._numbers[i]))
                    break
        return found

    def _stretch_of(self, part: LandmarkSequence) -> _Open:
        """The stretch that `part` goes on with, or a new one."""
        last = next((s for s in reversed(self._stretches) if s.track == part.face), None)
        if last is None or not last.looks.goes_on_in(part):
            last = _Open(part.face)
            self._stretches.append(last)
        return last


def judge_people(
    people: Sequence[Sequence[Stretch]], rules: Rules, coverage: Coverage | None = None
) -> tuple[tuple[FaceVerdict, ...], VideoVerdict]:
    """The verdicts on people whose stretches have been scored, and on the video.

    Args:
        people: stretches of each, in order of time.
        rules: of the model; the clips' scores are taken as they are.
    """
    faces = tuple(judge_face(number, stretches, rules) for number, stretches in enumerate(people, start=1))
    video = judge_video(faces, rules, coverage)
    return tuple(_within(video, face) for face in faces), video


def _within(video: VideoVerdict, person: FaceVerdict) -> FaceVerdict:
    """The verdict on a person as it may stand below that on the video.

    Nobody is cleared where the video's verdict is held back or most of the video was not examined, and nobody is
    accused where the video is not: the rates of error that a model states are those of whole videos.
    """
    open_ = is_held_back(video.state, video.reasons) or Reason.MINOR_PART in video.reasons
    allowed = {State.NO_EVIDENCE: not open_, State.LIKELY_FAKE: video.state is State.LIKELY_FAKE}
    if allowed.get(person.state, True):
        return person
    causes = [r for r in video.reasons if r in INCOMPLETE and person.state is State.NO_EVIDENCE]
    others = [r for r in person.reasons if r not in _BANDS and r not in causes]
    return replace(person, state=State.INCONCLUSIVE, reasons=(*(causes or [Reason.WHOLE_VIDEO]), *others))


def judge_face(face: int, stretches: Sequence[Stretch], rules: Rules) -> FaceVerdict:
    """The verdict on one person."""
    stretches = tuple(_judge_stretch(stretch, rules) for stretch in sorted(stretches, key=lambda s: s.start))
    used = [s for s in stretches if s.judged]
    poor = not used
    if poor:  # nothing can be judged: say why of the longest stretch that has a score, or of the longest
        used = [max(stretches, key=lambda s: (bool(s.clips), s.seconds))]
    quality = InputQuality.pooled([s.quality for s in used])
    clips = tuple(clip for s in stretches for clip in s.clips)
    start, stop = min(s.start for s in stretches), max(s.stop for s in stretches)
    scored = [clip for s in used for clip in s.clips]
    if not scored:
        unable = (Reason.TOO_SHORT, *quality.reasons())
        return FaceVerdict(face, start, stop, State.UNABLE, None, None, clips, unable, quality, stretches)
    score = _aggregated(scored, rules)
    doubts = _doubts(scored, quality, rules)
    seconds = sum(s.seconds for s in used)
    motion = log_ratio(score, seconds, quality, rules)
    appearance = appearance_ratio([crop.logit for s in used for crop in s.crops], rules)
    ratio = joint_ratio(motion, appearance, rules)
    if not poor:
        ratio = pooled_ratio(ratio, [s.log_ratio for s in used if s.log_ratio is not None])
    probability = probability_of(ratio, rules)
    unjudged = sum(s.seconds for s in stretches if not s.judged)
    if not poor and unjudged > LEAST_JUDGED * (unjudged + seconds):
        doubts.append(Reason.UNJUDGED_STRETCHES)
    state, why = held_back(*band(probability, rules.thresholds), doubts)
    if appearance is not None and disagree(motion, appearance):
        doubts.append(Reason.WITNESSES_DISAGREE)
    reasons = (*why, *doubts)
    return FaceVerdict(
        face, start, stop, state, probability, score, clips, reasons, quality, stretches, ratio, motion, appearance
    )


def _judge_stretch(stretch: Stretch, rules: Rules) -> Stretch:
    quality, clips = stretch.quality, stretch.clips
    if not clips:
        return replace(stretch, score=None, log_ratio=None, doubts=(Reason.TOO_SHORT, *quality.reasons()))
    score, doubts = _aggregated(clips, rules), tuple(_doubts(clips, quality, rules))
    motion = log_ratio(score, stretch.seconds, quality, rules)
    appearance = appearance_ratio([crop.logit for crop in stretch.crops], rules)
    ratio = joint_ratio(motion, appearance, rules)
    return replace(
        stretch,
        score=score,
        log_ratio=ratio if HOLD_BACK.isdisjoint(doubts) else None,
        doubts=doubts,
        motion_ratio=motion,
        appearance_ratio=appearance,
    )


def disagree(motion: float, appearance: float) -> bool:
    """Whether one witness speaks for a fake and the other against it, each by `TELLS` or more."""
    return motion * appearance < 0 and min(abs(motion), abs(appearance)) >= TELLS


def _aggregated(clips: Sequence[ClipScore], rules: Rules) -> float:
    return aggregate([c.score for c in clips], [c.frames for c in clips], rules.aggregation)


def _doubts(clips: Sequence[ClipScore], quality: InputQuality, rules: Rules) -> list[Reason]:
    short = max(clip.frames for clip in clips) < rules.clip_length
    return [*quality.reasons(), *([Reason.SHORT] if short else [])]


_BANDS: Final[frozenset[Reason]] = frozenset(
    {Reason.ABOVE_THRESHOLD, Reason.BELOW_THRESHOLD, Reason.BETWEEN_THRESHOLDS, Reason.UNCALIBRATED}
)
_GRAVITY: Final = {State.LIKELY_FAKE: 3, State.INCONCLUSIVE: 2, State.NO_EVIDENCE: 1, State.UNABLE: 0}


def judge_video(people: Sequence[FaceVerdict], rules: Rules, coverage: Coverage | None = None) -> VideoVerdict:
    """The verdict on a video.

    The people who could be judged are weighed together: the log ratios of their scores give one, by the hypothesis that
    one of them, no matter which, is fake (`pooled_ratio`). As far as the ratios are calibrated, more people and shots
    do not raise the rate of false alarms; decision 28 has what was measured. Somebody who could not be judged does not
    outrank somebody who was, unless they fill most of the time.
    """
    extra = () if coverage is None else coverage.reasons
    if not people:
        return VideoVerdict(State.NOT_APPLICABLE, None, None, (Reason.NO_FACE, *extra), None, coverage=coverage)
    judged = [person for person in people if person.seconds_judged > 0]
    worst = max(judged or people, key=lambda p: (_GRAVITY[p.state] if not judged else 0, _ratio(p), p.seconds))
    reasons, state, probability, ratio = list(worst.reasons), worst.state, worst.probability, worst.log_ratio
    if judged:
        if len(judged) > 1:
            ratio = pooled_ratio(None, [p.log_ratio for p in judged if p.log_ratio is not None])
            probability = probability_of(ratio, rules)
        doubts: list[Reason] = [r for r in worst.reasons if r not in _BANDS and r is not Reason.UNJUDGED_STRETCHES]
        seconds, in_view = sum(p.seconds_judged for p in judged), sum(p.seconds for p in people)
        if seconds < LEAST_JUDGED * in_view:
            doubts.append(Reason.UNJUDGED_STRETCHES)
        if coverage is not None and coverage.minor:
            doubts.append(Reason.MINOR_PART)
        state, why = held_back(*band(probability, rules.thresholds), doubts)
        reasons = [*why, *doubts]
    return VideoVerdict(
        state,
        probability,
        worst.score,
        (*reasons, *extra),
        worst.face,
        _moment(worst),
        coverage,
        ratio,
    )


def _ratio(person: FaceVerdict) -> float:
    return -np.inf if person.log_ratio is None else person.log_ratio


def _moment(person: FaceVerdict) -> tuple[float, float] | None:
    """Seconds of the stretch with the highest score, of those that were judged if any was."""
    scores = [(s.log_ratio if s.log_ratio is not None else -np.inf, s.score, s) for s in person.stretches if s.score]
    if not scores:
        return None
    best = max(scores, key=lambda row: row[:2])[2]
    return best.start, best.stop
