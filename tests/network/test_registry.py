"""Models by name and by path."""

from pathlib import Path

import pytest
from network_kit import make_bundle

from lrnet.errors import ModelError
from lrnet.network import list_models, load_model, registry
from lrnet.network.registry import user_models_folder


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """A built-in model "shipped", a user's model "own" and a user's model of the name "shipped"."""
    monkeypatch.setattr(registry, "built_in_models_folder", lambda: tmp_path / "built-in")
    monkeypatch.setenv("LRNET_HOME", str(tmp_path / "home"))
    for folder in ("built-in/shipped", "home/models/own", "home/models/shipped"):
        make_bundle(tmp_path / folder)
    (tmp_path / "home" / "models" / "no model").mkdir()
    return tmp_path


def test_built_in_models_come_first_and_win(homes):
    assert [(entry.name, entry.origin) for entry in list_models()] == [("shipped", "built-in"), ("own", "user")]
    assert load_model("shipped").path == homes / "built-in" / "shipped"
    assert load_model("own").path == homes / "home" / "models" / "own"


def test_a_bundle_by_its_path(homes, monkeypatch):
    monkeypatch.chdir(homes / "home" / "models")
    assert load_model(homes / "home" / "models" / "own").spec.name == "tiny"
    assert load_model("./shipped").path == Path("shipped")
    assert load_model("shipped").path == homes / "built-in" / "shipped"


@pytest.mark.parametrize("name", ["missing", "../built-in/missing", "", "a\0b"])
def test_an_unknown_name_lists_the_known_ones(homes, name):
    with pytest.raises(ModelError) as error:
        load_model(name)
    if name:
        assert "shipped, own" in error.value.hint


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LRNET_HOME": "/l", "XDG_DATA_HOME": "/x"}, "/l/models"),
        ({"XDG_DATA_HOME": "/x"}, "/x/lrnet/models"),
        ({"HOME": "/h"}, "/h/.local/share/lrnet/models"),
    ],
)
def test_where_the_user_s_models_lie(monkeypatch, variables, expected):
    for name in ("LRNET_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_models_folder() == Path(expected)


def test_the_models_that_ship_are_small_and_carry_nothing_unlisted():
    shipped = [entry for entry in list_models() if entry.origin == "built-in"]
    assert registry.DEFAULT_MODEL in [entry.name for entry in shipped]
    for entry in shipped:
        bundle = load_model(entry.name)
        most = 1_000_000 if bundle.spec.appearance is None else 6_000_000
        assert sum(file.stat().st_size for file in bundle.path.iterdir()) < most
        assert {file.name for file in bundle.path.iterdir()} == {*bundle.spec.files, "bundle.json"}
