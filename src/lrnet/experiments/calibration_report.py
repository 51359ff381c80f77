"""The calibration benchmark as tables, files and a figure."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import platform
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from lrnet.errors import MissingDependencyError, OutputError
from lrnet.experiments.calibration import CalibrationBenchmark, DistanceRow
from lrnet.experiments.measures import DISTANCES
from lrnet.extras import install_command
from lrnet.files import require_writable, written_beside
from lrnet.sequence.landmark_sequence import FACIAL_GROUPS
from lrnet.version import __version__, library_versions

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
        rows.append([r.name, str(r.videos), *cells, _shown(r.lag), _shown(r.along), _shown(r.milliseconds, 1)])
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
        sure = [sum(r.interval is not None and side(r.interval) for r in rows) for side in (_below, _above)]
        told = f" ({sure[0]} closer and {sure[1]} further apart by their intervals)" if rows[0].interval else ""
        lines.setdefault(pair, []).append(f"{measure} in {closer} of {len(rows)} groups{told}")
    return [f"{a} and {b} come closer: " + "; ".join(parts) + "." for (a, b), parts in lines.items()]


def _below(interval: tuple[float, float]) -> bool:
    return interval[1] < 0


def _above(interval: tuple[float, float]) -> bool:
    return interval[0] > 0


def notes(result: CalibrationBenchmark) -> list[str]:
    """What the columns mean."""
    lines = [
        "Lengths are % of the inter-ocular distance (outer corners of the eyes).",
        "Jitter: median second difference. Lag: frames behind the detections on the fastest motion (median over "
        "videos); along: signed distance there, negative behind. ms: CPU time of calibration alone on this machine.",
        "Distances: mean over frames and landmarks, then over videos; steps: of the motion since the frame before.",
    ]
    if any(r.interval for r in result.distance_rows()):
        lines.append("In brackets: 95 % bootstrap interval of the change over videos.")
    return lines


def as_markdown(result: CalibrationBenchmark) -> str:
    """The whole report."""
    parts = [
        "# Calibration benchmark",
        f"lrnet {__version__}; {machine()['processor']}, {machine()['cores']} cores.",
        _markdown_table(*landmarker_table(result)),
    ]
    if any(video.distances for video in result.videos):
        parts += [_markdown_table(*distance_table(result)), "\n".join(f"- {line}" for line in summaries(result))]
    parts.append(" ".join(notes(result)))
    videos = [
        [v.name, str(v.frames), f"{v.width} x {v.height}", f"{v.inter_ocular:.0f}", v.sha256[:12]]
        for v in result.videos
    ]
    parts.append(_markdown_table(["video", "frames", "size", "inter-ocular, pixels", "sha256"], videos))
    return "\n\n".join(parts) + "\n"


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
    """Figures, and what they were taken with; what is unknown is null."""
    content = {
        "versions": {"lrnet": __version__, "python": platform.python_version()}
        | library_versions(("numpy", "opencv-python-headless", "onnxruntime", "av")),
        "machine": machine(),
        "unit": "% of the inter-ocular distance; lag in frames",
        "landmarkers": [
            {
                "name": r.name,
                "version": next(v.landmarkers[r.name].version for v in result.videos if r.name in v.landmarkers),
                "videos": r.videos,
                "found": _known(r.found),
                "jitter_before": _known(r.jitter_before),
                "jitter_after": _known(r.jitter_after),
                "lag_frames": _known(r.lag),
                "along": _known(r.along),
                "milliseconds_per_frame": _known(r.milliseconds),
            }
            for r in result.landmarker_rows()
        ],
        "distances": [
            {
                "pair": r.pair,
                "measure": r.measure,
                "group": r.group,
                "before": _known(r.before),
                "after": _known(r.after),
                "change_percent": _known(r.change),
                "interval_95": r.interval,
                "videos": r.videos,
            }
            for r in result.distance_rows()
        ],
        "videos": [
            {"name": v.name, "sha256": v.sha256, "frames": v.frames, "width": v.width, "height": v.height}
            | {"inter_ocular_pixels": v.inter_ocular}
            for v in result.videos
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def machine() -> dict[str, str | int]:
    """What times depend on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return {"processor": name, "cores": os.cpu_count() or 1, "system": platform.system()}


def figure(result: CalibrationBenchmark) -> Any:
    """A matplotlib figure: for each pair and measure the distance before and after, by facial group.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    rows = result.distance_rows()
    pairs = list(dict.fromkeys(r.pair for r in rows))
    shape = (max(len(pairs), 1), len(DISTANCES))
    drawn = import_module("matplotlib.figure").Figure(figsize=(4.6 * shape[1], 2.6 * shape[0] + 0.6), layout="tight")
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


def require_matplotlib() -> None:
    """Raise MissingDependencyError where matplotlib is not installed."""
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise MissingDependencyError(
            "The figure needs matplotlib, which is not installed.",
            hint=f"Leave --out off, and the table is printed; or install it: {install_command('benchmark')}",
        ) from error


def prepare(folder: Path) -> None:
    """Check before the work that the files can be written after it; the folder itself may be missing.

    Raises:
        MissingDependencyError: matplotlib is not installed.
        OutputError: they cannot be written.
    """
    require_matplotlib()
    if not folder.exists():
        require_writable(folder)
        return
    if not folder.is_dir():
        raise OutputError(f"{folder} is not a folder.", hint="Give the name of a folder.")
    for name in FILES:
        require_writable(folder / name)


def write(result: CalibrationBenchmark, folder: Path) -> None:
    """Write `FILES` into the folder, once all of them are made, each whole or not at all. Raises as `prepare` does."""
    prepare(folder)
    texts = (as_markdown(result), as_csv(result), as_json(result))
    contents = [text.encode() for text in texts] + list(_pictures(result))
    folder.mkdir(exist_ok=True)
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


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _change(r: DistanceRow) -> str:
    shown = _shown(r.change, 1, "%", sign=True)
    return shown if r.interval is None else f"{shown} [{r.interval[0]:+.1f}, {r.interval[1]:+.1f}]"


def _shown(value: float, digits: int = 2, unit: str = "", *, sign: bool = False) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:+.{digits}f}{unit}" if sign else f"{value:.{digits}f}{unit}"


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
