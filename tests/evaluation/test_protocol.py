"""The default model on the official validation split, measured on the real videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lrnet.data import Label, VideoRecord, read_faceforensics, store
from lrnet.data.extraction import extract, store_preprocessing
from lrnet.data.store import store_file
from lrnet.data.store.crops import cut_store
from lrnet.detector import Detector
from lrnet.evaluation.metrics import auc
from lrnet.evaluation.protocol import evaluate, known_people, shows_one_of, video_scores
from lrnet.network.registry import load_model
from lrnet.verdict import Reason
from lrnet.video.reencode import reencode

FRAMES = 80


@pytest.fixture(scope="module")
def validation(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of eight validation videos, four real and four fake, of different people: their first seconds.

    The first real and the first fake one are files of so many seconds, that detection may judge whole.
    """
    records = [r for r in read_faceforensics(shared / "data" / "ffpp") if r.split == "val"]
    chosen: list[VideoRecord] = []
    for label in ("real", "fake"):
        groups: set[str] = set()
        for r in records:
            if r.label.value == label and r.group not in groups and len(groups) < 4:
                groups.add(r.group)
                chosen.append(r)
    folder = tmp_path_factory.mktemp("validation")
    chosen.sort(key=lambda r: store_file(folder, r).name)
    for label in Label:
        at = next(i for i, r in enumerate(chosen) if r.label is label)
        short = folder.with_name(f"{label}.mp4")
        reencode(chosen[at].path, short, crf=18, most_frames=FRAMES)
        chosen[at] = replace(chosen[at], path=short)
    outcomes = extract(chosen, folder, store_preprocessing(), workers=2, most_frames=FRAMES)
    assert [o.error for o in outcomes] == [None] * 8
    assert cut_store(list(store.open(folder)), workers=2) == []
    return folder


def test_the_default_model_tells_fakes_of_people_it_never_saw(validation: Path) -> None:
    bundle = load_model()
    videos = store.open(validation)
    assert bundle.spec.training is not None
    assert not {v.record.group for v in videos} & set(bundle.spec.training.groups)
    scored = evaluate(bundle, videos)
    assert all(v.score is not None for v in scored)
    assert auc(video_scores(scored)) >= 0.8


def test_people_whom_a_model_knows_are_found_in_other_datasets_groups() -> None:
    """The shipped bundle lists pairs of FaceForensics++; DeeperForensics-1.0 has them in groups of its actors."""
    spec = load_model().motion_alone().spec
    training = spec.training
    assert training is not None
    a, b = training.groups[0].removeprefix("ffpp-").split("-")

    def video(group: str, *people: str) -> VideoRecord:
        return VideoRecord(Path("v"), "v", Label.REAL, "", "DeeperForensics-1.0", "", group, identities=people)

    known = known_people(spec)
    assert shows_one_of(known, video("deeper-M101", "deeper-M101", f"ffpp-{a}"))
    assert shows_one_of(known, video("deeper-M101", "deeper-M101", f"ffpp-{b}"))
    assert not shows_one_of(known, video("deeper-M101", "deeper-M101", "ffpp-no one"))
    listed = training.model_copy(update={"groups": ("deeper-M101",), "people": ("deeper-M101", "ffpp-000")})
    spec = spec.model_copy(update={"training": listed})
    assert shows_one_of(known_people(spec), video("ffpp-000-003", "ffpp-000"))


def test_an_extraction_that_is_run_again_does_nothing(validation: Path) -> None:
    before = written(validation)
    records = [v.record for v in store.open(validation)]
    assert extract(records, validation, store_preprocessing()) == []
    assert written(validation) == before


def written(folder: Path) -> dict[Path, int]:
    """When each landmark file was written."""
    return {p: p.stat().st_mtime_ns for p in folder.glob("*.parquet")}


def test_detection_judges_as_evaluation_does(validation: Path) -> None:
    """The way from the file and the way through the store give the same verdict, people, stretches and reasons."""
    bundle = load_model()
    stored = [v for v in store.open(validation)]
    chosen = [next(v for v in stored if v.record.label is label) for label in Label]
    for video, scored in zip(chosen, evaluate(bundle, chosen), strict=True):
        result = Detector(bundle).detect(video.record.path)
        pairs = zip(result.faces, scored.people, strict=True)
        assert all(f.motion_ratio == pytest.approx(p.motion_ratio, abs=1e-5) for f, p in pairs)
        # A store keeps landmarks in float32, so its crops lie where detection's do to 1e-5 of a pixel.
        assert result.verdict.probability == pytest.approx(scored.probability, abs=1e-4)
        assert (result.verdict.state, result.verdict.reasons) == (scored.state, scored.verdict.reasons)
        assert [len(f.stretches) for f in result.faces] == [len(p.stretches) for p in scored.people]


def test_a_coarse_video_is_judged_by_the_quantiser_that_its_store_keeps(validation: Path) -> None:
    """Evaluation used to know no quantiser and accused what detection did not."""
    from lrnet.evaluation.protocol import score_sequences
    from lrnet.network.runtime import NetworkRuntime

    bundle = load_model()
    video = store.open(validation)[0]
    assert video.provenance is not None
    assert video.provenance.quantiser is not None
    coarse = score_sequences(bundle, NetworkRuntime(bundle), video.record, video.sequences(), 51.0)
    assert Reason.COARSE in coarse.verdict.reasons
