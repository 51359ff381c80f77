"""A run as a whole: what is selected, what is set aside, what is refused, and the command."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.commands import lrnet
from training_kit import predict, quick, write_store

from lrnet.data import store
from lrnet.data.records import Label
from lrnet.data.store import StoredVideo
from lrnet.errors import DatasetError, TrainingError
from lrnet.network.bundle import ModelBundle
from lrnet.network.runtime import NetworkRuntime
from lrnet.sequence.settings import CalibrationSpec
from lrnet.sequence.surroundings import NUM_SURROUNDINGS
from lrnet.training.clips import clip_table, main_faces
from lrnet.training.config import DataConfig, Validation
from lrnet.training.data import fingerprint, read_stores, selected, set_aside

pytest.importorskip("torch")

from lrnet.training.train import train

LRNET = Path(sys.executable).parent / "lrnet"
CONFIG = """
name = "tiny"
description = "For tests."
[[streams]]
name = "differences"
units = 4
[clips]
length = 20
stride = 10
min_length = 20
[fit]
epochs = {epochs}
batch = 16
"""


def test_a_share_is_set_aside_by_people_of_every_source(tmp_path: Path) -> None:
    videos = write_store(tmp_path / "a", 20) + write_store(tmp_path / "b", 10, source="other", real_only=True)
    kept, aside = set_aside(videos, Validation(share=0.2), DataConfig(), videos, 0)
    assert not {v.record.group for v in kept} & {v.record.group for v in aside}
    assert {v.record.source for v in aside} == {"one", "other"}
    assert len({v.record.group for v in aside if v.record.source == "one"}) == 2
    assert len(kept) + len(aside) == 30


def test_a_validation_split_that_shows_people_trained_on_is_refused(tmp_path: Path) -> None:
    train_videos = write_store(tmp_path / "a", 8)
    val = write_store(tmp_path / "b", 8, split="val")
    with pytest.raises(TrainingError, match="identity groups are both"):
        set_aside(train_videos, Validation(split="val"), DataConfig(), [*train_videos, *val], 0)


def test_nothing_to_train_on_names_the_splits_there_are(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="the stores have train"):
        selected(write_store(tmp_path, 2), DataConfig(splits=("test",)))


def test_a_store_given_twice_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path, 2)
    with pytest.raises(DatasetError, match="each store once"):
        read_stores([tmp_path, tmp_path])


def test_another_run_s_folder_is_refused(tmp_path: Path) -> None:
    videos = write_store(tmp_path / "store", 8)
    config = quick(fit={"epochs": 1, "batch": 16})
    train(videos, config, folder=tmp_path / "run")
    with pytest.raises(TrainingError, match="holds a run already"):
        train(videos, config, folder=tmp_path / "run")
    with pytest.raises(TrainingError, match="another configuration or other videos"):
        train(videos[:-2], config, folder=tmp_path / "run", resume=True)
    with pytest.raises(TrainingError, match="no run to go on with"):
        train(videos, config, folder=tmp_path / "nothing", resume=True)


def test_a_killed_run_goes_on_to_the_bundle_of_one_that_was_not(tmp_path: Path) -> None:
    write_store(tmp_path / "store", 12)
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG.format(epochs=20))
    command = ["train", tmp_path / "store", "--config", config, "--out"]
    through = lrnet(*command, tmp_path / "through")
    assert through.returncode == 0, through.stderr

    with subprocess.Popen([LRNET, *map(str, command), tmp_path / "killed"], stderr=subprocess.DEVNULL) as process:
        checkpoint = tmp_path / "killed.run" / "last.ckpt"
        began = time.monotonic()
        while not checkpoint.is_file() and process.poll() is None and time.monotonic() - began < 200:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed").exists(), "it was done before it could be killed"
    again = lrnet(*command, tmp_path / "killed")
    assert again.returncode == 8
    assert "--resume" in again.stderr
    resumed = lrnet(*command, tmp_path / "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    one, other = (ModelBundle.load(tmp_path / name) for name in ("through", "killed"))
    assert one.network == other.network
    assert all(np.array_equal(one.weights[n], other.weights[n]) for n in one.weights)


def test_onnx_and_pytorch_agree_on_a_trained_network(tmp_path: Path) -> None:
    from lrnet.training.train import bundle_spec, in_memory

    videos = write_store(tmp_path, 12)
    config = quick(streams=[{"name": "differences", "units": 8}, {"name": "acceleration", "units": 8}])
    model = train(videos, config)
    spec = bundle_spec(model, config, name="x", version="1", licence="none", command="")
    table = clip_table(main_faces(videos), config.stream_names, config.clips)
    ours = NetworkRuntime(in_memory(spec, model.fitted)).score(table.streams).probability
    np.testing.assert_allclose(ours, predict(model.fitted.spec, model.fitted.weights, table), atol=1e-5)


def test_a_model_of_uncalibrated_landmarks_is_measured_on_them(tmp_path: Path) -> None:
    """As detection feeds it, which asks the bundle."""
    from lrnet.evaluation.protocol import evaluate
    from lrnet.training.train import bundle_spec, in_memory

    videos = [noisy(v, tmp_path / "noisy") for v in write_store(tmp_path / "store", 8)]
    config = quick(fit={"epochs": 1, "batch": 16})
    model = train(videos, config)
    spec = bundle_spec(model, config, name="x", version="1", licence="none", command="")
    without = spec.preprocessing.model_copy(update={"calibration": CalibrationSpec(enabled=False)})
    bundle = in_memory(spec.model_copy(update={"preprocessing": without}), model.fitted)
    runtime = NetworkRuntime(bundle)
    faces = [replace(f, sequences=tuple(s.uncalibrated() for s in f.sequences)) for f in main_faces(videos)]
    table = clip_table(faces, config.stream_names, config.clips)
    expected = runtime.score(table.streams).probability
    scored = evaluate(bundle, videos)
    np.testing.assert_allclose([c.score for v in scored for c in v.clips], expected, atol=1e-6)


def test_people_whom_a_run_stopped_by_are_no_test_of_it(tmp_path: Path) -> None:
    from lrnet.evaluation.protocol import evaluate
    from lrnet.training.train import bundle_spec, in_memory

    stored = write_store(tmp_path / "store", 12)
    videos = [replace(v, record=replace(v.record, identities=(f"{v.record.group}-p",))) for v in stored]
    config = quick(fit={"epochs": 1, "batch": 16}, validation={"share": 0.5})
    model = train(videos, config)
    assert len(model.trained_on) < len(videos)
    spec = bundle_spec(model, config, name="x", version="1", licence="none", command="")
    assert spec.training is not None
    assert set(spec.training.groups) == {v.record.group for v in model.trained_on}
    assert all(v.seen_in_training for v in evaluate(in_memory(spec, model.fitted), videos))


def noisy(video: StoredVideo, folder: Path) -> StoredVideo:
    """The video with detections that jitter, of landmarks that calibration kept as they are."""
    (sequence,) = video.sequences()
    jitter = np.random.default_rng(0).normal(0, 0.05, sequence.values.shape).astype(np.float32)
    changed = replace(sequence, detected=sequence.values + jitter)
    return StoredVideo.of(store.write(folder, video.record, [changed], video.preprocessing))


def test_a_bundle_is_made_though_another_build_of_a_library_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV comes under several names; training must not end in an error after its last epoch."""
    from importlib import metadata

    from lrnet.training.train import bundle_spec

    config = quick(fit={"epochs": 1, "batch": 16})
    model = train(write_store(tmp_path, 8), config)

    def without_opencv(name: str) -> str:
        if name == "opencv-python-headless":
            raise metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(metadata, "version", without_opencv)
    spec = bundle_spec(model, config, name="x", version="1", licence="none", command="")
    assert spec.training is not None
    assert spec.training.versions["opencv-python-headless"] == "unknown"


