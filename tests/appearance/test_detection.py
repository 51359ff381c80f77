"""A model with both witnesses, from the file to the document."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lrnet.appearance.network import AppearanceNetwork
from lrnet.data import Label, VideoRecord, store
from lrnet.data.extraction import extract
from lrnet.data.store.crops import crops_file, cut_store, read_crops
from lrnet.detector import Detector, VideoResult
from lrnet.errors import DatasetError, ModelError
from lrnet.evaluation.protocol import evaluate
from lrnet.network.bundle import APPEARANCE_FILE, SPEC_FILE, ModelBundle
from lrnet.network.registry import load_model
from lrnet.report.explain import Explainer
from lrnet.report.json_report import to_document
from lrnet.report.witnesses import pixel_map
from lrnet.verdict import State
from lrnet.video.limits import Access, Limits
from tests.appearance.kit import with_second_witness

SECONDS = 2.0


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return with_second_witness(tmp_path_factory.mktemp("models") / "both")


@pytest.fixture(scope="module")
def result(bundle: ModelBundle, examples: Path) -> VideoResult:
    access = Access(limits=Limits(duration=SECONDS))
    return Detector(bundle).detect(examples / "real.mp4", keep_sequences=True, access=access)


def accusing(result: VideoResult, appearance: float) -> VideoResult:
    """The result as it would be of an accused face whose pixels say so much."""
    face = replace(result.faces[0], state=State.LIKELY_FAKE, probability=0.99, appearance_ratio=appearance)
    return replace(result, faces=(face,))


def test_both_witnesses_are_asked(result: VideoResult, bundle: ModelBundle) -> None:
    (face,) = result.faces
    assert [round(crop.time, 2) for crop in face.crops] == [0.0, 0.5, 1.0, 1.5]
    assert face.appearance_ratio == pytest.approx(np.mean([c.logit for c in face.crops]) * 4 / 6)
    assert face.motion_ratio is not None
    ratios = [face.motion_ratio, face.appearance_ratio, face.motion_ratio + face.appearance_ratio]
    assert face.log_ratio == pytest.approx(np.log(np.mean(np.exp(ratios))))
    document = to_document(result, bundle)
    assert document.model.appearance
    (part,) = document.faces
    assert part.witnesses.crops == 4
    assert part.witnesses.appearance == pytest.approx(face.appearance_ratio, abs=1e-6)  # rounded in the document
    (accused,) = Explainer(bundle).explain(accusing(result, np.log(3.1)))
    assert accused.pixels is not None
    assert accused.pixels.crops == 4
    (accused,) = Explainer(bundle).explain(accusing(result, np.log(2.9)))
    assert accused.pixels is None  # the pixels say too little


def test_without_appearance_it_is_the_shipped_model(result: VideoResult, bundle: ModelBundle, examples: Path) -> None:
    access = Access(limits=Limits(duration=SECONDS))
    alone = Detector(bundle.motion_alone()).detect(examples / "real.mp4", access=access, keep_sequences=True)
    shipped = Detector("lrnet-mesh-v2")
    assert alone.verdict.probability == shipped.detect(examples / "real.mp4", access=access).verdict.probability
    assert alone.faces[0].clips == result.faces[0].clips
    assert alone.faces[0].appearance_ratio is None
    assert all(s.crops is None for s in alone.sequences)
    assert not to_document(alone, bundle.motion_alone()).model.appearance


def test_a_store_with_crops_gives_what_detection_gives(
    result: VideoResult, bundle: ModelBundle, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = VideoRecord(examples / "real.mp4", "real.mp4", Label.REAL, "", "examples", "train", "somebody")
    extract([record], tmp_path / "store", bundle.spec.preprocessing, most_frames=result.frames_examined)
    videos = list(store.open(tmp_path / "store"))
    with pytest.raises(DatasetError, match="lrnet store crops"):
        evaluate(bundle, videos)
    heard: list[tuple[int, int, str]] = []
    assert cut_store(videos, tell=lambda *told: heard.append(told)) == []
    assert heard == [(1, 1, "real.mp4")]
    assert cut_store(videos, tell=lambda *_: pytest.fail("it was cut twice")) == []
    once = read_crops(crops_file(videos[0]))
    crops_file(videos[0]).unlink()
    with monkeypatch.context() as patch:  # a child that is forked beside other threads may wait for ever
        patch.setattr(os, "fork", lambda: pytest.fail("a worker was forked"))
        assert cut_store(videos, workers=2) == []
    np.testing.assert_array_equal(read_crops(crops_file(videos[0])).pictures, once.pictures)
    (scored,) = evaluate(bundle, videos)
    (person,), (face,) = scored.people, result.faces
    # The store keeps normalised landmarks in float32: in frame pixels they come back to 1e-5.
    assert [c.time for c in person.crops] == [c.time for c in face.crops]
    np.testing.assert_allclose([c.logit for c in person.crops], [c.logit for c in face.crops], atol=1e-3)
    assert person.motion_ratio == face.motion_ratio
    assert person.log_ratio == pytest.approx(face.log_ratio, abs=1e-3)
    crops = read_crops(crops_file(videos[0]))
    assert crops.landmarks.shape == (4, 68, 2)
    assert not crops.fake
    crops_file(videos[0]).write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match="damaged"):
        evaluate(bundle, videos)


def test_the_map_s_mean_is_the_mean_logit(result: VideoResult, bundle: ModelBundle) -> None:
    network = AppearanceNetwork.of(bundle)
    assert network is not None
    found = pixel_map(network, result.sequences)
    assert found is not None
    assert found.cells.mean() == pytest.approx(np.mean([c.logit for c in result.faces[0].crops]), abs=1e-4)
    assert pixel_map(network, []) is None


def test_a_bundle_describes_what_it_holds(bundle: ModelBundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in bundle.path.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    about = json.loads((copy / SPEC_FILE).read_text())
    about["appearance"] = None
    (copy / SPEC_FILE).write_text(json.dumps(about))
    with pytest.raises(ModelError, match=APPEARANCE_FILE):
        ModelBundle.load(copy)
    (copy / APPEARANCE_FILE).unlink()
    with pytest.raises(ModelError):
        ModelBundle.load(copy)


def test_the_default_model_has_the_motion_of_the_one_before() -> None:
    default, motion = load_model("lrnet-2"), load_model("lrnet-mesh-v2")
    assert default.network == motion.network
    assert default.motion_alone().spec.limits == motion.spec.limits
    both = default.spec.appearance
    assert both is not None
    assert both.thresholds is not None
    assert both.thresholds.likely_fake >= 0.8  # decision 30
    assert AppearanceNetwork.of(default) is not None
    assert "## The second witness" in default.card


def test_the_fast_model_judges_the_examples_as_the_default_does(examples: Path) -> None:
    """The same network of appearance, beside the motion of another landmarker."""
    fast = load_model("lrnet-2-fast")
    assert fast.spec.preprocessing.landmarker == "mesh68"
    assert fast.appearance == load_model("lrnet-2").appearance
    detector = Detector(fast)
    found = {name: detector.detect(examples / f"{name}.mp4").verdict.state for name in ("real", "fake", "coarse-fake")}
    assert found == {
        "real": State.NO_EVIDENCE,
        "fake": State.INCONCLUSIVE,
        "coarse-fake": State.LIKELY_FAKE,
    }
