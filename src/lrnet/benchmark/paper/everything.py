"""One experiment or all of them, from their names to files in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Final, Protocol, cast

from lrnet.benchmark.paper import TITLES
from lrnet.benchmark.paper.report import machine, prepare, write
from lrnet.benchmark.paper.result import Result
from lrnet.benchmark.paper.setting import Setting, about_set, check_models
from lrnet.evaluation.report import table
from lrnet.files import write_text

LOG: Final = "all.json"


class Experiment(Protocol):
    """A module of this package."""

    def run(self, setting: Setting) -> Result:
        """Measure."""
        ...


def experiment(name: str) -> Experiment:
    """The module of an experiment."""
    return cast(Experiment, import_module(f"lrnet.benchmark.paper.{name.replace('-', '_')}"))


def carry_out(setting: Setting, out: Path, names: Sequence[str], tell: Callable[[str], None]) -> list[Result]:
    """Run experiments and write each as soon as it is done; with several also `index.md`.

    Raises:
        OutputError: the folder cannot be written. Other errors of lrnet: see the experiments.
    """
    prepare(out, names)
    setting.data.require_both_classes()
    check_models(setting, names)
    results = []
    took: dict[str, tuple[float, int]] = {}
    for name in names:
        began, before = perf_counter(), setting.runs.trained
        tell(f"{name}: {TITLES[name]}")
        result = experiment(name).run(setting)
        write(result, out)
        results.append(result)
        took[name] = (perf_counter() - began, setting.runs.trained - before)
        tell(f"{name}: {took[name][0] / 60:.1f} minutes, {took[name][1]} networks trained")
    if len(names) > 1:
        log = {n: {"seconds": round(s, 1), "networks_trained": k} for n, (s, k) in took.items()}
        write_text(out / LOG, json.dumps({"experiments": log, "machine": machine()}, indent=1) + "\n")
        write_text(out / "index.md", index(results, took, setting))
    return results


def index(results: Sequence[Result], took: dict[str, tuple[float, int]], setting: Setting) -> str:
    """The page that leads to the experiments' own: what was found and what cannot be said."""
    clean = about_set(setting.data.clean())
    minutes = sum(seconds for seconds, _ in took.values()) / 60
    trained = sum(count for _, count in took.values())
    seconds = setting.runs.seconds.values()
    counts: dict[str, int] = {}
    for result in results:
        for finding in result.findings:
            counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
    said = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items()))
    rows = [(f"[{r.title}]({r.name}.md)", f"{took[r.name][0] / 60:.1f}", str(took[r.name][1])) for r in results]
    trends = [(f.trend, f.verdict, f.because) for r in results for f in r.findings]
    return f"""# The paper's experiments on {setting.data.name}

{clean["videos"]} videos ({clean["real"]} real, {clean["fake"]} fake) of {clean["groups"]} identity groups. This run
took {minutes:.0f} minutes on {machine()["cores"]} cores and trained {trained} networks. {len(seconds)} networks are
used, those that were there already among them; training them took {sum(seconds) / 60:.0f} minutes, one thread each.

## What can be said at this size, and what cannot

- Intervals are over people. With {clean["groups"]} identity groups a difference in AUC below some hundredths is lost in
  them; "not decidable here" means that, and not that there is no difference.
- They do not hold the chance of training, which moves an AUC by hundredths on so few videos.
- The paper trains on many more people. Absolute figures here are those of small training sets and are not comparable
  with the paper's; differences between rows are what is worth reading.
- Many questions are asked: of twenty intervals at 95 %, one misses by chance.
- Everything is one dataset's faces, methods and encoder, except where a page says otherwise.

## Trends

{len(trends)} questions: {said}.

{table(("trend", "here", "because"), trends)}
## Pages

{table(("experiment", "minutes", "networks trained in this run"), rows)}"""
