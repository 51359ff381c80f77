"""Videos again as they look at the other end of a video call.

usage: make_calls.py STORE OUT [--most N] [--workers N]

Each copy is shrunk to 360, 480 or 720 rows, loses frames (15 to 30 a second stay), freezes now and then, is encoded by
VP8 or H.264 at 300 to 1500 kbit/s, loses packets, and is captured from a window: decoded, repeated to 30 frames a
second by the clock of the capture, and encoded again. What happens to a video is drawn from its name, and is the same
every time. STORE says where the videos are. Writes OUT/manifest.csv, which
`lrnet.experiments.sequential --folder` and `lrnet extract` read. Stopped and started again, it goes on.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lrnet.data import store
from lrnet.data.dataset import Dataset
from lrnet.data.engines import LocalEngine
from lrnet.data.manifest import write_manifest
from lrnet.data.records import VideoRecord
from lrnet.files import written_beside
from lrnet.video.limits import WHOLE
from lrnet.video.reader import VideoReader

LONGEST = 30.0  # seconds of each video
CAPTURE_RATE = 30  # frames a second that a screen recorder takes
TICKS = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class CallCopy:
    """One copy to write.

    Attributes:
        rows: of the picture that is sent, at most.
        rate: frames a second that are sent, at most.
        kilobits: a second.
        freezes: of so many seconds, about every ten seconds.
        loss: share of packets that never arrive.
    """

    record: VideoRecord
    target: Path
    codec: str
    rows: int
    rate: float
    kilobits: int
    freezes: float
    loss: float

    @classmethod
    def drawn(cls, record: VideoRecord, out: Path) -> CallCopy:
        draw = random.Random(record.key)
        target = (out / "calls" / record.key.replace("/", "__")).with_suffix(".mp4")
        return cls(
            record,
            target,
            draw.choice(("libvpx", "libx264")),
            draw.choice((360, 480, 720)),
            draw.choice((15.0, 20.0, 25.0, 30.0)),
            draw.choice((300, 500, 800, 1500)),
            draw.choice((0.0, 0.3, 1.0)),
            draw.choice((0.0, 0.0, 0.005, 0.02)),
        )


def sent(task: CallCopy) -> Iterator[tuple[VideoFrame, float]]:
    """The frames that are sent, with their times: shrunk, thinned out, frozen."""
    draw = random.Random(f"{task.record.key} sending")
    last, frozen_until = -1.0, 0.0
    with VideoReader(task.record.path, WHOLE, threads=1) as reader:
        for frame in reader:
            if frame.time > LONGEST:
                return
            if task.freezes and draw.random() < 1 / (10 * (reader.info.frame_rate or 25)):
                frozen_until = frame.time + task.freezes
            if frame.time < frozen_until or frame.time - last < 0.75 / task.rate:
                continue
            last = frame.time
            rgb = frame.rgb()
            scale = min(1.0, task.rows / min(rgb.shape[:2]))
            height, width = (2 * round(side * scale / 2) for side in rgb.shape[:2])
            whole = VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
            yield whole.reformat(width, height, "yuv420p", threads=1), frame.time


def received(task: CallCopy) -> Iterator[tuple[VideoFrame, float]]:
    """The frames that arrive: encoded, some packets lost, decoded as a player does, errors and all."""
    draw = random.Random(f"{task.record.key} loss")
    encoder: VideoCodecContext | None = None
    decoder: VideoCodecContext | None = None
    for picture, time in sent(task):
        if encoder is None or decoder is None:
            encoder = cast("VideoCodecContext", av.CodecContext.create(task.codec, "w"))
            encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "yuv420p"
            encoder.time_base, encoder.framerate = TICKS, Fraction(int(task.rate))
            encoder.bit_rate = 1000 * task.kilobits
            live = {"deadline": "realtime", "cpu-used": "8", "error-resilient": "1", "lag-in-frames": "0"}
            x264 = {"preset": "veryfast", "tune": "zerolatency", "maxrate": f"{task.kilobits}k", "bufsize": "1M"}
            encoder.options = {"threads": "1", "g": "150", **(live if task.codec == "libvpx" else x264)}
            decoder = av.CodecContext.create("vp8" if task.codec == "libvpx" else "h264", "r")
        picture.pts, picture.time_base = round(time / TICKS), TICKS
        for packet in encoder.encode(picture):
            if not packet.is_keyframe and draw.random() < task.loss:
                continue
            try:
                frames = decoder.decode(packet)
            except av.error.FFmpegError:
                continue
            for frame in frames:
                yield frame, time


def write(task: CallCopy) -> CallCopy:
    """Capture what arrives at a steady rate, if the file is not there."""
    if task.target.is_file():
        return task
    task.target.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(task.target) as partial:
        out, stream, shown, tick = None, None, None, 0
        for picture, time in received(task):
            if out is None:
                out = av.open(str(partial), "w", format="mp4")
                stream = out.add_stream("libx264", rate=CAPTURE_RATE)
                assert isinstance(stream, VideoStream)
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
                stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}
            while shown is not None and stream is not None and tick < round(time * CAPTURE_RATE):
                _capture(out, stream, shown, tick)
                tick += 1
            shown = picture
        if out is None or shown is None or stream is None:
            raise ValueError(f"no frame of {task.record.key} arrives")
        _capture(out, stream, shown, tick)
        out.mux(stream.encode(None))
        out.close()
    return task


def _capture(out: av.container.OutputContainer, stream: VideoStream, picture: VideoFrame, tick: int) -> None:
    again = VideoFrame.from_ndarray(picture.to_ndarray(), format=picture.format.name)
    again.pts, again.time_base = tick, Fraction(1, CAPTURE_RATE)
    out.mux(stream.encode(again))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--most", type=int, default=0, metavar="N", help="videos of each label; 0 for all")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    records = [v.record for v in store.open(args.store) if v.record.path.is_file()]
    if args.most:  # spread over the people, the same every time
        records.sort(key=lambda r: random.Random(r.key).random())
        first: dict[str, list[VideoRecord]] = {}
        for record in records:
            first.setdefault(record.label.value, []).append(record)
        records = [record for some in first.values() for record in some[: args.most]]
    done = []
    for outcome in LocalEngine(args.workers).run(write, [CallCopy.drawn(r, args.out) for r in records]):
        if outcome.result is None:
            print(f"  {outcome.item.record.key}: {outcome.error}", flush=True)
            continue
        done.append(replace(outcome.result.record, path=outcome.result.target, compression="call"))
    write_manifest(args.out / "manifest.csv", Dataset("manifest", args.out, tuple(sorted(done, key=lambda r: r.key))))
    print(f"{len(done)} of {len(records)} videos in {args.out}")


if __name__ == "__main__":
    main()
