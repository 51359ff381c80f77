"""Figures for Prometheus, which asks for them; nothing is sent anywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrnet.service.database import Store
from lrnet.service.rows import JobState
from lrnet.service.worker import ALIVE_SECONDS
from lrnet.verdict import State

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class Figures:
    """The figures of one web process, with those that the database keeps for all processes."""

    def __init__(self, store: Store) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Database(store))
        self.requests = Counter(
            "lrnet_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "lrnet_http_seconds",
            "Time from a request to the head of its answer; an upload's includes the upload.",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.received = Counter("lrnet_upload_bytes", "Bytes of videos received.", registry=self.registry)
        self.refused = Counter(
            "lrnet_uploads_refused", "Uploads that were refused or broken off.", ("error",), registry=self.registry
        )


class _Database(Collector):
    """Figures read from the database when they are asked for: they outlive every process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:  # the registry would else read the database when it is made
        return iter(())

    def collect(self) -> Iterator[Metric]:
        states, counted = self._store.states(), self._store.counters()
        videos = GaugeMetricFamily("lrnet_videos", "Videos there are, by state.", labels=["state"])
        for state in JobState:
            videos.add_metric([state], states.get(state, 0))
        yield videos
        yield GaugeMetricFamily(
            "lrnet_oldest_waiting_seconds",
            "How long the oldest queued video has been waiting.",
            value=self._store.longest_wait(),
        )
        yield GaugeMetricFamily(
            "lrnet_worker_slots",
            "Videos that the living workers judge at a time.",
            value=self._store.slots(ALIVE_SECONDS),
        )
        judged = CounterMetricFamily("lrnet_judged", "Videos judged, by verdict.", labels=["verdict"])
        for verdict in State:
            judged.add_metric([verdict], counted.get(f"verdict_{verdict}", 0.0))
        yield judged
        yield CounterMetricFamily("lrnet_failed", "Videos that could not be judged.", value=counted.get("failed", 0.0))
        yield CounterMetricFamily(
            "lrnet_judging_seconds", "Time spent on videos that were judged.", value=counted.get("judging_seconds", 0.0)
        )


class Measured:
    """ASGI middleware that counts and times requests, and answers HEAD as GET without the body.

    It stands inside the application, where the route is known.
    """

    def __init__(self, app: ASGIApp, *, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, method = time.perf_counter(), scope["method"]
        head = method == "HEAD"
        if head:
            scope["method"] = "GET"
        started = asyncio.Event()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.set()
                route = getattr(scope.get("route"), "path", "other")
                known = method if method in _METHODS else "other"
                self._figures.requests.labels(known, route, str(message["status"])).inc()
                self._figures.seconds.labels(known, route).observe(time.perf_counter() - began)
                await send(message)
                if head:
                    await send({"type": "http.response.body", "body": b""})
            elif not head:
                await send(message)

        async def receive_measured() -> Message:
            if not head:
                return await receive()
            await started.wait()  # HEAD has no body, and a stream of events would not end
            return {"type": "http.disconnect"}

        await self._app(scope, receive_measured, send_measured)


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
