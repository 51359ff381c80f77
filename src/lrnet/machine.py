"""Facts about the machine and its processes that any room may need."""

from __future__ import annotations

import os
import signal


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_of(status: int) -> str:
    """How a process ended, by its exit status; a negative one is the number of a signal."""
    try:
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    except ValueError:
        return f"signal {-status}"
