"""The landmark folders that the authors of LRNet released for FaceForensics++.

{Origin,DF,FS,F2F,NT}/{raw,c23,c40}/{train,val,test}/*.txt        (a frame a line, 136 normalised numbers)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, folders_in
from lrnet.data.layouts.faceforensics import COMPRESSIONS, pair_group
from lrnet.data.records import SPLITS, Label

NAME: Final = "released-landmarks"
METHOD_OF: Final = {
    "Origin": "",
    "DF": "Deepfakes",
    "FS": "FaceSwap",
    "F2F": "Face2Face",
    "NT": "NeuralTextures",
}
"""The official name of each folder's manipulation; "" are the originals."""

_NAME: Final = re.compile(r"(\d{3})(?:_(\d{3}))?(?:\.mp4)?")


def matches(root: Path) -> bool:
    return any(
        (root / name / version / split).is_dir() for name in METHOD_OF for version in COMPRESSIONS for split in SPLITS
    )


def read(root: Path) -> Dataset:
    """Everything that is there. A record's path is a landmark file, not a video."""
    found = Collector(NAME, root, "FaceForensics++")
    files: list[tuple[Path, re.Match[str]]] = []
    for folder in (f for f in folders_in(root) if f.name in METHOD_OF):
        for version in folders_in(folder):
            if version.name not in COMPRESSIONS:
                found.issue(IssueKind.UNKNOWN, version, f"expected {', '.join(COMPRESSIONS)}")
                continue
            for split in folders_in(version):
                if split.name not in SPLITS:
                    found.issue(IssueKind.UNKNOWN, split, f"expected {', '.join(SPLITS)}")
                    continue
                for path in sorted(split.glob("[!.]*.txt")):
                    match = _NAME.fullmatch(path.stem)
                    if match is None or (match[2] is None) != (folder.name == "Origin"):
                        found.issue(IssueKind.UNKNOWN, path, "expected a name like 000, of a fake 000_003")
                        continue
                    files.append((path, match))
    partner = {a: b for _, m in files if m[2] for a, b in ((m[1], m[2]), (m[2], m[1]))}
    for path, match in files:
        method, version_name, split_name = path.parts[-4:-1]
        number = match[1]
        found.add(
            path,
            Label.FAKE if METHOD_OF[method] else Label.REAL,
            method=METHOD_OF[method],
            split=split_name,
            compression=version_name,
            group=pair_group(number, partner[number]) if number in partner else f"ffpp-{number}",
            identities=[f"ffpp-{n}" for n in match.groups() if n],
        )
    return found.finish()


LAYOUT: Final = Layout(
    NAME,
    "landmarks released with LRNet",
    "{Origin,DF,FS,F2F,NT}/{raw,c23,c40}/{train,val,test}/*.txt",
    matches,
    read,
)
