"""Table 2: trained on one quality, tested on others."""

from __future__ import annotations

from typing import Final

from lrnet.experiments.paper.result import Contrast, Result, Seeds, paper_figure
from lrnet.experiments.paper.setting import Setting, called, score_model
from lrnet.experiments.paper.videos import VideoSet

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
    paper = paper_figure("compression", "decline under heavy compression")
    own = setting.data.qualities()
    others = ", ".join(DESCRIBED.get(tested.name, tested.name) for tested in sets[1:])
    made = (
        f" ({next(iter(own), '')}); the others were re-encoded from those, which is not what encoding the camera's "
        f"picture once would give: {others}"
    )
    result = Result(
        "compression",
        "Compression (the paper's Table 2)",
        setting.protocol(),
        setting.about(*sets),
        notes=(
            f"`{best.name}` is the videos as the dataset has them{made if len(own) < 2 else ''}.",
            f"The paper's decline under heavy compression: {paper}.",
        ),
    )

    def compare(network: str, found: dict[str, Seeds], words: str) -> None:
        """Differences from the best quality, and the heavy one's beside the paper's."""
        declines: dict[str, Contrast] = {}
        for s in sets[1:]:
            declines[s.name] = result.differ(f"{network}: {s.name} - {best.name}", found[s.name], found[best.name])
        if worst is not best:
            trend = f"The decline under heavy compression is small ({paper})."
            result.decline(trend, paper.value, declines[worst.name], words)

    for streams, config in setting.configs.items():
        found: dict[str, Seeds] = {}
        for tested in sets:
            found[tested.name] = setting.runs.scored(best, tested, config, setting.plans())
            result.add({"network": streams, "trained on": best.name, "tested on": tested.name}, found[tested.name])
        compare(streams, found, f"{streams}, trained on {best.name}:")
    for tested in (best, worst):
        seeds = setting.runs.scored(worst, tested, setting.config, setting.plans())
        streams = " + ".join(setting.config.stream_names)
        result.add({"network": streams, "trained on": worst.name, "tested on": tested.name}, seeds)
    for model in setting.models:
        name, found = called(setting, model), {}
        for tested in sets:
            scored, note = score_model(setting, model, tested)
            found[tested.name] = [scored]
            labels = {"network": name, "trained on": "", "tested on": tested.name}
            result.add(labels, found[tested.name], note=note)
        compare(name, found, f"{name}:")
    return result
