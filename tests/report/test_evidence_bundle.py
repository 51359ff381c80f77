"""The evidence bundle: whole, equal for equal input, checked by two programs, safe to check when a stranger made it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import subprocess
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lrnet.cli.app import app
from lrnet.detector import VideoResult
from lrnet.errors import OutputError, VideoError
from lrnet.report import evidence_bundle
from lrnet.report.evidence_bundle import MANIFEST, BundleError, verify_bundle, write_bundle
from lrnet.report.examination import Examination
from lrnet.report.footage import Taken
from lrnet.report.keyframes import KeyFrame, Moment
from tests.report.samples import a_bundle, a_video_result

THEN = Examination.of(time="2026-11-27T14:30:00+01:00", case="24 Js 17", examiner="A. Müller", notes="as found")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> VideoResult:
    return a_video_result(tmp_path_factory.mktemp("video"))


@pytest.fixture(scope="module")
def original(result: VideoResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "out.zip"
    write_bundle(result, a_bundle(), path, THEN, with_pdf=False)
    return path


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copy(original, tmp_path))


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_bundle_holds_everything_with_its_hash(made: Path) -> None:
    files = contents(made)
    assert {
        "report.html",
        "result.json",
        "MODEL_CARD.md",
        "VERIFY.txt",
        "clips/annotated.mp4",
        MANIFEST,
    } <= files.keys()
    assert any(name.startswith("pictures/") for name in files)
    document = json.loads(files["result.json"])
    assert document["examination"]["utc"] == "2026-11-27T13:30:00Z"
    assert document["examination"]["local"] == "2026-11-27T14:30:00+01:00"
    assert document["examination"]["case"] == "24 Js 17"
    assert document["elapsed_seconds"] is None
    page = files["report.html"].decode()
    assert hashlib.sha256(files["result.json"]).hexdigest() in page  # the page names the hash of its data
    for text in ("24 Js 17", "A. Müller", "as found", "2026-11-27T13:30:00Z"):
        assert text in page
    assert "lrnet verify" in files["VERIFY.txt"].decode()
    assert files["VERIFY.txt"].decode().endswith("--model ./sample\n")  # the command to repeat it
    found = verify_bundle(made)
    assert (found.files, found.problems) == (len(files) - 1, ())
    assert found.manifest == hashlib.sha256(files[MANIFEST]).hexdigest()


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum")
def test_pictures_of_one_tenth_of_a_second_are_both_kept(result: VideoResult, tmp_path: Path) -> None:
    moments = [Moment(1, time, None, None, None, "") for time in (3727.40, 3727.44)]
    taken = Taken([KeyFrame(moment, b"picture", 1, 1, None) for moment in moments], None, {})
    write_bundle(result, a_bundle(), tmp_path / "two.zip", THEN, with_pdf=False, shown=(taken, ""))
    pictures = {name for name in contents(tmp_path / "two.zip") if name.startswith("pictures/")}
    assert pictures == {"pictures/person-1-at-62m07s40.jpg", "pictures/person-1-at-62m07s44.jpg"}


def test_sha256sum_reads_the_manifest(made: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "unpacked")
    subprocess.run(
        ["sha256sum", "--strict", "-c", MANIFEST], cwd=tmp_path / "unpacked", check=True, capture_output=True
    )


def test_equal_input_gives_an_equal_file(made: Path, result: VideoResult, tmp_path: Path) -> None:
    write_bundle(result, a_bundle(), tmp_path / "again.zip", THEN, with_pdf=False)
    assert (tmp_path / "again.zip").read_bytes() == made.read_bytes()


@pytest.mark.skipif(evidence_bundle.browser() is None, reason="no Chromium")
def test_a_pdf_is_made_where_there_is_a_browser(result: VideoResult, tmp_path: Path) -> None:
    write_bundle(result, a_bundle(), tmp_path / "out.zip", THEN)
    pdf = contents(tmp_path / "out.zip")["report.pdf"]
    assert pdf.startswith(b"%PDF-")
    assert pdf.count(b"D:20261127133000+00'00'") >= 1
    assert verify_bundle(tmp_path / "out.zip").problems == ()


def test_the_video_goes_along_if_wanted_and_only_if_it_is_the_same(result: VideoResult, tmp_path: Path) -> None:
    video = Path(shutil.copy(result.path, tmp_path))
    result = replace(result, path=str(video))
    right = hashlib.sha256(video.read_bytes()).hexdigest()
    assert result.sha256 == right
    write_bundle(result, a_bundle(), tmp_path / "out.zip", THEN, with_video=True, with_pdf=False)
    assert contents(tmp_path / "out.zip")[f"video/{video.name}"] == video.read_bytes()
    (tmp_path / "out.zip").unlink()
    video.write_bytes(video.read_bytes() + b"\0")
    with pytest.raises(VideoError, match="changed while it was examined"):
        write_bundle(result, a_bundle(), tmp_path / "out.zip", THEN, with_video=True, with_pdf=False)
    assert not (tmp_path / "out.zip").exists()
    with pytest.raises(OutputError, match="examined video itself"):
        write_bundle(result, a_bundle(), video, THEN)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.update({"result.json": f["result.json"] + b" "}), "result.json was changed"),
        (lambda f: f.pop("report.html"), "report.html is missing"),
        (lambda f: f.update({"extra.txt": b"x"}), "extra.txt was added"),
    ],
)
def test_what_is_not_as_it_was_is_found(made: Path, change: object, said: str) -> None:
    files = contents(made)
    change(files)  # type: ignore[operator]
    rewritten(made, files)
    assert verify_bundle(made).problems[0].startswith(said)
    run = CliRunner().invoke(app, ["verify", str(made)])
    assert isinstance(run.exception, BundleError)
    assert said in str(run.exception)
    assert run.exception.exit_code == 5


def test_the_command_says_that_all_is_well(made: Path) -> None:
    run = CliRunner().invoke(app, ["verify", str(made)])
    assert run.exit_code == 0
    assert "files are as the manifest says" in run.output


def test_a_damaged_file_is_a_changed_one(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        info = archive.getinfo("clips/annotated.mp4")
        at = info.header_offset + 30 + len(info.filename) + info.file_size // 2
    content = bytearray(made.read_bytes())
    content[at] ^= 0xFF
    made.write_bytes(content)
    assert verify_bundle(made).problems == ("clips/annotated.mp4 was changed",)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", "c:evil", "a\\b", "a\nb"])
def test_names_that_lead_outside_are_refused(made: Path, name: str) -> None:
    rewritten(made, {**contents(made), name: b"x"})
    with pytest.raises(BundleError, match="outside of its folder"):
        verify_bundle(made)


def test_links_doubles_and_what_is_no_bundle_are_refused(made: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match="no plain file"):
        verify_bundle(made)
    double = rewritten(tmp_path / "double.zip", {MANIFEST: b""})
    with zipfile.ZipFile(double, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(MANIFEST, b"")
    with pytest.raises(BundleError, match="two files of one name"):
        verify_bundle(double)
    with pytest.raises(BundleError, match="no manifest"):
        verify_bundle(rewritten(tmp_path / "none.zip", {"a": b"x"}))
    with pytest.raises(BundleError, match="no hash and name"):
        verify_bundle(rewritten(tmp_path / "odd.zip", {MANIFEST: b"hello\n"}))
    (tmp_path / "text.zip").write_bytes(b"hello")
    with pytest.raises(BundleError, match="no zip file"):
        verify_bundle(tmp_path / "text.zip")
    for nothing in (tmp_path / "gone.zip", tmp_path):
        with pytest.raises(BundleError, match="cannot be read"):
            verify_bundle(nothing)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = rewritten(tmp_path / "bomb.zip", {MANIFEST: b"", "zeros": bytes(64 * 2**20)})
    with pytest.raises(BundleError, match="far more than its packed size"):
        verify_bundle(bomb)


def test_a_long_table_of_contents_is_refused_before_it_is_read(tmp_path: Path) -> None:
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(70_000):  # more than 65,535: the numbers stand in the longer record
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    (tmp_path / "many.zip").write_bytes(many.getvalue())
    tracemalloc.start()
    with pytest.raises(BundleError, match="lists 70000 files"):
        verify_bundle(tmp_path / "many.zip")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
