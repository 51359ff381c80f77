"""Which landmarks count: recomputed calibration against the calibrator itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

from paper_kit import write

from lrnet.data import store
from lrnet.data.extraction import store_preprocessing
from lrnet.detector import landmark_sequences
from lrnet.experiments.paper.videos import VideoSet, first_frames, merged, with_landmarks
from lrnet.faces import landmarker
from lrnet.sequence import PointKalmanFilter
from lrnet.sequence.landmark_sequence import LandmarkSequence
from lrnet.video.reader import VideoReader

FRAMES = 60


def extracted(examples: Path) -> LandmarkSequence:
    with VideoReader(examples / "real.mp4") as reader:
        frames: Iterator[object] = islice(reader, FRAMES)
        return next(iter(landmark_sequences(frames, landmarker("mesh"), store_preprocessing())))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sequence(examples: Path) -> LandmarkSequence:
    return extracted(examples)


def fixed(gain: float):  # type: ignore[no-untyped-def]
    """A filter's merging with this gain instead of its own."""

    def merge(
        self: PointKalmanFilter,
        predicted: NDArray[np.float32],
        detected: NDArray[np.float32],
        variance: NDArray[np.float64],
        use: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        both = predicted + gain * (detected - predicted)
        return np.where(use[:, None], both, detected).astype(np.float32)

    return merge


def test_the_filters_own_gains_give_its_own_landmarks(sequence: LandmarkSequence) -> None:
    predicted = sequence.detected[1:] - sequence.innovation
    along = ((sequence.values[1:] - predicted) * sequence.innovation).sum(axis=2)
    gain = along / np.maximum((sequence.innovation**2).sum(axis=2), 1e-12)
    again = merged(sequence, gain)
    np.testing.assert_allclose(again.values, sequence.values, atol=2e-5)


@pytest.mark.parametrize(("gain", "share"), [(0.5, 0.1), (0.0, 0.25)])
def test_recomputed_from_a_store_is_what_the_calibrator_would_have_given(
    sequence: LandmarkSequence, examples: Path, monkeypatch: pytest.MonkeyPatch, gain: float, share: float
) -> None:
    """Off by a small share of what the change of gain does at all."""
    monkeypatch.setattr(PointKalmanFilter, "merge", fixed(gain))
    truth = extracted(examples)
    ours = merged(sequence, gain)
    wrong = np.median(np.linalg.norm(ours.values - truth.values, axis=2))
    moved = np.median(np.linalg.norm(truth.values - truth.detected, axis=2))
    assert moved > 0
    assert wrong < share * moved


def test_detections_and_gaps(sequence: LandmarkSequence) -> None:
    assert with_landmarks(sequence, "calibrated") is sequence
    np.testing.assert_array_equal(with_landmarks(sequence, "detected").values, sequence.detected)
    sequence.innovation[20:22] = np.nan  # the face was lost for a frame
    again = with_landmarks(sequence, "equal weights")
    np.testing.assert_array_equal(again.values[21:23], sequence.detected[21:23])
    assert np.isfinite(again.values).all()


def test_first_frames_are_counted_over_sequences(sequence: LandmarkSequence) -> None:
    assert [len(s) for s in first_frames([sequence, sequence], 70)] == [60, 10]
    assert [len(s) for s in first_frames([sequence, sequence], 60)] == [60]
    np.testing.assert_array_equal(first_frames([sequence], 10)[0].values, sequence.values[:10])
    assert first_frames([sequence], None) == [sequence]


def test_content_tells_labels_apart_and_not_landmarks(tmp_path: Path) -> None:
    videos = VideoSet("a", tuple(store.open(write(tmp_path / "a", 4))))
    same = VideoSet("b", tuple(store.open(write(tmp_path / "b", 4, seed=1))), "detected")
    assert videos.content() == same.content()
    assert videos.of_groups(["g0"]).content() != videos.content()
    assert videos.of_groups(["g0"]).groups == {"g0"}
