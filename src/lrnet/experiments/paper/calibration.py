"""Table 5 and Figure 6: what calibration and its Kalman filter add, as AUC of networks trained with and without them,
and how far two landmarkers are apart by facial group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lrnet.experiments.measures import DISTANCES, change_interval, inter_ocular_distance, mean_of_known
from lrnet.experiments.paper.draw import draw_auc
from lrnet.experiments.paper.result import (
    MEASURED,
    Contrast,
    Result,
    Row,
    Seeds,
    Table,
    contrast,
    difference,
    is_above,
    measured_rows,
)
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import Landmarks, VideoSet
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS, LandmarkSequence
from lrnet.training.config import TrainingConfig

NAME: Final = "calibration"
VARIANTS: Final[dict[Landmarks, str]] = {
    "calibrated": "full",
    "equal weights": "without Kalman: prediction and detection weigh the same",
    "prediction alone": "without Kalman: the prediction alone",
    "detected": "without calibration",
}
BOTH_ENDS: Final[tuple[Landmarks, ...]] = ("calibrated", "detected")
OTHER_LANDMARKER: Final = "face-api"


def run(setting: Setting, *, distances: bool = True) -> Result:
    """Every variant trained and tested on its own landmarks, clean; full and without on compressed videos too.

    Args:
        distances: also compare two landmarkers (Figure 6).
    """
    clean, compressed = setting.data.clean(), setting.heavily_compressed()
    recipes = {" + ".join(config.stream_names): config for config in (setting.config, setting.papers)}
    found: dict[tuple[str, str, Landmarks], Seeds] = {}
    for streams, config in recipes.items():
        for variant in VARIANTS if config is setting.config else BOTH_ENDS:
            found[(streams, clean.name, variant)] = _scored(setting, clean, clean, variant, config)
        for variant in BOTH_ENDS:
            found[(streams, compressed.name, variant)] = _scored(setting, clean, compressed, variant, config)
    rows: list[Row] = []
    for (streams, tested, variant), seeds in found.items():
        labels = {"streams": streams, "tested on": tested, "landmarks": VARIANTS[variant]}
        rows += measured_rows(labels, seeds, MEASURED)
    contrasts: list[Contrast] = []
    findings = []
    for streams in recipes:
        with_all = found[(streams, clean.name, "calibrated")]
        helps = difference(f"{streams}: full - without calibration, {clean.name}",
                           with_all, found[(streams, clean.name, "detected")])  # fmt: skip
        kalman = [
            difference(f"{streams}: full - {VARIANTS[v]}, {clean.name}", with_all, found[(streams, clean.name, v)])
            for v in ("equal weights", "prediction alone")
            if (streams, clean.name, v) in found
        ]
        worse = difference(
            f"{streams}: full - without calibration, {compressed.name}",
            found[(streams, compressed.name, "calibrated")],
            found[(streams, compressed.name, "detected")],
        )
        more = Contrast(
            f"{streams}: that on {compressed.name} less that on {clean.name}", "video", "AUC",
            contrast(
                [
                    (1.0, found[(streams, compressed.name, "calibrated")]),
                    (-1.0, found[(streams, compressed.name, "detected")]),
                    (-1.0, with_all),
                    (1.0, found[(streams, clean.name, "detected")]),
                ],
                "video",
                "AUC",
            ),
        )  # fmt: skip
        contrasts += [helps, *kalman, worse, more]
        findings += [
            is_above("Calibration helps (Table 5).", helps),
            *(is_above("The Kalman filter adds to it (Table 5).", k) for k in kalman),
            is_above("Calibration helps on compressed videos.", worse),
            is_above("It helps there more than on clean ones.", more),
        ]
    extra = (_distances(setting, clean),) if distances and setting.data.has_videos else ()
    return Result(
        NAME,
        "Calibration (the paper's Table 5 and Figure 6)",
        setting.protocol()
        + " Networks are trained and tested on the same kind of landmarks, and trained on the videos "
        "as they are.",
        tuple(rows),
        tuple(contrasts),
        tuple(findings),
        setting.about(clean, compressed),
        lambda folder: draw_auc(rows, folder, NAME),
        notes=(
            "`Without Kalman` is computed from what the stores hold of each frame's optical flow (decision 0017): the "
            "prediction, where it passed its check, is merged with the detection half and half, or taken alone.",
        ),
        extra=extra,
    )


def _scored(setting: Setting, train: VideoSet, test: VideoSet, landmarks: Landmarks, config: TrainingConfig) -> Seeds:
    return setting.runs.scored(train.with_landmarks(landmarks), test.with_landmarks(landmarks), config, setting.plans())


# Figure 6


def _distances(setting: Setting, mesh: VideoSet) -> Table:
    """A table: by facial group, distance of the two landmarkers before and after calibration, % of inter-ocular."""
    other = setting.data.clean(landmarker=OTHER_LANDMARKER)
    theirs = {v.record.key: v for v in other.videos}
    pairs = [
        (
            VideoSet("", (v,), most_frames=mesh.most_frames),
            VideoSet("", (theirs[v.record.key],), most_frames=mesh.most_frames),
        )
        for v in mesh.videos
        if v.record.key in theirs
    ]
    figures = [found for one, two in pairs if (found := distances_of(*(s.faces()[0].sequences for s in (one, two))))]
    header: tuple[str, ...] = ("group",)
    for measure in DISTANCES:
        header += (f"{measure}: before", "after", "change (95 % interval)")
    rows = []
    for group in FACIAL_GROUPS:
        cells = [group]
        for measure in DISTANCES:
            before, after = (np.array([f[(measure, group, when)] for f in figures]) for when in ("before", "after"))
            low, high = change_interval(before, after)
            change = 100 * (mean_of_known(after) / mean_of_known(before) - 1)
            cells += [
                f"{mean_of_known(before):.2f}",
                f"{mean_of_known(after):.2f}",
                f"{change:+.1f} % ({low:+.1f} to {high:+.1f})",
            ]
        rows.append(tuple(cells))
    title = (
        f"mesh and {OTHER_LANDMARKER}: distance by facial group, % of inter-ocular, {len(figures)} videos (Figure 6)"
    )
    return title, header, tuple(rows)


def distances_of(
    one: Sequence[LandmarkSequence], other: Sequence[LandmarkSequence]
) -> dict[tuple[str, str, str], float]:
    """Distances of two landmarkers' tracks of one video, % of inter-ocular, by measure, group and "before" or "after".

    Empty if the two never see a face in the same frame, or do not follow the same one.
    """
    shared, first, second = np.intersect1d(
        np.concatenate([s.frame_indices for s in one]),
        np.concatenate([s.frame_indices for s in other]),
        return_indices=True,
    )
    if len(shared) < 2:
        return {}
    found = {}
    unit = inter_ocular_distance(in_frame(one, "before")[first])
    for when in ("before", "after"):
        a, b = in_frame(one, when)[first], in_frame(other, when)[second]
        if not np.isfinite(unit) or mean_of_known(np.hypot(*(a - b).transpose(2, 0, 1))) > unit:
            return {}
        for measure, distance in DISTANCES.items():
            for group, value in distance(a, b, ()).items():
                found[(measure, group, when)] = 100 * value / unit
    return found


def in_frame(sequences: Sequence[LandmarkSequence], when: str) -> NDArray[np.float64]:
    """(N, 68, 2) frame pixels of a face's landmarks, "before" or "after" calibration."""
    which = [s.uncalibrated() if when == "before" else s for s in sequences]
    return np.concatenate([s.frame_landmarks() for s in which]).astype(np.float64)
