"""The whole chain as a library."""

from __future__ import annotations

import gc
import os
import signal
import threading
from itertools import islice
from pathlib import Path
from time import monotonic

import av
import numpy as np
import pytest

import lrnet
from lrnet.detector import Detector, Progress, VideoResult
from lrnet.errors import DecoderDiedError, LimitError, ModelError
from lrnet.network.bundle import ModelBundle
from lrnet.network.registry import load_model
from lrnet.verdict import Reason
from lrnet.video.limits import Access, Limits
from lrnet.video.reader import VideoReader
from lrnet.video.reencode import reencode
from tests.media import SHORT, moving, write_video


@pytest.fixture(scope="module")
def detector() -> Detector:
    return lrnet.Detector()


@pytest.fixture(scope="module")
def whole(detector: Detector, examples: Path) -> tuple[VideoResult, list[Progress]]:
    """What is found in a whole video, and what progress said meanwhile."""
    steps: list[Progress] = []
    return detector.detect(examples / "real.mp4", progress=steps.append, keep_sequences=True), steps


def test_a_result_says_what_was_examined(whole: tuple[VideoResult, list[Progress]]) -> None:
    result, steps = whole
    assert (result.frames_read, result.frames_examined, result.damaged_packets) == (239, 239, 0)
    assert result.verdict.face == 1
    (face,) = result.faces
    assert face.quality.frames == 239
    assert face.quality.present == 1.0
    assert face.quality.face_size == pytest.approx(210, rel=0.2)
    assert [s.frames for s in steps] == sorted(s.frames for s in steps)
    assert len(steps) >= 9
    last = steps[-1]
    assert (last.stage, last.frames, last.faces, last.clips) == ("examined", 239, 1, len(face.clips))
    assert all(step.stage == "examining" for step in steps[:-1])
    told = [scored for step in steps for scored in step.scored]
    assert [scored.clip for scored in told] == list(face.clips)
    assert {scored.face for scored in told} == {0}
    (sequence,) = result.sequences
    assert sequence.face == face.face  # what is drawn finds its person
    assert len(sequence) == 239
    inside = sequence.frame_landmarks()
    assert inside[..., 0].min() > 0
    assert inside[..., 0].max() < 640
    covered = np.zeros(239, bool)
    for clip in face.clips:
        covered |= (sequence.times >= clip.start - 1e-9) & (sequence.times <= clip.stop + 1e-9)
    assert covered.all()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(duration=2.0), Reason.DURATION_LIMIT),
        (Limits(frames=40), Reason.FRAME_LIMIT),
        (Limits(frame_rate=15), Reason.RATE_LIMIT),
    ],
)
def test_a_limit_that_was_passed_is_told(
    detector: Detector, short: dict[str, Path], limits: Limits, reason: Reason
) -> None:
    result = detector.detect(short["real"], access=Access(limits=limits))
    assert {Reason.PARTLY_EXAMINED, reason} <= set(result.verdict.reasons)
    assert result.frames_examined < SHORT


@pytest.mark.parametrize("isolate", [False, True], ids=["in-process", "isolated"])
def test_stretches_are_judged_apart_and_belong_to_one_face(
    detector: Detector, examples: Path, whole: tuple[VideoResult, list[Progress]], isolate: bool
) -> None:
    """Ten seconds of one face, examined from 0 to 4 and from 8 on."""
    access = Access(isolate=isolate, limits=Limits(share=0.5))
    result = detector.detect(examples / "real.mp4", access=access, keep_sequences=True)
    assert {Reason.PARTLY_EXAMINED, Reason.SHARE_LIMIT} <= set(result.verdict.reasons)
    assert [face.face for face in result.faces] == [1]
    spans = [(s.times[0], s.times[-1]) for s in result.sequences]
    assert np.allclose(spans, [(0, 4), (8, 9.95)], atol=0.05)
    clips = result.faces[0].clips
    assert all(clip.stop < 4 or clip.start >= 8 for clip in clips)
    assert clips[0].start == 0
    assert clips[-1].stop == result.seconds_examined
    assert result.verdict.coverage is not None
    assert result.verdict.coverage.seconds == pytest.approx(6, abs=0.2)  # not the time of the last frame
    assert result.frames_read == whole[0].frames_read
    # The first clips begin with the same frames; only the unit, the mean face size, comes from fewer of them.
    assert clips[0].score == pytest.approx(whole[0].faces[0].clips[0].score, abs=0.1)


