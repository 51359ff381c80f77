"""The videos of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lrnet.errors import VideoNotFoundError
from lrnet.files import is_folder

VIDEO_SUFFIXES: Final = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv"}
    | {".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
"""File name endings that a folder is searched for; a file named outright is opened whatever its ending."""


def _is_video(path: Path, folder: Path) -> bool:
    """Whether a file in a folder is a video; macOS writes `._clip.mp4` beside `clip.mp4`, which is none."""
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.suffix.lower() in VIDEO_SUFFIXES and not hidden and path.is_file()


def find_videos(sources: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Files as given, and the videos of folders: by their ending, subfolders included, no hidden names, sorted.

    Raises:
        VideoNotFoundError: a folder holds no video, or a name is empty.
    """
    found: list[str] = []
    for source in sources:
        if not os.fspath(source):  # pathlib takes it for the current folder
            raise VideoNotFoundError("The name of a video is empty.", hint="Check the variable that it comes from.")
        path = Path(source)
        if not is_folder(path):
            found.append(os.fspath(source))
            continue
        inside = sorted(str(p) for p in path.rglob("*") if _is_video(p, path))
        if not inside:
            raise VideoNotFoundError(
                f"The folder {path} holds no video (looked for {', '.join(sorted(VIDEO_SUFFIXES))}).",
                hint="Name the file itself if its ending is another.",
            )
        found += inside
    return list(dict.fromkeys(found))
