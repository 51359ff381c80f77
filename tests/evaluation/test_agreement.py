"""Detection and evaluation on every video of FaceForensics++ at hand: about 20 minutes on two cores, so only if asked.

    LRNET_EVERY_VIDEO=1 pytest tests/evaluation/test_agreement.py

`make test` compares two of them (`test_protocol.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lrnet.data import read_faceforensics, store
from lrnet.data.extraction import extract, store_preprocessing
from lrnet.data.store.crops import cut_store
from lrnet.detector import Detector
from lrnet.evaluation.protocol import evaluate
from lrnet.network.registry import load_model


@pytest.mark.skipif("LRNET_EVERY_VIDEO" not in os.environ, reason="20 minutes: set LRNET_EVERY_VIDEO=1")
@pytest.mark.timeout(7200)
def test_detection_and_evaluation_give_every_video_the_same_verdict(shared: Path, tmp_path: Path) -> None:
    records = read_faceforensics(shared / "data" / "ffpp")
    assert [o.error for o in extract(records, tmp_path, store_preprocessing(), workers=2)] == [None] * len(records)
    videos = list(store.open(tmp_path))
    assert cut_store(videos, workers=2) == []
    bundle = load_model()
    detector = Detector(bundle)
    differ = []
    for scored in evaluate(bundle, videos):
        found = detector.detect(scored.record.path)
        ways = [
            (v.state, v.reasons, [[(round(s.start, 3), round(s.stop, 3)) for s in p.stretches] for p in people])
            for v, people in ((found.verdict, found.faces), (scored.verdict, scored.people))
        ]
        if ways[0] != ways[1] or found.verdict.probability != pytest.approx(scored.probability, abs=1e-3):
            differ.append((scored.record.key, found.verdict, scored.verdict))
    assert differ == []
