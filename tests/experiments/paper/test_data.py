"""What experiments are given: stores, datasets, qualities."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from paper_kit import recipe, write

from lrnet.errors import DatasetError
from lrnet.experiments.paper.data import Data
from lrnet.experiments.paper.runs import Runs
from lrnet.experiments.paper.setting import Setting
from lrnet.experiments.stores import Condition


def test_a_store_is_read_as_it_is(tmp_path: Path) -> None:
    data = Data.open([write(tmp_path / "store", 6)], tmp_path / "cache", most_frames=50)
    assert data.name == "one"
    assert len(data.main) == 6
    found = data.condition(Condition.of("clean"), "clean")
    assert len(found.videos) == 6
    assert {len(s) for face in found.faces() for s in face.sequences} == {50}
    assert not (tmp_path / "cache").exists()
    assert not data.has_videos


def test_what_must_be_made_of_videos_says_so(tmp_path: Path) -> None:
    data = Data.open([write(tmp_path / "store", 6)], tmp_path / "cache")
    with pytest.raises(DatasetError, match="c40: 6 videos are needed and not at their paths"):
        data.treated("c40")


def test_a_store_stands_for_the_landmarker_that_it_is_of(tmp_path: Path) -> None:
    data = Data.open([write(tmp_path / "store", 6, landmarker="mesh68")], tmp_path / "cache")
    assert len(data.clean(landmarker="mesh68").videos) == 6
    with pytest.raises(DatasetError, match="clean: 6 videos are needed and not at their paths") as caught:
        data.clean()
    assert "its mesh landmarks" in caught.value.hint


def test_stores_of_two_landmarkers_do_not_stand_in_one_table(tmp_path: Path) -> None:
    one = Data.open([write(tmp_path / "one", 6)], tmp_path / "cache")
    two = Data.open([write(tmp_path / "two", 6, compression="c40", landmarker="mesh68")], tmp_path / "cache")
    both = Data.open([tmp_path / "one", tmp_path / "two"], tmp_path / "cache")
    for data, others in ((both, ()), (one, (two,))):
        with pytest.raises(DatasetError, match="different preprocessing"):
            Setting(data, Runs(tmp_path / "cache"), recipe(), others)


def test_qualities_that_data_have_themselves(tmp_path: Path) -> None:
    places = [write(tmp_path / name, 6, compression=name) for name in ("c40", "raw")]
    data = Data.open(places, tmp_path / "cache")
    assert list(data.qualities()) == ["raw", "c40"]
    assert {r.compression for r in data.main} == {"raw"}
    assert len(data.stored_quality("c40", data.qualities()["c40"]).videos) == 6
    with pytest.raises(DatasetError, match="two of the data"):
        Data.open([places[0], places[0]], tmp_path / "cache")
