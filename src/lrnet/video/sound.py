"""The sound of a video or of stretches of it, for annotated copies and the clips of reports. It is never examined."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Any, Final

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from lrnet.video.limits import Access
from lrnet.video.opening import open_container, origin_of

RATE: Final = 32_000  # Hz
BIT_RATE: Final = 48_000
SECONDS: Final = 30.0  # that decoding may take; what was decoded by then counts
LEAD: Final = 0.5  # seconds before a stretch from which on it is decoded: a seek need not land on it
PART: Final = 120.0  # seconds of a whole video's sound that are in memory at a time
ALL_SECONDS: Final = 600.0  # that decoding all of it may take; what was decoded by then counts
STEADY: Final = 0.02  # seconds that a part may seem to lie off the end of the one before

Piece = tuple[float, float, float]
"""Second of the clip that a stretch begins at, and the seconds of the video that it begins and ends with."""
Samples = NDArray[np.int16]


def samples_of(pieces: Sequence[Piece]) -> int:
    """How many samples a clip of these pieces has."""
    at, start, stop = pieces[-1]
    return round((at + stop - start) * RATE)


def decode_sound(name: str, access: Access, pieces: Sequence[Piece]) -> Samples | None:
    """The sound of a clip, decoded in this process: mono, `RATE` Hz, (N,); silent where the video has none.

    Returns:
        None if the video has no sound that can be decoded.

    Raises:
        VideoError: the file cannot be opened.
    """
    ends, heard = monotonic() + SECONDS, False
    found = np.zeros(samples_of(pieces), np.int16)
    with open_container(name, access) as container:
        if not container.streams.audio:
            return None
        for at, start, stop in pieces:
            first, last, after = round(at * RATE), round((at + stop - start) * RATE), 0
            for time, samples in _from(container, start - LEAD):
                place = round((at + time - start) * RATE)
                if abs(place - after) < STEADY * RATE:  # Matroska rounds stamps to milliseconds
                    place = after
                after = place + len(samples)
                low, high = max(place, first), min(place + len(samples), last, len(found))
                if low < high:
                    found[low:high] = samples[low - place : high - place]
                    heard = True
                if time > stop or monotonic() > ends:
                    break
    return found if heard else None


def _from(container: InputContainer, start: float) -> Iterator[tuple[float, Samples]]:
    """The sound from about `start` on, with the second of the video that each part begins at."""
    stream, origin = container.streams.audio[0], origin_of(container)
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    container.seek(round((max(0.0, start) + origin) * av.time_base))
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:  # the file breaks off here
            return
        if packet is None:
            return
        try:
            frames = [frame for frame in packet.decode() if isinstance(frame, AudioFrame) and frame.pts is not None]
        except (av.error.FFmpegError, ValueError):  # the next one may be whole
            continue
        for part in (part for frame in frames for part in resampler.resample(frame)):
            if part.pts is not None and part.time_base is not None:
                yield float(part.pts * part.time_base) - origin, part.to_ndarray()[0]


def add_sound(path: Path, sound: Iterable[Samples]) -> None:
    """Give an MP4 file without sound this one, in parts of (N,) mono at `RATE` Hz, as AAC; none leave it as it is.

    Raises:
        av.error.FFmpegError, OSError: it cannot be written; the file is as it was.
    """
    parts = iter(sound)
    first = next(parts, None)
    if first is None:
        return
    partial = path.with_suffix(".sound.mp4")
    try:
        with av.open(str(path)) as silent, av.open(str(partial), "w", options={"movflags": "+faststart"}) as whole:
            picture = silent.streams.video[0]
            stream = whole.add_stream_from_template(picture)
            voice = whole.add_stream("aac", rate=RATE, layout="mono")
            voice.bit_rate = BIT_RATE
            seen = (packet for packet in silent.demux(picture) if packet.dts is not None)
            for packet in heapq.merge(seen, _encoded(voice, chain([first], parts)), key=_time):
                if packet.stream is picture:
                    packet.stream = stream
                whole.mux(packet)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encoded(voice: AudioStream, sound: Iterable[Samples]) -> Iterator[Packet[Any]]:
    at = 0
    for part in sound:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(part[None]), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
        at += len(part)
        yield from voice.encode(frame)
    yield from voice.encode(None)


def _time(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * (packet.time_base or Fraction(1))
