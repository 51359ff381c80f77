"""Dockerfile and compose file against the program that they start. They are read, not built."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.main import get_command

from lrnet.cli.app import app
from lrnet.service.guard import OPEN_PATHS
from lrnet.service.settings import Settings, allowed_hosts
from lrnet.service.web import create_app

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found


def understood(words: list[str]) -> dict[str, Any]:
    """The options that `lrnet` reads from a command line; a UsageError of click if it does not take it."""
    assert words[0] == "lrnet"
    command = get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    return dict(command.make_context(words[1], words[2:]).params)


def test_every_command_is_one_that_the_program_takes(compose: dict[str, Any]) -> None:
    default = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert default
    assert understood(yaml.safe_load(default[1]))["host"] == "0.0.0.0"
    web, worker = (understood(shlex.split(compose["services"][name]["command"])) for name in ("web", "worker"))
    assert web["workers"] == 0  # the workers are elsewhere
    assert worker["workers"] == 1
    assert web["token_file"] == f"/run/secrets/{compose['services']['web']['secrets'][0]}"
    assert web["allow_host"] == ["localhost"]


def test_web_and_workers_share_data_and_database_and_nothing_is_open_to_the_network(compose: dict[str, Any]) -> None:
    services = compose["services"]
    folder = re.search(r"^ENV LRNET_DATA=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert folder
    for name in ("web", "worker"):
        assert services[name]["volumes"] == [f"videos:{folder[1]}"]
        assert services[name]["env_file"] == services["web"]["env_file"]
        assert services[name]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    assert services["web"]["init"]
    assert services["worker"]["init"]
    assert [port.split(":")[0] for port in services["web"]["ports"]] == ["127.0.0.1"]
    assert "ports" not in services["database"]
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(compose["volumes"]), name


def test_the_health_check_asks_what_there_is(compose: dict[str, Any], tmp_path: Path) -> None:
    *_, program = compose["services"]["web"]["healthcheck"]["test"]
    compile(program, "compose.yaml", "exec")
    asked = urlsplit(re.findall(r"'(http[^']+)'", program)[0])
    hosts = allowed_hosts("0.0.0.0", ["localhost"], protected=True)
    assert asked.hostname in hosts
    assert asked.path in OPEN_PATHS
    assert asked.path in create_app(Settings(tmp_path)).openapi()["paths"]


def test_the_image_is_made_from_files_that_are_there_and_does_not_run_as_root() -> None:
    copied = [word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    extras = re.search(r"'\.\[(.*?)\]'", DOCKERFILE)
    assert extras
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(re.search(rf"^{extra} = \[", pyproject, re.MULTILINE) for extra in extras[1].split(","))
    lines = DOCKERFILE.splitlines()
    assert lines.index("USER 10001") > max(i for i, line in enumerate(lines) if line.startswith("RUN"))
