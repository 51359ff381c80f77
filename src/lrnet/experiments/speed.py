"""How fast detection is and where its time goes, beside decoding alone on the same file in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Final

from lrnet.detector import Detector
from lrnet.errors import InternalError
from lrnet.evaluation.plots import new_figure, save_figure
from lrnet.experiments.environment import in_own_process, machine, peak_memory, software
from lrnet.files import make_folder, write_text
from lrnet.machine import cores
from lrnet.video.limits import Access
from lrnet.video.reader import VideoReader

FILES: Final = ("speed.json", "speed.png", "speed.svg")
FIRST_FRAME: Final = """
import sys
from lrnet.cli.app import app
from lrnet.detector import Detector
from lrnet.video.reader import VideoReader
detector = Detector(sys.argv[2])
with VideoReader(sys.argv[1]) as reader:
    next(iter(reader))
    print("first frame", flush=True)
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Milliseconds a frame: processor time, and wall-clock time without waiting for other stages."""

    name: str
    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of decoding alone and one of detection, the one after the other.

    Attributes:
        decode_rate, rate: frames a second of decoding alone and of the whole.
        decode_cpu, cpu: milliseconds of processor time a frame, all threads of the process.
        stages: of detection, and what lies outside them (FFmpeg's threads, mostly) as "other threads".
    """

    decode_rate: float
    decode_cpu: float
    rate: float
    cpu: float
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class VideoSpeed:
    """One video, every run of it.

    Attributes:
        frame_rate: of the file, Hz.
        peak_memory: of a process that did nothing else, MB.
        examined: share of the frames that landmarks were looked for in.
    """

    video: str
    width: int
    height: int
    codec: str
    pixel_format: str
    frame_rate: float
    kilobits: float | None
    frames: int
    faces: int
    peak_memory: float
    examined: float
    runs: tuple[Run, ...]

    def medians(self) -> dict[str, Any]:
        """Over the runs; `ratio` is detection over decoding alone, pair by pair."""
        names = ("decode_rate", "rate", "decode_cpu", "cpu")
        found = {name: median(getattr(run, name) for run in self.runs) for name in names}
        found["ratio"] = median(run.rate / run.decode_rate for run in self.runs)
        found["times_real_time"] = found["rate"] / self.frame_rate
        same = zip(*(run.stages for run in self.runs), strict=True)
        stages = [Stage(s[0].name, median(x.cpu for x in s), median(x.wall for x in s)) for s in same]
        return {**found, "stages": [asdict(stage) for stage in stages]}


@dataclass(frozen=True, slots=True)
class SpeedBenchmark:
    """All videos, and what they were measured on.

    Attributes:
        first_frame: seconds from the start of the command until a model is loaded and a frame decoded.
    """

    machine: str
    cores: int
    threads: int
    model: str
    software: dict[str, str]
    first_frame: float
    videos: tuple[VideoSpeed, ...]


def benchmark_speed(
    videos: Sequence[Path],
    model: str,
    *,
    runs: int = 3,
    threads: int | None = None,
    access: Access | None = None,
    before_each: Callable[[Path], None] = lambda video: None,
) -> SpeedBenchmark:
    """Measure each video in a process of its own, so that the peak of its memory is its own.

    Args:
        runs: pairs of decoding alone and detection, after one that is not counted.
        threads: for both; as many as there are cores if not given.
        access: how detection opens videos, and what it leaves out of them; decoding alone reads all.
        before_each: called with each video before it is read.

    Raises:
        VideoError: a video cannot be read.
        ModelError: the model is unknown or damaged.
    """
    threads, access = cores() if threads is None else threads, access or Access()
    found = []
    for video in videos:
        before_each(video)
        found.append(in_own_process(measure_video, video, model, runs, threads, access))
    first = median(seconds_to_first_frame(videos[0], model) for _ in range(runs))
    return SpeedBenchmark(str(machine()["processor"]), cores(), threads, model, software(), first, tuple(found))


def measure_video(video: Path, model: str, runs: int, threads: int, access: Access) -> VideoSpeed:
    """`runs` pairs of decoding alone and detection on one video, in this process."""
    detector = Detector(model, threads=threads)
    _run(detector, video, threads, access)
    measured = tuple(_run(detector, video, threads, access) for _ in range(runs))
    result = detector.detect(video, access=access)
    info = result.info
    return VideoSpeed(
        video.name,
        info.width,
        info.height,
        info.codec,
        info.pixel_format,
        info.frame_rate or 25.0,
        8 * info.size_bytes / info.duration / 1000 if info.duration else None,
        result.frames_read,
        len(result.faces),
        peak_memory(),
        result.frames_examined / result.frames_read,
        measured,
    )


