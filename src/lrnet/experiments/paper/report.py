"""Run experiments by name; write each result as a page (Markdown), tables (CSV, JSON) and a figure (PNG, SVG) into a
folder, and the folder's index."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, cast

from lrnet.evaluation.metrics import interval_text
from lrnet.evaluation.report import csv_text, table
from lrnet.experiments import environment
from lrnet.experiments.paper import TITLES
from lrnet.experiments.paper.draw import draw_auc
from lrnet.experiments.paper.result import Contrast, Result, Row, signed_interval
from lrnet.experiments.paper.setting import Setting, check_models
from lrnet.files import make_folder, write_text

FORMAT: Final = 1
SUFFIXES: Final = ("md", "csv", "json", "png", "svg")
INDEX: Final = "index.md"
PROPORTIONS: Final = frozenset({"clip", "video"})


def prepare(folder: Path, names: Iterable[str]) -> None:
    """Make the folder and check that results can be written to it (see `lrnet.experiments.environment.prepare`)."""
    make_folder(folder)
    environment.prepare(folder, (f"{name}.{suffix}" for name in names for suffix in SUFFIXES))


def write(result: Result, folder: Path, cost: Mapping[str, float]) -> list[Path]:
    """Write `NAME.md`, `.csv`, `.json`, `.png` and `.svg`, each whole or not at all. Raises OutputError.

    Args:
        cost: what the run took, for the record.
    """
    pictures = list(draw_auc(result.rows, folder, result.name) if result.draw is None else result.draw(folder))
    texts = {
        "csv": csv_text(_csv_rows(result)),
        "json": json.dumps(as_dict(result, cost), indent=1, allow_nan=False) + "\n",
        "md": as_markdown(result),
    }
    for suffix, text in texts.items():
        write_text(folder / f"{result.name}.{suffix}", text)
    return [folder / f"{result.name}.{suffix}" for suffix in texts] + pictures


def as_markdown(result: Result) -> str:
    """The page: protocol, table, differences, and findings."""
    parts = [f"# {result.title}\n", f"{result.protocol}\n"]
    parts += [f"{note}\n" for note in result.notes]
    parts += ["## Measured\n", rows_table(result.shown or result.rows), f"![{result.title}]({result.name}.svg)\n"]
    for title, header, rows in result.extra:
        parts += [f"## {title}\n", table(header, rows)]
    if result.contrasts:
        parts += ["## Differences\n", contrasts_table(result.contrasts)]
    if result.findings:
        parts += ["## What that says\n", "\n".join(f"- {finding}" for finding in result.findings) + "\n"]
    parts += ["## Made with\n", _about_in_words(result)]
    return "\n".join(parts)


def rows_table(rows: Iterable[Row]) -> str:
    """Rows with the same labels share a line: a column for each figure, and one for the paper's."""
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row.labels))
    if not any(row.unit in PROPORTIONS for row in listed):
        return _long_table(listed, names)
    columns = list(dict.fromkeys((row.unit, row.figure) for row in listed))
    papers = {(row.unit, row.figure) for row in listed if row.paper is not None}
    lines: dict[tuple[str, ...], dict[tuple[str, str], Row]] = {}
    for row in listed:
        lines.setdefault(tuple(row.labels.get(n, "") for n in names), {})[(row.unit, row.figure)] = row
    header = list(names)
    for unit, figure in columns:
        header += [f"{unit} {figure}" if unit in PROPORTIONS else f"{figure} / {unit}" if unit else figure]
        header += ["the paper's"] if (unit, figure) in papers else []
    noted = any(row.note for row in listed)
    header += ["n", *([""] if noted else [])]
    body = []
    for labels, found in lines.items():
        cells = list(labels)
        for column in columns:
            here = found.get(column)
            cells.append("" if here is None else _cell(here))
            if column in papers:
                cells.append("" if here is None or here.paper is None else str(here.paper))
        counted = {row.unit: row.estimate.n for row in found.values()}
        cells.append(", ".join(f"{n} {unit}s" for unit, n in counted.items() if unit in PROPORTIONS))
        cells += ["; ".join(dict.fromkeys(row.note for row in found.values() if row.note))] if noted else []
        body.append(cells)
    return table(header, body)


def _long_table(rows: list[Row], names: list[str]) -> str:
    """A line for each figure, with its unit."""
    body = [
        [row.figure, *(row.labels.get(n, "") for n in names), f"{_cell(row)} {row.unit}".strip(),
         "" if row.paper is None else str(row.paper), row.note]
        for row in rows
    ]  # fmt: skip
    return table(("figure", *names, "here", "the paper's", ""), body)


def _cell(row: Row) -> str:
    e = row.estimate
    if row.unit not in PROPORTIONS:
        return f"{e.value:,.4g}" if e.value != int(e.value) else f"{e.value:,.0f}"
    if e.low == e.high == e.value and e.n == 0:
        return f"{e.value:.3f}"
    return f"{e.value:.3f} ({interval_text(e.interval)})"


def contrasts_table(contrasts: Iterable[Contrast]) -> str:
    """Differences with their intervals."""
    rows = [(c.what, c.unit, c.figure, f"{c.estimate.value:+.3f}", signed_interval(c.estimate)) for c in contrasts]
    return table(("difference", "unit", "figure", "value", "95 % interval"), rows)


