"""Does a plain number tell the fakes of appearance's training from the real faces beside them?

    python -m lrnet.experiments.tells STORE... [--batches 60]

A network takes the shortest way: what tells a pair apart and is no trace of manipulation is learnt first, and misleads
abroad. Makes batches as training does, of the crops of landmark stores, and prints for each number, by the coding of
the pair, in how many pairs it is larger for the fake: 0.5 where it tells nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from lrnet.data.store.crops import CropsOfVideo, read_folder
from lrnet.experiments import environment
from lrnet.training.appearance.degrade import Degradation
from lrnet.training.appearance.fit import AppearanceSettings
from lrnet.training.appearance.samples import Batches
from lrnet.training.data import read_stores

Picture = NDArray[np.uint8]


def sharpness(picture: Picture) -> float:
    """Mean absolute Laplacian of the grey picture."""
    return float(np.abs(cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F)).mean())


def saturation(picture: Picture) -> float:
    return float(np.ptp(picture.astype(np.int16), axis=2).mean())


NUMBERS: Final[dict[str, Callable[[Picture], float]]] = {
    "sharpness": sharpness,
    "brightness": lambda picture: float(picture.mean()),
    "contrast": lambda picture: float(picture.std()),
    "saturation": saturation,
}


def coding(way: Degradation) -> str:
    return "H.264" if way.crf else "JPEG" if way.quality is not None else "none"


def measured(videos: Sequence[CropsOfVideo], batches: int, at_hand: float) -> dict[str, dict[str, list[float]]]:
    """Number -> coding -> for each pair 1.0 where it is larger for the fake, 0.5 where both are alike, else 0.0."""
    settings = AppearanceSettings(at_hand=at_hand)
    made = Batches(videos, batches, settings.pairs, settings.at_hand, settings.seed)
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in NUMBERS}
    for i in range(batches):
        for way, fake, real in made.pairs(i):
            for name, number in NUMBERS.items():
                found[name][coding(way)].append((np.sign(number(fake) - number(real)) + 1) / 2)
    return found


def main() -> None:
    parser = environment.parser(__doc__)
    parser.add_argument("stores", nargs="+", type=Path, help="landmark stores with crops")
    parser.add_argument("--batches", type=int, default=60, help="of 16 pairs")
    parser.add_argument("--at-hand", type=float, default=0.0, help="share of the fakes that the stores hold")
    args = parser.parse_args()
    found = measured(list(read_folder(read_stores(args.stores))), args.batches, args.at_hand)
    kinds = ("none", "JPEG", "H.264")
    table = Table("larger for the fake", *kinds, "all", box=None)
    for name, by_coding in found.items():
        pairs = [by_coding[kind] for kind in kinds]
        table.add_row(name, *(f"{np.mean(p):.2f}" if p else "" for p in pairs), f"{np.mean(np.concatenate(pairs)):.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    environment.run(main)
