"""Folds over people and sources, and the way from their scores to a bundle."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_kit import PREPROCESSING, quick, record, walk, write_store

from lrnet.data import store
from lrnet.data.dataset import Dataset
from lrnet.data.landmark_job import Provenance
from lrnet.data.manifest import write_manifest
from lrnet.data.records import Label, people_of
from lrnet.errors import ModelError, TrainingError
from lrnet.verdict import Rules, State

pytest.importorskip("torch")

from lrnet.evaluation.protocol import evaluate, known_people, shows_one_of
from lrnet.evaluation.results import SEEN, UNSEEN, find, known_and_unseen
from lrnet.experiments.coarse_people import report, scored_copies
from lrnet.experiments.sequential import calls_of_copies, left_out_models
from lrnet.network.registry import load_model
from lrnet.network.spec import ALL_MANIPULATIONS
from lrnet.training import crossval
from lrnet.training.crossval import (
    CrossValidation,
    cross_validate,
    fold_network,
    kept_scores,
    manipulations,
    plan_folds,
    write_scores,
)
from lrnet.training.finish import decide_on, on_unseen
from lrnet.training.make_model import About, make_model

ONE_EPOCH = quick(fit={"epochs": 1, "batch": 16})  # where nothing has to be learned


def records():  # type: ignore[no-untyped-def]
    paired = [record(f"p{i}", Label.FAKE if i % 2 else Label.REAL, "paired", group=f"g{i // 2}") for i in range(40)]
    alone = [record(f"{s}{i}", Label.REAL, s) for s, n in (("a", 9), ("b", 4), ("c", 3)) for i in range(n)]
    return paired + alone


def test_folds_split_people_and_leave_whole_sources_out() -> None:
    some = records()
    plan = plan_folds(some, 5, 0)
    by_group: dict[str, set[int]] = {}
    by_source: dict[str, set[int]] = {}
    for r, fold in zip(some, plan, strict=True):
        by_group.setdefault(r.group, set()).add(fold.number)
        if r.source != "paired":
            by_source.setdefault(r.source, set()).add(fold.number)
            assert fold.left_out == "source"
        else:
            assert fold.left_out == "people"
    assert all(len(numbers) == 1 for numbers in by_group.values())
    assert sorted(len(numbers) for numbers in by_source.values()) == [1, 1, 1]
    assert len(set.union(*by_source.values())) == 3
    sizes = np.bincount([f.number for f, r in zip(plan, some, strict=True) if r.source == "paired"])
    assert sizes.tolist() == [8] * 5
    assert plan == plan_folds(some, 5, 0) != plan_folds(some, 5, 1)


def test_too_few_people_for_the_folds() -> None:
    with pytest.raises(TrainingError, match="too few"):
        plan_folds(records()[:6], 5, 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("crossval")
    videos = write_store(folder / "one", 24) + write_store(folder / "other", 6, source="other", real_only=True)
    config = quick()
    held = cross_validate(videos, config, folds=3, folder=folder / "scores")
    return videos, config, held, folder


def test_every_video_is_scored_by_a_network_that_did_not_see_it(trained) -> None:  # type: ignore[no-untyped-def]
    videos, _, held, _ = trained
    assert sorted(h.video.record.key for h in held if not h.edit) == sorted(v.record.key for v in videos)
    assert not any(h.video.seen_in_training for h in held)
    whole = [h.video for h in held if not h.edit]
    scores = np.array([v.score for v in whole])
    fake = np.array([v.is_fake for v in whole])
    assert scores[fake].min() > scores[~fake].max()


def test_scores_on_disk_are_read_and_not_made_again(trained) -> None:  # type: ignore[no-untyped-def]
    videos, config, held, folder = trained
    before = {p: p.stat().st_mtime_ns for p in (folder / "scores").iterdir()}
    again = cross_validate(videos, config, folds=3, folder=folder / "scores")
    assert {p: p.stat().st_mtime_ns for p in (folder / "scores").iterdir()} == before
    assert [h.fold for h in again] == [h.fold for h in held]
    for one, other in zip(again, held, strict=True):
        assert one.video.record == other.video.record
        assert one.video.score == other.video.score
        assert one.video.clips == other.video.clips
        assert one.video.held_back == other.video.held_back
    with pytest.raises(TrainingError, match="another configuration"):
        cross_validate(videos, config.model_copy(update={"seed": 5}), folds=3, folder=folder / "scores")


def test_scores_of_some_folds_are_not_taken_for_all(trained, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    *_, held, folder = trained
    for n in (1, 2, 3):
        shutil.copy(folder / "scores" / f"fold-{n}.parquet", tmp_path)
    assert [(h.video.record.key, h.fold) for h in kept_scores(tmp_path)] == [(h.video.record.key, h.fold) for h in held]
    (tmp_path / "fold-3.parquet").unlink()
    with pytest.raises(TrainingError, match="2 of 3 folds") as caught:
        kept_scores(tmp_path)
    assert "lrnet crossval" in caught.value.hint
    write_scores(tmp_path / "fold-3.parquet", held[:1], "other-3")
    with pytest.raises(TrainingError, match=r"fold-3\.parquet is of another"):
        kept_scores(tmp_path)


def test_cross_validations_differ_in_folds_and_are_read_again(trained) -> None:  # type: ignore[no-untyped-def]
    videos, config, held, folder = trained
    twice = cross_validate(videos, config, folds=3, repeats=2, folder=folder / "scores")
    assert [(h.video.record.key, h.video.score) for h in twice if h.repeat == 0] == [
        (h.video.record.key, h.video.score) for h in held
    ]
    second = [h for h in twice if h.repeat == 1]
    assert sorted(h.video.record.key for h in second if not h.edit) == sorted(v.record.key for v in videos)
    folds = {h.video.record.key: h.fold for h in held}
    assert any(h.fold != folds[h.video.record.key] for h in second if not h.edit)
    assert len(list((folder / "scores").iterdir())) == 6
    told: list[tuple[int, int]] = []
    again = cross_validate(
        videos, config, folds=3, repeats=2, folder=folder / "scores", tell=lambda n, of, _: told.append((n, of))
    )
    assert told == [(n, 6) for n in range(1, 7)]
    assert [h.video.score for h in again] == [h.video.score for h in twice]
    decided = decide_on(twice, config)
    assert len(decided.videos) == 2 * len(videos)
    assert "2 cross-validations" in decided.thresholds.measured_on
    assert decided.calibration.n == len(videos)


def test_a_person_seen_in_two_sources_is_left_out_of_both(tmp_path: Path) -> None:
    videos = write_store(tmp_path / "one", 12)
    other = write_store(tmp_path / "other", 2, source="other", real_only=True)
    shared = [replace(v, record=replace(v.record, group=videos[0].record.group)) for v in other]
    held = cross_validate([*videos, *shared], ONE_EPOCH, folds=2)
    assert not any(h.video.seen_in_training for h in held)


def test_a_video_whose_name_has_a_hash_sign(tmp_path: Path) -> None:
    """Edits are named after their video and a hash sign."""
    for i in range(8):
        label = Label.FAKE if i % 2 else Label.REAL
        about = record(f"clip #{i}.mp4", label, group=f"person{i // 2}")
        store.write(tmp_path, about, [walk(i, 0.98 if label is Label.REAL else 0.0, 120)], PREPROCESSING)
    videos = list(store.open(tmp_path))
    held = cross_validate(videos, ONE_EPOCH, folds=2)
    assert {h.video.record.key.rpartition("#")[0] for h in held if h.edit} == {v.record.key for v in videos}


@pytest.mark.parametrize("how", [{"share": 0.3}, {"split": "val"}])
def test_a_fold_knows_the_people_that_it_was_stopped_by(tmp_path: Path, how: dict[str, object]) -> None:
    one = write_store(tmp_path / "one", 16)
    videos = one + write_store(tmp_path / "val", 4, source="val", split="val")
    config = quick(fit={"epochs": 1, "batch": 16}, validation=how, data={"splits": ["train"]})
    held = cross_validate(videos, config, folds=2, folder=tmp_path / "scores", keep_networks=True)
    assert {h.video.record.key for h in held if not h.edit} == {v.record.key for v in one}
    for fold in (0, 1):
        own = [h for h in held if h.fold == fold]
        spec = fold_network(tmp_path / "scores", own[0]).spec
        groups = {v.record.group for v in (videos if "split" in how else one)}
        assert known_people(spec) == groups - {h.video.record.group for h in own}


def test_another_validation_split_is_another_cross_validation(tmp_path: Path) -> None:
    one, val = write_store(tmp_path / "one", 8), write_store(tmp_path / "val", 4, source="val", split="val")
    config = quick(fit={"epochs": 1, "batch": 16}, validation={"split": "val"}, data={"splits": ["train"]})
    cross_validate(one + val, config, folds=2, folder=tmp_path / "scores")
    with pytest.raises(TrainingError, match="other videos"):
        cross_validate(one + val[:2], config, folds=2, folder=tmp_path / "scores")


def test_make_model_saves_calibration_thresholds_results_and_card(trained, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    videos, config, held, folder = trained
    bare = make_model(videos, config, tmp_path / "bare", about=About(name="mine", version="1", command="lrnet train"))
    assert (bare.card, bare.spec.thresholds, bare.spec.results) == ("", None, ())
    how = CrossValidation(folder / "scores", folds=3)
    saved = make_model(videos, config, tmp_path / "mine", crossval=how, compare=[bare])
    assert saved.network == bare.network
    text = saved.card
    for left_out in ("people", "source"):
        ours = find(saved.spec.results, "AUC", left_out=left_out)
        assert ours is not None
        assert ours.value == 1.0
    assert saved.spec.thresholds is not None
    assert saved.spec.thresholds.false_positive_rate == 0.0
    assert "## Against mine, on the same videos" in text
    worse = sum("**worse**" in line for line in text.splitlines())
    assert ("It is nowhere worse." in text) == (worse == 0)
    assert worse == 0 or f"It is worse in {worse} of" in text
    assert saved.spec.training is not None
    assert saved.spec.training.configuration == config.model_dump(mode="json")
    states = {h.video.state for h in decide_on(held, config).videos}
    assert states <= {State.LIKELY_FAKE, State.NO_EVIDENCE, State.INCONCLUSIVE}


def of_two_kinds(folder: Path):  # type: ignore[no-untyped-def]
    """Every second fake is of the manipulation "other"."""
    videos = write_store(folder / "one", 24) + write_store(folder / "two", 6, source="two", real_only=True)
    fakes = [v.record.key for v in videos if v.record.label is Label.FAKE]
    return [replace(v, record=replace(v.record, method="other")) if v.record.key in fakes[::2] else v for v in videos]


def test_a_manipulation_that_no_network_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos, config = of_two_kinds(tmp_path), quick()
    assert manipulations(videos, config) == ["other", "swap"]
    trained_on: list[set[str]] = []
    train_on = crossval.train_on

    def watched(faces, *rest, **how):  # type: ignore[no-untyped-def]
        trained_on.append({f.record.method for f in faces})
        return train_on(faces, *rest, **how)

    monkeypatch.setattr(crossval, "train_on", watched)
    held = cross_validate(videos, config, folds=3)
    assert trained_on == [{"", "other", "swap"}] * 3
    trained_on.clear()
    unseen = cross_validate(videos, config, folds=3, unseen="other", folder=tmp_path / "unseen")
    assert trained_on == [{"", "swap"}] * 3
    assert {h.video.record.method for h in unseen} == {"", "other"}
    assert len([h for h in unseen if not h.edit]) == 12 + 6 + 6
    fold = {h.video.record.key: (h.fold, h.left_out) for h in held}
    assert all(fold[h.video.record.key] == (h.fold, h.left_out) for h in unseen if not h.edit)
    with pytest.raises(TrainingError, match="another configuration"):
        cross_validate(videos, config, folds=3, unseen="swap", folder=tmp_path / "unseen")

    decided = decide_on(held, config)
    found = known_and_unseen([*decided.results, *on_unseen({"other": unseen}, decided, config)])
    assert list(found) == ["other", ALL_MANIPULATIONS]
    assert found[ALL_MANIPULATIONS][UNSEEN].keys() == {
        r.metric for r in decided.results if r.metric.startswith("called")
    }
    for how in (SEEN, UNSEEN):
        assert found["other"][how]["AUC"].value == found["other"][how]["TPR@5%FPR"].value == 1.0
        assert found["other"][how]["called likely_fake"].n == 6
        assert "sources left out" in found["other"][how]["AUC"].dataset


def test_a_manipulation_that_cannot_be_left_out(tmp_path: Path) -> None:
    videos = of_two_kinds(tmp_path)
    with pytest.raises(TrainingError, match="is of Deepfakes"):
        cross_validate(videos, quick(), folds=3, unseen="Deepfakes")
    with pytest.raises(TrainingError, match="all of one kind"):
        manipulations([v for v in videos if v.record.method != "other"], quick())


def test_the_network_of_each_fold_is_kept_and_gives_the_fold_s_scores(tmp_path: Path) -> None:
    videos, folder = write_store(tmp_path / "store", 12), tmp_path / "scores"
    held = cross_validate(videos, ONE_EPOCH, folds=2, repeats=2, folder=folder, keep_networks=True)
    names = {f"{repeat}fold-{n}" for repeat in ("", "repeat-2-") for n in (1, 2)}
    assert {p.name for p in folder.iterdir()} == names | {f"{name}.parquet" for name in names}
    stored = {v.record.key: v for v in videos}
    for one in (h for h in held if not h.edit):
        bundle = fold_network(folder, one)
        (again,) = evaluate(bundle, [stored[one.video.record.key]])
        assert not again.seen_in_training
        assert again.score == one.video.score
    with pytest.raises(ModelError, match="not a folder"):
        fold_network(folder, replace(held[0], fold=2))


def test_coarse_copies_are_scored_by_the_network_that_did_not_know_their_people(tmp_path: Path) -> None:
    videos = write_store(tmp_path / "store", 12)
    held = cross_validate(videos, ONE_EPOCH, folds=2, folder=tmp_path / "scores", keep_networks=True)
    strange = write_store(tmp_path / "strange", 2, source="strange")
    coarse = [replace(v, provenance=Provenance(quantiser=45.0)) for v in (*videos[:4], *strange)]
    fine = [replace(v, provenance=Provenance(quantiser=30.0)) for v in videos[4:]]
    scored = scored_copies(tmp_path / "scores", [*coarse, *fine])
    assert [v.record.key for v in scored] == [v.record.key for v in videos[:4]]
    whole = {h.video.record.key: h.video for h in held if not h.edit}
    for one in scored:
        assert one.verdict.score == pytest.approx(whole[one.record.key].verdict.score)
        assert one.people[0].quality.quantiser == 45.0
    rows = report(scored, replace(Rules.of(load_model().spec), appearance=None), 4.0).splitlines()
    assert rows[0] == "2 real copies of 2 people, quantiser above 40"
    kinds = ("one: swap", "all of one", "all")
    assert [row.split("|")[1:4] for row in rows[4:]] == [[f" {kind} ", " 2 ", " 2 "] for kind in kinds]
    with pytest.raises(TrainingError, match="quantisation parameter above 40") as caught:
        scored_copies(tmp_path / "scores", fine)
    assert "--coarse" in caught.value.hint


def test_copies_are_judged_by_the_model_that_did_not_know_their_people(examples: Path, tmp_path: Path) -> None:
    videos, folder = write_store(tmp_path / "store", 16), tmp_path / "copies"
    held = cross_validate(videos, ONE_EPOCH, folds=2, folder=tmp_path / "scores", keep_networks=True)
    bundle = load_model().motion_alone()
    models = left_out_models(tmp_path / "scores", bundle)
    assert models.keys() == {v.record.group for v in videos}
    for one in (h for h in held if not h.edit):
        model = models[one.video.record.group]
        assert model.network == fold_network(tmp_path / "scores", one).network
        assert known_people(model.spec)
        assert not shows_one_of(known_people(model.spec), one.video.record)
        assert model.spec.thresholds == bundle.spec.thresholds
        assert model.spec.score_calibration is not None
        assert model.spec.score_calibration.n == 8  # the other fold's whole videos

    folder.mkdir()
    somebody = min(models)
    shown = {somebody: examples / "real.mp4", "nobody": examples / "fake.mp4"}
    records = [replace(videos[0].record, path=path, group=group) for group, path in shown.items()]
    write_manifest(folder / "manifest.csv", Dataset("manifest", folder, tuple(records)))
    heard: list[str] = []
    model = models[somebody]
    model = replace(model, spec=model.spec.model_copy(update={"preprocessing": bundle.spec.preprocessing}))
    (call,) = calls_of_copies({somebody: model}, folder, heard.append)
    assert call.group == somebody
    assert call.looks
    assert "has nobody of nobody" in heard[0]


def test_a_fold_whose_network_is_missing_or_of_another_run_is_trained_again(tmp_path: Path) -> None:
    videos, folder = write_store(tmp_path / "store", 12), tmp_path / "scores"
    cross_validate(videos, ONE_EPOCH, folds=2, folder=folder)
    scores = cross_validate(videos, ONE_EPOCH, folds=2, folder=folder, keep_networks=True)
    network = fold_network(folder, scores[0]).network
    other = ONE_EPOCH.model_copy(update={"seed": 1})
    for n in (1, 2):  # killed after a network was written and before its scores were
        (folder / f"fold-{n}.parquet").unlink()
    cross_validate(videos, other, folds=2, folder=tmp_path / "other", keep_networks=True)
    for n in (1, 2):
        shutil.rmtree(folder / f"fold-{n}")
        shutil.copytree(tmp_path / "other" / f"fold-{n}", folder / f"fold-{n}")
    again = cross_validate(videos, ONE_EPOCH, folds=2, folder=folder, keep_networks=True)
    assert [h.video.score for h in again] == [h.video.score for h in scores]
    assert fold_network(folder, scores[0]).network == network
    before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
    cross_validate(videos, ONE_EPOCH, folds=2, folder=folder, keep_networks=True)
    assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_nobody_is_in_two_folds() -> None:
    """Whoever is seen in two sources is left out of both at once, and so is everybody else of a whole source."""
    some = records()
    shared = [
        replace(record("x0", Label.REAL, "a"), group="x0", identities=("eve",)),
        replace(record("x1", Label.FAKE, "paired"), group="x1", identities=("eve", "g0-p")),
        replace(record("x2", Label.REAL, "b"), group="a0"),
    ]
    some = [replace(r, identities=("g0-p",)) if r.group == "g0" else r for r in some] + shared
    for seed in range(5):
        plan = plan_folds(some, 5, seed)
        fold_of: dict[str, set[int]] = {}
        for r, fold in zip(some, plan, strict=True):
            for who in people_of(r):
                fold_of.setdefault(who, set()).add(fold.number)
            assert fold.left_out == ("people" if r.source == "paired" else "source")
        assert all(len(numbers) == 1 for numbers in fold_of.values())
        together = [f.number for r, f in zip(some, plan, strict=True) if r.source in "ab" or r.group in ("g0", "x1")]
        assert len(together) == 18
        assert len(set(together)) == 1
        assert {f.number for f in plan} == set(range(5))
