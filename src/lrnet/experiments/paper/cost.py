"""Table 4: costs of landmarks and of training on this machine."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any, Final

from lrnet.data.extraction import store_preprocessing
from lrnet.data.landmark_job import LandmarkJob
from lrnet.data.records import VideoRecord
from lrnet.data.store.ledger import size_of
from lrnet.evaluation.metrics import Estimate
from lrnet.experiments.paper.draw import draw_rows
from lrnet.experiments.paper.result import Finding, Result, Row, paper_figure
from lrnet.experiments.paper.runs import key_of, seeded
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.paper.videos import VideoSet
from lrnet.files import write_text
from lrnet.training.config import TrainingConfig, load_config
from lrnet.training.data import preprocessing_of
from lrnet.training.train import TrainedModel, bundle_preprocessing, bundle_spec, in_memory, train_on

NAME: Final = "cost"
VIDEOS: Final = 4  # that are timed from the file to landmarks
TIMED_EPOCHS: Final = 4  # of configurations with hundreds; the rest is extrapolated


@dataclass(frozen=True, slots=True)
class Training:
    """What a training run took, in a process of its own.

    Attributes:
        seconds: to the end of all epochs, of reading landmarks and fitting. cpu: of those that were run.
        epochs: of all streams together.
        timed: how many of them were run; the rest is extrapolated.
        memory: peak of the process, MB.
        parameters, bundle: of the network; bytes of its ONNX file, which holds the weights.
    """

    seconds: float
    cpu: float
    epochs: int
    timed: int
    memory: float
    parameters: int
    bundle: int


def run(setting: Setting) -> Result:
    """Measure once and keep the figures for resumed runs."""
    clean = setting.data.clean()
    train = replace(clean, videos=tuple(v for v in clean.videos if not setting.has_splits or v.record.split == "train"))
    rows: list[Row] = []
    if setting.data.has_videos:
        rows += _preprocessing_rows(setting, setting.data.main[:VIDEOS])
    size = sum(v.file.stat().st_size for v in train.videos)
    rows.append(_row("landmarks on disk", f"{len(train.videos)} videos", "MB", size / 1e6))
    rows.append(_row("videos on disk", f"{len(train.videos)} videos", "MB", _bytes_of_videos(train) / 1e6))
    findings = []
    for name, config in {setting.config.name: setting.config, "paper": load_config("paper")}.items():
        found = _kept(setting, "training", (train.mark(config),), lambda c=config: _timed_training(train, c))
        t = Training(**found)
        streams = " + ".join(config.stream_names)
        what = f"{name}: {streams}"
        how = "" if t.timed == t.epochs else f"extrapolated from {t.timed} of {t.epochs} epochs"
        paper = paper_figure(NAME, "training time") if name == "paper" else None
        rows += [
            _row("training time", what, "h", t.seconds / 3600, paper, how),
            _row("peak memory of training", what, "MB", t.memory),
            _row("parameters", what, "million", t.parameters / 1e6, paper and paper_figure(NAME, "parameters")),
            _row("network on disk", what, "MB", t.bundle / 1e6),
        ]
        if paper:
            findings.append(_like_the_papers(t, size, len(train.videos)))
    return Result(
        NAME,
        "Costs (the paper's Table 4)",
        "Measured once on this machine, which may have been busy with other work; times are wall-clock times. "
        f"Training is on {len(train.videos)} videos, {train.most_frames} frames each, on one thread of a CPU.",
        tuple(rows),
        (),
        tuple(findings),
        setting.about(
            replace(train, name="split train") if setting.has_splits else train, division="nothing is tested"
        ),
        lambda folder: draw_rows(
            [r for r in rows if r.figure == "training time"], folder, NAME, "hours of training (all epochs)"
        ),
        notes=(
            f"The paper trains {paper_figure(NAME, 'training data')} of landmarks; this is "
            f"{size / 1e9:.3f} GB on a CPU core. Times cannot be compared as they are.",
        ),
    )


def _row(figure: str, what: str, unit: str, value: float, paper: Any = None, note: str = "") -> Row:
    return Row({"of": what}, unit, figure, Estimate(value, value, value, 0), paper, note)


def _like_the_papers(t: Training, size: int, videos: int) -> Finding:
    paper = paper_figure(NAME, "parameters")
    same = abs(t.parameters / 1e6 - paper.value) < 0.005  # it is given to two places
    return Finding(
        f"The network has {paper} parameters.",
        "confirmed" if same else "denied",
        f"the paper's recipe has {t.parameters:,} here. It takes {t.seconds / 3600:.2f} h on one CPU thread for "
        f"{size / 1e6:.0f} MB of landmarks ({videos} videos); the paper's {paper_figure(NAME, 'training time')} is for "
        f"{paper_figure(NAME, 'training data')}, so that the two times cannot be compared.",
    )


def _preprocessing_rows(setting: Setting, records: Sequence[VideoRecord]) -> list[Row]:
    most = setting.data.most_frames
    found = _kept(
        setting,
        "preprocessing",
        ([(r.key, size_of(r)) for r in records], most),
        lambda: _in_own_process(_timed_extraction, tuple(records), most),
    )
    what = f"{len(records)} videos of {setting.data.name}, one thread for each stage"
    return [
        _row("landmarks from video", what, "frames a second", found["frames"] / found["seconds"]),
        _row("landmarks from video", what, "CPU-ms a frame", 1000 * found["cpu"] / found["frames"]),
        _row("peak memory of preprocessing", what, "MB", found["memory"]),
    ]


def _kept(setting: Setting, kind: str, about: tuple[object, ...], make: Any) -> dict[str, Any]:
    """A measurement that was kept, or is taken now and kept."""
    file = setting.runs.folder / "costs" / f"{kind}-{key_of(kind, *about)}.json"
    if file.is_file():
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return known
    found: dict[str, Any] = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(found) + "\n")
    return found


def _in_own_process(work: Any, *arguments: Any) -> dict[str, Any]:
    """So that the peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        found: dict[str, Any] = process.submit(work, *arguments).result()
        return found


