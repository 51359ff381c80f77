"""`lrnet benchmark streams` and its siblings as a user types them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.commands import lrnet

pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments" / "paper"))

from paper_kit import write

from lrnet.data import store
from lrnet.experiments.paper.runs import Runs, folds_of
from lrnet.experiments.paper.videos import VideoSet

QUICK = """
name = "tiny"
description = "For tests."
[[streams]]
name = "differences"
units = 4
[clips]
length = 20
stride = 20
min_length = 20
[augmentation]
mirror = false
[fit]
epochs = 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a recipe that learns nothing in no time, and a model of some of the store's people."""
    folder = tmp_path_factory.mktemp("experiments")
    write(folder / "store", 8)
    (folder / "tiny.toml").write_text(QUICK)
    return folder


MODEL = "lrnet-mesh-v2"


def test_one_experiment_and_again(place: Path) -> None:
    how = ["streams", "--data", place / "store", "--config", place / "tiny.toml", "--folds", 2, "--workers", 1]
    first = lrnet("benchmark", *map(str, how), "--out", place / "out")
    assert first.returncode == 0, first.stderr
    assert "| both of the paper (g1 + g2) |" in first.stdout
    assert "Both streams beat positions (g1) alone (Table 6)." in first.stdout
    assert "14 networks trained" in first.stderr
    before = (place / "out" / "streams.csv").read_bytes()
    again = lrnet("benchmark", *map(str, how), "--out", place / "out")
    assert "0 networks trained" in again.stderr
    assert (place / "out" / "streams.csv").read_bytes() == before


def test_a_model_that_knows_these_people_is_refused(place: Path) -> None:
    from lrnet.training.config import load_config

    videos = VideoSet("clean", tuple(store.open(place / "store")))
    plan = folds_of([v.record for v in videos.videos], 2, 0)
    [model] = Runs(place / "cache").networks(videos, load_config(place / "tiny.toml"), plan[0])
    refused = lrnet(
        "benchmark", "general", "--data", place / "store", "--model", model.path, "--out", place / "refused"
    )
    assert refused.returncode == 8
    assert "was trained on people of 4 of the 8 videos of one" in " ".join(refused.stderr.split())
    assert "--allow-contaminated" in refused.stderr
    assert not list((place / "refused").iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["streams"], 2, "--data"),
        (["streams", "--data", "nowhere", "--out", "{}/x"], 8, "no dataset at nowhere"),
        (["streams", "--data", "{}/store", "--out", "{}/x", "--config", "defualt"], 8, "no configuration 'defualt'"),
        (["streams", "--data", "{}/store", "--out", "{}/x", "--folds", "9"], 8, "too few for 9 folds"),
        (["streams", "--data", "{}/store", "--out", "{}/tiny.toml"], 5, "cannot be made"),
        (["general", "--data", "{}/store", "--out", "{}/x", "--model", "nobody"], 6, "nobody"),
        (["general", "--data", "{}/store", "--out", "{}/x", "--split", "val"], 2, "give --model"),
        (["general", "--data", "{}/store", "--out", "{}/x", "--model", MODEL, "--split", "tset"], 8, "split 'tset'"),
        (["compression", "--data", "{}/store", "--out", "{}/x"], 8, "not at their paths"),
        (["compression", "--data", "{}/store", "--out", "{}/x", "--qualities", "c24"], 2, "no re-encoding 'c24'"),
        (["detectors", "--data", "{}/store", "--out", "{}/x", "--landmarkers", "mesh,msh"], 6, "'msh'"),
        (["noise", "--data", "{}/store", "--out", "{}/x", "--levels", "3,6"], 2, "levels are 1 to 5"),
        (["calibration"], 2, "either videos, or labelled videos"),
        (["calibration", "a.mp4", "--data", "{}/store"], 2, "either videos, or labelled videos"),
    ],
)
def test_wrong_uses(place: Path, arguments: list[str], code: int, told: str) -> None:
    found = lrnet("benchmark", *(a.format(place) for a in arguments))
    assert found.returncode == code
    assert told in " ".join(found.stderr.replace("│", " ").split())
