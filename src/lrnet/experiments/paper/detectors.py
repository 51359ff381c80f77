"""Figure 5: trained on one landmarker, tested on another, with and without calibration."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from itertools import product
from typing import Final

import numpy as np

from lrnet.errors import DatasetError
from lrnet.evaluation.metrics import auc
from lrnet.evaluation.protocol import video_scores
from lrnet.experiments.paper.draw import draw_matrices
from lrnet.experiments.paper.result import Contrast, Result, Seeds, Table
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import Landmarks

Found = dict[tuple[Landmarks, str, str], Seeds]
"""By kind of landmarks, landmarker trained on, and landmarker tested on."""

KINDS: Final[dict[Landmarks, str]] = {"calibrated": "with calibration", "detected": "without"}


def default_landmarkers() -> tuple[str, ...]:
    """Those that can be loaded here without a download."""
    return ("mesh", "face-api", *(("dlib",) if find_spec("dlib") else ()))


def run(setting: Setting) -> Result:
    """All pairs of landmarkers. Raises DatasetError if only one is given."""
    names = setting.landmarkers or default_landmarkers()
    if len(names) < 2:
        raise DatasetError("Two landmarkers are needed to compare.", hint="Name others with --landmarkers.")
    sets = {name: setting.data.clean(landmarker=name) for name in names}
    result = Result(
        "detectors",
        "Trained on one landmarker, tested on another (the paper's Figure 5)",
        setting.protocol(),
        setting.about(*sets.values(), landmarkers=list(names)),
        notes=(f"Streams: {' + '.join(setting.config.stream_names)}.",),
    )
    found: Found = {}
    for kind, one, other in product(KINDS, names, names):
        train, test = (sets[n].with_landmarks(kind) for n in (one, other))
        seeds = setting.runs.scored(train, test, setting.config, setting.plans())
        found[(kind, one, other)] = seeds
        result.add({"trained on": one, "tested on": other, "landmarks": KINDS[kind]}, seeds)
    across, within, more = _gains(result, found, names)
    result.ask("Across landmarkers calibration helps (Figure 5).", across)
    result.ask("With the same landmarker calibration helps.", within)
    result.ask("Across landmarkers it helps more than with the same one (Figure 5).", more)
    matrices = {
        words: np.array([[np.mean([auc(video_scores(v)) for v in found[(kind, a, b)]]) for b in names] for a in names])
        for kind, words in KINDS.items()
    }
    result.draw = lambda folder: draw_matrices(matrices, names, folder, result.name)
    result.extra = (_confusions(found),)
    return result


def _gains(result: Result, found: Found, names: Sequence[str]) -> tuple[Contrast, Contrast, Contrast]:
    """With less without calibration: of each pair, then means over different and same landmarkers, across less within.

    Returns:
        The last three.
    """
    same = [(a, a) for a in names]
    unlike = [(a, b) for a, b in product(names, names) if a != b]

    def gain(pairs: Sequence[tuple[str, str]], weight: float = 1.0) -> list[tuple[float, Seeds]]:
        share = weight / len(pairs)
        signs: tuple[tuple[Landmarks, float], ...] = (("calibrated", share), ("detected", -share))
        return [(sign, found[(kind, *pair)]) for pair in pairs for kind, sign in signs]

    for a, b in (*same, *unlike):
        result.weigh(f"with - without calibration, {a} to {b}", gain([(a, b)]))
    return (
        result.weigh("with - without calibration, mean over different landmarkers", gain(unlike)),
        result.weigh("with - without calibration, mean over the same landmarker", gain(same)),
        result.weigh("that across less that within", gain(unlike) + gain(same, -1.0)),
    )


def _confusions(found: Found) -> Table:
    rows = []
    for (kind, one, other), seeds in found.items():
        table = video_scores(seeds[0])
        called = table.score >= 0.5
        counts = [int(((table.label == label) & (called == fake)).sum()) for label in (0, 1) for fake in (False, True)]
        rows.append((one, other, KINDS[kind], *map(str, counts)))
    header = ("trained on", "tested on", "landmarks", "real called real", "real called fake", "fake called real")
    return "Confusion of videos at a score of 0.5, first seed", (*header, "fake called fake"), tuple(rows)