def _timed_training(train: VideoSet, config: TrainingConfig) -> dict[str, Any]:
    return _in_own_process(_train, train, config)


def _train(train: VideoSet, config: TrainingConfig) -> dict[str, Any]:
    config = seeded(config, 0)
    epochs = {s.name: s.epochs or config.fit.epochs for s in config.streams}
    timed = {name: min(n, n if n <= 50 else TIMED_EPOCHS) for name, n in epochs.items()}
    wall, cpu = perf_counter(), process_time()
    faces = train.faces()
    reading = perf_counter() - wall
    seconds, parts = reading, []
    for stream in config.streams:
        alone = config.alone(stream.model_copy(update={"epochs": timed[stream.name]}))
        began = perf_counter()
        parts.append((alone, train_on(faces, alone)))
        seconds += (perf_counter() - began) * epochs[stream.name] / timed[stream.name]
    size = parameters = 0
    for alone, fitted in parts:
        how = bundle_preprocessing(preprocessing_of(train.videos), alone)
        model = TrainedModel(fitted, train.videos, tuple(faces), how, 0.0)
        spec = bundle_spec(model, alone, name="network", version="0", licence="unspecified", command="")
        size += len(in_memory(spec, fitted).network)
        parameters += fitted.spec.parameters
    return {
        "seconds": seconds,
        "cpu": process_time() - cpu,
        "epochs": sum(epochs.values()),
        "timed": sum(timed.values()),
        "memory": _peak_memory(),
        "parameters": parameters,
        "bundle": size,
    }


def _timed_extraction(records: Sequence[VideoRecord], most: int | None) -> dict[str, Any]:
    job = LandmarkJob(store_preprocessing(), None, most)
    wall, cpu = perf_counter(), process_time()
    frames = sum(job(record).provenance.frames for record in records)
    return {
        "frames": frames,
        "seconds": perf_counter() - wall,
        "cpu": process_time() - cpu,
        "memory": _peak_memory(),
    }


def _peak_memory() -> float:
    """Of this process, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _bytes_of_videos(videos: VideoSet) -> int:
    sizes = [v.provenance.size for v in videos.videos if v.provenance is not None]
    return sum(s for s in sizes if s > 0)
