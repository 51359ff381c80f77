"""How genuine faces move: quantiles of statistics over many people, which explanations compare with.

A bundle may contain them (`lrnet.report.motion`).
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, JsonValue, model_validator

from lrnet.schema import Count, Schema, Share

REFERENCE_FILE = "motion_reference.json"


class StatisticQuantiles(Schema):
    """Over genuine videos, the quantiles of one statistic in one facial group.

    Attributes:
        statistic: name, as in `lrnet.report.motion.STATISTICS`.
        group: facial group, or "face" for all landmarks.
        values: never falling, at the reference's `levels`.
    """

    statistic: str
    group: str
    values: tuple[float, ...]

    @model_validator(mode="after")
    def _never_falls(self) -> Self:
        if any(b < a for a, b in zip(self.values, self.values[1:], strict=False)):
            raise ValueError(f"the quantiles of {self.statistic}, {self.group}, fall")
        return self


class MotionReference(Schema):
    """How genuine faces move.

    Attributes:
        description: which videos, in words.
        videos: how many.
        levels: of the quantiles, rising, from 0 to 1.
        quantiles: for each statistic and group.
        streams: models of clips in bundles of earlier versions; not used.
    """

    description: str
    videos: Count
    levels: tuple[Share, ...] = Field(min_length=2, max_length=101)
    quantiles: tuple[StatisticQuantiles, ...]
    streams: tuple[JsonValue, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if any(b <= a for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError("the levels of the quantiles must rise")
        if any(len(q.values) != len(self.levels) for q in self.quantiles):
            raise ValueError(f"every statistic needs {len(self.levels)} quantiles")
        return self
