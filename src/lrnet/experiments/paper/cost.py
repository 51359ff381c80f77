"""Table 4: costs of landmarks and of training on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter, process_time
from typing import Final

from lrnet.data.extraction import store_preprocessing
from lrnet.data.landmark_job import LandmarkJob
from lrnet.data.records import VideoRecord
from lrnet.data.store.ledger import size_of
from lrnet.evaluation.metrics import Estimate
from lrnet.experiments.environment import in_own_process, peak_memory
from lrnet.experiments.paper.draw import draw_rows
from lrnet.experiments.paper.result import Finding, PaperFigure, Result, Row, paper_figure
from lrnet.experiments.paper.runs import key_of, seeded
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.files import write_text
from lrnet.training.config import TrainingConfig, load_config
from lrnet.training.train import bare_bundle, train_on

VIDEOS: Final = 4  # that are timed from the file to landmarks
TIMED_EPOCHS: Final = 4  # of configurations with hundreds; the rest is extrapolated

Costs = dict[str, float]


def run(setting: Setting) -> Result:
    """Measure once and keep the figures for resumed runs."""
    clean = setting.data.clean()
    train = replace(clean, videos=tuple(v for v in clean.videos if not setting.has_splits or v.record.split == "train"))
    size = sum(v.file.stat().st_size for v in train.videos)
    of_videos = sum(max(v.provenance.size, 0) for v in train.videos if v.provenance is not None)
    named = replace(train, name="split train") if setting.has_splits else train
    hours, data = paper_figure("cost", "training time"), paper_figure("cost", "training data")
    result = Result(
        "cost",
        "Costs (the paper's Table 4)",
        "Measured once on this machine, which may have been busy with other work; times are wall-clock times. "
        f"Training is on {len(train.videos)} videos, {train.most_frames} frames each, on one thread of a CPU.",
        setting.about(named, division="nothing is tested"),
        notes=(
            f"The paper trains {data} of landmarks; this is {size / 1e9:.3f} GB on a CPU core. Times cannot be "
            "compared as they are.",
        ),
    )

    def add(figure: str, what: str, unit: str, value: float, paper: PaperFigure | None = None, note: str = "") -> None:
        result.rows.append(Row({"of": what}, unit, figure, Estimate(value, value, value, 0), paper, note))

    if setting.data.has_videos:
        records, most = setting.data.main[:VIDEOS], setting.data.most_frames
        about = ([(r.key, size_of(r)) for r in records], most)
        found = _kept(setting, "preprocessing", about, partial(in_own_process, _extract, records, most))
        what = f"{len(records)} videos of {setting.data.name}, one thread for each stage"
        add("landmarks from video", what, "frames a second", found["frames"] / found["seconds"])
        add("landmarks from video", what, "CPU-ms a frame", 1000 * found["cpu"] / found["frames"])
        add("peak memory of preprocessing", what, "MB", found["memory"])
    add("landmarks on disk", f"{len(train.videos)} videos", "MB", size / 1e6)
    add("videos on disk", f"{len(train.videos)} videos", "MB", of_videos / 1e6)
    for name, config in {setting.config.name: setting.config, "paper": load_config("paper")}.items():
        t = _kept(setting, "training", (train.mark(config),), partial(in_own_process, _train, train, config))
        what = f"{name}: {' + '.join(config.stream_names)}"
        how = "" if t["timed"] == t["epochs"] else f"extrapolated from {t['timed']:g} of {t['epochs']:g} epochs"
        paper = paper_figure("cost", "parameters") if name == "paper" else None
        add("training time", what, "h", t["seconds"] / 3600, paper and hours, how)
        add("peak memory of training", what, "MB", t["memory"])
        add("parameters", what, "million", t["parameters"] / 1e6, paper)
        add("network on disk", what, "MB", t["bundle"] / 1e6)
        if paper is not None:
            same = abs(t["parameters"] / 1e6 - paper.value) < 0.005  # it is given to two places
            because = (
                f"the paper's configuration has {t['parameters']:,.0f} here. It takes {t['seconds'] / 3600:.2f} h on "
                f"one CPU thread for {size / 1e6:.0f} MB of landmarks ({len(train.videos)} videos); the paper's "
                f"{hours} is for {data}, so that the two times cannot be compared."
            )
            trend = f"The network has {paper} parameters."
            result.findings.append(Finding(trend, "confirmed" if same else "denied", because))
    times = [r for r in result.rows if r.figure == "training time"]
    result.draw = lambda folder: draw_rows(times, folder, result.name, "hours of training (all epochs)")
    return result


def _kept(setting: Setting, kind: str, about: tuple[object, ...], make: Callable[[], Costs]) -> Costs:
    """A measurement that was kept, or is taken now and kept."""
    file = setting.runs.folder / "costs" / f"{kind}-{key_of(kind, *about)}.json"
    if file.is_file():
        known: Costs = json.loads(file.read_text(encoding="utf-8"))
        return known
    found = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(found) + "\n")
    return found


def _train(train: VideoSet, config: TrainingConfig) -> Costs:
    """The costs of a training run, of all streams together.

    Returns:
        `seconds` to the end of all `epochs`, of which `timed` are run and the rest is extrapolated; `cpu` seconds of
        those that were run; peak `memory` of the process, MB; number of `parameters`; bytes of the ONNX files
        (`bundle`), which hold the weights.
    """
    config = seeded(config, 0)
    wall, cpu = perf_counter(), process_time()
    faces = train.faces()
    found: Costs = {"seconds": perf_counter() - wall, "epochs": 0, "timed": 0}
    parts = []
    for stream in config.streams:
        epochs = stream.epochs or config.fit.epochs
        timed = epochs if epochs <= 50 else min(epochs, TIMED_EPOCHS)
        alone = config.alone(stream.model_copy(update={"epochs": timed}))
        began = perf_counter()
        parts.append(bare_bundle(train_on(faces, alone), train.videos, alone))
        found["seconds"] += (perf_counter() - began) * epochs / timed
        found["epochs"] += epochs
        found["timed"] += timed
    return found | {
        "cpu": process_time() - cpu,
        "memory": peak_memory(),
        "parameters": sum(b.spec.network.parameters for b in parts),
        "bundle": sum(len(b.network) for b in parts),
    }


def _extract(records: Sequence[VideoRecord], most: int | None) -> Costs:
    """The costs of extracting landmarks."""
    job = LandmarkJob(store_preprocessing(), None, most)
    wall, cpu = perf_counter(), process_time()
    frames = sum(job(record).provenance.frames for record in records)
    found = {"frames": frames, "seconds": perf_counter() - wall, "cpu": process_time() - cpu}
    return {**found, "memory": peak_memory()}
