"""The corpus of bad inputs, through the command that users run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest
from tests.bad_inputs.judge import Judged, Outcome, judge, table
from tests.bad_inputs.make import (
    KINDS,
    LISTENER,
    Material,
    flipped_header,
    flipped_payload,
    playlists,
    sample,
    time_stamps,
)
from tests.summary import SUMMARY

from lrnet.video.reader import VideoReader

# Inputs that have brought lrnet down, or had other files opened, and what they must come to.
REGRESSIONS = {
    "no-files/circle.mp4": "VideoNotFoundError",  # resolving it raised RuntimeError before any video was judged
    "several-streams/two-programmes.ts": "no_evidence_of_manipulation",  # a late stream raised IndexError
    "playlists/concat-local.ffconcat": "NotAVideoError",  # the file inside was opened before the list was refused
    "playlists/hls-local.m3u8": "NotAVideoError",
    "huge-claims/true-64-megapixels.mkv": "LimitError",  # was decoded
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """`python -m tests.bad_inputs judge` judges all of them, which takes twice as long."""
    return judge(tmp_path_factory.mktemp("bad"), which=sample)


@pytest.fixture(scope="module")
def material() -> Material:
    return Material.make(LISTENER)


def test_no_bad_input_crashes_hangs_connects_or_leaves_anything(
    judged: Judged, record_property: Callable[[str, object], None]
) -> None:
    said = f"{len(judged.outcomes)} bad inputs in {judged.seconds:.0f} s, {len(judged.faults())} faults"
    record_property(SUMMARY, [*table(judged.outcomes), said])  # goes to the end of what `make test` prints
    assert len(judged.outcomes) >= 250
    assert {o.kind for o in judged.outcomes} == {*KINDS, "no-files"}
    assert judged.faults() == []


def test_a_sample_has_every_kind_of_damage_twice() -> None:
    damaged = [Path("truncated", f"{size:06d}-{name}") for name in ("a.mp4", "b.mkv") for size in range(7)]
    damaged += [Path("flipped-payload", f"{number:02d}-vp9.webm") for number in range(3)]
    others = [Path("frame-rates", "1-fps.mp4"), Path("frame-rates", "1000-fps.mp4"), Path("names", "1-2.mp4")]
    chosen = sample([*damaged, *others])
    assert chosen[-3:] == others
    found = Counter(path.name.partition("-")[2] for path in chosen[:-3])
    assert found == {"a.mp4": 3, "b.mkv": 3, "vp9.webm": 2}


def test_nothing_bad_is_called_fake(judged: Judged) -> None:
    """All of it was made from a video of a real person."""
    assert [o for o in judged.outcomes if o.verdict == "likely_fake"] == []


def test_what_names_other_files_is_never_judged(judged: Judged) -> None:
    verdicts = {o.name for o in judged.outcomes if o.kind == "playlists" and o.verdict}
    assert verdicts == {"inside.mp4", "numbered-%03d.png"}  # a video, and a picture under a pattern's name


@pytest.mark.parametrize("kind", ["rotated", "pixel-formats", "names", "sound", "few-frames"])
def test_what_is_only_unusual_is_judged(judged: Judged, kind: str) -> None:
    assert [o for o in judged.outcomes if o.kind == kind and o.error] == []


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_went_wrong_once_does_not_again(judged: Judged, name: str) -> None:
    kind, file = name.split("/")
    outcome = next(o for o in judged.outcomes if (o.kind, o.name) == (kind, file))
    assert (outcome.verdict or outcome.error) == REGRESSIONS[name]


def test_frames_that_a_decoder_leaves_out_without_an_error_are_counted(material: Material, tmp_path: Path) -> None:
    name, data = next(made for made in flipped_payload(material) if "libx265" in made[0])
    (tmp_path / name).write_bytes(data)
    with VideoReader(tmp_path / name) as reader:
        assert (sum(1 for _ in reader.decode()), reader.damaged) == (1, 11)


def test_the_corpus_is_the_same_each_time(material: Material) -> None:
    one, other = material, Material.make(LISTENER)
    assert one.mp4 == other.mp4
    assert one.mkv == other.mkv
    for kind in (flipped_header, time_stamps, playlists):
        assert list(islice(kind(one), 12)) == list(islice(kind(other), 12))


def test_the_runtime_keeps_no_number_and_reports_nothing(tmp_path: Path) -> None:
    """ONNX Runtime writes one on import, below the home folder, unless it is told not to."""
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY" and not k.startswith("XDG_")}
    environment |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", "import lrnet, onnxruntime"], env=environment, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_a_fault_is_told() -> None:
    """The check that the corpus stands on can fail."""
    assert Judged((Outcome("a", "b", error="InternalError"),), 0, (), 1.0).faults()
    assert Judged((Outcome("a", "b", error="no answer"),), 0, (), 1.0).faults()
    assert Judged((Outcome("a", "b", "inconclusive", seconds=99.0),), 0, (), 1.0).faults()
    assert Judged((), 1, (), 1.0).faults()
    assert Judged((), 0, ("tmp/x",), 1.0).faults()
    assert not Judged((Outcome("a", "b", "inconclusive", seconds=1.0),), 0, (), 1.0).faults()
