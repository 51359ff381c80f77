"""Fetch published weights from fixed addresses and check their hashes."""

from __future__ import annotations

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lrnet.errors import DownloadError, ModelError
from lrnet.faces import landmarker
from lrnet.network.bundle import ModelBundle, read_bounded, refuse_to_overwrite
from lrnet.network.registry import user_models_folder
from lrnet.network.released import import_released
from lrnet.sequence.settings import Preprocessing

COMMIT: Final = "9a172a0ccebea85556ca2b385645342806e24bc8"
SOURCE: Final = f"https://raw.githubusercontent.com/frederickszk/LRNet/{COMMIT}"
MIRROR_VARIABLE: Final = "LRNET_RELEASED_WEIGHTS"
LARGEST: Final = 2**20  # a file has 168 kB
TIMEOUT: Final = 30.0  # seconds without a byte


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """Published weights of the streams A (positions) and B (differences): paths below the source's address, with the
    SHA-256 of each file."""

    name: str
    description: str
    files: tuple[tuple[str, str], tuple[str, str]]


PUBLISHED: Final = {
    model.name: model
    for model in (
        PublishedModel(
            "lrnet-released-ffpp",
            "Weights released with the reference implementation of LRNet (Sun et al.), trained on FaceForensics++.",
            (
                (
                    "training/weights/torch/g1.pth",
                    "d953cfc1a5354493141e13ac074c7306e86ab768d6f015cedfc17f2b6485dd62",
                ),
                (
                    "training/weights/torch/g2.pth",
                    "45e50a803c8bbc4851646842765a01f25c34a7085e86e67e06f9598c9e1f34c4",
                ),
            ),
        ),
        PublishedModel(
            "lrnet-released-demo",
            "Weights of the demonstration of the reference implementation of LRNet (Sun et al.).",
            (
                ("demo/model_weights/g1.pth", "2d057605d518b7527fd1931aa2522bbb9040eb11ff8a3181b3e351e89b55ed4c"),
                ("demo/model_weights/g2.pth", "7380f8f96bc2a1e3e4e9bea8a6d226b9f56661b875106d34702e337fa503e07f"),
            ),
        ),
    )
}
"""The models of `lrnet models pull`: the repository frederickszk/LRNet at one commit, MIT licence."""


def pull(
    name: str,
    *,
    out: Path | None = None,
    files: Path | None = None,
    replace: bool = False,
    tell: Callable[[str], None] | None = None,
) -> ModelBundle:
    """Fetch published weights, check them, and make a bundle of them for the built-in landmarks.

    They were trained on OpenFace's landmarks and are fed the built-in ones, not rounded. The bundle has no calibrated
    probability.

    Args:
        name: one of `PUBLISHED`.
        out: folder of the bundle; `name` in the user's folder of models by default.
        files: a folder with the files under their published paths or names, instead of fetching them.
        tell: called with each address or path before it is read.

    Raises:
        DownloadError: the name is unknown, a file cannot be fetched, or its hash is another.
        OutputError: the folder exists, or cannot be written.
        MissingDependencyError: PyTorch or onnx is not installed.
    """
    model = PUBLISHED.get(name)
    if model is None:
        raise DownloadError(f"Nothing is published as {name!r}.", hint=f"There are {', '.join(PUBLISHED)}.")
    folder = out or user_models_folder() / name
    refuse_to_overwrite(folder, replace=replace)
    contents = [_content(path, sha256, files, tell) for path, sha256 in model.files]
    with tempfile.TemporaryDirectory(prefix="lrnet-") as scratch:
        g1, g2 = (Path(scratch) / f"{number}.pth" for number in (1, 2))
        for path, content in zip((g1, g2), contents, strict=True):
            path.write_bytes(content)
        return import_released(
            g1,
            g2,
            name,
            directory=folder,
            preprocessing=preprocessing_on_mesh(),
            description=model.description,
            card=_card(model),
            replace=replace,
        )


def preprocessing_on_mesh() -> Preprocessing:
    """The released weights on the built-in landmarks: 30-frame clips, landmarks not rounded."""
    return Preprocessing(
        landmarker="mesh",
        landmarker_version=landmarker("mesh").version,
        clip_length=30,
        clip_stride=30,
        min_clip_length=15,
    )


def _content(place: str, sha256: str, folder: Path | None, tell: Callable[[str], None] | None) -> bytes:
    if folder is None:
        source = f"{os.environ.get(MIRROR_VARIABLE, SOURCE).rstrip('/')}/{place}"
        content = _fetched(source, tell)
    else:
        known = [folder / place, folder / Path(place).name]
        path = next((p for p in known if p.is_file()), known[-1])
        source = str(path)
        if tell is not None:
            tell(source)
        try:
            content = read_bounded(path, LARGEST)
        except ModelError as error:
            raise DownloadError(error.what, hint="Give the folder that holds g1.pth and g2.pth.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise DownloadError(
            f"{source} is not the published file: its sha256 is {found}, not {sha256}.",
            hint="Nothing was written. Get the file elsewhere and give its folder with --from.",
        )
    return content


def _fetched(address: str, tell: Callable[[str], None] | None) -> bytes:
    if not address.startswith(("https://", "http://")):
        raise DownloadError(f"{address} is no web address.", hint=f"Correct {MIRROR_VARIABLE}, or use --from.")
    if tell is not None:
        tell(address)
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            content: bytes = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise DownloadError(
            f"{address} is not there any more: the server says {error.code} {error.reason}.",
            hint="Get the files elsewhere and give their folder with --from.",
        ) from error
    except (OSError, ValueError) as error:  # no name, no route, no answer, a broken connection
        reason = getattr(error, "reason", None) or error
        raise DownloadError(
            f"{address} cannot be reached: {reason}.",
            hint="Check the network, or give a folder that holds the files with --from.",
        ) from error
    if len(content) > LARGEST:
        raise DownloadError(
            f"{address} sends more than 1 MiB.",
            hint="It is not the published file; give a folder that holds the files with --from.",
        )
    return content


def _card(model: PublishedModel) -> str:
    return f"""# {model.name}

{model.description} From the repository frederickszk/LRNet at {COMMIT}, MIT licence.

They were trained on OpenFace's landmarks, rounded to whole pixels. Here they are fed the built-in landmarks, which are
not rounded, in clips of 30 frames. The model gives scores and no calibrated probability: every verdict is
`inconclusive`. What it does on held-out videos is in the card of the default model (`lrnet models info`).
"""
