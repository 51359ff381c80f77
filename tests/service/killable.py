"""A worker for `test_kills`: the real one, but for a judge that only waits."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from lrnet.service import worker
from lrnet.service.database import Store
from lrnet.service.rows import VideoRow
from lrnet.service.settings import Settings
from lrnet.service.work import Job

FINDING = {
    "kind": "finding", "verdict": "inconclusive", "probability": 0.5, "held_back": False, "score": 0.5, "faces": 1,
    "model": "m 1", "extras_failed": {},
    "document": '{"video": {"sha256": "' + "ab" * 32 + '"}}',
    "summary": {"reasons": [], "seconds_examined": 1.0, "duration": 1.0, "damaged_packets": 0, "model_hash": "ab"},
}  # fmt: skip


class Waiting:
    """Stands in for `JobProcess`."""

    def __init__(self, *_: Any) -> None:
        self.ends = 0.0

    def give(self, job: Job) -> None:
        folder = Path(job.folder)
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("half a report")
        self.said: list[dict[str, Any]] = [dict(FINDING), {"kind": "extras"}]
        self.ends = time.monotonic() + random.uniform(0.1, 0.6)

    def hear(self, seconds: float) -> dict[str, Any] | None:
        time.sleep(0.02)
        return self.said.pop(0) if time.monotonic() > self.ends and self.said else None

    def kill(self) -> None:
        pass


def work(settings: Settings, claims: str) -> None:
    """Run a worker until it is killed; every claim is a line of the file `claims`."""
    original = Store.claim

    def claim(self: Store, lease_seconds: float) -> VideoRow | None:
        row = original(self, lease_seconds)
        if row is not None:
            with Path(claims).open("a") as log:
                log.write(f"{row.started} {row.number} {row.attempts}\n")
        return row

    Store.claim = claim  # type: ignore[method-assign]
    worker.JobProcess = Waiting  # type: ignore[assignment,misc]
    worker.run_worker(settings, 1)
