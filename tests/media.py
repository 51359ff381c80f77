"""Small videos for tests, made on the spot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SHORT = 64  # frames of the fixture `short`: three clips of the model


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    *,
    rate: int = 25,
    times: list[float] | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Encode RGB frames; `times` in seconds make the frame rate vary; `aspect` is that of a pixel."""
    with av.open(str(path), "w") as container:
        stream = None
        for i, rgb in enumerate(frames):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options or {})
                stream.height, stream.width = rgb.shape[:2]
                stream.pix_fmt = pixel_format
                stream.codec_context.time_base = Fraction(1, 1000)
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = round(1000 * (times[i] if times else i / rate))
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))
    return path


def gradient(width: int = 160, height: int = 96, shift: int = 0) -> NDArray[np.uint8]:
    """Colours that differ in every corner, so that turns and flips show."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    channels = [(x + shift) * 255 // (width + 30), y * 255 // height, np.full_like(x, 90)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def moving(count: int, width: int = 160, height: int = 96) -> list[NDArray[np.uint8]]:
    return [gradient(width, height, i) for i in range(count)]


def write_audio(path: Path, seconds: float = 1.0) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        t = np.arange(int(44100 * seconds)) / 44100
        samples = (0.2 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def turn_in_header(path: Path, quarter_turns: int) -> None:
    """Write a rotation into an MP4's track header, as a phone held sideways does: clockwise quarter turns."""
    one = 0x00010000
    write_matrix(path, {1: (0, one, -one, 0), 2: (-one, 0, 0, -one), 3: (0, -one, one, 0)}[quarter_turns])


def write_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix into an MP4's track header, 16.16 fixed point: x' = ax + cy, y' = bx + dy."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # version and flags, times, id, layer, volume: the matrix follows
    a, b, c, d = matrix
    for i, value in enumerate((a, b, 0, c, d, 0)):
        data[at + 4 * i : at + 4 * i + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def write_stamped(
    path: Path,
    stamps: Sequence[float],
    *,
    decoding: Sequence[float] | None = None,
    sound: bool = False,
    rate: int = 25,
    first: int = 0,
) -> Path:
    """Write a small moving picture whose packets carry these presentation stamps, in seconds.

    Args:
        decoding: stamps of decoding, if others.
        sound: add two seconds of sound that starts at 0.
        first: number of the first picture of `moving`.
    """
    kept = {"avoid_negative_ts": "disabled"} if min(stamps) < 0 else {}
    with av.open(str(path), "w", container_options=kept) as container:
        picture = container.add_stream("libx264", rate=rate, options={"bf": "0"})
        picture.width, picture.height, picture.pix_fmt = 160, 96, "yuv420p"
        if sound:
            add_sound(container, 2.0)
        frames = [av.VideoFrame.from_ndarray(rgb, format="rgb24") for rgb in moving(first + len(stamps))[first:]]
        packets = [packet for frame in (*frames, None) for packet in picture.encode(frame) if packet.size]
        for packet, shown, decoded in zip(packets, stamps, decoding or stamps, strict=True):
            packet.time_base = Fraction(1, 90000)
            packet.pts, packet.dts, packet.duration = round(90000 * shown), round(90000 * decoded), 90000 // rate
            packet.stream = picture
            container.mux_one(packet)
    return path


def add_sound(container: av.container.OutputContainer, seconds: float) -> None:
    """Silence from 0 on."""
    sound = container.add_stream("mp2" if container.format.name == "mpegts" else "aac", rate=48000, layout="mono")
    for start in range(0, int(48000 * seconds), 960):
        kind = "s16" if sound.codec_context.name == "mp2" else "fltp"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16 if kind == "s16" else np.float32), kind, "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))
