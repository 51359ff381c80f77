"""Where the map points, for networks whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.training.test_appearance import crops

from lrnet.appearance.graph import CELLS
from lrnet.data.records import Label, VideoRecord
from lrnet.data.store import StoredVideo
from lrnet.data.store.crops import crops_file, write_crops
from lrnet.experiments.pixel_map import pointed


class Differs:
    """The cell's logit is how much the crop differs there from the untouched one."""

    def __init__(self, *, wrong: bool = False) -> None:
        self._wrong = wrong
        self._before: Any = None

    def cells(self, crop: np.ndarray) -> np.ndarray:
        known = [np.array_equal(crop, before) for before in [self._before] if before is not None]
        if self._before is None or not any(known):
            if self._before is not None and np.abs(crop.astype(int) - self._before).mean() < 40:
                change = np.abs(crop.astype(int) - self._before).mean(axis=2)
                found = change.reshape(CELLS, 16, CELLS, 16).mean(axis=(1, 3))
                if self._wrong:
                    found = np.where(np.indices(found.shape)[0] == 0, 99.0, found)
                return np.asarray(found + 2.0, np.float32)
            self._before = crop
        return np.zeros((CELLS, CELLS), np.float32)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_network_that_sees_the_change_points_at_it(tmp_path: Path, wrong: bool) -> None:
    record = VideoRecord(Path("a"), "a", Label.REAL, "", "s", "", "g")
    video = StoredVideo(tmp_path / "a.parquet", record, {})
    crops_file(video).parent.mkdir()
    write_crops(crops(False, 1), crops_file(video))
    rows = pointed(Differs(wrong=wrong), [video])  # type: ignore[arg-type]
    assert len(rows) >= 4
    share = np.mean([row.inside for row in rows])
    assert share == 0 if wrong else share > 0.8
    assert all(0 < row.chance < 0.9 for row in rows)
