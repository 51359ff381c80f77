"""Give a model the reference of genuine motion that explanations compare with, without training it again.

usage: add_motion_reference.py STORES [--model NAME_OR_FOLDER]

STORES holds the landmark stores `ffpp` and `more` that `tools/make_stores.py` wrote. Real training videos are taken.
The bundle is written anew in its folder: its hash changes, its network does not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lrnet import store
from lrnet.datasets import Label
from lrnet.detector import clip_settings
from lrnet.features import main_face
from lrnet.motion import motion_reference
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import DEFAULT_MODEL, load_model
from lrnet.store import StoredVideo

DESCRIPTION = "real videos of FaceForensics++ (c23, training split) and of nine public repositories"


def genuine(stores: Path) -> list[StoredVideo]:
    """The real videos that the default model is trained on."""
    ffpp = [v for v in store.read(stores / "ffpp") if v.record.split == "train"]
    return [v for v in (*ffpp, *store.read(stores / "more")) if v.record.label is Label.REAL]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    args = parser.parse_args()
    bundle = load_model(args.model)
    spec = bundle.spec
    reference = motion_reference(
        (main_face(video.sequences()) for video in genuine(args.stores)),
        spec.network.stream_names,
        clip_settings(spec.preprocessing),
        description=DESCRIPTION,
        crop_scale=spec.preprocessing.crop_scale,
    )
    ModelBundle.save(spec, bundle.network, bundle.weights, bundle.card, bundle.path, replace=True, reference=reference)
    print(f"{bundle.path}: {reference.videos} genuine videos, {len(reference.model_dump_json()) // 1000} kB")


if __name__ == "__main__":
    main()
