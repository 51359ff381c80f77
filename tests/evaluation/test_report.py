"""An evaluation in a folder: what is written, and which report an error is linked to."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lrnet.data.records import Label, VideoRecord
from lrnet.evaluation import report
from lrnet.evaluation.evaluation import Evaluation, measure
from lrnet.evaluation.protocol import ScoredVideo
from lrnet.evaluation.report import as_markdown, table, write_evaluation
from lrnet.network.registry import load_model
from lrnet.network.spec import BundleSpec
from lrnet.verdict import ClipScore, FaceVerdict, InputQuality, Reason, State, VideoVerdict, logit

QUALITY = InputQuality(10.0, 250, 200.0, 25.0, 1.0, 0.9, 0.9, 0.01)


@pytest.fixture(scope="module")
def model() -> BundleSpec:
    return load_model("lrnet-mesh-v2").spec


def a_video(key: str, label: Label, probability: float, state: State) -> ScoredVideo:
    clips = (ClipScore(0.0, 1.0, 25, probability, {}),)
    reason = Reason.ABOVE_THRESHOLD if state is State.LIKELY_FAKE else Reason.BELOW_THRESHOLD
    person = FaceVerdict(1, 0.0, 1.0, state, probability, probability, clips, (reason,), QUALITY)
    verdict = VideoVerdict(state, probability, probability, (reason,), 1, log_ratio=float(logit(probability)))
    record = VideoRecord(Path(key), key, label, "" if label is Label.REAL else "swap", "FF++", "", key)
    return ScoredVideo(record, verdict, (person,))


def evaluated() -> Evaluation:
    return measure(
        [
            a_video("real/000.mp4", Label.REAL, 0.1, State.NO_EVIDENCE),
            a_video("real/a|b.mp4", Label.REAL, 0.95, State.LIKELY_FAKE),  # wrong
            a_video("swap/000_003.mp4", Label.FAKE, 0.9, State.LIKELY_FAKE),
            a_video("other/000_003.mp4", Label.FAKE, 0.2, State.NO_EVIDENCE),  # wrong, and named like another
            a_video("other/001_002.mp4", Label.FAKE, 0.1, State.NO_EVIDENCE),  # wrong
        ]
    )


def test_an_error_is_linked_to_its_own_report_or_to_none(model: BundleSpec, tmp_path: Path) -> None:
    reports = tmp_path / "the reports"
    reports.mkdir()
    for name in ("000_003", "001_002"):
        (reports / f"{name}.html").touch()
    page = as_markdown(evaluated(), model, tmp_path / "out", reports)
    assert "[other/001_002.mp4](../the%20reports/001_002.html)" in page
    assert "000_003.html" not in page  # it may be that of swap/000_003.mp4
    assert "other/000_003.mp4" in page
    assert "real/a\\|b.mp4" in page


def test_everything_is_written_and_says_the_same(model: BundleSpec, tmp_path: Path) -> None:
    written = write_evaluation(evaluated(), model, tmp_path / "made" / "here")
    assert all(path.stat().st_size for path in written)
    folder = tmp_path / "made" / "here"
    document = json.loads((folder / "evaluation.json").read_text())
    with (folder / "videos.csv").open() as file:
        videos = list(csv.DictReader(file))
    wrong = {"real/a|b.mp4", "other/000_003.mp4", "other/001_002.mp4"}
    assert {e["video"] for e in document["errors"]} == wrong
    assert [v["state"] for v in videos if v["video"] == "real/000.mp4"] == ["no_evidence_of_manipulation"]
    # Of six pairs of a real and a fake video, the fake one scores higher in two, and one is a tie.
    assert document["figures"]["video"]["AUC"]["value"] == pytest.approx(2.5 / 6)
    assert document["states"]["fake"]["likely_fake"]["value"] == pytest.approx(1 / 3)


def test_the_plot_marks_the_thresholds_that_verdicts_keep_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of both witnesses, where a model has two."""
    both = load_model("lrnet-2").spec
    drawn: list[dict[str, float]] = []
    monkeypatch.setattr(report, "draw_scores", lambda scores, marks, folder: drawn.append(marks) or [])
    write_evaluation(evaluated(), both, tmp_path)
    limits = both.limits
    assert limits is not None
    assert limits != both.thresholds
    assert drawn == [{"likely fake": limits.likely_fake, "no evidence": limits.no_evidence}]


def test_a_bar_in_a_name_does_not_end_a_cell() -> None:
    assert table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |\n"
