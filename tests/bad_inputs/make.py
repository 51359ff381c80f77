"""Make the corpus of bad inputs: files that are broken, unusual or hostile in a known way, always the same bytes.

    python -m tests.bad_inputs make FOLDER

Each kind has a folder of its own below FOLDER. All of it is made from the example video and from fixed random numbers;
`tests.bad_inputs.judge` runs `lrnet detect` on it and counts the outcomes.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Made = Iterator[tuple[str, bytes]]  # names and contents

EXAMPLE: Final = Path(__file__).resolve().parents[2] / "examples" / "real.mp4"
WIDTH, HEIGHT, FRAMES, RATE = 320, 180, 34, 24
"""The clip that everything is made of: long enough for one clip of the model, and no longer."""

LISTENER: Final = "127.0.0.1:9"  # what inputs name that would have addresses opened


@dataclass(frozen=True, slots=True)
class Material:
    """What inputs are made of.

    Attributes:
        pictures: of the example's first seconds, (HEIGHT, WIDTH, 3) RGB.
        mp4: H.264, the index in front. `index_last`: the index behind. `mkv`, `ts`, `avi`: other containers.
        address: "host:port" that inputs name; nobody may connect to it.
    """

    pictures: Sequence[Picture]
    mp4: bytes
    index_last: bytes
    mkv: bytes
    ts: bytes
    avi: bytes
    address: str

    @classmethod
    def make(cls, address: str) -> Material:
        pictures = _pictures()
        return cls(
            pictures,
            mp4=encode(pictures, "mp4", muxer={"movflags": "+faststart"}),
            index_last=encode(pictures, "mp4"),
            mkv=encode(pictures, "matroska"),
            ts=encode(pictures, "mpegts"),
            avi=encode(pictures, "avi", "mpeg4"),
            address=address,
        )


def _pictures() -> list[Picture]:
    found: list[Picture] = []
    with av.open(str(EXAMPLE)) as container:
        for frame in container.decode(video=0):
            rgb = frame.to_ndarray(format="rgb24")
            found.append(cv2.resize(rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8))
            if len(found) == FRAMES:
                break
    return found


def encode(
    pictures: Sequence[Picture],
    container: str,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    rate: Fraction | int = RATE,
    times: Sequence[float] | None = None,
    options: Mapping[str, str] | None = None,
    muxer: Mapping[str, str] | None = None,
    sound: float = 0.0,
    streams: int = 1,
    time_base: Fraction = Fraction(1, 90_000),
) -> bytes:
    """A video as bytes; the same arguments give the same bytes.

    Args:
        times: presentation times, seconds.
        sound: seconds of a tone beside the picture.
        streams: how many video streams, each half the size of the one before.
    """
    presets = {"libx264": {"preset": "ultrafast"}, "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"}}
    preset = presets.get(codec, {})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=container, options={"fflags": "+bitexact", **(muxer or {})}) as out:
            video: list[Any] = []
            for i in range(streams):
                stream: Any = out.add_stream(
                    codec, rate=rate, options={"flags": "+bitexact", **preset, **(options or {})}
                )
                stream.height, stream.width = (side if i == 0 else side >> i & ~1 for side in pictures[0].shape[:2])
                stream.pix_fmt = pixels
                stream.codec_context.thread_count = 1
                if codec in ("libx264", "libvpx-vp9", "libvpx"):
                    stream.codec_context.time_base = time_base
                video.append(stream)
            tone: Any = (
                out.add_stream("aac" if container != "webm" else "libopus", rate=48_000, layout="mono")
                if sound
                else None
            )
            for i, rgb in enumerate(pictures):
                for stream in video:
                    small = cv2.resize(rgb, (stream.width, stream.height), interpolation=cv2.INTER_NEAREST)
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(small, np.uint8), format="rgb24")
                    base = stream.codec_context.time_base or Fraction(1, int(rate))
                    frame.time_base = base
                    frame.pts = round((times[i] if times else float(i / Fraction(rate))) / base)
                    out.mux(stream.encode(frame))
            for stream in video:
                out.mux(stream.encode(None))
            if tone is not None:
                samples = (0.1 * np.sin(np.arange(int(48_000 * sound)) / 20)).astype(np.float32)[None]
                heard = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                heard.sample_rate = 48_000
                out.mux(tone.encode(heard))
                out.mux(tone.encode(None))
        return path.read_bytes()


# Truncation and damage.


def truncated(material: Material) -> Made:
    """Cut off: in the header, in the index, in the payload, in the last byte."""
    for name, data, count in (
        ("index-first.mp4", material.mp4, 26),
        ("index-last.mp4", material.index_last, 8),
        ("video.mkv", material.mkv, 12),
        ("video.ts", material.ts, 8),
        ("video.avi", material.avi, 8),
    ):
        for size in sorted({*_spread(len(data), count - 4), 1, 8, 40, len(data) - 1}):
            yield f"{size:06d}-{name}", data[:size]


def _spread(size: int, count: int) -> list[int]:
    """Places in a file, closer together at its head, where headers are."""
    return [int(size * ((i + 1) / (count + 1)) ** 2) for i in range(count)]


def flipped_header(material: Material) -> Made:
    """Bits turned over in headers."""
    start = material.mp4.index(b"moov")
    yield from _flipped("video.mp4", material.mp4, 0, start + 400, 22, 3)
    yield from _flipped("video.mkv", material.mkv, 0, 500, 14, 3)
    yield from _flipped("video.avi", material.avi, 0, 300, 8, 3)
    yield from _flipped("video.ts", material.ts, 0, 3 * 188, 6, 8)


def flipped_index(material: Material) -> Made:
    """Bits turned over in the tables that say where frames lie."""
    data = material.mp4
    yield from _flipped("video.mp4", data, data.index(b"stbl"), data.index(b"mdat"), 26, 2)
    yield from _flipped("video.avi", material.avi, material.avi.index(b"idx1"), len(material.avi), 6, 6)


def flipped_payload(material: Material) -> Made:
    """Bits turned over in coded pictures, codec by codec."""
    data = material.mp4
    yield from _flipped("h264.mp4", data, data.index(b"mdat"), len(data), 14, 24)
    yield from _flipped("mpeg4.avi", material.avi, 4096, material.avi.index(b"idx1"), 6, 48)
    yield from _flipped("h264.ts", material.ts, 1000, len(material.ts), 6, 48)
    for container, codec, pixels in (
        ("matroska", "libx265", "yuv420p"),
        ("webm", "libvpx", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("matroska", "ffv1", "yuv420p"),
        ("avi", "mjpeg", "yuvj420p"),
        ("gif", "gif", "rgb8"),
        ("mpeg", "mpeg2video", "yuv420p"),
        ("mov", "png", "rgb24"),
        ("flv", "flv1", "yuv420p"),
        ("asf", "wmv2", "yuv420p"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("avi", "huffyuv", "yuv422p"),
    ):
        name = f"{codec}.{'mkv' if container == 'matroska' else container}"
        intact = encode(material.pictures[:12], container, codec, pixels)
        yield from _flipped(name, intact, 600, len(intact), 3, 40)


def _flipped(name: str, data: bytes, start: int, stop: int, count: int, bits: int) -> Made:
    for number in range(count):
        chance = random.Random(f"{name} {start} {number}")
        damaged = bytearray(data)
        for _ in range(chance.randint(1, bits)):
            damaged[chance.randrange(start, stop)] ^= 1 << chance.randrange(8)
        yield f"{number:02d}-{name}", bytes(damaged)


def overwritten(material: Material) -> Made:
    """Zeros, noise, and parts of files in the wrong order."""
    data, noise = material.mp4, random.Random(1)
    yield "empty.mp4", b""
    yield "one-byte.mp4", b"\0"
    yield "zeros.mp4", bytes(100_000)
    yield "noise.mp4", noise.randbytes(100_000)
    yield "noise-behind-a-head.mp4", data[:32] + noise.randbytes(50_000)
    yield "noise-behind-a-head.mkv", material.mkv[:64] + noise.randbytes(50_000)
    for part in range(4):
        at = len(data) * part // 4
        yield f"zeros-in-quarter-{part}.mp4", data[:at] + bytes(2000) + data[at + 2000 :]
    yield "payload-zeroed.mp4", data[: data.index(b"mdat") + 4] + bytes(len(data) - data.index(b"mdat") - 4)
    yield "twice.mp4", data + data
    yield "twice.mkv", material.mkv + material.mkv
    yield "backwards.mp4", data[::-1]
    yield "text-in-front.mp4", b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n\r\n" + data
    yield "lf-to-crlf.mp4", data.replace(b"\n", b"\r\n")
    yield "utf8-decoded.mp4", data.decode("utf-8", "replace").encode()
    half = len(data) // 2
    yield "halves-swapped.mp4", data[half:] + data[:half]
    yield "payload-reversed.mp4", data[:half] + data[half:][::-1]


def wrong_ending(material: Material) -> Made:
    """Names that say something else than the contents, and contents that are no video."""
    for ending in ("avi", "mkv", "ts", "jpg", "txt", "m3u8", "mp3", "yuv", "exe"):
        yield f"mp4-named.{ending}", material.mp4
    yield "no-ending", material.mp4
    yield "avi-named.mp4", material.avi
    yield "text.mp4", b"This is no video.\n" * 200
    yield "page.mp4", b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>" * 20
    yield "data.mp4", b'{"error": "not found"}' * 100
    yield "archive.mp4", b"PK\x03\x04" + random.Random(2).randbytes(5000)
    yield "program.mp4", b"\x7fELF\x02\x01\x01" + random.Random(3).randbytes(5000)
    yield "document.mp4", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + random.Random(4).randbytes(5000)
    yield "subtitles.mp4", b"1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n" * 50
    yield "landmarks.mp4", b"frame, timestamp, confidence, success, x_0, y_0\n1, 0.0, 0.98, 1, 10.0, 10.0\n" * 20


def no_video(material: Material) -> Made:
    """Files without a video stream, or whose only picture is a cover."""
    with tempfile.TemporaryDirectory() as folder:
        for container, codec in (
            ("mp4", "aac"),
            ("matroska", "aac"),
            ("ogg", "libopus"),
            ("wav", "pcm_s16le"),
            ("mp3", "mp3"),
        ):
            path = Path(folder) / "sound"
            with av.open(str(path), "w", format=container, options={"fflags": "+bitexact"}) as out:
                stream: Any = out.add_stream(codec, rate=48_000, layout="mono")
                samples = (0.1 * np.sin(np.arange(48_000) / 20)).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate = 48_000
                out.mux(stream.encode(frame))
                out.mux(stream.encode(None))
            yield f"sound-{codec}.{container if container != 'matroska' else 'mkv'}", path.read_bytes()
    yield "header-only.mp4", material.mp4[: material.mp4.index(b"moov") - 4]
    yield "header-only.mkv", material.mkv[:200]


def several_streams(material: Material) -> Made:
    """More than one video stream, and sound."""
    pictures = material.pictures
    yield "two-videos.mp4", encode(pictures, "mp4", streams=2)
    yield "three-videos.mkv", encode(pictures, "matroska", streams=3)
    yield "two-videos-and-sound.ts", encode(pictures, "mpegts", streams=2, sound=1.0)
    yield "four-videos.mkv", encode(pictures[:4], "matroska", "mpeg4", streams=4)
    yield "two-programmes.ts", material.ts + material.ts.replace(b"\x47\x41\x00", b"\x47\x41\x01")


# Headers that lie.


def huge_claims(material: Material) -> Made:
    """Sizes, durations and counts that no video has."""
    data = material.mp4
    top = 0xFFFFFFFF
    for name, box, skip, value in (
        ("duration-mvhd", b"mvhd", 16, top),
        ("duration-tkhd", b"tkhd", 20, top),
        ("duration-mdhd", b"mdhd", 16, top),
        ("duration-signed", b"mvhd", 16, 0x7FFFFFFF),
        ("width-tkhd", b"tkhd", 76, top),
        ("samples-stsz", b"stsz", 8, top),
        ("samples-stts", b"stts", 4, top),
        ("run-stts", b"stts", 8, top),
        ("delta-stts", b"stts", 12, 0x7FFFFFFF),
        ("chunks-stsc", b"stsc", 4, top),
        ("chunks-stco", b"stco", 4, 0x0FFFFFFF),
        ("offset-stco", b"stco", 8, top),
        ("entries-stsd", b"stsd", 4, top),
    ):
        yield f"{name}.mp4", _patched(data, box, skip, struct.pack(">I", value))
    yield "frame-size-avc1.mp4", _patched(data, b"avc1", 24, struct.pack(">HH", 65535, 65535))
    yield "box-size.mp4", _patched(data, b"moov", -8, struct.pack(">I", top))
    at = data.index(b"mdat") - 4
    yield "box-size-64.mp4", data[:at] + struct.pack(">I4sQ", 1, b"mdat", 2**63 - 1) + data[at + 8 :]
    at = data.index(b"stsz") + 8
    yield "one-size-many-samples.mp4", data[: at - 4] + struct.pack(">III", 0, 4, top) + data[at + 8 :]
    mkv = material.mkv
    yield (
        "frame-size.mkv",
        mkv.replace(b"\xb0\x82\x01\x40", b"\xb0\x82\xff\xff").replace(b"\xba\x81\xb4", b"\xba\x81\xff"),
    )
    yield "duration.mkv", _after(mkv, b"\x44\x89\x88", struct.pack(">d", 1e300))
    yield "duration-negative.mkv", _after(mkv, b"\x44\x89\x88", struct.pack(">d", -1e9))
    yield "duration-nan.mkv", _after(mkv, b"\x44\x89\x88", struct.pack(">d", float("nan")))
    avi = material.avi
    at = avi.index(b"avih") + 8
    yield "frame-size.avi", avi[: at + 32] + struct.pack("<II", 2**31 - 1, 2**31 - 1) + avi[at + 40 :]
    yield "frames.avi", avi[: at + 16] + struct.pack("<I", top) + avi[at + 20 :]
    yield "frame-size.y4m", b"YUV4MPEG2 W100000 H100000 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(10_000)
    yield "frame-size-16k.y4m", b"YUV4MPEG2 W16384 H16384 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(10_000)
    yield "canvas.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;"
    yield "size.png", _png(2**31 - 1, 2**31 - 1, b"")
    yield "bomb.png", _png(30_000, 30_000, zlib.compress(bytes(2_000_000), 9))
    yield "true-12-megapixels.mkv", _blank(4000, 3000)
    yield "true-64-megapixels.mkv", _blank(16_000, 4000)


def _patched(data: bytes, box: bytes, skip: int, value: bytes) -> bytes:
    """`value` written `skip` bytes behind a box's name."""
    at = data.index(box) + 4 + skip
    return data[:at] + value + data[at + len(value) :]


