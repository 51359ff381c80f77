"""The JSON document against its published schema, read by another implementation of JSON Schema."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lrnet.detector import VideoResult
from lrnet.errors import ModelError, NotAVideoError, OutputError
from lrnet.report.json_report import to_batch, to_document, to_failure, to_json, write_json
from lrnet.report.schema import json_schema
from lrnet.report.wording import WORDING
from lrnet.verdict import REASON_TEXT, Coverage, Reason, State
from tests.report.samples import FAKE_FACE, RESULTS, UNCALIBRATED, a_bundle, a_result

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"
REWRITE = (
    "python -c 'import json; from lrnet.report.schema import json_schema; "
    "print(json.dumps(json_schema(), indent=2))' > docs/report.schema.json"
)


def strict(text: str) -> Any:
    """Read JSON and refuse what is none: NaN and infinities."""

    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def as_json(result: VideoResult, *, calibrated: bool = True) -> Any:
    return strict(to_json(to_document(result, a_bundle(calibrated=calibrated))))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def test_published_schema_is_the_current_one() -> None:
    assert json.loads(SCHEMA_FILE.read_text(encoding="utf-8")) == json_schema(), f"write it anew: {REWRITE}"
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_every_field_is_described() -> None:
    parts = {name: part for name, part in json_schema()["$defs"].items() if "properties" in part}
    assert {"ReportDocument", "BatchDocument", "QualityPart"} <= parts.keys()
    bare = [f"{n}.{f}" for n, part in parts.items() for f, d in part["properties"].items() if "description" not in d]
    assert bare == []
    assert [n for n, part in parts.items() if set(part["required"]) != set(part["properties"])] == []


@pytest.mark.parametrize("name", RESULTS)
def test_documents_keep_the_schema(name: str, validator: jsonschema.Draft202012Validator) -> None:
    validator.validate(as_json(RESULTS[name]))


def test_the_verdict_says_when_and_from_how_much() -> None:
    result = RESULTS["likely fake"]
    coverage = Coverage(2.9, 10.0, (Reason.PARTLY_EXAMINED,))
    told = as_json(replace(result, verdict=replace(result.verdict, moment=(90.0, 105.0), coverage=coverage)))["verdict"]
    assert told["moment"] == [90.0, 105.0]
    assert (told["coverage"]["seconds"], told["coverage"]["duration"]) == (2.9, 10.0)
    assert [reason["code"] for reason in told["coverage"]["reasons"]] == ["video_examined_in_part"]


def test_schema_refuses_what_is_not_a_document(validator: jsonschema.Draft202012Validator) -> None:
    document = as_json(RESULTS["likely fake"])
    for broken in (
        {**document, "schema_version": "3.0"},
        {**document, "surprise": 1},
        {k: v for k, v in document.items() if k != "verdict"},
        {**document, "verdict": {**document["verdict"], "state": "real"}},
    ):
        assert not validator.is_valid(broken)


def test_document_says_what_the_result_says() -> None:
    document = as_json(RESULTS["several faces"])
    assert document["schema_version"] == "2.2"
    assert document["verdict"] == {
        "state": "likely_fake",
        "probability": 0.97,
        "score": 0.882,
        "reasons": [{"code": "score_above_fake_threshold", "text": REASON_TEXT[Reason.ABOVE_THRESHOLD]}],
        "face": 0,
        "moment": [0.0, 7.2],
        "coverage": None,
    }
    assert [face["face"] for face in document["faces"]] == [0, 1, 2]
    assert document["faces"][0]["clips"][1] == {
        "start": 2.4,
        "stop": 4.76,
        "frames": 60,
        "score": 0.95,
        "streams": {"differences": 0.95, "positions": 0.95},
    }
    assert document["model"]["thresholds"] == {"likely_fake": 0.9, "no_evidence": 0.3}
    assert document["model"]["declared_error_rates"]["false_positive_rate"] == 0.04
    assert document["meaning"] == WORDING[State.LIKELY_FAKE].meaning
    assert document["elapsed_seconds"] == 1.25


def test_numbers_that_are_not_finite_become_null() -> None:
    document = as_json(RESULTS["not finite"])
    face = document["faces"][0]
    found = (face["probability"], face["clips"][0]["score"], face["quality"]["face_size"], face["quality"]["motion"])
    assert found == (None,) * 4
    assert document["verdict"]["probability"] is None


def test_uncalibrated_model_has_no_probability_and_no_thresholds(
    validator: jsonschema.Draft202012Validator,
) -> None:
    document = as_json(UNCALIBRATED, calibrated=False)
    validator.validate(document)
    assert document["verdict"]["probability"] is None
    assert document["verdict"]["score"] == 0.75
    assert document["model"]["thresholds"] is None
    assert document["model"]["declared_error_rates"] is None


def test_numbers_are_rounded_to_six_decimals() -> None:
    document = as_json(a_result([replace(FAKE_FACE, probability=1 / 3, score=-0.0)]))
    assert document["faces"][0]["probability"] == 0.333333
    assert math.copysign(1, document["faces"][0]["score"]) == 1


def test_equal_results_give_equal_documents_but_for_elapsed() -> None:
    first, second = (as_json(replace(RESULTS["likely fake"], elapsed=t)) for t in (1.0, 2.0))
    assert first.pop("elapsed_seconds") != second.pop("elapsed_seconds")
    assert json.dumps(first) == json.dumps(second)


def test_another_model_is_refused() -> None:
    with pytest.raises(ModelError, match="was made with model"):
        to_document(replace(RESULTS["likely fake"], model_hash="00" * 32), a_bundle())


def test_batch_holds_results_and_failures(tmp_path: Path, validator: jsonschema.Draft202012Validator) -> None:
    bad = to_failure("b\udcff.mp4", NotAVideoError("b is empty (0 bytes).", hint="Obtain the file again."))
    bug = to_failure("c.mp4", ValueError("odd"))
    batch = to_batch([to_document(RESULTS["likely fake"], a_bundle())], [bad, bug])
    write_json(tmp_path / "batch.json", batch)
    document = strict((tmp_path / "batch.json").read_text(encoding="utf-8"))
    validator.validate(document)
    validator.validate(document["failures"][0])  # as a line of --jsonl
    assert document["failures"][0] == {
        "path": "b\\udcff.mp4",
        "error": "NotAVideoError",
        "message": "b is empty (0 bytes).",
        "hint": "Obtain the file again.",
    }
    assert (document["failures"][1]["error"], document["failures"][1]["message"]) == ("ValueError", "odd")
    assert len(document["results"]) == 1


def test_hostile_name_survives_as_text(tmp_path: Path) -> None:
    document = to_document(RESULTS["hostile name"], a_bundle())
    write_json(tmp_path / "out.json", document)
    written = strict((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert written["video"]["path"].startswith('/tmp/<script>alert("1")</script>\n')
    assert written["video"]["path"].endswith("🙂\\udcff.mp4")


def test_the_video_is_never_overwritten(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"evidence")
    document = to_document(replace(RESULTS["likely fake"], path=str(video)), a_bundle())
    with pytest.raises(OutputError, match="examined video itself"):
        write_json(video, document)
    with pytest.raises(OutputError, match="no folder"):
        write_json(tmp_path / "nowhere" / "out.json", document)
    assert video.read_bytes() == b"evidence"
