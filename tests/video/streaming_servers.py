"""Servers of a stream, for tests: a camera's, by RTSP, and one by HTTP that does not say how much is to come."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import av

CLOCK: Final = 90_000  # ticks a second of RTP's time stamps for video
LARGEST: Final = 1200  # bytes of a packet's payload
SDP: Final = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track1\r\n"
)


@contextmanager
def rtsp(video: Path, plays: int) -> Iterator[str]:
    """The address of a server that plays an H.264 video (Annex B) to `plays` clients one after the other, breaks each
    connection off at the end, and is gone after the last."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(plays):
            client, _ = server.accept()
            with client:
                _answer(client, video)
        server.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/camera"
    thread.join(30)
    assert not thread.is_alive(), "a client has not come"


def _answer(client: socket.socket, video: Path) -> None:
    requests = client.makefile("rb")
    while True:
        method, headers = _request(requests)
        reply = [f"CSeq: {headers['cseq']}"]
        body = ""
        if method == "DESCRIBE":
            body = SDP
            reply += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif method == "SETUP":
            reply += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
        else:
            reply += ["Public: DESCRIBE, SETUP, PLAY, TEARDOWN", "Session: 1"]
        client.sendall("\r\n".join(["RTSP/1.0 200 OK", *reply, "", body]).encode())
        if method == "PLAY":
            for packet in _rtp(video):
                client.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            return


def _request(lines: Iterator[bytes]) -> tuple[str, dict[str, str]]:
    first = next(lines).decode()
    headers = {}
    for line in lines:
        name, _, value = line.decode().partition(":")
        if not value:
            break
        headers[name.lower()] = value.strip()
    return first.split()[0], headers


def _rtp(video: Path) -> Iterator[bytes]:
    """RTP packets (RFC 6184, packetization mode 1)."""
    number = 0
    with av.open(str(video)) as source:
        track = source.streams.video[0]
        for packet in source.demux(track):
            if packet.pts is None or track.time_base is None:
                continue
            ticks = round(packet.pts * track.time_base * CLOCK)
            units = [u for u in re.split(rb"\x00\x00\x00?\x01", bytes(packet)) if u]
            payloads = [part for unit in units for part in _parts(unit)]
            for place, payload in enumerate(payloads):
                last = place == len(payloads) - 1
                yield struct.pack(">BBHII", 0x80, 96 | last << 7, number % 2**16, ticks % 2**32, 7) + payload
                number += 1


def _parts(unit: bytes) -> list[bytes]:
    """A NAL unit, in fragments (FU-A) if it is too large for one packet."""
    if len(unit) <= LARGEST:
        return [unit]
    head, content = unit[0], unit[1:]
    starts = range(0, len(content), LARGEST)
    return [
        bytes([head & 0xE0 | 28, (at == 0) << 7 | (at + LARGEST >= len(content)) << 6 | head & 0x1F])
        + content[at : at + LARGEST]
        for at in starts
    ]


@contextmanager
def http(video: Path, plays: int) -> Iterator[str]:
    """The address of a server that sends a video's bytes `plays` times, without their number, and then refuses."""
    left = [plays]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left[0] -= 1
            self.send_response(200 if left[0] >= 0 else 404)
            self.end_headers()
            if left[0] >= 0:
                self.wfile.write(video.read_bytes())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/stream.ts"
    finally:
        server.shutdown()
        server.server_close()
