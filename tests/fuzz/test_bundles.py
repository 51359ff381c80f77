"""Model bundles: whatever stands in them, a network that gives probabilities or a `ModelError`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrnet.network import ModelBundle, NetworkRuntime
from lrnet.network.bundle import NETWORK_FILE, SPEC_FILE
from lrnet.network.reference import REFERENCE_FILE
from lrnet.network.registry import built_in_models_folder
from tests.fuzz.kit import changed, fuzz, spoilt, typed_or_well


@pytest.fixture(scope="module")
def sound() -> dict[str, bytes]:
    """The files of the model that ships."""
    folder = built_in_models_folder() / "lrnet-mesh-v2"
    names = json.loads((folder / SPEC_FILE).read_text())["files"]
    return {name: (folder / name).read_bytes() for name in (*names, SPEC_FILE)}


@pytest.fixture(scope="module")
def folder(sound: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    for name, content in sound.items():
        (folder / name).write_bytes(content)
    return folder


def use(folder: Path) -> None:
    """Load a bundle and run its network on one clip."""
    with typed_or_well():
        bundle = ModelBundle.load(folder)
        runtime = NetworkRuntime(bundle)
        rows = {s.name: np.zeros((1, 30, s.width), np.float32) for s in bundle.spec.network.streams}
        assert 0 <= runtime.score(rows).probability[0] <= 1


def put(folder: Path, sound: dict[str, bytes], name: str, content: bytes) -> None:
    """One file changed, with the hash to match; all others as they were."""
    for other in sound.keys() - {name}:
        (folder / other).write_bytes(sound[other])
    (folder / name).write_bytes(content)
    if name != SPEC_FILE:
        about = json.loads(sound[SPEC_FILE])
        about["files"][name] = hashlib.sha256(content).hexdigest()
        (folder / SPEC_FILE).write_text(json.dumps(about))


def _slim(about: dict[str, Any]) -> dict[str, Any]:
    """The description without its long tables, which would draw all the changes."""
    return {**about, "results": about["results"][:1], "training": None}


@fuzz
@given(data=st.data())
def test_odd_descriptions(data: st.DataObject, folder: Path, sound: dict[str, bytes]) -> None:
    about = _slim(json.loads(sound[SPEC_FILE]))
    odd = data.draw(changed(about).map(lambda a: json.dumps(a).encode()) | spoilt(json.dumps(about).encode()))
    put(folder, sound, SPEC_FILE, odd)
    use(folder)


@fuzz
@given(data=st.data())
def test_spoilt_networks(data: st.DataObject, folder: Path, sound: dict[str, bytes]) -> None:
    put(folder, sound, NETWORK_FILE, data.draw(spoilt(sound[NETWORK_FILE])))
    use(folder)


@fuzz
@given(data=st.data())
def test_networks_with_some_bits_turned(data: st.DataObject, folder: Path, sound: dict[str, bytes]) -> None:
    """Most of a network are weights, of which any bits will do; so the turned ones are near the structure too."""
    content = bytearray(sound[NETWORK_FILE])
    for at in data.draw(st.lists(st.integers(0, 12_000) | st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    put(folder, sound, NETWORK_FILE, bytes(content))
    use(folder)


@fuzz
@given(data=st.data())
def test_odd_references(data: st.DataObject, folder: Path, sound: dict[str, bytes]) -> None:
    about = json.loads(sound[REFERENCE_FILE])
    odd = data.draw(changed(about).map(lambda a: json.dumps(a).encode()) | spoilt(sound[REFERENCE_FILE][:4000]))
    put(folder, sound, REFERENCE_FILE, odd)
    use(folder)
