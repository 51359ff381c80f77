"""Bundles on disk: what goes in comes out, and what was tampered with is refused."""

import contextlib
import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from network_kit import TWO_STREAMS, bundle_spec, make_bundle, random_weights

from lrnet.errors import ModelError, OutputError
from lrnet.network import BundleSpec, ModelBundle, NetworkSpec, StreamSpec, load_model
from lrnet.network.bundle import CARD_FILE, LARGEST_NETWORK, LARGEST_TEXT, NETWORK_FILE, SPEC_FILE
from lrnet.network.reference import MotionReference, StatisticQuantiles


def test_what_goes_in_comes_out(bundle):
    again = ModelBundle.load(bundle.path)
    assert again.spec == bundle.spec
    assert again.card == "# Card\n"
    assert again.network == (bundle.path / NETWORK_FILE).read_bytes()
    for name, array in random_weights(TWO_STREAMS).items():
        np.testing.assert_array_equal(again.weights[name], array)
    assert sorted(path.name for path in bundle.path.iterdir()) == sorted([CARD_FILE, NETWORK_FILE, SPEC_FILE])


def test_files_are_listed_with_their_sha256(bundle):
    for name, sha256 in bundle.spec.files.items():
        assert hashlib.sha256((bundle.path / name).read_bytes()).hexdigest() == sha256
    assert bundle.content_hash == hashlib.sha256((bundle.path / SPEC_FILE).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "content_hash"),
    [("lrnet-mesh-v2", "16192430d80f"), ("lrnet-2", "87db3fd1c78d"), ("lrnet-2-fast", "349b188ff2dc")],
)
def test_a_shipped_bundle_is_read_in_full_and_keeps_its_hash(name, content_hash):
    """Bundles of earlier versions load: what they say is kept, and fields that are new since have their defaults."""
    bundle = load_model(name)
    file = bundle.path / SPEC_FILE
    description = BundleSpec.model_validate_json(file.read_bytes(), strict=True)
    again = description.model_dump(mode="json")

    def holds(new, old):
        if isinstance(old, dict):
            return all(key in new and holds(new[key], value) for key, value in old.items())
        if isinstance(old, list):
            return len(new) == len(old) and all(map(holds, new, old))
        return new == old

    assert holds(again, json.loads(file.read_bytes()))
    assert bundle.content_hash.startswith(content_hash)


def test_same_model_same_hash_other_weights_other_hash(bundle, tmp_path):
    same = make_bundle(tmp_path / "same")
    other = make_bundle(tmp_path / "other", weights=random_weights(TWO_STREAMS, seed=1))
    assert same.content_hash == bundle.content_hash
    assert other.content_hash != bundle.content_hash


