"""What is said of each witness, and the map of the pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lrnet.appearance.crops import CROP_SIZE
from lrnet.report.witnesses import PixelMap, says


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (None, "was not asked"),
        (0.0, "says little either way"),
        (np.log(2.9), "says little either way"),
        (np.log(12.0), "12 times likelier for a fake"),
        (-np.log(12.0), "12 times likelier for a genuine face"),
        (8.0, "more than 1000 times likelier for a fake"),
    ],
)
def test_ratios_in_words(ratio: float | None, words: str) -> None:
    assert says(ratio) == words


def test_the_map_is_red_where_the_cells_are_high_and_grey_elsewhere() -> None:
    cells = np.zeros((10, 10), np.float32)
    cells[7, 2] = 4.0
    drawn = PixelMap(cells, np.full((CROP_SIZE, CROP_SIZE, 3), 120, np.uint8), 3).drawn()
    picture = cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    red = picture[..., 2].astype(int) - picture[..., 0]
    y, x = np.unravel_index(int(red.argmax()), red.shape)
    assert abs(y / 32 - 7.5) < 0.7
    assert abs(x / 32 - 2.5) < 0.7
    assert red[:100].max() < 12
