"""Threads that must never hang say that they came round; whoever watches them reads when that was."""

from __future__ import annotations

import threading
import time


class Beats:
    """When each thread last came round, by the thread's name. Written by the threads, read by the sentinel."""

    def __init__(self) -> None:
        self._at_s: dict[str, float] = {}

    def come_round(self) -> None:
        """Of the thread that calls: one piece of work is done, or it woke up and found none."""
        self._at_s[threading.current_thread().name] = time.monotonic()

    def last_s(self, name: str) -> float | None:
        """By `time.monotonic`; None before the first time."""
        return self._at_s.get(name)
