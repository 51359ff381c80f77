"""FaceForensics++ (Rössler et al., ICCV 2019) and DeepFakeDetection, in the folder layout of the official download.

    original_sequences/{youtube,actors}/{raw,c23,c40}/videos/*.mp4
    manipulated_sequences/{Deepfakes,…,DeepFakeDetection}/{raw,c23,c40}/videos/*.mp4
    splits/{train,val,test}.json        (or the three lists in the root)

Copies, such as the one on Kaggle, have the videos of one compression in folders at the top (`read_copy`):

    original/000.mp4   {Deepfakes,…,FaceShifter}/000_003.mp4   DeepFakeDetection/01_02__scene__CODE.mp4

Without the official lists no video has a split.

A fake `a_b` shows the face of b on the body of a. The official lists pair a with b, and no number stands in two pairs,
so that a pair is an identity group. Of DeepFakeDetection an original is `<actor>__<scene>`, a fake
`<actor>_<actor>__<scene>__<code>`; it has no official split, and its fakes tie nearly all of its 28 actors together.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from lrnet.data.dataset import Collector, Dataset, IssueKind, Layout, folders_in, videos_in
from lrnet.data.records import SPLITS, Label, VideoRecord
from lrnet.errors import DatasetError
from lrnet.files import read_json

NAME: Final = "faceforensics"
COPY: Final = "faceforensics-copy"
METHODS: Final = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
COMPRESSIONS: Final = ("raw", "c23", "c40")
DFD: Final = "DeepFakeDetection"
_ORIGINALS: Final = ("youtube", "actors")
_TOPS: Final = {"original": "", "originals": "", "real": ""} | {name.lower(): name for name in (*METHODS, DFD)}
_NUMBERS: Final = re.compile(r"(\d{3})(?:_(\d{3}))?")
_PAIRED: Final = re.compile(r"\d{3}_\d{3}")
_PAIR: Final = re.compile(r"ffpp-(\d{3})-(\d{3})")
_ACTORS: Final = re.compile(r"(\d{2})(?:_(\d{2}))?__\w+")

Lists = dict[str, tuple[str, str]]  # number: its split and its partner


def matches(root: Path) -> bool:
    return (root / "original_sequences").is_dir() or (root / "manipulated_sequences").is_dir()


def matches_copy(root: Path) -> bool:
    methods = [f for f in folders_in(root) if _TOPS.get(f.name.lower())]
    return any(_ACTORS.fullmatch(p.stem) or _PAIRED.fullmatch(p.stem) for f in methods for p in videos_in(f)[:5])


def read_copy(root: Path) -> Dataset:
    """Everything in the folders of a copy; the compression is taken from the name of its folder.

    Raises:
        DatasetError: one or two of the three lists are missing, a list is wrong, or there is no video.
    """
    found = Collector(COPY, root, "FaceForensics++")
    lists = _lists_if_any(found, root)
    named = root.resolve().name.lower()
    version = next((c for c in COMPRESSIONS if re.search(rf"(?<![a-z]){c}(?![a-z0-9])", named)), "")
    for folder in folders_in(root):
        method = _TOPS.get(folder.name.lower())
        if method is None:
            if videos_in(folder, deep=True):
                found.issue(IssueKind.UNKNOWN, folder, f"known are original, {', '.join((*METHODS, DFD))}")
        elif method == DFD:
            _read_actors(found, videos_in(folder), version, fake=True)
        else:
            actors = [] if method else [p for p in videos_in(folder) if _ACTORS.fullmatch(p.stem)]
            _read_actors(found, actors, version, fake=False)
            _read_numbered(found, folder, version, method, lists, skip=actors)
    return found.finish()


def read_faceforensics(root: Path, compression: str = "c23") -> list[VideoRecord]:
    """The videos of one compression, with the official split.

    Args:
        root: holds `original_sequences/`, `manipulated_sequences/` and the lists `splits/{train,val,test}.json`.
        compression: "raw", "c23" or "c40".

    Raises:
        DatasetError: a list is missing or wrong, or there is nothing of it.
    """
    _official_lists(root)
    return list(read(root).of_compression(compression).records)


def read(root: Path) -> Dataset:
    """Everything that is there, of every compression.

    Raises:
        DatasetError: one or two of the three lists are missing, a list is wrong, or there is nothing of it.
    """
    found = Collector(NAME, root, "FaceForensics++")
    lists: Lists | None = None
    for kind, known in (("original_sequences", _ORIGINALS), ("manipulated_sequences", (*METHODS, DFD))):
        if not (root / kind).is_dir():
            continue
        for folder in folders_in(root / kind):
            if folder.name not in known:
                found.issue(IssueKind.UNKNOWN, folder, f"known are {', '.join(known)}")
                continue
            for version in COMPRESSIONS:
                videos = folder / version / "videos"
                if not videos.is_dir():
                    continue
                if folder.name in ("actors", DFD):
                    _read_actors(found, videos_in(videos), version, fake=folder.name == DFD)
                else:
                    lists = _lists_if_any(found, root) if lists is None else lists
                    _read_numbered(found, videos, version, folder.name if folder.name in METHODS else "", lists)
    return found.finish()


def _read_numbered(
    found: Collector, videos: Path, version: str, method: str, lists: Lists, skip: Collection[Path] = ()
) -> None:
    there: set[str] = set()
    for path in videos_in(videos):
        if path in skip:
            continue
        match = _NUMBERS.fullmatch(path.stem)
        if match is None or (match[2] is not None) != bool(method):
            found.issue(IssueKind.UNKNOWN, path, "expected a name like 000_003" if method else "expected one like 000")
            continue
        number, partner = match[1], match[2]
        if lists and (number not in lists or (partner and lists[number][1] != partner)):
            found.issue(IssueKind.UNLISTED, path, "no such number" if number not in lists else "no such pair")
            continue
        there.add(path.stem)
        split, other = lists.get(number, ("", ""))
        found.add(
            path,
            Label.FAKE if method else Label.REAL,
            method=method,
            split=split,
            group=pair_group(number, other) if other else "",
            compression=version,
            identities=[f"ffpp-{n}" for n in (number, partner) if n],
        )
    for number, (_, other) in sorted(lists.items()):
        name = f"{number}_{other}" if method else number
        if name not in there:
            found.issue(IssueKind.ABSENT, videos / f"{name}.mp4")


def _read_actors(found: Collector, videos: Collection[Path], version: str, *, fake: bool) -> None:
    for path in videos:
        match = _ACTORS.fullmatch(path.stem)
        if match is None or (match[2] is not None) != fake:
            expected = "01_02__scene__CODE" if fake else "01__scene"
            found.issue(IssueKind.UNKNOWN, path, f"expected a name like {expected}")
            continue
        found.add(
            path,
            Label.FAKE if fake else Label.REAL,
            method=DFD,
            compression=version,
            identities=[f"dfd-{n}" for n in match.groups() if n],
            source=DFD,
        )
    note = f"{DFD} has no official split: test on all of it"
    if videos and note not in found.notes:
        found.notes.append(note)


def pair_group(number: str, partner: str) -> str:
    """The identity group of an official pair."""
    return f"ffpp-{min(number, partner)}-{max(number, partner)}"


def members(group: str) -> tuple[str, ...]:
    """The two identities of an official pair's group; () of any other group."""
    pair = _PAIR.fullmatch(group)
    return tuple(f"ffpp-{number}" for number in pair.groups()) if pair else ()


