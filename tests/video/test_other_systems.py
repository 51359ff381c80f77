"""What runs where the modules that only Linux or POSIX has are missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.media import moving, write_video

HIDE = """
import os, sys
for name in ("fcntl", "resource", "termios", "tty", "pwd", "grp"):
    sys.modules[name] = None  # an import of it fails
for name in [n for n in dir(os) if n.startswith(("sched_", "SCHED_", "memfd", "MFD_"))]:
    delattr(os, name)
"""


def without_linux(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HIDE + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_two_videos_are_judged_with_reports(tmp_path: Path) -> None:
    """Two, because several are decoded apart where that can be done."""
    videos = [write_video(tmp_path / name, moving(8)) for name in ("a.mp4", "b.mp4")]
    told, out = tmp_path / "told.json", tmp_path / "out"
    out.mkdir()
    run = without_linux(
        "from lrnet.cli import main; main()",
        "detect",
        *videos,
        "--json",
        told,
        "--report",
        out,
        "--workers",
        1,
    )
    assert run.returncode == 4, run.stderr  # nobody is in them
    assert [result["verdict"]["state"] for result in json.loads(told.read_text())["results"]] == ["not_applicable"] * 2
    assert sorted(p.name for p in out.iterdir()) == ["a.html", "b.html"]


def test_decoding_apart_says_what_it_needs_and_the_page_starts(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", moving(3))
    run = without_linux(
        "from pathlib import Path\n"
        "from lrnet.errors import DecoderDiedError\n"
        "from lrnet.service.folder import Folder\n"
        "from lrnet.video.isolation import open_video\n"
        "from lrnet.video.limits import Access\n"
        "import lrnet.service.web, lrnet.service.worker\n"
        "with Folder(Path(sys.argv[2])).references():\n"
        "    pass\n"
        "try:\n"
        "    open_video(sys.argv[1], Access(isolate=True))\n"
        "except DecoderDiedError as error:\n"
        "    print(error.what, error.hint)\n",
        video,
        tmp_path / "data",
    )
    assert run.returncode == 0, run.stderr
    assert "needs Linux" in run.stdout
    assert "--no-isolate" in run.stdout
