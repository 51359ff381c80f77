"""A model of motion gets its second witness: who is trained on, what is weighed on whom, and the same bundle again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.training.test_appearance import crops
from tests.training.training_kit import PREPROCESSING, quick, walk, write_store
from typer.testing import CliRunner

from lrnet.cli.app import app
from lrnet.data import store
from lrnet.data.records import people_of
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import CropsOfVideo, crops_file, write_crops
from lrnet.errors import TrainingError
from lrnet.evaluation.card import card
from lrnet.evaluation.protocol import evaluate
from lrnet.evaluation.results import find
from lrnet.network.bundle import ModelBundle
from lrnet.training.appearance import finish
from lrnet.training.appearance.finish import LeftOut, Trained, add_appearance, train_network, trained_on
from lrnet.training.appearance.fit import AppearanceModel, AppearanceSettings
from lrnet.training.crossval import CrossValidation, kept_scores
from lrnet.training.data import read_stores
from lrnet.training.make_model import make_model

SETTINGS = AppearanceSettings(steps=2, pairs=2, every=1)


def with_crops(folder: Path, videos: int, **how: str) -> None:
    """A store of faces that are large and bend enough to be judged, two crops of each written beside them."""
    for number, small in enumerate(write_store(folder, videos, **how)):  # type: ignore[arg-type]
        (walked,) = small.sequences()
        if small.record.label.value == "fake":
            walked = walk(number, 0.94)
        video = StoredVideo.of(store.write(folder, small.record, [replace(walked, half_side=150.0)], PREPROCESSING))
        drawn = crops(video.record.label.value == "fake", 2 * number)
        about = {name: getattr(video.record, name) for name in ("key", "source", "group", "method", "split")}
        (sequence,) = video.sequences()
        faces, frames = np.full(2, sequence.face, np.int32), sequence.frame_indices[[0, 20]]
        crops_file(video).parent.mkdir(exist_ok=True)
        write_crops(
            replace(drawn, **about, faces=faces, frames=frames, times=sequence.times[[0, 20]]), crops_file(video)
        )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores with crops: 20 videos of 10 people, the validation split, strangers; and a model of motion."""
    folder = tmp_path_factory.mktemp("stores")
    with_crops(folder / "a", 20)
    with_crops(folder / "b", 4, source="val", split="val")
    with_crops(folder / "strangers", 6, source="others")
    config = quick(data={"splits": ["train"]})
    how = CrossValidation(folder / "scores")
    make_model(read_stores([folder / "a", folder / "b"]), config, folder / "motion", crossval=how)
    return folder


@pytest.fixture(autouse=True)
def _no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "imagenet_weights", lambda kept: None)


def test_the_people_left_out_are_not_trained_on_and_both_are_weighed_on_them(
    stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = read_stores([stores / "a", stores / "b"])
    left_out = LeftOut.of(videos, kept_scores(stores / "scores"), 4)
    people = {name for record in left_out.records for name in people_of(record)}
    assert {v.record.key for v in videos if v.record.split == "val"} < {r.key for r in left_out.records}
    seen: list[str] = []
    whole = finish.fit

    def fit(videos: Sequence[CropsOfVideo], *rest: object) -> AppearanceModel:
        seen.extend(v.key for v in videos)
        return whole(videos, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(finish, "fit", fit)
    motion = ModelBundle.load(stores / "motion")
    strangers = read_stores([stores / "strangers"])

    def made(name: str) -> ModelBundle:
        trained = train_network(videos, left_out, SETTINGS, tmp_path / f"{name}.run", loaders=0)
        found = add_appearance(
            motion, videos, left_out, trained, name="both", version="2.0.0", tested={"strangers": strangers}
        )
        text = card(found.spec)
        return ModelBundle.save(
            found.spec,
            motion.network,
            text,
            tmp_path / name,
            reference=motion.reference,
            appearance=found.network,
        )

    one = made("one")
    shown = {name for v in videos if v.record.key in seen for name in people_of(v.record)}
    assert shown
    assert not shown & people
    assert one.spec.appearance is not None
    assert one.spec.appearance.n == len(left_out.motion) + 4
    words = "people left out, motion and appearance"
    assert any(r.dataset.startswith(words) for r in one.spec.results)
    assert one.spec.appearance.thresholds is not None
    assert one.spec.appearance.thresholds.edited_false_positive_rate is not None
    again = made("two")
    files = {p.name for p in (tmp_path / "one").iterdir()}
    assert {"appearance.onnx", "network.onnx", "bundle.json", "MODEL_CARD.md"} <= files
    assert all((tmp_path / "one" / f).read_bytes() == (tmp_path / "two" / f).read_bytes() for f in files)
    ratios = [[p.appearance_ratio for v in evaluate(b, strangers) for p in v.people] for b in (one, again)]
    assert ratios[0] == ratios[1]
    assert None not in ratios[0]
    assert find(one.spec.results, "AUC", left_out="people") is not None
    assert shown == set(one.spec.appearance.people)
    assert not people & set(one.spec.appearance.people)
    assert {v.record.key for v in evaluate(one, videos) if v.seen_in_training} >= set(seen)
    assert Trained.of(one, left_out).network == one.appearance
    for wrong, told in ((motion, "motion alone"), (one, "knows")):
        with pytest.raises(TrainingError, match=told):
            Trained.of(wrong, LeftOut.of(videos, kept_scores(stores / "scores"), 3))


def test_strangers_are_checked_before_the_work(stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "fit", lambda *_: pytest.fail("training began"))
    write_store(tmp_path / "bare", 2, source="others")
    names = [str(stores / "a"), str(stores / "b"), f"--model={stores / 'motion'}", f"--crossval={stores / 'scores'}"]

    def told(out: str, *tests: Path) -> str:
        options = [f"--out={tmp_path / out}", *(f"--test={test}" for test in tests)]
        return str(CliRunner().invoke(app, ["train-appearance", *names, *options]).exception)

    assert "identity groups are both in the stores and in a" in told("model", stores / "a")
    assert "no crops" in told("model", tmp_path / "bare")
    assert "one name" in told("model", stores / "strangers", stores / "strangers")
    assert "name" in told("bad name!", stores / "strangers")


def test_a_manipulation_can_be_left_out(stores: Path) -> None:
    videos = read_stores([stores / "a", stores / "b"])
    named = [
        replace(v, record=replace(v.record, method="other")) if v.record.key.endswith(("1", "3")) else v for v in videos
    ]
    left_out = LeftOut.of(named, kept_scores(stores / "scores"), 4)
    all_kinds = trained_on(named, left_out)
    kept = trained_on(named, left_out, unseen="other")
    other = {v.record.key for v in named if v.record.method == "other"}
    assert {c.key for c in all_kinds} - {c.key for c in kept} == {c.key for c in all_kinds} & other != set()


def test_without_crops_of_both_classes_there_is_nothing_to_train_on(stores: Path) -> None:
    videos = read_stores([stores / "a", stores / "b"])
    left_out = LeftOut.of(videos, kept_scores(stores / "scores"), 4)
    with pytest.raises(TrainingError, match="a class is missing"):
        trained_on([v for v in videos if v.record.label.value == "real"], left_out)
    with pytest.raises(TrainingError, match="no fold 9"):
        LeftOut.of(videos, kept_scores(stores / "scores"), 9)
