"""Does the map of the pixels point at what was altered? `python -m lrnet.experiments.pixel_map MODEL STORE`.

Blends a known part of each real face of a store with itself, as training does, and looks whether the cell with the
highest logit lies in that part. Beside it stands what chance would give: the share of the cells that lie in the part.
Only crops that the network notices (logit above that of the untouched crop by 1 or more) are counted, as a report shows
the map only of a face whose pixels speak for a fake.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from lrnet.appearance.crops import CROP_SIZE, WIDE, middle
from lrnet.appearance.graph import CELLS
from lrnet.appearance.network import AppearanceNetwork
from lrnet.data import Label
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import crops_of
from lrnet.experiments import environment
from lrnet.network.registry import load_model
from lrnet.training.appearance.blend import PARTS, blended, moved, other_history, soft_mask

NOTICED = 1.0
CROPS = 3  # of each video


@dataclass(frozen=True, slots=True)
class Pointed:
    """One altered crop: its part, whether the highest cell lies in it, the share of cells that do, and the group."""

    part: str
    inside: bool
    chance: float
    group: str


def main() -> None:
    parser = environment.parser(__doc__, "split")
    parser.add_argument("model", help="a model with both witnesses")
    parser.add_argument("store", type=Path)
    args = parser.parse_args()
    network = AppearanceNetwork.of(load_model(args.model))
    if network is None:
        parser.error(f"{args.model} looks at motion alone")
    real = [v for v in environment.stored(args.store, args.split) if v.record.label is Label.REAL]
    Console(width=120).print(table(pointed(network, real)))


def pointed(network: AppearanceNetwork, videos: Sequence[StoredVideo], seed: int = 0) -> list[Pointed]:
    """Every part of some crops of each video, altered; those that the network notices."""
    draw = np.random.default_rng(seed)
    found = []
    for video in videos:
        crops = crops_of(video)
        if crops is None:
            continue
        for i in np.unique(np.linspace(0, len(crops.times) - 1, CROPS).round().astype(int)) if len(crops.times) else ():
            picture, landmarks = crops.pictures[i], crops.landmarks[i]
            before = network.cells(middle(picture[None])[0])
            for part in PARTS:
                mask = soft_mask(WIDE, landmarks, draw, part)
                fake = blended(moved(other_history(picture, draw), draw), picture, mask)
                after = network.cells(middle(fake[None])[0])
                if after.mean() - before.mean() < NOTICED:
                    continue
                edge = (WIDE - CROP_SIZE) // 2
                small = cv2.resize(mask[edge:-edge, edge:-edge, 0], (CELLS, CELLS), interpolation=cv2.INTER_AREA)
                covered = small > 0.1 * float(mask.max())
                inside = bool(covered.ravel()[int(after.argmax())])
                found.append(Pointed(part, inside, float(covered.mean()), video.record.group))
    return found


def table(rows: Sequence[Pointed]) -> Table:
    """A row for each part."""
    shown = Table("altered part", "crops noticed", "people", "highest cell inside", "by chance", box=None)
    for part in PARTS:
        own = [row for row in rows if row.part == part]
        if own:
            inside, chance = np.mean([row.inside for row in own]), np.mean([row.chance for row in own])
            people = len({row.group for row in own})
            shown.add_row(part, str(len(own)), str(people), f"{100 * inside:.0f} %", f"{100 * chance:.0f} %")
    return shown


if __name__ == "__main__":
    environment.run(main)