def _after(data: bytes, mark: bytes, value: bytes) -> bytes:
    at = data.index(mark) + len(mark)
    return data[:at] + value + data[at + len(value) :]


def _png(width: int, height: int, pixels: bytes) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _blank(width: int, height: int) -> bytes:
    return encode([np.zeros((height, width, 3), np.uint8)] * 2, "matroska", options={"crf": "50"})


def frame_rates(material: Material) -> Made:
    """No rate, a rate of 0, 1000 frames a second, and rates that are not told."""
    data, pictures = material.mp4, material.pictures
    yield "zero-delta.mp4", _patched(data, b"stts", 12, struct.pack(">I", 0))
    yield "zero-timescale.mp4", _patched(data, b"mdhd", 12, struct.pack(">I", 0))
    yield "zero-movie-timescale.mp4", _patched(data, b"mvhd", 12, struct.pack(">I", 0))
    yield "top-timescale.mp4", _patched(data, b"mdhd", 12, struct.pack(">I", 0xFFFFFFFF))
    yield "slow-timescale.mp4", _patched(data, b"mdhd", 12, struct.pack(">I", 1))
    yield "1000-fps.mp4", encode(pictures, "mp4", rate=1000)
    yield "1000-fps.mkv", encode(pictures, "matroska", rate=1000)
    yield "1000-fps-long.mp4", encode([p for p in pictures for _ in range(8)], "mp4", rate=1000)
    yield "1-fps.mp4", encode(pictures[:6], "mp4", rate=1)
    yield "100-s-a-frame.mp4", encode(pictures[:6], "mp4", times=[100.0 * i for i in range(6)])
    yield "no-default-duration.mkv", material.mkv.replace(b"\x23\xe3\x83", b"\x23\xe3\x82")
    avi, at = material.avi, material.avi.index(b"strh") + 8
    yield "zero-rate.avi", avi[: at + 24] + struct.pack("<I", 0) + avi[at + 28 :]
    yield "zero-scale.avi", avi[: at + 20] + struct.pack("<I", 0) + avi[at + 24 :]
    small = [cv2.cvtColor(p, cv2.COLOR_RGB2YUV_I420) for p in pictures[:8]]
    for name, rate in (("zero", b"0:0"), ("zero-over-one", b"0:1"), ("one-over-zero", b"1:0"), ("negative", b"-25:1")):
        head = b"YUV4MPEG2 W%d H%d F%s Ip A1:1 C420jpeg\n" % (WIDTH, HEIGHT, rate)
        yield f"{name}.y4m", head + b"".join(b"FRAME\n" + p.tobytes() for p in small)