def test_a_hole_in_the_middle_was_not_examined(detector: Detector, tmp_path: Path) -> None:
    """Of four seconds the second to the third are destroyed: what is left is less than half, though its last frame is
    at the end."""
    path = write_video(tmp_path / "whole.mp4", moving(100), options={"g": "5", "bf": "0"})
    with av.open(str(path)) as source, av.open(str(tmp_path / "hole.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is None:
                continue
            if 1 <= packet.pts * packet.time_base < 3.4:
                lost = av.Packet(bytes(packet)[:5] + b"\xff" * (packet.size - 5))
                lost.pts, lost.dts, lost.time_base = packet.pts, packet.dts, packet.time_base
                lost.is_keyframe, packet = packet.is_keyframe, lost
            packet.stream = stream
            target.mux(packet)
    coverage = detector.detect(tmp_path / "hole.mp4").verdict.coverage
    assert coverage is not None
    assert coverage.seconds == pytest.approx(1.6, abs=0.15)
    assert coverage.minor
    assert {Reason.DAMAGED, Reason.PARTLY_EXAMINED} <= set(coverage.reasons)


def test_a_frame_that_is_held_says_nothing_of_a_face_that_was_judged(
    detector: Detector, examples: Path, tmp_path: Path
) -> None:
    with VideoReader(examples / "real.mp4") as reader:
        pictures = [f.rgb() for f in islice(reader, 40)]
    path = write_video(tmp_path / "held.mp4", pictures + pictures[-1:] * 500, options={"preset": "ultrafast"})
    result = detector.detect(path)
    assert result.frames_repeated > 0.9 * result.frames_read
    assert result.faces[0].seconds_judged > 1
    assert Reason.NO_MOTION not in result.verdict.reasons
    assert result.seconds_examined == pytest.approx(539 / 25)  # of the last frame read, left out or not


def test_faces_over_the_limit_are_told(detector: Detector, examples: Path, tmp_path: Path) -> None:
    with VideoReader(examples / "real.mp4") as reader:
        pictures = [np.hstack([f.rgb()] * 2) for f in islice(reader, 6)]
    path = write_video(tmp_path / "two.mp4", pictures)
    both = detector.detect(path)
    assert Reason.FACE_LIMIT not in both.verdict.reasons
    one = detector.detect(path, access=Access(limits=Limits(faces=1)))
    assert Reason.FACE_LIMIT in one.verdict.reasons
    assert len(both.faces) == 2
    assert len(one.faces) == 1
    with pytest.raises(LimitError, match="more than 1 faces"):
        detector.detect(path, access=Access(limits=Limits(faces=1, refuse=True)))


def test_a_decoder_that_dies_ends_the_video_and_not_the_detector(detector: Detector, short: dict[str, Path]) -> None:
    def kill(step: Progress) -> None:
        for pid in decoders():
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(DecoderDiedError, match="SIGKILL"):
        detector.detect(short["real"], access=Access(isolate=True), progress=kill)
    assert detector.detect(short["real"], access=Access(isolate=True)).frames_read == SHORT


class Cancelled(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 50, SHORT])
def test_what_progress_raises_ends_the_work_and_its_threads(
    detector: Detector, short: dict[str, Path], stop_at: int
) -> None:
    before = set(threading.enumerate())

    def cancel(step: Progress) -> None:
        if step.frames >= stop_at:
            raise Cancelled

    with pytest.raises(Cancelled):
        detector.detect(short["real"], progress=cancel)
    assert set(threading.enumerate()) == before
    assert detector.detect(short["real"]).frames_read == SHORT


@pytest.mark.timeout(60)
@pytest.mark.parametrize("threads", [1, 2])
def test_progress_is_told_and_can_cancel_while_the_decoder_hangs(examples: Path, threads: int) -> None:
    """A hanging decoder has a minute (`stall_seconds`); whoever wants to cancel need not wait for that."""
    told: list[float] = []

    def cancel_later(step: Progress) -> None:
        told.append(monotonic())
        if len(told) == 1:
            for pid in decoders():
                os.kill(pid, signal.SIGSTOP)
        elif told[-1] - told[0] > 2:
            raise Cancelled

    before = set(threading.enumerate())
    with pytest.raises(Cancelled):
        Detector(threads=threads).detect(examples / "real.mp4", access=Access(isolate=True), progress=cancel_later)
    assert monotonic() - told[0] < 10
    assert decoders() == []
    assert set(threading.enumerate()) == before


def decoders() -> list[int]:
    """Processes that decode for this one."""
    children = [
        child for task in Path(f"/proc/{os.getpid()}/task").glob("*/children") for child in task.read_text().split()
    ]
    return [int(pid) for pid in children if "decoder_process" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_video_that_is_judged_is_let_go_of(examples: Path, tmp_path: Path, threads: int) -> None:
    """At once: a decoder of large frames holds a hundred megabytes, and many videos may follow."""
    reencode(examples / "real.mp4", tmp_path / "a.mp4", crf=23, scale=0.5, most_frames=40)
    judge = Detector(threads=threads)
    gc.collect()
    gc.disable()
    try:
        judge.detect(tmp_path / "a.mp4", progress=lambda told: None)
        assert [thing for thing in gc.get_objects() if isinstance(thing, VideoReader)] == []
    finally:
        gc.enable()


def test_a_doubled_frame_rate_means_the_same(detector: Detector, short: dict[str, Path], tmp_path: Path) -> None:
    """Every frame shown twice, at twice the rate: half of them are left out, and the verdict stays."""
    with VideoReader(short["real"]) as reader:
        frames = [frame.rgb() for frame in reader]
    lossless = {"crf": "1", "preset": "ultrafast"}
    once = write_video(tmp_path / "once.mp4", frames, rate=24, options=lossless)
    twice = write_video(tmp_path / "twice.mp4", [f for f in frames for _ in (0, 1)], rate=48, options=lossless)
    a, b = detector.detect(once), detector.detect(twice)
    assert (a.frames_examined, b.frames_examined) == (SHORT, SHORT)
    assert b.verdict.score == pytest.approx(a.verdict.score, abs=0.1)


def test_a_video_that_breaks_off_says_so(detector: Detector, short: dict[str, Path], tmp_path: Path) -> None:
    with VideoReader(short["real"]) as reader:
        whole = write_video(tmp_path / "whole.mkv", [f.rgb() for f in reader], rate=24).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    result = detector.detect(tmp_path / "cut.mkv")
    assert 0 < result.frames_read < SHORT
    assert Reason.PARTLY_EXAMINED in result.verdict.reasons


def test_results_are_the_same_whatever_the_number_of_threads(short: dict[str, Path]) -> None:
    """Run after run, and for 1, 2 and 4 threads: not one bit differs."""
    results = [lrnet.Detector(threads=n).detect(short["fake"], keep_sequences=True) for n in (1, 2, 2, 4)]
    first = results[0]
    for other in results[1:]:
        assert other.faces == first.faces
        assert other.verdict == first.verdict
        for a, b in zip(first.sequences, other.sequences, strict=True):
            np.testing.assert_array_equal(a.values, b.values)
            np.testing.assert_array_equal(a.detected, b.detected)


def test_a_model_made_for_other_landmarks_is_refused() -> None:
    bundle = load_model()
    other = bundle.spec.preprocessing.model_copy(update={"landmarker_version": "facemesh-v0"})
    spec = bundle.spec.model_copy(update={"preprocessing": other})
    stranger = ModelBundle(spec, bundle.path, bundle.network, bundle.weights, bundle.card, bundle.content_hash)
    with pytest.raises(ModelError, match="facemesh-v0"):
        Detector(stranger)
