"""Networks and scores that are made once; nobody is tested by a network that knows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from paper_kit import FRAMES, recipe, setting, write

from lrnet.data import store
from lrnet.data.store import StoredVideo
from lrnet.errors import DatasetError, TrainingError
from lrnet.experiments.paper import runs as module
from lrnet.experiments.paper.runs import Division, Runs, folds_of, joined, split_of, with_strangers
from lrnet.experiments.paper.setting import contamination
from lrnet.experiments.paper.videos import VideoSet
from lrnet.network.bundle import ModelBundle


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> VideoSet:
    folder = write(tmp_path_factory.mktemp("runs") / "store", 12)
    return VideoSet("clean", tuple(store.open(folder)))


@pytest.fixture(scope="module")
def done(stored: VideoSet, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("cache")
    runs = Runs(folder)
    plans = [folds_of([v.record for v in stored.videos], 2, 0)]
    return runs, plans, runs.scored(stored, stored, recipe(), plans)


def test_every_video_is_scored_once_by_a_network_without_its_people(stored: VideoSet, done) -> None:  # type: ignore[no-untyped-def]
    runs, [plan], [videos] = done
    assert sorted(v.record.key for v in videos) == sorted(v.record.key for v in stored.videos)
    assert runs.trained == 4  # two streams, two folds
    for division in plan:
        for bundle in runs.networks(stored, recipe(), division):
            assert bundle.spec.training is not None
            assert set(bundle.spec.training.groups) == division.train
            assert not division.train & division.test


def test_another_dataset_that_shows_the_same_people_is_not_tested_by_networks_that_know_them(
    stored: VideoSet,
    tmp_path: Path,
) -> None:
    """As DeeperForensics-1.0 does beside FaceForensics++: the same people, in groups of its actors."""

    def showing(video: StoredVideo, group: str, *people: str) -> StoredVideo:
        return replace(video, record=replace(video.record, group=group, identities=people))

    own = replace(stored, videos=tuple(showing(v, v.record.group, v.record.group + "-p") for v in stored.videos))
    shown = [(f"g{n % 6}-p",) for n in range(11)] + [("g0-p", "g1-p")]
    other = replace(
        stored,
        name="other",
        videos=tuple(showing(v, "actor", *people) for v, people in zip(stored.videos, shown, strict=True)),
    )
    plans = [folds_of([v.record for v in own.videos], 2, 0)]
    beside = other.beside(own)
    assert [v.record.group for v in beside.videos] == [f"g{n % 6}" for n in range(11)]  # the last one shows two groups
    more = [with_strangers(plan, beside.groups) for plan in plans]
    runs = Runs(tmp_path)
    (scored,) = runs.scored(own, beside, recipe(), more)
    assert len(scored) == 11
    assert not any(v.seen_in_training for v in scored)
    with pytest.raises(AssertionError):  # as it was given, it would have been tested on people of the training
        runs.scored(own, other, recipe(), [with_strangers(plan, other.groups) for plan in plans])


def test_what_is_done_is_read(stored: VideoSet, done, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    runs, plans, before = done
    monkeypatch.setattr(module, "_train", lambda job: pytest.fail("trained again"))
    monkeypatch.setattr(module, "score_set", lambda *_: pytest.fail("scored again"))
    again = Runs(runs.folder)
    after = again.scored(stored, stored, recipe(), plans)
    assert again.trained == 0
    assert [[v.score for v in videos] for videos in after] == [[v.score for v in videos] for videos in before]


def test_a_run_that_was_stopped_goes_on(
    stored: VideoSet, done, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    _, plans, before = done
    real, count = module._train, 0

    def stop_after_two(job: object) -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        real(job)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_train", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        Runs(tmp_path).scored(stored, stored, recipe(), plans)
    assert len(list((tmp_path / "networks").iterdir())) == 2
    monkeypatch.setattr(module, "_train", real)
    again = Runs(tmp_path)
    after = again.scored(stored, stored, recipe(), plans)
    assert again.trained == 2
    assert [[v.score for v in videos] for videos in after] == [[v.score for v in videos] for videos in before]


@pytest.mark.parametrize(
    "change",
    [
        {"landmarks": "detected"},
        {"most_frames": FRAMES - 10},
        {"seed": 1},
    ],
)
def test_another_condition_or_recipe_is_another_network(stored: VideoSet, done, change: dict[str, object]) -> None:  # type: ignore[no-untyped-def]
    runs, [plan], _ = done
    config = recipe(seed=1) if "seed" in change else recipe()
    videos = stored if "seed" in change else replace(stored, **change)  # type: ignore[arg-type]
    job = runs._job(videos, config, config.streams[0], plan[0])
    assert job.file != runs._job(stored, recipe(), recipe().streams[0], plan[0]).file


def test_streams_are_joined_as_the_recipe_says(stored: VideoSet, done) -> None:  # type: ignore[no-untyped-def]
    runs, plans, [both] = done
    config = recipe()
    single = [
        runs.scored(stored, stored, config.model_copy(update={"streams": (s,)}), plans)[0] for s in config.streams
    ]
    for one, other, whole in zip(*single, both, strict=True):
        logits = [
            np.log(np.array([c.score for c in v.clips]) / (1 - np.array([c.score for c in v.clips])))
            for v in (one, other)
        ]
        expected = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
        np.testing.assert_allclose([c.score for c in whole.clips], expected, rtol=1e-6)
        frames = [c.frames for c in whole.clips]
        assert whole.score == pytest.approx(1 / (1 + np.exp(-np.average(np.mean(logits, axis=0), weights=frames))))
    assert joined(single[0][:1], config) == single[0][0]


def test_divisions() -> None:
    with pytest.raises(TrainingError, match="both in training and in test"):
        Division(frozenset({"a", "b"}), frozenset({"b"}))
    plan = (Division(frozenset({"a"}), frozenset({"b"})), Division(frozenset({"b"}), frozenset({"a"})))
    more = with_strangers(plan, {"a", "x", "y", "z"})
    assert [d.test for d in more] == [{"b", "x", "z"}, {"a", "y"}]
    assert [d.train for d in more] == [d.train for d in plan]


def test_splits_of_the_dataset(stored: VideoSet) -> None:
    records = [v.record for v in stored.videos]
    [division] = split_of(records, "train", "val")
    assert (division.train, division.test) == ({"g0", "g1", "g2", "g3"}, {"g4", "g5"})
    with pytest.raises(TrainingError, match="no videos in the split 'test'"):
        split_of(records, "train", "test")
    leaking = [*records, replace(records[-1], key="again", split="train")]
    with pytest.raises(TrainingError, match="g5"):
        split_of(leaking, "train", "val")


def test_models_are_not_tested_on_whom_they_know(stored: VideoSet, done) -> None:  # type: ignore[no-untyped-def]
    runs, [plan], _ = done
    [model, _] = runs.networks(stored, recipe(), plan[0])
    everybody = [v.record for v in stored.videos]
    unknown = [r for r in everybody if r.group in plan[0].test]
    assert contamination(model, unknown, "one", allowed=False) == ""
    with pytest.raises(DatasetError, match=r"6 of the 12 videos .* too good"):
        contamination(model, everybody, "one", allowed=False)
    assert "contaminated" in contamination(model, everybody, "one", allowed=True)
    bare = ModelBundle(model.spec.model_copy(update={"training": None}), *_rest(model))
    assert "does not list" in contamination(bare, unknown, "one", allowed=False)


def _rest(model: ModelBundle) -> tuple[object, ...]:
    return model.path, model.network, model.weights, model.card, model.content_hash


def test_a_setting_refuses_too_few_people(tmp_path: Path) -> None:
    some = setting(tmp_path, 4, folds=5)
    with pytest.raises(TrainingError, match="too few"):
        some.plans()
