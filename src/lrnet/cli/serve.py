"""`lrnet serve` and `lrnet worker`: the page, the service, and workers for it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from lrnet.cli.console import Terminal
from lrnet.cli.options import LimitOption, RefuseOption
from lrnet.errors import MissingDependencyError, ServiceError
from lrnet.extras import install_command
from lrnet.video.limits import Access, Limits

if TYPE_CHECKING:
    from lrnet.service.settings import Settings

DataOption = Annotated[
    str, typer.Option("--data", help="Folder for videos and results.", show_default="~/.local/share/lrnet")
]
DatabaseOption = Annotated[
    str,
    typer.Option(
        "--database",
        help="Database of the results: postgresql://user:password@host/name.",
        show_default="SQLite in the data folder",
    ),
]
ModelOption = Annotated[
    str, typer.Option("--model", help="Name of a model (see `lrnet models list`) or path of a bundle.")
]
TimeLimitOption = Annotated[
    float, typer.Option("--time-limit", min=1, help="Longest time that judging one video may take, seconds.")
]
KeepOption = Annotated[
    float, typer.Option("--keep-days", min=0, help="Delete videos and results after so many days; 0 keeps them.")
]
LeaseOption = Annotated[
    float, typer.Option("--lease-seconds", min=2, help="How long a worker that has fallen silent keeps its video.")
]
ServiceIsolateOption = Annotated[
    bool, typer.Option("--isolate/--no-isolate", help="Decode in separate processes, as `lrnet detect` does.")
]


class LogFormat(StrEnum):
    """Format of the log."""

    TEXT = "text"
    JSON = "json"


LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="Format of the log, a line an event.")]
PdfOption = Annotated[
    bool, typer.Option("--pdf/--no-pdf", help="Put a PDF of the report into evidence bundles (needs Chromium).")
]
OverlayOption = Annotated[bool, typer.Option("--overlay/--no-overlay", help="Make the annotated video too.")]


def serve_command(
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Videos to judge at a time; 0 leaves that to `lrnet worker`.")
    ] = max(1, (os.cpu_count() or 2) // 2),
    data: DataOption = "",
    database: DatabaseOption = "",
    model: ModelOption = "",
    token_file: Annotated[
        str,
        typer.Option(
            "--token-file",
            help="File with the token that clients must know, or lines of NAME ROLE TOKEN (read, submit, admin).",
            show_default="the variable LRNET_TOKEN",
        ),
    ] = "",
    webhook: Annotated[
        str, typer.Option(help="Address that gets a signed POST request when a video is finished.")
    ] = "",
    webhook_secret_file: Annotated[
        str,
        typer.Option(help="File with the secret that signs it.", show_default="the variable LRNET_WEBHOOK_SECRET"),
    ] = "",
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A further name by which the service is reached.")
    ] = None,
    max_upload_mb: Annotated[int, typer.Option(min=1, help="Largest video, megabytes.")] = 2048,
    max_waiting: Annotated[int, typer.Option(min=1, max=20_000, help="Videos that may wait; more are refused.")] = 1000,
    time_limit: TimeLimitOption = 3600,
    keep_days: KeepOption = 0,
    lease_seconds: LeaseOption = 15,
    overlay: OverlayOption = True,
    pdf: PdfOption = False,
    isolate: ServiceIsolateOption = True,
    log_format: LogFormatOption = LogFormat.TEXT,
    limit: LimitOption = None,
    refuse_past_limits: RefuseOption = False,
) -> None:
    """Serve the page and the API, and judge the videos that are handed in.

    Only this machine reaches the service unless --host is given, and then a token is required. Nothing is sent anywhere
    but to --webhook.
    """
    _require_extra()
    from lrnet.service import supervisor
    from lrnet.service.settings import allowed_hosts
    from lrnet.service.tokens import read_tokens
    from lrnet.webhook import Webhook

    tokens = read_tokens(secret_of(token_file, "LRNET_TOKEN", "--token-file"))
    signing = secret_of(webhook_secret_file, "LRNET_WEBHOOK_SECRET", "--webhook-secret-file")
    settings = _settings(
        data,
        database,
        model,
        Access(isolate=isolate, limits=Limits().changed(limit or (), refuse_past_limits)),
        tokens=tokens,
        webhook=Webhook(webhook, signing) if webhook else None,
        hosts=allowed_hosts(host, allow_host or [], bool(tokens)),
        max_upload=max_upload_mb * 1_000_000,
        max_waiting=max_waiting,
        time_limit=time_limit,
        keep_days=keep_days,
        lease_seconds=lease_seconds,
        overlay=overlay,
        pdf=pdf,
        log_format=log_format,
    )
    listener = supervisor.listening(host, port)
    supervisor.check(settings)
    supervisor.log_to_stderr(log_format)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listener.getsockname()[1]}/"
    supervisor.serve(settings, listener, workers, lambda: _greet(address, settings, workers))


def worker_command(
    workers: Annotated[int, typer.Option(min=1, max=256, help="Videos to judge at a time.")] = max(
        1, (os.cpu_count() or 2) // 2
    ),
    data: DataOption = "",
    database: DatabaseOption = "",
    model: ModelOption = "",
    time_limit: TimeLimitOption = 3600,
    keep_days: KeepOption = 0,
    lease_seconds: LeaseOption = 15,
    overlay: OverlayOption = True,
    pdf: PdfOption = False,
    isolate: ServiceIsolateOption = True,
    log_format: LogFormatOption = LogFormat.TEXT,
    limit: LimitOption = None,
    refuse_past_limits: RefuseOption = False,
) -> None:
    """Judge videos for an `lrnet serve` that runs elsewhere: same --data and --database as there."""
    _require_extra()
    from lrnet.service import supervisor
    from lrnet.service.worker import run_worker

    settings = _settings(
        data,
        database,
        model,
        Access(isolate=isolate, limits=Limits().changed(limit or (), refuse_past_limits)),
        time_limit=time_limit,
        keep_days=keep_days,
        lease_seconds=lease_seconds,
        overlay=overlay,
        pdf=pdf,
        log_format=log_format,
    )
    supervisor.check(settings)
    supervisor.log_to_stderr(log_format)
    run_worker(settings, workers)


def _require_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import sqlalchemy  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"The service needs the package {error.name}, which is not installed.",
            hint=f"Install what it needs: {install_command('service')}",
        ) from error


def _settings(folder: str, database: str, model: str, access: Access, **others: Any) -> Settings:
    """The settings of a service or worker; what is not given is taken from the environment, or is the default."""
    from lrnet.network.registry import DEFAULT_MODEL
    from lrnet.service.settings import Settings, default_data

    given = _from_environment(folder, "LRNET_DATA")
    data = Path(given).expanduser() if given else default_data()
    database = _from_environment(database, "LRNET_DATABASE")
    return Settings(data, database, model or DEFAULT_MODEL, access=access, **others)


def _from_environment(given: str, name: str) -> str:
    # Other users of the machine can see command lines, and the address may hold a password.
    return given or os.environ.get(name, "")


def secret_of(path: str, variable: str, option: str) -> str:
    """The text of a file, or of a variable of the environment if no file is named."""
    if not path:
        return os.environ.get(variable, "").strip()
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ServiceError(f"The file {path} cannot be read ({reason}).", hint=f"Check {option}.") from error
    if not text:
        raise ServiceError(f"The file {path} is empty.", hint=f"Write 16 characters or more into it ({option}).")
    return text


def _greet(address: str, settings: Settings, workers: int) -> None:
    console = Terminal(stderr=True, soft_wrap=True, highlight=False)
    console.print(Text.assemble(("lrnet", "bold"), f" serves at {address}"))
    judged = f"{workers} at a time" if workers else "by `lrnet worker` elsewhere"
    console.print(Text(f"  videos are judged {judged}; files and results are in {settings.data}"))
    if settings.tokens:
        console.print(Text("  a token is required"))
