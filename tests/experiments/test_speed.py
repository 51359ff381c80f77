"""The speed benchmark: its figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lrnet.experiments import speed
from lrnet.experiments.speed import Run, SpeedBenchmark, Stage, VideoSpeed


def test_the_legend_covers_no_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="the extra `benchmark` is not installed")
    drawn: list[Any] = []
    monkeypatch.setattr(speed, "save_figure", lambda figure, folder, name: drawn.append(figure))
    videos = []
    for milliseconds in (5.0, 1.0, 30.0):
        names = ("decoding", "landmarks", "calibration", "network", "other threads")
        run = Run(900.0, 1.0, 60.0, milliseconds, tuple(Stage(name, milliseconds / 5, 1.0) for name in names))
        videos.append(VideoSpeed("a.mp4", 1280, 720, "h264", "yuv420p", 25.0, None, 100, 1, 200.0, 1.0, (run,)))
    speed.write(SpeedBenchmark("a machine", 2, 2, "lrnet-2", {}, 0.5, tuple(videos)), tmp_path)
    (figure,) = drawn
    figure.draw_without_rendering()
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    (legend,) = legends
    assert len(legend.get_texts()) == 6
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())
