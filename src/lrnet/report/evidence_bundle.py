"""The evidence bundle: everything about one examination in one zip file, with the hashes to check it by.

The manifest has the format of `sha256sum`, so that a bundle can be checked without lrnet. It shows whether files were
changed by accident or by somebody who did not change the manifest too; it is no signature.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final
from zlib import error as zlib_error

from lrnet.detector import VideoResult
from lrnet.errors import OutputError, VideoError
from lrnet.files import require_writable, written_beside
from lrnet.network.bundle import ModelBundle
from lrnet.report.examination import Examination
from lrnet.report.explain import FaceExplanation
from lrnet.report.footage import Taken
from lrnet.report.html import command, pictures_and_clips, render
from lrnet.report.json_report import to_document, to_json
from lrnet.report.wording import readable, refuse_source
from lrnet.video.limits import Access

MANIFEST: Final = "SHA256SUMS"
INSTRUCTIONS: Final = "VERIFY.txt"
MOST_FILES: Final = 1000  # in a bundle that is verified; one that is written has about twenty
LARGEST_DIRECTORY: Final = 2**20  # bytes of the zip file's table of contents
LARGEST_MANIFEST: Final = 2**20  # bytes
MOST_EXPANSION: Final = 200  # times its packed size that a file may unpack to, beyond `FREE_EXPANSION`
FREE_EXPANSION: Final = 2**20  # bytes
PDF_SECONDS: Final = 60  # that the browser may take
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
_CHUNK: Final = 2**20


class BundleError(OutputError):
    """A file that is a damaged or changed evidence bundle, or no bundle. Exit code 5."""


def write_bundle(
    result: VideoResult,
    bundle: ModelBundle,
    path: str | os.PathLike[str],
    examination: Examination,
    *,
    access: Access | None = None,
    explanations: Sequence[FaceExplanation] = (),
    with_video: bool = False,
    with_pdf: bool = True,
    shown: tuple[Taken, str] | None = None,
) -> None:
    """Write everything about one examination as a zip file, whole or not at all.

    With equal arguments, and a time of examination that was given, the file is the same to the byte.

    Args:
        result: what the detector returned; with landmarks, if clips and cut-out pictures are wanted.
        bundle: the model it was made with.
        path: of the zip file.
        examination: when, where and by whom.
        access: how the video may be opened.
        explanations: of `lrnet.report.explain.Explainer`.
        with_video: put the examined video in as well.
        with_pdf: make a PDF of the report if a Chromium browser is installed.
        shown: what `pictures_and_clips` returned, if it was called already.

    Raises:
        ModelError: `bundle` is not the model that `result` was made with.
        OutputError: the file cannot be written there, or is the video itself.
        VideoError: the video is wanted in the bundle and cannot be read, or is no longer the one that was examined.
    """
    refuse_source(path, result.path)
    require_writable(path)
    taken, missing = shown or pictures_and_clips(result, bundle, explanations, access=access)
    document = to_document(result, bundle, explanations, examination)
    page = render(result, bundle, taken, missing, explanations, examination)
    files: dict[str, bytes | Path] = {
        "report.html": page.encode(),
        "result.json": (to_json(document) + "\n").encode(),
        "MODEL_CARD.md": bundle.card.encode(),
        **_pieces(taken),
    }
    if with_pdf and (pdf := _pdf(page, examination)):
        files["report.pdf"] = pdf
    if with_video:
        files[f"video/{_plain_name(result.path)}"] = Path(result.path)
    files[INSTRUCTIONS] = _instructions(result, bundle, examination, list(files)).encode()
    with written_beside(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        hashes = {name: _add(archive, name, files[name], examination) for name in sorted(files)}
        if with_video:
            _require_same_video(result, next(h for name, h in hashes.items() if name.startswith("video/")))
        manifest = "".join(f"{found}  {name}\n" for name, found in hashes.items())
        _add(archive, MANIFEST, manifest.encode(), examination)


def join_bundles(bundles: Mapping[str, Path], time: datetime) -> Iterator[bytes]:
    """The bytes of a zip file that holds evidence bundles by name, with a manifest of their hashes."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        lines = []
        for name, path in bundles.items():
            info = zipfile.ZipInfo(name, time.astimezone(UTC).timetuple()[:6])
            digest = hashlib.sha256()
            with archive.open(info, "w", force_zip64=True) as target:
                for chunk in _chunks(path):
                    digest.update(chunk)
                    target.write(chunk)
                    yield sink.taken()
            lines.append(f"{digest.hexdigest()}  {name}\n")
        archive.writestr(MANIFEST, "".join(lines))
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept += data
        return len(data)

    def taken(self) -> bytes:
        kept = bytes(self._kept)
        self._kept.clear()
        return kept


