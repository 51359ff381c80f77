"""Of rubbish nothing confident is said: a few of the videos that `-m lrnet.experiments.doubt` makes."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lrnet.detector import Detector
from lrnet.experiments.doubt import KINDS, Kind, Recording, make, recording
from lrnet.verdict import Reason, State
from lrnet.video.reencode import reencode

FRAMES = 60


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def genuine(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """The example at half its size."""
    path = tmp_path_factory.mktemp("doubt") / "real.mp4"
    reencode(examples / "real.mp4", path, crf=20, scale=0.5, most_frames=FRAMES)
    found = recording(path, "example", 0, FRAMES)
    assert found is not None
    assert found.size > 80
    return found


EXPECTED = {
    "black": (State.NOT_APPLICABLE, Reason.NO_FACE),
    "white noise": (State.NOT_APPLICABLE, Reason.NO_FACE),
    "frozen": (State.UNABLE, Reason.NO_MOTION),
    "statue": (State.INCONCLUSIVE, Reason.RIGID),
    "picture of a face": (State.INCONCLUSIVE, Reason.RIGID),
    "face of 40 px": (State.INCONCLUSIVE, Reason.SMALL_FACE),
    "5 frames a second": (State.UNABLE, Reason.LOW_FRAME_RATE),
}


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name in EXPECTED], ids=lambda k: k.name)
def test_what_cannot_be_judged_is_not(kind: Kind, detector: Detector, genuine: Recording, tmp_path: Path) -> None:
    state, reason = EXPECTED[kind.name]
    make(kind, genuine, tmp_path / "made.mp4", seed=1)
    verdict = detector.detect(tmp_path / "made.mp4").verdict
    assert verdict.state is state
    assert reason in verdict.reasons


@pytest.mark.parametrize("name", ["encoded at crf 42", "encoded twice, crf 40"])
def test_what_is_hard_to_judge_is_not_accused(
    name: str, detector: Detector, genuine: Recording, tmp_path: Path
) -> None:
    kind = next(k for k in KINDS if k.name == name)
    make(kind, genuine, tmp_path / "made.mp4", seed=1)
    assert detector.detect(tmp_path / "made.mp4").verdict.state is not State.LIKELY_FAKE


@pytest.mark.parametrize("kind", [k for k in KINDS if k.frames is not None], ids=lambda k: k.name)
def test_the_same_is_made_every_time(kind: Kind, genuine: Recording) -> None:
    """Up to the encoder: x264's own result is not always the same to the bit."""
    assert kind.frames is not None
    one, two = (list(islice(kind.frames(genuine, np.random.default_rng(3)), 10)) for _ in range(2))
    assert len(one) == 10
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
