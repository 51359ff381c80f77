"""An evaluation as tables (Markdown, CSV, JSON) and plots in a folder."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from lrnet.data.records import Label
from lrnet.evaluation.evaluation import Evaluation, Part
from lrnet.evaluation.metrics import Estimate, interval_text
from lrnet.evaluation.plots import draw_reliability, draw_roc, draw_scores
from lrnet.evaluation.protocol import ScoredVideo, clip_scores, video_probabilities, video_scores
from lrnet.files import make_folder, write_text
from lrnet.network.spec import BundleSpec
from lrnet.verdict import State

SHOWN: Final = (State.LIKELY_FAKE, State.INCONCLUSIVE, State.NO_EVIDENCE)
FORMAT: Final = 1


def write_evaluation(
    evaluation: Evaluation, model: BundleSpec, folder: Path, *, reports: Path | None = None
) -> list[Path]:
    """Write `evaluation.md`, `figures.csv`, `videos.csv`, `evaluation.json` and the plots.

    Args:
        reports: folder of HTML reports, to which errors are linked by the name of their video if it is unique.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    make_folder(folder)
    pages = {
        "evaluation.md": as_markdown(evaluation, model, folder, reports),
        "figures.csv": csv_text(_figure_rows(evaluation)),
        "videos.csv": csv_text(_video_row(v) for v in evaluation.videos),
        "evaluation.json": json.dumps(as_json(evaluation, model), indent=2, allow_nan=False) + "\n",
    }
    for name, text in pages.items():
        write_text(folder / name, text)
    return [folder / name for name in pages] + _plots(evaluation, model, folder)


def _plots(evaluation: Evaluation, model: BundleSpec, folder: Path) -> list[Path]:
    of_videos = video_scores(evaluation.videos)
    if not of_videos.both_classes:
        return []
    drawn = draw_roc({"videos": of_videos, "clips": clip_scores(evaluation.videos)}, folder)
    probabilities = video_probabilities(evaluation.videos)
    limits = model.limits
    if not len(probabilities) or limits is None:
        return drawn + draw_scores(of_videos, {}, folder)
    marks = {"likely fake": limits.likely_fake, "no evidence": limits.no_evidence}
    return drawn + draw_reliability(probabilities, folder) + draw_scores(probabilities, marks, folder)


def as_markdown(
    evaluation: Evaluation, model: BundleSpec, folder: Path | None = None, reports: Path | None = None
) -> str:
    """The evaluation as a page."""
    videos = evaluation.videos
    counts = ", ".join(f"{sum(v.record.label is label for v in videos)} {label.value}" for label in Label)
    people = len({v.record.group for v in videos})
    parts = [
        f"# {model.name} {model.version} on {len(videos)} videos\n",
        f"{counts}, {people} identity groups; {evaluation.unscored} gave no clip. 95 % intervals from a bootstrap over "
        "identity groups.\n",
    ]
    if evaluation.contaminated:
        parts.append(
            f"**Contaminated: {evaluation.contaminated} of {len(videos)} videos show people that this model was "
            "trained on. Figures over all videos are no measure of it.**\n"
        )
    if model.score_calibration is None:
        parts.append("This model has no calibrated probability: Brier, ECE and accuracy are those of its raw scores.\n")
    if evaluation.figures:
        parts += ["## Figures\n", figures_table(evaluation.figures)]
    if evaluation.unseen:
        parts += ["## Figures without the people it was trained on\n", figures_table(evaluation.unseen)]
    parts += ["## Verdicts\n", states_table(evaluation)]
    for kind in dict.fromkeys(part.kind for part in evaluation.parts):
        parts += [f"## By {kind}\n", _parts_table([p for p in evaluation.parts if p.kind == kind])]
    parts += ["## Errors\n", _errors(evaluation, folder, reports)]
    return "\n".join(parts)


def as_json(evaluation: Evaluation, model: BundleSpec) -> dict[str, Any]:
    """The evaluation for programs."""
    return {
        "format": FORMAT,
        "model": {"name": model.name, "version": model.version, "files": model.files},
        "videos": len(evaluation.videos),
        "unscored": evaluation.unscored,
        "contaminated": evaluation.contaminated,
        "figures": _as_dicts(evaluation.figures),
        "unseen": _as_dicts(evaluation.unseen),
        "states": _as_dicts(evaluation.states),
        "parts": [
            {"kind": p.kind, "name": p.name, "real": p.real, "fake": p.fake, "states": _as_dicts(p.states)}
            | {"auc": None if p.auc is None else p.auc.as_dict()}
            for p in evaluation.parts
        ],
        "errors": [_video_row(v) for v in evaluation.errors],
    }


