"""Table 6: one stream, the other, both; and every stream that this package has beside the paper's."""

from __future__ import annotations

from typing import Final

import numpy as np

from lrnet.experiments.paper.result import Result
from lrnet.experiments.paper.setting import PAPER_STREAMS, Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.network.streams import STREAMS

PAPER_NAMES: Final = {"positions": "positions (g1)", "differences": "differences (g2)"}


def run(setting: Setting) -> Result:
    """Each stream alone, the paper's two, the configuration's, and all."""
    clean = setting.data.clean()
    plans, ours, held = setting.plans(), setting.config.stream_names, readable(clean)
    wanted: dict[str, tuple[str, ...]] = {PAPER_NAMES.get(name, name): (name,) for name in held}
    wanted["both of the paper (g1 + g2)"] = PAPER_STREAMS
    joined = " + ".join(ours)
    if len(ours) > 1 and set(ours) != set(PAPER_STREAMS):
        wanted[joined] = ours
    wanted["all"] = held
    setting.runs.prepare(clean, setting.with_streams(*held), plans)
    config_of = {what: setting.with_streams(*names) for what, names in wanted.items()}
    found = {what: setting.runs.scored(clean, clean, config, plans) for what, config in config_of.items()}
    title = "Streams alone and together (the paper's Table 6)"
    result = Result("streams", title, setting.protocol(), setting.about(clean))
    for what, seeds in found.items():
        result.add({"streams": what}, seeds)
    both = found["both of the paper (g1 + g2)"]
    for name in PAPER_STREAMS:
        more = result.differ(f"both of the paper - {PAPER_NAMES[name]}", both, found[PAPER_NAMES[name]])
        result.ask(f"Both streams beat {PAPER_NAMES[name]} alone (Table 6).", more, "both less one:")
    if len(ours) > 1:
        together = found.get(joined, both)
        for name in ours:
            result.differ(f"{joined} - {name}", together, found[PAPER_NAMES.get(name, name)])
        result.differ(f"all - {joined}", found["all"], together)
    return result


def readable(videos: VideoSet) -> tuple[str, ...]:
    """The streams that these stores hold anything of: landmarks that came without their video lack the tracker's.

    Stores of earlier versions lack what surrounds the face.
    """
    sequence = videos.faces()[0].sequences[0]
    return tuple(name for name, stream in STREAMS.items() if np.nansum(np.abs(stream.embed(sequence))) > 0)
