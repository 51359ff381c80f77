"""How much of a video is examined at most, and how a file may be opened.

Limits are checked against a file's header and again while decoding, because headers can be wrong. A file that is too
large, or whose frames are, is refused. Past any other limit the video is examined up to there and the verdict says so,
or it is refused (`Limits.refuse`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from math import isfinite
from typing import Final

from lrnet.errors import LimitError, UsageError


class Excess(StrEnum):
    """The limit that a video passed; each is the name of a field of `Limits`."""

    FRAME_RATE = "frame_rate"
    DURATION = "duration"
    FRAMES = "frames"
    FACES = "faces"
    MEGAPIXELS = "megapixels"
    DECODE_SECONDS = "decode_seconds"
    SHARE = "share"


STRETCH: Final = 4.0  # seconds: where only a share of a video is examined, it is in stretches of this length


@dataclass(frozen=True, slots=True)
class Limits:
    """What a video may ask for.

    Attributes:
        file_megabytes: size of the file, 10^6 bytes. A larger one is refused.
        megapixels: of a frame, 10^6. A header that declares more is refused; the first larger frame ends the reading.
        frame_rate: frames a second; frames that come faster are decoded and left out.
        duration: seconds of presentation time.
        frames: decoded at most.
        faces: followed at once; the largest come first.
        decode_seconds: that decoding may take, waiting for other stages not counted.
        stall_seconds: that an isolated decoder may work on one frame before it is ended.
        memory_megabytes: that an isolated decoder may take, 10^6 bytes.
        share: of the video's time that is examined, 0 to 1: stretches of `STRETCH` seconds at even distances, the first
            at the start. What lies between is decoded and left out. It is a choice: nothing is refused for it.
        refuse: past a limit, refuse the video instead of examining what lies within.
    """

    file_megabytes: float = 8000
    megapixels: float = 36  # 8K UHD has 33.2
    frame_rate: float = 240
    duration: float = 4 * 3600
    frames: int = 1_000_000
    faces: int = 8
    decode_seconds: float = 3600
    stall_seconds: float = 60
    memory_megabytes: float = 2000
    share: float = 1.0
    refuse: bool = False

    def __post_init__(self) -> None:
        for name, value in self.numbers().items():
            if not (isfinite(value) and value > 0):
                raise UsageError(f"The limit {name} is {value:g}.", hint="Give a number above 0.")
        if self.share > 1:
            raise UsageError(f"The limit share is {self.share:g}.", hint="Give 1 for the whole video, or less.")

    def stretch(self, time: float) -> int:
        """Number of the stretch that a moment (seconds) lies in or after; 0 where the whole video is examined."""
        return 0 if self.share == 1 else int(time * self.share / STRETCH)

    def numbers(self) -> dict[str, float]:
        """Each limit by its name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "refuse"}

    def changed(self, settings: Iterable[str], refuse: bool = False) -> Limits:
        """These limits with some of them changed.

        Args:
            settings: "name=number", names as here, with `-` or `_`.

        Raises:
            UsageError: there is no such limit, or that is no number above 0.
        """
        found: dict[str, float] = {}
        for setting in settings:
            name, _, number = setting.partition("=")
            name = name.strip().replace("-", "_")
            if name not in self.numbers():
                known = ", ".join(self.numbers()).replace("_", "-")
                raise UsageError(f"There is no limit {name!r}.", hint=f"Limits are {known}: --limit duration=600")
            try:
                value = float(number)
            except ValueError as error:
                raise UsageError(
                    f"{number!r} is no number for {name}.", hint=f"For example: --limit {name}=600"
                ) from error
            found[name] = int(value) if name in ("frames", "faces") and isfinite(value) else value
        return replace(self, refuse=refuse, **found)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Access:
    """How a video may be opened.

    Attributes:
        allow_network: an address may be opened, not only a file.
        isolate: decode in a process of its own (see `lrnet.video.isolation`).
        limits: what it may ask for.
    """

    allow_network: bool = False
    isolate: bool = False
    limits: Limits = field(default_factory=Limits)

    def all_of_it(self) -> Access:
        """The same for the whole video (`share` of 1), for overlays and reports."""
        return replace(self, limits=replace(self.limits, share=1.0))


