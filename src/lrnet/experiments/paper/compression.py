"""Table 2: trained on one quality, tested on others."""

from __future__ import annotations

from typing import Final

from lrnet.experiments.paper.draw import draw_auc
from lrnet.experiments.paper.result import (
    MEASURED,
    Contrast,
    Finding,
    Result,
    Row,
    Seeds,
    difference,
    in_words,
    measured_rows,
    no_worse_than,
    paper_figure,
)
from lrnet.experiments.paper.setting import Setting, model_rows
from lrnet.experiments.paper.videos import VideoSet

NAME: Final = "compression"
DESCRIBED: Final = {
    "c23": "`c23` is H.264 at CRF 23",
    "c40": "`c40` is H.264 at CRF 40",
    "hevc": "`hevc` is HEVC",
    "social": "`social` is encoded twice, as a platform and a viewer who passes its copy on do",
}


def qualities(setting: Setting) -> list[VideoSet]:
    """The dataset's own qualities, the best first; if it holds one, that and re-encodings of it."""
    own = setting.data.qualities()
    if len(own) > 1:
        return [setting.data.stored_quality(name or "as it is", records) for name, records in own.items()]
    held = next(iter(own), "")
    return [setting.data.clean(), *(setting.data.treated(name) for name in setting.qualities if name != held)]


def run(setting: Setting) -> Result:
    """Trained on the best quality and tested on each; trained on the worst H.264 one, tested on it and on the best."""
    sets = qualities(setting)
    best = sets[0]
    worst = next((s for s in sets if s.name == "c40"), sets[-1])
    plans = setting.plans()
    rows: list[Row] = []
    contrasts: list[Contrast] = []
    findings: list[Finding] = []
    for config in (setting.config, setting.papers):
        streams = " + ".join(config.stream_names)
        found: dict[str, Seeds] = {}
        for tested in sets:
            found[tested.name] = setting.runs.scored(best, tested, config, plans)
            labels = {"network": streams, "trained on": best.name, "tested on": tested.name}
            rows += measured_rows(labels, found[tested.name], MEASURED)
        declines = [difference(f"{streams}: {s.name} - {best.name}", found[s.name], found[best.name]) for s in sets[1:]]
        contrasts += declines
        if worst is not best:
            at = [s.name for s in sets[1:]].index(worst.name)
            findings.append(like_the_papers(f"{streams}, trained on {best.name}:", declines[at]))
    for tested in (best, worst):
        seeds = setting.runs.scored(worst, tested, setting.config, plans)
        streams = " + ".join(setting.config.stream_names)
        labels = {"network": streams, "trained on": worst.name, "tested on": tested.name}
        rows += measured_rows(labels, seeds, MEASURED)
    by_model: dict[str, dict[str, Seeds]] = {}
    for tested in sets:
        more, scored = model_rows(setting, tested, {"trained on": "", "tested on": tested.name}, MEASURED)
        rows += more
        for name, seeds in scored.items():
            by_model.setdefault(name, {})[tested.name] = seeds
    for name, of_quality in by_model.items():
        contrasts += [
            difference(f"{name}: {s.name} - {best.name}", of_quality[s.name], of_quality[best.name]) for s in sets[1:]
        ]
        if worst is not best:
            decline = difference("", of_quality[worst.name], of_quality[best.name])
            findings.append(like_the_papers(f"{name}:", decline))
    return Result(
        NAME,
        "Compression (the paper's Table 2)",
        setting.protocol(),
        tuple(rows),
        tuple(contrasts),
        tuple(findings),
        setting.about(*sets),
        lambda folder: draw_auc(rows, folder, NAME),
        notes=(
            f"`{best.name}` is the videos as the dataset has them"
            + (
                f" ({next(iter(setting.data.qualities()), '')}); the others were re-encoded from those, which is not "
                "what encoding the camera's picture once would give: "
                + ", ".join(DESCRIBED.get(tested.name, tested.name) for tested in sets[1:])
                + "."
                if len(setting.data.qualities()) < 2
                else "."
            ),
            f"The paper's decline under heavy compression: {paper_figure(NAME, 'decline under heavy compression')}.",
        ),
    )


def like_the_papers(name: str, decline: Contrast) -> Finding:
    """Whether a decline's interval holds the paper's, and is no worse than it."""
    paper = paper_figure(NAME, "decline under heavy compression")
    trend = f"The decline under heavy compression is small ({paper})."
    e = decline.estimate
    because = f"{name} {in_words(decline)}"
    if e.interval is not None:
        because += f"; the paper's lies {'inside' if e.low <= paper.value <= e.high else 'outside'} this interval"
    return no_worse_than(trend, paper.value, e, f"{because}.")
