"""The sound of clips: the right seconds of it, decoded where it does no harm, and never the price of a clip."""

from __future__ import annotations

import os
import signal
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.media import gradient, moving, write_video

from lrnet.video import isolation, sound
from lrnet.video.isolation import DecoderProcess, sound_of
from lrnet.video.limits import Access, Limits
from lrnet.video.sound import RATE, Samples, add_sound, decode_sound, samples_of

PIECES = [(0.0, 1.2, 1.8), (0.64, 3.1, 3.9)]  # as a clip at 25 Hz joins them


def write_with_tones(path: Path, seconds: int = 5) -> Path:
    """A picture, and a tone that changes with each second: 300 Hz in the first, then 400, 500..."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 160, 96, "yuv420p"
        voice = container.add_stream("mp2" if path.suffix == ".ts" else "aac", rate=48000, layout="stereo")
        for i in range(25 * seconds):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(gradient(shift=i), format="rgb24")))
        container.mux(picture.encode(None))
        t = np.arange(48000 * seconds) / 48000
        tone = 0.5 * np.sin(2 * np.pi * (300 + 100 * np.floor(t)) * t)
        for start in range(0, len(t), 960):
            part = np.repeat(tone[None, start : start + 960], 2, axis=0)
            kind, data = ("s16", (32767 * part).T.reshape(1, -1)) if path.suffix == ".ts" else ("fltp", part)
            frame = av.AudioFrame.from_ndarray(data.astype(np.int16 if kind == "s16" else np.float32), kind, "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    return path


def pitch(sound: Samples, start: float, stop: float) -> float:
    """The strongest frequency between two seconds, Hz."""
    part = sound[round(start * RATE) : round(stop * RATE)].astype(np.float64)
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)), 2**18))) * RATE / 2**18)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_each_stretch_has_its_own_seconds_of_sound(kind: str, tmp_path: Path) -> None:
    path = write_with_tones(tmp_path / f"tones.{kind}")
    sound = sound_of(path, Access(), PIECES)
    assert sound is not None
    assert len(sound) == samples_of(PIECES) == round(1.44 * RATE)
    assert pitch(sound, 0.05, 0.55) == pytest.approx(400, abs=5)
    assert pitch(sound, 0.69, 1.39) == pytest.approx(600, abs=5)
    assert np.abs(sound[: round(0.5 * RATE)]).max() > 10_000
    assert not sound[round(0.601 * RATE) : round(0.639 * RATE)].any()  # between the two
    # A tone ends where it ends in the video, to a hundredth of a second.
    whole = sound_of(path, Access(), [(0.0, 0.0, 5.0)])
    assert whole is not None
    assert pitch(whole, 1.9, 1.99) == pytest.approx(400, abs=12)
    assert pitch(whole, 2.01, 2.1) == pytest.approx(500, abs=12)
    np.testing.assert_array_equal(sound_of(path, Access(isolate=True), PIECES), sound)


def test_a_clip_gets_its_sound_and_keeps_its_pictures(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.mp4", moving(50))
    with av.open(str(clip)) as silent:
        before = [bytes(packet) for packet in silent.demux(video=0)]
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.int16)
    add_sound(clip, iter([tone[:7000], tone[7000:]]))
    with av.open(str(clip)) as whole:
        assert [stream.codec_context.name for stream in whole.streams] == ["h264", "aac"]
        assert whole.duration == pytest.approx(2e6, abs=1e5)
        assert [bytes(packet) for packet in whole.demux(video=0)] == before
    again = sound_of(clip, Access(), [(0.0, 0.0, 2.0)])
    assert again is not None
    assert pitch(again, 0.1, 1.9) == pytest.approx(440, abs=2)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("isolate", [False, True])
def test_a_file_without_sound_or_without_anything_has_none(isolate: bool, tmp_path: Path) -> None:
    for path in (write_video(tmp_path / "silent.mp4", moving(5)), tmp_path / "gone.mp4"):
        assert sound_of(path, Access(isolate=isolate), PIECES) is None


def test_a_limit_on_pixels_silences_nothing(tmp_path: Path) -> None:
    """An isolated decoder gives sound through the memory that is made for frames."""
    path = write_with_tones(tmp_path / "tones.mp4")
    access = Access(isolate=True, limits=Limits(megapixels=0.05))
    assert [part.any() for part in isolation.whole_sound_of(path, access, 5.0)] == [True]
    assert isolation.slot_bytes(access.limits) >= 2 * sound.RATE * sound.PART


def test_damaged_sound_is_left_out_and_the_rest_kept(tmp_path: Path) -> None:
    path = write_with_tones(tmp_path / "tones.mp4")
    with av.open(str(path)) as container:
        places = [p.pos for p in container.demux(audio=0) if p.pos and p.time_base and 1.3 < p.pts * p.time_base < 1.5]
    data = bytearray(path.read_bytes())
    for place in places:
        data[place : place + 60] = b"\xff" * 60
    path.write_bytes(data)
    sound = sound_of(path, Access(), PIECES)
    assert sound is not None
    assert pitch(sound, 0.69, 1.39) == pytest.approx(600, abs=5)


def test_what_was_decoded_within_the_time_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_with_tones(tmp_path / "tones.mp4", 3)
    monkeypatch.setattr(sound, "SECONDS", 0.0)
    found = decode_sound(str(path), Access(), [(0.0, 0.0, 3.0)])
    assert found is not None
    assert found[: round(0.1 * RATE)].any()
    assert not found[RATE:].any()
    monkeypatch.setattr(isolation, "ALL_SECONDS", -1.0)
    assert list(isolation.whole_sound_of(path, Access(), 3.0)) == []


def test_a_decoder_that_hangs_over_the_sound_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_with_tones(tmp_path / "tones.mp4", 1)
    process = DecoderProcess.take(Access().limits)
    monkeypatch.setattr(DecoderProcess, "take", lambda _limits: process)
    monkeypatch.setattr(isolation, "SECONDS", -0.8)
    os.kill(process.pid, signal.SIGSTOP)
    assert sound_of(path, Access(isolate=True), PIECES) is None
    assert not Path(f"/proc/{process.pid}").exists()


@pytest.mark.parametrize("told", [{"sound": 10**9}, {"sound": -1}, {"sound": "x"}, {"sound": 46081}, {"end": True}])
def test_a_decoder_that_was_taken_over_is_not_believed(
    told: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_with_tones(tmp_path / "tones.mp4", 1)
    monkeypatch.setattr(DecoderProcess, "hear", lambda *_: told)
    assert sound_of(path, Access(isolate=True), PIECES) is None