def test_save_leaves_nothing_beside_and_does_not_overwrite(bundle, tmp_path):
    with pytest.raises(OutputError, match="exists already"):
        make_bundle(bundle.path)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_save_replaces_a_bundle_when_asked_but_nothing_else(bundle, tmp_path):
    arguments = bundle_spec(version="2"), bundle.network, ""
    assert ModelBundle.save(*arguments, bundle.path, replace=True).spec.version == "2"
    assert not (bundle.path / CARD_FILE).exists()
    precious = tmp_path / "precious"
    precious.mkdir()
    with pytest.raises(OutputError, match="not a model"):
        ModelBundle.save(*arguments, precious, replace=True)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_bundle_that_cannot_be_replaced_stays(bundle, tmp_path, monkeypatch, failing):
    """Whichever of the two renamings fails: the old one out of the way, the new one into its place."""
    calls, rename_really = [], Path.rename

    def rename(path, target):
        calls.append(path)
        if len(calls) == failing:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename_really(path, target)

    before = {path.name: path.read_bytes() for path in bundle.path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(OutputError, match="cannot be written"):
            ModelBundle.save(bundle_spec(version="2"), bundle.network, "", bundle.path, replace=True)
    assert {path.name: path.read_bytes() for path in bundle.path.iterdir()} == before
    assert ModelBundle.load(bundle.path).content_hash == bundle.content_hash
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_save_of_a_network_that_does_not_fit_writes_nothing(bundle, tmp_path):
    other = bundle_spec(NetworkSpec.of(StreamSpec(name="positions", width=136, units=3)))
    with pytest.raises(ModelError, match="refused"):
        ModelBundle.save(other, bundle.network, "", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_save_where_nothing_can_be_written(bundle, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        ModelBundle.save(bundle_spec(), bundle.network, "", tmp_path / "file" / "new")


def _edit(bundle, change):
    """Change `bundle.json` as parsed JSON."""
    file = bundle.path / SPEC_FILE
    described = json.loads(file.read_text())
    change(described)
    file.write_text(json.dumps(described))


def _swap(bundle, name, content):
    """Put another file in, with the hash to match."""
    (bundle.path / name).write_bytes(content)
    _edit(bundle, lambda d: d["files"].update({name: hashlib.sha256(content).hexdigest()}))


def _tensor(bundle, name, array):
    """Put another tensor into the graph; None takes it out."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(bundle.network)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    if array is None:
        model.graph.initializer.remove(tensor)
    else:
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))
    _swap(bundle, NETWORK_FILE, model.SerializeToString())


def _oversized(bundle, name, size):
    with (bundle.path / name).open("r+b") as file:
        file.truncate(size)


BIAS = "positions.head.output.bias"

TAMPERINGS = {
    "network changed": (lambda b: (b.path / NETWORK_FILE).write_bytes(b"x"), "changed or damaged"),
    "card changed": (lambda b: (b.path / CARD_FILE).write_text("trust me"), "changed or damaged"),
    "network missing": (lambda b: (b.path / NETWORK_FILE).unlink(), "missing or not a plain file"),
    "description missing": (lambda b: (b.path / SPEC_FILE).unlink(), "missing or not a plain file"),
    "network not listed": (lambda b: _edit(b, lambda d: d["files"].pop(NETWORK_FILE)), "does not list"),
    "parent folder": (lambda b: _edit(b, lambda d: d["files"].update({"../x": "0" * 64})), "does not describe"),
    "subfolder": (lambda b: _edit(b, lambda d: d["files"].update({"a/b": "0" * 64})), "does not describe"),
    "windows subfolder": (lambda b: _edit(b, lambda d: d["files"].update({"a\\b": "0" * 64})), "does not descr"),
    "absolute": (lambda b: _edit(b, lambda d: d["files"].update({"/etc/passwd": "0" * 64})), "does not describe"),
    "two dots": (lambda b: _edit(b, lambda d: d["files"].update({"..": "0" * 64})), "does not describe"),
    "new line": (lambda b: _edit(b, lambda d: d["files"].update({"a\n": "0" * 64})), "does not describe"),
    "no hash": (lambda b: _edit(b, lambda d: d["files"].update({NETWORK_FILE: ""})), "does not describe"),
    "NaN weight": (lambda b: _tensor(b, BIAS, np.float32([np.nan, 0])), "not finite"),
    "infinite weight": (lambda b: _tensor(b, BIAS, np.float32([np.inf, 0])), "not finite"),
    "other shape": (lambda b: _tensor(b, BIAS, np.zeros(3, np.float32)), "refused"),
    "other type": (lambda b: _tensor(b, BIAS, np.zeros(2)), "refused"),
    "whole numbers": (lambda b: _tensor(b, BIAS, np.zeros(2, np.int64)), "refused"),
    "no bias": (lambda b: _tensor(b, BIAS, None), "refused"),
    "another GRU's": (lambda b: _tensor(b, "positions.gru.W", np.zeros((2, 10, 6), np.float32)), "refused"),
    "one direction": (lambda b: _tensor(b, "positions.gru.W", np.zeros((1, 9, 6), np.float32)), "refused"),
    "no graph": (lambda b: _swap(b, NETWORK_FILE, b"\xff" * 100), "refused"),
    "empty graph": (lambda b: _swap(b, NETWORK_FILE, b""), "0 bytes cannot hold"),
    "network too large": (lambda b: _oversized(b, NETWORK_FILE, LARGEST_NETWORK + 1), "larger than 64 MiB"),
    "description too large": (lambda b: _oversized(b, SPEC_FILE, LARGEST_TEXT + 1), "larger than 4 MiB"),
    "card too large": (lambda b: _oversized(b, CARD_FILE, LARGEST_TEXT + 1), "larger than 4 MiB"),
    "endless": (
        lambda b: ((b.path / CARD_FILE).unlink(), (b.path / CARD_FILE).symlink_to("/dev/zero")),
        "is a link",
    ),
    "pipe": (lambda b: ((b.path / CARD_FILE).unlink(), os.mkfifo(b.path / CARD_FILE)), "not a plain file"),
    "no JSON": (lambda b: (b.path / SPEC_FILE).write_text("{"), "does not describe"),
    "empty JSON": (lambda b: (b.path / SPEC_FILE).write_text(""), "does not describe"),
    "a list": (lambda b: (b.path / SPEC_FILE).write_text("[]"), "does not describe"),
    "deep JSON": (lambda b: (b.path / SPEC_FILE).write_text("[" * 10**6), "does not describe"),
    "no text": (lambda b: (b.path / SPEC_FILE).write_bytes(b"\xff\xfe"), "does not describe"),
    "unknown field": (lambda b: _edit(b, lambda d: d.update(hook="rm")), "hook"),
    "field missing": (lambda b: _edit(b, lambda d: d.pop("licence")), "licence"),
    "later schema": (lambda b: _edit(b, lambda d: d.update(schema_version=2)), "Update lrnet"),
    "schema as text": (lambda b: _edit(b, lambda d: d.update(schema_version="1")), "schema_version"),
    "number as text": (
        lambda b: _edit(b, lambda d: d["preprocessing"].update(crop_scale="1.2")),
        "preprocessing.crop_scale",
    ),
    "NaN in JSON": (lambda b: _edit(b, lambda d: d["preprocessing"].update(crop_scale=float("nan"))), "crop_scale"),
    "control characters": (lambda b: _edit(b, lambda d: d.update(description="\x1b[2J")), "control characters"),
    "endless sequences": (
        lambda b: _edit(b, lambda d: d["preprocessing"].update(max_sequence_seconds=1e300)),
        "max_sequence_seconds",
    ),
    "crop of no size": (lambda b: _edit(b, lambda d: d["preprocessing"].update(crop_scale=1e-300)), "crop_scale"),
    "NaN threshold": (
        lambda b: _edit(
            b,
            lambda d: d.update(
                thresholds={
                    "likely_fake": float("nan"),
                    "no_evidence": 0.1,
                    "false_positive_rate": 0.1,
                    "miss_rate": 0.1,
                    "measured_on": "",
                }
            ),
        ),
        "thresholds.likely_fake",
    ),
    "huge network": (
        lambda b: _edit(b, lambda d: d["network"]["streams"][0].update(width=10**9)),
        "network.streams.0.width",
    ),
    "number too large": (
        lambda b: (b.path / SPEC_FILE).write_text('{"schema_version": ' + "9" * 10**5 + "}"),
        "does not describe",
    ),
    "a link to another file": (
        lambda b: (
            (b.path / CARD_FILE).rename(b.path.parent / "elsewhere"),
            (b.path / CARD_FILE).symlink_to(b.path.parent / "elsewhere"),
        ),
        "is a link",
    ),
    "description a link": (
        lambda b: (
            (b.path / SPEC_FILE).rename(b.path.parent / "elsewhere"),
            (b.path / SPEC_FILE).symlink_to(b.path.parent / "elsewhere"),
        ),
        "is a link",
    ),
    "other network": (lambda b: _edit(b, lambda d: d["network"].update(parameters=1)), "parameters is 1"),
}


@pytest.mark.parametrize(("tamper", "message"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampered_bundles_are_refused(bundle, tamper, message):
    tamper(bundle)
    with pytest.raises(ModelError, match=message):
        ModelBundle.load(bundle.path)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="not a folder"):
        ModelBundle.load(tmp_path / name)


def test_damaged_networks_never_crash(bundle):
    random = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(bundle.network)
        damaged[random.integers(len(damaged))] = random.integers(256)
        _swap(bundle, NETWORK_FILE, bytes(damaged))
        with contextlib.suppress(ModelError):
            ModelBundle.load(bundle.path)


def test_reference_of_motion_travels_with_the_bundle_and_is_checked(bundle, tmp_path):
    reference = MotionReference(
        description="made up",
        videos=20,
        levels=(0.0, 0.5, 1.0),
        quantiles=(StatisticQuantiles(statistic="jitter", group="mouth", values=(0.1, 0.2, 0.3)),),
        streams=({"stream": "positions", "mean": [0.0]},),  # of earlier versions
    )
    onnx = bundle.network
    saved = ModelBundle.save(bundle_spec(), onnx, "", tmp_path / "with", reference=reference)
    assert saved.reference == reference
    assert ModelBundle.save(bundle_spec(), onnx, "", tmp_path / "without").reference is None
    other = reference.model_copy(update={"levels": (0.0, 1.0)})
    with pytest.raises(ModelError, match="every statistic needs 2 quantiles"):
        ModelBundle.save(bundle_spec(), onnx, "", tmp_path / "other", reference=other)
    assert not (tmp_path / "other").exists()


def test_a_card_cannot_move_the_cursor(bundle):
    _swap(bundle, CARD_FILE, "one\ttwo\n\x1b[2Jthree\x9b1A\r".encode())
    assert ModelBundle.load(bundle.path).card == "one\ttwo\n\ufffd[2Jthree\ufffd1A\ufffd"
