"""The calibration benchmark as tables, files and a figure."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrnet.evaluation.report import table
from lrnet.experiments import environment
from lrnet.experiments.calibration import CalibrationBenchmark, DistanceRow, LandmarkerRow
from lrnet.experiments.measures import DISTANCES
from lrnet.files import make_folder, written_beside
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS

FILES: Final = tuple(f"calibration.{suffix}" for suffix in ("md", "csv", "json", "png", "svg"))
TITLES: Final = {
    "plain": "Distance as it is",
    "offset removed": "Mean offset of each landmark removed",
    "steps": "Distance of the steps from frame to frame",
}


def landmarker_table(result: CalibrationBenchmark) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    header = ["landmarker", "videos", "found", "jitter before", "after", "change", "lag", "along", "ms / frame"]
    rows = []
    for r in result.landmarker_rows():
        change = 100 * (r.jitter_after / r.jitter_before - 1) if r.jitter_before > 0 else math.nan
        cells = (
            _shown(100 * r.found, 0, "%"),
            _shown(r.jitter_before),
            _shown(r.jitter_after),
            _shown(change, 0, "%", sign=True),
        )
        time = _shown(r.milliseconds_per_frame, 1)
        rows.append([r.name, str(r.videos), *cells, _shown(r.lag_frames), _shown(r.along), time])
    return header, rows


def distance_table(result: CalibrationBenchmark) -> tuple[list[str], list[list[str]]]:
    """Header and rows: for each pair and facial group every measure before, after and by how much it changed."""
    header = ["pair", "group"]
    for measure in DISTANCES:
        header += [f"{measure}: before", "after", "change"]
    cells: dict[tuple[tuple[str, str], str], list[str]] = {}
    for r in result.distance_rows():
        row = cells.setdefault((r.pair, r.group), [" - ".join(r.pair), r.group])
        row += [_shown(r.before), _shown(r.after), _change(r)]
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
    """What the columns mean."""
    lines = [
        "Lengths are % of the inter-ocular distance (outer corners of the eyes).",
        "Jitter: median second difference. Lag: frames behind the detections on the fastest motion (median over "
        "videos); along: signed distance there, negative behind. ms: CPU time of calibration alone on this machine.",
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
    parts.append(" ".join(notes(result)))
    videos = [
        [v.name, str(v.frames), f"{v.width} x {v.height}", f"{v.inter_ocular:.0f}", v.sha256[:12]]
        for v in result.videos
    ]
    return "\n\n".join(parts) + "\n\n" + table(["video", "frames", "size", "inter-ocular, pixels", "sha256"], videos)


def as_csv(result: CalibrationBenchmark) -> str:
    """Every figure of every video, one a line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["video", "landmarker", "other", "measure", "group", "before", "after"])
    for video in result.videos:
        for name, f in video.landmarkers.items():
            writer.writerow([video.name, name, "", "jitter", "all", *map(_number, f.jitter)])
            for measure in ("found", "lag", "along", "milliseconds"):
                writer.writerow([video.name, name, "", measure, "all", "", _number(getattr(f, measure))])
        for (a, b), measures in video.distances.items():
            for measure, groups in measures.items():
                for group, pair in groups.items():
                    writer.writerow([video.name, a, b, measure, group, *map(_number, pair)])
    return out.getvalue()


def as_json(result: CalibrationBenchmark) -> str:
    """All figures, with versions and machine; unknown figures are null."""
    content = {
        "versions": environment.software(),
        "machine": environment.machine(),
        "unit": "% of the inter-ocular distance; lag in frames",
        "landmarkers": [_known(r) for r in result.landmarker_rows()],
        "distances": [_known(r) for r in result.distance_rows()],
        "videos": [
            {"name": v.name, "sha256": v.sha256, "frames": v.frames, "width": v.width, "height": v.height}
            | {"inter_ocular_pixels": v.inter_ocular}
            for v in result.videos
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _known(row: LandmarkerRow | DistanceRow) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(row).items()}


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
            axis.set_title(f"{' - '.join(pair)}: {TITLES[measure][:1].lower()}{TITLES[measure][1:]}", fontsize=9)
            axis.set_ylabel("% of inter-ocular", fontsize=8)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(fontsize=8, frameon=False)
    return drawn


def write(result: CalibrationBenchmark, folder: Path) -> None:
    """Write `FILES` into the folder once all of them are made. Raises OutputError."""
    texts = (as_markdown(result), as_csv(result), as_json(result))
    contents = [text.encode() for text in texts] + list(_pictures(result))
    make_folder(folder)
    for name, content in zip(FILES, contents, strict=True):
        with written_beside(folder / name) as partial:
            partial.write_bytes(content)


def _pictures(result: CalibrationBenchmark) -> Iterator[bytes]:
    """The figure as PNG and as SVG, without the time at which it was made."""
    drawn = figure(result)
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        picture = io.BytesIO()
        drawn.savefig(picture, format=suffix, dpi=120, metadata=metadata)
        yield picture.getvalue()


def _change(r: DistanceRow) -> str:
    shown, interval = _shown(r.change_percent, 1, "%", sign=True), r.interval_95
    return shown if interval is None else f"{shown} [{interval[0]:+.1f}, {interval[1]:+.1f}]"


def _shown(value: float, digits: int = 2, unit: str = "", *, sign: bool = False) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:+.{digits}f}{unit}" if sign else f"{value:.{digits}f}{unit}"


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""
