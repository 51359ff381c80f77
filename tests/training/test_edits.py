"""Edited videos at the level of landmarks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.training.training_kit import PREPROCESSING, record, walk

from lrnet.data import store
from lrnet.data.records import Label
from lrnet.training.edits import SHOT, edited_videos


def test_seconds_without_a_frame_give_no_empty_shot(tmp_path: Path) -> None:
    """A file that shows nothing for eight seconds: most shots of two to five seconds drawn there have no frame."""
    for i, label in enumerate((Label.REAL, Label.FAKE)):
        face = walk(i, 0.9, frames=90)
        times = np.where(np.arange(90) < 45, face.times, face.times + 8.0)
        gap = replace(face, times=times)
        store.write(tmp_path, record(f"video{i}", label, group=f"person{i}"), [gap], PREPROCESSING)
    videos = list(store.open(tmp_path))
    for seed in range(40):
        edits = edited_videos(videos, seed)
        assert {edit.edit for edit in edits} >= {"shots", "one fake shot"}
        for edit in edits:
            assert all(len(shot) for shot in edit.sequences)
            assert all(shot.times[-1] - shot.times[0] <= SHOT[1] + 1e-6 for shot in edit.sequences)
            ends = [shot.times[-1] for shot in edit.sequences]
            assert ends == sorted(ends)
