"""Table 6: one stream, the other, both; and every stream that this package has beside the paper's."""

from __future__ import annotations

from typing import Final

import numpy as np

from lrnet.experiments.paper.draw import draw_auc
from lrnet.experiments.paper.result import MEASURED, Result, difference, is_above, measured_rows
from lrnet.experiments.paper.setting import PAPER_STREAMS, Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.network.streams import STREAMS

NAME: Final = "streams"
PAPER_NAMES: Final = {"positions": "positions (g1)", "differences": "differences (g2)"}


def run(setting: Setting) -> Result:
    """Each stream alone, the paper's two, the configuration's, and all."""
    clean = setting.data.clean()
    plans = setting.plans()
    ours = setting.config.stream_names
    held = readable(clean)
    wanted: dict[str, tuple[str, ...]] = {PAPER_NAMES.get(name, name): (name,) for name in held}
    wanted["both of the paper (g1 + g2)"] = PAPER_STREAMS
    if len(ours) > 1 and set(ours) != set(PAPER_STREAMS):
        wanted[" + ".join(ours)] = ours
    wanted["all"] = held
    setting.runs.prepare(clean, setting.recipe(*held), plans)
    found = {what: setting.runs.scored(clean, clean, setting.recipe(*names), plans) for what, names in wanted.items()}
    rows = [row for what, seeds in found.items() for row in measured_rows({"streams": what}, seeds, MEASURED)]
    both = found["both of the paper (g1 + g2)"]
    contrasts = [
        difference(f"both of the paper - {PAPER_NAMES[n]}", both, found[PAPER_NAMES[n]]) for n in PAPER_STREAMS
    ]
    findings = [
        is_above(f"Both streams beat {PAPER_NAMES[name]} alone (Table 6).", found_, "both less one:")
        for name, found_ in zip(PAPER_STREAMS, contrasts, strict=True)
    ]
    if len(ours) > 1:
        joined = found.get(" + ".join(ours), both)
        for name in ours:
            contrasts.append(difference(f"{' + '.join(ours)} - {name}", joined, found[PAPER_NAMES.get(name, name)]))
        contrasts.append(difference(f"all - {' + '.join(ours)}", found["all"], joined))
    return Result(
        NAME,
        "Streams alone and together (the paper's Table 6)",
        setting.protocol(),
        tuple(rows),
        tuple(contrasts),
        tuple(findings),
        setting.about(clean),
        lambda folder: draw_auc(rows, folder, NAME),
    )


def readable(videos: VideoSet) -> tuple[str, ...]:
    """The streams that these stores hold anything of: landmarks that came without their video lack the tracker's.

    Stores of earlier versions lack what surrounds the face.
    """
    sequence = videos.faces()[0].sequences[0]
    return tuple(name for name, stream in STREAMS.items() if np.nansum(np.abs(stream.embed(sequence))) > 0)