def test_a_run_is_known_by_all_that_the_dataset_says_of_its_videos(tmp_path: Path) -> None:
    """Methods and sources weigh clips: a name of the same length must not pass as the same run."""
    videos = write_store(tmp_path, 4)
    for change in ({"method": "face"}, {"source": "two"}, {"compression": "c40"}, {"identities": ("ann",)}):
        other = [replace(videos[0], record=replace(videos[0].record, **change)), *videos[1:]]
        assert fingerprint(other, quick()) != fingerprint(videos, quick())
    remade = [replace(videos[0], preprocessing={**videos[0].preprocessing, "crop_size": 200}), *videos[1:]]
    assert fingerprint(remade, quick()) != fingerprint(videos, quick())
    assert fingerprint(videos[::-1], quick()) == fingerprint(videos, quick())


def test_a_split_to_measure_on_has_to_be_there_and_not_to_have_stopped_training(tmp_path: Path) -> None:
    write_store(tmp_path / "store", 8)
    write_store(tmp_path / "more", 4, split="val", source="other")
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG.format(epochs=1) + '[validation]\nsplit = "val"\n')
    command = ["train", tmp_path / "store", tmp_path / "more", "--config", config, "--out", tmp_path / "model"]
    gone = lrnet(*command, "--test-split", "tset")
    assert gone.returncode == 8
    assert "no split 'tset'" in gone.stderr
    stopped_by = lrnet(*command, "--test-split", "val")
    assert stopped_by.returncode == 2
    assert "stop" in stopped_by.stderr
    assert not (tmp_path / "model").exists()


