"""The known layouts of datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lrnet.data import manifest
from lrnet.data.dataset import Dataset
from lrnet.data.layouts import celeb_df, class_folders, deeper_forensics, dfdc, faceforensics, released_landmarks, uadfv
from lrnet.errors import DatasetError

LAYOUTS: Final = {
    layout.name: layout
    for layout in (
        deeper_forensics.LAYOUT,
        faceforensics.LAYOUT,
        faceforensics.COPY_LAYOUT,
        celeb_df.LAYOUT,
        released_landmarks.LAYOUT,
        dfdc.LAYOUT,
        uadfv.LAYOUT,
        manifest.LAYOUT,
        class_folders.LAYOUT,
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