def as_dict(result: Result, cost: Mapping[str, float]) -> dict[str, Any]:
    """The result for programs."""
    return {
        "format": FORMAT,
        "experiment": result.name,
        "title": result.title,
        "cost": dict(cost),
        "protocol": result.protocol,
        "notes": list(result.notes),
        "rows": [
            {**asdict(row), "labels": dict(row.labels), "estimate": row.estimate.as_dict()} for row in result.rows
        ],
        "contrasts": [{**asdict(c), "estimate": c.estimate.as_dict()} for c in result.contrasts],
        "findings": [asdict(f) for f in result.findings],
        "tables": [{"title": t, "header": list(h), "rows": [list(r) for r in rows]} for t, h, rows in result.extra],
        "about": dict(result.about),
    }


def _csv_rows(result: Result) -> Iterator[dict[str, Any]]:
    names = list(dict.fromkeys(name for row in result.rows for name in row.labels))
    for row in result.rows:
        of_paper = {"paper": "" if row.paper is None else row.paper.value}
        yield {n: row.labels.get(n, "") for n in names} | {
            "unit": row.unit, "figure": row.figure, **row.estimate.as_dict(), **of_paper, "note": row.note,
        }  # fmt: skip
    for c in result.contrasts:
        empty = dict.fromkeys(names[1:], "")
        labels = {names[0]: f"difference: {c.what}"} | empty if names else {}
        yield labels | {"unit": c.unit, "figure": c.figure, **c.estimate.as_dict(), "paper": "", "note": ""}


def _about_in_words(result: Result) -> str:
    about = result.about
    lines = []
    for name, data in about.get("data", {}).items():
        counts = (
            f"{data['videos']} videos ({data['real']} real, {data['fake']} fake) of {data['groups']} identity groups"
        )
        lines.append(f"- {name}: {counts}, content {data['content'][:16]}")
    if "seeds" in about:
        lines.append(f"- seeds {', '.join(map(str, about['seeds']))}; {about.get('division', '')}")
    lines.append(f"- {', '.join(f'{name} {number}' for name, number in about.get('versions', {}).items())}")
    lines.append(f"- the whole configuration is in `{result.name}.json`")
    if "command" in about:
        lines.append(f"- `{about['command']}`")
    return "\n".join(lines) + "\n"


class Experiment(Protocol):
    """A module of this package."""

    def run(self, setting: Setting) -> Result:
        """Measure."""
        ...


def experiment(name: str) -> Experiment:
    """The module of an experiment."""
    return cast(Experiment, import_module(f"lrnet.experiments.paper.{name.replace('-', '_')}"))


def carry_out(setting: Setting, out: Path, names: Sequence[str], tell: Callable[[str], None]) -> list[Result]:
    """Run experiments; write each as soon as it is done, and `index.md` again.

    Raises:
        OutputError: the folder cannot be written. Other errors of lrnet: see the experiments.
    """
    prepare(out, names)
    setting.data.require_both_classes()
    check_models(setting, names)
    results = []
    for name in names:
        tell(f"{name}: {TITLES[name]}")
        began, before = perf_counter(), setting.runs.trained
        setting.runs.seconds.clear()
        result = experiment(name).run(setting)
        cost = {
            "minutes": round((perf_counter() - began) / 60, 2),
            "networks_trained": setting.runs.trained - before,
            "networks_used": len(setting.runs.seconds),
            "training_minutes_of_these": round(sum(setting.runs.seconds.values()) / 60, 2),
        }
        write(result, out, cost)
        write_index(out)
        results.append(result)
        tell(f"{name}: {cost['minutes']:.1f} minutes, {cost['networks_trained']} networks trained")
    return results


def write_index(out: Path) -> None:
    """`index.md`, from the results that lie in the folder. Raises OutputError."""
    found = {}
    for name in TITLES:
        file = out / f"{name}.json"
        if file.is_file():
            found[name] = json.loads(file.read_text(encoding="utf-8"))
    write_text(out / INDEX, index(found))


def index(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The index page, from the results of `lrnet.experiments.paper.report.as_dict` by name of the experiment."""
    findings = [(name, f) for name, result in found.items() for f in result["findings"]]
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in sorted(Counter(f["verdict"] for _, f in findings).items()))
    data = [about for result in found.values() for name, about in result["about"]["data"].items() if name == "clean"]
    missing = [name for name in TITLES if name not in found]
    parts = [
        "# The paper's experiments\n",
        *(
            f"{d['videos']} videos ({d['real']} real, {d['fake']} fake) of {d['groups']} identity groups.\n"
            for d in data[:1]
        ),
        LIMITS,
        f"## Trends\n\n{len(findings)} questions: {verdicts}.\n",
        table(("trend", "here", "because"), [(f["trend"], f["verdict"], f["because"]) for _, f in findings]),
        "## Pages\n",
        table(
            ("experiment", "minutes", "networks trained", "networks used", "their training, minutes"),
            [(f"[{r['title']}]({name}.md)", *(f"{r['cost'][key]:g}" for key in COSTS)) for name, r in found.items()],
        ),
        "Minutes and networks trained are those of the last run, which found what earlier ones had kept; training of "
        "all networks used is on one thread each, on a machine that may have been busy.\n",
    ]
    if missing:
        parts.append(f"Not measured here: {', '.join(f'`{name}`' for name in missing)}.\n")
    return "\n".join(parts)


COSTS: Final = ("minutes", "networks_trained", "networks_used", "training_minutes_of_these")

LIMITS: Final = """## Limits of these figures

- Intervals are over people. With some tens of identity groups, differences in AUC below some hundredths cannot be
  measured: "not decidable here" does not mean that there is no difference.
- They do not hold the chance of training, which moves an AUC by hundredths on so few videos.
- The paper trains on many more people. Absolute figures here are those of small training sets and are not comparable
  with the paper's; differences between rows are what is worth reading.
- Many questions are asked: of twenty intervals at 95 %, one misses by chance.
- Everything is one dataset's faces, methods and encoder, except where a page says otherwise.
"""
