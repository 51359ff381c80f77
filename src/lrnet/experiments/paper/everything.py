"""Run experiments by name, write their files, and the index page of a folder."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, cast

from lrnet.evaluation.report import table
from lrnet.experiments.paper import TITLES
from lrnet.experiments.paper.report import prepare, write
from lrnet.experiments.paper.result import Result
from lrnet.experiments.paper.setting import Setting, check_models
from lrnet.files import write_text

INDEX: Final = "index.md"


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
