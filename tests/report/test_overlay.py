"""The annotated video against the video it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from lrnet.detector import Progress
from lrnet.errors import OutputError, SequenceError
from lrnet.report import overlay
from lrnet.report.overlay import drawn_size, write_overlay
from lrnet.video import isolation
from lrnet.video.limits import Access
from lrnet.video.reader import VideoReader
from lrnet.video.sound import RATE, Piece, Samples
from lrnet.video.writer import VideoWriter
from tests.report.samples import RESULTS, a_result, a_video_result, write_moving_face
from tests.video.test_sound import pitch, write_with_tones


def read(path: str | Path) -> tuple[list[float], list[NDArray[np.uint8]]]:
    with VideoReader(path) as reader:
        frames = [(frame.time, frame.rgb()) for frame in reader]
    return [time for time, _ in frames], [rgb for _, rgb in frames]


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8], above: int) -> NDArray[np.bool_]:
    """Where the picture was drawn on, of its part above the timeline: its brightness is another than before."""
    return np.abs(before.mean(axis=2) - after.mean(axis=2))[:above] > 40


def is_drawn(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Encoding anew changes a few pixels at edges; the drawing changes a thousand."""
    return int(changed(before, after, 200).sum()) > 200


def test_frames_and_times_are_those_of_the_source(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.02, 0.09, 59))])  # a variable frame rate
    result = a_video_result(tmp_path, times=times)
    steps: list[Progress] = []
    write_overlay(result, tmp_path / "out.mp4", progress=steps.append)
    source, _ = read(result.path)
    drawn, frames = read(tmp_path / "out.mp4")
    assert len(drawn) == len(times)
    np.testing.assert_allclose(drawn, source, atol=1e-4)
    assert {frame.shape for frame in frames} == {(240, 320, 3)}
    assert [round(step.time) for step in steps] == list(range(len(steps)))
    assert len(steps) == int(times[-1]) + 1