WHOLE: Final = Access(
    limits=Limits(file_megabytes=1e9, frame_rate=1e6, duration=1e9, frames=10**12, decode_seconds=1e9, refuse=True)
)
"""For re-encoding and calibration: the whole video is read, however long, or an error is raised."""

_WORDS = {
    "file_megabytes": "is larger than {limit} MB",
    "megapixels": "has frames of more than {limit} million pixels",
    "frame_rate": "has more than {limit} frames a second",
    "duration": "lasts longer than {limit} seconds",
    "frames": "has more than {limit} frames",
    "faces": "shows more than {limit} faces at once",
    "decode_seconds": "takes longer to decode than {limit} seconds",
    "stall_seconds": "kept the decoder on one frame for more than {limit} seconds",
    "share": "has no whole frame in the share of {limit} that is examined",
    "memory_megabytes": "asks for more memory than the decoder gets (isolated, {limit} MB)",
}


def past(name: str, video: str, limits: Limits) -> LimitError:
    """The error of a video that is refused because of the limit `name`."""
    words = _WORDS[name].format(limit=f"{limits.numbers()[name]:,g}".replace(",", " "))
    hint = "Cut or shrink it, or raise the limit: --limit " + name.replace("_", "-") + "=NUMBER."
    if name in ("memory_megabytes", "stall_seconds"):
        hint = "The file may be made to do that. If it is to be trusted, raise the limit: --limit " + (
            name.replace("_", "-") + "=NUMBER."
        )
    return LimitError(f"{video} {words}.", hint=hint)


class Guard:
    """Checks one video against its limits while it is read.

    Attributes:
        passed: limits that were exceeded, in that order.
    """

    def __init__(self, video: str, limits: Limits) -> None:
        self._video, self.limits = video, limits
        self.passed: list[Excess] = []
        self._last = -float("inf")

    def header(self, size: int, pixels: int, rate: float | None, duration: float | None, frames: int | None) -> None:
        """Check the header. Raises LimitError."""
        limits = self.limits
        if size > limits.file_megabytes * 1e6:
            raise past("file_megabytes", self._video, limits)
        if pixels > limits.megapixels * 1e6:
            raise past("megapixels", self._video, limits)
        if limits.refuse:
            for excess, declared in (
                (Excess.FRAME_RATE, rate),
                (Excess.DURATION, duration),
                (Excess.FRAMES, frames),
            ):
                if declared is not None and declared > limits.numbers()[excess]:
                    raise past(excess, self._video, limits)

    def ends(self, frames: int, time: float, pixels: int) -> bool:
        """Whether reading ends before a frame. Raises LimitError.

        Args:
            frames: decoded before it. time: its own, seconds. pixels: in it.
        """
        limits = self.limits
        for excess, passed in (
            (Excess.FRAMES, frames >= limits.frames),
            (Excess.DURATION, time > limits.duration),
            (Excess.MEGAPIXELS, pixels > limits.megapixels * 1e6),
        ):
            if passed:
                self.note(excess)
                return True
        return False

    def leaves_out(self, time: float) -> bool:
        """Whether a frame lies between the stretches that are examined, or comes too soon after the one before it.

        Raises:
            LimitError: as `note`.
        """
        share = self.limits.share
        if share < 1 and time - self.limits.stretch(time) * STRETCH / share >= STRETCH:
            self.note(Excess.SHARE)
            return True
        if time - self._last < 0.75 / self.limits.frame_rate:
            self.note(Excess.FRAME_RATE)
            return True
        self._last = time
        return False

    def note(self, excess: Excess) -> None:
        """Record that a limit was passed. Raises LimitError if that refuses the video."""
        if self.limits.refuse and excess is not Excess.SHARE:
            raise past(excess, self._video, self.limits)
        if excess not in self.passed:
            self.passed.append(excess)