def _pieces(taken: Taken) -> dict[str, bytes | Path]:
    files: dict[str, bytes | Path] = {}
    if taken.clip is not None:
        files["clips/annotated.mp4"] = taken.clip.mp4
    for face, footage in sorted(taken.close.items()):
        files[f"clips/person-{face}-close.mp4"] = footage.mp4
    for picture in taken.pictures:
        moment = picture.moment
        minutes, hundredths = divmod(round(100 * moment.time), 6000)
        stamp = f"{minutes}m{hundredths // 100:02d}s{hundredths % 100:02d}"
        files[f"pictures/person-{moment.face}-at-{stamp}.jpg"] = picture.jpeg
    return files


def _plain_name(path: str) -> str:
    """The video's name with nothing in it that a file system or a terminal could take amiss."""
    name = re.sub(r"[^\w.() -]", "_", readable(Path(path).name)).strip(". ")
    return name[-120:] or "video"


def _add(archive: zipfile.ZipFile, name: str, content: bytes | Path, examination: Examination) -> str:
    """Add a file with the time of the examination; its SHA-256."""
    info = zipfile.ZipInfo(name, examination.time.astimezone(UTC).timetuple()[:6])
    packed = name.endswith((".mp4", ".jpg")) or isinstance(content, Path)
    info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    info.create_system = 3  # Unix, wherever the file is written: equal input gives an equal file
    info.external_attr = 0o644 << 16
    digest = hashlib.sha256()
    try:
        with archive.open(info, "w", force_zip64=isinstance(content, Path)) as target:
            for chunk in _chunks(content):
                digest.update(chunk)
                target.write(chunk)
    except OSError as error:
        if isinstance(content, Path) and error.filename == os.fspath(content):
            raise VideoError(
                f"{readable(os.fspath(content))} cannot be read again: {error.strerror}.",
                hint="Leave --bundle-video out, or bring the file back.",
            ) from error
        raise
    return digest.hexdigest()


