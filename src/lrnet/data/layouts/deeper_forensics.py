"""DeeperForensics-1.0 (Jiang et al., CVPR 2020).

    manipulated_videos/<variant>/<target>_<actor>.mp4        (000_M101.mp4)
    lists/splits/{train,val,test}.txt        (a fake's name a line)
    original_sequences/youtube/c23/videos/<target>.mp4        (optional: the real part)

Variants are `end_to_end`, `reenact_postprocess`, and `end_to_end` perturbed: `end_to_end_level_1` to `_5`,
`end_to_end_random_level`, `end_to_end_mix_2_distortions` to `_4_`. The official splits divide the 100 actors; a target
is swapped with one actor only. The real videos are the c23 originals of FaceForensics++: put (or link) their folder
`original_sequences` beside `manipulated_videos`. `source_videos` are not the real part, say the authors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, folders_in, videos_in
from lrnet.data.records import SPLITS, Label

NAME: Final = "deeper-forensics"
VARIANTS: Final = (
    "end_to_end",
    *(f"end_to_end_level_{n}" for n in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{n}_distortions" for n in range(2, 5)),
    "reenact_postprocess",
)
UNPERTURBED: Final = "raw"
_NAME: Final = re.compile(r"(\d{3})_([MW]\d{3})")


def matches(root: Path) -> bool:
    return (root / "manipulated_videos").is_dir()


def read(root: Path) -> Dataset:
    """Everything that is there; the perturbation is stored as the compression, "raw" for unperturbed videos."""
    found = Collector(NAME, root, "DeeperForensics-1.0")
    split_of = _splits(found, root)
    actor_of = {m[1]: m[2] for name in split_of if (m := _NAME.fullmatch(name))}
    split_of_target = {name[:3]: split for name, split in split_of.items()}
    for folder in folders_in(root / "manipulated_videos"):
        if folder.name not in VARIANTS:
            found.issue(IssueKind.UNKNOWN, folder, "no variant of that name was published")
            continue
        _read_variant(found, folder, split_of)
    originals = root / "original_sequences" / "youtube" / "c23" / "videos"
    for path in videos_in(originals):
        people = [f"ffpp-{path.stem}"]
        if path.stem in actor_of:
            people.append(f"deeper-{actor_of[path.stem]}")
        split = split_of_target.get(path.stem, "")
        found.add(path, Label.REAL, split=split, compression=UNPERTURBED, identities=people)
    if not originals.is_dir():
        found.notes.append(
            "no real videos: put the folder original_sequences of FaceForensics++ (c23) beside manipulated_videos"
        )
    else:
        found.notes.append("the real videos are those of FaceForensics++: do not test here what was trained on them")
    return found.finish()


def _read_variant(found: Collector, folder: Path, split_of: dict[str, str]) -> None:
    reenacted = folder.name == "reenact_postprocess"
    there: set[str] = set()
    for path in videos_in(folder):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            found.issue(IssueKind.UNKNOWN, path, "expected a name like 000_M101")
            continue
        there.add(path.stem)
        if split_of and path.stem not in split_of:
            found.issue(IssueKind.UNLISTED, path)
        found.add(
            path,
            Label.FAKE,
            method="reenact_postprocess" if reenacted else "end_to_end",
            compression=folder.name.removeprefix("end_to_end_")
            if "_level" in folder.name or "_mix" in folder.name
            else UNPERTURBED,
            split=split_of.get(path.stem, ""),
            # The person whose head it is, and the actor whose face it wears.
            identities=[f"ffpp-{match[1]}", f"deeper-{match[2]}"],
        )
    for name in sorted(set(split_of) - there):
        found.issue(IssueKind.ABSENT, folder / f"{name}.mp4")


def _splits(found: Collector, root: Path) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for split in SPLITS:
        path = root / "lists" / "splits" / f"{split}.txt"
        if not path.is_file():
            found.issue(IssueKind.MISSING, path, "without it no video of this split is known")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            name = Path(line.strip().replace("\\", "/")).stem
            if not name:
                continue
            if _NAME.fullmatch(name) is None:
                found.issue(IssueKind.LIST, f"{found.key(path)}, line {number}", line.strip()[:60])
            elif split_of.setdefault(name, split) != split:
                found.issue(IssueKind.LEAK, name, f"listed under {split_of[name]} and {split}")
    return split_of


LAYOUT: Final = Layout(
    NAME,
    "DeeperForensics-1.0",
    "manipulated_videos/<variant>/, lists/splits/*.txt; for the real part original_sequences/ of FF++",
    matches,
    read,
)