def _as_dicts(estimates: Mapping[Any, Mapping[Any, Estimate]]) -> dict[str, dict[str, Any]]:
    """Estimates under two names, or labels and states, for JSON."""
    return {str(one): {str(other): e.as_dict() for other, e in some.items()} for one, some in estimates.items()}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def figures_table(figures: dict[str, dict[str, Estimate]]) -> str:
    rows = [
        (unit, name, f"{e.value:.3f}", interval_text(e.interval), str(e.n), str(e.people))
        for unit, some in figures.items()
        for name, e in some.items()
    ]
    return table(("unit", "figure", "value", "95 % interval", "n", "people"), rows)


def states_table(evaluation: Evaluation) -> str:
    rows = [(label.value, *(_share(shares[state]) for state in State)) for label, shares in evaluation.states.items()]
    return table(("videos", *(state.value for state in State)), rows)


def _parts_table(parts: Sequence[Part]) -> str:
    rows = []
    for part in parts:
        of_auc = "" if part.auc is None else f"{part.auc.value:.3f} ({interval_text(part.auc.interval)})"
        cells = [_states_cell(part, label) for label in (Label.REAL, Label.FAKE)]
        rows.append((part.name, str(part.real), str(part.fake), of_auc, *cells))
    order = "likely fake / inconclusive / no evidence"
    return table(("", "real", "fake", "AUC", f"real: {order}", f"fake: {order}"), rows)


def _states_cell(part: Part, label: Label) -> str:
    shares = part.states.get(label)
    return "" if shares is None else " / ".join(f"{100 * shares[state].value:.0f} %" for state in SHOWN)


def _share(e: Estimate) -> str:
    interval = None if e.interval is None else (100 * e.low, 100 * e.high)
    return f"{100 * e.value:.1f} % ({interval_text(interval, 1)})"


def _errors(evaluation: Evaluation, folder: Path | None, reports: Path | None) -> str:
    if not evaluation.errors:
        return "No real video is called likely_fake, and no fake no_evidence_of_manipulation.\n"
    stems = Counter(_stem(v) for v in evaluation.videos)
    rows = [
        (
            # A report is named after its video's file: with one name for several videos it could be another's.
            _linked(v, folder, reports if stems[_stem(v)] == 1 else None),
            v.record.label.value,
            v.record.method,
            v.record.source,
            v.state.value,
            "" if v.probability is None else f"{v.probability:.3f}",
        )
        for v in evaluation.errors
    ]
    return table(("video", "is", "method", "source", "called", "probability"), rows)


def _stem(video: ScoredVideo) -> str:
    return Path(video.record.key).stem


def _linked(video: ScoredVideo, folder: Path | None, reports: Path | None) -> str:
    page = None if reports is None else reports / f"{_stem(video)}.html"
    if folder is None or page is None or not page.is_file():
        return video.record.key
    return f"[{video.record.key}]({quote(os.path.relpath(page, folder))})"


def _figure_rows(evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    for what, figures in (("all", evaluation.figures), ("people not trained on", evaluation.unseen)):
        for unit, some in figures.items():
            for name, e in some.items():
                yield {"videos": what, "part": "", "unit": unit, "figure": name, **e.as_dict()}
    for part in evaluation.parts:
        what = f"{part.kind}: {part.name}"
        if part.auc is not None:
            yield {"videos": "all", "part": what, "unit": "video", "figure": "AUC", **part.auc.as_dict()}
        for label, shares in part.states.items():
            for state, e in shares.items():
                figure = f"{label.value} called {state.value}"
                yield {"videos": "all", "part": what, "unit": "video", "figure": figure, **e.as_dict()}


def _video_row(video: ScoredVideo) -> dict[str, Any]:
    r = video.record
    return {
        "video": r.key,
        "label": r.label.value,
        **{name: getattr(r, name) for name in ("method", "source", "split", "group")},
        "seen_in_training": video.seen_in_training,
        "clips": len(video.clips),
        "score": video.score,
        "probability": video.probability,
        "state": video.state.value,
        "reasons": " ".join(reason.value for reason in video.verdict.reasons),
        "people": len(video.people),
        "face_size": None if video.deciding is None else round(video.deciding.quality.face_size, 1),
    }


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """Rows with the same keys as CSV, the keys as its header."""
    listed = list(rows)
    text = io.StringIO()
    if listed:
        writer = csv.DictWriter(text, list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)
    return text.getvalue()
