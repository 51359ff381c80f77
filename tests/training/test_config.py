"""Configurations: the ones that ship, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrnet.errors import TrainingError
from lrnet.network.spec import PAPER_NETWORK, RELEASED_NETWORK
from lrnet.training.config import config_names, config_text, load_config


def test_the_shipped_configurations_can_be_read() -> None:
    assert config_names() == ("default", "experiments", "mesh-v2", "paper", "released")
    for name in config_names():
        assert load_config(name).name == name


@pytest.mark.parametrize(("name", "network"), [("paper", PAPER_NETWORK), ("released", RELEASED_NETWORK)])
def test_recipes_have_the_networks_they_are_named_after(name: str, network: object) -> None:
    config = load_config(name)
    for stream, expected in zip(config.streams, network.streams, strict=True):  # type: ignore[attr-defined]
        assert (stream.name, stream.units, stream.head) == (expected.name, expected.units, expected.head)
        assert stream.head_hidden == expected.head_hidden
        assert stream.learned_initial_state == expected.learned_initial_state


def test_a_file_and_a_seed(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(config_text("default").replace('name = "default"', 'name = "mine"'))
    config = load_config(file, seed=7)
    assert (config.name, config.seed) == ("mine", 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("units = 32", "unit = 32"), "streams.0.unit"),
        (('name = "differences"', 'name = "colour"'), "no stream 'colour'"),
        (('name = "acceleration"', 'name = "differences"'), "same name"),
        (("[clips]\nlength = 60", "[clips]\nlength = 20"), "must not exceed"),
        (("[clips]", "[clips"), "no TOML"),
        (("reverse = 0.5", "reverse = 2"), "augmentation.reverse"),
        (("reverse = 0.5", "dropped_frames = 0.5"), "augmentation.dropped_frames"),
    ],
)
def test_what_a_configuration_must_not_say(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = config_text("default")
    assert change[0] in text
    file = tmp_path / "wrong.toml"
    file.write_text(text.replace(*change, 1))
    with pytest.raises(TrainingError, match=message):
        load_config(file)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(TrainingError, match="default, experiments, mesh-v2, paper, released"):
        load_config("defualt")
