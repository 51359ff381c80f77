"""Train, calibrate and measure the default model, and write its bundle with its card.

usage: train_default_model.py STORES [--out DIR] [--seed N]

STORES holds the landmark stores `ffpp` and `more` that `tools/make_stores.py` wrote. What is done:

1. Out-of-fold scores. Five folds over FaceForensics++ training identities; with each, one or two of the other sources
   are left out whole. Every training video thus gets a score from a network that saw neither its people nor, for the
   other sources, its source.
2. On these scores: Platt calibration (real and fake weighing the same) and the two thresholds.
3. The network that ships, trained on the training split and all other sources.
4. Measured on the official validation split, which nothing above has seen.

Lip-sync fakes of the other sources are not trained on; they are measured, and the card says what comes of it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lrnet import store
from lrnet.datasets import Label, VideoRecord
from lrnet.evaluation.card import card
from lrnet.evaluation.metrics import Estimate, Scores, auc, clustered_interval, recall_at, share_interval
from lrnet.evaluation.protocol import ScoredVideo, clip_scores, score_video, video_scores
from lrnet.extraction import store_preprocessing
from lrnet.features import ClipSettings
from lrnet.network.bundle import ModelBundle
from lrnet.network.export import to_onnx
from lrnet.network.registry import DEFAULT_MODEL, built_in_models_folder
from lrnet.network.runtime import NetworkRuntime
from lrnet.network.spec import (
    AggregationSpec,
    BundleSpec,
    MeasuredResult,
    ScoreCalibration,
    Thresholds,
    TrainingRecord,
)
from lrnet.store import StoredVideo
from lrnet.training.clips import ClipTable, clip_table
from lrnet.training.fit import TrainingSettings, fit, predict
from lrnet.verdict import logit

VERSION = "1.0.0"
CLIPS = ClipSettings(length=60, stride=30, min_length=30)
SETTINGS = TrainingSettings(streams=("differences", "acceleration"), units=32, epochs=20)
FALSE_ALARMS = 0.02  # of real videos of sources and people never seen, at the threshold for likely_fake
MISSES = 0.05  # of fakes of people never seen, at the threshold for no evidence

LEFT_OUT = (
    ("lipreading.org",),
    ("DOLOS (WILTY)",),
    ("McGurk task", "Lipify prototype tests"),
    ("MEAD sample",),
    ("LRS2 sample", "LRS3 sample"),
)
"""Sources that each fold leaves out."""


def video_logits(table: ClipTable, clip_probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) mean logit of each video's clips, NaN for a video without."""
    clips = np.bincount(table.video, minlength=len(table.videos))
    total = np.bincount(table.video, logit(clip_probability), minlength=len(table.videos))
    return np.where(clips > 0, total / np.maximum(clips, 1), np.nan)


def out_of_fold(plain: ClipTable, mirrored: ClipTable, settings: TrainingSettings) -> NDArray[np.float64]:
    """(V,) logit of each video from a network that saw neither its people nor its source (FF++ excepted)."""
    groups = np.array([r.group for r in plain.videos])
    source = np.array([r.source for r in plain.videos])
    ffpp = source == "FaceForensics++"
    names = np.unique(groups[ffpp])
    np.random.default_rng(settings.seed).shuffle(names)
    fold = {name: i % len(LEFT_OUT) for i, name in enumerate(names)}
    scores = np.full(len(plain.videos), np.nan)
    for i, sources in enumerate(LEFT_OUT):
        test = np.array([f and fold[g] == i for f, g in zip(ffpp, groups, strict=True)]) | np.isin(source, sources)
        spec, weights = fit(mirrored.of_videos(~test), settings)
        part = plain.of_videos(test)
        scores[test] = video_logits(part, predict(spec, weights, part))[test]
        print(f"  fold {i + 1} of {len(LEFT_OUT)}: {test.sum()} videos", flush=True)
    return scores


