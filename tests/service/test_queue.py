"""Messages reach a worker, in SQLite and in Redis, and are nothing that could run."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from lrnet.errors import ServiceError
from lrnet.service.queue import JobQueue, JsonSerializer
from tests.service.kit import redis


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
    else:
        with redis() as url:
            yield url


def test_what_is_sent_arrives_once_and_in_order(url: str, tmp_path: Path) -> None:
    heard: list[str] = []
    sender, receiver = JobQueue(url, tmp_path), JobQueue(url, tmp_path, heard.append)
    for video in ("a", "b", "c"):
        sender.send(video)
    assert len(receiver) == 3
    assert receiver.messages() == {"a", "b", "c"}
    while (task := receiver.huey.dequeue()) is not None:
        receiver.huey.execute(task)
    assert heard == ["a", "b", "c"]
    assert len(sender) == 0


def test_a_pickle_in_the_queue_is_not_opened() -> None:
    with pytest.raises(ValueError, match=r"."):
        JsonSerializer().deserialize(pickle.dumps({"name": "x"}))


@pytest.mark.parametrize("url", ["amqp://x", "redis://127.0.0.1:1/0", "redis://127.0.0.1:x/0"])
def test_a_queue_that_cannot_be_reached_is_told(url: str, tmp_path: Path) -> None:
    with pytest.raises(ServiceError):
        JobQueue(url, tmp_path)
