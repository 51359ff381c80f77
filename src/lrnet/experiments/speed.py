"""How fast detection is and where its time goes, beside decoding alone on the same file in the same run."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from lrnet.detector import Detector
from lrnet.experiments.environment import machine, software
from lrnet.video.limits import Access
from lrnet.video.pipeline import cores
from lrnet.video.reader import VideoReader

FIRST_FRAME: Final = """
import sys
from lrnet.cli.app import app
from lrnet.detector import Detector
from lrnet.video import VideoReader
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
        stages: of detection. What `cpu` holds beyond them is FFmpeg's own threads and the passing on.
    """

    decode_rate: float
    decode_cpu: float
    rate: float
    cpu: float
    stages: tuple[Stage, ...]

    @property
    def rest(self) -> float:
        """CPU-ms a frame outside the stages' own threads: FFmpeg's threads, mostly."""
        return max(0.0, self.cpu - sum(stage.cpu for stage in self.stages))


@dataclass(frozen=True, slots=True)
class VideoSpeed:
    """One video, every run of it. Medians over the runs unless said otherwise.

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

    @property
    def rate(self) -> float:
        return statistics.median(run.rate for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """Slowest and fastest run, frames a second."""
        return min(run.rate for run in self.runs), max(run.rate for run in self.runs)

    @property
    def decode_rate(self) -> float:
        return statistics.median(run.decode_rate for run in self.runs)

    @property
    def ratio(self) -> float:
        """Detection over decoding alone, frames a second, pair by pair."""
        return statistics.median(run.rate / run.decode_rate for run in self.runs)

    @property
    def times_real_time(self) -> float:
        return self.rate / self.frame_rate

    @property
    def cpu(self) -> float:
        return statistics.median(run.cpu for run in self.runs)

    @property
    def decode_cpu(self) -> float:
        return statistics.median(run.decode_cpu for run in self.runs)

    def stages(self) -> list[Stage]:
        """Each stage, and what lies outside them as `other threads`."""
        found = []
        for i, stage in enumerate(self.runs[0].stages):
            cpu = statistics.median(run.stages[i].cpu for run in self.runs)
            wall = statistics.median(run.stages[i].wall for run in self.runs)
            found.append(Stage(stage.name, cpu, wall))
        return [*found, Stage("other threads", statistics.median(run.rest for run in self.runs), 0.0)]


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
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            found.append(process.submit(measure_video, video, model, runs, threads, access).result())
    first = statistics.median(seconds_to_first_frame(videos[0], model) for _ in range(runs))
    processor = str(machine()["processor"])
    return SpeedBenchmark(processor, cores(), threads, model, software(), first, tuple(found))


def measure_video(video: Path, model: str, runs: int, threads: int, access: Access) -> VideoSpeed:
    """`runs` pairs of decoding alone and detection on one video, in this process."""
    detector = Detector(model, threads=threads)
    _run(detector, video, threads, access)
    measured = tuple(_run(detector, video, threads, access) for _ in range(runs))
    result = detector.detect(video, access=access)
    info = result.info
    seconds = info.duration or 0.0
    return VideoSpeed(
        video.name,
        info.width,
        info.height,
        info.codec,
        info.pixel_format,
        info.frame_rate or 25.0,
        8 * info.size_bytes / seconds / 1000 if seconds else None,
        result.frames_read,
        len(result.faces),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
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
    wall, cpu = perf_counter() - wall, process_time() - cpu
    stages = tuple(Stage(s.name, 1000 * s.cpu / frames, 1000 * s.wall / frames) for s in result.stages)
    return Run(frames / decode_wall, 1000 * decode_cpu / frames, frames / wall, 1000 * cpu / frames, stages)


def seconds_to_first_frame(video: Path, model: str) -> float:
    """From the start of a process until a model is loaded and a frame decoded."""
    began = perf_counter()
    with subprocess.Popen([sys.executable, "-c", FIRST_FRAME, str(video), model], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return perf_counter() - began
