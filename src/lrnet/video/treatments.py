"""Treatments of a video by name: re-encodings and perturbations.

A treatment is written in words as `c40`, `noise:blur:3`, `noise:mixed` or `noise:random:5`; `@7` at the end gives
another seed than 0.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lrnet.errors import TreatmentError
from lrnet.video.perturbations import draw_steps, perturb, require_other_file
from lrnet.video.reencode import REENCODINGS, reencode_as, reencoding

_NOISE: Final = re.compile(r"noise:([a-z-]+)(?::(\d+))?(?:@(\d+))?")


@dataclass(frozen=True, slots=True)
class Reencoding:
    """A re-encoded video (`lrnet.video.reencode.REENCODINGS`).

    Raises:
        TreatmentError: the name is unknown.
    """

    name: str

    def __post_init__(self) -> None:
        reencoding(self.name)

    def __str__(self) -> str:
        return self.name

    def write(self, source: Path, target: Path, key: str = "", most_frames: int | None = None) -> None:
        """See `Treatment`."""
        require_other_file(source, target)
        reencode_as(self.name, source, target, most_frames)


@dataclass(frozen=True, slots=True)
class Perturbation:
    """A perturbation of DeeperForensics-1.0 (`lrnet.video.perturbations`).

    Attributes:
        kind: one of `lrnet.video.perturbations.NAMES`.
        level: 0 to 5; None draws one for each step.
        seed: what is drawn for a video depends on this and on the video's key.

    Raises:
        TreatmentError: there is no such kind or level.
    """

    kind: str
    level: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        draw_steps(self.kind, self.level, self.seed)

    def __str__(self) -> str:
        level = "" if self.level is None else f":{self.level}"
        seed = f"@{self.seed}" if self.seed else ""
        return f"noise:{self.kind}{level}{seed}"

    def write(self, source: Path, target: Path, key: str = "", most_frames: int | None = None) -> None:
        """See `Treatment`."""
        perturb(source, target, self.kind, self.level, self.seed_of(key), most_frames)

    def seed_of(self, key: str) -> tuple[int, ...]:
        """The seed for one video of a dataset; for `key` "" that of the perturbation."""
        own = [int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")] if key else []
        return (self.seed, *own)


Treatment = Reencoding | Perturbation
"""`write(source, target, key, most_frames)` writes the treated video, whole or not at all; `key` names the video inside
its dataset, so that each has noise of its own. It raises VideoError, OutputError, and TreatmentError where source and
target are one file. `str` gives the words that `parse_treatment` reads."""


def parse_treatment(text: str) -> Treatment:
    """The treatment that `text` names (see the module).

    Raises:
        TreatmentError: it is unknown.
    """
    match = _NOISE.fullmatch(text)
    if match:
        return Perturbation(match[1], int(match[2]) if match[2] else None, int(match[3] or 0))
    if text in REENCODINGS:
        return Reencoding(text)
    raise TreatmentError(
        f"There is no treatment {text!r}.",
        hint=f"Known are {', '.join(REENCODINGS)}, and noise:KIND:LEVEL, as noise:blur:3 or noise:mixed.",
    )