def _lists_if_any(found: Collector, root: Path) -> Lists:
    """The official lists; {} and a note if all are missing."""
    if any(_list_file(root, split) for split in SPLITS):
        return _official_lists(root)
    found.notes.append(
        "the official lists are not there, so no video has a split: copy dataset/splits of the FaceForensics "
        "repository beside the videos, as splits"
    )
    return {}


def _list_file(root: Path, split: str) -> Path | None:
    return next((p for p in (root / "splits" / f"{split}.json", root / f"{split}.json") if p.is_file()), None)


def _official_lists(root: Path) -> Lists:
    lists: Lists = {}
    for split in SPLITS:
        path = _list_file(root, split)
        if path is None:
            raise DatasetError(
                f"There is no official list {root / 'splits' / f'{split}.json'}.",
                hint="Copy the folder dataset/splits of the FaceForensics repository beside the videos, as splits.",
            )
        for a, b in _pairs(path):
            for number, other in ((a, b), (b, a)):
                if number in lists and lists[number] != (split, other):
                    raise DatasetError(
                        f"{path} pairs {number} with {other} ({split}), and it was paired before with "
                        f"{lists[number][1]} ({lists[number][0]}).",
                        hint="Take the official lists again: no number stands in two pairs.",
                    )
                lists[number] = (split, other)
    return lists


def _pairs(path: Path) -> list[tuple[str, str]]:
    try:
        return [(str(a), str(b)) for a, b in read_json(path)]
    except (ValueError, TypeError, OSError) as error:
        raise DatasetError(
            f"{path} is no list of pairs ({error}).", hint='Take the official list again: [["071", "054"], …].'
        ) from error


LAYOUT: Final = Layout(
    NAME,
    "FaceForensics++, DeepFakeDetection",
    "original_sequences/, manipulated_sequences/<method>/{raw,c23,c40}/videos/, splits/*.json",
    matches,
    read,
)
COPY_LAYOUT: Final = Layout(
    COPY,
    "copies of FaceForensics++",
    "original/, Deepfakes/, Face2Face/, FaceSwap/, NeuralTextures/, FaceShifter/, DeepFakeDetection/",
    matches_copy,
    read_copy,
)
