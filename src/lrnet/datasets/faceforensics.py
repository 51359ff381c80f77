"""FaceForensics++ (Rössler et al., ICCV 2019) in its official folder layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from lrnet.datasets.records import Label, VideoRecord
from lrnet.errors import DatasetError

METHODS: Final = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
SPLITS: Final = ("train", "val", "test")


def read_faceforensics(root: Path, compression: str = "c23") -> list[VideoRecord]:
    """The videos that are there of one compression, with the official split.

    A fake `a_b` shows the face of b on the body of a; the official lists pair a with b, and no number stands in two
    pairs, so that a pair is an identity group.

    Args:
        root: holds `original_sequences/`, `manipulated_sequences/` and the lists `splits/{train,val,test}.json`.
        compression: "raw", "c23" or "c40".

    Raises:
        DatasetError: a list is missing, a video stands in no list, or there is no video at all.
    """
    split_of, group_of = _official_lists(root)
    records: list[VideoRecord] = []
    for kind, names in (("original_sequences", ("youtube",)), ("manipulated_sequences", METHODS)):
        for name in names:
            for path in sorted((root / kind / name / compression / "videos").glob("*.mp4")):
                numbers = path.stem.split("_")
                if numbers[0] not in split_of:
                    raise DatasetError(f"{path} stands in no official split.", hint="Check the file's name.")
                fake = name in METHODS
                records.append(
                    VideoRecord(
                        path=path,
                        key=str(path.relative_to(root)),
                        label=Label.FAKE if fake else Label.REAL,
                        method=name if fake else "",
                        source="FaceForensics++",
                        split=split_of[numbers[0]],
                        group=group_of[numbers[0]],
                    )
                )
    if not records:
        raise DatasetError(
            f"{root} holds no {compression} video of FaceForensics++.",
            hint="Give the folder that holds original_sequences and manipulated_sequences.",
        )
    return records


def _official_lists(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    split_of: dict[str, str] = {}
    group_of: dict[str, str] = {}
    for split in SPLITS:
        path = root / "splits" / f"{split}.json"
        if not path.is_file():
            raise DatasetError(
                f"There is no official list {path}.", hint="Copy the dataset's splits folder beside its videos."
            )
        for pair in json.loads(path.read_text(encoding="utf-8")):
            for number in pair:
                split_of[number], group_of[number] = split, f"ffpp-{min(pair)}-{max(pair)}"
    return split_of, group_of
