"""The schema: what it counts, what it computes and what it refuses."""

import numpy as np
import pytest
from network_kit import bundle_spec
from pydantic import ValidationError

from lrnet.network import (
    PAPER_NETWORK,
    RELEASED_NETWORK,
    BundleSpec,
    MeasuredResult,
    NetworkSpec,
    ScoreCalibration,
    StreamSpec,
    Thresholds,
    TrainingRecord,
)
from lrnet.sequence.settings import Preprocessing


def gru(inputs, units):
    return 2 * (3 * units * (inputs + units) + 2 * 3 * units)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (PAPER_NETWORK, 2 * (gru(136, 64) + 128 * 96 + 96 + 96 * 2 + 2)),
        (PAPER_NETWORK, 180_292),
        (RELEASED_NETWORK, 2 * (gru(136, 32) + 2 * 32 + 2 * (64 * 64 + 64) + 64 * 2 + 2)),
        (RELEASED_NETWORK, 2 * 41_154),
        (NetworkSpec.of(StreamSpec(name="acceleration", width=143, units=32)), gru(143, 32) + 64 * 2 + 2),
    ],
)
def test_parameters_are_counted(network, parameters):
    assert network.parameters == parameters


def test_everything_survives_json():
    spec = bundle_spec(
        NetworkSpec.of(
            StreamSpec(name="a", width=2, units=1, scale=(1.0, 2.0), shift=0.1),
            StreamSpec(name="b", width=2, units=1, head="mlp"),
            fusion="mean_logit",
            fusion_weights=(1, 2),
        ),
        score_calibration=ScoreCalibration(method="isotonic", x=(0, 1), y=(0.1, 0.9), fitted_on="this", n=3),
        thresholds=Thresholds(
            likely_fake=0.9, no_evidence=0.2, false_positive_rate=0.05, miss_rate=0.1, measured_on="that"
        ),
        results=[
            MeasuredResult(dataset="d", unit="video", metric="AUC", value=0.9, low=0.8, high=0.95, n=22),
        ],
        training=TrainingRecord(
            data="all", groups=("1", "2"), seed=0, epochs=3, seconds=1.5, command="make", versions={"torch": "2"}
        ),
        files={"network.onnx": "0" * 64},
    )
    assert BundleSpec.model_validate_json(spec.model_dump_json(), strict=True) == spec


@pytest.mark.parametrize(
    ("raw", "a", "b", "expected"),
    [
        (0.5, 1.0, 0.0, 0.5),
        (0.2, 1.0, 0.0, 0.2),
        (0.8, 2.0, 0.0, 16 / 17),  # odds 4, squared
        (0.5, 1.0, np.log(3), 0.75),
        (1.0, 1.0, 0.0, 1 - 1e-6),
        (0.0, 1.0, 0.0, 1e-6),
        (np.nan, 1.0, 0.0, np.nan),
    ],
)
def test_platt_calibration_in_closed_form(raw, a, b, expected):
    calibration = ScoreCalibration(method="platt", a=a, b=b, fitted_on="", n=0)
    assert calibration.apply(np.array(raw)) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_isotonic_calibration_runs_straight_between_knots_and_flat_outside():
    calibration = ScoreCalibration(method="isotonic", x=(0.2, 0.4, 0.8), y=(0.1, 0.5, 0.5), fitted_on="", n=0)
    found = calibration.apply(np.array([[0, 0.2, 0.3], [0.4, 0.6, 1]]))
    np.testing.assert_allclose(found, [[0.1, 0.1, 0.3], [0.5, 0.5, 0.5]])


def stream(**changes):
    return StreamSpec(**{"name": "a", "width": 3, "units": 2, **changes})


def preprocessing(**changes):
    return Preprocessing(
        **{"landmarker_version": "1", "clip_length": 60, "clip_stride": 30, "min_clip_length": 30, **changes}
    )


def calibration(**changes):
    return ScoreCalibration(**{"fitted_on": "", "n": 0, **changes})


def thresholds(**changes):
    rates = {"false_positive_rate": 0.05, "miss_rate": 0.1, "measured_on": ""}
    return Thresholds(**{"likely_fake": 0.9, "no_evidence": 0.1, **rates, **changes})


@pytest.mark.parametrize(
    "make",
    [
        lambda: stream(scale=0.0),
        lambda: stream(scale=-1.0),
        lambda: stream(scale=(1.0, 2.0)),
        lambda: stream(scale=(1.0, 2.0, 0.0)),
        lambda: stream(shift=(1.0, 2.0)),
        lambda: stream(shift=float("nan")),
        lambda: stream(name="A b"),
        lambda: stream(name="../a"),
        lambda: stream(units=0),
        lambda: stream(head="conv"),
        lambda: NetworkSpec.of(),
        lambda: NetworkSpec.of(stream(), stream()),
        lambda: NetworkSpec.of(stream(), fusion_weights=(1, 1)),
        lambda: NetworkSpec.of(stream(), fusion_weights=(0,)),
        lambda: NetworkSpec.of(stream(), fusion_weights=(-1,)),
        lambda: NetworkSpec(streams=(stream(),), parameters=1),
        lambda: preprocessing(clip_stride=61),
        lambda: preprocessing(min_clip_length=61),
        lambda: preprocessing(frame_rate=0),
        lambda: preprocessing(crop_scale=float("inf")),
        lambda: preprocessing(rounding=True),
        lambda: calibration(method="platt", a=1),
        lambda: calibration(method="platt", a=-1, b=0),
        lambda: calibration(method="platt", a=1, b=0, x=(0, 1), y=(0, 1)),
        lambda: calibration(method="isotonic", x=(0, 1)),
        lambda: calibration(method="isotonic", x=(0, 1), y=(0, 1), a=1),
        lambda: calibration(method="isotonic", x=(0,), y=(0,)),
        lambda: calibration(method="isotonic", x=(0, 1), y=(1, 0)),
        lambda: calibration(method="isotonic", x=(0, 0), y=(0, 1)),
        lambda: calibration(method="isotonic", x=(0, 1), y=(0, 2)),
        lambda: thresholds(no_evidence=0.95),
        lambda: thresholds(likely_fake=1.1),
        lambda: MeasuredResult(dataset="", unit="video", metric="", value=0.5, low=0.6, high=0.7, n=1),
        lambda: MeasuredResult(dataset="", unit="frame", metric="", value=0.5, low=0.4, high=0.7, n=1),
        lambda: bundle_spec(name="../up"),
        lambda: bundle_spec(name=""),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ValidationError):
        make()


def test_a_description_cannot_be_changed():
    with pytest.raises(ValidationError):
        bundle_spec().name = "other"
