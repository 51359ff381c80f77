"""Every error that the package raises on purpose.

Each says what happened and what to do next. The command line prints both on one line and ends with the class's
`exit_code`; a library user catches `LrnetError` or a class below it.
"""

from __future__ import annotations


class LrnetError(Exception):
    """Something that the caller can do something about.

    Args:
        what: what happened, naming the file or value concerned.
        hint: the next step for the person who reads it.
    """

    exit_code = 1

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.hint)


def _rebuild(cls: type[LrnetError], what: str, hint: str) -> LrnetError:
    """Unpickle an error that crossed a process boundary (exceptions do not keep keyword arguments)."""
    return cls(what, hint=hint)


class InternalError(LrnetError):
    """A fault of this package."""

    exit_code = 1

    @classmethod
    def of(cls, error: BaseException, doing: str) -> InternalError:
        """Wrap what nobody expected; `doing` names the input that brought it out."""
        fault = cls(
            f"{doing} brought out a fault in lrnet ({type(error).__name__}: {error}).",
            hint="Please report it, with the video if you can share it.",
        )
        fault.__cause__ = error
        return fault


class VideoError(LrnetError):
    """A video that cannot be read."""

    exit_code = 3


class VideoNotFoundError(VideoError):
    """There is no file at the path, or a folder holds no video."""


class NotAVideoError(VideoError):
    """The file is no video: empty, of another type, or without a video stream."""


class DamagedVideoError(VideoError):
    """The file is a video, but not one frame of it can be decoded."""


class NetworkSourceError(VideoError):
    """A network address was given without the permission to open it."""


class TreatmentError(LrnetError):
    """A perturbation or re-encoding that there is none of, or that cannot be applied to what was given."""

    exit_code = 2


class LimitError(VideoError):
    """A video asks for more than a limit allows (see `lrnet.video.limits`)."""

    exit_code = 11


class DecoderDiedError(VideoError):
    """The process that decoded the video on its own died."""

    exit_code = 12


class UsageError(LrnetError):
    """A setting that is none, or has no such value."""

    exit_code = 2


class SequenceError(LrnetError):
    """Landmarks that do not fit the video or the method (shape, length, not finite)."""

    exit_code = 3


class OutputError(LrnetError):
    """A result cannot be written where it was asked for."""

    exit_code = 5


class ModelError(LrnetError):
    """A model bundle or a network's weights are missing, damaged or refused."""

    exit_code = 6


class MissingDependencyError(LrnetError):
    """A part that was asked for needs an extra that is not installed."""

    exit_code = 7


class DatasetError(LrnetError):
    """A dataset, a store or a split is not what it should be."""

    exit_code = 8


class NoFaceError(LrnetError):
    """A video shows no face, where landmarks were asked for."""

    exit_code = 4


class TrainingError(LrnetError):
    """A configuration that says something unknown, or a run that cannot go on."""

    exit_code = 8


class DownloadError(LrnetError):
    """Something cannot be fetched, or is not what was expected."""

    exit_code = 6


class ServiceError(LrnetError):
    """The service cannot start as it was asked to, or cannot reach its database or queue."""

    exit_code = 10


class EngineError(LrnetError):
    """Worker processes or a cluster cannot do what they are given."""

    exit_code = 9