def _run(detector: Detector, video: Path, threads: int, access: Access) -> Run:
    wall, cpu = perf_counter(), process_time()
    with VideoReader(video, threads=threads) as reader:
        frames = sum(1 for _ in reader)
    decode_wall, decode_cpu = perf_counter() - wall, process_time() - cpu
    wall, cpu = perf_counter(), process_time()
    result = detector.detect(video, access=access)
    wall, cpu = perf_counter() - wall, 1000 * (process_time() - cpu) / frames
    stages = [Stage(s.name, 1000 * s.cpu / frames, 1000 * s.wall / frames) for s in result.stages]
    rest = Stage("other threads", max(0.0, cpu - sum(s.cpu for s in stages)), 0.0)
    return Run(frames / decode_wall, 1000 * decode_cpu / frames, frames / wall, cpu, (*stages, rest))


def seconds_to_first_frame(video: Path, model: str) -> float:
    """From the start of a process until a model is loaded and a frame decoded."""
    began = perf_counter()
    with subprocess.Popen([sys.executable, "-c", FIRST_FRAME, str(video), model], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise InternalError("The process that was to read a frame ended.", hint="Its message is above.")
        return perf_counter() - began


def table(result: SpeedBenchmark) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a video each, medians over the runs."""
    header = ["video", "size", "frames", "examined", "faces", "decode / s", "detect / s", "slowest - fastest"]
    header += ["ratio", "x real", "decode alone CPU-ms", "CPU-ms", *(s.name for s in result.videos[0].runs[0].stages)]
    rows = []
    for v in result.videos:
        m, rates = v.medians(), [run.rate for run in v.runs]
        cells = [v.video, f"{v.width}x{v.height}", str(v.frames), f"{v.examined:.0%}", str(v.faces)]
        cells += [f"{m['decode_rate']:.0f}", f"{m['rate']:.0f}", f"{min(rates):.0f} - {max(rates):.0f}"]
        cells += [f"{m['ratio']:.2f}", f"{m['times_real_time']:.1f}", f"{m['decode_cpu']:.2f}", f"{m['cpu']:.2f}"]
        rows.append([*cells, *(f"{stage['cpu']:.2f}" for stage in m["stages"]), f"{v.peak_memory:.0f}"])
    return [*header, "MB"], rows


def sentences(result: SpeedBenchmark) -> list[str]:
    """Machine, versions and method of the table, in sentences."""
    software = ", ".join(f"{name} {number}" for name, number in result.software.items())
    runs = len(result.videos[0].runs)
    return [
        f"{result.machine}, {result.cores} cores, {result.threads} threads; {software}; model {result.model}.",
        f"Medians of {runs} runs, decoding alone and detection in turn; CPU-ms are a frame's, over all threads.",
        f"From the start of the command to the first frame: {result.first_frame:.2f} s.",
    ]


def write(result: SpeedBenchmark, folder: Path) -> None:
    """Write `FILES`: every run and the medians as JSON, and a figure of bars."""
    make_folder(folder)
    videos = [asdict(v) | v.medians() for v in result.videos]
    write_text(folder / "speed.json", json.dumps(asdict(result) | {"videos": videos}, indent=1) + "\n")
    figure, axes = new_figure(8, 1.4 + 0.75 * len(videos))
    for place, v in enumerate(videos):
        axes.barh(place - 0.22, v["decode_cpu"], 0.3, label="" if place else "decoding alone", color="#bbbbbb")
        end = 0.0
        for i, stage in enumerate(v["stages"]):
            axes.barh(place + 0.16, stage["cpu"], 0.4, left=end, label="" if place else stage["name"], color=f"C{i}")
            end += stage["cpu"]
        text = f"{v['rate']:.0f} / s"
        axes.annotate(text, (end, place + 0.16), xytext=(4, 0), textcoords="offset points", va="center")
    names = [f"{v['video']}\n{v['width']}x{v['height']}, faces: {v['faces']}" for v in videos]
    axes.set_yticks(range(len(videos)), names)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(f"CPU-ms a frame ({result.machine}, {result.threads} threads)")
    figure.legend(fontsize="small", loc="outside upper center", ncols=3)  # above, where no bar can lie
    save_figure(figure, folder, "speed")
