"""Pulling published weights from a server of our own: what comes, what is refused, what is left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lrnet.errors import DownloadError, OutputError
from lrnet.network.download import MIRROR_VARIABLE, PUBLISHED, SOURCE, pull

pytest.importorskip("torch")


@pytest.fixture
def published(tmp_path: Path, upstream: Path) -> Path:
    """The released files under their published paths."""
    root = tmp_path / "published"
    for name, folder in (("lrnet-released-ffpp", "ffpp"), ("lrnet-released-demo", "dfo")):
        for (path, _), own in zip(PUBLISHED[name].files, ("g1.pth", "g2.pth"), strict=True):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((upstream / "weights" / folder / own).read_bytes())
    return root


@pytest.fixture
def server(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serves `published` in place of the public address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(published)))
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv(MIRROR_VARIABLE, f"http://127.0.0.1:{httpd.server_port}/")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield published
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_what_is_published_becomes_a_model(server: Path, tmp_path: Path, name: str) -> None:
    told: list[str] = []
    bundle = pull(name, out=tmp_path / "model", tell=told.append)
    assert bundle.spec.name == name
    assert bundle.spec.licence == "MIT"
    assert bundle.spec.network.parameters == 82_308
    assert [address.rsplit("/", 1)[1] for address in told] == ["g1.pth", "g2.pth"]
    local = pull(name, out=tmp_path / "local", files=server)
    assert all(np.array_equal(local.weights[n], bundle.weights[n]) for n in bundle.weights)


def test_the_address_is_pinned_to_a_commit() -> None:
    assert SOURCE.startswith("https://raw.githubusercontent.com/frederickszk/LRNet/9a172a0")
    assert all(len(sha256) == 64 for m in PUBLISHED.values() for _, sha256 in m.files)


def _damage(root: Path) -> None:
    path = root / PUBLISHED["lrnet-released-ffpp"].files[1][0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def _remove(root: Path) -> None:
    (root / PUBLISHED["lrnet-released-ffpp"].files[1][0]).unlink()


def _grow(root: Path) -> None:
    (root / PUBLISHED["lrnet-released-ffpp"].files[0][0]).write_bytes(b"x" * (2**20 + 1))


@pytest.mark.parametrize(
    ("spoil", "message"), [(_damage, "its sha256 is"), (_remove, "404"), (_grow, "more than 1 MiB")]
)
def test_anything_else_is_refused_and_nothing_is_written(server: Path, tmp_path: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(server)
    home = tmp_path / "home"
    home.mkdir()
    with pytest.raises(DownloadError, match=message):
        pull("lrnet-released-ffpp", out=home / "model")
    assert list(home.iterdir()) == []


def test_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, "http://127.0.0.1:9")  # the port "discard": nobody listens
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DownloadError, match="cannot be reached"):
        pull("lrnet-released-ffpp", out=tmp_path / "model")
    monkeypatch.setenv(MIRROR_VARIABLE, "file:///etc")
    with pytest.raises(DownloadError, match="no web address"):
        pull("lrnet-released-ffpp", out=tmp_path / "model")
    with pytest.raises(DownloadError, match="lrnet-released-ffpp"):
        pull("something")


def test_a_model_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputError):
        pull("lrnet-released-ffpp", out=tmp_path / "model")


def test_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"g1\.pth"):
        pull("lrnet-released-ffpp", out=tmp_path / "model", files=tmp_path)