def platt(scores: NDArray[np.float64], fake: NDArray[np.bool_]) -> ScoreCalibration:
    """Real and fake weigh the same: the probability is that of a video which could as well be either."""
    fitted = LogisticRegression(C=1e6, class_weight="balanced").fit(scores[:, None], fake)
    return ScoreCalibration(
        method="platt",
        a=float(fitted.coef_[0, 0]),
        b=float(fitted.intercept_[0]),
        fitted_on="out-of-fold scores of the training videos; people, and other sources as a whole, left out",
        n=len(scores),
    )


def thresholds(probability: NDArray[np.float64], fake: NDArray[np.bool_]) -> Thresholds:
    """The two thresholds with the rates that they had."""
    likely = float(np.quantile(probability[~fake], 1 - FALSE_ALARMS, method="higher"))
    none = min(float(np.quantile(probability[fake], MISSES, method="lower")), likely)
    return Thresholds(
        likely_fake=likely,
        no_evidence=none,
        false_positive_rate=float((probability[~fake] >= likely).mean()),
        miss_rate=float((probability[fake] <= none).mean()),
        measured_on=f"{(~fake).sum()} real and {fake.sum()} fake training videos, out of fold: people, and other "
        "sources as a whole, left out",
    )


def result(dataset: str, unit: str, metric: str, estimate: Estimate, note: str = "") -> MeasuredResult:
    return MeasuredResult(
        dataset=dataset,
        unit="clip" if unit == "clip" else "video",
        metric=metric,
        value=round(estimate.value, 4),
        low=round(estimate.low, 4),
        high=round(estimate.high, 4),
        n=estimate.n,
        note=note,
    )


def held_out_results(
    records: Sequence[VideoRecord], scores: NDArray[np.float64], probability: NDArray[np.float64], limits: Thresholds
) -> list[MeasuredResult]:
    """What the out-of-fold scores say: FaceForensics++ alone, then real videos of each source left out."""
    fake = np.array([r.label is Label.FAKE for r in records])
    group = np.array([r.group for r in records])
    source = np.array([r.source for r in records])
    ffpp = source == "FaceForensics++"
    inside = Scores(fake[ffpp].astype(np.int64), scores[ffpp], group[ffpp])
    across = Scores(
        np.r_[np.ones(fake.sum()), np.zeros((~ffpp).sum())].astype(np.int64),
        np.r_[scores[fake], scores[~ffpp]],
        np.r_[group[fake], group[~ffpp]],
    )
    found = [
        result("FF++ c23, training people left out", "video", "AUC", clustered_interval(auc, inside)),
        result(
            "FF++ c23 fakes against real videos of sources left out", "video", "AUC", clustered_interval(auc, across)
        ),
        result(
            "FF++ c23 fakes against real videos of sources left out",
            "video",
            "recall at 5 % false alarms",
            clustered_interval(recall_at(0.05), across),
        ),
    ]
    for name in sorted(set(source)):
        real = (source == name) & ~fake
        alarm = share_interval(probability[real] >= limits.likely_fake, group[real])
        what = "people left out" if name == "FaceForensics++" else "source left out"
        found.append(result(f"{name}, real, {what}", "video", "called likely_fake", alarm))
    return found


def final_results(
    bundle: ModelBundle, videos: Sequence[StoredVideo], lip_sync: Sequence[StoredVideo]
) -> list[MeasuredResult]:
    """What the network that ships does on the validation split, and on lip-sync fakes."""
    runtime = NetworkRuntime(bundle)
    scored = [score_video(bundle, runtime, v) for v in videos]
    name = "FF++ c23, official validation split"
    found = [
        result(name, "video", "AUC", clustered_interval(auc, video_scores(scored))),
        result(name, "clip", "AUC", clustered_interval(auc, clip_scores(scored))),
    ]
    for label, what in ((Label.REAL, "real"), (Label.FAKE, "fake")):
        part = [v for v in scored if v.record.label is label]
        found.append(result(f"{name}, {what}", "video", "called likely_fake", called_fake(bundle, part)))
        found.append(result(f"{name}, {what}", "video", "called no evidence", called_clean(bundle, part)))
    synced = [score_video(bundle, runtime, v) for v in lip_sync]
    found.append(
        result(
            "Wav2Lip fakes (LipReadingQuiz)",
            "video",
            "called likely_fake",
            called_fake(bundle, synced),
            "the real videos of this site were trained on",
        )
    )
    return found


