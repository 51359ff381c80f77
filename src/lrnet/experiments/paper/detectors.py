"""Figure 5: trained on one landmarker, tested on another, with and without calibration."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import product
from typing import Final

import numpy as np

from lrnet.errors import DatasetError
from lrnet.experiments.paper.draw import draw_matrices
from lrnet.experiments.paper.result import (
    MEASURED,
    Contrast,
    Result,
    Row,
    Seeds,
    Table,
    auc_of,
    contrast,
    is_above,
    measured_rows,
    scores,
)
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import Landmarks

NAME: Final = "detectors"
KINDS: Final[dict[Landmarks, str]] = {"calibrated": "with calibration", "detected": "without"}


def default_landmarkers() -> tuple[str, ...]:
    """Those that can be loaded here without a download."""
    return ("mesh", "face-api", *(("dlib",) if find_spec("dlib") else ()))


def run(setting: Setting) -> Result:
    """All pairs of landmarkers.

    Raises:
        DatasetError: only one is given.
    """
    names = setting.landmarkers or default_landmarkers()
    if len(names) < 2:
        raise DatasetError("Two landmarkers are needed to compare.", hint="Name others with --landmarkers.")
    sets = {name: setting.data.clean(landmarker=name) for name in names}
    plans = setting.plans()
    found: dict[tuple[Landmarks, str, str], Seeds] = {}
    for kind in KINDS:
        for one, other in product(names, names):
            train, test = (sets[n].with_landmarks(kind) for n in (one, other))
            found[(kind, one, other)] = setting.runs.scored(train, test, setting.config, plans)
    rows: list[Row] = []
    for (kind, one, other), seeds in found.items():
        labels = {"trained on": one, "tested on": other, "landmarks": KINDS[kind]}
        rows += measured_rows(labels, seeds, MEASURED)
    contrasts = contrasts_of(found, names)
    across, within, more = contrasts[-3:]
    findings = [
        is_above("Across landmarkers calibration helps (Figure 5).", across),
        is_above("With the same landmarker calibration helps.", within),
        is_above("Across landmarkers it helps more than with the same one (Figure 5).", more),
    ]
    matrices = {
        words: np.array([[auc_of(found[(kind, one, other)]) for other in names] for one in names])
        for kind, words in KINDS.items()
    }
    return Result(
        NAME,
        "Trained on one landmarker, tested on another (the paper's Figure 5)",
        setting.protocol(),
        tuple(rows),
        tuple(contrasts),
        tuple(findings),
        setting.about(*sets.values(), landmarkers=list(names)),
        lambda folder: draw_matrices(matrices, names, folder, NAME),
        notes=(f"Streams: {' + '.join(setting.config.stream_names)}.",),
        extra=(_confusions(found),),
    )


def contrasts_of(found: dict[tuple[Landmarks, str, str], Seeds], names: Sequence[str]) -> list[Contrast]:
    """With less without calibration: each pair, mean over different and same landmarkers, across less within."""
    unlike = [(a, b) for a, b in product(names, names) if a != b]
    same = [(a, a) for a in names]

    def gain(pairs: Sequence[tuple[str, str]], weight: float = 1.0) -> list[tuple[float, Seeds]]:
        share = weight / len(pairs)
        signs: tuple[tuple[Landmarks, float], ...] = (("calibrated", share), ("detected", -share))
        return [(sign, found[(kind, *pair)]) for pair in pairs for kind, sign in signs]

    def weighted(what: str, sides: list[tuple[float, Seeds]]) -> Contrast:
        return Contrast(what, "video", "AUC", contrast(sides, "video", "AUC"))

    single = [weighted(f"with - without calibration, {a} to {b}", gain([(a, b)])) for a, b in (*same, *unlike)]
    return [
        *single,
        weighted("with - without calibration, mean over different landmarkers", gain(unlike)),
        weighted("with - without calibration, mean over the same landmarker", gain(same)),
        weighted("that across less that within", gain(unlike) + gain(same, -1.0)),
    ]


def _confusions(
    found: dict[tuple[Landmarks, str, str], Seeds],
) -> Table:
    rows = []
    for (kind, one, other), seeds in found.items():
        table = scores(seeds[0], "video")
        called = table.score >= 0.5
        counts = [int(((table.label == label) & (called == fake)).sum()) for label in (0, 1) for fake in (False, True)]
        rows.append((one, other, KINDS[kind], *map(str, counts)))
    header = ("trained on", "tested on", "landmarks", "real called real", "real called fake", "fake called real")
    return "Confusion of videos at a score of 0.5, first seed", (*header, "fake called fake"), tuple(rows)
