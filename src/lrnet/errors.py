"""Every error that the package raises on purpose.

Each says what happened and what to do next. The command line prints both on one line and ends with the class's
`exit_code`; a library user catches `LrnetError` or a class below it.
"""

from __future__ import annotations


class LrnetError(Exception):
    """An error that the caller can act on.

    Args:
        what: what happened, naming the file or value concerned.
        hint: the next step for the person who reads it.
    """

    exit_code = 1
    permanent = False
    """Whether the same input would fail again. False for what may pass: a network, a missing extra, lost memory."""

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
        """Wrap an unexpected exception; `doing` names the input that caused it."""
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
    """The file is not a video: empty, of another type, or without a video stream."""

    permanent = True


class DamagedVideoError(VideoError):
    """The file is a video, but no frame can be decoded."""

    permanent = True


class NetworkSourceError(VideoError):
    """A network address was given without permission to open it."""


class TreatmentError(LrnetError):
    """Unknown perturbation or re-encoding, or one that cannot be applied to the input."""

    exit_code = 2


class LimitError(VideoError):
    """A video asks for more than a limit allows (see `lrnet.video.limits`)."""

    exit_code = 11
    permanent = True


class DecoderDiedError(VideoError):
    """The isolated process that decoded the video died."""

    exit_code = 12


class UsageError(LrnetError):
    """Unknown setting, or value out of range."""

    exit_code = 2


class SequenceError(LrnetError):
    """Landmarks that do not fit the video or the method (shape, length, not finite)."""

    exit_code = 3
    permanent = True


class OutputError(LrnetError):
    """A result cannot be written where it was asked for."""

    exit_code = 5


class ModelError(LrnetError):
    """A model bundle or a network's weights are missing, damaged or refused."""

    exit_code = 6


class MissingDependencyError(LrnetError):
    """The feature needs an extra that is not installed."""

    exit_code = 7


class DatasetError(LrnetError):
    """A dataset, store or split is missing or invalid."""

    exit_code = 8


class NoFaceError(LrnetError):
    """A video shows no face, and landmarks were asked for."""

    exit_code = 4
    permanent = True


class TrainingError(LrnetError):
    """Invalid training configuration, or a run that cannot continue."""

    exit_code = 8


class DownloadError(LrnetError):
    """A download failed, or its content is not the expected one."""

    exit_code = 6


class ServiceError(LrnetError):
    """The service cannot start, or cannot reach its database or queue."""

    exit_code = 10


class EngineError(LrnetError):
    """Worker processes or a cluster failed."""

    exit_code = 9


class StoppedError(LrnetError):
    """A batch was interrupted before it reached a video."""

    exit_code = 130
