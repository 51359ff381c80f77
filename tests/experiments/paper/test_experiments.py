"""Each experiment's tables and sentences, on scores that are known; the figures against scikit-learn."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from paper_kit import setting
from sklearn.metrics import accuracy_score, roc_auc_score

from lrnet.errors import DatasetError
from lrnet.evaluation.metrics import Estimate, Scores, auc, clustered_interval, contrast_interval
from lrnet.evaluation.protocol import ScoredVideo, unjudged
from lrnet.experiments.paper import TITLES, cost
from lrnet.experiments.paper.report import carry_out, experiment, index
from lrnet.experiments.paper.result import RESAMPLES, Contrast, Result, contrast, is_above, measured, paper_figures
from lrnet.experiments.paper.runs import Plan, Runs
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.network.streams import STREAMS
from lrnet.training.config import TrainingConfig
from lrnet.verdict import ClipScore, InputQuality, Rules, Stretch

SEPARATION = {"calibrated": 2.0, "equal weights": 1.6, "prediction alone": 1.2, "detected": 0.3}


class KnownScores(Runs):
    """No network: scores are drawn around the label, further apart where `strength` says so."""

    def strength(self, train: VideoSet, test: VideoSet, config: TrainingConfig) -> float:
        crossed = train.name in ("clean", "face-api") and test.name in ("clean", "face-api") and train.name != test.name
        lost = 0.5 if crossed and test.landmarks == "detected" else 0.0
        return SEPARATION[test.landmarks] * (0.8 if test.name == "c40" else 1.0) - lost + 0.2 * len(config.streams)

    def scored(
        self, train: VideoSet, test: VideoSet, config: TrainingConfig, plans: Sequence[Plan]
    ) -> list[list[ScoredVideo]]:
        found = []
        for seed, plan in enumerate(plans):
            tested = frozenset().union(*(d.test for d in plan))
            rng = np.random.default_rng(seed)
            videos = []
            for video in test.of_groups(tested).videos:
                side = 1 if video.record.label.value == "fake" else -1
                logits = side * self.strength(train, test, config) / 2 + rng.normal(0, 1, 3)
                clips = tuple(ClipScore(k, k + 1, 30, float(1 / (1 + np.exp(-x))), {}) for k, x in enumerate(logits))
                quality = InputQuality(3.0, 90, 200.0, 25.0, 1.0, 1.0, 1.0, 0.01)
                seen = unjudged(video.record, [[Stretch(0.0, 3.0, clips, quality)]])
                videos.append(seen.judged_by(Rules("mean_logit", 30)))
            found.append(videos)
        return found

    def prepare(self, *_: object) -> None:
        """Nothing to train."""

    def networks(self, *_: object) -> list[object]:  # type: ignore[override]
        return [SimpleNamespace(spec=SimpleNamespace(network=SimpleNamespace(parameters=1000)))]


@pytest.fixture(scope="module", autouse=True)
def _fewer_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RESAMPLES, "video", 100)
        patch.setitem(RESAMPLES, "clip", 50)
        yield


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    folder = tmp_path_factory.mktemp("known")
    return replace(setting(folder, 60), runs=KnownScores(folder / "cache"))


@pytest.fixture(scope="module")
def results(known: Setting, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result]]:
    out = tmp_path_factory.mktemp("out")
    names = [n for n in TITLES if n not in ("cost", "noise")]
    return out, {r.name: r for r in carry_out(known, out, names, lambda line: None)}


def test_every_experiment_is_there_with_all_its_files(results: tuple[Path, dict[str, Result]]) -> None:
    out, found = results
    for name, result in found.items():
        assert result.findings
        for suffix in ("md", "csv", "json", "png", "svg"):
            file = out / f"{name}.{suffix}"
            assert file.stat().st_size > 200
            assert file.stat().st_size < 150_000
        said = json.loads((out / f"{name}.json").read_text())
        assert said["about"]["seeds"] == [0]
        assert said["about"]["versions"]["lrnet"]
        assert all(len(data["content"]) == 64 for data in said["about"]["data"].values())
        assert said["about"]["configuration"]["streams"]
        page = (out / f"{name}.md").read_text()
        assert all(finding.because in page for finding in result.findings)
    index = (out / "index.md").read_text()
    assert all(f"({name}.md)" in index for name in found)
    assert "Not measured here: `noise`, `cost`." in index
    assert f"{sum(len(r.findings) for r in found.values())} questions" in index
    assert not list(out.glob(".*"))


def test_figures_are_scikit_learns(known: Setting, results: tuple[Path, dict[str, Result]]) -> None:
    out, _ = results
    with (out / "calibration.csv").open() as lines:
        rows = [
            r for r in csv.DictReader(lines) if r["landmarks"] == "without calibration" and r["tested on"] == "clean"
        ]
    clean = known.data.clean().with_landmarks("detected")
    [videos] = known.runs.scored(clean, clean, known.config, known.plans())
    label = [v.is_fake for v in videos]
    score = [v.score for v in videos]
    clips = [(v.is_fake, c.score) for v in videos for c in v.clips]
    expected = {
        ("video", "AUC"): roc_auc_score(label, score),
        ("video", "accuracy"): accuracy_score(label, np.array(score) >= 0.5),
        ("clip", "AUC"): roc_auc_score(*zip(*clips, strict=True)),
    }
    ours = " + ".join(known.config.stream_names)
    shown = {(r["unit"], r["figure"]): float(r["value"]) for r in rows if r["streams"] == ours}
    assert shown == pytest.approx(expected)


def test_calibration_is_found_to_help_where_it_does(results: tuple[Path, dict[str, Result]]) -> None:
    _, found = results
    verdicts = {f.trend: f.verdict for f in found["calibration"].findings}
    assert verdicts["Calibration helps (Table 5)."] == "confirmed"
    across = {f.trend: f.verdict for f in found["detectors"].findings}
    assert across["Across landmarkers calibration helps (Figure 5)."] == "confirmed"
    contrasts = {c.what: c.estimate for c in found["detectors"].contrasts}
    both = (
        contrasts["with - without calibration, mean over different landmarkers"].value
        - contrasts["with - without calibration, mean over the same landmarker"].value
    )
    assert contrasts["that across less that within"].value == pytest.approx(both)


def test_streams_has_every_stream_and_both(results: tuple[Path, dict[str, Result]]) -> None:
    _, found = results
    named = {row.labels["streams"] for row in found["streams"].rows}
    assert {"positions (g1)", "differences (g2)", "both of the paper (g1 + g2)"} < named
    assert len(named) == sum(not stream.around for stream in STREAMS.values()) + 3  # these stores lack surroundings


def test_the_index_tells_the_videos_of_cross_validation_and_not_of_one_split(
    results: tuple[Path, dict[str, Result]],
) -> None:
    out, _ = results
    streams = json.loads((out / "streams.json").read_text())
    assert index({"streams": streams}).splitlines()[2].startswith("60 videos (30 real, 30 fake) of 30 identity groups")
    cost = json.loads((out / "streams.json").read_text())
    cost["about"]["data"]["clean"]["videos"] = 40  # as results of earlier versions have it: the split train
    assert index({"streams": streams, "cost": cost}).splitlines()[2].startswith("60 videos")


def test_clip_length_leaves_out_what_the_videos_are_too_short_for(results: tuple[Path, dict[str, Result]]) -> None:
    _, found = results
    assert {row.labels["frames"] for row in found["clip-length"].rows} == {"15", "30", "60"}


def test_too_short_for_any_comparison(known: Setting) -> None:
    short = replace(known.data, most_frames=20)
    short.conditions = known.data.conditions  # type: ignore[attr-defined]
    with pytest.raises(DatasetError, match="20 frames"):
        experiment("clip-length").run(replace(known, data=short))


def test_noise_over_the_grid(known: Setting, tmp_path: Path) -> None:
    from lrnet.experiments.paper import noise

    result = noise.run(replace(known, levels=(1, 5)))
    kinds = {row.labels["perturbation"] for row in result.rows}
    assert len(kinds) == 7 + 3
    assert "val split (10 identity groups" in result.protocol
    assert result.about["division"] == "the official splits"
    videos = {name: about["videos"] for name, about in result.about["data"].items()}
    tested = next(row.estimate.n for row in result.rows if (row.unit, row.figure) == ("video", "AUC"))
    assert videos == {"split train": len(known.data.main) - tested, "split val": tested}
    overall = next(c for c in result.contrasts if c.what.endswith("mean of all kinds and levels - clean"))
    assert overall.estimate.value == pytest.approx(0)  # these scores do not know of noise
    assert [f.verdict for f in result.findings] == ["confirmed", "confirmed"]
    assert list(result.draw(tmp_path))


def test_compression_names_the_papers_decline(results: tuple[Path, dict[str, Result]]) -> None:
    out, found = results
    assert "-0.042 (paper, abstract)" in (out / "compression.md").read_text()
    tested = {row.labels["tested on"] for row in found["compression"].rows}
    assert tested == {"clean", "c40", "hevc", "social"}


def test_costs_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = setting(tmp_path, 12)
    monkeypatch.setattr(cost, "in_own_process", lambda work, *arguments: work(*arguments))
    monkeypatch.setattr(cost, "TIMED_EPOCHS", 1)
    first = cost.run(some)
    monkeypatch.setattr(cost, "_train", lambda *_: pytest.fail("measured again"))
    second = cost.run(some)
    assert [r.estimate for r in first.rows] == [r.estimate for r in second.rows]
    figures = {(r.figure, r.labels["of"].split(":")[0]): r for r in first.rows}
    assert figures[("parameters", "paper")].estimate.value == pytest.approx(0.180292)  # the paper's 0.18 M
    assert figures[("training time", "paper")].note == "extrapolated from 2 of 1150 epochs"
    assert figures[("training time", "quick")].note == ""
    assert figures[("training time", "quick")].estimate.value > 0


def test_contrasts_draw_the_same_people_on_both_sides() -> None:
    rng = np.random.default_rng(0)
    label = np.tile([0, 1], 30)
    group = np.repeat(np.arange(30), 2).astype(str)
    one = Scores(label, label + rng.normal(0, 1, 60), group)
    other = Scores(label, one.score * 3 + 1, group)  # the same order
    same = contrast_interval(auc, [(1.0, one), (-1.0, other)])
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)
    single = contrast_interval(auc, [(0.5, one), (0.5, other)])
    alone = clustered_interval(auc, one)
    assert (single.value, single.low, single.high) == pytest.approx((alone.value, alone.low, alone.high))
    worse = Scores(label, rng.normal(0, 1, 60), group)
    found = contrast_interval(auc, [(1.0, one), (-1.0, worse)])
    assert found.value == pytest.approx(auc(one) - auc(worse))
    assert found.low > 0


def test_an_interval_that_holds_zero_decides_nothing() -> None:
    def verdict(low: float, high: float) -> str:
        return is_above("?", Contrast("a - b", "video", "AUC", Estimate((low + high) / 2, low, high, 9))).verdict

    assert [verdict(0.1, 0.2), verdict(-0.2, -0.1), verdict(-0.1, 0.1)] == [
        "confirmed",
        "denied",
        "not decidable here",
    ]


def test_seeds_are_averaged(known: Setting) -> None:
    clean = known.data.clean().with_landmarks("detected")
    two = known.runs.scored(clean, clean, known.config, [*known.plans(), *known.plans()])
    single = [measured([videos], "video", "AUC").value for videos in two]
    assert single[0] != single[1]
    assert measured(two, "video", "AUC").value == pytest.approx(np.mean(single))
    assert contrast([(1.0, two), (-1.0, two)], "video", "AUC").value == pytest.approx(0)


def test_the_papers_figures_name_experiments_that_exist() -> None:
    assert all(f.where for name in TITLES for f in paper_figures(name))
    assert {f.value for f in paper_figures("general")} == {0.999}
