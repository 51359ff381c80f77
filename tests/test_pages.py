"""Tables and numbers on the pages of `docs/` are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from lrnet.cli import watch
from lrnet.cli.app import app
from lrnet.data.store import files as store_files
from lrnet.faces import landmark_text
from lrnet.files import LARGEST_JSON
from lrnet.network import bundle
from lrnet.report import footage
from lrnet.sequence.settings import Preprocessing
from lrnet.service import folder, resumable, tokens, upload, web, work, worker
from lrnet.service.settings import Settings
from lrnet.training import config
from lrnet.verdict import judge, quality
from lrnet.verdict.running import RULE, WINDOW
from lrnet.video import clock, interlaced, isolation, limits, live, quantiser, sound
from lrnet.webhook import ANSWER_SECONDS

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20
IN_WORDS = {2: "two", 4: "four", 5: "five", 8: "eight", 10: "ten", 12: "twelve"}


def page(name: str) -> str:
    return " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").replace("**", "").split())


def table(name: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8").partition(heading)[2]
    found = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert found, heading
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in found[0].splitlines()[2:]]


def described() -> dict[str, Any]:
    """The paths of the OpenAPI description."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as data:
        paths: dict[str, Any] = web.create_app(Settings(Path(data))).openapi()["paths"]
    return paths


def test_every_request_is_in_the_table_with_its_parameters() -> None:
    told: dict[tuple[str, str], set[str]] = {}
    for cell, _ in table("service.md", "## The API"):
        for call in re.findall(r"`([A-Z]+ [^`]+)`", cell):
            method, _, address = call.partition(" ")
            path, _, query = address.partition("?")
            told[method, path] = set(re.findall(r"(\w+)=", query)) | ({"…"} if "…" in query else set())
    # Uploads in parts have a section of their own.
    elsewhere = {(method, "/v1/uploads/{id}") for method in ("GET", "DELETE")}
    there = {}
    for path, methods in described().items():
        plain = re.sub(r"\{\w+_id\}", "{id}", path)
        for method, about in methods.items():
            query = {p["name"] for p in about.get("parameters", ()) if p["in"] == "query"}
            there[method.upper(), plain] = query
    assert set(told) | elsewhere == set(there)
    for call, query in told.items():
        assert query == there[call] or ("…" in query and query - {"…"} <= there[call]), call


def test_options_of_the_service_and_their_defaults() -> None:
    command = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    options = {name: p for p in command.params for name in (*p.opts, *p.secondary_opts)}
    rows = table("service.md", "## What can be set")
    assert {"--lease-seconds", "--keep-days", "--max-waiting"} <= {name for cell, *_ in rows for name in names_in(cell)}
    for cell, default, _ in rows:
        names = names_in(cell)
        assert names
        for name, said in zip(names, default.split(", "), strict=False):
            assert name in options, name
            if said.replace(".", "").isdigit():
                value = options[name].default
                assert said == (value if isinstance(value, str) else f"{value:g}"), name


def names_in(cell: str) -> list[str]:
    return re.findall(r"--[a-z-]+", cell)


def test_limits_and_their_defaults() -> None:
    told = {}
    for cell, default, _ in table("reliability.md", "## Limits"):
        name = re.match(r"`([a-z-]+)`", cell)
        assert name
        told[name[1].replace("-", "_")] = float(default.split()[0].replace(",", ""))
    assert told == limits.Limits().numbers()


SECTIONS: dict[str, Any] = {
    "[[streams]]": config.StreamConfig,
    "[clips]": config.ClipConfig,
    "[augmentation]": config.Augmentation,
    "[fit]": config.FitConfig,
    "[balance]": config.Balance,
    "[validation]": config.Validation,
    "[data]": config.DataConfig,
    "[decision]": config.Decision,
}


def test_settings_of_a_training_configuration() -> None:
    told = {section: set(re.findall(r"`(\w+)`", text)) for section, text in table("training.md", "Sections of")}
    for section, settings in {"(top)": config.TrainingConfig, **SECTIONS}.items():
        wanted = set(settings.model_fields) - {name.strip("`[]") for name in told}
        assert wanted <= told[section if section == "(top)" else f"`{section}`"], section
    assert {f"`{section}`" for section in SECTIONS} | {"(top)"} == set(told)