def time_stamps(material: Material) -> Made:
    """Negative, equal, backward, missing and far-away time stamps; a variable frame rate."""
    pictures, count = material.pictures, FRAMES
    even = [i / RATE for i in range(count)]
    chance = random.Random(5)
    stamps = {
        "all-equal": [1.0] * count,
        "variable": list(np.cumsum([chance.uniform(0.01, 0.2) for _ in range(count)])),
        "bursts": [0.2 * (i // 5) + 0.002 * (i % 5) for i in range(count)],
        "gap-of-an-hour": [t if i < 20 else t + 3600 for i, t in enumerate(even)],
        "gap-of-a-year": [t if i < 20 else t + 3.15e7 for i, t in enumerate(even)],
    }
    for name, times in stamps.items():
        yield f"{name}.mkv", _stamped(pictures, times)
    disorder = {
        "backward": even[::-1],
        "shuffled": chance.sample(even, count),
        "sawtooth": [t % 0.3 for t in even],
        "negative": [t - 5.0 for t in even],
        "wraps": [95443.6 + t for t in even],  # where the 33 bits of MPEG's clock end
    }
    for name, times in disorder.items():
        yield f"{name}.ts", _restamped(material.ts, times)
    offsets = struct.pack(">I4sIIII", 24, b"ctts", 1 << 24, 1, count, 0x80000000)
    yield "negative-offsets.mp4", _into_table(material.mp4, offsets)
    offsets = struct.pack(">I4sIIII", 24, b"ctts", 0, 1, count, 0x7FFFFFFF)
    yield "huge-offsets.mp4", _into_table(material.mp4, offsets)
    yield "edit-before-start.mp4", _patched(material.mp4, b"elst", 12, struct.pack(">i", -(2**31)))
    yield "edit-behind-end.mp4", _patched(material.mp4, b"elst", 12, struct.pack(">I", 2**31 - 1))
    yield "edit-endless.mp4", _patched(material.mp4, b"elst", 4, struct.pack(">I", 0xFFFFFFFF))


def _stamped(pictures: Sequence[Picture], times: Sequence[float]) -> bytes:
    """Matroska whose pictures carry these times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as out:
            stream: Any = out.add_stream("mjpeg", rate=RATE, options={"flags": "+bitexact"})
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
            for rgb, time in zip(pictures, times, strict=True):
                for packet in stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                    packet.time_base = Fraction(1, 1000)
                    packet.pts = packet.dts = round(1000 * time)
                    out.mux(packet)
        return path.read_bytes()


def _restamped(ts: bytes, times: Sequence[float]) -> bytes:
    """An MPEG transport stream whose packets carry other presentation times."""
    data, number = bytearray(ts), 0
    at = data.find(b"\x00\x00\x01\xe0")
    while at >= 0 and number < len(times):
        if data[at + 7] & 0x80:
            ticks = round(times[number] * 90_000) % 2**33
            flag = 0x31 if data[at + 7] & 0x40 else 0x21
            data[at + 9 : at + 14] = _clock_bytes(ticks, flag)
            if data[at + 7] & 0x40:
                data[at + 14 : at + 19] = _clock_bytes(ticks, 0x11)
            number += 1
        at = data.find(b"\x00\x00\x01\xe0", at + 4)
    return bytes(data)


def _clock_bytes(ticks: int, flag: int) -> bytes:
    return bytes(
        (
            flag | (ticks >> 29 & 0x0E),
            ticks >> 22 & 0xFF,
            ticks >> 14 & 0xFE | 1,
            ticks >> 7 & 0xFF,
            ticks << 1 & 0xFE | 1,
        )
    )


def _into_table(data: bytes, box: bytes) -> bytes:
    """A box put at the end of the sample table; the boxes around it grow, chunks move."""
    out = bytearray(data)
    at = data.index(b"stbl") - 4
    end = at + struct.unpack_from(">I", data, at)[0]
    for name in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = data.index(name) - 4
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + len(box))
    chunks = data.index(b"stco") + 8
    for i in range(struct.unpack_from(">I", data, chunks)[0]):
        place = chunks + 4 + 4 * i
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + len(box))
    return bytes(out[:end] + box + out[end:])


# Unusual but right.


def rotated(material: Material) -> Made:
    """Turned, mirrored and slanted by the header."""
    one = 0x10000
    for name, (a, b, c, d) in {
        "90": (0, one, -one, 0),
        "180": (-one, 0, 0, -one),
        "270": (0, -one, one, 0),
        "mirrored": (-one, 0, 0, one),
        "45": (46341, 46341, -46341, 46341),
        "all-zero": (0, 0, 0, 0),
        "top": (2**31 - 1, 2**31 - 1, 2**31 - 1, 2**31 - 1),
    }.items():
        yield f"{name}.mp4", _patched(material.mp4, b"tkhd", 40, struct.pack(">iiiii", a, b, 0, c, d))


def few_frames(material: Material) -> Made:
    """One picture, or hardly more."""
    pictures = material.pictures
    for count in (1, 2, 3, 29):
        yield f"{count}-frames.mp4", encode(pictures[:count], "mp4")
    yield "one-frame.gif", encode(pictures[:1], "gif", "gif", "rgb8")
    yield "still.png", encode(pictures[:1], "image2pipe", "png", "rgb24")
    yield "still.jpg", encode(pictures[:1], "image2pipe", "mjpeg", "yuvj420p")
    yield "still.webp", encode(pictures[:1], "image2pipe", "libwebp", "yuv420p")
    yield "black.mp4", encode([np.zeros_like(pictures[0])] * FRAMES, "mp4")
    noise = np.random.default_rng(6)
    yield (
        "noise.mp4",
        encode([noise.integers(0, 256, pictures[0].shape).astype(np.uint8) for _ in range(FRAMES)], "mp4"),
    )
    yield "frozen.mp4", encode([pictures[0]] * FRAMES, "mp4")


def sizes(material: Material) -> Made:
    """Frames of one pixel, odd sides, and extreme shapes."""
    for width, height in ((1, 1), (2, 2), (3, 5), (161, 97), (17, 1080), (4096, 2), (2, 4096), (1, 300), (300, 1)):
        pictures = [cv2.resize(p, (width, height)).astype(np.uint8) for p in material.pictures[:8]]
        yield f"{width}x{height}.mov", encode(pictures, "mov", "png", "rgb24")
    small = [cv2.resize(p, (160, 90)).astype(np.uint8) for p in material.pictures]
    yield "grows.ts", encode(small[:17], "mpegts") + encode(material.pictures[17:], "mpegts")
    yield "shrinks.ts", encode(material.pictures[:17], "mpegts") + encode(small[17:], "mpegts")
    yield (
        "grows-to-64-megapixels.ts",
        encode(small[:17], "mpegts") + encode([np.zeros((4000, 16_000, 3), np.uint8)], "mpegts", options={"crf": "50"}),
    )


def pixel_formats(material: Material) -> Made:
    """Other subsampling, depths, ranges, alpha, interlacing."""
    for name, container, codec, pixels, options in (
        ("444.mp4", "mp4", "libx264", "yuv444p", {}),
        ("422.mp4", "mp4", "libx264", "yuv422p", {}),
        ("10-bit.mkv", "matroska", "libx264", "yuv420p10le", {}),
        ("10-bit-444.mkv", "matroska", "libx264", "yuv444p10le", {}),
        ("10-bit-hevc.mp4", "mp4", "libx265", "yuv420p10le", {}),
        ("full-range.avi", "avi", "mjpeg", "yuvj420p", {}),
        ("grey.mkv", "matroska", "ffv1", "gray", {}),
        ("16-bit-grey.mkv", "matroska", "ffv1", "gray16le", {}),
        ("16-bit-rgb.mkv", "matroska", "ffv1", "gbrp16le", {}),
        ("411.mkv", "matroska", "ffv1", "yuv411p", {}),
        ("alpha-vp9.webm", "webm", "libvpx-vp9", "yuva420p", {"deadline": "realtime", "cpu-used": "8"}),
        ("alpha-prores.mov", "mov", "prores_ks", "yuva444p10le", {}),
        ("alpha-png.mov", "mov", "png", "rgba", {}),
        ("alpha-ffv1.mkv", "matroska", "ffv1", "bgra", {}),
        ("animation.mov", "mov", "qtrle", "rgb24", {}),
        ("palette.gif", "gif", "gif", "rgb8", {}),
        ("interlaced-top.mp4", "mp4", "libx264", "yuv420p", {"flags": "+ildct+ilme", "x264-params": "tff=1"}),
        ("interlaced-bottom.ts", "mpegts", "libx264", "yuv420p", {"flags": "+ildct+ilme", "x264-params": "bff=1"}),
        ("interlaced.mpg", "mpeg", "mpeg2video", "yuv420p", {"flags": "+ildct+ilme"}),
    ):
        yield name, encode(material.pictures, container, codec, pixels, options=options)


def sound(material: Material) -> Made:
    """Sound that lasts longer than the picture, or begins before it."""
    yield "longer.mp4", encode(material.pictures, "mp4", sound=20.0)
    yield "longer.mkv", encode(material.pictures, "matroska", sound=20.0)
    yield "longer-one-picture.mp4", encode(material.pictures[:1], "mp4", sound=20.0)
    late = [30 + i / RATE for i in range(FRAMES)]
    yield "picture-comes-late.mp4", encode(material.pictures, "mp4", sound=31.0, times=late)


# Files that would have something else opened.


def playlists(material: Material) -> Made:
    """Lists and descriptions that name other files and addresses, under honest and under false names."""
    web, local = f"http://{material.address}/video", "inside.mp4"
    yield local, material.mp4
    for name, source in (
        ("local", local),
        ("address", f"{web}.ts"),
        ("file", "file:///etc/passwd"),
        ("udp", "udp://@:9"),
    ):
        hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{source}\n#EXT-X-ENDLIST\n".encode()
        yield f"hls-{name}.m3u8", hls
        yield f"hls-{name}.mp4", hls
        yield f"concat-{name}.ffconcat", f"ffconcat version 1.0\nfile '{source}'\n".encode()
        yield f"concat-{name}.mp4", f"ffconcat version 1.0\nfile '{source}'\n".encode()
    yield (
        "key.m3u8",
        (
            f'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="{web}.key"\n#EXTINF:2,\n{local}\n'
        ).encode(),
    )
    yield "master.m3u8", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{web}.m3u8\n".encode()
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    yield "session.sdp", sdp.encode()
    yield "session.mp4", sdp.encode()
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT2S">'
        f'<BaseURL>{web}/</BaseURL><Period><AdaptationSet><Representation id="1" bandwidth="1" mimeType="video/mp4">'
        f"<BaseURL>{local}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    yield "manifest.mpd", mpd.encode()
    yield "manifest.mp4", mpd.encode()
    yield "list.pls", f"[playlist]\nFile1={web}.mp4\nNumberOfEntries=1\n".encode()
    yield "list.xspf", f"<playlist><trackList><track><location>{web}</location></track></trackList></playlist>".encode()
    yield "list.asx", f'<asx version="3.0"><entry><ref href="{web}.asf"/></entry></asx>'.encode()
    yield "rtsptext.mov", f"RTSPtext rtsp://{material.address}/video".encode()
    yield "picture.svg", f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{web}.png"/></svg>'.encode()
    yield "script.avs", b'AviSource("inside.mp4")\n'
    yield "numbered-%03d.png", _png(2, 2, zlib.compress(bytes(14)))
    yield "external.mov", _external(material.mp4, f"{web}.mov")
    yield "external-file.mov", _external(material.mp4, "file:///etc/passwd")
    yield "list.txt", f"{local}\n{web}\n".encode()


def _external(data: bytes, address: str) -> bytes:
    """An MP4 whose media lie elsewhere: a data reference that is not to this file."""
    at = data.index(b"url \0\0\0\1")
    entry = b"url \0\0\0\0" + address.encode() + b"\0"
    return _grown(data, at, len(b"url \0\0\0\1"), entry, (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"))


def _grown(data: bytes, at: int, size: int, entry: bytes, around: Iterable[bytes]) -> bytes:
    out, more = bytearray(data), len(entry) - size
    for place in (at - 4, *(data.index(name) - 4 for name in around)):
        struct.pack_into(">I", out, place, struct.unpack_from(">I", out, place)[0] + more)
    return bytes(out[:at] + entry + out[at + size :])


def names(material: Material) -> Made:
    """Whole videos under names that shells, terminals and parsers trip over."""
    short = encode(material.pictures[:4], "mp4")
    for name in (
        *(
            "видео.mp4",
            "视频文件.mp4",
            "فيديو.mp4",
            "😀👩\u200d👩\u200d👧.mp4",
            "e\u0301te\u0301.mp4",
            "\u202e4pm.ekaf.mp4",
        ),
        *("line\nbreak.mp4", "tab\there.mp4", "\x1b[31mred\x1b[0m.mp4", "-leading-dash.mp4", "--json.mp4"),
        *(" spaces .mp4", "'quotes\".mp4", "%d.mp4", "%s%n.mp4", "*?[a].mp4", "http:.mp4", "pipe:0", "concat:a|b.mp4"),
        *("back\\slash.mp4", "[bold red]markup.mp4", "{curly}.mp4", "a=b;c&d.mp4", "~.mp4", "$HOME.mp4"),
        *("n" * 251 + ".mp4", "...mp4", "CON.mp4"),
    ):
        yield name, short
    yield os.fsdecode(b"not-utf8-\xff\xfe.mp4"), short


def nested(material: Material) -> Made:
    """Boxes in boxes in boxes, and more streams than anybody has."""
    inner = b""
    for _ in range(3000):
        inner = struct.pack(">I4s", len(inner) + 8, b"trak") + inner
    yield "deep.mp4", material.mp4[:32] + struct.pack(">I4s", len(inner) + 8, b"moov") + inner
    yield (
        "many-tracks.mp4",
        material.mp4[:32] + (struct.pack(">I4s", 8 + 8 * 20_000, b"moov") + struct.pack(">I4s", 8, b"trak") * 20_000),
    )
    yield "many-boxes.mp4", struct.pack(">I4s", 8, b"free") * 100_000 + material.mp4
    ebml = b""
    for _ in range(40):
        ebml = b"\xa3" + (0x08000000 | len(ebml)).to_bytes(4, "big")[0:0] + _ebml_size(len(ebml)) + ebml
    yield "deep.mkv", material.mkv[:60] + ebml
    yield "endless-sizes.mkv", material.mkv[:60] + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 2000


def _ebml_size(size: int) -> bytes:
    return (0x10000000 | size).to_bytes(4, "big")


KINDS: Final[dict[str, Callable[[Material], Made]]] = {
    "truncated": truncated,
    "flipped-header": flipped_header,
    "flipped-index": flipped_index,
    "flipped-payload": flipped_payload,
    "overwritten": overwritten,
    "wrong-ending": wrong_ending,
    "no-video": no_video,
    "several-streams": several_streams,
    "huge-claims": huge_claims,
    "frame-rates": frame_rates,
    "time-stamps": time_stamps,
    "rotated": rotated,
    "few-frames": few_frames,
    "sizes": sizes,
    "pixel-formats": pixel_formats,
    "sound": sound,
    "playlists": playlists,
    "names": names,
    "nested": nested,
}


def make(folder: Path, address: str = LISTENER) -> list[Path]:
    """Write the corpus.

    Args:
        folder: new or empty; each kind gets a folder in it.
        address: "host:port" that playlists name.

    Returns:
        its files, and the names that are no files, kind by kind.
    """
    material = Material.make(address)
    found: list[Path] = []
    for kind, maker in KINDS.items():
        place = folder / kind
        place.mkdir(parents=True)
        for name, data in maker(material):
            (place / name).write_bytes(data)
            found.append(place / name)
    return found + _no_files(folder / "no-files")


def sample(inputs: Sequence[Path]) -> list[Path]:
    """Of inputs that differ only in the place of the damage, about a third; all others."""
    alike: dict[tuple[str, str], list[Path]] = {}
    for path in inputs:
        number, _, rest = path.name.partition("-")
        damaged = path.parent.name in ("truncated", "flipped-header", "flipped-index", "flipped-payload")
        alike.setdefault((path.parent.name, rest if damaged and number.isdigit() else path.name), []).append(path)
    return [path for some in alike.values() for path in some[:: 3 if len(some) > 3 else 2]]


def _no_files(place: Path) -> list[Path]:
    """What can stand under a file's name and is none."""
    place.mkdir()
    (place / "dangling.mp4").symlink_to("nothing.mp4")
    (place / "circle.mp4").symlink_to("circle.mp4")
    (place / "endless.mp4").symlink_to("/dev/zero")
    os.mkfifo(place / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(place)  # the path of a socket may have 108 bytes
        listening.bind("socket.mp4")
        os.chdir(here)
    return sorted([*place.iterdir(), place / "absent.mp4"])
