"""The calibration benchmark as tables, files and a figure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrnet.evaluation.plots import pictures
from lrnet.evaluation.report import csv_text, table
from lrnet.experiments import environment
from lrnet.experiments.calibration import CalibrationBenchmark
from lrnet.experiments.measures import DISTANCES
from lrnet.files import make_folder, written_beside
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS

FILES: Final = tuple(f"calibration.{suffix}" for suffix in ("md", "csv", "json", "png", "svg"))
TITLES: Final = {
    "plain": "distance as it is",
    "offset removed": "mean offset of each landmark removed",
    "steps": "distance of the steps from frame to frame",
}


def landmarker_table(result: CalibrationBenchmark) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    header = ["landmarker", "videos", "found", "jitter before", "after", "change", "lag", "along"]
    rows = []
    for name, (videos, r) in result.landmarker_rows().items():
        change = 100 * (r.jitter_after / r.jitter_before - 1) if r.jitter_before > 0 else math.nan
        cells = [name, str(videos), _shown(100 * r.found, 0, "%"), _shown(r.jitter_before), _shown(r.jitter_after)]
        cells += [_shown(change, 0, "%", sign=True), _shown(r.lag_frames), _shown(r.along)]
        rows.append([*cells, _shown(r.milliseconds_per_frame, 1), _shown(r.milliseconds_of_landmarks, 1)])
    return [*header, "ms / frame", "ms of landmarks"], rows


def distance_table(result: CalibrationBenchmark) -> tuple[list[str], list[list[str]]]:
    """Header and rows: for each pair and facial group every measure before, after and by how much it changed."""
    header = ["pair", "group"]
    for measure in DISTANCES:
        header += [f"{measure}: before", "after", "change"]
    cells: dict[tuple[tuple[str, str], str], list[str]] = {}
    for r in result.distance_rows():
        change = _shown(r.change_percent, 1, "%", sign=True)
        if r.interval_95 is not None:
            change += f" [{r.interval_95[0]:+.1f}, {r.interval_95[1]:+.1f}]"
        row = cells.setdefault((r.pair, r.group), [" - ".join(r.pair), r.group])
        row += [_shown(r.before), _shown(r.after), change]
    return header, list(cells.values())


def summaries(result: CalibrationBenchmark) -> list[str]:
    """For each pair and measure, in how many groups the two come closer."""
    lines: dict[tuple[str, str], list[str]] = {}
    for pair, measure in dict.fromkeys((r.pair, r.measure) for r in result.distance_rows()):
        rows = [r for r in result.distance_rows() if (r.pair, r.measure) == (pair, measure)]
        closer = sum(r.after < r.before for r in rows)
        known = [r.interval_95 for r in rows if r.interval_95 is not None]
        sure = sum(high < 0 for _, high in known), sum(low > 0 for low, _ in known)
        surely = f" ({sure[0]} closer and {sure[1]} further apart by their intervals)" if known else ""
        lines.setdefault(pair, []).append(f"{measure} in {closer} of {len(rows)} groups{surely}")
    return [f"{a} and {b} come closer: " + "; ".join(parts) + "." for (a, b), parts in lines.items()]


def notes(result: CalibrationBenchmark) -> list[str]:
    """The meaning of the columns."""
    lines = [
        "Lengths are % of the inter-ocular distance (outer corners of the eyes).",
        "Jitter: median second difference. Lag: frames behind the detections on the fastest motion (median over "
        "videos); along: signed distance there, negative behind. ms: CPU time of calibration alone, and of placing "
        "landmarks, on this machine.",
        "Distances: mean over frames and landmarks, then over videos; steps: of the motion since the frame before.",
    ]
    if any(r.interval_95 for r in result.distance_rows()):
        lines.append("In brackets: 95 % bootstrap interval of the change over videos.")
    return lines


def as_markdown(result: CalibrationBenchmark) -> str:
    """The whole report."""
    software, machine = environment.software(), environment.machine()
    parts = [
        "# Calibration benchmark",
        f"lrnet {software['lrnet']}; {machine['processor']}, {machine['cores']} cores.",
        table(*landmarker_table(result)).rstrip(),
    ]
    if any(video.distances for video in result.videos):
        parts += [table(*distance_table(result)).rstrip(), "\n".join(f"- {line}" for line in summaries(result))]
    videos = [
        [v.name, str(v.frames), f"{v.width} x {v.height}", f"{v.inter_ocular:.0f}", v.sha256[:12]]
        for v in result.videos
    ]
    parts += [" ".join(notes(result)), table(["video", "frames", "size", "inter-ocular, pixels", "sha256"], videos)]
    return "\n\n".join(parts)


def as_csv(result: CalibrationBenchmark) -> str:
    """Every figure of every video, one a line."""
    return csv_text(_csv_rows(result))


def _csv_rows(result: CalibrationBenchmark) -> Iterator[dict[str, str]]:
    def row(where: tuple[str, str, str], measure: str, group: str, *figures: float) -> dict[str, str]:
        shown = [f"{value:.6g}" if math.isfinite(value) else "" for value in figures]
        before, after = shown if len(shown) == 2 else ("", *shown)
        place = dict(zip(("video", "landmarker", "other"), where, strict=True))
        return {**place, "measure": measure, "group": group, "before": before, "after": after}

    for video in result.videos:
        for name, f in video.landmarkers.items():
            at = (video.name, name, "")
            yield row(at, "jitter", "all", f.jitter_before, f.jitter_after)
            figures = {"found": f.found, "lag": f.lag_frames, "along": f.along}
            figures |= {"milliseconds": f.milliseconds_per_frame, "landmarks": f.milliseconds_of_landmarks}
            for measure, value in figures.items():
                yield row(at, measure, "all", value)
        for pair, measures in video.distances.items():
            for measure, groups in measures.items():
                for group, both in groups.items():
                    yield row((video.name, *pair), measure, group, *both)


def as_json(result: CalibrationBenchmark) -> str:
    """All figures, with versions and machine; unknown figures are null."""
    landmarkers = result.landmarker_rows().items()
    about = ("name", "sha256", "frames", "width", "height")
    content = {
        "versions": environment.software(),
        "machine": environment.machine(),
        "unit": "% of the inter-ocular distance; lag in frames",
        "landmarkers": [_known({"name": name, "videos": n} | asdict(row)) for name, (n, row) in landmarkers],
        "distances": [_known(asdict(r)) for r in result.distance_rows()],
        "videos": [
            {name: getattr(v, name) for name in about} | {"inter_ocular_pixels": v.inter_ocular} for v in result.videos
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def figure(result: CalibrationBenchmark) -> Any:
    """A matplotlib figure: for each pair and measure the distance before and after, by facial group."""
    from matplotlib.figure import Figure

    rows = result.distance_rows()
    pairs = list(dict.fromkeys(r.pair for r in rows))
    shape = (max(len(pairs), 1), len(DISTANCES))
    drawn = Figure(figsize=(4.6 * shape[1], 2.6 * shape[0] + 0.6), layout="tight")
    axes = drawn.subplots(*shape, squeeze=False)
    places = np.arange(len(FACIAL_GROUPS))
    for i, pair in enumerate(pairs):
        for j, measure in enumerate(DISTANCES):
            some = [r for r in rows if (r.pair, r.measure) == (pair, measure)]
            axis = axes[i][j]
            axis.bar(places - 0.2, [r.before for r in some], 0.4, label="before calibration", color="#9aa5b1")
            axis.bar(places + 0.2, [r.after for r in some], 0.4, label="after", color="#1f6f8b")
            axis.set_xticks(places, [group.replace(" ", "\n") for group in FACIAL_GROUPS], fontsize=8)
            axis.set_title(f"{' - '.join(pair)}: {TITLES[measure]}", fontsize=9)
            axis.set_ylabel("% of inter-ocular", fontsize=8)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(fontsize=8, frameon=False)
    return drawn


def write(result: CalibrationBenchmark, folder: Path) -> None:
    """Write `FILES` into the folder once all of them are made. Raises OutputError."""
    texts = (as_markdown(result), as_csv(result), as_json(result))
    contents = [*(text.encode() for text in texts), *pictures(figure(result)).values()]
    make_folder(folder)
    for name, content in zip(FILES, contents, strict=True):
        with written_beside(folder / name) as partial:
            partial.write_bytes(content)


def _shown(value: float, digits: int = 2, unit: str = "", *, sign: bool = False) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:+.{digits}f}{unit}" if sign else f"{value:.{digits}f}{unit}"
