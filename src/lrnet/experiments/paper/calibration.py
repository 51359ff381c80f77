"""Table 5 and Figure 6: what calibration and its Kalman filter add, as AUC of networks trained with and without them,
and how far two landmarkers are apart by facial group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.experiments.calibration import BeforeAndAfter, distance_rows
from lrnet.experiments.measures import DISTANCES
from lrnet.experiments.paper.result import Result, Seeds, Table
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import Landmarks, VideoSet
from lrnet.sequence.jitter import inter_ocular_distance, mean_of_known
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence

VARIANTS: Final[dict[Landmarks, str]] = {
    "calibrated": "full",
    "equal weights": "without Kalman: prediction and detection weigh the same",
    "prediction alone": "without Kalman: the prediction alone",
    "detected": "without calibration",
}
WITHOUT_KALMAN: Final[tuple[Landmarks, ...]] = ("equal weights", "prediction alone")
OTHER_LANDMARKER: Final = "face-api"


def run(setting: Setting) -> Result:
    """Every variant trained and tested on its own landmarks, clean; full and without on compressed videos too."""
    clean, compressed = setting.data.clean(), setting.heavily_compressed()
    result = Result(
        "calibration",
        "Calibration (the paper's Table 5 and Figure 6)",
        setting.protocol()
        + " Networks are trained and tested on the same kind of landmarks, and trained on the videos "
        "as they are.",
        setting.about(clean, compressed),
        notes=(
            "`Without Kalman` is computed from what the stores hold of each frame's optical flow (decision 0017): the "
            "prediction, where it passed its check, is merged with the detection half and half, or taken alone.",
        ),
    )
    found: dict[tuple[str, str, Landmarks], Seeds] = {}
    for streams, config in setting.configs.items():
        for tested in (clean, compressed):
            for variant in VARIANTS:
                if variant in WITHOUT_KALMAN and (config is not setting.config or tested is compressed):
                    continue
                sides = clean.with_landmarks(variant), tested.with_landmarks(variant)
                seeds = setting.runs.scored(*sides, config, setting.plans())
                found[(streams, tested.name, variant)] = seeds
                labels = {"streams": streams, "tested on": tested.name, "landmarks": VARIANTS[variant]}
                result.add(labels, seeds)
    for streams in setting.configs:
        full, without = (found[(streams, clean.name, v)] for v in ("calibrated", "detected"))
        full_there, without_there = (found[(streams, compressed.name, v)] for v in ("calibrated", "detected"))
        helps = result.differ(f"{streams}: full - without calibration, {clean.name}", full, without)
        result.ask("Calibration helps (Table 5).", helps)
        for v in WITHOUT_KALMAN if (streams, clean.name, WITHOUT_KALMAN[0]) in found else ():
            less = found[(streams, clean.name, v)]
            adds = result.differ(f"{streams}: full - {VARIANTS[v]}, {clean.name}", full, less)
            result.ask("The Kalman filter adds to it (Table 5).", adds)
        helps = result.differ(f"{streams}: full - without calibration, {compressed.name}", full_there, without_there)
        result.ask("Calibration helps on compressed videos.", helps)
        more = result.weigh(
            f"{streams}: that on {compressed.name} less that on {clean.name}",
            [(1.0, full_there), (-1.0, without_there), (-1.0, full), (1.0, without)],
        )
        result.ask("It helps there more than on clean ones.", more)
    if setting.data.has_videos:
        result.extra = (_distances(setting, clean),)
    return result


# Figure 6


def _distances(setting: Setting, mesh: VideoSet) -> Table:
    """A table: by facial group, distance of the two landmarkers before and after calibration, % of inter-ocular."""
    other = setting.data.clean(landmarker=OTHER_LANDMARKER)
    theirs = {v.record.key: v for v in other.videos}
    both = [v for v in mesh.videos if v.record.key in theirs]
    faces = (
        replace(mesh, videos=tuple(both)).faces(),
        replace(mesh, videos=tuple(theirs[v.record.key] for v in both)).faces(),
    )
    figures = [f for a, b in zip(*faces, strict=True) if (f := distances_of(a.sequences, b.sequences)) is not None]
    cells: dict[str, list[str]] = {group: [group] for group in FACIAL_GROUPS}
    for row in distance_rows(("mesh", OTHER_LANDMARKER), figures):
        interval = "too few videos" if row.interval_95 is None else "{:+.1f} to {:+.1f}".format(*row.interval_95)
        change = f"{row.change_percent:+.1f} % ({interval})"
        cells[row.group] += [f"{row.before:.2f}", f"{row.after:.2f}", change]
    header = (cell for m in DISTANCES for cell in (f"{m}: before", "after", "change (95 % interval)"))
    title = (
        f"mesh and {OTHER_LANDMARKER}: distance by facial group, % of inter-ocular, {len(figures)} videos (Figure 6)"
    )
    return title, ("group", *header), tuple(map(tuple, cells.values()))


def distances_of(
    one: Sequence[LandmarkSequence], other: Sequence[LandmarkSequence]
) -> dict[str, dict[str, BeforeAndAfter]] | None:
    """Distances of two landmarkers' tracks of one video, % of inter-ocular, by measure and group, before and after.

    None if the two never see a face in the same frame, or do not follow the same one.
    """
    shared, first, second = np.intersect1d(
        np.concatenate([s.frame_indices for s in one]),
        np.concatenate([s.frame_indices for s in other]),
        return_indices=True,
    )
    if len(shared) < 2:
        return None
    pairs = [(in_frame(one, before)[first], in_frame(other, before)[second]) for before in (True, False)]
    unit = inter_ocular_distance(pairs[0][0])
    if not all(np.isfinite(unit) and mean_of_known(np.linalg.norm(a - b, axis=2)) <= unit for a, b in pairs):
        return None
    found = {}
    for measure, distance in DISTANCES.items():
        before, after = (distance(a, b, ()) for a, b in pairs)
        found[measure] = {g: (100 * before[g] / unit, 100 * after[g] / unit) for g in FACIAL_GROUPS}
    return found


def in_frame(sequences: Sequence[LandmarkSequence], before: bool) -> NDArray[np.float64]:
    """(N, 68, 2) frame pixels of a face's landmarks, before or after calibration."""
    which = [s.uncalibrated() if before else s for s in sequences]
    return np.concatenate([s.frame_landmarks() for s in which]).astype(np.float64)