def called_fake(bundle: ModelBundle, videos: Sequence[ScoredVideo]) -> Estimate:
    """Share of videos at or above the threshold; the quality of the material is not looked at here."""
    probability, groups = probabilities(bundle, videos)
    assert bundle.spec.thresholds is not None
    return share_interval(probability >= bundle.spec.thresholds.likely_fake, groups)


def called_clean(bundle: ModelBundle, videos: Sequence[ScoredVideo]) -> Estimate:
    """Share of videos at or below the threshold for no evidence."""
    probability, groups = probabilities(bundle, videos)
    assert bundle.spec.thresholds is not None
    return share_interval(probability <= bundle.spec.thresholds.no_evidence, groups)


def probabilities(bundle: ModelBundle, videos: Sequence[ScoredVideo]) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Calibrated probability and identity group of each video that was scored."""
    assert bundle.spec.score_calibration is not None
    scored = [v for v in videos if v.score is not None]
    scores = np.array([v.score for v in scored], np.float64)
    return bundle.spec.score_calibration.apply(scores), np.array([v.record.group for v in scored])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path)
    parser.add_argument("--out", type=Path, default=built_in_models_folder() / DEFAULT_MODEL)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    began = monotonic()

    ffpp, more = store.read(args.stores / "ffpp"), store.read(args.stores / "more")
    train = [v for v in ffpp if v.record.split == "train"] + [v for v in more if v.record.label is Label.REAL]
    settings = TrainingSettings(streams=SETTINGS.streams, units=SETTINGS.units, epochs=SETTINGS.epochs, seed=args.seed)
    plain = clip_table(train, settings.streams, CLIPS)
    mirrored = clip_table(train, settings.streams, CLIPS, mirror=True)
    print(f"{len(plain.videos)} videos, {len(plain)} clips, and their mirror images", flush=True)

    scores = out_of_fold(plain, mirrored, settings)
    fake = np.array([r.label is Label.FAKE for r in plain.videos])
    calibration = platt(scores, fake)
    probability = calibration.apply(1 / (1 + np.exp(-scores)))
    limits = thresholds(probability, fake)
    network, weights = fit(
        mirrored, settings, lambda epoch, loss: print(f"  epoch {epoch}: loss {loss:.4f}", flush=True)
    )

    preprocessing = store_preprocessing().model_copy(
        update={"clip_length": CLIPS.length, "clip_stride": CLIPS.stride, "min_clip_length": CLIPS.min_length}
    )
    spec = BundleSpec(
        name=DEFAULT_MODEL,
        version=VERSION,
        description="Differences and relative acceleration of the built-in landmarks, a bidirectional GRU on each.",
        licence="Apache-2.0",
        created=datetime.now(UTC).date(),
        network=network,
        preprocessing=preprocessing,
        aggregation=AggregationSpec(method="mean_logit"),
        score_calibration=calibration,
        thresholds=limits,
        results=tuple(held_out_results(plain.videos, scores, probability, limits)),
        training=TrainingRecord(
            data="FaceForensics++ c23, training split (31 originals and 64 fakes of five methods at hand), and real "
            "videos of nine public repositories",
            groups=tuple(sorted({r.group for r in plain.videos})),
            seed=args.seed,
            epochs=settings.epochs,
            seconds=round(monotonic() - began, 1),
            command="python tools/train_default_model.py STORES",
            versions={name: importlib.metadata.version(name) for name in ("torch", "numpy", "opencv-python-headless")},
        ),
    )
    onnx = to_onnx(network, weights)
    bundle = ModelBundle.save(spec, onnx, weights, "", args.out, replace=True)
    validation = [v for v in ffpp if v.record.split == "val"]
    lip_sync = [v for v in more if v.record.label is Label.FAKE]
    measured = spec.model_copy(update={"results": spec.results + tuple(final_results(bundle, validation, lip_sync))})
    ModelBundle.save(measured, onnx, weights, card(measured), args.out, replace=True)
    print(card(measured))


if __name__ == "__main__":
    main()