MOST_LISTED = 100  # in the description of the API; see the test below
PART = re.search(r"PART = (\d+) \* 2 \*\* 20", (Path(web.__file__).parent / "page" / "api.js").read_text())
REPEATED = ", ".join(f"{pause:g}" for pause in live.PAUSES[:-1])
FUZZ = re.search(r"^FUZZ\s+\?= (\d+)", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("service.md", f"Uploads leave {upload.SPARE // MIB} MiB of the disk free"),
        ("service.md", f"{resumable.MOST_OPEN} may be unfinished at a time"),
        ("service.md", f"The page sends files over {PART and PART[1]} MiB this way"),
        ("service.md", f"({IN_WORDS[round(ANSWER_SECONDS)]} seconds of silence are none)"),
        ("service.md", f"ends after {IN_WORDS[tokens.SESSION_SECONDS // 3600]} hours"),
        ("service.md", f"or of up to {MOST_LISTED}; `lrnet verify`"),
        ("service.md", f"the lease has run out, {Settings(Path()).lease_seconds:g} s later"),
        ("decisions/0012-leases.md", f"waits for the lease ({Settings(Path()).lease_seconds:g} s)"),
        ("decisions/0019-decoding-apart.md", "It reads a hundred videos at most"),
        ("decisions/0019-decoding-apart.md", f"Frames lie in {IN_WORDS[isolation.SLOTS]} slots"),
        ("decisions/0019-decoding-apart.md", f"are JSON of at most {isolation.MAX_MESSAGE // MIB} MB"),
        ("decisions/0022-coarse-encoding.md", f"for {quantiser.QUANTISER_FRAMES} frames from a key frame on"),
        ("decisions/0022-coarse-encoding.md", f"at most once in {quantiser.QUANTISER_EVERY}"),
        ("decisions/0022-coarse-encoding.md", f"Above {quality.MAX_QUANTISER:g} `likely_fake` is ruled out"),
        ("decisions/0020-honest-under-doubt.md", f"(below {quality.RIGID_RATIO} times)"),
        ("decisions/0020-honest-under-doubt.md", f"Below {quality.TREMOR_RATIO} times it is noise"),
        ("decisions/0002-frame-rate.md", f"Below {quality.MIN_FRAME_RATE:g} frames a second"),
        ("decisions/0023-examining-a-share.md", f"one in every {limits.STRETCH:g}/S seconds"),
        ("decisions/0015-the-clip-in-the-report.md", f"{footage.LONGEST_SIDE} pixels on the longer side"),
        ("decisions/0015-the-clip-in-the-report.md", f"{footage.RATE:g} frames a second, two minutes"),
        ("decisions/0015-the-clip-in-the-report.md", f"{footage.CLIP_RATE} kbit/s or what makes"),
        ("decisions/0015-the-clip-in-the-report.md", f"makes {footage.CLIP_KILOBITS / 8000:g} MB of them"),
        ("decisions/0015-the-clip-in-the-report.md", f"sound of {sound.BIT_RATE // 1000} kbit/s"),
        ("decisions/0015-the-clip-in-the-report.md", f"up to {footage.PIECES} pieces"),
        ("decisions/0015-the-clip-in-the-report.md", f"within {sound.SECONDS:g} seconds"),
        ("decisions/0029-interlaced.md", f"looks at up to {interlaced.LOOKED} of the first frames"),
        ("decisions/0029-interlaced.md", f"of at most {interlaced.MOST_ROWS} rows; up to {interlaced.HELD} frames"),
        ("decisions/0029-interlaced.md", f"if {interlaced.COMBED} frames seem combed"),
        ("decisions/0029-interlaced.md", f"{interlaced.WHOLE} frames that are not combed"),
        ("live.md", f"after {REPEATED} and {live.PAUSES[-1]:g} seconds"),
        ("live.md", f"has not grown for {IN_WORDS[round(live.PATIENCE)]} seconds"),
        ("live.md", f"and {watch.AFTER:g} seconds after it"),
        ("live.md", f"a line for each person every {IN_WORDS[round(watch.STATUS_EVERY)]} seconds"),
        ("live.md", f"Frames wait in at most {live.MOST_BYTES / 1e6:g} MB (or eight"),
        ("live.md", f"Once one has waited {live.MOST_LAG} seconds"),
        ("live.md", f"what the last {WINDOW:g} seconds show"),
        ("live.md", f"for {RULE.hold:g} seconds the"),
        ("reliability.md", f"Up to {clock.AHEAD} frames are held"),
        ("reliability.md", f"After a jump of more than {clock.LONGEST_PAUSE:g} s ({clock.LONGEST_PAUSE_RESET:g} s in"),
        ("reliability.md", f"Starts below {clock.REORDERED} s count as 0"),
        ("reliability.md", f"{landmark_text.MOST_ROWS:,} rows, lines of {landmark_text.LONGEST_LINE // MIB} MiB"),
        ("reliability.md", f"ledgers (JSON) | {LARGEST_JSON // MIB} MiB"),
        ("reliability.md", f"every {store_files.LEAST_ROW} bytes of the file, and {store_files.FREE_ROWS:,} more"),
        ("reliability.md", f"{bundle.LARGEST_TEXT // MIB} MiB each, networks {bundle.LARGEST_NETWORK // MIB} MiB each"),
        ("reliability.md", f"`make fuzz` tries {int(FUZZ[1]) if FUZZ else 0:,} new ones each"),
    ],
)
def test_numbers(name: str, text: str) -> None:
    assert text in page(name)


def test_numbers_that_the_pages_write_in_words() -> None:
    settings = Settings(Path())
    assert (settings.upload_seconds, settings.upload_idle_seconds) == (3600, 60)  # an hour, a minute
    assert folder.PARTIAL_SECONDS == 86_400  # a day
    assert tokens.WRONG_SECONDS == 1  # a second and more
    assert settings.max_attempts == 3  # three times in all
    assert (worker.POLL_SECONDS, isolation.VIDEOS_EACH, isolation.STOP_SECONDS) == (0.5, 100, 1)
    assert judge.LEAST_JUDGED == 0.5  # half a file clears nobody
    assert footage.CLIP_SECONDS == 120
    assert Preprocessing.model_fields["max_sequence_seconds"].default == 60  # a minute, then scores come
    assert work.CLIPS_SHOWN == 400  # "The latest of them, at most 400."
    bundles = described()["/v1/bundles"]["get"]["parameters"][0]
    assert bundles["schema"]["maxItems"] == MOST_LISTED