def test_evaluation_refuses_a_split_that_leaks_and_a_video_given_twice(tmp_path: Path) -> None:
    write_store(tmp_path / "a", 8)
    for video in write_store(tmp_path / "more", 4, split="test", source="other"):
        known = replace(video.record, key=f"again/{video.record.key}", group="one-0")
        store.write(tmp_path / "c", known, video.sequences(), video.preprocessing)
    leaking = lrnet("evaluate", tmp_path / "a", tmp_path / "c", "--split", "test")
    assert leaking.returncode == 8
    assert "is in split" in leaking.stderr
    twice = lrnet("evaluate", tmp_path / "a", tmp_path / "a")
    assert twice.returncode == 8
    assert "each store once" in twice.stderr
    uncut = lrnet("evaluate", tmp_path / "a")
    assert uncut.returncode == 8
    assert "lrnet store crops" in uncut.stderr
    without = lrnet("evaluate", tmp_path / "a", "--no-appearance")
    assert without.returncode == 8
    assert "without what surrounds the face" in without.stderr
    for video in store.open(tmp_path / "a"):
        around = [
            replace(s, surround_error=np.zeros((len(s) - 1, NUM_SURROUNDINGS), np.float32)) for s in video.sequences()
        ]
        store.write(tmp_path / "d", video.record, around, video.preprocessing)
    other = lrnet("evaluate", tmp_path / "d", "--no-appearance")
    assert other.returncode == 0
    assert "the stores hold those of mesh 1." in " ".join(other.stderr.split())


def test_what_is_found_of_manipulations_left_out_is_printed_and_stands_on_the_card(tmp_path: Path) -> None:
    for video in write_store(tmp_path / "made", 16):
        other = video.record.label is Label.FAKE and int(video.record.key[-2:]) % 4 == 1
        record = replace(video.record, method="face/swap" if other else video.record.method)
        store.write(tmp_path / "store", record, video.sequences(), video.preprocessing)
    config = tmp_path / "tiny.toml"
    config.write_text(CONFIG.format(epochs=1))
    how = ["--config", config, "--unseen", "1", "--folds", "2"]
    printed = lrnet("crossval", tmp_path / "store", *how, "--out", tmp_path / "scores")
    assert printed.returncode == 0, printed.stderr
    rows = [line.split() for line in printed.stdout.splitlines() if "of it" in line]
    assert [row[:2] for row in rows[:4]] == [["face/swap", "4"]] * 2 + [["swap", "4"]] * 2
    assert [row[2] for row in rows[:4]] == ["others", "none"] * 2
    assert [row[:5] for row in rows[4:]] == [["all", "of", "these", "8", told] for told in ("others", "none")]
    scores = {str(p.relative_to(tmp_path / "scores")) for p in (tmp_path / "scores").rglob("*.parquet")}
    of_each = {f"fold-{n}.parquet" for n in (1, 2)}
    assert scores == {f"{kind}{fold}" for kind in ("", "unseen-face%2Fswap/", "unseen-swap/") for fold in of_each}

    made = lrnet(
        "train", tmp_path / "store", *how, "--crossval", tmp_path / "scores", "--out", tmp_path / "model", "--name", "m"
    )
    assert made.returncode == 0, made.stderr
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    section = card.split("## Manipulations that it does not know")[1].split("##")[0]
    assert section.count("**none trained on**") == 3
    assert "Of fakes of a manipulation that it was not trained on" in card
    limits = ModelBundle.load(tmp_path / "model").spec.thresholds
    assert limits is not None
    assert limits.unseen_miss_rate is not None
    assert "| face/swap | others of it trained on |" in section
    assert "manipulation left out" not in card.split("## Manipulations that it does not know")[0]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["train"], 2, "at least one landmark store"),
        (["train", "nowhere", "--out", "x"], 8, "no landmark store"),
        (["train", "nowhere", "--out", "x", "--config", "defualt"], 8, "default, experiments, mesh-v2"),
        (["train", "nowhere", "--out", "x", "--against", "y"], 2, "--crossval"),
        (["train", "nowhere", "--out", "x", "--unseen", "1"], 2, "--crossval"),
        (["train", "nowhere", "--out", "no/where/x"], 5, "no folder"),
        (["crossval", "nowhere"], 8, "no landmark store"),
        (["train", "nowhere", "--out", "x y"], 6, "'x y' cannot be a model's name"),
        (["evaluate", "nowhere"], 8, "no landmark store"),
        (["evaluate", "nowhere", "--reports", "."], 2, "--out"),
    ],
)
def test_wrong_uses_are_told_in_a_line(arguments: list[str], code: int, told: str, tmp_path: Path) -> None:
    result = lrnet(*arguments, cwd=tmp_path)
    assert result.returncode == code
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
