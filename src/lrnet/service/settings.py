"""The settings of a service, with defaults and checks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from lrnet.errors import ServiceError
from lrnet.network.registry import DEFAULT_MODEL
from lrnet.service.tokens import Token
from lrnet.video.limits import Access
from lrnet.webhook import Webhook

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a service runs. Web and worker processes of one service share `data` and `database`.

    Attributes:
        data: folder for videos and results.
        database: SQLAlchemy address of the results; empty for an SQLite file in `data`.
        model: name or path of the model that judges.
        tokens: what clients must know; none lets everybody in who reaches the port.
        webhook: where notices of finished videos are sent.
        log_format: "text" or "json".
        hosts: names, without a port, by which the service is reached; requests for others are refused.
        max_upload: largest video, bytes.
        upload_seconds: longest time that an upload may take.
        upload_idle_seconds: longest pause inside an upload.
        max_waiting: videos that may wait; further uploads are refused.
        time_limit: longest time that judging one video may take, seconds of wall clock.
        keep_days: days after which a judged video is deleted with its results; 0 keeps it.
        overlay: whether the annotated video is made.
        pdf: whether evidence bundles hold the report as a PDF too; needs a Chromium browser.
        lease_seconds: how long a worker that has fallen silent keeps its video.
        max_attempts: how often a video is tried whose worker dies.
        access: how videos are opened and what they may ask for; by default they are decoded in a separate process.
    """

    data: Path
    database: str = ""
    model: str = DEFAULT_MODEL
    tokens: tuple[Token, ...] = ()
    webhook: Webhook | None = None
    log_format: str = "text"
    hosts: tuple[str, ...] = LOOPBACK_NAMES
    max_upload: int = 2 * 1024**3
    upload_seconds: float = 3600.0
    upload_idle_seconds: float = 60.0
    max_waiting: int = 1000
    time_limit: float = 3600.0
    keep_days: float = 0.0
    overlay: bool = True
    pdf: bool = False
    lease_seconds: float = 15.0
    max_attempts: int = 3
    access: Access = field(default_factory=lambda: Access(isolate=True))

    @property
    def database_url(self) -> str:
        """SQLAlchemy's address of the results."""
        if not self.database:
            return f"sqlite:///{self.data.absolute() / 'results.sqlite3'}"
        scheme, separator, rest = self.database.partition("://")
        return f"postgresql+psycopg://{rest}" if separator and scheme in ("postgres", "postgresql") else self.database


def default_data() -> Path:
    """The default data folder (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "lrnet"


def allowed_hosts(bound: str, named: list[str], protected: bool) -> tuple[str, ...]:
    """The names by which requests may reach the service.

    Args:
        bound: address that it listens at.
        named: further names, given by the user.
        protected: whether it asks for a token.

    Raises:
        ServiceError: other machines could reach the service, and it has no token or no name.
    """
    if is_loopback(bound):
        return (*LOOPBACK_NAMES, *_as_in_header(bound), *named)
    if not protected:
        raise ServiceError(
            f"At {bound} other machines can reach the service, and it has no token.",
            hint="Give one with --token-file, or leave --host at 127.0.0.1.",
        )
    wildcard = bound in ("", "0.0.0.0", "::")
    if wildcard and not named:
        raise ServiceError(
            f"At {bound} the service answers to any name, which lets other web pages reach it through their own.",
            hint="Name the hosts by which it is reached: --allow-host NAME.",
        )
    return (*LOOPBACK_NAMES, *(() if wildcard else _as_in_header(bound)), *named)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _as_in_header(host: str) -> tuple[str, ...]:
    return (f"[{host}]",) if ":" in host else (host,)
