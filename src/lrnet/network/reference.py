"""How genuine faces move: statistics that explanations compare with, which a bundle may contain.

A quantile table for each statistic, and for each stream a small linear model from which typical rows are drawn
(`lrnet.report.motion`); no single person's landmarks.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from lrnet.schema import Count, Positive, Schema, Share, StreamName

REFERENCE_FILE = "motion_reference.json"

Row = tuple[float, ...]
NotNegative = Annotated[float, Field(ge=0)]


class StatisticQuantiles(Schema):
    """Over genuine videos, the quantiles of one statistic in one facial group.

    Attributes:
        statistic: name, as in `lrnet.report.motion.STATISTICS`.
        group: facial group, or "face" for all landmarks.
        values: never falling, at the reference's `levels`.
    """

    statistic: str
    group: str
    values: Row

    @model_validator(mode="after")
    def _never_falls(self) -> Self:
        if any(b < a for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError(f"the quantiles of {self.statistic}, {self.group}, fall")
        return self


class StreamMotion(Schema):
    """The rows that genuine faces give a stream, as principal components that each follow an AR(2) process.

    A clip is `mean + level * (process @ components + noise * residual)`; columns that describe the track are constant.

    Attributes:
        stream: its name.
        mean: of the P landmark columns.
        components: K rows of P, orthonormal.
        regression: K pairs: weights of the process one and two frames before.
        step: K, standard deviation of what is new in each frame.
        residual: P, standard deviation of what the components leave.
        levels: D, root mean square of the landmark columns about their mean in each of D typical clips.
        track: for each of these, the columns that describe the track; empty rows if the stream has none.
    """

    stream: StreamName
    mean: Row = Field(min_length=1, max_length=4096)
    components: tuple[Row, ...] = Field(min_length=1, max_length=512)
    regression: tuple[tuple[float, float], ...]
    step: tuple[NotNegative, ...]
    residual: tuple[NotNegative, ...]
    levels: tuple[Positive, ...] = Field(min_length=1, max_length=64)
    track: tuple[Row, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        columns, count = len(self.mean), len(self.components)
        if any(len(row) != columns for row in self.components) or len(self.residual) != columns:
            raise ValueError(f"components and residual of {self.stream} need {columns} columns")
        if len(self.regression) != count or len(self.step) != count:
            raise ValueError(f"{self.stream} needs a regression and a step for each of its {count} components")
        if len(self.track) != len(self.levels) or len({len(row) for row in self.track}) != 1:
            raise ValueError(f"{self.stream} needs the track's columns for each of its {len(self.levels)} levels")
        # A process that is not stationary grows without bound.
        if any(abs(b) >= 1 or abs(a) >= 1 - b for a, b in self.regression):
            raise ValueError(f"a regression of {self.stream} is not stationary")
        return self

    @property
    def width(self) -> int:
        """Columns of the stream."""
        return len(self.mean) + len(self.track[0])


class MotionReference(Schema):
    """How genuine faces move.

    Attributes:
        description: which videos, in words.
        videos: how many.
        levels: of the quantiles, rising, from 0 to 1.
        quantiles: for each statistic and group.
        streams: for each stream of the network, all with the same typical clips.
    """

    description: str
    videos: Count
    levels: tuple[Share, ...] = Field(min_length=2, max_length=101)
    quantiles: tuple[StatisticQuantiles, ...]
    streams: tuple[StreamMotion, ...]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if any(b <= a for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError("the levels of the quantiles must rise")
        if any(len(q.values) != len(self.levels) for q in self.quantiles):
            raise ValueError(f"every statistic needs {len(self.levels)} quantiles")
        if len({len(s.levels) for s in self.streams}) > 1:
            raise ValueError("the streams differ in their number of typical clips")
        if len({s.stream for s in self.streams}) != len(self.streams):
            raise ValueError("two streams have the same name")
        return self