def _chunks(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _require_same_video(result: VideoResult, found: str) -> None:
    if result.sha256 is not None and found != result.sha256:
        raise VideoError(
            f"{readable(result.path)} was changed while it was examined.", hint="Examine it again, from a copy."
        )


def _instructions(result: VideoResult, bundle: ModelBundle, examination: Examination, names: Sequence[str]) -> str:
    fields = {
        "Examined": f"{examination.utc} ({examination.local} local time)",
        "Case": examination.case or "not given",
        "Examiner": examination.examiner or "not given",
        "Video": readable(Path(result.path).name),
        "SHA-256 of the video": result.sha256 or "unknown",
        "Model": f"{readable(result.model)} {result.model_version}, {result.model_hash}",
        "Software": f"lrnet {result.lrnet_version}",
    }
    return (
        "Evidence bundle of lrnet\n\n"
        + "".join(f"{name}: {value}\n" for name, value in fields.items())
        + f"\nFiles: {', '.join(sorted(names))}.\n\n"
        "How to check this bundle\n\n"
        "With lrnet:            lrnet verify BUNDLE.zip\n"
        f"Without it, unpacked:  sha256sum -c {MANIFEST}        (Linux)\n"
        f"                       shasum -a 256 -c {MANIFEST}    (macOS)\n\n"
        f"Both compare every file with the hash in {MANIFEST}. `lrnet verify` also finds files that were added.\n"
        "The hashes show that nothing was changed since the bundle was written, if the manifest itself is the one\n"
        f"that was written then. So write the SHA-256 of {MANIFEST}, or of the whole zip file, into your records, or\n"
        "sign it: the bundle itself is not signed.\n\n"
        "To repeat the examination, examine the same video with the same model and options and the same version of\n"
        f"lrnet:\n\n{command(result, bundle)}\n"
    )


def browser() -> str | None:
    """Path of a Chromium browser that can make a PDF; None if none is installed."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def _pdf(page: str, examination: Examination) -> bytes | None:
    """The page as a PDF; None without a browser, or if it fails: a bundle does not depend on it."""
    command = browser()
    if command is None:
        return None
    with tempfile.TemporaryDirectory(prefix="lrnet-") as folder:
        source, target = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(page, encoding="utf-8")
        options = ["--headless", "--disable-gpu", "--no-first-run", "--no-pdf-header-footer", "--disable-extensions"]
        if getattr(os, "geteuid", lambda: 1)() == 0:
            options.append("--no-sandbox")  # Chromium refuses to run as root with one; the page is our own
        options += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}", source.as_uri()]
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run([command, *options], capture_output=True, timeout=PDF_SECONDS, check=True)
            return _dated(target.read_bytes(), examination)
    return None


def _dated(pdf: bytes, examination: Examination) -> bytes:
    """A PDF with the time of the examination as its own, in as many bytes: equal input gives an equal file."""
    stamp = examination.time.astimezone(UTC).strftime("D:%Y%m%d%H%M%S+00'00'").encode()
    return re.sub(rb"D:\d{14}\+00'00'", lambda found: stamp.ljust(len(found.group())), pdf)


@dataclass(frozen=True, slots=True)
class Verified:
    """The outcome of checking a bundle.

    Attributes:
        manifest: SHA-256 of the manifest, to compare with what was written down.
        files: how many files have the hash that the manifest gives.
        problems: one sentence for each file that was changed, is missing or was added.
    """

    manifest: str
    files: int
    problems: tuple[str, ...]


def verify_bundle(path: str | os.PathLike[str]) -> Verified:
    """Compare every file in a bundle with its manifest. Nothing is unpacked to disk.

    Time and memory are bounded: the table of contents is measured before it is read, files are read in pieces and not
    beyond what they declare, and a file that unpacks to far more than its packed size is refused.

    Raises:
        BundleError: the file cannot be read, is no zip file, has no manifest, or is built to do harm.
    """
    shown = readable(os.fspath(path))
    try:
        with Path(path).open("rb") as file:
            _require_small_directory(file, shown)
            with zipfile.ZipFile(file) as archive:
                return _verified(archive, shown)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or "it is no file that can be opened"
        raise BundleError(f"{shown} cannot be read: {text}.", hint="Give the path of a bundle.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise BundleError(f"{shown} is no zip file, or is damaged.", hint="Get the bundle again.") from error


def _verified(archive: zipfile.ZipFile, shown: str) -> Verified:
    entries = archive.infolist()
    for entry in entries:
        if reason := _suspect(entry):
            raise BundleError(
                f"{shown} holds {readable(entry.filename)!r}, which {reason}.",
                hint="lrnet does not write such bundles: do not unpack it.",
            )
    by_name = {entry.filename: entry for entry in entries}
    if len(by_name) < len(entries):
        raise BundleError(f"{shown} holds two files of one name.", hint="lrnet does not write such bundles.")
    manifest = by_name.pop(MANIFEST, None)
    if manifest is None or manifest.file_size > LARGEST_MANIFEST:
        raise BundleError(
            f"{shown} has no manifest ({MANIFEST}).", hint="Give a bundle that `lrnet detect --bundle` wrote."
        )
    text = archive.read(manifest)
    expected = _expected(text, shown)
    problems = [f"{readable(name)} is missing" for name in expected if name not in by_name]
    problems += [f"{readable(name)} was added: the manifest does not list it" for name in by_name.keys() - expected]
    good = 0
    for name in expected.keys() & by_name.keys():
        if _digest(archive, by_name[name]) == expected[name]:
            good += 1
        else:
            problems.append(f"{readable(name)} was changed")
    return Verified(hashlib.sha256(text).hexdigest(), good, tuple(sorted(problems)))


def _expected(text: bytes, shown: str) -> dict[str, str]:
    """Hash by name from a manifest in the format of sha256sum."""
    found = {}
    for line in text.decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match is None:
            raise BundleError(f"The manifest of {shown} has a line that is no hash and name.", hint="Get it again.")
        found[match[2]] = match[1]
    return found


def _digest(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str | None:
    """SHA-256 of a file; None if its content is damaged."""
    digest = hashlib.sha256()
    try:
        with archive.open(entry) as file:
            while chunk := file.read(_CHUNK):  # zipfile itself stops at the declared size
                digest.update(chunk)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, zlib_error):
        return None
    return digest.hexdigest()


def _suspect(entry: zipfile.ZipInfo) -> str:
    """Why a file of a zip file is refused; empty if it is not."""
    parts = PurePosixPath(entry.filename)
    if parts.is_absolute() or ".." in parts.parts or re.search(r"[\\:\x00-\x1f]", entry.filename):
        return "would be unpacked outside of its folder"
    if entry.is_dir() or (entry.external_attr >> 16) & 0o170000 not in (0, 0o100000):
        return "is no plain file"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
        return "is packed in a way that lrnet does not use"
    if entry.file_size > FREE_EXPANSION + MOST_EXPANSION * entry.compress_size:
        return "unpacks to far more than its packed size"
    return ""


def _require_small_directory(file: IO[bytes], shown: str) -> None:
    """Refuse a zip file whose table of contents would take much memory. Reads the last 66 kB only.

    Raises:
        BundleError: it has too many files or too long a table.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - 66_000))
    tail = file.read()
    file.seek(0)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        return  # zipfile says what is wrong
    count, size = struct.unpack_from("<HI", tail, at + 10)
    if at >= 76 and tail[at - 20 : at - 16] == b"PK\x06\x07":  # a large file: its numbers stand in a longer record
        count, size = struct.unpack_from("<QQ", tail, at - 76 + 32)
    if count > MOST_FILES or size > LARGEST_DIRECTORY:
        raise BundleError(
            f"{shown} lists {count} files in a table of {size} bytes; a bundle has at most {MOST_FILES}.",
            hint="lrnet does not write such bundles: do not unpack it.",
        )