def test_the_sound_of_the_source_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, whose seams are not heard; a fault of it costs the sound only."""
    tones = write_with_tones(tmp_path / "tones.mp4", 3)
    result = a_result([], path=str(tones), seconds=3)
    out = tmp_path / "out.mp4"
    monkeypatch.setattr(isolation, "PART", 0.7)
    write_overlay(result, out)
    sound = isolation.sound_of(out, Access(), [(0.0, 0.0, 3.0)])
    assert sound is not None
    original = isolation.sound_of(tones, Access(), [(0.0, 0.0, 3.0)])
    assert original is not None
    for second in range(3):
        assert pitch(sound, second + 0.05, second + 0.95) == pytest.approx(300 + 100 * second, abs=3)
    for seam in (0.7, 1.4, 2.1):  # no step there: the loudness in a hundredth of a second is that of the tone
        part = slice(round((seam - 0.005) * RATE), round((seam + 0.005) * RATE))
        np.testing.assert_allclose(sound[part].std(), original[part].std(), rtol=0.1)

    def late(path: str, access: Access, pieces: list[Piece]) -> Samples | None:
        return isolation.decode_sound(path, access, pieces) if pieces[0][1] > 1 else None

    monkeypatch.setattr(isolation, "sound_of", late)
    write_overlay(result, out)
    sound = isolation.decode_sound(str(out), Access(), [(0.0, 0.0, 3.0)])
    assert sound is not None
    assert np.abs(sound[: round(1.35 * RATE)]).max() < 500
    assert pitch(sound, 1.45, 1.95) == pytest.approx(400, abs=5)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lrnet.video.writer.add_sound", full)
    write_overlay(result, out)
    assert isolation.decode_sound(str(out), Access(), [(0.0, 0.0, 3.0)]) is None
    assert len(read(out)[0]) == 75
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "tones.mp4"]


def test_drawing_follows_the_face(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    write_overlay(result, tmp_path / "out.mp4")
    _, before = read(result.path)
    _, after = read(tmp_path / "out.mp4")
    points = result.sequences[0].frame_landmarks()
    for i in (3, 40, 70):
        mask = changed(before[i], after[i], 200)[70:]
        rows, columns = (np.flatnonzero(mask.sum(axis=axis) > 20) for axis in (1, 0))
        # The box around the landmarks is what is drawn furthest out; the label above it is left out of the look.
        low, high = points[i].min(axis=0), points[i].max(axis=0)
        margin = 0.08 * (high - low).max()
        assert columns.min() == pytest.approx(low[0] - margin, abs=4)
        assert columns.max() == pytest.approx(high[0] + margin, abs=4)
        assert rows.max() + 70 == pytest.approx(high[1] + margin, abs=4)


def test_drawing_lasts_a_tenth_of_a_second_beyond_the_examined_frame(tmp_path: Path) -> None:
    times = np.arange(120) / 60.0
    result = a_video_result(tmp_path, times=times, step=2, gaps=range(30, 60))
    write_overlay(result, tmp_path / "out.mp4")
    _, before = read(result.path)
    _, after = read(tmp_path / "out.mp4")
    shown = [is_drawn(b, a) for b, a in zip(before, after, strict=True)]
    assert all(shown[:60])  # every second frame was not examined
    assert not any(shown[60:])  # a gap is no stale drawing


def test_stale_drawing_ends_where_frames_stop_being_examined(tmp_path: Path) -> None:
    times = np.arange(50) / 25.0
    result = a_video_result(tmp_path, times=times)
    whole = result.sequences[0]
    cut = replace(
        whole,
        values=whole.values[:20],
        detected=whole.detected[:20],
        times=whole.times[:20],
        valid=whole.valid[:20],
        confidence=whole.confidence[:20],
        forward_backward_error=whole.forward_backward_error[:19],
        innovation=whole.innovation[:19],
        tracked=whole.tracked[:19],
        frame_indices=whole.frame_indices[:20],
        centres=whole.centres[:20],
    )
    write_overlay(replace(result, sequences=(cut,)), tmp_path / "out.mp4")
    _, before = read(result.path)
    _, after = read(tmp_path / "out.mp4")
    shown = [is_drawn(b, a) for b, a in zip(before, after, strict=True)]
    assert shown.index(False) == 22  # the last examined frame is 19, at 0.76 s; 0.84 s is still within 0.1 s


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (640, 360)),
        ((641, 361), (640, 360)),
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (720, 1280)),
        ((3840, 2160), (1280, 720)),
    ],
)
def test_large_frames_are_scaled_down(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert drawn_size(*size) == expected


def test_scaled_drawing_lies_where_the_face_is(tmp_path: Path) -> None:
    result = a_video_result(tmp_path, width=1600, height=400, times=np.arange(5) / 25)
    write_overlay(result, tmp_path / "out.mp4")
    _, frames = read(tmp_path / "out.mp4")
    assert frames[0].shape == (320, 1280, 3)
    points = (result.sequences[0].frame_landmarks()[2] + 0.5) * 0.8 - 0.5
    for x, y in points[[0, 8, 16, 30]]:
        patch = frames[2][round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        assert patch.min(axis=2).max() > 200  # the white dot of the landmark


def test_video_without_faces_is_written_with_its_timeline(tmp_path: Path) -> None:
    write_moving_face(tmp_path / "in.mp4", 320, 240, np.arange(10) / 25)
    write_overlay(a_result([], path=str(tmp_path / "in.mp4"), seconds=0.36), tmp_path / "out.mp4")
    assert len(read(tmp_path / "out.mp4")[0]) == 10


def test_landmarks_that_were_not_kept_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="keep_sequences"):
        write_overlay(RESULTS["likely fake"], tmp_path / "out.mp4")


def test_the_video_is_never_overwritten(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)
    content = Path(result.path).read_bytes()
    with pytest.raises(OutputError, match="examined video itself"):
        write_overlay(result, result.path)
    assert Path(result.path).read_bytes() == content


def test_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = a_video_result(tmp_path)
    written = 0
    write = VideoWriter.write

    def breaks(self: VideoWriter, rgb: NDArray[np.uint8], time: float) -> None:
        nonlocal written
        written += 1
        if written == 30:
            raise RuntimeError("full")
        write(self, rgb, time)

    monkeypatch.setattr(overlay.VideoWriter, "write", breaks)
    with pytest.raises(RuntimeError, match="full"):
        write_overlay(result, tmp_path / "out.mp4")
    assert written == 30
    assert [path.name for path in tmp_path.iterdir()] == ["moving.mp4"]


def test_interrupted_progress_leaves_nothing_behind(tmp_path: Path) -> None:
    result = a_video_result(tmp_path)

    def interrupt(step: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_overlay(result, tmp_path / "out.mp4", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["moving.mp4"]
