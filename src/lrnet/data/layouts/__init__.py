"""The known layouts of datasets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lrnet.data import manifest
from lrnet.data.dataset import Dataset
from lrnet.data.layouts import celeb_df, class_folders, deeper_forensics, dfdc, faceforensics, released_landmarks, uadfv
from lrnet.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout: its name for `--layout`, the dataset, the expected files, how to recognise and how to read a folder."""

    name: str
    dataset: str
    expects: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], Dataset]


LAYOUTS: Final = {
    layout.name: layout
    for layout in (
        Layout(
            deeper_forensics.LAYOUT,
            "DeeperForensics-1.0",
            "manipulated_videos/<variant>/, lists/splits/*.txt; for the real part original_sequences/ of FF++",
            deeper_forensics.matches,
            deeper_forensics.read,
        ),
        Layout(
            faceforensics.LAYOUT,
            "FaceForensics++, DeepFakeDetection",
            "original_sequences/, manipulated_sequences/<method>/{raw,c23,c40}/videos/, splits/*.json",
            faceforensics.matches,
            faceforensics.read,
        ),
        Layout(
            faceforensics.COPY,
            "copies of FaceForensics++",
            "original/, Deepfakes/, Face2Face/, FaceSwap/, NeuralTextures/, FaceShifter/, DeepFakeDetection/",
            faceforensics.matches_copy,
            faceforensics.read_copy,
        ),
        Layout(
            celeb_df.LAYOUT,
            "Celeb-DF v1, v2",
            f"Celeb-real/, Celeb-synthesis/, YouTube-real/, {celeb_df.TEST_LIST}",
            celeb_df.matches,
            celeb_df.read,
        ),
        Layout(
            released_landmarks.LAYOUT,
            "landmarks released with LRNet",
            "{Origin,DF,FS,F2F,NT}/{raw,c23,c40}/{train,val,test}/*.txt",
            released_landmarks.matches,
            released_landmarks.read,
        ),
        Layout(
            dfdc.LAYOUT,
            "Deepfake Detection Challenge",
            f"{dfdc.METADATA} beside the videos, in the folder or in its parts; or {dfdc.LABELS} and videos/",
            dfdc.matches,
            dfdc.read,
        ),
        Layout(uadfv.LAYOUT, "UADFV", "real/0000.mp4, fake/0000_fake.mp4", uadfv.matches, uadfv.read),
        Layout(
            manifest.LAYOUT,
            "anything",
            "a .csv or .json with path, label and more (docs/datasets.md), or a folder with manifest.csv",
            manifest.matches,
            manifest.read,
        ),
        Layout(
            class_folders.LAYOUT,
            "anything",
            "[train|val|test/]{real,fake}/[method/]*.mp4; 0_real, 1_fake and the like too",
            class_folders.matches,
            class_folders.read,
        ),
    )
}
"""By name, in the order in which they are tried."""


def open_dataset(path: Path, layout: str = "") -> Dataset:
    """Read a dataset: a folder in one of the known layouts, or a manifest.

    Args:
        layout: name of one; "" finds out.

    Raises:
        DatasetError: there is nothing at the path, the layout is unknown or not recognised, or it holds no video.
    """
    if layout:
        if layout not in LAYOUTS:
            raise DatasetError(f"There is no layout {layout!r}.", hint=f"Layouts are {', '.join(LAYOUTS)}.")
        if not path.exists():
            raise _nothing_at(path)
        return LAYOUTS[layout].read(path)
    if path.name == dfdc.METADATA and path.is_file():
        return dfdc.read(path.parent)
    if path.suffix.lower() in manifest.SUFFIXES:
        return manifest.read(path)
    if not path.is_dir():
        raise _nothing_at(path)
    for known in LAYOUTS.values():
        if known.matches(path):
            return known.read(path)
    raise DatasetError(
        f"{path} has no known layout.",
        hint=f"Give the dataset's own top folder (`lrnet datasets list` prints the layouts), or {manifest.HOW_TO}.",
    )


def _nothing_at(path: Path) -> DatasetError:
    return DatasetError(f"There is no dataset at {path}.", hint="Give its folder, or a manifest (.csv or .json).")
